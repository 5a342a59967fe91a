//! Whether a leader's future is polled after it was woken.

use std::{
    pin::Pin,
    ptr,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use pin_project_lite::pin_project;

use crate::base::{
    clock::{Clock, NEVER, Nanos, nanos},
    sync::{Mutex, lock},
};

/// A sign of life of one leader. A future that is held and not polled, such as a branch of a `select!` loop, has none once it was woken.
pub(crate) struct Pulse {
    clock: Clock,
    is_polled: AtomicBool,
    /// When it was woken, unless it was polled since. [`NEVER`] if it has nothing to do.
    woken: AtomicU64,
    /// How often it was polled.
    polls: AtomicU64,
    /// The task that has polled it last.
    task: Mutex<Option<TaskId>>,
    /// A waiter in the same task has seen that it is not polled.
    is_forgotten: AtomicBool,
}

impl Pulse {
    pub(super) fn new(clock: Clock) -> Arc<Self> {
        Arc::new(Self {
            clock,
            is_polled: AtomicBool::new(false),
            woken: AtomicU64::new(NEVER),
            polls: AtomicU64::new(0),
            task: Mutex::new(None),
            is_forgotten: AtomicBool::new(false),
        })
    }

    /// Whether it was not polled since it was woken, for so long or as its own task has seen.
    pub(super) fn is_lost(&self, limit: Duration) -> bool {
        let woken = self.woken.load(SeqCst);
        let overdue = || self.clock.coarse().saturating_sub(woken) >= nanos(limit);
        woken != NEVER && !self.is_polled.load(SeqCst) && (self.is_forgotten.load(SeqCst) || overdue())
    }

    /// Looks whether `task` polls a waiter and not this leader, though it was woken.
    ///
    /// A task that polls both may poll the waiter last in one turn and first in the next. So it takes a third look to tell.
    pub(super) fn look(&self, task: &Waker, earlier: Option<Looks>) -> Look {
        let waits = self.woken.load(SeqCst) != NEVER && !self.is_polled.load(SeqCst);
        if !waits || *lock(&self.task) != Some(TaskId::of(task)) {
            return Look::Elsewhere;
        }
        let polls = self.polls.load(SeqCst);
        let count = earlier.filter(|earlier| earlier.polls == polls).map_or(1, |earlier| earlier.count + 1);
        if count < 3 {
            return Look::Again(Looks { polls, count });
        }
        self.is_forgotten.store(true, SeqCst);
        Look::Forgotten
    }

    pub(super) fn wake(&self) {
        let _first = self.woken.compare_exchange(NEVER, self.now(), SeqCst, SeqCst);
    }

    fn begin_poll(&self, task: TaskId) {
        self.is_polled.store(true, SeqCst);
        *lock(&self.task) = Some(task);
        self.polls.fetch_add(1, SeqCst);
        self.is_forgotten.store(false, SeqCst);
        self.woken.store(NEVER, SeqCst);
    }

    /// A future that was woken while it was polled has its time from now on.
    fn end_poll(&self) {
        let _woken = self.woken.fetch_update(SeqCst, SeqCst, |woken| (woken != NEVER).then(|| self.now()));
        self.is_polled.store(false, SeqCst);
    }

    fn now(&self) -> Nanos {
        self.clock.coarse().min(NEVER - 1)
    }
}

/// Tells tasks apart by their wakers. A waker itself would keep its task alive.
#[derive(Clone, Copy, PartialEq, Eq)]
struct TaskId {
    data: usize,
    vtable: usize,
}

impl TaskId {
    fn of(task: &Waker) -> Self {
        Self { data: task.data().addr(), vtable: ptr::from_ref(task.vtable()).addr() }
    }
}

/// What a waiter finds of a leader.
pub(super) enum Look {
    /// It is polled, has nothing to do, or is another task's.
    Elsewhere,
    /// It has to be polled.
    Again(Looks),
    Forgotten,
}

/// Looks of one waiter at a leader that was not polled in between.
#[derive(Clone, Copy)]
pub(super) struct Looks {
    /// How often it was polled before.
    polls: u64,
    count: u32,
}

/// What notes the polls of a leader's future, and when it is woken.
pub(crate) struct Feeling {
    /// None for a thread that does nothing else.
    pulse: Option<Arc<Pulse>>,
    /// The future's waker, as long as it has one: a future that held its own task's waker would keep its task alive.
    noting: Weak<Noting>,
}

impl Feeling {
    pub(crate) fn of(pulse: Option<Arc<Pulse>>) -> Self {
        Self { pulse, noting: Weak::new() }
    }

    /// Polls the leader's future.
    pub(crate) fn poll<T>(
        &mut self,
        context: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let Some(pulse) = &self.pulse else { return poll(context) };
        let (waker, _polled) = begin_poll(pulse, &mut self.noting, context.waker());
        poll(&mut Context::from_waker(&waker))
    }
}

pin_project! {
    /// A leader's future.
    pub(crate) struct Felt<F> {
        #[pin]
        future: F,
        feeling: Feeling,
    }
}

impl<F> Felt<F> {
    pub(crate) fn new(future: F, pulse: Option<Arc<Pulse>>) -> Self {
        Self { future, feeling: Feeling::of(pulse) }
    }
}

/// Wakes the task, and notes when.
struct Noting {
    task: Waker,
    pulse: Arc<Pulse>,
}

impl Wake for Noting {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.pulse.wake();
        self.task.wake_by_ref();
    }
}

impl<F: Future> Future for Felt<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.feeling.poll(context, |context| this.future.poll(context))
    }
}

/// Begins a poll by `task`, which ends with the second value. The first one wakes the task, and notes when.
fn begin_poll<'a>(pulse: &'a Arc<Pulse>, noting: &mut Weak<Noting>, task: &Waker) -> (Waker, Polled<'a>) {
    // The same one as before if it can be, so that the future need not register another one.
    let known = noting.upgrade().filter(|noting| noting.task.will_wake(task));
    let known = known.unwrap_or_else(|| Arc::new(Noting { task: task.clone(), pulse: Arc::clone(pulse) }));
    *noting = Arc::downgrade(&known);
    pulse.begin_poll(TaskId::of(task));
    (Waker::from(known), Polled(pulse))
}

/// Ends a poll, also by a panic.
struct Polled<'a>(&'a Pulse);

impl Drop for Polled<'_> {
    fn drop(&mut self) {
        self.0.end_poll();
    }
}
