//! What asks for many keys at once: one round trip to each server.
//!
//! One server gets pipelines. In a cluster every key goes its own way, all of them at once, and the connections to the nodes
//! put together what goes to one of them.

use std::{collections::HashSet, ops::Range};

use futures_util::future::join_all;
use redis::{Pipeline, RedisResult, Value, cmd};

use super::{Expiry, Live, RedisBackend, bytes, was_there};
use crate::{
    Error,
    backend::{Backend, Item},
};

/// The keys of one `MGET`. The server answers nobody else meanwhile.
const KEYS_AT_ONCE: usize = 500;

/// What is gathered before it is sent.
const BYTES_AT_ONCE: usize = 32 << 20;
const COMMANDS_AT_ONCE: usize = 20_000;

pub(super) async fn get(backend: &RedisBackend, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
    if backend.server.is_cluster() {
        return join_all(keys.iter().map(|key| backend.get(key))).await;
    }
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
    if backend.server.is_cluster() {
        let mut seen = HashSet::with_capacity(items.len());
        if items.iter().all(|item| seen.insert(item.key)) {
            return join_all(items.iter().map(|item| backend.set(item.key, item.value, item.timeout))).await;
        }
        // Those of one key have to go one after the other.
        let mut outcomes = Vec::with_capacity(items.len());
        for item in items {
            outcomes.push(backend.set(item.key, item.value, item.timeout).await);
        }
        return outcomes;
    }
    let live = match live(backend, items.len()).await {
        Ok(live) => live,
        Err(failed) => return failed,
    };
    let mut outcomes = Vec::with_capacity(items.len());
    for range in portions(items) {
        let items = &items[range];
        let mut pipeline = Pipeline::with_capacity(items.len());
        for item in items {
            // What is not to be kept, or cannot be, leaves nothing older behind.
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
                    // It was to replace what is there. Its own error says more than a second one would.
                    if why.contains(": OOM ") {
                        let _ = backend.delete(item.key).await;
                    }
                    Err(Error::backend(why))
                }
            });
        }
    }
    outcomes
}

pub(super) async fn delete(backend: &RedisBackend, keys: &[&str]) -> Vec<Result<bool, Error>> {
    if backend.server.is_cluster() {
        return join_all(keys.iter().map(|key| backend.delete(key))).await;
    }
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

/// The connection, or what each of so many has to say where there is none.
async fn live<T>(backend: &RedisBackend, count: usize) -> Result<std::sync::Arc<Live>, Vec<Result<T, Error>>> {
    backend.live().await.map_err(|error| (0..count).map(|_| Err(Error::backend(error.to_string()))).collect())
}

/// As many answers as there are commands: where they fail all together, each of them does.
async fn all(
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

/// Parts of which each may be in memory once more.
fn portions(items: &[Item<'_>]) -> Vec<Range<usize>> {
    let mut portions = Vec::new();
    let (mut start, mut gathered) = (0, 0);
    for (index, item) in items.iter().enumerate() {
        let bytes = item.key.len() + item.value.len();
        if index > start && (gathered + bytes > BYTES_AT_ONCE || index - start >= COMMANDS_AT_ONCE) {
            portions.push(start..index);
            (start, gathered) = (index, 0);
        }
        gathered += bytes;
    }
    if start < items.len() {
        portions.push(start..items.len());
    }
    portions
}
