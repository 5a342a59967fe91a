//! What runs for the keys of one shard of the memory.

#[cfg(feature = "http")]
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::{sync::Arc, time::Duration};

use hashbrown::HashTable;
use papaya::Equivalent;
use smallvec::SmallVec;

use super::{
    fence::{Arrival, Fence},
    group::Group,
    pulse::Pulse,
    queue::{End, Queue},
};
use crate::{
    key::{Lookup, OwnedKey},
    store::Store,
};

/// This process's memory. Each shard has what runs for its keys, beside their values.
pub(crate) type Memory = Store<Running>;

/// One function's key.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FlightKey<'k> {
    pub(crate) function: u32,
    pub(crate) key: Lookup<'k>,
}

/// A flight, and the hash of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlightId {
    pub(super) hash: u64,
    pub(super) number: u64,
}

/// What runs for the keys of one shard, whose lock guards it.
#[derive(Default)]
pub(crate) struct Running(HashTable<Entry>);

/// What runs for one key. It is there while a body runs or a caller waits.
pub(super) struct Entry {
    function: u32,
    hash: u64,
    key: OwnedKey,
    line: Line,
    /// The oldest first. A key seldom has more than one.
    flights: SmallVec<[Flight; 1]>,
}

/// Where callers of a key stand.
pub(super) enum Line {
    /// They may not wait for what runs, as that began before an invalidation.
    Closed,
    /// Behind the leader of this flight, where no caller stands yet. The first one to stand there makes a queue of it.
    Behind(u64),
    Queue(Arc<Queue>),
}

/// One running body.
pub(super) struct Flight {
    number: u64,
    /// Stands for its body when one waits for another.
    body: u64,
    /// Where its leader stands, if others do or may have done so.
    queue: Option<Arc<Queue>>,
    pulse: Option<Arc<Pulse>>,
    /// It refreshes or replaces a cached value, which stays valid until it ends.
    supersedes: bool,
    /// The key was invalidated while the body ran, so its value is outdated and not stored.
    is_fenced: bool,
    /// Another caller leads in its place.
    is_passed_over: bool,
    /// Of its value at the backend.
    arrival: Option<Arc<Arrival>>,
    #[cfg(feature = "http")]
    check: Option<Arc<AtomicBool>>,
}

/// A flight that has ended.
pub(super) struct Ended {
    /// Where its leader stood. It may have the last value of the user's, so it is not dropped under the lock.
    pub(super) queue: Option<Arc<Queue>>,
    pub(super) is_fenced: bool,
    /// Those who wait do so for the leader in its place.
    pub(super) is_passed_over: bool,
    /// The key, if nothing else runs for it.
    pub(super) key: Option<OwnedKey>,
}

impl Running {
    /// What runs for a key.
    #[inline]
    pub(super) fn of(&mut self, key: FlightKey<'_>) -> Option<&mut Entry> {
        // Mostly nothing runs in a shard, and then it need not be searched.
        if self.0.is_empty() { None } else { self.0.find_mut(key.key.hash, |entry| entry.has_key(key)) }
    }

    /// Starts a flight. `line` is where further callers stand, unless they stand where they stood.
    pub(super) fn start(&mut self, key: FlightKey<'_>, flight: Flight, line: Option<Line>) {
        if let Some(entry) = self.of(key) {
            entry.flights.push(flight);
            if let Some(line) = line {
                entry.line = line;
            }
            return;
        }
        let (FlightKey { function, key }, line) = (key, line.unwrap_or(Line::Closed));
        let flights = SmallVec::from_buf([flight]);
        let entry = Entry { function, hash: key.hash, key: key.words.into(), line, flights };
        self.0.insert_unique(key.hash, entry, |entry| entry.hash);
    }

    pub(super) fn flight(&mut self, id: FlightId) -> Option<&mut Flight> {
        let (entry, at) = self.place(id)?;
        entry.flights.get_mut(at)
    }

    /// Fences the flights of the key that are older than this one, so that none of them stores its value over this one's.
    pub(super) fn overtake(&mut self, id: FlightId, fence: &mut Fence) {
        if let Some((entry, at)) = self.place(id) {
            entry.flights[..at].iter_mut().for_each(|older| older.fence(fence));
        }
    }

    /// The entry of a flight, and its place there.
    fn place(&mut self, id: FlightId) -> Option<(&mut Entry, usize)> {
        let entry = self.0.find_mut(id.hash, |entry| entry.place(id.number).is_some())?;
        let at = entry.place(id.number)?;
        Some((entry, at))
    }

    /// Ends a flight whose value goes into memory, and overtakes the older ones. Their values go there as well, so no fence has to wait
    /// for one.
    pub(super) fn land(&mut self, id: FlightId) -> Option<Ended> {
        self.end_after(id, End::Done, |older| older.iter_mut().for_each(|older| older.fence(&mut Fence::default())))
    }

    /// Ends a flight, and closes its queue if it has a value for that.
    pub(super) fn end(&mut self, id: FlightId, end: End) -> Option<Ended> {
        self.end_after(id, end, |_| {})
    }

    /// Ends a flight, after a look at the older ones.
    fn end_after(&mut self, id: FlightId, end: End, look: impl FnOnce(&mut [Flight])) -> Option<Ended> {
        let mut found = self.0.find_entry(id.hash, |entry| entry.place(id.number).is_some()).ok()?;
        let entry = found.get_mut();
        let at = entry.place(id.number)?;
        look(&mut entry.flights[..at]);
        let Flight { queue, is_fenced, is_passed_over, .. } = entry.flights.remove(at);
        if let Some(queue) = queue.as_ref().filter(|_| !is_passed_over) {
            queue.end_running(end);
            if end == End::Done {
                entry.close_if(queue);
            }
        } else if matches!(entry.line, Line::Behind(number) if number == id.number) {
            entry.line = Line::Closed;
        }
        let key = entry.tidy().then(|| found.remove().0.key);
        Some(Ended { queue, is_fenced, is_passed_over, key })
    }

    /// Sends later callers elsewhere than to `queue`.
    pub(super) fn close_queue(&mut self, hash: u64, queue: &Arc<Queue>) {
        if let Some(entry) = self.0.find_mut(hash, |entry| entry.is_queue(queue)) {
            entry.line = Line::Closed;
        }
    }

    /// Sends later callers of some functions' keys elsewhere, and fences what runs for these keys.
    pub(super) fn fence_where(&mut self, fenced: impl Fn(u32) -> bool, fence: &mut Fence) {
        self.0.iter_mut().filter(|entry| fenced(entry.function)).for_each(|entry| entry.fence(fence));
    }

    /// Sends later callers elsewhere.
    pub(super) fn close_all(&mut self) {
        self.0.iter_mut().for_each(|entry| entry.line = Line::Closed);
    }

    /// Forgets a queue that all have left.
    pub(super) fn tidy(&mut self, hash: u64, queue: &Arc<Queue>) {
        if let Ok(mut found) = self.0.find_entry(hash, |entry| entry.is_queue(queue))
            && found.get_mut().tidy()
        {
            found.remove();
        }
    }

    #[cfg(all(test, shuttle))]
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Entry {
    fn has_key(&self, key: FlightKey<'_>) -> bool {
        self.function == key.function && key.key.equivalent(&self.key)
    }

    fn place(&self, number: u64) -> Option<usize> {
        self.flights.iter().position(|flight| flight.number == number)
    }

    /// Whether callers may wait for what runs.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.line, Line::Closed)
    }

    /// Whether what callers may wait for is to replace a value that stays valid until then.
    pub(super) fn is_for_newer(&self) -> bool {
        match &self.line {
            Line::Closed => false,
            Line::Behind(number) => self.flights.iter().any(|flight| flight.number == *number && flight.supersedes),
            Line::Queue(queue) => queue.is_for_newer(),
        }
    }

    pub(super) fn is_queue(&self, queue: &Arc<Queue>) -> bool {
        matches!(&self.line, Line::Queue(own) if Arc::ptr_eq(own, queue))
    }

    fn close_if(&mut self, queue: &Arc<Queue>) {
        if self.is_queue(queue) {
            self.line = Line::Closed;
        }
    }

    /// The queue for one more caller, if it may wait for what runs.
    pub(super) fn queue(&mut self, max_leaders: usize) -> Option<Arc<Queue>> {
        match &self.line {
            Line::Closed => None,
            Line::Queue(queue) => Some(Arc::clone(queue)),
            Line::Behind(number) => {
                let number = *number;
                let leader = self.flights.iter_mut().find(|flight| flight.number == number)?;
                let queue = Queue::new(leader.number, leader.body, leader.supersedes, max_leaders);
                queue.begin_running();
                leader.queue = Some(Arc::clone(&queue));
                self.line = Line::Queue(Arc::clone(&queue));
                Some(queue)
            }
        }
    }

    /// Sends later callers elsewhere, and fences what runs. The flights stay registered so that concurrent invalidations can still fence
    /// them: each invalidation relies only on what it has fenced itself.
    pub(super) fn fence(&mut self, fence: &mut Fence) {
        self.line = Line::Closed;
        self.flights.iter_mut().for_each(|flight| flight.fence(fence));
    }

    /// Those who lead in a queue, without those that others lead in the place of.
    fn leaders(&mut self, queue: &Arc<Queue>) -> impl Iterator<Item = &mut Flight> {
        let leads = |own: &Arc<Queue>| Arc::ptr_eq(own, queue);
        self.flights.iter_mut().filter(move |flight| !flight.is_passed_over && flight.queue.as_ref().is_some_and(leads))
    }

    /// The pulses of those who lead in a queue.
    pub(super) fn pulses(&mut self, queue: &Arc<Queue>) -> SmallVec<[Arc<Pulse>; 1]> {
        self.leaders(queue).filter_map(|flight| flight.pulse.clone()).collect()
    }

    /// Makes room in place of the queue's leaders that are not polled any more, and fences their flights.
    pub(super) fn pass_over(&mut self, queue: &Arc<Queue>, poll_limit: Duration, fence: &mut Fence) {
        let is_lost = |flight: &&mut Flight| flight.pulse.as_ref().is_some_and(|pulse| pulse.is_lost(poll_limit));
        for flight in self.leaders(queue).filter(is_lost) {
            flight.is_passed_over = true;
            flight.fence(fence);
            queue.end_running(End::Abandoned);
        }
    }

    /// Forgets a queue that all have left. Returns whether nothing is left.
    fn tidy(&mut self) -> bool {
        if matches!(&self.line, Line::Queue(queue) if queue.is_empty()) {
            self.line = Line::Closed;
        }
        !self.is_open() && self.flights.is_empty()
    }
}

impl Flight {
    pub(super) fn new(number: u64, pulse: Option<Arc<Pulse>>) -> Self {
        Self {
            number,
            body: number,
            queue: None,
            pulse,
            supersedes: false,
            is_fenced: false,
            is_passed_over: false,
            arrival: None,
            #[cfg(feature = "http")]
            check: None,
        }
    }

    /// One of several that a call runs with one body.
    pub(super) fn in_group(number: u64, group: &Group) -> Self {
        Self { body: group.number, ..Self::new(number, group.pulse()) }
    }

    pub(super) fn leading_in(self, queue: &Arc<Queue>) -> Self {
        Self { queue: Some(Arc::clone(queue)), ..self }
    }

    pub(super) fn superseding(self) -> Self {
        Self { supersedes: true, ..self }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn body(&self) -> u64 {
        self.body
    }

    pub(super) fn pulse(&self) -> Option<Arc<Pulse>> {
        self.pulse.clone()
    }

    pub(super) fn queue(&self) -> Option<&Arc<Queue>> {
        self.queue.as_ref()
    }

    pub(super) fn is_fenced(&self) -> bool {
        self.is_fenced
    }

    /// Whether others lead in its place.
    pub(super) fn is_passed_over(&self) -> bool {
        self.is_passed_over
    }

    fn fence(&mut self, fence: &mut Fence) {
        self.is_fenced = true;
        if let Some(arrival) = &self.arrival {
            fence.add(arrival);
        }
        #[cfg(feature = "http")]
        if let Some(check) = &self.check {
            check.store(true, SeqCst);
        }
    }

    /// Announces a value on its way to the backend, unless the flight is fenced.
    pub(super) fn begin_storing(&mut self) -> Option<Arc<Arrival>> {
        if self.is_fenced {
            return None;
        }
        Some(Arc::clone(self.arrival.get_or_insert_with(Arrival::new)))
    }

    /// Tells whether the flight is fenced, also after its end.
    #[cfg(feature = "http")]
    pub(super) fn check(&mut self) -> Arc<AtomicBool> {
        Arc::clone(self.check.get_or_insert_with(|| Arc::new(AtomicBool::new(self.is_fenced))))
    }
}
