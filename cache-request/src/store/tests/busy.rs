//! Entries that are read all the time.

use std::sync::{
    Mutex,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use crate::{
    base::clock::{Clock, NEVER},
    key::Lookup,
    store::{
        AnyTable, RemovalCause, Slot,
        shard::Shard,
        table::{Look, MOST_VISITS, Queue},
        tables::Tables,
    },
};

/// A table each of whose entries is read again as soon as it was looked at.
struct Busy {
    queues: Mutex<Vec<Option<Queue>>>,
    looks: AtomicUsize,
}

impl Busy {
    fn entry(queue: Queue) -> Look {
        Look { ends: NEVER, weight: 1, visits: MOST_VISITS, queue }
    }
}

impl AnyTable for Busy {
    fn is_usable(&self, _: &Lookup<'_>, _: &Clock) -> Option<bool> {
        Some(true)
    }

    fn is_invalidated(&self, _: &Lookup<'_>) -> bool {
        false
    }

    fn look(&self, hash: u64) -> Option<Look> {
        self.queues.lock().unwrap()[hash as usize].map(Self::entry)
    }

    fn requeue(&self, hash: u64, queue: Queue, _: u8) {
        self.queues.lock().unwrap()[hash as usize] = Some(queue);
    }

    fn evict_if(&self, hash: u64, goes: &mut dyn FnMut(Look) -> bool) -> Result<Option<Look>, Look> {
        assert!(self.looks.fetch_add(1, Relaxed) < 1000, "it looks for an entry for ever");
        let Some(entry) = self.look(hash) else { return Ok(None) };
        if !goes(entry) {
            return Err(entry);
        }
        self.queues.lock().unwrap()[hash as usize] = None;
        Ok(Some(entry))
    }
}

/// It held the shard's lock for as long as other threads went on reading.
#[test]
fn a_search_for_an_entry_to_evict_did_not_end_while_all_are_read() {
    let tables = Tables::default();
    let table = tables.add(|_| Busy { queues: Mutex::new(vec![Some(Queue::Small); 10]), looks: AtomicUsize::new(0) });
    let mut shard = Shard::default();
    let slot = |hash| Slot { hash, table: 0 };
    (0..10).for_each(|hash| shard.admit(slot(hash), Queue::Small, 1));
    for left in (1..10).rev() {
        table.looks.store(0, Relaxed);
        assert_eq!(shard.evict(&tables, 0, Some(slot(9)), RemovalCause::Evicted), Some(1));
        assert_eq!((shard.weight(), table.queues.lock().unwrap().iter().flatten().count()), (left, left));
    }
    assert!(table.look(9).is_some(), "the newest is gone");
    assert_eq!(shard.evict(&tables, 0, Some(slot(9)), RemovalCause::Evicted), None);
}
