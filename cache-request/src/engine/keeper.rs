//! Keeps the leases of running bodies: a thread renews them in time, and gives back those whose body made nothing.
//!
//! A body knows nothing of it, and may block its thread for as long as it likes. No call waits for a lease to be given back.

use std::{
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use crate::backend::{Fence, Guarded};

/// A lease is renewed so many times before it would end.
const RENEWALS: u32 = 3;

/// The lease of one key, which this process has. Dropping it gives it back.
pub(crate) struct Lease(Held);

/// What identifies a lease.
#[derive(Clone)]
struct Held {
    backend: Arc<Guarded>,
    text: Arc<str>,
    fence: Fence,
}

impl PartialEq for Held {
    fn eq(&self, other: &Self) -> bool {
        self.fence == other.fence && self.text == other.text && Arc::ptr_eq(&self.backend, &other.backend)
    }
}

impl Eq for Held {}

impl Hash for Held {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.fence.hash(state);
        self.text.hash(state);
    }
}

impl Lease {
    /// A lease that lasts for `time` from now on. It is renewed from then on.
    pub(crate) fn keep(backend: &Arc<Guarded>, text: &str, fence: Fence, time: Duration) -> Self {
        let held = Held { backend: Arc::clone(backend), text: text.into(), fence };
        imp::keep(&held, time);
        Self(held)
    }

    /// It is over: its value is stored, or may not be stored any more.
    pub(crate) fn end(self) {
        imp::forget(&self.0);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if imp::leave(&self.0) {
            imp::give_back(self.0.clone());
        }
    }
}

/// A claim that was sent, and whose answer may be lost with its caller.
pub(crate) struct Sent<'a> {
    backend: &'a Arc<Guarded>,
    text: &'a str,
    token: u64,
    is_answered: bool,
}

impl<'a> Sent<'a> {
    pub(crate) fn new(backend: &'a Arc<Guarded>, text: &'a str, token: u64) -> Self {
        Self { backend, text, token, is_answered: false }
    }

    pub(crate) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl Drop for Sent<'_> {
    /// Other processes need not wait until the lease ends by itself. Where the token is not the fence, they do.
    fn drop(&mut self) {
        if !self.is_answered {
            let (backend, text, fence) = (Arc::clone(self.backend), self.text.into(), Fence::new(self.token));
            imp::give_back(Held { backend, text, fence });
        }
    }
}

/// Whether a call of the same cache, in this process, has that lease.
pub(crate) fn is_own(backend: &Arc<Guarded>, text: &str, fence: Fence) -> bool {
    imp::is_kept(&Held { backend: Arc::clone(backend), text: text.into(), fence })
}

#[cfg(not(shuttle))]
mod imp {
    use std::{
        collections::HashMap,
        mem,
        pin::Pin,
        sync::{Condvar, Mutex},
        thread,
        time::{Duration, Instant},
    };

    use super::{Held, RENEWALS};
    use crate::base::{block_on::block_on, both::all, panic::catch_panic, process::PerProcess, sync::unpoisoned};

    /// So many operations are sent at a time.
    const AT_ONCE: usize = 64;

    /// The thread ends after it had nothing to do for so long.
    const IDLE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 10 });

    #[derive(Default)]
    struct Keeper {
        state: Mutex<State>,
        work: Condvar,
    }

    #[derive(Default)]
    struct State {
        kept: HashMap<Held, Kept>,
        /// No lease is to be renewed before.
        next: Option<Instant>,
        given_back: Vec<Held>,
        has_thread: bool,
    }

    struct Kept {
        /// The calls that make a value under it: one, unless others lead in its place.
        holders: usize,
        time: Duration,
        renew_at: Instant,
    }

    type Operation = Pin<Box<dyn Future<Output = ()> + Send>>;

    fn keeper() -> &'static Keeper {
        static KEEPER: PerProcess<Keeper> = PerProcess::new();
        KEEPER.get(Keeper::default)
    }

    pub(super) fn keep(held: &Held, time: Duration) {
        keeper().change(|state| {
            let renew_at = Instant::now() + time / RENEWALS;
            let is_earlier = state.next.is_none_or(|next| renew_at < next);
            if is_earlier {
                state.next = Some(renew_at);
            }
            state.kept.entry(held.clone()).or_insert(Kept { time, renew_at, holders: 0 }).holders += 1;
            is_earlier || !state.has_thread
        });
    }

    /// Keeps it no more. Returns whether it was kept until now.
    pub(super) fn forget(held: &Held) -> bool {
        unpoisoned(keeper().state.lock()).kept.remove(held).is_some()
    }

    /// One call less holds it. Returns whether that was the last one.
    pub(super) fn leave(held: &Held) -> bool {
        let mut state = unpoisoned(keeper().state.lock());
        let Some(kept) = state.kept.get_mut(held) else { return false };
        kept.holders -= 1;
        let is_left = kept.holders == 0;
        if is_left {
            state.kept.remove(held);
        }
        is_left
    }

    pub(super) fn give_back(held: Held) {
        keeper().change(|state| {
            state.given_back.push(held);
            true
        });
    }

    pub(super) fn is_kept(held: &Held) -> bool {
        unpoisoned(keeper().state.lock()).kept.contains_key(held)
    }

    impl Keeper {
        /// Changes the state. If `change` returns true, there is something to do for the thread.
        fn change(&'static self, change: impl FnOnce(&mut State) -> bool) {
            let mut state = unpoisoned(self.state.lock());
            if !change(&mut state) {
                return;
            }
            if !state.has_thread {
                let thread = thread::Builder::new().name("cache-request-keeper".to_owned());
                // Without a thread, leases end by themselves.
                state.has_thread = thread.spawn(|| self.run()).is_ok();
            }
            drop(state);
            self.work.notify_one();
        }

        fn run(&self) {
            while let Some(mut operations) = self.next() {
                while !operations.is_empty() {
                    let later = operations.split_off(operations.len().min(AT_ONCE));
                    catch_panic(|| block_on(all(mem::replace(&mut operations, later))));
                }
            }
        }

        /// Waits for operations that are due. `None` if the thread is to end.
        fn next(&self) -> Option<Vec<Operation>> {
            let mut state = unpoisoned(self.state.lock());
            loop {
                let operations = state.due(Instant::now());
                if !operations.is_empty() {
                    return Some(operations);
                }
                let left = state.next.map_or(IDLE, |next| next.saturating_duration_since(Instant::now()));
                let waited = unpoisoned(self.work.wait_timeout(state, left));
                state = waited.0;
                if waited.1.timed_out() && state.kept.is_empty() && state.given_back.is_empty() {
                    // Or else the next lease would seem to be renewed later than that.
                    state.next = None;
                    state.has_thread = false;
                    return None;
                }
            }
        }
    }

    /// Waits until the thread has ended, as it has nothing to do.
    #[cfg(test)]
    pub(super) fn until_idle() {
        while unpoisoned(keeper().state.lock()).has_thread {
            thread::yield_now();
        }
    }

    impl State {
        fn due(&mut self, now: Instant) -> Vec<Operation> {
            let mut operations: Vec<Operation> = Vec::new();
            for Held { backend, text, fence } in self.given_back.drain(..) {
                operations.push(Box::pin(async move {
                    // If it fails, the lease ends by itself.
                    let _ = backend.release(&text, fence).await;
                }));
            }
            if self.next.is_some_and(|next| next <= now) {
                for (held, kept) in self.kept.iter_mut().filter(|(_, kept)| kept.renew_at <= now) {
                    kept.renew_at = now + kept.time / RENEWALS;
                    let (held, time) = (held.clone(), kept.time);
                    operations.push(Box::pin(async move {
                        // If it was lost, the backend refuses the value. If that is not known, it is renewed again.
                        if let Ok(false) = held.backend.renew(&held.text, held.fence, time).await {
                            forget(&held);
                        }
                    }));
                }
                self.next = self.kept.values().map(|kept| kept.renew_at).min();
            }
            operations
        }
    }
}

/// A model has no time, so no lease ends by itself, and none is renewed.
#[cfg(shuttle)]
mod imp {
    use std::time::Duration;

    use super::Held;
    use crate::base::block_on::block_on;

    pub(super) fn keep(_: &Held, _: Duration) {}

    pub(super) fn forget(_: &Held) -> bool {
        true
    }

    pub(super) fn leave(_: &Held) -> bool {
        true
    }

    pub(super) fn give_back(held: Held) {
        let _ = block_on(held.backend.release(&held.text, held.fence));
    }

    /// A model's processes are in one process.
    pub(super) fn is_kept(_: &Held) -> bool {
        false
    }
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use std::{
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
        thread,
    };

    use super::*;
    use crate::{Backend, Error, backend::GuardLimits, base::clock::Clock};

    /// Counts how often a claim is renewed.
    #[derive(Default)]
    struct Renewals(Arc<AtomicUsize>);

    impl Backend for Renewals {
        async fn get(&self, _: &str) -> Result<Option<Vec<u8>>, Error> {
            Ok(None)
        }

        async fn set(&self, _: &str, _: &[u8], _: Option<Duration>) -> Result<(), Error> {
            Ok(())
        }

        async fn delete(&self, _: &str) -> Result<bool, Error> {
            Ok(false)
        }

        async fn clear(&self) -> Result<(), Error> {
            Ok(())
        }

        async fn renew(&self, _: &str, _: Fence, _: Duration) -> Result<bool, Error> {
            self.0.fetch_add(1, SeqCst);
            Ok(true)
        }
    }

    #[test]
    fn leases_were_not_renewed_after_the_thread_had_nothing_to_do() {
        let renewals = Renewals::default();
        let count = Arc::clone(&renewals.0);
        let backend = Arc::new(Guarded::new(Box::new(renewals), GuardLimits::default(), Clock::system()));
        for round in 1..4 {
            let lease = Lease::keep(&backend, "key", Fence::new(round), Duration::from_millis(3));
            let before = count.load(SeqCst);
            while count.load(SeqCst) < before + 2 {
                thread::yield_now();
            }
            lease.end();
            imp::until_idle();
        }
    }
}
