//! A caller of an older edition.

use std::sync::Mutex;

use cache_request_edition_2021::{Named as _, Shop, asynchronous, boxed, plain, plain_cache, returned, temporaries};
use futures_lite::future::block_on;

#[test]
fn everything_works_in_an_older_edition() {
    for _ in 0..2 {
        assert_eq!(plain("a", &[1], Some("b")), "a[1]Some(\"b\")");
        assert_eq!(block_on(asynchronous("a", Some("b"))), Ok("aSome(\"b\")".to_string()));
        assert_eq!(block_on(returned("ab")), 2);
        assert_eq!(block_on(boxed("ab")), 2);
        assert_eq!(temporaries((Mutex::new(1), 2)), 3);
        let shop = Shop("x");
        assert_eq!(shop.shown("a", "b"), "xab");
        assert_eq!(block_on(shop.awaited("a")), "xa");
        assert_eq!(Shop::associated("a"), "a");
        assert_eq!(1_u8.name("a"), "a");
    }
    assert_eq!(plain_cache("a", &[1], Some("b")).refresh(), "a[1]Some(\"b\")");
    assert_eq!(block_on(Shop("x").awaited_cache("a").refresh()), "xa");
}
