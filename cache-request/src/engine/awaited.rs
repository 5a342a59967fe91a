//! Changes in a backend that callers wait for, where it tells of them.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use foldhash::fast::RandomState;

use super::flight::watched::{WakerSlot, Watch, Watched};
use crate::base::sync::{Mutex, lock};

/// The first half of a BLAKE3 hash of a key's text.
pub(super) type Digest = u128;

/// The keys whose changes are awaited.
#[derive(Default)]
pub(super) struct Awaited {
    /// How many there are: seldom any, and all changes in the backend ask.
    count: AtomicUsize,
    // The hasher is seeded, because clients can choose keys with similar digests.
    keys: Mutex<HashMap<Digest, Waiters, RandomState>>,
}

struct Waiters {
    changes: Arc<Changes>,
    count: usize,
}

/// How often the value of a key has changed since there are waiters.
struct Changes(Watched<u64>);

impl Watch for Changes {
    type State = u64;

    fn watched(&self) -> &Watched<u64> {
        &self.0
    }
}

impl Awaited {
    /// Waits for changes of a key from now on.
    pub(super) fn wait(&self, digest: Digest) -> Awaiting<'_> {
        let mut keys = lock(&self.keys);
        let waiters =
            keys.entry(digest).or_insert_with(|| Waiters { changes: Arc::new(Changes(Watched::new(0))), count: 0 });
        waiters.count += 1;
        let changes = Arc::clone(&waiters.changes);
        self.count.store(keys.len(), SeqCst);
        drop(keys);
        let seen = changes.0.with(|count| *count);
        Awaiting { awaited: self, digest, slot: WakerSlot::at(changes), seen }
    }

    /// The value of a key has changed. No lock is held meanwhile, as wakers are foreign code.
    pub(super) fn tell(&self, digest: Digest) {
        if self.count.load(SeqCst) > 0 {
            let changes = lock(&self.keys).get(&digest).map(|waiters| Arc::clone(&waiters.changes));
            changes.iter().for_each(|changes| changes.tell());
        }
    }

    /// All values may have changed.
    pub(super) fn tell_all(&self) {
        if self.count.load(SeqCst) > 0 {
            let all: Vec<_> = lock(&self.keys).values().map(|waiters| Arc::clone(&waiters.changes)).collect();
            all.iter().for_each(|changes| changes.tell());
        }
    }

    fn leave(&self, digest: Digest) {
        let mut keys = lock(&self.keys);
        if let Entry::Occupied(mut waiters) = keys.entry(digest) {
            waiters.get_mut().count -= 1;
            if waiters.get().count == 0 {
                waiters.remove();
            }
        }
        self.count.store(keys.len(), SeqCst);
    }
}

impl Changes {
    fn tell(&self) {
        self.0.change(|count| *count += 1);
    }
}

/// A caller's wait for a change of a key.
pub(super) struct Awaiting<'a> {
    awaited: &'a Awaited,
    digest: Digest,
    slot: WakerSlot<Changes>,
    /// It has looked in the backend after so many changes.
    seen: u64,
}

impl Awaiting<'_> {
    /// The caller is about to look in the backend. A change that is told of from now on may be one that it does not see.
    pub(super) fn begin_look(&mut self) {
        self.seen = self.slot.watched.0.with(|count| *count);
    }

    /// Ready if there was a change since the caller has looked.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let seen = self.seen;
        self.slot.poll(context, |_, count| (*count != seen).then_some(()))
    }
}

impl Drop for Awaiting<'_> {
    fn drop(&mut self) {
        self.awaited.leave(self.digest);
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::{
        sync::atomic::AtomicU32,
        task::{Wake, Waker},
    };

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicU32);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, SeqCst);
        }
    }

    #[test]
    fn a_change_was_told_to_those_who_wait_for_another_key() {
        let awaited = Awaited::default();
        let woken = [(); 3].map(|()| Arc::new(Woken::default()));
        let wakers = woken.clone().map(Waker::from);
        let mut waits = [1, 1, 2].map(|digest| awaited.wait(digest));
        let poll = |wait: &mut Awaiting<'_>, waker| wait.poll(&Context::from_waker(waker)).is_ready();
        for (wait, waker) in waits.iter_mut().zip(&wakers) {
            assert!(!poll(wait, waker));
        }
        awaited.tell(1);
        awaited.tell(3);
        assert_eq!(woken.each_ref().map(|woken| woken.0.load(SeqCst)), [1, 1, 0]);
        assert!(poll(&mut waits[0], &wakers[0]) && poll(&mut waits[1], &wakers[1]) && !poll(&mut waits[2], &wakers[2]));
        // It looks, and waits on. The other one has not looked yet.
        waits[0].begin_look();
        assert!(!poll(&mut waits[0], &wakers[0]) && poll(&mut waits[1], &wakers[1]));
        awaited.tell_all();
        assert_eq!(woken.each_ref().map(|woken| woken.0.load(SeqCst)), [2, 1, 1]);
        drop(waits);
        assert!(lock(&awaited.keys).is_empty() && awaited.count.load(SeqCst) == 0);
        // There are none left to be told.
        awaited.tell(1);
        assert_eq!(woken.each_ref().map(Arc::strong_count), [2, 2, 2], "only the test and its wakers have them");
    }
}
