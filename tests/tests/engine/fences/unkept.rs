//! A value that cannot be kept leaves no older one in its place.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use cache_request::{Cache, ErrorKind, backend::MemoryBackend, cache_request, scoped_sync};
use serde::{Deserialize, Serialize, Serializer, ser::Error as _};

fn bytes() -> Cache {
    Cache::builder().backend(MemoryBackend::new()).build().unwrap()
}

#[test]
fn a_put_of_what_cannot_be_cloned() {
    #[derive(Debug, PartialEq)]
    struct Fragile(u32);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 2, "no clone of 2");
            Self(self.0)
        }
    }
    #[cache_request(local)]
    fn f() -> Fragile {
        Fragile(0)
    }
    scoped_sync(&Cache::memory(), || {
        f_cache().put(&Fragile(1)).unwrap();
        let error = f_cache().put(&Fragile(2)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Panic);
        assert!(error.to_string().contains("Clone"), "{error}");
        assert_eq!(f_cache().peek(), None);
    });
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Odd(u32);

impl Serialize for Odd {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            2 => Err(S::Error::custom("2 has no form")),
            3 => panic!("3 has none at all"),
            _ => serializer.serialize_newtype_struct("Odd", &self.0),
        }
    }
}

#[test]
fn a_refresh_to_what_cannot_be_encoded() {
    static NOW: AtomicU32 = AtomicU32::new(1);
    #[cache_request]
    fn f() -> Odd {
        Odd(NOW.load(SeqCst))
    }
    let cache = bytes();
    scoped_sync(&cache, || {
        for unkept in [2, 3] {
            NOW.store(1, SeqCst);
            assert_eq!(f_cache().refresh(), Odd(1));
            NOW.store(unkept, SeqCst);
            assert_eq!(f_cache().refresh(), Odd(unkept));
            assert_eq!(f(), Odd(unkept));
            assert!(f_cache().put(&Odd(unkept)).is_err());
        }
    });
}
