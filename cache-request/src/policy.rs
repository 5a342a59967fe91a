//! What of a body's return value is kept, for how long, and how it becomes an answer again.

use std::{fmt, marker::PhantomData, time::Duration};

use serde::{Serialize, de::DeserializeOwned};

use crate::{
    Error, call, codec,
    key::Key,
    site::{Instance, Site},
    store::memory_of,
};

/// How long a value is kept unless its function says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// What a function's answer `R` gives to the cache: a value `V`.
pub struct Policy<R, V> {
    timeout: Timeout<V>,
    when: Option<fn(&V) -> bool>,
    skip: Option<fn(&V) -> bool>,
    weight: Option<fn(&V) -> usize>,
    codec: Option<Codec<V>>,
    answer: PhantomData<fn() -> R>,
}

enum Timeout<V> {
    Default,
    Fixed(fn() -> Duration),
    OfValue(fn(&V) -> Duration),
}

/// How values of one type become bytes, and what they weigh in memory.
pub(crate) struct Codec<V> {
    /// [`codec::seal`].
    pub(crate) seal: Seal<V>,
    /// [`codec::open`].
    pub(crate) open: Open<V>,
    /// [`codec::fingerprint`]. It takes a while: ask the [`Function`](crate::function::Function), which asks once.
    pub(crate) fingerprint: fn() -> u64,
    memory_of: fn(&V) -> usize,
}

type Seal<V> = fn(&V, u64, &str, u64) -> Result<Vec<u8>, Error>;
type Open<V> = fn(&[u8], u64, &str, u64) -> Result<Option<V>, Error>;

impl<R, V: ValueOf<R>> Policy<R, V> {
    /// Of a value that a cache can hold.
    ///
    /// A method of an `impl` with bounds: where they do not hold it is not found, so that nothing after it has a type, and one
    /// error, which lists what is missing, is all there is.
    #[inline]
    #[must_use]
    pub const fn can_be_kept(self) -> Self {
        self
    }

    /// The answer, if memory holds it.
    #[inline]
    pub fn hit(self, site: &'static Site, instance: Instance, key: &Key) -> Option<R> {
        match site.settled_target(instance) {
            Some(target) => call::hit::<R, V>(target, key),
            None => Self::hit_elsewhere(site, instance, key),
        }
    }

    #[cold]
    #[inline(never)]
    fn hit_elsewhere(site: &'static Site, instance: Instance, key: &Key) -> Option<R> {
        call::hit::<R, V>(&*site.look_up::<V>(instance)?, key)
    }
}

impl<R, V> Policy<R, V> {
    /// How long `value` is to be kept; `None` is not at all. Runs the user's code, which may panic.
    pub(crate) fn keep_for(&self, value: &V) -> Option<Duration> {
        let wanted = self.when.is_none_or(|when| when(value)) && !self.skip.is_some_and(|skip| skip(value));
        let timeout = match self.timeout {
            _ if !wanted => return None,
            Timeout::Default => DEFAULT_TIMEOUT,
            Timeout::Fixed(timeout) => timeout(),
            Timeout::OfValue(timeout) => timeout(value),
        };
        (!timeout.is_zero()).then_some(timeout)
    }

    /// Bytes that `value` holds. Runs the user's code, which may panic.
    pub(crate) fn weight_of(&self, value: &V) -> usize {
        match (self.weight, &self.codec) {
            (Some(weight), _) => weight(value),
            (None, Some(codec)) => (codec.memory_of)(value),
            (None, None) => size_of::<V>(),
        }
    }

    /// How to turn values into bytes; `None` for a function whose values stay in this process.
    pub(crate) fn codec(&self) -> Option<&Codec<V>> {
        self.codec.as_ref()
    }
}

impl<R> Policy<R, R> {
    /// The whole answer is the value.
    #[must_use]
    pub const fn whole() -> Self {
        Self::new()
    }
}

impl<R> Policy<R, R> {
    /// `cache_err`: an `Err` is kept as well.
    #[must_use]
    pub const fn whole_result() -> Self
    where
        R: ResultValue,
    {
        Self::whole()
    }

    /// The whole answer of a body whose type has no name.
    #[must_use]
    pub const fn of_body<B: FnOnce() -> R>(_: &B) -> Self {
        Self::whole()
    }

    /// The whole answer of a future whose output has no name.
    #[must_use]
    pub const fn of_future<B: Future<Output = R>>(_: &B) -> Self {
        Self::whole()
    }
}

impl<T, E> Policy<Result<T, E>, T> {
    /// Only the value of an `Ok` is kept.
    #[must_use]
    pub const fn of_result() -> Self {
        Self::new()
    }
}

impl<R, V> Policy<R, V> {
    const fn new() -> Self {
        Self { timeout: Timeout::Default, when: None, skip: None, weight: None, codec: None, answer: PhantomData }
    }

    /// The value may be kept by any backend.
    #[must_use]
    pub const fn serialised(mut self) -> Self
    where
        V: CacheValue,
    {
        self.codec =
            Some(Codec { seal: codec::seal, open: codec::open, fingerprint: codec::fingerprint::<V>, memory_of });
        self
    }

    /// `timeout = …`; zero keeps nothing, `Duration::MAX` keeps for ever.
    #[must_use]
    pub const fn timeout(mut self, timeout: fn() -> Duration) -> Self {
        self.timeout = Timeout::Fixed(timeout);
        self
    }

    /// `timeout_with = |v| …`.
    #[must_use]
    pub const fn timeout_with(mut self, timeout: fn(&V) -> Duration) -> Self {
        self.timeout = Timeout::OfValue(timeout);
        self
    }

    /// `when = |v| …`.
    #[must_use]
    pub const fn when(mut self, when: fn(&V) -> bool) -> Self {
        self.when = Some(when);
        self
    }

    /// `skip_none`.
    #[must_use]
    pub const fn skip_none(mut self) -> Self
    where
        V: MaybeNone,
    {
        self.skip = Some(V::is_none);
        self
    }

    /// `weight = |v| …`.
    #[must_use]
    pub const fn weight(mut self, weight: fn(&V) -> usize) -> Self {
        self.weight = Some(weight);
        self
    }
}

impl<R, V> fmt::Debug for Policy<R, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy").field("local", &self.codec.is_none()).finish_non_exhaustive()
    }
}

/// Chooses, by the way methods are looked up, what of `R` is the value: the inside of a `Result`, else the whole.
///
/// The method has a name that no trait of the user's has, one for all types perhaps, which would be found as well.
#[derive(Debug)]
pub struct Probe<R>(PhantomData<fn() -> R>);

impl<R> Probe<R> {
    /// Asks about `R`.
    #[expect(clippy::new_without_default, reason = "only ever named by the expansion")]
    #[must_use]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// `R` is a `Result`: its `Ok` is the value.
pub trait ResultAnswer {
    /// The answer.
    type Answer;
    /// The value.
    type Value;
    /// The policy that keeps the inside.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Value>;
}

impl<T, E> ResultAnswer for Probe<Result<T, E>> {
    type Answer = Result<T, E>;
    type Value = T;
    fn __cache_request_policy(&self) -> Policy<Result<T, E>, T> {
        Policy::of_result()
    }
}

/// `R` is anything: all of it is the value.
pub trait AnyAnswer {
    /// The answer and the value.
    type Answer;
    /// The policy that keeps the whole.
    fn __cache_request_policy(&self) -> Policy<Self::Answer, Self::Answer>;
}

impl<R> AnyAnswer for &Probe<R> {
    type Answer = R;
    fn __cache_request_policy(&self) -> Policy<R, R> {
        Policy::whole()
    }
}

/// `local` without a `weight`, of values that serde knows all the same: they weigh what serde finds in them, as others do.
pub trait WeighSerialised {
    /// The value.
    type Value;
    /// The bytes that a value holds.
    fn weigh(&self) -> fn(&Self::Value) -> usize;
}

impl<R, V: Serialize> WeighSerialised for Policy<R, V> {
    type Value = V;
    fn weigh(&self) -> fn(&V) -> usize {
        memory_of
    }
}

/// `local` without a `weight`, of any values: what they point to is not known.
pub trait WeighAny {
    /// The value.
    type Value;
    /// The bytes that a value holds.
    fn weigh(&self) -> fn(&Self::Value) -> usize;
}

impl<R, V> WeighAny for &Policy<R, V> {
    type Value = V;
    fn weigh(&self) -> fn(&V) -> usize {
        size_of_val
    }
}

/// What a cache can hold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept",
    label = "not all of `Clone`, `Send`, `Sync` and `'static`",
    note = "derive `Clone` for `{Self}`, or return an `Arc` of it"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// The value that an answer `R` gives to the cache: the answer itself, or the inside of a `Result`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept in memory",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static`; an `Arc<…>` of it often is"
)]
pub trait ValueOf<R>: Value {
    /// The value in an answer, if it gives one.
    fn of(answer: &R) -> Option<&Self>;
    /// The value that an answer is; the answer back, if it gives none.
    fn from_answer(answer: R) -> Result<Self, R>;
    /// The answer that stands for a value.
    fn into_answer(self) -> R;
}

#[diagnostic::do_not_recommend]
impl<V: Value> ValueOf<V> for V {
    fn of(answer: &V) -> Option<&V> {
        Some(answer)
    }

    fn from_answer(answer: V) -> Result<V, V> {
        Ok(answer)
    }

    #[inline]
    fn into_answer(self) -> V {
        self
    }
}

#[diagnostic::do_not_recommend]
impl<V: Value, E> ValueOf<Result<V, E>> for V {
    fn of(answer: &Result<V, E>) -> Option<&V> {
        answer.as_ref().ok()
    }

    fn from_answer(answer: Result<V, E>) -> Result<V, Result<V, E>> {
        answer.map_err(Err)
    }

    #[inline]
    fn into_answer(self) -> Result<V, E> {
        Ok(self)
    }
}

/// What any backend can keep.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept by every backend",
    label = "this is what the function's cache would hold",
    note = "a kept value is `Clone + Send + Sync + 'static` and `serde::Serialize + serde::de::DeserializeOwned`: derive them for `{Self}`",
    note = "or write `local`, which needs no serde and keeps the value in this process only"
)]
pub trait CacheValue: Value + Serialize + DeserializeOwned {}

#[diagnostic::do_not_recommend]
impl<T: Value + Serialize + DeserializeOwned> CacheValue for T {}

/// What `skip_none` looks at.
#[diagnostic::on_unimplemented(
    message = "`skip_none` needs an `Option`, and the function keeps a `{Self}`",
    label = "not an `Option`",
    note = "remove `skip_none`, or say what to keep with `when = |value| …`"
)]
pub trait MaybeNone {
    /// Whether there is nothing in it.
    fn is_none(&self) -> bool;
}

impl<T> MaybeNone for Option<T> {
    fn is_none(&self) -> bool {
        Self::is_none(self)
    }
}

/// What `cache_err` looks at.
#[diagnostic::on_unimplemented(
    message = "`cache_err` needs a `Result`, and the function returns `{Self}`",
    label = "not a `Result`",
    note = "remove `cache_err`"
)]
pub trait ResultValue {}

impl<T, E> ResultValue for Result<T, E> {}
