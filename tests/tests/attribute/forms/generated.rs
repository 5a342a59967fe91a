//! Functions that a macro or another attribute has a hand in.

use std::pin::Pin;

use cache_request::cache_request;
use futures_lite::future::block_on;

struct Db;

macro_rules! function {
    ($name:ident, $argument:ident: $argument_type:ty => $answer:ty, $timeout:expr, $text:literal, $key:expr) => {
        #[cache_request(timeout = $timeout, name = $text, skip(db), vary(id = $argument.len()))]
        fn $name($argument: $argument_type, db: &Db) -> $answer {
            let _ = db;
            let key = $argument.len();
            key
        }

        mod own_key {
            use super::*;

            #[cache_request(key = $key)]
            pub(super) fn $name($argument: $argument_type) -> $answer {
                $argument.len()
            }
        }
    };
}

function!(by_macro, text: &str => usize, 300, "by_macro", "own:{text}");

macro_rules! boxed {
    ($future:ty) => {
        #[cache_request]
        fn boxed_by_macro(id: u32) -> $future {
            Box::pin(async move { id })
        }
    };
}

boxed!(Pin<Box<dyn Future<Output = u32> + Send>>);

struct Shop;

macro_rules! method {
    ($(#[$attribute:meta])* $name:ident($($argument:ident: $type:ty),*) $body:block) => {
        impl Shop {
            $(#[$attribute])*
            fn $name(&self, $($argument: $type),*) -> u32 $body
        }
    };
}

method! {
    #[cache_request(skip(self))]
    sum(one: u32, other: u32) { one + other }
}

#[test]
fn by_macro_rules() {
    for _ in 0..2 {
        assert_eq!(by_macro("ab", &Db), 2);
        assert_eq!(own_key::by_macro("ab"), 2);
        assert_eq!(block_on(boxed_by_macro(3)), 3);
        assert_eq!(Shop.sum(1, 2), 3);
    }
}

#[cache_request]
#[cfg_attr(all(unix, windows), nonsense)]
#[cfg_attr(any(unix, windows), allow(unused_variables))]
fn conditional_attributes(#[cfg_attr(any(unix, windows), allow(unused))] id: u32) -> u32 {
    let unused = 1;
    2
}

/// An attribute that stands above sees a function, and one below its thin caller.
#[cache_request]
#[must_use]
#[cold]
#[track_caller]
fn attributes_below(id: u32) -> u32 {
    id
}

#[test]
fn other_attributes() {
    assert_eq!([conditional_attributes(1), conditional_attributes(1)], [2, 2]);
    assert_eq!([attributes_below(1), attributes_below(1)], [1, 1]);
}

/// Holds so many bytes while it waits.
async fn large<const BYTES: usize>(id: u8) -> usize {
    let bytes = [id; BYTES];
    futures_lite::future::yield_now().await;
    bytes.len()
}

#[cache_request]
async fn large_remembered<const BYTES: usize>(id: u8) -> usize {
    let bytes = [id; BYTES];
    futures_lite::future::yield_now().await;
    bytes.len()
}

#[test]
fn the_body_lies_in_the_future_once() {
    let plain = size_of_val(&large::<4096>(1)) - size_of_val(&large::<1024>(1));
    let remembered = size_of_val(&large_remembered::<4096>(1)) - size_of_val(&large_remembered::<1024>(1));
    assert_eq!(plain, 3072);
    assert_eq!(remembered, plain, "the body's own bytes, and no second copy of them");
}
