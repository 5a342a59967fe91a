//! Every kind of function can have tags, and its values are cached as before.
//!
//! The answers hold how many bodies ran, so that the second of two answers is the first one only if it was remembered.
#![deny(warnings, missing_docs, clippy::all)]

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    pin::Pin,
    sync::Arc,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    routing::get,
};
use cache_request::{
    bounds::{CacheValue, KeyPart},
    cache_request, scoped_sync,
};
use futures_lite::future::block_on;
use serde::{Deserialize, Serialize};

use crate::{
    caches::{caches, seconds},
    handlers::Site,
    support::Count,
};

static BODIES: Count = Count::new();

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Article {
    id: u32,
    author: Author,
    body: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Author {
    r#type: String,
    ids: (u32, u32),
}

fn article(id: u32) -> Article {
    Article { id, author: Author { r#type: "guest".to_owned(), ids: (id, 7) }, body: BODIES.next() }
}

/// The second call is answered as the first one, and a third one is after the companion has run the body.
macro_rules! remembers {
    ($($call:expr, $companion:expr;)*) => {$(
        let first = $call;
        assert_eq!($call, first, stringify!($call));
        let second = $companion;
        assert_ne!(second, first, stringify!($call));
        assert_eq!($call, second, stringify!($call));
    )*};
}

#[cache_request(tags(
    "article:{id}",
    "author:{value.author.ids.1}",
    "{value.author.type}:{value.id}",
    "news",
    "{{{id}}}"
))]
fn plain(id: u32) -> Article {
    article(id)
}

#[cache_request(tags("{{{value}}}", "{value}", "%s{{", "}}{{"), inherit_tags = false)]
async fn value_alone(_id: u32) -> u32 {
    BODIES.next()
}

#[cache_request(tags("article:{id}", "{name}", "author:{value.author.ids.0}"), inherit_tags = true)]
async fn result(mut id: u32, name: &str) -> Result<Article, String> {
    id += u32::try_from(name.len()).unwrap();
    Ok(article(id))
}

#[expect(clippy::manual_async_fn, reason = "it is this form that is tested")]
#[cache_request(tags("article:{id}", "{name}", "{value}"))]
fn future(id: u32, name: String) -> impl Future<Output = u32> {
    async move {
        drop((id, name));
        BODIES.next()
    }
}

#[cache_request(tags("article:{id}", "{value.id}"))]
fn boxed<'a>(id: &'a u32) -> Pin<Box<dyn Future<Output = Article> + Send + 'a>> {
    Box::pin(async move { article(*id) })
}

#[test]
fn functions() {
    for (_, cache, _) in caches() {
        scoped_sync(&cache, || {
            remembers! {
                plain(1), plain_cache(1).refresh();
                block_on(value_alone(1)), block_on(value_alone_cache(1).refresh());
                block_on(result(1, "ab")), block_on(result_cache(1, "ab").refresh());
                block_on(future(1, "ab".to_owned())), block_on(future_cache(1, "ab".to_owned()).refresh());
                block_on(boxed(&1)), block_on(boxed_cache(&1).refresh());
            }
        });
    }
}

/// It has no key and is no value: a tag may be of anything.
struct Shop {
    region: String,
    open: bool,
}

impl Display for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.region)
    }
}

impl Shop {
    #[cache_request(vary(self.region), tags("region:{self.region}", "open:{self.open}", "{self}", "author:{value.author.type}"))]
    fn by_reference(&self, id: u32) -> Article {
        article(id)
    }

    #[cache_request(skip(self), tags("region:{self.region}:{id}"))]
    async fn by_value(self, id: u32) -> u32 {
        drop(self);
        id + BODIES.next()
    }

    #[cache_request(skip(self), tags("{self.region}", "{value}"))]
    fn shared(self: &Arc<Self>) -> u32 {
        BODIES.next()
    }

    #[cache_request(handle = Self, tags("article:{id}", "{value}"))]
    fn associated(id: u32) -> u32 {
        id + BODIES.next()
    }
}

trait Shelf {
    fn top(&self, id: u32) -> u32;
}

impl Shelf for Shop {
    #[cache_request(skip(self), handle = false, tags("{self.region}:{id}", "{value}"))]
    fn top(&self, id: u32) -> u32 {
        id + BODIES.next()
    }
}

#[async_trait::async_trait]
trait Remote {
    async fn far(&self, id: u32) -> Article;
}

#[async_trait::async_trait]
impl Remote for Shop {
    #[cache_request(skip(self), tags("{self.region}:{id}", "{value.id}"))]
    async fn far(&self, id: u32) -> Article {
        article(id)
    }
}

#[test]
fn methods() {
    let shop = || Arc::new(Shop { region: "north".to_owned(), open: true });
    let owned = || Shop { region: "north".to_owned(), open: true };
    for (_, cache, _) in caches() {
        scoped_sync(&cache, || {
            remembers! {
                shop().by_reference(1), shop().by_reference_cache(1).refresh();
                block_on(owned().by_value(1)), block_on(owned().by_value_cache(1).refresh());
                shop().shared(), shop().shared_cache().refresh();
                Shop::associated(1), Shop::associated_cache(1).refresh();
            }
            assert_eq!(shop().top(1), shop().top(1));
            assert_eq!(block_on(shop().far(1)), block_on(shop().far(1)));
        });
    }
}

#[cache_request(tags("of:{of}", "{value}", "number:{pair.1}"))]
async fn generic<T: KeyPart + Display, R: CacheValue + Display + From<u32>, const N: usize>(
    of: T,
    pair: ([u8; N], u32),
) -> R {
    drop((of, pair));
    R::from(BODIES.next())
}

#[cache_request(tags("of:{of}", "{value}"))]
fn opaque(of: impl KeyPart + Display) -> u32 {
    drop(of);
    BODIES.next()
}

#[cache_request(tags("{left}:{right.ids.0}", "{second}", "{value}"), skip(right))]
fn patterns((left, Author { ids: (_, second), .. }, ref right): (&str, Author, Author)) -> u32 {
    u32::try_from(left.len()).unwrap() + second + right.ids.0 + BODIES.next()
}

#[cache_request(skip(shop, kept), tags("{shop}:{shop.region}", "{type}", "{kept}", "{gone}:{kept}", "{_id}"))]
#[allow(clippy::used_underscore_binding)]
fn arguments(shop: &Shop, r#type: &&str, #[cfg(test)] kept: &mut u32, #[cfg(any())] gone: u32, _id: Box<u32>) -> u32 {
    *kept += 1;
    u32::from(shop.open) + u32::try_from(r#type.len()).unwrap() + BODIES.next()
}

/// An own key, with the arguments of the tags beside it.
#[cache_request(key = "article:{id}", tags("user:{user}"))]
fn own_key(id: u32, user: &str) -> u32 {
    u32::try_from(user.len()).unwrap() + id + BODIES.next()
}

mod made {
    use super::*;

    macro_rules! functions {
        ($($name:ident: $tag:literal),*) => {$(
            #[cache_request(tags($tag, "made:{id}"))]
            pub(super) fn $name(id: u32) -> u32 {
                id + BODIES.next()
            }
        )*};
    }

    functions!(one: "one:{id}", two: "two:{value}");
}

#[test]
fn arguments_of_all_kinds() {
    let author = || Author { r#type: "guest".to_owned(), ids: (1, 2) };
    let shop = Shop { region: "north".to_owned(), open: true };
    for (_, cache, _) in caches() {
        scoped_sync(&cache, || {
            let pair = ([1_u8, 2], 3);
            remembers! {
                block_on(generic::<_, u32, 2>("a", pair)), block_on(generic_cache::<_, u32, 2>("a", pair).refresh());
                opaque("a"), opaque_cache("a").refresh();
                patterns(("a", author(), author())), patterns_cache(("a", author(), author())).refresh();
                own_key(1, "a"), own_key_cache(1, "a").refresh();
                made::one(1), made::one_cache(1).refresh();
                made::two(1), made::two_cache(1).refresh();
            }
            let mut runs = 0;
            let mut call = || arguments(&shop, &"a", &mut runs, Box::new(1));
            assert_eq!(call(), call());
            assert_eq!(runs, 1);
        });
    }
}

/// Without `serde`.
#[derive(Debug, Clone, PartialEq)]
struct Kept {
    id: u32,
}

#[cache_request(local, tags("kept:{value.id}", "all"))]
fn kept(_id: u32) -> Arc<Kept> {
    Arc::new(Kept { id: BODIES.next() })
}

#[cache_request(cache_err, tags("article:{id}", "author:{value.author.type}", "{value.id}"))]
fn whole_result(id: u32) -> Result<Article, u32> {
    if id == 0 { Err(BODIES.next()) } else { Ok(article(id)) }
}

#[cache_request(timeout_err = 5, when = |value| value.id > 0, tags("author:{value.author.type}"))]
async fn error_for_a_while(id: u32) -> Result<Article, u32> {
    if id == 0 { Err(BODIES.next()) } else { Ok(article(id)) }
}

#[cache_request(skip_none, share_err, tags("{id}", "{value.id}"), timeout = never)]
fn optional(id: u32) -> Result<Option<Article>, String> {
    Ok(Some(article(id)))
}

#[cache_request(cache_err, tags("{id}", "{value.id}"))]
fn optional_in_whole_result(id: u32) -> Result<Option<Article>, u32> {
    Ok(Some(article(id)))
}

#[cache_request(tags("{value}"))]
fn optional_of_any<T: CacheValue + Display + From<u32>>() -> Option<T> {
    Some(BODIES.next().into())
}

#[cache_request(tags("reminder:{user}"), inherit_tags = false)]
fn remind(user: u32) {
    assert_eq!(user, 1);
    REMINDERS.next();
}

static REMINDERS: Count = Count::new();

#[test]
fn values_of_all_kinds() {
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            remembers! {
                kept(1), kept_cache(1).refresh();
                whole_result(1), whole_result_cache(1).refresh();
                whole_result(0), whole_result_cache(0).refresh();
                block_on(error_for_a_while(1)), block_on(error_for_a_while_cache(1).refresh());
                block_on(error_for_a_while(0)), block_on(error_for_a_while_cache(0).refresh());
                optional(1), optional_cache(1).refresh();
                optional_in_whole_result(1), optional_in_whole_result_cache(1).refresh();
                optional_of_any::<u64>(), optional_of_any_cache::<u64>().refresh();
            }
            let before = REMINDERS.get();
            remind(1);
            remind(1);
            assert_eq!(REMINDERS.get(), before + 1, "{name}");
        });
    }
}

#[cache_request(each(ids), tags("article:{ids}", "author:{value.author.type}", "news"))]
fn list(ids: &[u32]) -> Vec<Article> {
    ids.iter().map(|id| article(*id)).collect()
}

#[cache_request(skip(shop), each(ids as id), tags("{shop.region}:{name}:{low}", "{id.number}", "{value}"), inherit_tags = false)]
async fn owned_list(
    shop: &Shop,
    name: String,
    (low, _): (u32, u32),
    ids: Vec<Number>,
) -> Result<BTreeMap<Number, u32>, String> {
    drop((shop, name));
    Ok(ids.into_iter().map(|id| (id, low + BODIES.next())).collect())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Number {
    number: u32,
}

#[expect(clippy::manual_async_fn, reason = "it is this form that is tested")]
#[cache_request(each(ids), tags("{name}"))]
fn future_list<'a>(ids: &'a Vec<u32>, name: &'a str) -> impl Future<Output = Vec<u32>> + Send + use<'a> {
    async move { ids.iter().map(|id| id + u32::try_from(name.len()).unwrap() + BODIES.next()).collect() }
}

#[cache_request(each(ids), tags("{ids}", "{value}"))]
fn boxed_list<'a, T: KeyPart + Display + Copy + Send + Sync + 'static>(
    ids: &'a [T],
) -> Pin<Box<dyn Future<Output = Vec<u32>> + Send + 'a>> {
    Box::pin(async move { ids.iter().map(|_| BODIES.next()).collect() })
}

impl Shop {
    #[cache_request(skip(self), each(ids), tags("{self.region}:{ids}", "{self}"))]
    async fn list(&self, ids: &[u32]) -> Vec<u32> {
        ids.iter().map(|id| id + BODIES.next()).collect()
    }

    #[cache_request(skip(self), each(ids), tags("{self.region}"))]
    fn list_by_value(self: Arc<Self>, ids: Vec<u32>) -> Vec<u32> {
        ids.iter().map(|id| id + BODIES.next()).collect()
    }
}

#[cache_request(share = "tagged number", tags("{id}", "{value}"))]
fn of_one(id: u32) -> u32 {
    id + BODIES.next()
}

#[cache_request(share = "tagged number", each(ids as id), tags("{id}", "{value}"))]
fn of_many(ids: &[u32]) -> Vec<u32> {
    ids.iter().map(|id| id + BODIES.next()).collect()
}

fn is_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn lists() {
    let shop = || Shop { region: "north".to_owned(), open: true };
    let numbers = || vec![Number { number: 1 }, Number { number: 2 }];
    let owned = || block_on(is_send(owned_list(&shop(), "a".to_owned(), (1, 2), numbers()))).unwrap();
    for (name, cache, _) in caches() {
        scoped_sync(&cache, || {
            remembers! {
                list(&[1]), vec![list_cache(1).refresh().unwrap()];
                block_on(future_list(&vec![1], "a")), vec![block_on(future_list_cache(1, "a").refresh()).unwrap()];
                block_on(boxed_list(&[1_u64])), vec![block_on(boxed_list_cache(1_u64).refresh()).unwrap()];
                block_on(shop().list(&[1])), vec![block_on(shop().list_cache(1).refresh()).unwrap()];
                Arc::new(shop()).list_by_value(vec![1]), vec![Arc::new(shop()).list_by_value_cache(1).refresh().unwrap()];
            }
            assert_eq!(list(&[1, 2])[0], list(&[2, 1])[1], "{name}");
            let first = owned();
            assert_eq!(owned(), first, "{name}");
            let one = block_on(owned_list_cache(&shop(), "a".to_owned(), (1, 2), numbers()[0]).call_traced());
            assert_eq!(one.0.unwrap(), Some(first[&numbers()[0]]), "{name}");
            assert_eq!(of_many(&[1, 2])[0], of_one(1), "{name}");
        });
    }
}

#[cache_request(
    timeout = 10,
    stale = 60,
    stale_if_error = "1h",
    stale_after = "1h",
    tags("{name}", "{text}", "{value}")
)]
fn in_background(name: String, text: &str) -> Result<u32, String> {
    drop((name, text.len()));
    Ok(BODIES.next())
}

#[cache_request(timeout = 10, early = 0.5, tags("{name}", "{value}"))]
async fn early(name: Arc<str>) -> u32 {
    drop(name);
    BODIES.next()
}

#[cache_request(timeout = 10, stale = 60, foreground, tags("{name}", "{value}"))]
fn foreground(name: String) -> u32 {
    drop(name);
    BODIES.next()
}

#[cache_request(timeout = 10, stale = 60, foreground, handle = false, tags("{name}", "{value}"))]
async fn alone(name: &str) -> u32 {
    assert_eq!(name, "a");
    BODIES.next()
}

#[cache_request(timeout = 10, stale = 60, detach, tags("{name}", "{value}"))]
async fn detached(name: String) -> u32 {
    drop(name);
    BODIES.next()
}

/// The old value is there after ten seconds, and then the one that a body has made because of that.
#[test]
fn replaced_values() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let calls: [fn() -> u32; 5] = [
        || in_background("a".to_owned(), "b").unwrap(),
        || block_on(early("a".into())),
        || foreground("a".to_owned()),
        || block_on(alone("a")),
        || block_on(detached("a".to_owned())),
    ];
    for (number, call) in calls.into_iter().enumerate() {
        for (name, cache, clock) in caches() {
            let _entered = runtime.enter();
            scoped_sync(&cache, || {
                let first = call();
                assert_eq!(call(), first, "{name}, {number}");
                clock.advance(seconds(if number == 1 { 9 } else { 10 }));
                let _old_or_new = call();
                cache.shutdown_sync();
                let second = call();
                assert!(second > first, "{name}, {number}");
                assert_eq!(call(), second, "{name}, {number}");
            });
        }
    }
}

#[cache_request(tags("article:{id}", "db:{db}", "author:{value.author.type}"))]
async fn json(State(db): State<&'static str>, Path(id): Path<u32>) -> Json<Article> {
    assert_eq!(db, "db");
    Json(article(id))
}

#[cache_request(vary(header("accept-language")), tags("path:{path.0}"))]
async fn response(path: Path<u32>, headers: http::HeaderMap) -> impl axum::response::IntoResponse {
    format!("{} {} {}", *path, headers.len(), BODIES.next())
}

#[test]
fn handlers() {
    let router = Router::new().route("/json/{id}", get(json)).route("/response/{id}", get(response));
    let site = Site::of(router.with_state("db"));
    for uri in ["/json/5", "/response/5"] {
        let first = site.get(uri);
        assert!(first.contains('5'), "{uri}: {first}");
        assert_eq!(site.get(uri), first, "{uri}");
    }
}

/// Notes that a tag is made of it.
struct Noted(Count);

impl Display for Noted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.next();
        f.write_str("noted")
    }
}

#[cache_request(skip(noted), tags("{noted}"))]
fn of_one_noted(noted: &Noted) -> u32 {
    noted.0.get()
}

#[cache_request(skip(noted), tags("{noted}"))]
async fn of_one_noted_later(noted: &Noted) -> u32 {
    noted.0.get()
}

#[test]
fn a_call_makes_its_tags_before_its_body_runs_and_a_hit_in_memory_makes_none() {
    for (name, cache, _) in caches().into_iter().filter(|(name, ..)| *name != "backend") {
        let noted = Noted(Count::new());
        scoped_sync(&cache, || {
            assert_eq!([of_one_noted(&noted), of_one_noted(&noted)], [1, 1], "{name}");
            let later = || block_on(of_one_noted_later(&noted));
            assert_eq!([later(), later()], [2, 2], "{name}");
            assert_eq!(noted.0.get(), 2, "{name}: a hit made a tag");
        });
    }
}
