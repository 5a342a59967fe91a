//! Claims and fenced writes, each of which is one script and one round trip.
//!
//! A claim has a record beside the value (see `record`) with the number of its fence, for as long as its lease lasts. The server may
//! execute what is sent here after its caller gave up: a value is stored only if its fence still stands then, and everything else costs
//! a body at most. So none of it is an abandoned write (see `abandoned_writes`). What stores or removes a value waits for those of
//! other operations.

use std::time::Duration;

use redis::{Cmd, Pipeline, RedisError, RedisResult, ServerErrorKind, Value, cmd};

use super::{
    backend::RedisBackend,
    batch::{self, COMMANDS_AT_ONCE, portions},
    live::Live,
    record::Record,
    scripts::{By, CLAIM, INVALIDATE, REFUSED, RELEASE, REMOVE, RENEW, STORE, UNKNOWN},
    wire::{Expiry, bytes, was_there},
};
use crate::{
    Error, ErrorKind,
    backend::{Claim, ClaimKind, Claimed, Fence, Item, Right},
};

/// Room for a fence and a time, in bytes.
const NUMBERS: usize = 64;

pub(super) async fn claim(backend: &RedisBackend, key: &str, claim: Claim) -> Result<Claimed, Error> {
    let live = backend.live().await?;
    match run(&live, |by| claiming(backend, by, key, claim)).await {
        Ok(answer) => claimed(answer, claim).ok_or_else(|| backend.out_of_step(&live)),
        Err(error) if is_moving(&error) => found_on_the_move(backend, &live, key, claim.kind, &error).await,
        Err(error) => Err(backend.failed(&error)),
    }
}

/// What is there while the slot of a key moves. Nothing can be claimed then.
async fn found_on_the_move(
    backend: &RedisBackend,
    live: &Live,
    key: &str,
    kind: ClaimKind,
    moving: &RedisError,
) -> Result<Claimed, Error> {
    let answer = live.get(backend.stored(key)).await.map_err(|error| backend.failed(&error))?;
    match bytes(answer).ok_or_else(|| backend.out_of_step(live))? {
        Some(value) if kind == ClaimKind::Missing => Ok(Claimed { value: Some(value), right: Right::None }),
        // Only for as long as the slot moves.
        Some(value) => Ok(Claimed { value: Some(value), right: Right::Refused(Duration::from_millis(1)) }),
        None => Err(backend.failed(moving)),
    }
}

/// On one server.
pub(super) async fn claim_many(backend: &RedisBackend, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
    let live = match batch::live(backend, keys.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(keys.len());
    for keys in keys.chunks(COMMANDS_AT_ONCE) {
        let asked = run_all(&live, keys, |by, key| claiming(backend, by, key, claim));
        let answers = batch::all(backend, asked, keys.len()).await;
        outcomes.extend(
            answers.into_iter().map(|answer| {
                claimed(answer.map_err(Error::backend)?, claim).ok_or_else(|| backend.out_of_step(&live))
            }),
        );
    }
    outcomes
}

pub(super) async fn set(backend: &RedisBackend, item: Item<'_>, fence: Fence) -> Result<bool, Error> {
    let live = backend.live_to_change().await?;
    let error = match change(&live, |by| storing(backend, by, &item, fence)).await {
        Ok(answer) => return stored(backend, &live, &item, &answer),
        Err(error) => backend.refused(item.value, &error).0,
    };
    if error.kind() != ErrorKind::TooLarge {
        return Err(error);
    }
    // The server has not read all of it and has closed the connection. What it takes is known from now on, so this removes the older value.
    let live = backend.live_to_change().await?;
    let answer = change(&live, |by| storing(backend, by, &item, fence)).await;
    stored(backend, &live, &item, &answer.map_err(|error| backend.failed(&error))?)
}

/// On one server.
pub(super) async fn set_many(backend: &RedisBackend, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
    let live = match batch::live(backend, items.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(items.len());
    for range in portions(items.iter().map(|(item, _)| item)) {
        let items = &items[range];
        let asked = async {
            live.wait_for_abandoned_writes().await?;
            run_all(&live, items, |by, (item, fence)| storing(backend, by, item, *fence)).await
        };
        let answers = batch::all(backend, asked, items.len()).await;
        outcomes.extend(
            items
                .iter()
                .zip(answers)
                .map(|((item, _), answer)| stored(backend, &live, item, &answer.map_err(Error::backend)?)),
        );
    }
    outcomes
}

pub(super) async fn renew(backend: &RedisBackend, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
    let live = backend.live().await?;
    let renewing = |by| {
        let mut command = RENEW.call(by, backend.stored(key), NUMBERS);
        command.arg(fence.get()).arg(milliseconds(lease));
        command
    };
    flag(backend, &live, run(&live, renewing).await)
}

pub(super) async fn release(backend: &RedisBackend, key: &str, fence: Fence) -> Result<(), Error> {
    let live = backend.live().await?;
    let releasing = |by| {
        let mut command = RELEASE.call(by, backend.stored(key), NUMBERS);
        command.arg(fence.get());
        command
    };
    flag(backend, &live, run(&live, releasing).await).map(drop)
}

pub(super) async fn invalidate(backend: &RedisBackend, key: &str, refuse: Duration) -> Result<bool, Error> {
    let live = backend.live_to_change().await?;
    let invalidating = |by| {
        let mut command = INVALIDATE.call(by, backend.stored(key), NUMBERS);
        command.arg(milliseconds(refuse));
        command
    };
    match change(&live, invalidating).await {
        Err(error) if is_moving(&error) => invalidate_on_the_move(backend, &live, key, refuse).await,
        outcome => flag(backend, &live, outcome),
    }
}

/// Invalidates while the slot of a key moves, in two steps: after the first one, nothing is stored that was claimed before.
async fn invalidate_on_the_move(
    backend: &RedisBackend,
    live: &Live,
    key: &str,
    refuse: Duration,
) -> Result<bool, Error> {
    let record = Record(backend.stored(key));
    let mut ending = cmd(if refuse.is_zero() { "UNLINK" } else { "SET" });
    ending.arg(record);
    if !refuse.is_zero() {
        ending.arg(REFUSED).arg("PX").arg(milliseconds(refuse));
    }
    live.ask(&ending).await.map_err(|error| backend.failed(&error))?;
    flag(backend, live, live.ask(&backend.about("UNLINK", key)).await)
}

/// Whether the slot of a key moves to another node: what is there of the two keys of a script may be on both.
fn is_moving(error: &RedisError) -> bool {
    error.kind() == redis::ErrorKind::Server(ServerErrorKind::TryAgain)
}

fn claiming(backend: &RedisBackend, by: By, key: &str, claim: Claim) -> Cmd {
    let kind = match claim.kind {
        ClaimKind::Missing => "missing",
        ClaimKind::Any => "any",
        ClaimKind::Anew => "anew",
    };
    let mut command = CLAIM.call(by, backend.stored(key), NUMBERS);
    // The server takes no record that ends at once.
    command.arg(kind).arg(claim.token).arg(milliseconds(claim.lease).max(1));
    command
}

/// What the server says of a claim, or `None` if that does not fit the command.
fn claimed(answer: Value, claim: Claim) -> Option<Claimed> {
    let mut parts = match answer {
        Value::BulkString(value) => return Some(Claimed { value: Some(value), right: Right::None }),
        Value::Array(parts) => parts.into_iter(),
        _ => return None,
    };
    let value = bytes(parts.next()?)?;
    let right = match (parts.next(), parts.next()) {
        (None, _) => Right::Leased(Fence::new(claim.token)),
        (Some(Value::BulkString(record)), Some(Value::Int(left))) => {
            let left = Duration::from_millis(left.try_into().unwrap_or(0));
            match &*record {
                REFUSED => Right::Refused(left),
                number => Right::Held(Fence::new(str::from_utf8(number).ok()?.parse().ok()?), left),
            }
        }
        _ => return None,
    };
    Some(Claimed { value, right })
}

/// Stores a value, or removes what is there: even if the new value is not stored, the older one must not stay.
fn storing(backend: &RedisBackend, by: By, item: &Item<'_>, fence: Fence) -> Cmd {
    let key = backend.stored(item.key);
    let (Some(expiry), None) = (Expiry::of(item.timeout), backend.too_large(item.value)) else {
        let mut command = REMOVE.call(by, key, NUMBERS);
        command.arg(fence.get());
        return command;
    };
    let mut command = STORE.call(by, key, item.value.len() + NUMBERS);
    command.arg(fence.get()).arg(item.value);
    match expiry {
        Expiry::Never => command.arg(""),
        Expiry::After(milliseconds) => command.arg(milliseconds),
    };
    command
}

fn stored(backend: &RedisBackend, live: &Live, item: &Item<'_>, answer: &Value) -> Result<bool, Error> {
    let stood = was_there(answer).ok_or_else(|| backend.out_of_step(live))?;
    match backend.too_large(item.value) {
        Some(error) if stood && Expiry::of(item.timeout).is_some() => Err(error),
        _ => Ok(stood),
    }
}

fn flag(backend: &RedisBackend, live: &Live, answer: RedisResult<Value>) -> Result<bool, Error> {
    let answer = answer.map_err(|error| backend.failed(&error))?;
    was_there(&answer).ok_or_else(|| backend.out_of_step(live))
}

fn milliseconds(time: Duration) -> u64 {
    match Expiry::of(Some(time)) {
        Some(Expiry::After(milliseconds)) => milliseconds,
        _ => 0,
    }
}

/// As [`run`], for a script that stores or removes a value.
async fn change(live: &Live, call: impl Fn(By) -> Cmd) -> RedisResult<Value> {
    live.wait_for_abandoned_writes().await?;
    run(live, call).await
}

/// Has the server run a script, which it may not know.
async fn run(live: &Live, call: impl Fn(By) -> Cmd) -> RedisResult<Value> {
    match live.ask(&call(By::Hash)).await {
        Err(error) if error.kind() == redis::ErrorKind::Server(UNKNOWN) => live.ask(&call(By::Text)).await,
        outcome => outcome,
    }
}

/// As [`run`], for each item, by one pipeline.
async fn run_all<T>(live: &Live, items: &[T], call: impl Fn(By, &T) -> Cmd) -> RedisResult<Vec<Value>> {
    let mut answers = live.ask_all(&pipeline(items.iter().map(|item| call(By::Hash, item)))).await?;
    let is_unknown = |answer: &Value| matches!(answer, Value::ServerError(error) if error.kind() == Some(UNKNOWN));
    let unknown: Vec<_> = answers.iter_mut().zip(items).filter(|(answer, _)| is_unknown(answer)).collect();
    let again = pipeline(unknown.iter().map(|(_, item)| call(By::Text, item)));
    let found = live.ask_all(&again).await?;
    for ((answer, _), found) in unknown.into_iter().zip(found) {
        *answer = found;
    }
    Ok(answers)
}

fn pipeline(commands: impl ExactSizeIterator<Item = Cmd>) -> Pipeline {
    let mut pipeline = Pipeline::with_capacity(commands.len());
    for command in commands {
        pipeline.add_command(command);
    }
    pipeline
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_that_does_not_fit_a_claim_is_none() {
        let text = |text: &str| Value::BulkString(text.into());
        let claim = |kind| Claim { kind, token: 7, lease: Duration::from_secs(1) };
        let of = |answer| claimed(answer, claim(ClaimKind::Any));
        for answer in [
            Value::Okay,
            Value::Nil,
            Value::Int(1),
            Value::Array(vec![]),
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![Value::Nil, text("7")]),
            Value::Array(vec![Value::Nil, text("seven"), Value::Int(1)]),
            Value::Array(vec![Value::Nil, Value::Int(7), Value::Int(1)]),
        ] {
            assert_eq!(of(answer.clone()), None, "{answer:?}");
        }
        let right = |record: &str, left| {
            of(Value::Array(vec![Value::Nil, text(record), Value::Int(left)])).map(|claimed| claimed.right)
        };
        let last = u64::MAX;
        assert_eq!(right("18446744073709551615", 9), Some(Right::Held(Fence::new(last), Duration::from_millis(9))));
        assert_eq!(right("refused", 0), Some(Right::Refused(Duration::ZERO)));
        let leased = of(Value::Array(vec![text("old")])).unwrap();
        assert_eq!(leased, Claimed { value: Some(b"old".into()), right: Right::Leased(Fence::new(7)) });
    }
}
