//! What follows a task: its client, the cache that stands in for the installed ones, and the flights it runs inside.
//!
//! All of it lives in the thread while the task runs there. It is entered on every poll and left after it, so it is right on
//! any executor and on none. Tasks that a body spawns start with an empty context.

use std::{
    any::Any,
    cell::{Cell, RefCell},
    fmt,
    mem::{self, ManuallyDrop},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use smallvec::SmallVec;

use super::{sync::thread_local, thread};

/// The flights that a task runs inside, outermost first: their ids. Few bodies nest deeper than what is inline.
#[derive(Clone)]
pub(crate) struct Ancestors(SmallVec<[u64; INLINE]>);

const INLINE: usize = 4;

impl Ancestors {
    const NONE: Self = Self(SmallVec::new_const());

    pub(crate) fn flights(&self) -> &[u64] {
        &self.0
    }

    #[inline]
    fn push(&mut self, flight: u64) {
        self.0.push(flight);
    }

    #[inline]
    fn pop(&mut self) {
        self.0.pop();
        // Nothing is left on the heap when the last one has gone.
        if self.0.spilled() && self.0.len() <= INLINE {
            self.0.shrink_to_fit();
        }
    }
}

/// A cache, whose type the base layer does not know.
pub(crate) type AnyCache = Arc<dyn Any + Send + Sync>;

/// What is in force for the running task.
#[derive(Clone)]
pub(crate) struct Scope {
    client: Option<Arc<str>>,
    cache: Option<AnyCache>,
}

impl Scope {
    const EMPTY: Self = Self { client: None, cache: None };

    /// What is in force here.
    fn current() -> Self {
        if is_scoped() { SCOPE.with(|scope| Self::clone(&scope.borrow())) } else { Self::EMPTY }
    }

    fn is_empty(&self) -> bool {
        self.client.is_none() && self.cache.is_none()
    }

    /// Puts this in force, and returns what was.
    fn enter(self) -> Self {
        SCOPED.with(|scoped| scoped.set(!self.is_empty()));
        thread::set_fast_path(self.cache.is_none());
        ManuallyDrop::into_inner(SCOPE.with(|cell| cell.replace(ManuallyDrop::new(self))))
    }
}

thread_local! {
    /// Whether [`SCOPE`] holds anything. A look-up can afford to ask this.
    static SCOPED: Cell<bool> = const { Cell::new(false) };
    /// Empty again whenever nothing is in force, so it needs no destructor, and other thread-locals' destructors can use it
    /// until the very end of the thread.
    static SCOPE: RefCell<ManuallyDrop<Scope>> = const { RefCell::new(ManuallyDrop::new(Scope::EMPTY)) };
    /// Empty outside all flights, like [`SCOPE`].
    static ANCESTORS: RefCell<ManuallyDrop<Ancestors>> = const { RefCell::new(ManuallyDrop::new(Ancestors::NONE)) };
}

/// A change in force. Dropping it puts back what was, also when the task panics.
pub(crate) enum Entered {
    Nothing,
    Flight(InFlight),
    Other(#[expect(dead_code, reason = "it is dropped")] Outer),
}

/// The task is inside a flight.
pub(crate) struct InFlight;

impl Drop for InFlight {
    #[inline]
    fn drop(&mut self) {
        ANCESTORS.with(|cell| cell.borrow_mut().pop());
    }
}

/// What was in force before.
pub(crate) enum Outer {
    /// All but so many flights.
    Flights(usize),
    Scope(Scope),
    All(Scope, Ancestors),
}

impl Drop for Outer {
    fn drop(&mut self) {
        let outer = match self {
            Self::Flights(count) => {
                return ANCESTORS.with(|cell| (0..*count).for_each(|_| cell.borrow_mut().pop()));
            }
            Self::Scope(outer) => outer,
            Self::All(outer, ancestors) => {
                put(mem::replace(ancestors, Ancestors::NONE));
                outer
            }
        };
        // The scope dropped here may hold the last reference to a cache, so not while the cell is borrowed.
        drop(mem::replace(outer, Scope::EMPTY).enter());
    }
}

/// Whether the running task is in any scope.
#[inline]
pub(crate) fn is_scoped() -> bool {
    SCOPED.with(Cell::get)
}

/// The client of the running task.
pub(crate) fn client() -> Option<Arc<str>> {
    SCOPE.with(|scope| scope.borrow().client.clone())
}

/// The cache that stands in for the installed ones.
pub(crate) fn cache() -> Option<AnyCache> {
    SCOPE.with(|scope| scope.borrow().cache.clone())
}

/// The flights that the running task is inside.
pub(crate) fn ancestors() -> Ancestors {
    ANCESTORS.with(|cell| Ancestors::clone(&cell.borrow()))
}

/// Puts ancestors in force, and returns those that were.
fn put(ancestors: Ancestors) -> Ancestors {
    ManuallyDrop::into_inner(ANCESTORS.with(|cell| cell.replace(ManuallyDrop::new(ancestors))))
}

/// Whether the installed caches are in force, on a thread that is known to be alive.
#[inline]
pub(crate) fn is_on_fast_path() -> bool {
    thread::fast_path()
}

/// Whether the running thread may use a cache. A thread that is ending may not, once it has lost the thread-locals for it.
pub(crate) fn may_use_caches() -> bool {
    thread::set_fast_path(cache().is_none())
}

pin_project! {
    /// A future with a scope of its own: what [`client_scope`] and [`scoped`](crate::scoped) return.
    #[must_use = "futures do nothing unless polled"]
    pub struct Scoped<F> {
        change: Change,
        // `None` once it has returned.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Scoped<F> {
        // A cancelled future is dropped in its scope as well.
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                let _entered = this.change.enter();
                this.future.set(None);
            }
        }
    }
}

/// What a [`Scoped`] future changes in the scope that it is polled in.
#[derive(Clone)]
pub(crate) enum Change {
    Nothing,
    Client(Arc<str>),
    Cache(AnyCache),
    /// It runs inside one more flight.
    Flight(u64),
    /// The same for several at once.
    Flights(Arc<[u64]>),
    /// Everything, to what was in force elsewhere.
    All(Scope, Ancestors),
}

/// Runs `future` in the scope that is in force here, wherever it is polled.
#[cfg(any(feature = "detach", feature = "http"))]
pub(crate) fn carry<F: Future>(future: F) -> Scoped<F> {
    Change::here().around(future)
}

/// Runs `future` for the client and the cache that are in force here, and inside no flight: none waits for it.
pub(crate) fn detach<F: Future>(future: F) -> Scoped<F> {
    Change::All(Scope::current(), Ancestors::NONE).around(future)
}

impl Change {
    /// To what is in force here.
    #[cfg(any(feature = "detach", feature = "http"))]
    pub(crate) fn here() -> Self {
        Self::All(Scope::current(), ancestors())
    }

    /// To what is in force here, for a client.
    #[cfg(feature = "http")]
    pub(crate) fn here_for(client: Arc<str>) -> Self {
        Self::All(Scope { client: Some(client), ..Scope::current() }, ancestors())
    }

    /// Runs `future` with this change.
    pub(crate) fn around<F: Future>(self, future: F) -> Scoped<F> {
        Scoped { change: self, future: Some(future) }
    }

    /// Calls `function` with this change.
    #[inline]
    pub(crate) fn around_sync<T>(self, function: impl FnOnce() -> T) -> T {
        let _entered = self.enter();
        function()
    }

    /// Puts the change in force, until what this returns is dropped.
    #[inline]
    pub(crate) fn enter(&self) -> Entered {
        match self {
            Self::Nothing => Entered::Nothing,
            Self::Flight(flight) => {
                ANCESTORS.with(|cell| cell.borrow_mut().push(*flight));
                Entered::Flight(InFlight)
            }
            Self::Flights(flights) => {
                ANCESTORS.with(|cell| flights.iter().for_each(|flight| cell.borrow_mut().push(*flight)));
                Entered::Other(Outer::Flights(flights.len()))
            }
            Self::Client(client) => Self::enter_scope(Scope { client: Some(Arc::clone(client)), ..Scope::current() }),
            Self::Cache(cache) => Self::enter_scope(Scope { cache: Some(Arc::clone(cache)), ..Scope::current() }),
            Self::All(scope, ancestors) => {
                let outer = put(ancestors.clone());
                Entered::Other(Outer::All(scope.clone().enter(), outer))
            }
        }
    }

    fn enter_scope(scope: Scope) -> Entered {
        Entered::Other(Outer::Scope(scope.enter()))
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let _entered = this.change.enter();
        let polled = this.future.as_mut().as_pin_mut().expect("polled after it has returned").poll(context);
        if polled.is_ready() {
            this.future.set(None);
        }
        polled
    }
}

impl<F> fmt::Debug for Scoped<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scoped").finish_non_exhaustive()
    }
}

/// Runs `future` for one client: other clients, and calls outside any client, never see its cached values.
///
/// The scope follows the future from thread to thread. It does not reach the tasks that the future spawns: give each its own.
/// A client with an empty name is a client like any other, and not the same as none.
///
/// ```
/// # use cache_request::client_scope;
/// # async fn page() {}
/// # async fn handler() {
/// client_scope("acme", page()).await;
/// # }
/// ```
pub fn client_scope<F: Future>(client: impl Into<Arc<str>>, future: F) -> Scoped<F> {
    Change::Client(client.into()).around(future)
}

/// Calls `function` for one client, like [`client_scope`].
pub fn client_scope_sync<T>(client: impl Into<Arc<str>>, function: impl FnOnce() -> T) -> T {
    Change::Client(client.into()).around_sync(function)
}
