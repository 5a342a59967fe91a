//! Waits whose pauses do not end in a test's time: what ends them is that the backend tells of a change.

use std::{
    future::poll_fn,
    mem,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use crate::{
    Backend, Cache, Error,
    attribute::{
        each::{EachCall, values_policy},
        handle::Handle,
        private::Site,
    },
    backend::{Changes, Claim, Claimed, Fence, MemoryBackend},
    engine::{description::Instance, policy::Policy},
    key::Key,
    scoped,
};

static SITE: Site = Site::new("claiming", "claiming", &["id"], file!(), line!());

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Tells of changes, and keeps for how many keys it was asked.
struct Telling {
    memory: MemoryBackend,
    changes: Mutex<Option<Changes>>,
    looks: Mutex<Vec<usize>>,
    /// The first of the latest.
    key: Mutex<String>,
    /// It tells of so many changes while it is asked.
    tells_meanwhile: AtomicU32,
}

impl Telling {
    fn new() -> Arc<Self> {
        let memory = MemoryBackend::builder().build().unwrap();
        let (changes, looks, key) = (Mutex::default(), Mutex::default(), Mutex::default());
        Arc::new(Self { memory, changes, looks, key, tells_meanwhile: AtomicU32::new(0) })
    }

    fn tell(&self, key: &str) {
        if let Some(changes) = &*self.changes.lock().unwrap() {
            changes.changed(key);
        }
    }

    /// For how many keys it was asked, each time since the last call of this.
    fn looks(&self) -> Vec<usize> {
        mem::take(&mut *self.looks.lock().unwrap())
    }
}

impl Backend for Telling {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        self.memory.get(key).await
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        self.memory.set(key, value, timeout).await
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        self.memory.delete(key).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.memory.clear().await
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.claim_many(&[key], claim).await.swap_remove(0)
    }

    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        self.looks.lock().unwrap().push(keys.len());
        keys[0].clone_into(&mut self.key.lock().unwrap());
        let claimed = self.memory.claim_many(keys, claim).await;
        if self.tells_meanwhile.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            keys.iter().for_each(|key| self.tell(key));
        }
        claimed
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        let stored = self.memory.set_fenced(key, value, timeout, fence).await;
        self.tell(key);
        stored
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        self.memory.renew(key, fence, lease).await
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        self.memory.release(key, fence).await
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        self.memory.invalidate(key, refuse).await
    }

    fn track(&self, changes: Changes) -> bool {
        changes.begin();
        *self.changes.lock().unwrap() = Some(changes);
        true
    }
}

/// Counts how often it wakes.
#[derive(Default)]
struct Woken(AtomicU32);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// A call that is polled by hand.
struct Polled<'a, T> {
    call: Pin<Box<dyn Future<Output = T> + 'a>>,
    woken: Arc<Woken>,
}

impl<'a, T> Polled<'a, T> {
    fn new(call: impl Future<Output = T> + 'a) -> Self {
        Self { call: Box::pin(call), woken: Arc::default() }
    }

    fn poll(&mut self) -> Option<T> {
        match self.call.as_mut().poll(&mut Context::from_waker(&Waker::from(Arc::clone(&self.woken)))) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    /// How often it was woken since the last call of this.
    fn woken(&self) -> u32 {
        self.woken.0.swap(0, SeqCst)
    }
}

/// A cache of a process that makes values, and one of a process that is told of them. Its pauses are a day.
fn processes(backend: &Arc<Telling>) -> [Cache; 2] {
    let builder =
        || Cache::builder().backend(Arc::clone(backend)).soft_limit(DAY).lease(DAY).wait_limit(DAY).poll_limit(DAY);
    let told = builder().near_timeout(DAY).build().unwrap();
    [builder().build().unwrap(), told.with_pauses([DAY, DAY])]
}

async fn opened(gate: &AtomicBool) {
    poll_fn(|_| if gate.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }).await;
}

/// A call for one key. Its body ends when the gate is open.
fn one<'a>(cache: &'a Cache, id: u64, gate: &'a AtomicBool) -> Polled<'a, u64> {
    Polled::new(scoped(cache, async move {
        let body = async {
            opened(gate).await;
            id
        };
        let policy = Policy::<u64, u64>::whole().serialised();
        let handle = Handle::new(&SITE, Instance::of(&opened), policy, Key::build(|key| key.part(&id)), body);
        pin!(handle).call().await
    }))
}

/// A call for several keys. All its bodies end when the gate is open.
fn several<'a>(cache: &'a Cache, ids: &'a [u64], gate: &'a AtomicBool) -> Polled<'a, Vec<u64>> {
    Polled::new(scoped(cache, async move {
        let policy = values_policy::<Vec<u64>>().serialised();
        let body = |part: Option<Vec<u64>>| async move {
            opened(gate).await;
            part.unwrap_or_else(|| ids.to_vec())
        };
        let call = EachCall::new(&SITE, Instance::of(&opened), policy);
        call.answer(ids, |id| Key::build(|key| key.part(id)), |_, _| {}, body).await
    }))
}

fn waits(cache: &Cache) -> u64 {
    cache.stats().functions[0].lease_waits
}

#[test]
fn a_caller_that_waits_was_not_told_of_the_value() {
    let (backend, gate, shut) = (Telling::new(), AtomicBool::new(false), AtomicBool::new(false));
    let [maker, told] = processes(&backend);
    let mut makes = one(&maker, 1, &gate);
    assert_eq!(makes.poll(), None);
    backend.looks();
    let mut calls = [one(&told, 1, &shut), one(&told, 1, &shut)];
    for call in &mut calls {
        assert_eq!(call.poll(), None);
    }
    assert_eq!((waits(&told), backend.looks()), (1, vec![1]), "one of them asks, and the other one waits for it");
    backend.tell("another-key");
    assert_eq!((calls[0].woken(), calls[0].poll(), backend.looks()), (0, None, vec![]));
    gate.store(true, SeqCst);
    assert_eq!(makes.poll(), Some(1));
    assert_eq!(calls[0].woken(), 1);
    assert_eq!((calls[0].poll(), backend.looks()), (Some(1), vec![1]));
    assert_eq!((calls[1].poll(), backend.looks()), (Some(1), vec![]));
}

/// The look may have been before the change.
#[test]
fn a_caller_missed_what_was_told_while_it_looked() {
    let (backend, gate) = (Telling::new(), AtomicBool::new(false));
    let [maker, told] = processes(&backend);
    let mut makes = one(&maker, 1, &gate);
    assert_eq!(makes.poll(), None);
    let mut call = one(&told, 1, &gate);
    assert_eq!(call.poll(), None);
    backend.looks();
    let key = backend.key.lock().unwrap().clone();
    backend.tells_meanwhile.store(3, SeqCst);
    backend.tell(&key);
    assert_eq!((call.poll(), backend.looks()), (None, vec![1; 4]), "it looks after each");
    assert_eq!((call.poll(), backend.looks()), (None, vec![]));
}

#[test]
fn a_call_for_several_keys_looked_for_others_than_those_it_was_told_of() {
    let (backend, shut) = (Telling::new(), AtomicBool::new(false));
    let gates = [(); 2].map(|()| AtomicBool::new(false));
    let [maker, told] = processes(&backend);
    let mut makers = [several(&maker, &[1, 2], &gates[0]), several(&maker, &[3], &gates[1])];
    for makes in &mut makers {
        assert_eq!(makes.poll(), None);
    }
    backend.looks();
    let mut call = several(&told, &[1, 2, 3], &shut);
    assert_eq!((call.poll(), waits(&told), backend.looks()), (None, 3, vec![3]));
    backend.tell("another-key");
    assert_eq!((call.woken(), call.poll(), backend.looks()), (0, None, vec![]));
    gates[1].store(true, SeqCst);
    assert_eq!(makers[1].poll(), Some(vec![3]));
    assert_eq!((call.woken(), call.poll(), backend.looks()), (1, None, vec![1]));
    gates[0].store(true, SeqCst);
    assert_eq!(makers[0].poll(), Some(vec![1, 2]));
    assert!(call.woken() > 0);
    assert_eq!((call.poll(), backend.looks()), (Some(vec![1, 2, 3]), vec![2]));
}

#[test]
fn a_caller_left_its_wait_behind() {
    let (backend, gate) = (Telling::new(), AtomicBool::new(false));
    let [maker, told] = processes(&backend);
    let mut makes = one(&maker, 1, &gate);
    assert_eq!(makes.poll(), None);
    let mut call = one(&told, 1, &gate);
    assert_eq!(call.poll(), None);
    let woken = Arc::clone(&call.woken);
    drop(call);
    gate.store(true, SeqCst);
    assert_eq!(makes.poll(), Some(1));
    assert_eq!((woken.0.load(SeqCst), Arc::strong_count(&woken)), (0, 1));
}
