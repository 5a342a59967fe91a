//! The claims of keys, as blocking code: see [`Backend::claim`](crate::Backend::claim).
//!
//! A claim is a file beside the answer's, with the same layout. Its value is the fence, or empty while values are refused, and it
//! expires when the claim is over. A file that cannot be read counts as no claim.
//!
//! Claims and answers are looked at and changed under the lock of their sub-directory. Only a look that finds an answer takes none.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use super::{
    cancel::CancelToken,
    directory::{Kind, Name},
    entry::{self, Contents, Found},
    lock::ShardGuard,
    operations::Operations,
};
use crate::{
    Error, ErrorKind,
    backend::{Claim, ClaimKind, Claimed, Fence, Right},
};

/// A claim that is not over.
struct Record {
    /// None while values are refused.
    fence: Option<Fence>,
    left: Duration,
}

impl Operations {
    pub(super) fn claim(
        &self,
        key: &str,
        claim: Claim,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<Claimed, Error> {
        let name = Name::of(key);
        let path = self.directory.path(&name, Kind::Answer);
        if claim.kind == ClaimKind::Missing
            && let Ok(Found::Live(opened)) = self.open(&name, key, now)
        {
            return opened.into_value(&path).map(|value| Claimed { value: Some(value), right: Right::None });
        }
        let guard = self.lock_or_make(&name)?;
        let found = match self.open(&name, key, now) {
            Ok(Found::Live(opened)) => Some(opened),
            Ok(Found::Absent | Found::Expired) => None,
            Ok(Found::Corrupt(error)) | Err(error) if error.kind() == ErrorKind::Corrupt => {
                // What is made anew replaces it. In all other cases, the next claim finds nothing in the way.
                if claim.kind != ClaimKind::Anew {
                    if !cancel.is_cancelled() {
                        let _ = self.directory.remove(&name, Kind::Answer);
                    }
                    return Err(error);
                }
                None
            }
            Ok(Found::Corrupt(error)) | Err(error) => return Err(error),
        };
        let right = if cancel.is_cancelled() || (claim.kind == ClaimKind::Missing && found.is_some()) {
            Right::None
        } else {
            match self.standing(&name, key, now)? {
                Some(Record { fence: None, left }) => Right::Refused(left),
                Some(Record { fence: Some(fence), left }) if claim.kind != ClaimKind::Anew => Right::Held(fence, left),
                _ => {
                    let fence = Fence::new(claim.token);
                    self.put_claim(&name, key, Some(fence), claim.lease, now)?;
                    Right::Leased(fence)
                }
            }
        };
        drop(guard);
        let value = found.map(|opened| opened.into_value(&path)).transpose()?;
        Ok(Claimed { value, right })
    }

    /// Stores an answer if the claim stands, and ends the claim. If that fails, the older answer is removed.
    pub(super) fn set_fenced(
        self: &Arc<Self>,
        key: &str,
        contents: &mut Contents,
        fence: Fence,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        // Checked first without the lock, so that most calls that come too late write no file.
        if !self.stands(&name, key, fence, now)? {
            return Ok(false);
        }
        let outcome = self.write_fenced(&name, key, contents, fence, now, cancel);
        if outcome.is_err() {
            // The first error tells more than that of the removal.
            let _ = self.delete_fenced(key, fence, now, cancel);
        }
        outcome
    }

    fn write_fenced(
        self: &Arc<Self>,
        name: &Name,
        key: &str,
        contents: &mut Contents,
        fence: Fence,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        self.make_room(contents.len(), now)?;
        let file = self.directory.write_temporary(name, contents, self.write_time(now))?;
        let _guard = self.locks.lock(&self.directory, name).if_supported()?;
        if cancel.is_cancelled() || !self.stands(name, key, fence, now)? {
            return Ok(false);
        }
        self.directory.put(name, Kind::Answer, file)?;
        self.directory.remove(name, Kind::Claim).map(|_| true)
    }

    /// Removes the answer if the claim stands, and ends the claim. Returns whether it stood.
    pub(super) fn delete_fenced(
        &self,
        key: &str,
        fence: Fence,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        let guard = self.locks.lock(&self.directory, &name);
        if cancel.is_cancelled() || !self.stands(&name, key, fence, now)? {
            return Ok(false);
        }
        let ended = self.directory.remove(&name, Kind::Claim);
        self.directory.remove(&name, Kind::Answer).and(ended)?;
        guard.if_supported().map(|_| true)
    }

    pub(super) fn renew(
        &self,
        key: &str,
        fence: Fence,
        lease: Duration,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        let _guard = self.locks.lock(&self.directory, &name).if_supported()?;
        if cancel.is_cancelled() || !self.stands(&name, key, fence, now)? {
            return Ok(false);
        }
        self.put_claim(&name, key, Some(fence), lease, now).map(|()| true)
    }

    pub(super) fn release(&self, key: &str, fence: Fence, now: SystemTime, cancel: &CancelToken) -> Result<(), Error> {
        let name = Name::of(key);
        let _guard = self.locks.lock(&self.directory, &name).if_supported()?;
        if !cancel.is_cancelled() && self.stands(&name, key, fence, now)? {
            self.directory.remove(&name, Kind::Claim)?;
        }
        Ok(())
    }

    pub(super) fn invalidate(
        self: &Arc<Self>,
        key: &str,
        refuse: Duration,
        now: SystemTime,
        cancel: &CancelToken,
    ) -> Result<bool, Error> {
        let name = Name::of(key);
        let (guard, recorded) = if refuse.is_zero() {
            (self.locks.lock(&self.directory, &name), Ok(()))
        } else {
            let recorded = self.make_room(entry::encoded_len(key, &[]), now);
            (self.lock_or_make(&name)?, recorded)
        };
        if cancel.is_cancelled() {
            return Ok(false);
        }
        let had_answer = matches!(self.open(&name, key, now), Ok(Found::Live(_)));
        let ended = self.end_claim(&name, key, refuse, now, recorded);
        // The answer is removed in any case.
        let removed = self.directory.remove(&name, Kind::Answer);
        ended?;
        if !removed? {
            return Ok(false);
        }
        // Without the lock, another process may put the answer back.
        guard.if_supported().map(|_| had_answer)
    }

    /// Ends the claim of a key, and refuses others for a while. An earlier refusal stays if it lasts longer.
    fn end_claim(
        &self,
        name: &Name,
        key: &str,
        refuse: Duration,
        now: SystemTime,
        recorded: Result<(), Error>,
    ) -> Result<(), Error> {
        let standing = self.standing(name, key, now).ok().flatten();
        let earlier = standing.filter(|claim| claim.fence.is_none()).map(|claim| claim.left);
        if earlier.is_some_and(|earlier| earlier >= refuse) {
            return Ok(());
        }
        let refusal = match recorded {
            Ok(()) if !refuse.is_zero() => self.put_claim(name, key, None, refuse, now),
            recorded => self.directory.remove(name, Kind::Claim).and(recorded),
        };
        if refusal.is_err() {
            let _ = self.directory.remove(name, Kind::Claim);
        }
        refusal
    }

    /// Waits for the lock of the key's sub-directory, which is made if it is missing: without one, processes do not exclude each other.
    fn lock_or_make(&self, name: &Name) -> Result<ShardGuard<'_>, Error> {
        let guard = self.locks.lock(&self.directory, name);
        if !guard.has_no_directory() {
            return guard.if_supported();
        }
        drop(guard);
        self.directory.create_shard(name)?;
        self.locks.lock(&self.directory, name).if_supported()
    }

    fn stands(&self, name: &Name, key: &str, fence: Fence, now: SystemTime) -> Result<bool, Error> {
        Ok(self.standing(name, key, now)?.is_some_and(|claim| claim.fence == Some(fence)))
    }

    fn standing(&self, name: &Name, key: &str, now: SystemTime) -> Result<Option<Record>, Error> {
        let path = self.directory.path(name, Kind::Claim);
        let found = entry::open(&path, key, now).and_then(|found| match found {
            Found::Live(opened) => {
                let left = opened.time_left(now);
                opened.into_value(&path).map(|value| Some((value, left)))
            }
            Found::Absent | Found::Expired | Found::Corrupt(_) => Ok(None),
        });
        match found {
            Ok(Some((value, left))) if value.is_empty() => Ok(Some(Record { fence: None, left })),
            Ok(Some((value, left))) => {
                let fence = value.try_into().ok().map(|number| Fence::new(u64::from_le_bytes(number)));
                Ok(fence.map(|fence| Record { fence: Some(fence), left }))
            }
            Ok(None) => Ok(None),
            Err(error) if error.kind() == ErrorKind::Corrupt => Ok(None),
            Err(error) => Err(self.directory.classify(name, error)),
        }
    }

    fn put_claim(
        &self,
        name: &Name,
        key: &str,
        fence: Option<Fence>,
        time: Duration,
        now: SystemTime,
    ) -> Result<(), Error> {
        let number = fence.map(|fence| fence.get().to_le_bytes());
        // An answer's end is rounded down to the millisecond, and that of a claim up.
        let time = time.saturating_add(Duration::from_nanos(999_999));
        let mut contents = Contents::new(key, number.as_ref().map_or(&[], |number| &number[..]), Some(time));
        let file = self.directory.write_temporary(name, &mut contents, self.write_time(now))?;
        self.directory.put(name, Kind::Claim, file)
    }
}
