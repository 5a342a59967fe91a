//! The expansion means the same in a caller of edition 2021, where `impl Trait` captures no lifetimes by itself, and where
//! no prelude has `Future`.
#![deny(warnings)]
#![no_implicit_prelude]

use ::cache_request::cache_request;
use ::std::{
    boxed::Box,
    convert::From,
    format,
    future::Future,
    option::Option,
    pin::Pin,
    result::Result::{self, Ok},
    string::{String, ToString},
    sync::Mutex,
};

/// A plain function.
#[cache_request(timeout = "5m", when = |value| !value.is_empty())]
pub fn plain(text: &str, slice: &[u8], option: Option<&str>) -> String {
    format!("{text}{slice:?}{option:?}")
}

/// An `async` one.
#[cache_request]
pub async fn asynchronous(text: &str, option: Option<&str>) -> Result<String, ::std::fmt::Error> {
    Ok(format!("{text}{option:?}"))
}

/// One that returns a future.
#[cache_request]
pub fn returned<'a>(text: &'a str) -> impl Future<Output = usize> + 'a {
    async move { text.len() }
}

/// One that boxes it.
#[cache_request]
pub fn boxed(text: &str) -> Pin<Box<dyn Future<Output = usize> + ::std::marker::Send + '_>> {
    Box::pin(async move { text.len() })
}

/// A plain function whose body runs in the background.
#[cache_request(timeout = 10, stale = "1m", early = 0.9)]
pub fn replaced(text: &str, owned: String, option: Option<&str>) -> String {
    format!("{text}{owned}{option:?}")
}

/// An `async` one.
#[cache_request(stale = "1m", stale_if_error = "1h")]
pub async fn replaced_later(text: &str, owned: String) -> Result<String, ::std::fmt::Error> {
    Ok(format!("{text}{owned}"))
}

/// What the last expression borrows lives until after it, and what it borrows from longer still.
#[cache_request(skip(mutex))]
pub fn temporaries((mutex, id): (Mutex<u32>, u32)) -> u32 {
    *mutex.lock().unwrap() + id
}

/// A shop.
#[derive(::std::fmt::Debug)]
pub struct Shop<'a>(pub &'a str);

impl<'a> Shop<'a> {
    /// A method.
    #[cache_request(vary(self.0))]
    pub fn shown<'b>(&self, other: &'b str, more: &str) -> String {
        [self.0, other, more].concat()
    }

    /// An `async` one.
    #[cache_request(vary(self.0))]
    pub async fn awaited(&self, other: &str) -> String {
        [self.0, other].concat()
    }

    /// One without `self`.
    #[cache_request]
    pub fn associated(text: &'a str) -> String
    where
        Self: 'a,
    {
        text.to_string()
    }
}

/// A trait.
pub trait Named {
    /// One in a trait.
    #[cache_request(skip(self), handle = false)]
    fn name(&self, text: &str) -> String {
        String::from(text)
    }
}

impl Named for u8 {}
