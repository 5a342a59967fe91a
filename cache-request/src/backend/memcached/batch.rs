//! Operations on many keys: one round trip to each server, or several if there are many bytes to send. The chunks of all large values take one
//! more, or several if they are many.

use std::collections::HashSet;

use futures_util::future::join_all;
use memcache::exp::{Delete, Get, Meta, MutationStatus, Op, OpResult};

use super::{
    backend::MemcachedBackend,
    claim::Claim,
    expiry::Expiry,
    failure::{Failure, Outcome, copy_of},
    fenced,
    head::{Body, Head},
    record,
    session::{Session, removal, was_removed},
};
use crate::{
    Error,
    backend::{self, Claimed, Fence, Item},
};

/// The most bytes of a round of gets. The client sends the whole round before it reads, so requests and answers must fit into the
/// buffers of the connection: else client and server would wait for each other to read.
const ROUND_BYTES: usize = 64 << 10;

/// The most bytes of a round whose answers are a few bytes each.
const WRITE_ROUND_BYTES: usize = 1 << 20;

/// A larger item has a round of its own. If it is refused, the connection ends, and with it the answers to later commands of the round.
const ALONE_BYTES: usize = 256 << 10;

/// The bytes that a command adds to its key and value.
const COMMAND_BYTES: usize = 40;

/// The bytes of the longest key of a record.
const RECORD_KEY_BYTES: usize = 140;

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

pub(super) async fn claim(
    backend: &MemcachedBackend,
    keys: &[&str],
    claim: backend::Claim,
) -> Vec<Result<Claimed, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return keys.iter().map(|_| Err(copy_of(&error))).collect(),
    };
    let parts = Part::divide(&session, keys.iter().copied());
    let answers = join_all(parts.iter().map(|part| part.claim(&session, keys, claim))).await;
    gather(&session, keys.iter().copied(), &parts, answers)
}

pub(super) async fn set_fenced(backend: &MemcachedBackend, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
    let session = match backend.session().await {
        Ok(session) => session,
        Err(error) => return items.iter().map(|_| Err(copy_of(&error))).collect(),
    };
    let parts = Part::divide(&session, items.iter().map(|(item, _)| item.key));
    let answers = join_all(parts.iter().map(|part| part.set_fenced(&session, items))).await;
    gather(&session, items.iter().map(|(item, _)| item.key), &parts, answers)
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
        let mut found = Vec::with_capacity(stored.len());
        for stored in rounds(&stored, ROUND_BYTES, String::len) {
            let gets = stored.iter().map(|stored| Get::new(stored).meta(Meta::NONE.ttl()).into());
            found.extend(session.exchange(self.server, gets.collect()).await.into_iter().map(body));
        }
        let heads: Vec<Head> = found.iter().filter_map(head).collect();
        let mut large = session.chunks(self.server).read(&heads).await.into_iter();
        let whole = found.into_iter().map(|found| match found? {
            None => Ok(None),
            Some(Body::Value(value)) => Ok(Some(value.into_owned())),
            Some(Body::Head(_)) => large.next().ok_or_else(Failure::unexpected_answer)?,
        });
        whole.map(|whole| whole.map_err(Failure::error)).collect()
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
        let writes = self.spread(session, self.positions.iter().map(|position| items[*position])).await;
        let mut outcomes = Vec::with_capacity(writes.len());
        let bytes =
            |write: &Write<'_>| 3 * write.item.key.len() + write.body.as_ref().map_or(0, Body::len) + 2 * COMMAND_BYTES;
        // One round after the other, so that the later one of two items with one key stays.
        for round in without_repeats(&writes).flat_map(|writes| rounds(writes, WRITE_ROUND_BYTES, bytes)) {
            if let [Write { item, body }] = round {
                outcomes.push(session.set(*item, body.clone()).await);
            } else {
                outcomes.extend(set_round(session, self.server, round).await);
            }
        }
        outcomes
    }

    async fn claim(&self, session: &Session<'_>, keys: &[&str], claim: backend::Claim) -> Vec<Result<Claimed, Error>> {
        let stored = self.stored(session, keys);
        let mut outcomes = Vec::with_capacity(stored.len());
        for stored in rounds(&stored, ROUND_BYTES, |stored| 2 * stored.len() + RECORD_KEY_BYTES + 2 * COMMAND_BYTES) {
            outcomes.extend(session.claim_keys(self.server, stored, claim).await);
        }
        outcomes.into_iter().map(|outcome| outcome.map_err(Failure::error)).collect()
    }

    async fn set_fenced(&self, session: &Session<'_>, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        let writes = self.spread(session, self.positions.iter().map(|position| items[*position].0)).await;
        let fences = self.positions.iter().map(|position| items[*position].1);
        let writes: Vec<_> = writes.into_iter().zip(fences).collect();
        let mut outcomes = Vec::with_capacity(writes.len());
        let bytes = |(Write { item, body }, _): &(Write<'_>, Fence)| {
            item.key.len() + RECORD_KEY_BYTES + body.as_ref().map_or(0, Body::len) + 2 * COMMAND_BYTES
        };
        for round in rounds(&writes, WRITE_ROUND_BYTES, bytes) {
            if let [(Write { item, body }, fence)] = round {
                outcomes.push(session.set_fenced(*item, *fence, body.clone()).await);
            } else {
                outcomes.extend(set_fenced_round(session, self.server, round).await);
            }
        }
        outcomes
    }

    /// Writes the chunks of all large items that are to be stored.
    async fn spread<'i>(&self, session: &Session<'_>, items: impl Iterator<Item = Item<'i>>) -> Vec<Write<'i>> {
        let mut writes: Vec<_> = items.map(|item| Write { item, body: Some(Body::Value(item.value.into())) }).collect();
        let (mut positions, mut values) = (Vec::new(), Vec::new());
        for (position, Write { item, .. }) in writes.iter().enumerate() {
            if let (Some(expiry), None) = (Expiry::of(item.timeout), session.store.too_large(item.value))
                && let Some(head) = Head::of(item.value)
            {
                positions.push(position);
                values.push((head, expiry, item.value));
            }
        }
        let written = session.chunks(self.server).write(&values).await;
        for ((position, (head, ..)), written) in positions.into_iter().zip(values).zip(written) {
            writes[position].body = written.is_ok().then_some(Body::Head(head));
        }
        writes
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

fn body(outcome: Outcome) -> Result<Option<Body<'static>>, Failure> {
    match outcome? {
        OpResult::Get(found) => Body::of(found),
        _ => Err(Failure::unexpected_answer()),
    }
}

fn head(found: &Result<Option<Body<'_>>, Failure>) -> Option<Head> {
    match found {
        Ok(Some(Body::Head(head))) => Some(*head),
        _ => None,
    }
}

/// An item that is to be set, and what is to be written under its key. There is none if its chunks could not be written together with
/// those of others. Then it is set by itself, which tells what is wrong with it.
struct Write<'i> {
    item: Item<'i>,
    body: Option<Body<'i>>,
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

/// How one item of a round is set if its claim stands.
enum FencedPlan {
    /// By the first of so many operations.
    InRound(usize),
    /// By itself after the round.
    Alone,
    Done(Result<bool, Error>),
}

/// Sets some items in two round trips.
async fn set_round(session: &Session<'_>, server: usize, writes: &[Write<'_>]) -> Vec<Result<(), Error>> {
    let stored: Vec<_> = writes.iter().map(|write| session.stored(write.item.key)).collect();
    let asked = stored.iter().flat_map(|stored| Claim::ask(stored)).collect();
    let mut claims = session.exchange(server, asked).await.into_iter();
    let (mut operations, mut plans) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
    for (Write { item, body }, stored) in writes.iter().zip(stored) {
        let (Some(looked), Some(added)) = (claims.next(), claims.next()) else { break };
        let expiry = Expiry::of(item.timeout);
        let too_large = expiry.and_then(|_| session.store.too_large(item.value));
        plans.push(match (Claim::of(looked, added), expiry, body) {
            (Err(failure), ..) if !failure.is_refusal() => Plan::Failed(failure.error()),
            (Ok(Some(claim)), Some(expiry), Some(body)) if too_large.is_none() => {
                operations.push(Op::from(claim.replace(body.set(expiry, &stored))));
                Plan::InRound(None)
            }
            (_, Some(_), _) if too_large.is_none() => Plan::Alone,
            // The older value must not stay.
            _ => {
                operations.push(Delete::new(stored).into());
                Plan::InRound(too_large)
            }
        });
    }
    let mut answers = session.exchange(server, operations).await.into_iter();
    let mut outcomes = Vec::with_capacity(writes.len());
    let mut was_refused = false;
    for (Write { item, body }, plan) in writes.iter().zip(plans) {
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
            None | Some(Ok(Some(MutationStatus::CasMismatch))) => session.set(*item, body.clone()).await,
            Some(Err(failure)) => Err(Failure::error(failure)),
            Some(Ok(_)) => Err(Failure::unexpected_answer().error()),
        });
    }
    outcomes
}

/// Sets some items whose claims stand, in one round trip, or in two if some of them have records.
async fn set_fenced_round(
    session: &Session<'_>,
    server: usize,
    writes: &[(Write<'_>, Fence)],
) -> Vec<Result<bool, Error>> {
    let stored: Vec<_> = writes.iter().map(|(write, _)| session.stored(write.item.key)).collect();
    let claims: Vec<_> = stored.iter().zip(writes).map(|(stored, (_, fence))| (stored.as_str(), *fence)).collect();
    let held = session.held(server, &claims).await;
    let (mut operations, mut plans) = (Vec::with_capacity(writes.len()), Vec::with_capacity(writes.len()));
    for ((held, (Write { item, body }, _)), stored) in held.into_iter().zip(writes).zip(&stored) {
        plans.push(match (held, Expiry::of(item.timeout), body) {
            (Err(failure), ..) => FencedPlan::Done(Err(failure.error())),
            (Ok(None), ..) => FencedPlan::Done(Ok(false)),
            (Ok(Some(held)), Some(expiry), Some(body)) if session.store.too_large(item.value).is_none() => {
                let own = held.operations(|cas| record::replace(cas, body.set(expiry, stored)).into());
                let count = own.len();
                operations.extend(own);
                FencedPlan::InRound(count)
            }
            _ => FencedPlan::Alone,
        });
    }
    let mut answers = session.exchange(server, operations).await.into_iter();
    let mut outcomes = Vec::with_capacity(writes.len());
    let mut was_refused = false;
    for ((Write { item, body }, fence), plan) in writes.iter().zip(plans) {
        let answer = match plan {
            FencedPlan::Done(outcome) => {
                outcomes.push(outcome);
                continue;
            }
            FencedPlan::Alone => None,
            FencedPlan::InRound(count) => answers.by_ref().take(count).collect::<Vec<_>>().into_iter().next(),
        };
        // A refused value ends the connection, and the later operations of the round have no answers.
        was_refused |= matches!(&answer, Some(Err(failure)) if failure.is_refusal());
        outcomes.push(match answer.filter(|_| !was_refused).map(fenced::status) {
            Some(Ok(MutationStatus::Applied)) => Ok(true),
            Some(Ok(MutationStatus::NotFound)) => Ok(false),
            // It may have been renewed.
            None | Some(Ok(_)) => session.set_fenced(*item, *fence, body.clone()).await,
            Some(Err(failure)) => Err(failure.error()),
        });
    }
    outcomes
}

/// Divides writes into parts without repeated keys.
fn without_repeats<'w, 'i>(mut writes: &'w [Write<'i>]) -> impl Iterator<Item = &'w [Write<'i>]> + use<'w, 'i> {
    std::iter::from_fn(move || {
        let mut keys = HashSet::new();
        let (part, rest) = writes.split_at(writes.iter().take_while(|write| keys.insert(write.item.key)).count());
        writes = rest;
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
