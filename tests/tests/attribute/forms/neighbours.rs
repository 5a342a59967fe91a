//! Traits of the user's whose methods all types have, under the names of those that the expansion calls.

use std::{pin::Pin, time::Duration};

use cache_request::cache_request;
use futures_lite::future::block_on;

macro_rules! all_types_have {
    ($by:ident: $receiver:tt) => {
        all_types_have! {
            @ $by: $receiver
            answer build call can_be_kept fill hit new of of_body of_future own part policy serialised skip_none timeout
            timeout_with weight when whole_result
            cache local name prefix template uncoalesced version
        }
    };
    (@ $by:ident: $receiver:tt $($method:ident)*) => {
        mod $by {
            #![allow(dead_code, reason = "that they are not called is the test")]
            #![allow(clippy::new_ret_no_self, clippy::wrong_self_convention)]

            pub(super) trait Neighbour: Sized {
                $(fn $method $receiver {})*
            }

            impl<T> Neighbour for T {}
        }
    };
}

all_types_have! { by_value: (self) }
all_types_have! { by_reference: (&self) }
all_types_have! { by_exclusive_reference: (&mut self) }

macro_rules! functions_beside {
    ($by:ident) => {
        mod $by {
            use super::super::*;
            use super::super::$by::Neighbour as _;

            fn own_key(id: &u32, text: &str) -> String {
                format!("{id}:{text}")
            }

            #[cache_request(
                name = "plain", version = 2, prefix = "p", cache = "none", coalesce = false, timeout_with = |_| Duration::ZERO,
                when = |_| true, weight = |_| 1
            )]
            fn plain(id: u32, text: &str) -> String {
                text.repeat(id as usize)
            }

            #[cache_request(timeout = 5, skip_none, vary(more = 5))]
            fn some(id: u32) -> Result<Option<u32>, String> {
                // It is in scope, and the body finds it.
                id.wrapping_add(1).policy();
                Ok(Some(id))
            }

            #[cache_request(cache_err, local, key = "own:{id}")]
            fn failing(id: u32) -> Result<u32, String> {
                Err(id.to_string())
            }

            #[cache_request(key = own_key, handle = false)]
            async fn awaited(id: u32, text: &str) -> String {
                text.repeat(id as usize)
            }

            #[cache_request]
            fn boxed(id: u32) -> Pin<Box<dyn Future<Output = u32>>> {
                Box::pin(async move { id })
            }

            #[cache_request]
            fn nameless(id: u32) -> impl Future<Output = u32> {
                async move { id }
            }

            #[test]
            fn none_of_them_is_called() {
                for _ in 0..2 {
                    assert_eq!(plain(2, "ab"), "abab");
                    assert_eq!(some(1), Ok(Some(1)));
                    assert_eq!(failing(1), Err("1".to_owned()));
                    assert_eq!(block_on(awaited(2, "ab")), "abab");
                    assert_eq!([block_on(boxed(1)), block_on(nameless(2))], [1, 2]);
                }
            }
        }
    };
}

mod functions {
    functions_beside! { by_value }
    functions_beside! { by_reference }
    functions_beside! { by_exclusive_reference }
}
