//! Handles: one call of an annotated function, to look at, refresh, invalidate or fill its cached value.

use std::{
    fmt,
    pin::{Pin, pin},
    time::Duration,
};

use pin_project_lite::pin_project;

use super::{
    prepared::{Ended, Prepared, Wanted, answer, either, or_found},
    site::Site,
    steps::{InPlace, Lent, Once},
};
use crate::{
    Error,
    base::block_on::block_on,
    engine::{
        body::Body,
        description::Instance,
        looked::Looked,
        policy::Policy,
        run::Answered,
        source::Source,
        this_call::{uncached, uncached_sync},
        value::ValueOf,
    },
    key::Key,
};

/// One call of an annotated plain function: what its companion, `<name>_cache(…)`, returns.
///
/// It belongs to the cache and the client in whose scope `<name>_cache` was called, wherever its methods are called.
///
/// With a backend outside the process, its methods block the thread while they wait for the backend.
#[must_use = "a handle does nothing until one of its methods is called"]
pub struct SyncHandle<R, V, B> {
    prepared: Prepared<R, V>,
    body: Once<B>,
}

impl<R, V: ValueOf<R>, B: FnOnce() -> R> SyncHandle<R, V, B> {
    #[doc(hidden)]
    #[inline]
    pub fn new(site: &'static Site, instance: Instance, policy: Policy<R, V>, key: Key, body: B) -> Self {
        const {
            assert!(
                !V::READ_BY_AWAITING,
                "a plain function cannot cache a response, as its body is read by awaiting: make the function `async`"
            );
        }
        Self { prepared: Prepared::new(site, instance, policy, key, true), body: Once(Some(body)) }
    }

    /// Calls the function: returns the cached answer, or runs the body.
    #[doc(hidden)]
    pub fn call(self) -> R {
        match self.prepared.hit() {
            Some((answer, false)) => answer,
            Some((answer, true)) => self.replace(answer),
            None => self.answer(),
        }
    }

    /// Like `call`, after a look-up in memory that found nothing.
    #[doc(hidden)]
    #[cold]
    pub fn answer(mut self) -> R {
        self.prepared.answer_on_this_thread(Wanted::Answer, &mut self.body).answer
    }

    /// Like `answer`. If a value is due to be replaced, the caller is told.
    #[doc(hidden)]
    #[cold]
    pub fn answer_now(mut self) -> (R, bool) {
        let answered = self.prepared.answer_on_this_thread(Wanted::AnswerNow, &mut self.body);
        (answered.answer, answered.is_due)
    }

    /// Like `answer_now`, for `stale_after`: `begin` is told whether a value is due to be replaced, and tells
    /// whether that has begun. The call may wait for it.
    #[doc(hidden)]
    #[cold]
    pub fn answer_after(mut self, begin: impl FnOnce(bool) -> bool) -> R {
        let found = match self.prepared.find_awaited() {
            Some(found) => found,
            None => self.prepared.answer_on_this_thread(Wanted::AnswerNow, &mut self.body),
        };
        if !begin(found.is_due) {
            self.prepared.has_not_begun(&found);
        }
        let answer = block_on(pin!(self.prepared.after_waiting(found)));
        answer.unwrap_or_else(|| self.answer())
    }

    /// Runs the body to replace a value that was `found`, which is returned if another caller does so.
    #[doc(hidden)]
    #[cold]
    pub fn replace(self, found: R) -> R {
        self.replace_traced(found).0
    }

    fn replace_traced(mut self, found: R) -> (R, Source) {
        let body: &mut dyn Body<Answer = R> = &mut self.body;
        or_found(block_on(pin!(self.prepared.replace(body))), found)
    }

    /// Runs the body in the background to replace a value.
    #[doc(hidden)]
    #[cold]
    pub fn replace_in_background(mut self) {
        let body: &mut dyn Body<Answer = R> = &mut self.body;
        block_on(pin!(self.prepared.replace_in_background(body)));
    }

    /// Calls the function, and returns the answer and where it came from.
    ///
    /// ```
    /// use cache_request::{Source, cache_request};
    ///
    /// #[cache_request]
    /// fn square(number: u32) -> u32 {
    ///     number * number
    /// }
    ///
    /// assert_eq!(square_cache(3).call_traced(), (9, Source::Body));
    /// assert_eq!(square_cache(3).call_traced(), (9, Source::Memory));
    /// ```
    pub fn call_traced(mut self) -> (R, Source) {
        match self.prepared.hit() {
            Some((answer, false)) => (answer, Source::Memory),
            Some((answer, true)) => self.replace_traced(answer),
            None => {
                let answered = self.prepared.answer_on_this_thread(Wanted::Answer, &mut self.body);
                (answered.answer, answered.source)
            }
        }
    }

    /// The text of the key, as backends and logs show it.
    ///
    /// # Errors
    ///
    /// If no key can be made of the arguments, or if the function's named cache is not installed, as the cache decides the names in
    /// a key.
    pub fn key(&self) -> Result<String, Error> {
        self.prepared.key()
    }

    /// The cached answer. Neither runs the body nor counts.
    pub fn peek(&self) -> Option<R> {
        block_on(self.prepared.peek())
    }

    /// The cached answer, its age, and how long it is fresh. Neither runs the body nor counts. In front of a backend, the near cache is not
    /// asked.
    pub fn lookup(&self) -> Option<Looked<R>> {
        block_on(self.prepared.lookup())
    }

    /// Runs the body in any case, and caches its value in place of the present one. An `Err` leaves that in place, unless
    /// `cache_err` makes it a value.
    ///
    /// A value that is not cached, because of the attribute's conditions or a fault, leaves no older one behind. However, a backend that
    /// can neither store the new value nor delete the older one goes on returning that until its timeout.
    pub fn refresh(mut self) -> R {
        self.prepared.answer_on_this_thread(Wanted::NewValue, &mut self.body).answer
    }

    /// Removes the cached value. A body that runs at this moment returns its value, which is not cached. Returns whether there was a
    /// value.
    ///
    /// # Errors
    ///
    /// If the backend could not be told. It may go on returning the old value until its timeout.
    pub fn invalidate(&self) -> Result<bool, Error> {
        block_on(self.prepared.invalidate(Duration::ZERO))
    }

    /// [`invalidate`](Self::invalidate), and until `time` is over, no value is kept: callers run their bodies. It is for a body that reads a
    /// replica of a database, which may lag behind so much.
    ///
    /// On a backend with fences, that holds for all processes.
    ///
    /// # Errors
    ///
    /// As of [`invalidate`](Self::invalidate).
    pub fn invalidate_for(&self, time: Duration) -> Result<bool, Error> {
        block_on(self.prepared.invalidate(time))
    }

    /// Declares the cached value stale, as if its timeout were over: calls return it while one of them makes a new one, if the function
    /// has a `stale` time. Otherwise, and in a backend without fences, the value is removed, as by `invalidate`. Returns whether there was a value.
    ///
    /// # Errors
    ///
    /// If the backend could not be told. It may go on returning the old value until its timeout.
    pub fn invalidate_soft(&self) -> Result<bool, Error> {
        block_on(self.prepared.invalidate_soft())
    }

    /// Invalidates all calls of the function, whatever their arguments and clients: what is cached in memory, and what bodies that
    /// run at this moment return. Of a generic function, those of this instance.
    ///
    /// The arguments of the companion do not matter.
    ///
    /// # Errors
    ///
    /// If the function's values are in a backend, and the cache has no [`function_tags`](crate::CacheBuilder::function_tags), or if the backend
    /// could not be told. Also if the function's named cache is not installed. Nothing is removed then.
    pub fn invalidate_function(&self) -> Result<(), Error> {
        block_on(self.prepared.invalidate_function())
    }

    /// Caches `answer` as if the body had just returned it: the attribute's conditions and timeouts apply.
    ///
    /// # Errors
    ///
    /// If the value could not be stored: it cannot be encoded, is too large, or the backend could not be told. Also for a handler that
    /// returns a whole response, as that response's body can only be read once.
    pub fn put(&self, answer: &R) -> Result<(), Error> {
        block_on(self.prepared.put(V::of(answer)))
    }

    /// Runs the body without any cache.
    pub fn uncached(mut self) -> R {
        uncached_sync(|| self.body.call())
    }
}

pin_project! {
    /// One call of an annotated `async` function: what its companion, `<name>_cache(…)`, returns.
    ///
    /// It belongs to the cache and the client in whose scope `<name>_cache` was called, wherever its methods are called and awaited.
    /// In `scoped(&cache, f_cache(1).put(&value))` that call is outside the scope. Call it inside:
    /// `scoped(&cache, async { f_cache(1).put(&value).await })`.
    #[must_use = "a handle does nothing until one of its methods is called and awaited"]
    pub struct Handle<R, V, B> {
        prepared: Prepared<R, V>,
        // `None` once it has returned.
        #[pin]
        body: Option<B>,
    }
}

// Methods that do not run the body are `Send` even if the body is not `Sync`. So none of them is an `async fn`, which would hold all
// of `self`.
impl<R, V: ValueOf<R>, B: Future<Output = R>> Handle<R, V, B> {
    #[doc(hidden)]
    #[inline]
    pub fn new(site: &'static Site, instance: Instance, policy: Policy<R, V>, key: Key, body: B) -> Self {
        Self { prepared: Prepared::new(site, instance, policy, key, false), body: Some(body) }
    }

    /// Calls the function: returns the cached answer, or runs the body. The handle stays pinned, so that a hit does not move the body.
    #[doc(hidden)]
    pub async fn call(self: Pin<&mut Self>) -> R {
        match self.prepared.hit() {
            Some((answer, false)) => answer,
            Some((answer, true)) => self.replace(answer).await,
            None => answer(self.answer().await),
        }
    }

    /// Like `call`, after a look-up in memory that found nothing.
    #[doc(hidden)]
    pub fn answer(self: Pin<&mut Self>) -> impl Future<Output = Ended<R>> {
        let this = self.project();
        this.prepared.answer(Wanted::Answer, InPlace(this.body))
    }

    /// Like `answer`. If a value is due to be replaced, the caller is told.
    #[doc(hidden)]
    pub fn answer_now(self: Pin<&mut Self>) -> impl Future<Output = Ended<R>> {
        let this = self.project();
        this.prepared.answer(Wanted::AnswerNow, InPlace(this.body))
    }

    /// Like `answer_now`, for `stale_after`: `begin` is told whether a value is due to be replaced, and tells
    /// whether that has begun. The call may wait for it.
    #[doc(hidden)]
    pub async fn answer_after(self: Pin<&mut Self>, begin: impl FnOnce(bool) -> bool) -> R {
        let mut this = self.project();
        let found = match this.prepared.find_awaited() {
            Some(found) => found,
            None => {
                let body = Lent::new(InPlace(this.body.as_mut()));
                either(this.prepared.answer(Wanted::AnswerNow, body).await)
            }
        };
        if !begin(found.is_due) {
            this.prepared.has_not_begun(&found);
        }
        match this.prepared.after_waiting(found).await {
            Some(answer) => answer,
            None => either(this.prepared.answer(Wanted::Answer, InPlace(this.body)).await).answer,
        }
    }

    /// Runs the body to replace a value that was `found`, which is returned if another caller does so.
    #[doc(hidden)]
    pub async fn replace(self: Pin<&mut Self>, found: R) -> R {
        self.replace_traced(found).await.0
    }

    async fn replace_traced(self: Pin<&mut Self>, found: R) -> (R, Source) {
        let this = self.project();
        or_found(this.prepared.replace(InPlace(this.body)).await, found)
    }

    /// Runs the body in the background to replace a value.
    #[doc(hidden)]
    pub async fn replace_in_background(self) {
        let this = pin!(self);
        let this = this.project();
        this.prepared.replace_in_background(InPlace(this.body)).await;
    }

    /// Calls the function, and returns the answer and where it came from.
    pub async fn call_traced(self) -> (R, Source) {
        let this = pin!(self);
        match this.prepared.hit() {
            Some((answer, false)) => (answer, Source::Memory),
            Some((answer, true)) => this.replace_traced(answer).await,
            None => {
                let Answered { answer, source, .. } = either(this.answer().await);
                (answer, source)
            }
        }
    }

    /// The text of the key, as backends and logs show it.
    ///
    /// # Errors
    ///
    /// If no key can be made of the arguments, or if the function's named cache is not installed, as the cache decides the names in
    /// a key.
    pub fn key(&self) -> Result<String, Error> {
        self.prepared.key()
    }

    /// The cached answer. Neither runs the body nor counts.
    pub fn peek(&self) -> impl Future<Output = Option<R>> {
        self.prepared.peek()
    }

    /// The cached answer, its age, and how long it is fresh. Neither runs the body nor counts. In front of a backend, the near cache is not
    /// asked.
    pub fn lookup(&self) -> impl Future<Output = Option<Looked<R>>> {
        self.prepared.lookup()
    }

    /// Runs the body in any case, and caches its value in place of the present one. An `Err` leaves that in place, unless
    /// `cache_err` makes it a value.
    ///
    /// A value that is not cached, because of the attribute's conditions or a fault, leaves no older one behind. However, a backend that
    /// can neither store the new value nor delete the older one goes on returning that until its timeout.
    pub async fn refresh(self) -> R {
        let this = pin!(self);
        let this = this.project();
        answer(this.prepared.answer(Wanted::NewValue, InPlace(this.body)).await)
    }

    /// Removes the cached value. A body that runs at this moment returns its value, which is not cached. Returns whether there was a
    /// value.
    ///
    /// # Errors
    ///
    /// If the backend could not be told. It may go on returning the old value until its timeout.
    pub fn invalidate(&self) -> impl Future<Output = Result<bool, Error>> {
        self.prepared.invalidate(Duration::ZERO)
    }

    /// [`invalidate`](Self::invalidate), and until `time` is over, no value is kept: callers run their bodies. It is for a body that reads a
    /// replica of a database, which may lag behind so much.
    ///
    /// On a backend with fences, that holds for all processes.
    ///
    /// # Errors
    ///
    /// As of [`invalidate`](Self::invalidate).
    pub fn invalidate_for(&self, time: Duration) -> impl Future<Output = Result<bool, Error>> {
        self.prepared.invalidate(time)
    }

    /// Declares the cached value stale, as if its timeout were over: calls return it while one of them makes a new one, if the function
    /// has a `stale` time. Otherwise, and in a backend without fences, the value is removed, as by `invalidate`. Returns whether there was a value.
    ///
    /// # Errors
    ///
    /// If the backend could not be told. It may go on returning the old value until its timeout.
    pub fn invalidate_soft(&self) -> impl Future<Output = Result<bool, Error>> {
        self.prepared.invalidate_soft()
    }

    /// Invalidates all calls of the function, whatever their arguments and clients: what is cached in memory, and what bodies that
    /// run at this moment return. Of a generic function, those of this instance.
    ///
    /// The arguments of the companion do not matter.
    ///
    /// # Errors
    ///
    /// If the function's values are in a backend, and the cache has no [`function_tags`](crate::CacheBuilder::function_tags), or if the backend
    /// could not be told. Also if the function's named cache is not installed. Nothing is removed then.
    pub fn invalidate_function(&self) -> impl Future<Output = Result<(), Error>> {
        self.prepared.invalidate_function()
    }

    /// Caches `answer` as if the body had just returned it: the attribute's conditions and timeouts apply.
    ///
    /// # Errors
    ///
    /// If the value could not be stored: it cannot be encoded, is too large, or the backend could not be told. Also for a handler that
    /// returns a whole response, as that response's body can only be read once.
    pub fn put(&self, answer: &R) -> impl Future<Output = Result<(), Error>> {
        self.prepared.put(V::of(answer))
    }

    /// Runs the body without any cache.
    pub async fn uncached(self) -> R {
        uncached(self.body.expect("it was not called yet")).await
    }
}

impl<R, V, B> fmt::Debug for SyncHandle<R, V, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SyncHandle").field("site", self.prepared.site).finish_non_exhaustive()
    }
}

impl<R, V, B> fmt::Debug for Handle<R, V, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("site", self.prepared.site).finish_non_exhaustive()
    }
}
