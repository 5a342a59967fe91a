//! Operations on many keys of one server, by pipelines: one round trip for each.

use std::{ops::Range, sync::Arc};

use redis::{Pipeline, RedisResult, Value, cmd};

use super::{
    backend::RedisBackend,
    live::Live,
    wire::{Expiry, bytes, was_there},
};
use crate::{Error, backend::Item};

/// The most keys of one `MGET`, during which the server answers no other client.
const KEYS_AT_ONCE: usize = 500;

/// The most bytes of one pipeline.
const BYTES_AT_ONCE: usize = 32 << 20;
pub(super) const COMMANDS_AT_ONCE: usize = 20_000;

pub(super) async fn get(backend: &RedisBackend, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
    let live = match live(backend, keys.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(keys.len());
    for keys in keys.chunks(COMMANDS_AT_ONCE) {
        let mut pipeline = Pipeline::with_capacity(keys.len().div_ceil(KEYS_AT_ONCE));
        for keys in keys.chunks(KEYS_AT_ONCE) {
            let mut command = cmd("MGET");
            for key in keys {
                command.arg(backend.stored(key));
            }
            pipeline.add_command(command);
        }
        let answers = all(backend, live.ask_all(&pipeline), keys.chunks(KEYS_AT_ONCE).len()).await;
        for (keys, answer) in keys.chunks(KEYS_AT_ONCE).zip(answers) {
            match answer {
                Ok(Value::Array(values)) if values.len() == keys.len() => {
                    let found = |value| bytes(value).ok_or_else(|| backend.out_of_step(&live));
                    outcomes.extend(values.into_iter().map(found));
                }
                Ok(_) => outcomes.extend(keys.iter().map(|_| Err(backend.out_of_step(&live)))),
                Err(why) => outcomes.extend(keys.iter().map(|_| Err(Error::backend(why.clone())))),
            }
        }
    }
    outcomes
}

pub(super) async fn set(backend: &RedisBackend, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let live = match live(backend, items.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(items.len());
    for range in portions(items.iter()) {
        let items = &items[range];
        let mut pipeline = Pipeline::with_capacity(items.len());
        for item in items {
            // Even if the new value is not stored, the older one must not stay.
            pipeline.add_command(match (Expiry::of(item.timeout), backend.too_large(item.value)) {
                (Some(expiry), None) => backend.setting(item.key, item.value, expiry),
                _ => backend.about("UNLINK", item.key),
            });
        }
        let answers = all(backend, live.change_all(&pipeline), items.len()).await;
        for (item, answer) in items.iter().zip(answers) {
            outcomes.push(match (answer, backend.too_large(item.value)) {
                (Ok(answer), _) if !matches!(answer, Value::Okay | Value::Int(_)) => Err(backend.out_of_step(&live)),
                (Ok(_), Some(error)) if Expiry::of(item.timeout).is_some() => Err(error),
                (Ok(_), _) => Ok(()),
                (Err(why), _) => {
                    // The older value must not stay. The error of the write says more than one of the removal.
                    if why.contains(": OOM ") {
                        let _ = backend.change(&backend.about("UNLINK", item.key)).await;
                    }
                    Err(Error::backend(why))
                }
            });
        }
    }
    outcomes
}

pub(super) async fn delete(backend: &RedisBackend, keys: &[&str]) -> Vec<Result<bool, Error>> {
    let live = match live(backend, keys.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(keys.len());
    for keys in keys.chunks(COMMANDS_AT_ONCE) {
        let mut pipeline = Pipeline::with_capacity(keys.len());
        for key in keys {
            pipeline.add_command(backend.about("UNLINK", key));
        }
        let answers = all(backend, live.change_all(&pipeline), keys.len()).await;
        let deleted = |answer: Result<Value, String>| {
            was_there(&answer.map_err(Error::backend)?).ok_or_else(|| backend.out_of_step(&live))
        };
        outcomes.extend(answers.into_iter().map(deleted));
    }
    outcomes
}

/// The connection, or its error once for each of `count` operations.
pub(super) async fn live<T>(backend: &RedisBackend, count: usize) -> Result<Arc<Live>, Vec<Result<T, Error>>> {
    backend.live().await.map_err(|error| (0..count).map(|_| Err(Error::backend(error.to_string()))).collect())
}

/// One answer for each command of a pipeline. If the pipeline fails, each command does.
pub(super) async fn all(
    backend: &RedisBackend,
    asked: impl Future<Output = RedisResult<Vec<Value>>>,
    count: usize,
) -> Vec<Result<Value, String>> {
    match asked.await {
        Ok(answers) if answers.len() == count => answers
            .into_iter()
            .map(|answer| answer.extract_error().map_err(|error| backend.failed(&error).to_string()))
            .collect(),
        Ok(_) => vec![Err("the server gives too few answers".to_owned()); count],
        Err(error) => vec![Err(backend.failed(&error).to_string()); count],
    }
}

/// Divides items into pipelines, each of which copies its items.
pub(super) fn portions<'a>(items: impl ExactSizeIterator<Item = &'a Item<'a>>) -> Vec<Range<usize>> {
    let (mut portions, count) = (Vec::new(), items.len());
    let (mut start, mut gathered) = (0, 0);
    for (index, item) in items.enumerate() {
        let bytes = item.key.len() + item.value.len();
        if index > start && (gathered + bytes > BYTES_AT_ONCE || index - start >= COMMANDS_AT_ONCE) {
            portions.push(start..index);
            (start, gathered) = (index, 0);
        }
        gathered += bytes;
    }
    if start < count {
        portions.push(start..count);
    }
    portions
}
