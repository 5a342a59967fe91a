//! Arguments that are patterns.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use cache_request::cache_request;
use serde::Serialize;

#[derive(Clone, Serialize)]
struct Query<T>(T);

struct State<T>(T);

#[derive(Serialize)]
struct Point {
    x: i32,
    y: i32,
}

/// Neither `Serialize` nor `Clone`.
struct Db(u32);

#[cache_request(skip(db))]
async fn handler(State(db): State<Db>, Query(q): Query<String>) -> Result<String, std::fmt::Error> {
    Ok(format!("{}{q}", db.0))
}

#[test]
fn extractors() {
    let call = || futures_lite::future::block_on(handler(State(Db(1)), Query("q".to_owned())));
    assert_eq!(call().unwrap(), "1q");
    assert_eq!(call().unwrap(), "1q");
}

#[cache_request]
#[allow(clippy::too_many_arguments)]
fn shapes(
    (a, mut b): (i32, i32),
    Point { x, y: z }: Point,
    [first, .., last]: [i32; 3],
    ref text: String,
    whole @ Query(_): Query<i32>,
    &one: &i32,
    &(two, ref three): &(i32, String),
    (four, &five): (i32, &i32),
    _: Db,
    (n, _): (i32, Db),
) -> String {
    b += 1;
    let text: &String = text;
    format!("{a}{b}{x}{z}{first}{last}{text}{}{one}{two}{three}{four}{five}{n}", whole.0)
}

#[test]
fn every_shape() {
    let call = || {
        shapes(
            (1, 2),
            Point { x: 3, y: 4 },
            [5, 0, 6],
            "t".to_owned(),
            Query(7),
            &8,
            &(9, "r".to_owned()),
            (1, &2),
            Db(0),
            (3, Db(0)),
        )
    };
    assert_eq!(call(), "133456t789r123");
    assert_eq!(call(), call());
}

#[cache_request(skip(y))]
fn skipped_field(Point { mut x, y }: Point) -> i32 {
    x += y;
    x
}

#[test]
fn a_binding_is_skipped() {
    assert_eq!(skipped_field(Point { x: 1, y: 2 }), 3);
    assert_eq!(skipped_field(Point { x: 1, y: 2 }), 3);
}

/// Tells when it is dropped.
struct Guard(Arc<AtomicU32>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[cache_request(skip(_unused, seen))]
fn guarded(id: u32, _unused: Guard, _: Guard, (seen, _): (Arc<AtomicU32>, Guard)) -> u32 {
    id + seen.load(Ordering::SeqCst)
}

#[test]
fn unused_arguments_live_as_long_as_the_body() {
    let seen = Arc::new(AtomicU32::new(0));
    let guard = || Guard(Arc::clone(&seen));
    assert_eq!(guarded(10, guard(), guard(), (Arc::clone(&seen), guard())), 10);
    assert_eq!(seen.load(Ordering::SeqCst), 3);
}

struct Noisy(&'static str, Arc<Mutex<Vec<&'static str>>>);

impl Drop for Noisy {
    fn drop(&mut self) {
        self.1.lock().unwrap().push(self.0);
    }
}

#[cache_request(skip(a, b, c), timeout = 0)]
fn dropped(a: Noisy, b: Noisy, c: Noisy) -> usize {
    a.0.len() + c.0.len()
}

#[test]
fn arguments_are_dropped_in_the_functions_order() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let noisy = |name| Noisy(name, Arc::clone(&order));
    assert_eq!(dropped(noisy("a"), noisy("b"), noisy("c")), 2);
    assert_eq!(*order.lock().unwrap(), ["c", "b", "a"]);
}
