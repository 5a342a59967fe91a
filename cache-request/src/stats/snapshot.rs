//! A moment's counts, to read or serialise.

use std::time::Duration;

use super::{BreakerState, Count, Counters, Tracking};
use crate::ErrorKind;

/// What the functions of one cache did since they were first called.
///
/// `Display` prints one line a function, the busiest first, and below for each that missed why it did, and for each that had
/// faults what they were. A function that did nothing is left out, as one whose companion was only asked for a key, and so is
/// a column in which there is nothing.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Stats {
    /// One entry for each function that was called, or whose companion was, each type of a generic one by itself.
    pub functions: Vec<FunctionStats>,
    /// Bytes that the cache holds in this process's memory, the entries' overhead counted.
    pub held_bytes: u64,
    /// Entries that the cache holds in this process's memory.
    pub entries: u64,
    /// How its backend is; `None` for a cache in memory.
    pub backend: Option<BackendStats>,
}

/// How a cache's backend is.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct BackendStats {
    /// As of [`Backend::name`](crate::Backend::name).
    pub name: &'static str,
    /// Whether it is asked at all.
    pub breaker: BreakerState,
    /// How often it was found to fail too often, and was left alone.
    pub opened: u64,
    /// Operations under way at this moment.
    pub under_way: u64,
    /// How the memory in front of it is; `None` if there is none.
    pub near: Option<NearCacheStats>,
}

/// How the memory in front of a backend is. What it holds is counted as all that is held in memory.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct NearCacheStats {
    /// Whether it hears of changes.
    pub tracking: Tracking,
    /// Changes that the backend has told, also of what was not in front.
    pub changed: u64,
    /// How often changes may have been missed, so that all was dropped. An attempt to connect in vain counts as well.
    pub lost: u64,
}

/// What one function's cache did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct FunctionStats {
    /// Module and function, as in its keys.
    pub name: String,
    /// Calls answered from the cache.
    pub hits: u64,
    /// Calls that found nothing, by cause.
    pub misses: Misses,
    /// Calls answered by a body that was already running for another caller.
    pub coalesced: u64,
    /// Calls that ran with no cache: it is disabled or missing, or no key could be made.
    pub uncached: u64,
    /// How often the body ran to its end.
    pub bodies: u64,
    /// How long the bodies ran, in total.
    pub body_time: Duration,
    /// Entries held in this process's memory.
    pub entries: u64,
    /// Bytes held in this process's memory, the entries' overhead counted.
    pub held_bytes: u64,
    /// Bytes sent to the backend.
    pub written_bytes: u64,
    /// What went wrong in the cache or its backend, by cause; no call failed for it.
    pub faults: Faults,
}

/// Calls that found nothing in the cache and ran the body, by cause.
///
/// Evicted and invalidated keys are remembered for a while only; then they count as never seen.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Misses {
    /// The key was never stored, or that was too long ago to remember.
    pub never_seen: u64,
    /// Its timeout was over.
    pub expired: u64,
    /// It had made room for others.
    pub evicted: u64,
    /// It was invalidated.
    pub invalidated: u64,
    /// What was stored is garbage, of another version or type, or not vouched for by the cache's secret.
    pub undecodable: u64,
    /// The backend did not answer.
    pub backend_fault: u64,
}

impl Misses {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.never_seen + self.expired + self.evicted + self.invalidated + self.undecodable + self.backend_fault
    }
}

/// What went wrong in the cache or its backend, by cause: the [`ErrorKind`] of what is logged.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Faults {
    /// The backend took longer than a call waits.
    pub timeout: u64,
    /// The backend was not asked: it has failed too often, or has too much to do. Or one of its servers is lost, and the others
    /// go on.
    pub unavailable: u64,
    /// The backend could not do what it was asked: unreachable, full, refused; or its code panicked.
    pub backend: u64,
    /// A value could not be encoded, or would not have come back as it was.
    pub codec: u64,
    /// Stored bytes are not what was written, or are of another version or type.
    pub corrupt: u64,
    /// Stored bytes are not vouched for by the cache's secret.
    pub forged: u64,
    /// A value is larger than the cache or its backend takes.
    pub too_large: u64,
    /// The program's own code panicked that the cache ran: a clone, a condition, a serialiser.
    pub panic: u64,
    /// No key could be made of a call's arguments.
    pub key: u64,
}

impl Faults {
    fn read(counters: &Counters) -> Self {
        // No call that is under way can fail of the latter two, unless a backend of the program's own says so.
        let backend = [ErrorKind::Backend, ErrorKind::Config, ErrorKind::Installed];
        Self {
            timeout: counters.faults(ErrorKind::Timeout),
            unavailable: counters.faults(ErrorKind::Unavailable),
            backend: backend.into_iter().map(|kind| counters.faults(kind)).sum(),
            codec: counters.faults(ErrorKind::Codec),
            corrupt: counters.faults(ErrorKind::Corrupt),
            forged: counters.faults(ErrorKind::Forged),
            too_large: counters.faults(ErrorKind::TooLarge),
            panic: counters.faults(ErrorKind::Panic),
            key: counters.faults(ErrorKind::Key),
        }
    }

    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { timeout, unavailable, backend, codec, corrupt, forged, too_large, panic, key } = self;
        timeout + unavailable + backend + codec + corrupt + forged + too_large + panic + key
    }
}

impl FunctionStats {
    pub(crate) fn read(name: String, counters: &Counters, entries: usize, held_bytes: usize) -> Self {
        Self {
            name,
            hits: counters.get(Count::Hit),
            misses: Misses {
                never_seen: counters.get(Count::NeverSeen),
                expired: counters.get(Count::Expired),
                evicted: counters.get(Count::Evicted),
                invalidated: counters.get(Count::Invalidated),
                undecodable: counters.get(Count::Undecodable),
                backend_fault: counters.get(Count::BackendFault),
            },
            coalesced: counters.get(Count::Coalesced),
            uncached: counters.get(Count::Uncached),
            bodies: counters.get(Count::Bodies),
            body_time: Duration::from_nanos(counters.get(Count::BodyNanos)),
            entries: entries as u64,
            held_bytes: held_bytes as u64,
            written_bytes: counters.get(Count::WrittenBytes),
            faults: Faults::read(counters),
        }
    }

    /// The part of the calls that ran no body of their own, from 0 to 1; `None` before the first call.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than 52 bits")]
    pub fn hit_ratio(&self) -> Option<f64> {
        let calls = self.calls();
        (calls > 0).then(|| (self.hits + self.coalesced) as f64 / calls as f64)
    }

    /// How long one body took, on average.
    #[must_use]
    pub fn mean_body_time(&self) -> Option<Duration> {
        let nanos = self.body_time.as_nanos().checked_div(u128::from(self.bodies))?;
        Some(Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX)))
    }

    /// Calls that have come to an end in the cache: each is a hit, coalesced, a miss or uncached.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.hits + self.coalesced + self.misses.total() + self.uncached
    }
}

impl Stats {
    pub(crate) fn new(
        mut functions: Vec<FunctionStats>,
        entries: usize,
        held_bytes: usize,
        backend: Option<BackendStats>,
    ) -> Self {
        functions.sort_by(|a, b| b.calls().cmp(&a.calls()).then_with(|| a.name.cmp(&b.name)));
        Self { functions, held_bytes: held_bytes as u64, entries: entries as u64, backend }
    }

    /// The function of that name: `module.function`, as in its keys, or just its end after a dot.
    #[must_use]
    pub fn function(&self, name: &str) -> Option<&FunctionStats> {
        let ends = |long: &str| long.strip_suffix(name).is_some_and(|head| head.is_empty() || head.ends_with('.'));
        self.functions.iter().find(|function| ends(&function.name))
    }

    /// Calls answered from the cache, of all functions.
    #[must_use]
    pub fn hits(&self) -> u64 {
        self.functions.iter().map(|function| function.hits).sum()
    }

    /// Calls that found nothing, of all functions.
    #[must_use]
    pub fn misses(&self) -> u64 {
        self.functions.iter().map(|function| function.misses.total()).sum()
    }

    /// Bodies run, of all functions.
    #[must_use]
    pub fn bodies(&self) -> u64 {
        self.functions.iter().map(|function| function.bodies).sum()
    }

    /// Faults, of all functions.
    #[must_use]
    pub fn faults(&self) -> u64 {
        self.functions.iter().map(|function| function.faults.total()).sum()
    }
}
