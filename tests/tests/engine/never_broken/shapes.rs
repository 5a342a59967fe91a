//! A value type that has changed since its values were stored.
//!
//! Two programs share a backend: the one before the change and the one after. Their functions have one name, and their types,
//! each in a block of its own, too.

use cache_request::{Cache, Clock, cache_request, scoped_sync};
use cache_request_tests::backends::Bent;
use serde::{Deserialize, Serialize};

use super::{bodies, body_runs};

/// The types before and after, and a value of each. Neither program may ever be answered by the other one's value.
macro_rules! changes {
    ($({ $($old:item)* } $before:expr => { $($new:item)* } $after:expr;)*) => {{$({
        let backend = Bent::new(&Clock::mock());
        let program = || Cache::builder().backend(backend.clone()).build().unwrap();
        let (before, after) = (program(), program());
        let old = || {
            $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $old)*
            #[cache_request(name = "changed")]
            fn f() -> Kept {
                body_runs();
                $before
            }
            assert_eq!(f(), $before);
            f_cache().key().unwrap()
        };
        let new = || {
            $(#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)] $new)*
            #[cache_request(name = "changed")]
            fn f() -> Kept {
                body_runs();
                $after
            }
            assert_eq!(f(), $after);
            f_cache().key().unwrap()
        };
        let what = concat!($(stringify!($old),)* " -> ", $(stringify!($new)),*);
        let (key, ran) = scoped_sync(&before, || bodies(old));
        assert_eq!(ran, 1, "{what}");
        assert_eq!(scoped_sync(&before, || bodies(old)), (key.clone(), 0), "{what}");
        assert_eq!(scoped_sync(&after, || bodies(new)), (key.clone(), 1), "{what}");
        assert_eq!(scoped_sync(&after, || bodies(new)), (key.clone(), 0), "{what}");
        assert_eq!(scoped_sync(&before, || bodies(old)), (key, 1), "{what}");
        for cache in [before, after] {
            let function = cache.stats().function("changed").unwrap().clone();
            assert_eq!(function.misses.undecodable, function.faults.total(), "{what}: {function:?}");
            assert_eq!(function.faults.total(), 1, "{what}: {function:?}");
        }
    })*}};
}

#[test]
fn a_value_from_before_its_type_changed_is_a_miss() {
    changes! {
        { struct Kept { a: u8, b: u8 } } Kept { a: 1, b: 2 } => { struct Kept { a: u8 } } Kept { a: 3 };
        { struct Kept { a: u8 } } Kept { a: 1 } => { struct Kept { a: u8, b: u8 } } Kept { a: 3, b: 4 };
        { struct Kept { a: u8 } } Kept { a: 1 } => { struct Kept { a: u8, b: Option<u8> } } Kept { a: 3, b: Some(4) };
        { struct Kept { a: u8 } } Kept { a: 1 } =>
            { struct Kept { a: u8, #[serde(default)] b: u8 } } Kept { a: 3, b: 4 };
        { struct Kept { a: Option<u8> } } Kept { a: Some(1) } => { struct Kept { b: Option<u8> } } Kept { b: Some(3) };
        { struct Kept { a: u8 } } Kept { a: 1 } => { struct Kept { a: u64 } } Kept { a: 3 };
        { struct Kept { a: u32 } } Kept { a: 1 } => { struct Kept { a: f64 } } Kept { a: 3.0 };
        { struct Kept { a: u32 } } Kept { a: 1 } => { struct Kept { a: Option<u32> } } Kept { a: Some(3) };
        { struct Kept { a: Vec<u8> } } Kept { a: vec![1] } => { struct Kept { a: (u8,) } } Kept { a: (3,) };
        { struct Kept(u8, u8); } Kept(1, 2) => { struct Kept(u8, u8, u8); } Kept(3, 4, 5);
        { struct Kept(u8, u8, u8); } Kept(1, 2, 3) => { struct Kept(u8, u8); } Kept(4, 5);
        { enum Kept { A, B } } Kept::A => { enum Kept { A } } Kept::A;
        { struct Kept(Vec<Part>); struct Part { a: u8 } } Kept(vec![Part { a: 1 }]) =>
            { struct Kept(Vec<Part>); struct Part { a: u8, b: Option<u8> } } Kept(vec![Part { a: 3, b: Some(4) }]);
    }
}

/// Not one name, but two of the same type's: a field that moved between the types of two functions.
#[test]
fn a_function_that_returns_something_else_now_is_a_miss() {
    let backend = Bent::new(&Clock::mock());
    let program = || Cache::builder().backend(backend.clone()).build().unwrap();
    fn old() -> u64 {
        #[cache_request(name = "returned")]
        fn f() -> u64 {
            body_runs();
            1
        }
        f()
    }
    fn new() -> Option<u64> {
        #[cache_request(name = "returned")]
        fn f() -> Option<u64> {
            body_runs();
            Some(2)
        }
        f()
    }
    assert_eq!(scoped_sync(&program(), || bodies(old)), (1, 1));
    assert_eq!(scoped_sync(&program(), || bodies(new)), (Some(2), 1));
    assert_eq!(scoped_sync(&program(), || bodies(old)), (1, 1));
}
