//! `get_many`, `set_many` and `delete_many`.

use std::time::Duration;

use super::{
    harness::{HOUR, Harness, MILLISECOND},
    steps::{after, delete_many, deletes, get_many, holds, holds_many, missing, noise, set, set_many},
};
use crate::{
    ErrorKind,
    backend::contract::{Backend, Item},
};

fn item<'a>(key: &'a str, value: &'a [u8]) -> Item<'a> {
    Item { key, value, timeout: Some(HOUR) }
}

/// There is one outcome for each key, in the order of the keys; that of a missing key is `None` or `false`. A value that was stored in
/// a batch is no different from one that was stored alone.
pub async fn a_batch_has_an_outcome_for_each_key_in_order(harness: &impl Harness) {
    let backend = harness.backend().await;
    // Not sorted.
    set_many(&backend, &[item("m", b"em"), item("a", b"eh"), item("z", b"zed"), item("b", b"bee")]).await;
    set(&backend, "q", b"queue", None).await;
    for (key, value) in [("a", "eh"), ("b", "bee"), ("m", "em"), ("z", "zed")] {
        holds(&backend, key, value.as_bytes()).await;
    }
    let keys = ["z", "none", "q", "a", "also-none", "none-either", "m", "b", "y"];
    let values = [Some("zed"), None, Some("queue"), Some("eh"), None, None, Some("em"), Some("bee"), None];
    holds_many(&backend, &keys, &values.map(|value| value.map(str::as_bytes))).await;
    let gone = delete_many(&backend, &["none", "q", "b", "also-none", "z"]).await;
    assert_eq!(gone, [false, true, true, false, true], "what delete_many says of keys of which some are missing");
    let values = [None, None, None, Some("eh"), None, None, Some("em"), None, None];
    holds_many(&backend, &keys, &values.map(|value| value.map(str::as_bytes))).await;
    missing(&backend, "b").await;
    deletes(&backend, "m", true).await;
    holds_many(&backend, &["m", "a"], &[None, Some(b"eh")]).await;
    holds_many(&backend, &["a"], &[Some(b"eh")]).await;
    holds_many(&backend, &["m"], &[None]).await;
}

/// A key that is given twice has two outcomes. The later of two values stays, and a value is removed once.
pub async fn a_batch_may_name_a_key_twice(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "twice", b"old", None).await;
    set_many(&backend, &[item("twice", b"a longer first"), item("once", b"value"), item("twice", b"last")]).await;
    holds(&backend, "twice", b"last").await;
    let keys = ["twice", "none", "once", "twice", "none", "twice"];
    let (once, twice) = (Some(&b"value"[..]), Some(&b"last"[..]));
    holds_many(&backend, &keys, &[twice, None, once, twice, None, twice]).await;
    let gone = delete_many(&backend, &keys).await;
    let removed = keys.iter().zip(&gone).filter(|(key, gone)| **key == "twice" && **gone).count();
    assert_eq!(removed, 1, "how often delete_many says of one value that it was removed: {gone:?}");
    assert_eq!([gone[1], gone[2], gone[4]], [false, true, false], "what delete_many says of the other keys: {gone:?}");
    holds_many(&backend, &keys, &[None; 6]).await;
    // The last timeout is zero, so nothing is stored.
    set_many(&backend, &[item("twice", b"first"), Item { timeout: Some(Duration::ZERO), ..item("twice", b"last") }])
        .await;
    missing(&backend, "twice").await;
    set_many(&backend, &[Item { timeout: Some(Duration::ZERO), ..item("twice", b"first") }, item("twice", b"last")])
        .await;
    holds(&backend, "twice", b"last").await;
    // Also after two values.
    let none = Item { timeout: Some(Duration::ZERO), ..item("thrice", b"last") };
    set_many(&backend, &[item("thrice", b"first"), item("thrice", b"second"), none]).await;
    missing(&backend, "thrice").await;
    set_many(&backend, &[item("thrice", b"first"), none, item("thrice", b"second"), item("thrice", b"third")]).await;
    holds(&backend, "thrice", b"third").await;
}

/// A batch without keys has no outcomes and changes nothing.
pub async fn an_empty_batch_does_nothing(harness: &impl Harness) {
    let backend = harness.backend().await;
    for _ in 0..2 {
        holds_many(&backend, &[], &[]).await;
        set_many(&backend, &[]).await;
        assert_eq!(delete_many(&backend, &[]).await, [false; 0]);
        set(&backend, "key", b"value", None).await;
    }
    assert_eq!(delete_many(&backend, &[]).await, [false; 0]);
    holds(&backend, "key", b"value").await;
}

/// A thousand values of different lengths are set, read and removed in one call each.
pub async fn a_thousand_items_in_one_batch(harness: &impl Harness) {
    let backend = harness.backend().await;
    let entries: Vec<(String, Vec<u8>)> =
        (0..1000).map(|number| (format!("key{number}"), noise(number, number as usize % 300))).collect();
    let items: Vec<Item<'_>> = entries.iter().map(|(key, value)| item(key, value)).collect();
    let keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
    let values: Vec<Option<&[u8]>> = entries.iter().map(|(_, value)| Some(value.as_slice())).collect();
    set_many(&backend, &items).await;
    holds_many(&backend, &keys, &values).await;
    holds(&backend, "key999", &entries[999].1).await;
    let halves: Vec<&str> = keys.iter().step_by(2).copied().collect();
    assert!(delete_many(&backend, &halves).await.iter().all(|gone| *gone), "delete_many of 500 keys that are there");
    let half: Vec<_> = values.iter().enumerate().map(|(number, value)| value.filter(|_| number % 2 == 1)).collect();
    holds_many(&backend, &keys, &half).await;
    let gone = delete_many(&backend, &keys).await;
    assert!(
        gone.iter().enumerate().all(|(number, gone)| *gone == (number % 2 == 1)),
        "delete_many of a thousand keys of which every other is there"
    );
    holds_many(&backend, &keys, &vec![None; keys.len()]).await;
}

/// Each item has its own timeout: short, long, none, or zero, which stores nothing and removes what was there.
pub async fn each_item_of_a_batch_has_its_own_timeout(harness: &impl Harness) {
    let backend = harness.backend().await;
    let short = Some(10 * MILLISECOND);
    let keys = ["for-ever", "short", "zero", "long", "short-too", "was-short", "was-there"];
    let timeouts = [None, short, Some(Duration::ZERO), Some(HOUR), short, Some(HOUR), Some(Duration::ZERO)];
    set(&backend, "was-short", b"old", short).await;
    set(&backend, "was-there", b"old", None).await;
    let items: Vec<Item<'_>> =
        keys.iter().zip(timeouts).map(|(key, timeout)| Item { key, value: key.as_bytes(), timeout }).collect();
    set_many(&backend, &items).await;
    missing(&backend, "zero").await;
    missing(&backend, "was-there").await;
    after(harness, 10 * MILLISECOND).await;
    let left = |these: &[&str]| keys.map(|key| these.contains(&key).then_some(key.as_bytes()));
    holds_many(&backend, &keys, &left(&["for-ever", "long", "was-short"])).await;
    let gone = delete_many(&backend, &["short", "was-short", "zero"]).await;
    assert_eq!(gone, [false, true, false], "what delete_many says of what has expired, is there, was never kept");
    if harness.time_stands_still() {
        harness.advance(HOUR).await;
        holds_many(&backend, &keys, &left(&["for-ever"])).await;
    }
}

/// A value of [`large_value_bytes`](Harness::large_value_bytes) among small ones is stored, or refused as
/// [`TooLarge`](ErrorKind::TooLarge), as it is alone. The small values before and after it are stored in any case.
pub async fn a_large_value_in_a_batch_concerns_itself_alone(harness: &impl Harness) {
    let backend = harness.backend().await;
    let large = noise(6, harness.large_value_bytes());
    set(&backend, "large", b"older", Some(HOUR)).await;
    set(&backend, "after", b"older", Some(HOUR)).await;
    let outcomes = backend.set_many(&[item("before", b"first"), item("large", &large), item("after", b"last")]).await;
    let Ok([before, set, after]) = <[_; 3]>::try_from(outcomes) else {
        panic!("set_many of three items has another number of outcomes")
    };
    for (key, outcome) in [("before", before), ("after", after)] {
        outcome.unwrap_or_else(|error| panic!("set_many, of {key:?} beside a large value: {error:?}"));
    }
    let kept = match set {
        Ok(()) => Some(large.as_slice()),
        Err(error) if error.kind() == ErrorKind::TooLarge => None,
        Err(error) => panic!("set_many, of {} bytes: {error:?}", large.len()),
    };
    holds_many(&backend, &["before", "large", "after"], &[Some(b"first"), kept, Some(b"last")]).await;
    let gone = delete_many(&backend, &["before", "large", "after"]).await;
    assert_eq!(gone, [true, kept.is_some(), true], "what delete_many says of a large value among others");
}

/// Every character that a key can have, and every byte that a value can have, survive a batch.
pub async fn every_key_and_byte_survives_a_batch(harness: &impl Harness) {
    let backend = harness.backend().await;
    let mut keys: Vec<String> =
        ('!'..='~').flat_map(|c| [c.to_string(), format!("a{c}b"), format!("{c}{c}")]).collect();
    keys.push(('!'..='~').collect());
    keys.push("k".repeat(backend.max_key_bytes().min(4096)));
    keys.sort_unstable();
    keys.dedup();
    // All are different.
    let values: Vec<Vec<u8>> =
        (0..keys.len()).map(|number| vec![number as u8, (number >> 8) as u8, 0, b'\r', b'\n', 0xff, b'$']).collect();
    let items: Vec<Item<'_>> = keys.iter().zip(&values).map(|(key, value)| item(key, value)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let values: Vec<Option<&[u8]>> = values.iter().map(|value| Some(value.as_slice())).collect();
    set_many(&backend, &items).await;
    holds_many(&backend, &keys, &values).await;
    assert!(delete_many(&backend, &keys).await.iter().all(|gone| *gone), "delete_many of all that is there");
    holds_many(&backend, &keys, &vec![None; keys.len()]).await;
}

/// A delete that is repeated, alone or in a batch, returns `false` and changes nothing.
pub async fn deletes_may_be_repeated(harness: &impl Harness) {
    let backend = harness.backend().await;
    let keys = ["one", "two", "three"];
    set_many(&backend, &keys.map(|key| item(key, b"value"))).await;
    set(&backend, "other", b"value", None).await;
    assert_eq!(delete_many(&backend, &keys).await, [true; 3], "what the first delete_many says");
    for _ in 0..3 {
        assert_eq!(delete_many(&backend, &keys).await, [false; 3], "what another delete_many says");
        for key in keys {
            deletes(&backend, key, false).await;
        }
    }
    holds(&backend, "other", b"value").await;
    assert_eq!(get_many(&backend, &keys).await, [None, None, None]);
    set(&backend, "two", b"again", None).await;
    assert_eq!(delete_many(&backend, &keys).await, [false, true, false], "what delete_many says of one set again");
}
