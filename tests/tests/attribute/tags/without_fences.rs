//! Tags in a backend without fences.

use std::{collections::HashMap, sync::Mutex, time::Duration};

use cache_request::{Backend, Cache, Error, cache_request, scoped_sync, tag};

use crate::support::Count;

/// Keeps bytes.
#[derive(Default)]
struct Plain(Mutex<HashMap<String, Vec<u8>>>);

impl Backend for Plain {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().remove(key).is_some())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}

#[test]
fn an_answer_was_never_kept_whose_body_names_its_tag() {
    static BODIES: Count = Count::new();

    #[cache_request]
    fn article(id: u32) -> u32 {
        tag(format!("article:{id}"));
        BODIES.next()
    }

    // A near cache would have it.
    let cache = Cache::builder().backend(Plain::default()).soft_limit(Duration::MAX).build().unwrap();
    scoped_sync(&cache, || {
        let first = [article(1), article(2)];
        assert_eq!([article(1), article(2)], first);
        cache.invalidate_tag_sync("article:1").unwrap();
        let second = article(1);
        assert_ne!(second, first[0]);
        assert_eq!([article(1), article(2)], [second, first[1]]);
        assert_eq!(cache.stats().faults(), 0);
    });
}
