//! Many keys at once: one round trip to each server, or one for so many bytes.

use std::collections::HashSet;

use futures_util::future::join_all;
use memcache::exp::{Delete, Get, Meta, MutationStatus, Op};

use super::{
    MemcachedBackend, Outcome, Session, claim::Claim, expiry::Expiry, fleet::Failure, fleet::again, removal, value,
    was_removed,
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
            let get_batch = stored.iter().map(|stored| Get::new(stored).meta(Meta::NONE.ttl()).into());
            outcomes.extend(session.exchange(self.server, get_batch.collect()).await.into_iter().map(found));
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
        let bytes = |item: &Item<'_>| 3 * item.key.len() + item.value.len() + 2 * COMMAND_BYTES;
        // One round after the other, as of two items of one key the later one stays.
        for round in without_repeats(&items).flat_map(|items| rounds(items, SILENT_ROUND_BYTES, bytes)) {
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

/// What becomes of one item of a round.
enum Plan {
    /// It was asked for. Unless it was only to be removed, for this reason.
    Asked(Option<Error>),
    /// It is set by itself, as others have changed it meanwhile or the server has refused something.
    Alone,
    Failed(Error),
}

/// Sets some items in two round trips.
async fn set_round(session: &Session<'_>, server: usize, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let stored: Vec<_> = items.iter().map(|item| session.stored(item.key)).collect();
    let asked = stored.iter().flat_map(|stored| Claim::ask(stored)).collect();
    let mut claims = session.exchange(server, asked).await.into_iter();
    let (mut operations, mut plans) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (item, stored) in items.iter().zip(stored) {
        let (Some(looked), Some(put)) = (claims.next(), claims.next()) else { break };
        let expiry = Expiry::of(item.timeout);
        let too_large = expiry.and_then(|_| session.store.too_large(item.value));
        plans.push(match (Claim::of(looked, put), expiry) {
            (Err(failure), _) if !failure.is_refusal() => Plan::Failed(failure.error()),
            (Ok(Some(claim)), Some(expiry)) if too_large.is_none() => {
                operations.push(Op::from(claim.replace(expiry.set(&stored, item.value))));
                Plan::Asked(None)
            }
            (_, Some(_)) if too_large.is_none() => Plan::Alone,
            // What it was to replace goes.
            _ => {
                operations.push(Delete::new(stored).into());
                Plan::Asked(too_large)
            }
        });
    }
    let mut answers = session.exchange(server, operations).await.into_iter();
    let mut outcomes = Vec::with_capacity(items.len());
    let mut was_refused = false;
    for (item, plan) in items.iter().zip(plans) {
        let (answer, too_large) = match plan {
            Plan::Failed(error) => {
                outcomes.push(Err(error));
                continue;
            }
            Plan::Alone => (None, None),
            Plan::Asked(too_large) => (answers.next(), too_large),
        };
        // A value is refused: the answers to all that was sent behind it are lost with the connection.
        was_refused |= matches!(&answer, Some(Err(failure)) if failure.is_refusal());
        let answer = answer.filter(|_| !was_refused).map(|answer| Ok(answer?.as_mutation().map(|done| done.status)));
        outcomes.push(match answer {
            // What was deleted meanwhile has been deleted after this.
            Some(Ok(Some(MutationStatus::Applied | MutationStatus::NotFound))) => too_large.map_or(Ok(()), Err),
            None | Some(Ok(Some(MutationStatus::CasMismatch))) => session.set(item.key, item.value, item.timeout).await,
            Some(Err(failure)) => Err(Failure::error(failure)),
            Some(Ok(_)) => Err(Failure::nonsense().error()),
        });
    }
    outcomes
}

/// Parts in which no key comes twice.
fn without_repeats<'i>(mut items: &'i [Item<'i>]) -> impl Iterator<Item = &'i [Item<'i>]> {
    std::iter::from_fn(move || {
        let mut keys = HashSet::new();
        let (part, rest) = items.split_at(items.iter().take_while(|item| keys.insert(item.key)).count());
        items = rest;
        (!part.is_empty()).then_some(part)
    })
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
