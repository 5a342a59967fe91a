//! Every argument of the attribute, where what it does can be seen without a cache.

use std::time::Duration;

use cache_request::cache_request;
use serde::{Deserialize, Serialize};

const TTL: Duration = Duration::from_secs(5);

fn lang() -> String {
    "en".to_owned()
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u32,
    r#type: String,
}

/// Nothing that serde knows, and nothing that can be compared.
#[derive(Clone)]
struct Opaque(u32);

#[cache_request(timeout = 300)]
fn seconds() -> u8 {
    1
}

#[cache_request(timeout = "1h 30m")]
fn human() -> u8 {
    1
}

#[cache_request(timeout = TTL * 2)]
fn expression() -> u8 {
    1
}

#[cache_request(timeout = never)]
fn never() -> u8 {
    1
}

#[cache_request(timeout = 0)]
fn nothing() -> u8 {
    1
}

#[cache_request(timeout_with = |value| Duration::from_secs(u64::from(*value)))]
fn per_value() -> Result<u8, String> {
    Ok(1)
}

#[test]
fn timeouts() {
    for _ in 0..2 {
        assert_eq!([seconds(), human(), expression(), never(), nothing()], [1; 5]);
        assert_eq!(per_value(), Ok(1));
    }
}

#[cache_request(
    name = "shop.user",
    version = 2,
    prefix = "shop",
    cache = "users",
    coalesce = false,
    skip(db),
    vary(lang = lang(), user.id),
    when = |user: &Option<User>| user.is_some(),
    weight = |user| user.as_ref().map_or(0, |user| user.r#type.len()),
    crate = ::cache_request,
    handle = true,
)]
fn everything(db: &Opaque, user: User) -> Option<User>
where
    Option<User>: Clone,
{
    (db.0 > 0).then_some(user)
}

#[cache_request(local = true, skip_none = false, cache_err = false, version = "b")]
fn flags_written_out(id: u32) -> Option<u32> {
    Some(id)
}

#[cache_request(local, skip_none, weight = |value| value.as_ref().map_or(0, |value| value.0 as usize))]
fn flags(id: u32) -> Result<Option<Opaque>, std::fmt::Error> {
    Ok(Some(Opaque(id)))
}

type Answer = Result<u32, String>;

#[cache_request(cache_err, when = |answer| *answer != Ok(0))]
fn errors_too(id: u32) -> Answer {
    Err(id.to_string())
}

/// An alias is what it stands for.
#[cache_request(when = |value: &u32| *value > 0)]
fn alias(id: u32) -> Answer {
    Ok(id)
}

#[cache_request(key = "{{user}}:{user.type}:{user.id}:{pair.0}:{rest}")]
fn own_key(user: &User, pair: (u8, u8), (_, rest): (u8, String), unused: Opaque) -> u32 {
    let _ = (pair, rest, unused);
    user.id
}

fn key_of(user: &User, (one, _): &(u8, u8), rest: &str) -> String {
    format!("{}:{one}:{rest}", user.id)
}

#[cache_request(key = key_of, skip(unused))]
fn key_function(user: User, pair: (u8, u8), unused: Opaque, (_, rest): (u8, String)) -> u32 {
    let _ = (pair, rest, unused);
    user.id
}

#[cache_request(key = |id, text| format!("{id}{text}"))]
fn key_closure(id: u32, text: &str) -> String {
    format!("{text}{id}")
}

#[test]
fn everything_at_once() {
    let user = || User { id: 1, r#type: "guest".to_owned() };
    for _ in 0..2 {
        assert_eq!(flags_written_out(1), Some(1));
        assert_eq!(flags(1).unwrap().unwrap().0, 1);
        assert_eq!(errors_too(1), Err("1".to_owned()));
        assert_eq!(alias(1), Ok(1));
        assert_eq!(own_key(&user(), (1, 2), (3, "r".to_owned()), Opaque(1)), 1);
        assert_eq!(key_function(user(), (1, 2), Opaque(1), (3, "r".to_owned())), 1);
        assert_eq!(key_closure(1, "a"), "a1");
    }
    assert_eq!(everything(&Opaque(0), user()), None);
}

#[cache_request(skip(log))]
fn written(id: u32, log: &mut Vec<u32>) -> u32 {
    log.push(id);
    id
}

#[test]
fn a_skipped_argument_may_be_written() {
    let mut log = Vec::new();
    assert_eq!(written(1, &mut log), 1);
    assert_eq!(log, [1]);
}
