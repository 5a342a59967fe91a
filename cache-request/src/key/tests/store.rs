//! Keys as a map holds them.

use proptest::prelude::*;

use super::super::{ByHash, Key, Lookup, OwnedKey, PassThrough};

#[test]
fn an_owned_key_is_two_words_and_holds_one_without_the_heap() {
    assert_eq!(size_of::<OwnedKey>(), 16);
    let one = Key::build(|key| key.part("LAX"));
    let two = Key::build(|key| key.part(&u64::MAX));
    assert_eq!(OwnedKey::heap_bytes(one.words()), 0);
    assert_eq!(OwnedKey::heap_bytes(two.words()), 16);
    assert_eq!(OwnedKey::heap_bytes(Key::new().words()), 0);
}

#[test]
fn a_key_may_be_sent_to_another_thread() {
    fn is_send<T: Send + Sync>() {}
    is_send::<Key>();
    is_send::<OwnedKey>();
}

proptest! {
    #[test]
    fn what_was_stored_is_found(parts in prop::collection::hash_set((0..3_u64, "[ab]{0,9}"), 0..40)) {
        let keys: Vec<Key> = parts.iter().map(|(number, text)| Key::build(|key| {
            key.part(number);
            key.part(text);
        })).collect();
        let map = papaya::HashMap::with_hasher(PassThrough::build());
        let map = map.pin();
        for (nth, key) in keys.iter().enumerate() {
            map.insert(OwnedKey::from(key.words()), nth);
        }
        prop_assert_eq!(map.len(), keys.len());
        for (nth, key) in keys.iter().enumerate() {
            let hash = key.hash();
            let longer = [key.words(), &[7]].concat();
            prop_assert_eq!(map.get(&Lookup { hash, words: key.words() }), Some(&nth));
            prop_assert_eq!(map.get(&OwnedKey::from(key.words())), Some(&nth));
            prop_assert_eq!(map.get(&ByHash(hash)), Some(&nth));
            prop_assert_eq!(map.get(&Lookup { hash, words: &longer }), None);
            prop_assert_eq!(map.get(&ByHash(!hash)), None);
        }
        for key in &keys {
            map.remove(&ByHash(key.hash()));
        }
        prop_assert!(map.is_empty());
    }
}
