//! Functions that have their entries in common.

use std::collections::HashMap;

use cache_request::{Cache, backend::MemoryBackend, cache_request, scoped_sync};

use super::{Asked, caches};

#[cache_request(skip(asked), each(ids as id), share = "user")]
fn users(asked: &Asked, ids: &[u64]) -> HashMap<u64, String> {
    asked.note(ids);
    ids.iter().filter(|id| **id < 10).map(|id| (*id, format!("user {id}"))).collect()
}

#[cache_request(skip(asked), share = "user")]
fn user(asked: &Asked, id: u64) -> Option<String> {
    asked.note(&[id]);
    (id < 10).then(|| format!("user {id}"))
}

#[test]
fn a_function_of_one_element_has_the_entries_of_the_list() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        scoped_sync(&cache, || {
            users(&asked, &[1, 2, 11]);
            assert_eq!(
                [user(&asked, 1), user(&asked, 11), user(&asked, 3)],
                [Some("user 1".into()), None, Some("user 3".into())]
            );
            assert_eq!(users(&asked, &[3, 2, 4]).len(), 3);
            assert_eq!(asked.take(), [vec![1, 2, 11], vec![3], vec![4]], "{place}");
            user_cache(&asked, 2).invalidate().unwrap();
            assert_eq!(users_cache(&asked, 2).peek(), None, "{place}");
            assert_eq!(user_cache(&asked, 2).key().unwrap(), users_cache(&asked, 2).key().unwrap(), "{place}");
        });
        let stats = cache.stats();
        assert_eq!(stats.functions.len(), 1, "{place}: {stats}");
        assert_eq!(stats.functions[0].name, "user", "{place}");
    }
}

/// The processes call their functions in another order.
#[test]
fn another_process_found_bytes_of_another_function() {
    for first in ["user", "users"] {
        let backend = std::sync::Arc::new(MemoryBackend::new());
        let process = || Cache::builder().backend(std::sync::Arc::clone(&backend)).build().unwrap();
        let (caches, asked) = ([process(), process()], Asked::default());
        let one = |cache| scoped_sync(cache, || user(&asked, 5));
        let many = |cache| scoped_sync(cache, || users(&asked, &[5]));
        if first == "user" {
            one(&caches[0]);
            many(&caches[1]);
        } else {
            many(&caches[0]);
            one(&caches[1]);
        }
        assert_eq!(asked.take(), [[5]], "{first} was first");
        assert_eq!(caches[1].stats().faults(), 0);
    }
}

mod apart {
    use super::*;

    #[cache_request(skip(asked), each(ids as id), share = "apart")]
    pub(super) fn list(asked: &Asked, ids: &[u64]) -> Vec<u64> {
        asked.note(ids);
        ids.to_vec()
    }

    #[cache_request(skip(asked), share = "apart")]
    pub(super) fn other_value(asked: &Asked, id: u64) -> String {
        asked.note(&[id]);
        id.to_string()
    }

    #[cache_request(skip(asked), share = "apart")]
    pub(super) fn other_key(asked: &Asked, id: u32) -> u64 {
        asked.note(&[id.into()]);
        id.into()
    }

    #[cache_request(skip(asked), share = "apart")]
    pub(super) fn other_name(asked: &Asked, number: u64) -> u64 {
        asked.note(&[number]);
        number
    }

    #[cache_request(skip(asked), share = "apart", local)]
    pub(super) fn other_place(asked: &Asked, id: u64) -> u64 {
        asked.note(&[id]);
        id
    }

    /// The same name, and nothing shared.
    #[cache_request(skip(asked), name = "apart")]
    pub(super) fn of_that_name(asked: &Asked, id: u64) -> u64 {
        asked.note(&[id]);
        id + 1
    }
}

#[test]
fn functions_that_do_not_agree_shared_their_entries() {
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        scoped_sync(&cache, || {
            assert_eq!(apart::list(&asked, &[1]), [1]);
            for _ in 0..2 {
                assert_eq!(apart::other_value(&asked, 1), "1");
                assert_eq!(apart::other_key(&asked, 1), 1);
                assert_eq!(apart::other_name(&asked, 1), 1);
                assert_eq!(apart::other_place(&asked, 1), 1);
                assert_eq!(apart::of_that_name(&asked, 1), 2, "{place}");
            }
            assert_eq!(apart::list(&asked, &[1]), [1]);
        });
        let stats = cache.stats();
        assert_eq!(
            stats.functions.iter().filter(|function| function.faults.backend == 1).count(),
            4,
            "{place}: {stats}"
        );
        assert_eq!(
            stats.functions.iter().map(|function| function.uncached).sum::<u64>(),
            if place == "memory" { 8 } else { 10 },
            "{place}: {stats}"
        );
    }
}

mod borrowed {
    use super::*;

    #[cache_request(skip(asked), each(names as name), share = "borrowed")]
    pub(super) fn lengths(asked: &Asked, names: &[String]) -> Vec<usize> {
        asked.note(&[names.len() as u64]);
        names.iter().map(String::len).collect()
    }

    #[cache_request(skip(asked), share = "borrowed")]
    pub(super) fn length(asked: &Asked, name: &str) -> usize {
        asked.note(&[0]);
        name.len()
    }
}

#[test]
fn a_borrowed_text_is_the_key_of_an_owned_one() {
    let (_, cache, _) = caches().swap_remove(1);
    let asked = Asked::default();
    scoped_sync(&cache, || {
        assert_eq!(borrowed::length(&asked, "four"), 4);
        assert_eq!(borrowed::lengths(&asked, &["four".to_owned(), "three".to_owned()]), [4, 5]);
        assert_eq!(borrowed::length(&asked, "three"), 5);
    });
    assert_eq!(asked.take(), [[0], [1]]);
}

/// Types of one name are not one type.
mod paths {
    use super::*;

    pub(super) mod first {
        use super::*;

        #[derive(Clone, Debug, serde::Serialize)]
        pub(in super::super) struct Id(pub(in super::super) u64);

        #[cache_request(skip(asked), each(ids as id), share = "paths")]
        pub(in super::super) fn list(asked: &Asked, ids: &[Id]) -> Vec<u64> {
            asked.note(&[ids.len() as u64]);
            ids.iter().map(|id| id.0).collect()
        }

        #[cache_request(skip(asked), share = "options")]
        pub(in super::super) fn lent(asked: &Asked, id: Option<&Id>, name: Option<&str>) -> usize {
            asked.note(&[0]);
            name.map_or(0, str::len) + id.map_or(0, |id| id.0 as usize)
        }

        #[cache_request(skip(asked), share = "options")]
        pub(in super::super) fn owned<'a>(asked: &'a Asked, id: Option<Id>, name: Option<String>) -> usize {
            lent(asked, id.as_ref(), name.as_deref())
        }
    }

    pub(super) mod second {
        use super::*;

        #[derive(Clone, Debug, serde::Serialize)]
        pub(in super::super) struct Id(pub(in super::super) u64);

        #[cache_request(skip(asked), share = "paths")]
        pub(in super::super) fn one(asked: &Asked, id: &Id) -> u64 {
            asked.note(&[1]);
            id.0 + 100
        }

        #[cache_request(skip(asked), share = "options")]
        pub(in super::super) fn other(asked: &Asked, id: Option<Id>, name: Option<&str>) -> usize {
            asked.note(&[2]);
            100 + name.map_or(0, str::len) + id.map_or(0, |id| id.0 as usize)
        }
    }
}

#[test]
fn types_of_one_name_in_two_modules_were_taken_for_one() {
    use paths::{first, second};
    for (place, cache, _) in caches() {
        let asked = Asked::default();
        scoped_sync(&cache, || {
            assert_eq!(first::list(&asked, &[first::Id(1)]), [1]);
            assert_eq!(second::one(&asked, &second::Id(1)), 101, "{place}");
            assert_eq!(first::owned(&asked, Some(first::Id(2)), Some("four".to_owned())), 6);
            asked.take();
            assert_eq!(first::lent(&asked, Some(&first::Id(2)), Some("four")), 6, "{place}");
            assert!(asked.take().is_empty(), "what is borrowed is what is owned: {place}");
            // That of the first one of the name has no more than a borrowed type to be told by.
            assert_eq!(second::other(&asked, Some(second::Id(2)), Some("four")), 106, "{place}");
        });
        let stats = cache.stats();
        assert_eq!(stats.functions.iter().map(|function| function.faults.backend).sum::<u64>(), 2, "{place}: {stats}");
    }
}

/// Each calls one of them alone, so neither knows of the other one.
#[test]
fn processes_took_types_of_one_name_for_one() {
    use paths::{first, second};
    let backend = std::sync::Arc::new(MemoryBackend::new());
    let process = || Cache::builder().backend(std::sync::Arc::clone(&backend)).build().unwrap();
    let asked = Asked::default();
    assert_eq!(scoped_sync(&process(), || first::list(&asked, &[first::Id(1)])), [1]);
    assert_eq!(scoped_sync(&process(), || second::one(&asked, &second::Id(1))), 101);
}
