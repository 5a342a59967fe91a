//! What a body may do.

use std::{error::Error, num::ParseIntError};

use cache_request::cache_request;
use futures_lite::future::{block_on, yield_now};

#[cache_request]
fn early_return(n: i32) -> Result<i32, ParseIntError> {
    if n < 0 {
        return Ok(0);
    }
    let parsed: i32 = n.to_string().parse()?;
    'search: {
        for candidate in 0.. {
            if candidate == parsed {
                break 'search;
            }
        }
    }
    Ok(parsed)
}

#[cache_request]
async fn early_return_async(n: i32) -> Result<i32, ParseIntError> {
    if n < 0 {
        return Ok(0);
    }
    yield_now().await;
    let parsed: i32 = n.to_string().parse()?;
    let found = 'search: loop {
        for candidate in 0.. {
            if candidate == parsed {
                break 'search candidate;
            }
        }
    };
    Ok(found)
}

#[test]
fn control_flow() {
    assert_eq!([early_return(-1), early_return(5), early_return(5)], [Ok(0), Ok(5), Ok(5)]);
    let call = |n| block_on(early_return_async(n));
    assert_eq!([call(-1), call(5), call(5)], [Ok(0), Ok(5), Ok(5)]);
}

/// `?` converts into what the signature says, and `Err(…)` alone does not say it.
#[cache_request]
async fn boxed_error(text: &str) -> Result<u8, Box<dyn Error + Send + Sync>> {
    if text.is_empty() {
        Err("empty")?;
    }
    if text == "coerced" {
        return Err(Box::new(std::fmt::Error));
    }
    Ok(text.parse()?)
}

#[cache_request]
fn boxed_error_sync(text: &str) -> Result<u8, Box<dyn Error>> {
    if text == "coerced" {
        return Err(Box::new(std::fmt::Error));
    }
    Ok(text.parse()?)
}

#[cache_request(local, skip(text))]
async fn coerced(text: &str) -> std::sync::Arc<dyn Fn(usize) -> usize + Send + Sync> {
    let length = text.len();
    std::sync::Arc::new(move |more| length + more)
}

#[test]
fn conversions_and_coercions() {
    for _ in 0..2 {
        assert_eq!(block_on(boxed_error("7")).unwrap(), 7);
        assert_eq!(boxed_error_sync("7").unwrap(), 7);
        assert_eq!(block_on(coerced("four"))(1), 5);
    }
    for text in ["", "coerced", "x"] {
        assert!(block_on(boxed_error(text)).is_err());
    }
    assert!(boxed_error_sync("coerced").is_err());
}

#[cache_request]
fn diverges(n: u32) -> u32 {
    panic!("the body's own {n}")
}

#[cache_request]
async fn diverges_async(n: u32) -> u32 {
    panic!("the body's own {n}")
}

#[test]
fn panics_are_the_bodys() {
    let message = |panic: Box<dyn std::any::Any + Send>| panic.downcast_ref::<String>().unwrap().clone();
    assert_eq!(message(std::panic::catch_unwind(|| diverges(1)).unwrap_err()), "the body's own 1");
    assert_eq!(message(std::panic::catch_unwind(|| block_on(diverges_async(1))).unwrap_err()), "the body's own 1");
}

#[cache_request]
fn statics() -> usize {
    static CALLS: std::sync::Mutex<Vec<u8>> = std::sync::Mutex::new(Vec::new());
    let mut calls = CALLS.lock().unwrap();
    calls.push(0);
    calls.len().min(1)
}

#[test]
fn a_body_has_one_set_of_statics() {
    assert_eq!([statics(), statics(), statics_cache().refresh()], [1, 1, 1]);
}
