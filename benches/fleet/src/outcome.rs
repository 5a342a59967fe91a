//! What came of a simulated load.

use std::ops::Range;

use super::{Nanos, SECOND, load::Load};

/// One second of the fleet. Each count is of all its keys.
#[derive(Clone, Default)]
pub(crate) struct Second {
    pub(crate) calls: f64,
    pub(crate) near_hits: f64,
    /// Of each server.
    pub(crate) commands: Vec<f64>,
    /// Of these, scripts.
    pub(crate) scripts: f64,
    /// `GET`s, also by scripts.
    pub(crate) gets: f64,
    /// `MGET`s.
    pub(crate) mgets: f64,
    /// Of the commands, those for records of tags.
    pub(crate) of_tags: f64,
    /// Tags that were invalidated, and the attempts to name them in the sequence.
    pub(crate) invalidated_tags: f64,
    pub(crate) attempts: f64,
    /// Changes that each process is told of.
    pub(crate) told: f64,
    /// The same if the servers remembered who has read which key.
    pub(crate) told_by_key: f64,
    pub(crate) bodies: f64,
    /// Bodies that began beside another one of their key, or though there was a fresh value.
    pub(crate) extra: f64,
    /// Claims that another claim stands against.
    pub(crate) held: f64,
    /// Looks of callers that wait for a lease.
    pub(crate) polls: f64,
}

pub(crate) struct Outcome {
    pub(crate) seconds: Vec<Second>,
    from: Nanos,
    /// The last one is not whole.
    counted: Range<usize>,
    /// The largest age of an answer that was in a cache.
    pub(crate) oldest: Nanos,
    /// The longest time after an invalidation at which a value from before was returned.
    pub(crate) late: Nanos,
    /// The longest wait for the body of another process.
    pub(crate) longest_wait: Nanos,
    /// The longest body.
    pub(crate) bodies_took: Nanos,
    /// What servers would remember if they tracked keys: keys, and pairs of a key and a process.
    pub(crate) tracked: f64,
    pub(crate) pairs: f64,
}

impl Outcome {
    pub(crate) fn new(load: &Load) -> Self {
        let seconds = load.until.div_ceil(SECOND) as usize + 1;
        Self {
            seconds: vec![Second { commands: vec![0.0; load.servers], ..Second::default() }; seconds],
            from: load.from,
            counted: (load.from / SECOND) as usize..seconds - 1,
            oldest: 0,
            late: 0,
            longest_wait: 0,
            bodies_took: 0,
            tracked: 0.0,
            pairs: 0.0,
        }
    }

    pub(crate) fn second(&mut self, now: Nanos) -> &mut Second {
        &mut self.seconds[(now / SECOND) as usize]
    }

    pub(crate) fn answered(&mut self, now: Nanos, made: Nanos, late: Nanos) {
        if now >= self.from {
            self.oldest = self.oldest.max(now - made);
            self.late = self.late.max(late);
        }
    }

    pub(crate) fn waited(&mut self, begun: Nanos, now: Nanos, for_lease: bool) {
        if for_lease && now >= self.from {
            self.longest_wait = self.longest_wait.max(now - begun);
        }
    }

    fn counted(&self) -> &[Second] {
        &self.seconds[self.counted.clone()]
    }

    /// From now on these seconds count, and no others.
    pub(crate) fn count(&mut self, from: usize, until: usize) {
        self.counted = from..until;
    }

    pub(crate) fn sum(&self, of: impl Fn(&Second) -> f64) -> f64 {
        self.counted().iter().map(of).sum()
    }

    /// In a second.
    pub(crate) fn mean(&self, of: impl Fn(&Second) -> f64) -> f64 {
        self.sum(of) / self.counted().len() as f64
    }

    pub(crate) fn commands(&self) -> f64 {
        self.mean(|second| second.commands.iter().sum::<f64>())
    }

    /// The mean of the server that has most to do.
    pub(crate) fn busiest(&self) -> f64 {
        let servers = self.seconds[0].commands.len();
        (0..servers).map(|server| self.mean(|second| second.commands[server])).fold(0.0, f64::max)
    }

    /// The most commands of one server in one second.
    pub(crate) fn peak(&self) -> f64 {
        self.counted().iter().flat_map(|second| &second.commands).copied().fold(0.0, f64::max)
    }

    pub(crate) fn most(&self, of: impl Fn(&Second) -> f64) -> f64 {
        self.counted().iter().map(of).fold(0.0, f64::max)
    }

    /// The share of the calls that the near cache answers.
    pub(crate) fn hits(&self) -> f64 {
        self.sum(|second| second.near_hits) / self.sum(|second| second.calls)
    }
}
