//! `get`, `set`, `delete` and `clear`: what is stored, and under which key.

use super::{
    harness::{HOUR, Harness},
    steps::{clear, deletes, holds, missing, noise, set, stay_apart},
};
use crate::{ErrorKind, backend::contract::Backend};

/// A key that was never set has no value.
pub async fn a_missing_key_is_none(harness: &impl Harness) {
    let backend = harness.backend().await;
    missing(&backend, "missing").await;
    set(&backend, "there", b"value", None).await;
    missing(&backend, "missing").await;
}

/// `get` returns the bytes that were set, each time.
pub async fn what_was_set_is_got(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "one", b"first", Some(HOUR)).await;
    set(&backend, "two", b"second", None).await;
    for _ in 0..2 {
        holds(&backend, "one", b"first").await;
        holds(&backend, "two", b"second").await;
    }
}

/// Nothing remains of an older value, whether it is longer or shorter than the new one.
pub async fn a_second_set_replaces_the_first(harness: &impl Harness) {
    let backend = harness.backend().await;
    for value in ["a long first value", "short", "and a longer one again"] {
        set(&backend, "key", value.as_bytes(), None).await;
        holds(&backend, "key", value.as_bytes()).await;
    }
}

/// A value of zero bytes is not the same as no value.
pub async fn an_empty_value_is_a_value(harness: &impl Harness) {
    let backend = harness.backend().await;
    set(&backend, "empty", b"", Some(HOUR)).await;
    holds(&backend, "empty", b"").await;
    deletes(&backend, "empty", true).await;
    missing(&backend, "empty").await;
}

/// A value may have any byte, and any two bytes in sequence.
pub async fn every_byte_survives(harness: &impl Harness) {
    let backend = harness.backend().await;
    let pairs: Vec<u8> =
        (0..=u8::MAX).flat_map(|first| (0..=u8::MAX).flat_map(move |second| [first, second])).collect();
    set(&backend, "pairs", &pairs, None).await;
    holds(&backend, "pairs", &pairs).await;
    for byte in 0..=u8::MAX {
        let value = [byte; 3];
        set(&backend, "byte", &value, None).await;
        holds(&backend, "byte", &value).await;
    }
}

/// A value of nearly 1 MiB that cannot be compressed is stored.
pub async fn a_mebibyte_survives(harness: &impl Harness) {
    let backend = harness.backend().await;
    // memcached's limit of 1 MiB includes what it stores beside the value.
    let value = noise(1, (1 << 20) - 4096);
    set(&backend, "mebibyte", &value, Some(HOUR)).await;
    holds(&backend, "mebibyte", &value).await;
}

/// A value of [`large_value_bytes`](Harness::large_value_bytes) is stored whole, or refused as
/// [`TooLarge`](ErrorKind::TooLarge). In the latter case, the older value is gone as well.
pub async fn a_large_value_survives_or_is_refused(harness: &impl Harness) {
    let backend = harness.backend().await;
    let value = noise(2, harness.large_value_bytes());
    set(&backend, "large", b"older", Some(HOUR)).await;
    match backend.set("large", &value, Some(HOUR)).await {
        Ok(()) => holds(&backend, "large", &value).await,
        Err(error) if error.kind() == ErrorKind::TooLarge => missing(&backend, "large").await,
        Err(error) => panic!("set of {} bytes: {error:?}", value.len()),
    }
    set(&backend, "large", b"newer", Some(HOUR)).await;
    holds(&backend, "large", b"newer").await;
}

/// Keys of [`max_key_bytes`](Backend::max_key_bytes), but of at most 4 KiB, are different if only their last bytes are.
pub async fn the_longest_keys_stay_apart(harness: &impl Harness) {
    let backend = harness.backend().await;
    let longest = backend.max_key_bytes().min(4096);
    let head = "k".repeat(longest - 1);
    stay_apart(&backend, &[format!("{head}a"), format!("{head}b"), head]).await;
}

/// Keys are different if they differ in one byte, in case, in their length or in the order of their characters.
pub async fn keys_that_look_alike_stay_apart(harness: &impl Harness) {
    let backend = harness.backend().await;
    let keys = [
        "app..news.latest?page=1",
        "app..news.latest?page=2",
        "app..news.latest?page=10",
        "app..news.latest?page=1&",
        "app..news.latest?page=01",
        "app..news.latest?page=1.",
        "app..news.latest?page=1/",
        "app..news.latest",
        "app..news.latest?",
        "app..news.Latest?page=1",
        "APP..NEWS.LATEST?PAGE=1",
        "app..news.latest?page=%31",
        "app.news.latest?page=1",
        "pp..news.latest?page=1",
        "a",
        "A",
        "aa",
        "ab",
        "ba",
        "1",
        "1.0",
        "1e0",
        "01",
        "-1",
        "null",
        "nil",
        "None",
        "true",
    ];
    stay_apart(&backend, &keys.map(str::to_owned)).await;
}

/// Every printable ASCII character except the space stands for itself in a key, at its beginning, in its middle and at its end.
pub async fn every_printable_character_may_stand_in_a_key(harness: &impl Harness) {
    let backend = harness.backend().await;
    let mut keys: Vec<String> = Vec::new();
    for character in '!'..='~' {
        keys.extend([
            character.to_string(),
            format!("{character}{character}"),
            format!("{character}end"),
            format!("a{character}b"),
            format!("begin{character}"),
        ]);
    }
    // What has a meaning in file systems, patterns, escapes or queries.
    keys.extend(
        ["../up", "/", "/etc/passwd", "a/../b", "*", "a*", "?a", "[ab]", "a%00b", "a%", "'--", "\\n"]
            .map(str::to_owned),
    );
    keys.push(('!'..='~').collect());
    keys.sort_unstable();
    keys.dedup();
    stay_apart(&backend, &keys).await;
}

/// `delete` returns `true` if it has removed a value, and `false` if there was none.
pub async fn delete_says_whether_there_was_anything(harness: &impl Harness) {
    let backend = harness.backend().await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"value", Some(HOUR)).await;
    deletes(&backend, "key", true).await;
    missing(&backend, "key").await;
    deletes(&backend, "key", false).await;
    set(&backend, "key", b"again", None).await;
    holds(&backend, "key", b"again").await;
    deletes(&backend, "key", true).await;
}

/// `delete` removes one key, and not others that begin with it or that it matches as a pattern.
pub async fn delete_leaves_other_keys_alone(harness: &impl Harness) {
    let backend = harness.backend().await;
    let others = ["key", "key1", "key/1", "key*1", "KEY*", "k"];
    for other in others {
        set(&backend, other, other.as_bytes(), None).await;
    }
    set(&backend, "key*", b"value", None).await;
    deletes(&backend, "key*", true).await;
    for other in others {
        holds(&backend, other, other.as_bytes()).await;
    }
}

/// `clear` leaves nothing, and the backend goes on working. It may be called if nothing is there.
pub async fn clear_removes_everything(harness: &impl Harness) {
    let backend = harness.backend().await;
    clear(&backend).await;
    let keys: Vec<String> = (0..300).map(|number| format!("key{number}")).collect();
    for (number, key) in keys.iter().enumerate() {
        set(&backend, key, b"value", (number % 2 == 0).then_some(HOUR)).await;
    }
    clear(&backend).await;
    for key in &keys {
        missing(&backend, key).await;
        deletes(&backend, key, false).await;
    }
    set(&backend, "key0", b"again", None).await;
    holds(&backend, "key0", b"again").await;
}

/// Another backend on the same server, disk or database has its own keys, and keeps them when this one is cleared.
pub async fn clear_leaves_its_neighbours_alone(harness: &impl Harness) {
    let (backend, neighbour) = (harness.backend().await, harness.backend().await);
    set(&neighbour, "key", b"neighbour's", None).await;
    missing(&backend, "key").await;
    set(&backend, "key", b"own", None).await;
    holds(&neighbour, "key", b"neighbour's").await;
    clear(&backend).await;
    missing(&backend, "key").await;
    holds(&neighbour, "key", b"neighbour's").await;
}
