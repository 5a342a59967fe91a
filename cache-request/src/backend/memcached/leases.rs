//! Claims: of one key, or of many keys of one server. See `record` for what they write.
//!
//! A claim takes one round trip if the key is missing or claimed, or if there is a value and nothing is claimed then. It takes two if something
//! that has ended has to be removed first, and to claim a key whose value stays: the second one adds the record, so one of several callers is
//! the first. A claim anew of such a key takes three: the second one gives the value another number, as the older claim's value may be on its
//! way, and so ends all claims that name the older number.

use std::mem;

use memcache::exp::{Get, GetResult, Meta, MutationStatus, Op, OpResult, Set};

use super::{
    claim::NO_CAS,
    failure::{Failure, Outcome},
    get_batch,
    head::{Body, Head},
    record::{self, Record, Standing},
    session::{ATTEMPTS, Place, Session},
};
use crate::{
    backend::{Claim, ClaimKind, Claimed, Fence, Right},
    base::random,
};

/// One key that is being claimed.
struct Key {
    stored: String,
    /// The fence of the claim, if it gets a record.
    fence: Fence,
    step: Step,
}

/// What is to be done next.
enum Step {
    /// To look what is there, and to claim the key if nothing is.
    Look,
    /// To remove the item with this number, and to look.
    Free(u64),
    /// To read the value that this item is, or is the head of.
    Read {
        body: Body<'static>,
        cas: u64,
        record: Option<Record>,
    },
    /// To write a record for the value with this number, in place of the record with that one.
    Record {
        value: Vec<u8>,
        cas: u64,
        older: Option<u64>,
    },
    /// To end the claims of the value with this number.
    Overtake {
        value: Vec<u8>,
        cas: u64,
    },
    Done(Result<Claimed, Failure>),
}

impl Step {
    fn done(value: Option<Vec<u8>>, right: Right) -> Self {
        Self::Done(Ok(Claimed { value, right }))
    }
}

/// The claims of some keys on one server.
struct Claims<'s> {
    session: &'s Session<'s>,
    server: usize,
    claim: Claim,
    keys: Vec<Key>,
}

impl Session<'_> {
    pub(super) async fn claim_key(&self, place: Place, claim: Claim) -> Result<Claimed, Failure> {
        let mut claims = Claims::of(self, place.server, vec![place.stored], claim);
        if claim.kind == ClaimKind::Missing {
            let get = claims.look(0);
            let found = get_batch::get(&self.store.fleet, &self.link, place.server, get).await?;
            claims.keys[0].step = claims.looked(0, found, None);
        }
        claims.run().await.pop().ok_or_else(Failure::unexpected_answer)?
    }

    /// Claims some keys of one server. What is to be sent and received for them must fit into the buffers of a connection.
    pub(super) async fn claim_keys(
        &self,
        server: usize,
        stored: &[String],
        claim: Claim,
    ) -> Vec<Result<Claimed, Failure>> {
        Claims::of(self, server, stored.to_vec(), claim).run().await
    }
}

impl<'s> Claims<'s> {
    fn of(session: &'s Session<'s>, server: usize, stored: Vec<String>, claim: Claim) -> Self {
        let key = |stored| Key { stored, fence: record::fence_beside(random::number()), step: Step::Look };
        Self { session, server, claim, keys: stored.into_iter().map(key).collect() }
    }

    async fn run(mut self) -> Vec<Result<Claimed, Failure>> {
        for _ in 0..ATTEMPTS {
            self.read().await;
            let operations: Vec<_> = (0..self.keys.len()).map(|number| self.operations(number)).collect();
            if operations.iter().all(Vec::is_empty) {
                break;
            }
            let counts: Vec<_> = operations.iter().map(Vec::len).collect();
            let mut answers =
                self.session.exchange(self.server, operations.into_iter().flatten().collect()).await.into_iter();
            for (number, count) in counts.into_iter().enumerate() {
                let answers: Vec<_> = answers.by_ref().take(count).collect();
                if count > 0 {
                    self.keys[number].step =
                        self.next(number, answers).unwrap_or_else(|failure| Step::Done(Err(failure)));
                }
            }
        }
        let outcome = |key: Key| if let Step::Done(outcome) = key.step { outcome } else { Err(Failure::contended()) };
        self.keys.into_iter().map(outcome).collect()
    }

    /// Makes the claim if nothing is there.
    fn look(&self, number: usize) -> Get {
        let get = Get::new(&self.keys[number].stored).meta(Meta::NONE.ttl().cas());
        get.lease_ttl(record::seconds(self.claim.lease))
    }

    fn operations(&self, number: usize) -> Vec<Op> {
        let Key { stored, fence, step } = &self.keys[number];
        let record = || Record::key(&self.session.store.namespace, stored);
        let record_of = |value| Record::set(&record(), *fence, value, self.claim.lease);
        let look = || {
            let looks_beside = self.claim.kind == ClaimKind::Any;
            [Some(self.look(number).into()), looks_beside.then(|| Record::get(&record()).into())].into_iter().flatten()
        };
        match step {
            Step::Look => look().collect(),
            Step::Free(cas) => [record::remove(stored, *cas).into()].into_iter().chain(look()).collect(),
            Step::Record { cas, older: None, .. } => vec![record_of(*cas).add().into()],
            Step::Record { cas, older: Some(older), .. } => vec![record::replace(*older, record_of(*cas)).into()],
            Step::Overtake { cas, .. } => {
                // To append nothing changes the number alone.
                let append = Set::new(stored, b"").append().return_cas();
                let append = if *cas == NO_CAS { append } else { append.compare_cas(*cas) };
                vec![append.into(), Record::get(&record()).into()]
            }
            Step::Read { .. } | Step::Done(_) => Vec::new(),
        }
    }

    fn next(&mut self, number: usize, answers: Vec<Outcome>) -> Result<Step, Failure> {
        let step = mem::replace(&mut self.keys[number].step, Step::Look);
        let leased = Right::Leased(self.keys[number].fence);
        let mut answers = answers.into_iter();
        let mut answer = || answers.next().unwrap_or_else(|| Err(Failure::unexpected_answer()));
        Ok(match step {
            Step::Record { value, .. } => match written(&answer()?)? {
                (MutationStatus::Applied, _) => Step::done(Some(value), leased),
                _ => Step::Look,
            },
            Step::Overtake { value, cas } => match (written(&answer()?)?, got(answer()?)?) {
                ((MutationStatus::Applied, Some(cas)), record) => {
                    Step::Record { value, cas, older: Record::of(&record).map(|record| record.cas) }
                }
                // It is gone, or the server has moved it where it cannot be appended to.
                ((MutationStatus::NotFound, _), _) => Step::Free(cas),
                _ => Step::Look,
            },
            step => {
                if let Step::Free(_) = step {
                    // Whatever it tells, the look tells what is there.
                    answer()?;
                }
                let found = got(answer()?)?;
                let record = if self.claim.kind == ClaimKind::Any { Record::of(&got(answer()?)?) } else { None };
                self.looked(number, found, record)
            }
        })
    }

    fn looked(&self, number: usize, found: GetResult, record: Option<Record>) -> Step {
        let won = found.won_lease();
        match Standing::of(found, &self.keys[number].stored) {
            // The server has no memory for the item that it would have made.
            Standing::Missing => Step::Done(Err(Failure::Refused("out of memory".to_owned()))),
            Standing::Claim { fence, .. } if won => Step::done(None, Right::Leased(fence)),
            Standing::Claim { cas, .. } if self.claim.kind == ClaimKind::Anew => Step::Free(cas),
            Standing::Claim { fence, seconds, .. } => Step::done(None, Right::Held(fence, record::left(seconds))),
            Standing::Refusal { seconds, .. } => Step::done(None, Right::Refused(record::left(seconds))),
            Standing::Ended { cas } => Step::Free(cas),
            Standing::Value { cas, found } => match Body::of(found) {
                Ok(Some(body)) => Step::Read { body, cas, record },
                // It has ended meanwhile, or is none of this backend's.
                _ => Step::Free(cas),
            },
        }
    }

    /// Reads the values that were found. One whose chunks are gone is nothing.
    async fn read(&mut self) {
        let heads: Vec<Head> = self
            .keys
            .iter()
            .filter_map(|key| if let Step::Read { body: Body::Head(head), .. } = key.step { Some(head) } else { None })
            .collect();
        let mut large = self.session.chunks(self.server).read(&heads).await.into_iter();
        for key in &mut self.keys {
            key.step = match mem::replace(&mut key.step, Step::Look) {
                Step::Read { body: Body::Value(value), cas, record } => {
                    read(self.claim.kind, value.into_owned(), cas, record)
                }
                Step::Read { body: Body::Head(_), cas, record } => match large.next() {
                    Some(Ok(Some(value))) => read(self.claim.kind, value, cas, record),
                    Some(Ok(None)) => Step::Free(cas),
                    Some(Err(failure)) => Step::Done(Err(failure)),
                    None => Step::Done(Err(Failure::unexpected_answer())),
                },
                step => step,
            };
        }
    }
}

fn read(kind: ClaimKind, value: Vec<u8>, cas: u64, record: Option<Record>) -> Step {
    match (kind, record) {
        (ClaimKind::Missing, _) => Step::done(Some(value), Right::None),
        (ClaimKind::Anew, _) => Step::Overtake { value, cas },
        (ClaimKind::Any, Some(record)) if record.value == cas => {
            Step::done(Some(value), Right::Held(record.fence, record::left(record.seconds)))
        }
        (ClaimKind::Any, record) => Step::Record { value, cas, older: record.map(|record| record.cas) },
    }
}

fn got(answer: OpResult) -> Result<GetResult, Failure> {
    if let OpResult::Get(found) = answer { Ok(found) } else { Err(Failure::unexpected_answer()) }
}

fn written(answer: &OpResult) -> Result<(MutationStatus, Option<u64>), Failure> {
    let done = answer.as_mutation().ok_or_else(Failure::unexpected_answer)?;
    Ok((done.status, done.cas))
}
