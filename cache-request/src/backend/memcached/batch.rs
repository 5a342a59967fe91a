//! Operations on many keys: one round trip to each server, or several if there are many bytes to send.

use std::collections::HashSet;

use futures_util::future::join_all;
use memcache::exp::{Delete, Get, Meta, MutationStatus, Op};

use super::{
    backend::MemcachedBackend,
    claim::Claim,
    expiry::Expiry,
    failure::{Failure, Outcome, copy_of},
    session::{Session, removal, value, was_removed},
};
use crate::{Error, backend::Item};

/// The most bytes of a round of gets. The client sends the whole round before it reads, so requests and answers must fit into the
/// buffers of the connection: else client and server would wait for each other to read.
const ROUND_BYTES: usize = 64 << 10;

/// The most bytes of a round whose answers are a few bytes each.
const WRITE_ROUND_BYTES: usize = 1 << 20;

/// A larger item has a round of its own. If it is refused, the connection ends, and with it the answers to later commands of the round.
const ALONE_BYTES: usize = 256 << 10;

/// The bytes that a command adds to its key and value.
const COMMAND_BYTES: usize = 40;

pub(super) async fn get(backend: &MemcachedBackend, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return keys.iter().map(|_| Err(copy_of(&error))).collect(),
    };
    let parts = Part::divide(&session, keys.iter().copied());
    let answers = join_all(parts.iter().map(|part| part.get(&session, keys))).await;
    gather(&session, keys.iter().copied(), &parts, answers)
}

pub(super) async fn delete(backend: &MemcachedBackend, keys: &[&str]) -> Vec<Result<bool, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return keys.iter().map(|_| Err(copy_of(&error))).collect(),
    };
    let parts = Part::divide(&session, keys.iter().copied());
    let answers = join_all(parts.iter().map(|part| part.delete(&session, keys))).await;
    gather(&session, keys.iter().copied(), &parts, answers)
}

pub(super) async fn set(backend: &MemcachedBackend, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return items.iter().map(|_| Err(copy_of(&error))).collect(),
    };
    let parts = Part::divide(&session, items.iter().map(|item| item.key));
    let answers = join_all(parts.iter().map(|part| part.set(&session, items))).await;
    gather(&session, items.iter().map(|item| item.key), &parts, answers)
}

/// The part of a batch that one server has.
struct Part {
    server: usize,
    /// The positions of its keys in the batch.
    positions: Vec<usize>,
}

impl Part {
    /// The parts of all servers. Keys that are too long belong to none.
    fn divide<'k>(session: &Session<'_>, keys: impl Iterator<Item = &'k str>) -> Vec<Self> {
        let fleet = &session.store.fleet;
        let mut parts: Vec<_> = (0..fleet.len()).map(|server| Self { server, positions: Vec::new() }).collect();
        let keys = keys.enumerate().filter(|(_, key)| session.store.check_key(key).is_ok());
        keys.for_each(|(position, key)| parts[fleet.server_of(key)].positions.push(position));
        parts.retain(|part| !part.positions.is_empty());
        parts
    }

    fn stored(&self, session: &Session<'_>, keys: &[&str]) -> Vec<String> {
        self.positions.iter().map(|position| session.stored(keys[*position])).collect()
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
        for stored in rounds(&stored, WRITE_ROUND_BYTES, |stored| 2 * stored.len()) {
            let operations = stored.iter().flat_map(|stored| removal(stored));
            let mut answers = session.exchange(self.server, operations.collect()).await.into_iter();
            while let (Some(looked), Some(removed)) = (answers.next(), answers.next()) {
                outcomes.push(was_removed(looked, removed));
            }
        }
        outcomes
    }

    async fn set(&self, session: &Session<'_>, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        let items: Vec<Item<'_>> = self.positions.iter().map(|position| items[*position]).collect();
        let mut outcomes = Vec::with_capacity(items.len());
        let bytes = |item: &Item<'_>| 3 * item.key.len() + item.value.len() + 2 * COMMAND_BYTES;
        // One round after the other, so that the later one of two items with one key stays.
        for round in without_repeats(&items).flat_map(|items| rounds(items, WRITE_ROUND_BYTES, bytes)) {
            if let [Item { key, value, timeout }] = *round {
                outcomes.push(session.set(key, value, timeout).await);
            } else {
                outcomes.extend(set_round(session, self.server, round).await);
            }
        }
        outcomes
    }
}

/// The outcomes of all parts in the order of the keys, with errors for the keys that are too long.
fn gather<'k, T>(
    session: &Session<'_>,
    keys: impl Iterator<Item = &'k str>,
    parts: &[Part],
    answers: Vec<Vec<Result<T, Error>>>,
) -> Vec<Result<T, Error>> {
    let mut outcomes: Vec<Result<Option<T>, Error>> =
        keys.map(|key| session.store.check_key(key).map(|()| None)).collect();
    for (part, answers) in parts.iter().zip(answers) {
        for (position, answer) in part.positions.iter().zip(answers) {
            outcomes[*position] = answer.map(Some);
        }
    }
    let answered = |outcome: Option<T>| outcome.ok_or_else(|| Failure::unexpected_answer().error());
    outcomes.into_iter().map(|outcome| outcome.and_then(answered)).collect()
}

fn found(outcome: Outcome) -> Result<Option<Vec<u8>>, Error> {
    match outcome.map_err(Failure::error)? {
        memcache::exp::OpResult::Get(found) => Ok(value(found)),
        _ => Err(Failure::unexpected_answer().error()),
    }
}

/// How one item of a round is set.
enum Plan {
    /// By an operation of the second round trip: a write, or a removal if there is an error to return.
    InRound(Option<Error>),
    /// By itself after the round: other callers have changed it meanwhile, or the server refused an operation.
    Alone,
    /// Not at all.
    Failed(Error),
}

/// Sets some items in two round trips.
async fn set_round(session: &Session<'_>, server: usize, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
    let stored: Vec<_> = items.iter().map(|item| session.stored(item.key)).collect();
    let asked = stored.iter().flat_map(|stored| Claim::ask(stored)).collect();
    let mut claims = session.exchange(server, asked).await.into_iter();
    let (mut operations, mut plans) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
    for (item, stored) in items.iter().zip(stored) {
        let (Some(looked), Some(added)) = (claims.next(), claims.next()) else { break };
        let expiry = Expiry::of(item.timeout);
        let too_large = expiry.and_then(|_| session.store.too_large(item.value));
        plans.push(match (Claim::of(looked, added), expiry) {
            (Err(failure), _) if !failure.is_refusal() => Plan::Failed(failure.error()),
            (Ok(Some(claim)), Some(expiry)) if too_large.is_none() => {
                operations.push(Op::from(claim.replace(expiry.set(&stored, item.value))));
                Plan::InRound(None)
            }
            (_, Some(_)) if too_large.is_none() => Plan::Alone,
            // The older value must not stay.
            _ => {
                operations.push(Delete::new(stored).into());
                Plan::InRound(too_large)
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
            Plan::InRound(too_large) => (answers.next(), too_large),
        };
        // A refused value ends the connection, and the later operations of the round have no answers.
        was_refused |= matches!(&answer, Some(Err(failure)) if failure.is_refusal());
        let answer = answer.filter(|_| !was_refused).map(|answer| Ok(answer?.as_mutation().map(|done| done.status)));
        outcomes.push(match answer {
            // A deletion in between counts as one after this write.
            Some(Ok(Some(MutationStatus::Applied | MutationStatus::NotFound))) => too_large.map_or(Ok(()), Err),
            None | Some(Ok(Some(MutationStatus::CasMismatch))) => session.set(item.key, item.value, item.timeout).await,
            Some(Err(failure)) => Err(Failure::error(failure)),
            Some(Ok(_)) => Err(Failure::unexpected_answer().error()),
        });
    }
    outcomes
}

/// Divides items into parts without repeated keys.
fn without_repeats<'i>(mut items: &'i [Item<'i>]) -> impl Iterator<Item = &'i [Item<'i>]> {
    std::iter::from_fn(move || {
        let mut keys = HashSet::new();
        let (part, rest) = items.split_at(items.iter().take_while(|item| keys.insert(item.key)).count());
        items = rest;
        (!part.is_empty()).then_some(part)
    })
}

/// Divides items into rounds of at most `limit` bytes. A large item has a round of its own.
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
