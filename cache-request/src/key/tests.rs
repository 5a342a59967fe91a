//! What only this module can see: the words, and the text they are rendered to.

mod exhaustive;
mod golden;
mod model;
mod properties;
mod store;
mod strategies;

use std::{any::TypeId, collections::HashMap};

use serde::Serialize;

use super::{
    Key,
    text::{self, Head, Naming, Path},
};
use crate::{
    attribute::private::Site,
    engine::{description::Instance, function::Name},
};

/// The key of one value.
fn key(value: &(impl Serialize + ?Sized)) -> Key {
    let mut key = Key::new();
    key.fill(|key| key.part(value));
    assert_eq!(key.error(), None);
    key
}

/// The text of one value.
fn text(value: &(impl Serialize + ?Sized)) -> String {
    let site = Site::new("c", "f", &["v"], file!(), line!());
    render(&site, key(value).words()).strip_prefix("c..f?v=").expect("one value").to_owned()
}

/// The text of a key of the function at `site`.
fn render(site: &Site, words: &[u64]) -> String {
    let compilers = format!("{}::{}", site.description.module, site.description.function);
    text::render(&site.description.parts, name(site, compilers.leak(), None).head(), words)
}

/// What the function at `site`, which the compiler calls so, is called in a cache with that prefix.
fn name(site: &Site, compilers: &'static str, prefix: Option<&str>) -> Name {
    Name::of(&site.description, Instance { id: TypeId::of::<()>(), name: compilers }, prefix)
}

#[test]
fn a_failing_serialize_is_an_error_of_the_key() {
    struct Fails;
    impl Serialize for Fails {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("no words for it"))
        }
    }
    let key = Key::build(|key| {
        key.part(&1);
        key.part(&Fails);
        key.part(&2);
    });
    assert_eq!(key.error(), Some("no words for it"));
}

#[test]
fn a_panicking_serialize_is_an_error_of_the_key() {
    struct Panics;
    impl Serialize for Panics {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            panic!("poisoned {}", 5)
        }
    }
    let key = Key::build(|key| key.part(&Panics));
    assert_eq!(key.error(), Some("building the key panicked: poisoned 5"));
}

#[test]
fn a_panic_whose_payload_panics_again_is_an_error_of_the_key() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("again");
        }
    }
    let key = Key::build(|_| std::panic::panic_any(Bomb));
    assert_eq!(key.error(), Some("building the key panicked"));
}

#[test]
fn a_map_that_forgets_a_key_or_a_value_is_an_error_of_the_key() {
    struct Map(&'static [bool]);
    impl Serialize for Map {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::SerializeMap;
            let mut map = serializer.serialize_map(None)?;
            for &key in self.0 {
                if key { map.serialize_key(&1)? } else { map.serialize_value(&1)? }
            }
            map.end()
        }
    }
    for (calls, fine) in [
        (&[] as &[_], true),
        (&[true, false], true),
        (&[true], false),
        (&[false], false),
        (&[true, true], false),
        (&[true, false, false], false),
    ] {
        assert_eq!(Key::build(|key| key.part(&Map(calls))).error().is_none(), fine, "{calls:?}");
    }
}

#[test]
fn an_own_text_replaces_the_parts_but_not_the_client() {
    let own = |parts: &[&str]| {
        Key::build(|key| {
            key.client("acme");
            parts.iter().for_each(|part| key.part(part));
            key.own("text");
        })
    };
    let long = "long".repeat(50);
    assert_eq!(own(&[]).words(), own(&["a", "b"]).words());
    assert_eq!(own(&[]).words(), own(&["a", &long, "b"]).words());
}

#[test]
fn words_are_the_same_on_the_stack_and_on_the_heap() {
    for length in 0..200 {
        let text = "abcdefghij".repeat(20);
        let text = &text[..length];
        for before in 0..20_u64 {
            let key = Key::build(|key| {
                (0..before).for_each(|n| key.part(&n));
                key.part(text);
                key.part(&5);
            });
            let (numbers, rest) = key.words().split_at(before as usize);
            assert!(numbers.iter().copied().eq(0..before));
            let (last, rest) = rest.split_last().unwrap();
            assert_eq!((*last, rest), (5, super::tests::key(text).words()));
        }
    }
}

#[test]
fn what_is_displayed_has_the_words_of_its_text() {
    struct Displayed<'a>(&'a str);
    impl Serialize for Displayed<'_> {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            let (a, b) = self.0.split_at(self.0.len() / 3);
            serializer.collect_str(&format_args!("{a}{b}"))
        }
    }
    for length in 0..200 {
        let text = "x".repeat(length);
        assert_eq!(key(&Displayed(&text)).words(), key(&text).words());
    }
}

#[test]
fn values_nested_too_deep_to_show_still_differ() {
    #[derive(Serialize)]
    struct List(u32, Option<Box<List>>);
    let deep = |depth, last| (0..depth).fold(List(last, None), |list, n| List(n, Some(Box::new(list))));
    let nested = |depth, last| text(&deep(depth, last));

    assert!(nested(40, 1).ends_with(')'));
    assert!(nested(100, 1).starts_with('^'));
    assert_ne!(nested(100, 1), nested(100, 2));
    assert_ne!(nested(100, 1), nested(101, 1));

    assert!(super::arguments(&deep(100, 1)).unwrap().starts_with(":^"));
    assert_ne!(super::arguments(&deep(100, 1)), super::arguments(&[deep(100, 1)]));
}

#[test]
fn a_list_of_linked_nodes_overflowed_the_stack() {
    struct Nodes(u32);
    impl Serialize for Nodes {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            if self.0 == 0 { serializer.serialize_none() } else { serializer.serialize_some(&Nodes(self.0 - 1)) }
        }
    }
    let error = |nodes| Key::build(|key| key.part(&Nodes(nodes))).error().map(str::to_owned);
    assert_eq!(error(256), None);
    assert_eq!(error(257).as_deref(), Some("a value is nested in more than 256 others"));
    assert!(error(1_000_000).is_some());
}

/// If a key of one function may read like a key of another, their heads are equal: the second function is refused
/// (`Cache::claim`), or in another run known by its fingerprint. A head shows neither the kind of the path nor the
/// crate before it.
#[test]
fn names_do_not_run_together() {
    let site = Site::new("c", "f", &[], file!(), line!());
    let names = ["", "a", "b", "a.b", ".", "a@b", "a?b", "a%2Eb", "'", "é", "~"];
    let or_none = || names.map(Some).into_iter().chain([None]);
    let paths = names.map(Path::Name).into_iter().map(|path| (None, path)).chain(
        // The dots in a path are its own.
        [None, Some("a"), Some("b")].into_iter().flat_map(|krate| names.map(|name| (krate, Path::Segments(name)))),
    );
    let (mut heads, mut calls) = (HashMap::new(), HashMap::new());
    for (krate, path) in paths {
        for prefix in names {
            for client in or_none() {
                for version in or_none() {
                    let naming = Naming { prefix, krate, path, version };
                    let key = Key::build(|key| client.into_iter().for_each(|client| key.client(client)));
                    let head = Head::of(&naming);
                    let text = text::render(&site.description.parts, &head, key.words());
                    let one = (head.of_no_client(), client);
                    let of_head = heads.entry(text.clone()).or_insert_with(|| one.clone());
                    assert_eq!(*of_head, one, "{text}");
                    let kind = (krate, matches!(path, Path::Name(_)));
                    let other = calls.insert((text, kind), naming);
                    assert!(other.is_none(), "{other:?} and {naming:?}");
                }
            }
        }
    }
}
