//! Everything that is awaited.

use std::pin::Pin;

use cache_request::cache_request;
use futures_lite::future::{block_on, yield_now};
use serde::Serialize;

#[cache_request]
async fn plain(id: u32, text: &str) -> String {
    yield_now().await;
    format!("{id}{text}")
}

#[cache_request]
fn returned(id: u32) -> impl Future<Output = u32> + Send {
    let doubled = id * 2;
    async move {
        yield_now().await;
        doubled
    }
}

#[cache_request]
fn returned_borrowing<'a>(text: &'a str, other: &str) -> impl Future<Output = usize> + Send {
    let length = other.len();
    async move { text.len() + length }
}

#[cache_request]
fn returned_result(text: &str) -> impl Future<Output = Result<u8, std::num::ParseIntError>> + '_ {
    async move { text.parse() }
}

#[cache_request]
fn boxed(id: u32) -> Pin<Box<dyn Future<Output = u32> + Send>> {
    if id == 0 {
        return Box::pin(async { 100 });
    }
    Box::pin(async move { id })
}

#[cache_request]
fn boxed_borrowing(text: &str) -> Pin<Box<dyn Future<Output = usize> + Send + '_>> {
    Box::pin(async move { text.len() })
}

#[cache_request(handle = false)]
fn without_companion(id: u32) -> impl Future<Output = u32> + Send {
    async move { id }
}

#[cache_request(handle = false)]
async fn opaque(id: u32) -> impl PartialEq<u32> + std::fmt::Debug {
    id
}

#[cache_request]
async fn generic<T>(item: T, (one, other): (&str, T)) -> String
where
    T: Serialize + Clone + ToString + Send + Sync,
{
    yield_now().await;
    item.to_string() + one + &other.to_string()
}

#[test]
fn every_kind() {
    for _ in 0..2 {
        assert_eq!(block_on(plain(1, "a")), "1a");
        assert_eq!(block_on(returned(1)), 2);
        assert_eq!(block_on(returned_borrowing("ab", "c")), 3);
        assert_eq!(block_on(returned_result("7")), Ok(7));
        assert!(block_on(returned_result("x")).is_err());
        assert_eq!(block_on(boxed(1)), 1);
        assert_eq!(block_on(boxed(0)), 100);
        assert_eq!(block_on(boxed_borrowing("ab")), 2);
        assert_eq!(block_on(without_companion(1)), 1);
        assert_eq!(block_on(opaque(1)), 1);
        assert_eq!(block_on(generic(1, ("a", 2))), "1a2");
    }
    assert_eq!(block_on(plain_cache(1, "a").refresh()), "1a");
    assert_eq!(block_on(returned_cache(1).refresh()), 2);
    assert_eq!(block_on(boxed_cache(1).refresh()), 1);
}

#[test]
fn futures_that_were_send_are_send() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    drop(is_send(plain(1, "a")));
    drop(is_send(returned(1)));
    drop(is_send(returned_borrowing("a", "b")));
    drop(is_send(boxed(1)));
    drop(is_send(generic(1, ("a", 2))));
    drop(is_send(plain_cache(1, "a")));
    drop(is_send(returned_cache(1)));
}

/// A future that is not `Send` stays usable where it need not be.
#[cache_request(local, skip(shared))]
async fn not_send(shared: std::rc::Rc<u32>) -> u32 {
    yield_now().await;
    *shared
}

#[test]
fn futures_need_not_be_send() {
    assert_eq!(block_on(not_send(std::rc::Rc::new(1))), 1);
}

#[cache_request]
async fn recursive(n: u64) -> u64 {
    if n == 0 { 0 } else { n + Box::pin(recursive(n - 1)).await }
}

#[test]
fn recursion() {
    assert_eq!([block_on(recursive(3)), block_on(recursive(3))], [6, 6]);
}
