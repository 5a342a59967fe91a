//! What the body of a call can ask of that call and say to it: [`this_call`].
//!
//! The thread has the [`Frame`] of the body that it polls. Each body brings its own, which it swaps in at each poll and out again after it. A
//! frame says why the body runs, and points to what was [`Said`], which is made when the body asks for its call.

use std::{
    any::type_name,
    cell::Cell,
    fmt,
    mem::{self, ManuallyDrop},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;

#[cfg(feature = "http")]
use super::Engine;
use super::{
    flight::Shared,
    tagging::{CacheId, Used},
};
use crate::{
    base::{
        clock::Clock,
        panic::{PanicSafe, catch_panic},
        sync::{Mutex, lock, thread_local},
    },
    key::{Lookup, OwnedKey},
    store::{
        Freshness, Seen, Table,
        tags::{Stamps, TagId},
    },
};

/// Why a body runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Reason {
    /// No body of an annotated function runs here.
    #[default]
    NotCalled,
    /// The call has no cache: that is disabled or not installed, no key could be made of the arguments, or [`uncached`](crate::Handle::uncached)
    /// was called.
    Uncached,
    /// There is no value, and the cache knows of no earlier one.
    NeverSeen,
    /// The value's time is over.
    Expired,
    /// The value had to make room.
    Evicted,
    /// The value was invalidated.
    Invalidated,
    /// The value is replaced before its timeout is over, as `early` says.
    Early,
    /// The value's timeout is over, or it was invalidated softly, and callers get it until this body has a new one, as `stale` says.
    Stale,
    /// [`refresh`](crate::Handle::refresh) was called.
    Refresh,
    /// The backend has bytes that are no value of this function.
    Undecodable,
    /// The backend could not be asked.
    BackendFault,
}

/// What the body says of its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Wish {
    /// Before `jitter`. None for that of the attribute.
    timeout: Option<Duration>,
    keep: bool,
    /// The answer is the older value.
    keep_stale: bool,
}

/// The value that there was before a body ran. It is read when the body asks for it.
pub(super) struct Older {
    /// Its timeout is known not to be over.
    pub(super) is_fresh: bool,
    /// Its tags.
    tags: Box<[TagId]>,
    read: Box<dyn Fn() -> Option<Shared> + Send + Sync>,
}

impl Older {
    pub(super) fn of<V: Send + Sync + 'static>(
        is_fresh: bool,
        value: Arc<PanicSafe<V>>,
        tags: Box<[TagId]>,
    ) -> Box<Self> {
        let value: Shared = value;
        Box::new(Self { is_fresh, tags, read: Box::new(move || Some(Arc::clone(&value))) })
    }

    /// A value that is made when it is asked for.
    pub(super) fn made_by<V: Send + Sync + 'static>(
        tags: Box<[TagId]>,
        make: impl Fn() -> Option<V> + Send + Sync + 'static,
    ) -> Box<Self> {
        let read = move || Some(Arc::new(PanicSafe::new(make()?)) as Shared);
        Box::new(Self { is_fresh: false, tags, read: Box::new(read) })
    }

    /// A value that stays in memory until it is asked for.
    pub(super) fn in_memory<V: Clone + Send + Sync + 'static>(
        (is_fresh, tags): (bool, Box<[TagId]>),
        table: Arc<Table<V>>,
        key: Lookup<'_>,
        clock: Clock,
    ) -> Box<Self> {
        let (hash, key) = (key.hash, OwnedKey::from(key.words));
        let read = move || {
            let key = Lookup { hash, words: key.words() };
            let clone = |value: &V, freshness: Freshness<'_>, _: Seen<'_>| {
                let is_there = !matches!(freshness, Freshness::Expired);
                is_there.then(|| Arc::new(PanicSafe::new(value.clone())) as Shared)
            };
            catch_panic(|| table.look_closely(&key, clock.coarse(), clone))??
        };
        Box::new(Self { is_fresh, tags, read: Box::new(read) })
    }
}

/// What the body of a call knows of it, and has said.
pub(crate) struct Said {
    older: Option<Box<Older>>,
    /// It stays the same for one body.
    read: OnceLock<Option<Shared>>,
    wish: Mutex<Wish>,
    /// The tags of what the body has used.
    used: Mutex<Used>,
}

impl Said {
    fn new(older: Option<Box<Older>>) -> Self {
        let wish = Mutex::new(Wish { timeout: None, keep: true, keep_stale: false });
        Self { older, read: OnceLock::new(), wish, used: Mutex::default() }
    }

    fn older(&self) -> Option<&Shared> {
        let older = self.older.as_ref()?;
        let read = || {
            let value = (older.read)()?;
            lock(&self.used).build_on(&older.tags);
            Some(value)
        };
        self.read.get_or_init(read).as_ref()
    }

    #[cfg(feature = "http")]
    pub(crate) fn begin() -> Arc<Self> {
        Arc::new(Self::new(None))
    }

    /// Names a tag.
    #[cfg(feature = "http")]
    pub(crate) fn name_tag(&self, tag: &str) {
        lock(&self.used).name(tag);
    }

    /// Names the tags of an older value.
    #[cfg(feature = "http")]
    pub(crate) fn name_tags_of(&self, stamps: &Stamps) {
        lock(&self.used).name_all(stamps);
    }

    /// Adds the tags of a value of this cache.
    #[cfg(feature = "http")]
    pub(crate) fn inherit(&self, engine: &Engine, stamps: &Stamps) {
        lock(&self.used).inherit(CacheId::of(engine), stamps);
    }

    /// Looks at the tags of what the body has used.
    pub(super) fn used<T>(&self, look: impl FnOnce(&Used) -> T) -> T {
        look(&lock(&self.used))
    }

    /// What the body has used, the body around it has used as well.
    pub(crate) fn pass_on(&self) {
        // One lock at a time.
        let own = lock(&self.used).clone();
        _ = use_in_body(|used| used.append(&own));
    }

    fn wish(&self, change: impl FnOnce(&mut Wish)) -> bool {
        change(&mut lock(&self.wish));
        true
    }
}

/// What the thread has of the call whose body it polls.
#[derive(Default)]
pub(crate) struct Frame {
    reason: Reason,
    said: Option<Arc<Said>>,
}

thread_local! {
    /// Empty outside all bodies, so it needs no destructor.
    static CALL: Cell<ManuallyDrop<Frame>> = const { Cell::new(ManuallyDrop::new(Frame::NOT_CALLED)) };
}

#[inline]
fn swap(frame: Frame) -> Frame {
    ManuallyDrop::into_inner(CALL.with(|call| call.replace(ManuallyDrop::new(frame))))
}

impl Frame {
    const NOT_CALLED: Self = Self { reason: Reason::NotCalled, said: None };
    pub(crate) const UNCACHED: Self = Self { reason: Reason::Uncached, said: None };

    pub(super) fn new(reason: Reason, older: Option<Box<Older>>) -> Self {
        Self { reason, said: older.map(|older| Arc::new(Said::new(Some(older)))) }
    }

    /// Puts it in force, until what this returns is dropped.
    #[inline]
    pub(super) fn enter(&mut self) -> InForce<'_> {
        *self = swap(mem::take(self));
        InForce(self)
    }

    /// Calls `function` with it in force.
    #[inline]
    pub(super) fn around<T>(&mut self, function: impl FnOnce() -> T) -> T {
        let _in_force = self.enter();
        function()
    }

    /// What the body has said, if anything.
    pub(crate) fn said(&self) -> Option<&Said> {
        self.said.as_deref()
    }

    /// One for what is no call of an annotated function. The tags of what that uses go to `said`.
    #[cfg(feature = "http")]
    pub(crate) fn noting_tags(said: &Arc<Said>) -> Self {
        Self { reason: Reason::NotCalled, said: Some(Arc::clone(said)) }
    }

    fn is_in_body(&self) -> bool {
        self.reason != Reason::NotCalled || self.said.is_some()
    }

    /// The call, which a body asks for.
    fn call(&mut self) -> ThisCall {
        let said = self.is_in_body().then(|| Arc::clone(self.said_or_new()));
        ThisCall { reason: self.reason, said }
    }

    /// What the body has used, the body around it has used as well.
    pub(super) fn pass_on(&self) {
        if let Some(said) = &self.said {
            said.pass_on();
        }
    }

    fn said_or_new(&mut self) -> &Arc<Said> {
        self.said.get_or_insert_with(|| Arc::new(Said::new(None)))
    }
}

impl Said {
    /// Whether the body's answer may be kept, and for how long, if the body has said that.
    pub(super) fn wishes_to_keep(&self) -> (bool, Option<Duration>) {
        let wish = lock(&self.wish);
        (wish.keep, wish.timeout)
    }

    /// The older value, if the body has made it its answer. A panic of its `Clone` is one of the body: that has no other answer.
    pub(super) fn kept_stale<V: Clone + Send + Sync + 'static>(&self) -> Option<V> {
        if !lock(&self.wish).keep_stale {
            return None;
        }
        self.older()?.downcast_ref::<PanicSafe<V>>()?.get().cloned()
    }
}

/// A frame in force. What was before comes back when it is dropped, also when the body panics.
pub(crate) struct InForce<'a>(&'a mut Frame);

impl Drop for InForce<'_> {
    #[inline]
    fn drop(&mut self) {
        *self.0 = swap(mem::take(self.0));
    }
}

pin_project! {
    /// A body that has a frame whenever it is polled, and where it is dropped, also if it is cancelled.
    pub(crate) struct Framed<'f, F> {
        frame: &'f mut Frame,
        // `None` once it has returned.
        #[pin]
        body: Option<F>,
    }

    impl<F> PinnedDrop for Framed<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.body.is_some() {
                let _in_force = this.frame.enter();
                this.body.set(None);
            }
        }
    }
}

impl<'f, F: Future> Framed<'f, F> {
    pub(crate) fn new(frame: &'f mut Frame, body: F) -> Self {
        Self { frame, body: Some(body) }
    }
}

impl<F: Future> Future for Framed<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.frame.around(|| poll_once(this.body, context))
    }
}

pin_project! {
    /// A future that is a part of a body: what [`ThisCall::around`] returns.
    #[must_use = "futures do nothing unless polled"]
    pub struct InCall<F> {
        call: ThisCall,
        // `None` once it has returned.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for InCall<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.future.is_some() {
                this.call.around_sync(|| this.future.set(None));
            }
        }
    }
}

impl<F: Future> Future for InCall<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        this.call.around_sync(|| poll_once(this.future, context))
    }
}

impl<F> fmt::Debug for InCall<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InCall").finish_non_exhaustive()
    }
}

/// Polls a future, and drops it once it has returned.
fn poll_once<F: Future>(mut future: Pin<&mut Option<F>>, context: &mut Context<'_>) -> Poll<F::Output> {
    let polled = future.as_mut().as_pin_mut().expect("polled after it has returned").poll(context);
    if polled.is_ready() {
        future.set(None);
    }
    polled
}

/// Runs a body without a cache.
pub(crate) async fn uncached<F: Future>(body: F) -> F::Output {
    let mut frame = Frame::UNCACHED;
    let answer = Framed::new(&mut frame, body).await;
    frame.pass_on();
    answer
}

/// The same for a plain function.
pub(crate) fn uncached_sync<T>(body: impl FnOnce() -> T) -> T {
    let mut frame = Frame::UNCACHED;
    let answer = frame.around(body);
    frame.pass_on();
    answer
}

/// The body that runs here, if one does, has got a cached value with these tags.
#[inline]
pub(super) fn inherit(cache: CacheId, stamps: &Stamps) {
    if !stamps.is_empty() {
        _ = use_in_body(|used| used.inherit(cache, stamps));
    }
}

/// Returns whether there is such a body, with a cache that may keep its answer.
#[inline(never)]
fn use_in_body(change: impl FnOnce(&mut Used)) -> bool {
    let mut frame = swap(Frame::NOT_CALLED);
    if frame.is_in_body() {
        change(&mut lock(&frame.said_or_new().used));
    }
    let is_cached = frame.is_in_body() && frame.reason != Reason::Uncached;
    swap(frame);
    is_cached
}

/// The call whose body runs here.
///
/// In the body of an annotated function, this tells why it runs, and what its answer may build on. It also takes what the body says of its
/// answer. The body of a nested annotated function has a call of its own.
///
/// ```
/// use std::time::Duration;
/// use cache_request::{cache_request, this_call};
///
/// #[cache_request(timeout = 300)]
/// fn rate(currency: &str) -> f64 {
///     if currency == "XAU" {
///         // The market is closed.
///         this_call().timeout(Duration::from_secs(3600));
///     }
///     1.0
/// }
/// # rate("XAU");
/// ```
///
/// Outside such a body it does nothing, and says so: [`reason`](ThisCall::reason) is [`Reason::NotCalled`], and the methods return `false` or
/// `None`. That is also so in threads that the body starts, and in tasks that a runtime polls by itself. The body can move what this returns
/// there, or put it [around](ThisCall::around) them. What is said there after the body has returned comes too late. What the body itself polls is a part of it, such as the futures that it joins,
/// and the tasks of a `LocalSet` or of another executor that it drives on its thread.
pub fn this_call() -> ThisCall {
    let mut frame = swap(Frame::NOT_CALLED);
    let call = frame.call();
    swap(frame);
    call
}

/// Gives the answer of the body that runs here a tag: it is gone when the tag is invalidated, as by
/// [`Cache::invalidate_tag`](crate::Cache::invalidate_tag). Returns whether there is such a body, with a cache that may keep its answer.
///
/// A tag has 1 to 256 bytes, without spaces and control characters. With another one, the answer is not kept, and a fault is counted. An answer
/// has at most 1,000 tags. In a service that a `CachePage` wraps, it tags the page.
///
/// ```
/// use cache_request::{cache_request, tag};
///
/// #[cache_request(timeout = 300)]
/// fn article(slug: &str) -> String {
///     let id = slug.len();
///     tag(format!("article:{id}"));
///     format!("The article {slug}")
/// }
/// # article("first");
/// ```
pub fn tag(tag: impl AsRef<str>) -> bool {
    let tag = tag.as_ref();
    use_in_body(|used| used.name(tag))
}

/// The call of an annotated function, for its body: what [`this_call`] returns.
#[derive(Clone)]
#[must_use = "it does nothing until one of its methods is called"]
pub struct ThisCall {
    reason: Reason,
    /// None outside a body.
    said: Option<Arc<Said>>,
}

impl ThisCall {
    /// Why the body runs.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// Whether there is a call, with a cache that may keep its answer.
    #[must_use]
    pub fn is_cached(&self) -> bool {
        self.said().is_some()
    }

    /// What can be said to a cache that may keep the answer.
    fn said(&self) -> Option<&Arc<Said>> {
        self.said.as_ref().filter(|_| !matches!(self.reason, Reason::NotCalled | Reason::Uncached))
    }

    /// Gives this call to a task that a runtime polls by itself: `this_call()` is the same there, and the tags of what it uses are those of the
    /// body's answer, if the body waits for it. In a service that a `CachePage` wraps, they are those of the page. Outside both, it changes nothing.
    ///
    /// Nothing else of the body goes with it: neither the [`scoped`](crate::scoped) cache and the [client](crate::client_scope), nor what keeps a
    /// body from waiting for itself. If the task calls the function of the body with the same key, it waits until the `wait_limit` is over.
    ///
    /// # Panics
    ///
    /// If the future is polled after it has returned.
    ///
    /// ```
    /// # #[cfg(feature = "detach")] {
    /// use cache_request::{cache_request, tag, this_call};
    ///
    /// #[cache_request(timeout = 300)]
    /// async fn page() -> String {
    ///     let article = tokio::spawn(this_call().around(async {
    ///         tag("article:7");
    ///         "The seventh".to_owned()
    ///     }));
    ///     article.await.expect("it does not panic")
    /// }
    /// # }
    /// ```
    pub fn around<F: Future>(&self, future: F) -> InCall<F> {
        InCall { call: self.clone(), future: Some(future) }
    }

    /// [`around`](Self::around) for a closure, such as one for a thread.
    pub fn around_sync<T>(&self, function: impl FnOnce() -> T) -> T {
        let mut frame = self.frame();
        let _in_force = frame.as_mut().map(Frame::enter);
        function()
    }

    /// None outside a body, where it would hide the one that is there.
    fn frame(&self) -> Option<Frame> {
        let said = Some(Arc::clone(self.said.as_ref()?));
        Some(Frame { reason: self.reason, said })
    }

    /// Gives the answer this timeout in place of the attribute's, before `jitter`. With a timeout of zero, the answer is not kept.
    /// `Duration::MAX` is for ever. The last one counts. Returns [`is_cached`](Self::is_cached).
    pub fn timeout(&self, timeout: Duration) -> bool {
        self.said().is_some_and(|said| said.wish(|wish| wish.timeout = Some(timeout)))
    }

    /// Keeps the cache from keeping the answer, as a `when` that refuses it. Callers that wait for it get it all the same. Returns
    /// [`is_cached`](Self::is_cached).
    pub fn do_not_keep(&self) -> bool {
        self.said().is_some_and(|said| said.wish(|wish| wish.keep = false))
    }

    /// Gives the answer a tag: it is gone when the tag is invalidated, as by [`Cache::invalidate_tag`](crate::Cache::invalidate_tag). Returns
    /// [`is_cached`](Self::is_cached).
    ///
    /// A tag has 1 to 256 bytes, without spaces and control characters. With another one, the answer is not kept, and a fault is counted.
    pub fn tag(&self, tag: impl AsRef<str>) -> bool {
        let Some(said) = self.said() else { return false };
        // The user's code, so not under the lock.
        let tag = tag.as_ref();
        lock(&said.used).name(tag);
        true
    }

    /// The older value, as the cache keeps it: the whole answer, or what is in its `Ok`.
    ///
    /// There may be one if the body is to replace it, for the attribute's `stale` or `early` or for [`refresh`](crate::Handle::refresh), or if it
    /// may stand in for an error, for `stale_if_error`. A backend without fences has none for `refresh`. It is the same for one body. `None` if
    /// there is none, or it is of another type.
    #[must_use]
    pub fn stale_value<V: Clone + Send + Sync + 'static>(&self) -> Option<V> {
        let older = self.said()?.older()?;
        let Some(value) = older.downcast_ref::<PanicSafe<V>>() else {
            tracing::warn!(
                asked = type_name::<V>(),
                "`stale_value` was asked for another type than the function's values have"
            );
            return None;
        };
        catch_panic(|| value.get().cloned())?
    }

    /// Makes the older value the answer, whatever the body returns, and keeps it for another timeout: it was asked for, and has not changed. Returns
    /// whether there is an older value. If not, nothing has happened, and the body has to make one.
    #[must_use = "if it is false, the body has to make a value"]
    pub fn keep_stale(&self) -> bool {
        let Some(said) = self.said() else { return false };
        said.older().is_some() && said.wish(|wish| wish.keep_stale = true)
    }
}

impl fmt::Debug for ThisCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ThisCall").field("reason", &self.reason).finish_non_exhaustive()
    }
}
