//! The near cache of one process, with the queues of the library's store (`cache-request/src/store/shard.rs`): S3-FIFO, with a small queue of a
//! twentieth, three visits at most, and as many remembered keys as there are entries.

use std::collections::{HashMap, HashSet, VecDeque};

use super::Nanos;

const SMALL_SHARE: f64 = 20.0;
const MOST_VISITS: u8 = 3;

/// A value in front of the servers.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// When its body began.
    pub(crate) made: Nanos,
    pub(crate) due: Nanos,
    pub(crate) ends: Nanos,
    visits: u8,
    in_main: bool,
}

impl Entry {
    pub(crate) fn new(made: Nanos, due: Nanos, ends: Nanos) -> Self {
        Self { made, due, ends, visits: 0, in_main: false }
    }
}

#[derive(Default)]
struct Fifo {
    keys: VecDeque<u32>,
    weight: f64,
}

pub(crate) struct Near {
    room: f64,
    entries: HashMap<u32, Entry>,
    small: Fifo,
    main: Fifo,
    ghosts: Vec<u32>,
    stale: usize,
}

impl Near {
    pub(crate) fn new(room: f64) -> Self {
        Self {
            room,
            entries: HashMap::new(),
            small: Fifo::default(),
            main: Fifo::default(),
            ghosts: Vec::new(),
            stale: 0,
        }
    }

    /// A read.
    pub(crate) fn get(&mut self, key: u32, now: Nanos) -> Option<&mut Entry> {
        let entry = self.entries.get_mut(&key).filter(|entry| now < entry.ends)?;
        entry.visits = (entry.visits + 1).min(MOST_VISITS);
        Some(entry)
    }

    /// Removes an entry. Its place in the queue stays behind.
    pub(crate) fn remove(&mut self, key: u32, weights: &[f64]) {
        if let Some(entry) = self.entries.remove(&key) {
            self.queue(entry.in_main).weight -= weights[key as usize];
            self.stale += 1;
        }
    }

    /// Removes the entries of these keys.
    pub(crate) fn remove_all(&mut self, weights: &[f64], which: impl Fn(u32) -> bool) {
        let mut keys: Vec<u32> = self.entries.keys().copied().filter(|key| which(*key)).collect();
        keys.sort_unstable();
        keys.iter().for_each(|key| self.remove(*key, weights));
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::new(self.room);
    }

    pub(crate) fn put(&mut self, key: u32, mut entry: Entry, weights: &[f64]) {
        if let Some(older) = self.entries.get_mut(&key) {
            (entry.visits, entry.in_main) = (older.visits, older.in_main);
            *older = entry;
            return;
        }
        entry.in_main = self.place(key).is_some_and(|place| self.ghosts[place] == key + 1);
        let queue = self.queue(entry.in_main);
        queue.keys.push_back(key);
        queue.weight += weights[key as usize];
        self.entries.insert(key, entry);
        while self.small.weight + self.main.weight > self.room && self.entries.len() > 1 {
            self.evict(key, weights);
        }
        if self.stale > 64 && self.stale * 2 > self.small.keys.len() + self.main.keys.len() {
            self.sweep();
        }
    }

    fn evict(&mut self, spared: u32, weights: &[f64]) {
        let mut held = None;
        loop {
            let small_is_full = self.small.weight * SMALL_SHARE >= self.small.weight + self.main.weight;
            let from_main = !(self.main.keys.is_empty() || (small_is_full && !self.small.keys.is_empty()));
            let Some(key) = self.queue(from_main).keys.pop_front() else { break };
            let weight = weights[key as usize];
            let Some(entry) = self.entries.get_mut(&key).filter(|entry| entry.in_main == from_main) else {
                self.stale = self.stale.saturating_sub(1);
                continue;
            };
            if key == spared {
                held = Some(from_main);
                continue;
            }
            if entry.visits == 0 {
                self.entries.remove(&key);
                self.queue(from_main).weight -= weight;
                self.remember(key);
                break;
            }
            entry.visits = if from_main { entry.visits - 1 } else { 0 };
            entry.in_main = true;
            self.queue(from_main).weight -= weight;
            self.main.keys.push_back(key);
            self.main.weight += weight;
        }
        if let Some(in_main) = held {
            self.queue(in_main).keys.push_back(spared);
        }
    }

    fn sweep(&mut self) {
        let mut seen = HashSet::new();
        let entries = &self.entries;
        for (in_main, queue) in [(false, &mut self.small), (true, &mut self.main)] {
            queue
                .keys
                .retain(|key| entries.get(key).is_some_and(|entry| entry.in_main == in_main) && seen.insert(*key));
        }
        self.stale = 0;
    }

    fn queue(&mut self, in_main: bool) -> &mut Fifo {
        if in_main { &mut self.main } else { &mut self.small }
    }

    fn remember(&mut self, key: u32) {
        let places = self.entries.len().max(64).next_power_of_two();
        if self.ghosts.len() < self.entries.len().max(64) {
            self.ghosts = vec![0; places];
        }
        if let Some(place) = self.place(key) {
            self.ghosts[place] = key + 1;
        }
    }

    fn place(&self, key: u32) -> Option<usize> {
        let last = self.ghosts.len().checked_sub(1)?;
        Some((u64::from(key).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize & last)
    }
}
