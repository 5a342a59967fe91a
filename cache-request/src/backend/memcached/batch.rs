//! Many keys at once: one round trip to each server, or one for so many bytes.

use futures_util::future::join_all;
use memcache::exp::{Delete, Get, Meta, MutationStatus, Op};

use super::{
    MemcachedBackend, Outcome, Session, expiry::Expiry, fleet::Failure, fleet::again, removal, value, was_removed,
};
use crate::{Error, backend::Item};

/// What is sent before answers are read. Both ways together it has to fit into what the machines hold back: else a server
/// that waits for us to read would be waited for.
const ROUND_BYTES: usize = 64 << 10;

/// What is sent before answers are read, where they are a few bytes each.
const SILENT_ROUND_BYTES: usize = 1 << 20;

/// Larger values are sent alone. They may be refused, and then the answers to what was sent behind them are lost.
const ALONE_BYTES: usize = 256 << 10;

/// What one command adds to its key and value.
const COMMAND_BYTES: usize = 40;

pub(super) async fn get(backend: &MemcachedBackend, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return keys.iter().map(|_| Err(again(&error))).collect(),
    };
    let parts = Part::divide(&session, keys.iter().copied());
    let answers = join_all(parts.iter().map(|part| part.get(&session, keys))).await;
    gather(keys.len(), &parts, answers)
}

pub(super) async fn delete(backend: &MemcachedBackend, keys: &[&str]) -> Vec<Result<bool, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return keys.iter().map(|_| Err(again(&error))).collect(),
    };
    let parts = Part::divide(&session, keys.iter().copied());
    let answers = join_all(parts.iter().map(|part| part.delete(&session, keys))).await;
    gather(keys.len(), &parts, answers)
}

pub(super) async fn set(backend: &MemcachedBackend, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return items.iter().map(|_| Err(again(&error))).collect(),
    };
    let parts = Part::divide(&session, items.iter().map(|item| item.key));
    let answers = join_all(parts.iter().map(|part| part.set(&session, items))).await;
    gather(items.len(), &parts, answers)
}

/// What one server is asked.
struct Part {
    server: usize,
    /// The places of its keys among all.
    numbers: Vec<usize>,
}

impl Part {
    fn divide<'k>(session: &Session<'_>, keys: impl Iterator<Item = &'k str>) -> Vec<Self> {
        let fleet = &session.store.fleet;
        let mut parts: Vec<_> = (0..fleet.len()).map(|server| Self { server, numbers: Vec::new() }).collect();
        for (number, key) in keys.enumerate() {
            parts[fleet.server_of(key)].numbers.push(number);
        }
        parts.retain(|part| !part.numbers.is_empty());
        parts
    }

    fn stored(&self, session: &Session<'_>, keys: &[&str]) -> Vec<String> {
        self.numbers.iter().map(|number| session.stored(keys[*number])).collect()
    }

    async fn get(&self, session: &Session<'_>, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let stored = self.stored(session, keys);
        let mut outcomes = Vec::with_capacity(stored.len());
        for stored in rounds(&stored, ROUND_BYTES, String::len) {
            let gets = stored.iter().map(|stored| Get::new(stored).meta(Meta::NONE.ttl()).into());
            outcomes.extend(session.exchange(self.server, gets.collect()).await.into_iter().map(found));
        }
        outcomes
    }

    async fn delete(&self, session: &Session<'_>, keys: &[&str]) -> Vec<Result<bool, Error>> {
        let stored = self.stored(session, keys);
        let mut outcomes = Vec::with_capacity(stored.len());
        for stored in rounds(&stored, SILENT_ROUND_BYTES, |stored| 2 * stored.len()) {
            let operations = stored.iter().flat_map(|stored| removal(stored));
            let mut answers = session.exchange(self.server, operations.collect()).await.into_iter();
            while let (Some(looked), Some(removed)) = (answers.next(), answers.next()) {
                outcomes.push(was_removed(looked, removed));
            }
        }
        outcomes
    }

    async fn set(&self, session: &Session<'_>, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        let items: Vec<Item<'_>> = self.numbers.iter().map(|number| items[*number]).collect();
        let mut outcomes = Vec::with_capacity(items.len());
        // One round after the other, as of two items of one key the later one stays.
        for round in rounds(&items, SILENT_ROUND_BYTES, |item| item.key.len() + item.value.len()) {
            if let [Item { key, value, timeout }] = *round {
                outcomes.push(session.set(key, value, timeout).await);
            } else {
                outcomes.extend(set_round(session, self.server, round).await);
            }
        }
        outcomes
    }
}

/// The answers of all servers, in the order of the keys.
fn gather<T>(count: usize, parts: &[Part], answers: Vec<Vec<Result<T, Error>>>) -> Vec<Result<T, Error>> {
    let mut outcomes: Vec<Option<Result<T, Error>>> = (0..count).map(|_| None).collect();
    for (part, answers) in parts.iter().zip(answers) {
        for (number, answer) in part.numbers.iter().zip(answers) {
            outcomes[*number] = Some(answer);
        }
    }
    outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(|| Err(Failure::nonsense().error()))).collect()
}

fn found(outcome: Outcome) -> Result<Option<Vec<u8>>, Error> {
    match outcome.map_err(Failure::error)? {
        memcache::exp::OpResult::Get(found) => Ok(value(found)),
        _ => Err(Failure::nonsense().error()),
    }
}

/// Sets some items in one round trip.
async fn set_round(session: &Session<'_>, server: usize, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let (mut operations, mut known) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for item in items {
        let stored = session.stored(item.key);
        let expiry = Expiry::of(item.timeout);
        let too_large = expiry.and_then(|_| session.store.too_large(item.value));
        operations.push(match expiry {
            Some(expiry) if too_large.is_none() => Op::from(expiry.set(&stored, item.value)),
            // What it was to replace goes.
            _ => Delete::new(stored).into(),
        });
        known.push(too_large);
    }
    let answers = session.exchange(server, operations).await;
    let mut outcomes = Vec::with_capacity(answers.len());
    let mut was_refused = false;
    for ((item, too_large), answer) in items.iter().zip(known).zip(answers) {
        // A value is refused: the answers to all that was sent behind it are lost with the connection.
        was_refused |= matches!(&answer, Err(failure) if failure.is_refusal());
        if was_refused {
            outcomes.push(session.set(item.key, item.value, item.timeout).await);
            continue;
        }
        let is_done = |status| matches!(status, Some(MutationStatus::Applied | MutationStatus::NotFound));
        outcomes.push(match answer {
            Err(failure) => Err(failure.error()),
            Ok(answer) if is_done(answer.as_mutation().map(|answer| answer.status)) => too_large.map_or(Ok(()), Err),
            Ok(_) => Err(Failure::nonsense().error()),
        });
    }
    outcomes
}

/// Parts of so many bytes at most. What is large is a part of its own.
fn rounds<T>(mut items: &[T], limit: usize, bytes: impl Fn(&T) -> usize) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut sum = 0;
        let fitting = items.iter().take_while(|item| {
            sum += bytes(item) + COMMAND_BYTES;
            sum <= limit && bytes(item) <= ALONE_BYTES
        });
        let count = fitting.count().max(1).min(items.len());
        let (round, rest) = items.split_at(count);
        items = rest;
        (!round.is_empty()).then_some(round)
    })
}
