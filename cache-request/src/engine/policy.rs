//! The attribute's rules: which values are cached, for how long, and what they weigh.

use std::{any::Any, fmt, marker::PhantomData, sync::Arc, time::Duration};

use super::{
    spans::Spans,
    tagging::{TagList, rule::TagRule},
    this_call::Said,
    value::{CacheValue, MaybeNone, ResultValue, ShareErr, ValueOf},
    wrong::{Argument, Wrong},
};
use crate::{
    Error,
    base::{
        clock::{Nanos, nanos},
        panic::PanicSafe,
    },
    codec::{self, EnvelopeOptions, Facts, Opened, Refused, TypeInfo},
    store::{Lifetime, memory_of},
};

/// How long a value is fresh, unless its function says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(300);

/// How answers of type `R` are cached as values of type `V`.
pub struct Policy<R, V> {
    timeout: Timeout<V>,
    when: Option<fn(&V) -> bool>,
    skip: Option<fn(&V) -> bool>,
    response: Option<ResponseRule<V>>,
    has_failed: Option<fn(&R) -> bool>,
    weight: Option<fn(&V) -> usize>,
    codec: Option<Codec<V>>,
    err_sharing: Option<ErrSharing<R>>,
    /// None for a timeout alone.
    spans: Option<Box<Spans>>,
    /// None if the attribute says nothing of tags.
    tag_rule: Option<Box<TagRule<V>>>,
    err_timeout: Option<ErrTimeout<V>>,
    wrong: Wrong,
    answer: PhantomData<fn() -> R>,
}

/// How an `Err` reaches the callers that wait. Both run the user's code, which may panic.
pub(crate) struct ErrSharing<R> {
    pub(crate) share: fn(&R) -> Option<Arc<dyn Any + Send + Sync>>,
    pub(crate) answer: fn(&(dyn Any + Send + Sync)) -> Option<R>,
}

/// Which responses are cached.
struct ResponseRule<V> {
    may_be_kept: fn(&V, &'static [u16]) -> bool,
    may_be_shared: fn(&V, &'static [&'static str]) -> bool,
    /// The header fields of the request that are in the key, in lower case.
    fields: &'static [&'static str],
    /// The status codes that are cached. None for those below 400.
    statuses: &'static [u16],
}

/// `timeout_err`: an `Err` is a value for so long.
struct ErrTimeout<V> {
    is_err: fn(&V) -> bool,
    timeout: fn() -> Option<Duration>,
}

enum Timeout<V> {
    Default,
    Fixed(Duration),
    /// `None` is a negative number of seconds.
    Computed(fn() -> Option<Duration>),
    OfValue(fn(&V) -> Duration),
}

/// How values of one type become bytes, and what they weigh in memory.
pub(crate) struct Codec<V> {
    /// [`codec::seal`].
    pub(crate) seal: Seal<V>,
    /// [`codec::open`].
    pub(crate) open: Open<V>,
    memory_of: fn(&V) -> usize,
}

type Seal<V> = fn(&V, TypeInfo, &str, &Facts<'_>, &EnvelopeOptions) -> Result<Vec<u8>, Error>;
type Open<V> = for<'a> fn(&'a [u8], TypeInfo, &str, u64, &EnvelopeOptions) -> Result<Option<Opened<'a, V>>, Refused>;

impl<R, V: ValueOf<R>> Policy<R, V> {
    /// Checks at compile time that a cache can hold the value.
    ///
    /// It is in an `impl` with bounds. If they do not hold, the method is not found and nothing after it has a type, so
    /// the compiler reports this one error, which lists what is missing.
    #[inline]
    #[must_use]
    pub const fn can_be_kept(self) -> Self {
        self
    }
}

/// The policy's decision about a value that is cached.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// How long it is fresh; `Duration::MAX` is for ever.
    pub(crate) timeout: Duration,
    /// Bytes that it holds in memory, without the entry's own overhead. Zero if the weight was not asked for.
    pub(crate) weight: usize,
    /// It is an `Err`, which has no more than its timeout.
    pub(crate) is_err: bool,
    /// Its body has said how long it is fresh.
    pub(crate) has_own_timeout: bool,
}

impl<R, V> Policy<R, V> {
    /// Whether `value` is cached, and if so for how long and with which weight. The weight is computed only if
    /// `in_memory`. Its body may have `said` otherwise.
    ///
    /// Runs the user's code, which may panic.
    pub(crate) fn decide(&self, value: &V, in_memory: bool, said: Option<&Said>) -> Option<Keep> {
        let (keep, own_timeout) = said.map_or((true, None), Said::wishes_to_keep);
        let may_be_kept = |rule: &ResponseRule<V>| {
            (rule.may_be_kept)(value, rule.statuses) && (rule.may_be_shared)(value, rule.fields)
        };
        let wanted = keep
            && self.response.as_ref().is_none_or(may_be_kept)
            && self.when.is_none_or(|when| when(value))
            && !self.skip.is_some_and(|skip| skip(value));
        let err_timeout = self.err_timeout.as_ref().filter(|_| self.is_err(value));
        let timeout = match (own_timeout, err_timeout, &self.timeout) {
            _ if !wanted => return None,
            (Some(timeout), ..) => timeout,
            (_, Some(rule), _) => self.in_range(Argument::TimeoutErr, (rule.timeout)()),
            (.., Timeout::Default) => DEFAULT_TIMEOUT,
            (.., Timeout::Fixed(timeout)) => *timeout,
            (.., Timeout::Computed(timeout)) => self.in_range(Argument::Timeout, timeout()),
            (.., Timeout::OfValue(timeout)) => timeout(value),
        };
        if timeout.is_zero() {
            return None;
        }
        let is_err = err_timeout.is_some();
        let weight = if in_memory { self.weight_of(value) } else { 0 };
        let timeout = self.spans_of(is_err).timeout(timeout);
        Some(Keep { timeout, weight, is_err, has_own_timeout: own_timeout.is_some() })
    }

    /// The timeout of `value`, if it has been the same for all values.
    pub(crate) fn fixed_timeout(&self, value: &V) -> Option<Duration> {
        match self.timeout {
            _ if self.spans().jitter > 0.0 || self.is_err(value) => None,
            Timeout::Default => Some(DEFAULT_TIMEOUT),
            Timeout::Fixed(timeout) => Some(timeout),
            Timeout::Computed(_) | Timeout::OfValue(_) => None,
        }
    }

    /// Whether an older value may stand in for `answer`.
    pub(crate) fn has_failed(&self, answer: &R) -> bool
    where
        V: ValueOf<R>,
    {
        V::has_failed(answer) || self.has_failed.is_some_and(|has_failed| has_failed(answer))
    }

    /// Whether `value` is an `Err` that is kept for `timeout_err`.
    pub(crate) fn is_err(&self, value: &V) -> bool {
        self.err_timeout.as_ref().is_some_and(|rule| (rule.is_err)(value))
    }

    /// Whether callers that wait may have `value`, also if it is not cached. A response that is for its own client only is not for them.
    pub(crate) fn may_be_shared(&self, value: &V) -> bool {
        self.response.as_ref().is_none_or(|rule| (rule.may_be_shared)(value, rule.fields))
    }

    /// Bytes that `value` holds. Runs the user's code, which may panic.
    pub(crate) fn weight_of(&self, value: &V) -> usize {
        match (self.weight, &self.codec) {
            (Some(weight), _) => weight(value),
            (None, Some(codec)) => (codec.memory_of)(value),
            (None, None) => size_of::<V>(),
        }
    }

    /// What the attribute says of tags, if it says anything.
    #[inline]
    pub(super) fn tag_rule(&self) -> Option<&TagRule<V>> {
        self.tag_rule.as_deref()
    }

    /// Whether a value is replaced while it may still be returned.
    pub(crate) fn replaces(&self) -> bool {
        self.spans().replace()
    }

    /// Whether there is more to values than a timeout.
    #[inline]
    pub(crate) fn has_spans(&self) -> bool {
        self.spans.is_some()
    }

    /// How long values are of use beside their timeout.
    #[inline]
    pub(crate) fn spans(&self) -> &Spans {
        self.spans.as_deref().unwrap_or(&Spans::NONE)
    }

    /// The life of a value that is stored `now`.
    #[inline]
    pub(crate) fn life(&self, keep: &Keep, now: Nanos) -> Lifetime {
        let life = match &self.spans {
            Some(spans) if !keep.is_err => spans.life(keep.timeout, now),
            _ => Lifetime::until(now.saturating_add(nanos(keep.timeout))),
        };
        // The store notes when a value came that has more to it than a timeout. The age of one that has that of the attribute is known without.
        if keep.has_own_timeout { Lifetime { retry: life.retry.max(1), ..life } } else { life }
    }

    /// The same for one value.
    #[inline]
    pub(crate) fn spans_of(&self, is_err: bool) -> &Spans {
        if is_err { &Spans::NONE } else { self.spans() }
    }

    /// The arguments of the attribute that were out of their range so far.
    #[inline]
    pub(crate) fn wrong(&self) -> &Wrong {
        &self.wrong
    }

    /// Zero for a negative number of seconds, which is noted.
    fn in_range(&self, argument: Argument, given: Option<Duration>) -> Duration {
        given.unwrap_or_else(|| {
            self.wrong.add(argument);
            Duration::ZERO
        })
    }

    /// How an `Err` reaches the callers that wait, if it does.
    pub(crate) fn err_sharing(&self) -> Option<&ErrSharing<R>> {
        self.err_sharing.as_ref()
    }

    /// How values become bytes; `None` for a function whose values stay in this process.
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

    /// `cache_err`: an `Err` is cached as well.
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

impl<R: ResultValue> Policy<R, R> {
    /// `timeout_err = …`: an `Err` is cached for so long. `None` is a negative number of seconds.
    #[must_use]
    pub const fn timeout_err(mut self, timeout: fn() -> Option<Duration>) -> Self {
        self.err_timeout = Some(ErrTimeout { is_err: R::is_err, timeout });
        self.has_failed = Some(R::is_err);
        self
    }
}

impl<R, V> Policy<R, V> {
    /// A function over a list: an answer of type `R` for one element of it has a value of type `V`.
    #[must_use]
    pub const fn of_element() -> Self {
        Self::new()
    }
}

impl<T, E> Policy<Result<T, E>, T> {
    /// Only `Ok` values are cached.
    #[must_use]
    pub const fn of_result() -> Self {
        Self::new()
    }
}

impl<R, V> Policy<R, V> {
    const fn new() -> Self {
        Self {
            timeout: Timeout::Default,
            when: None,
            skip: None,
            response: None,
            has_failed: None,
            weight: None,
            codec: None,
            err_sharing: None,
            spans: None,
            tag_rule: None,
            err_timeout: None,
            wrong: Wrong::none(),
            answer: PhantomData,
        }
    }

    /// What a handler's response holds is cached, if `may_be_kept` says so, and goes to callers that wait, if `may_be_shared` does. If it
    /// `has_failed`, an older one may stand in for it.
    #[must_use]
    pub(crate) const fn of_handler(
        may_be_kept: fn(&V, &'static [u16]) -> bool,
        may_be_shared: fn(&V, &'static [&'static str]) -> bool,
        has_failed: fn(&R) -> bool,
    ) -> Self {
        let mut policy = Self::new();
        policy.has_failed = Some(has_failed);
        policy.response = Some(ResponseRule { may_be_kept, may_be_shared, fields: &[], statuses: &[] });
        policy
    }

    /// These header fields of the request are in the key.
    #[must_use]
    pub const fn fields(mut self, fields: &'static [&'static str]) -> Self {
        if let Some(rule) = &mut self.response {
            rule.fields = fields;
        }
        self
    }

    /// Responses with these status codes are cached.
    pub(crate) const fn of_statuses(mut self, statuses: &'static [u16]) -> Self {
        if let Some(rule) = &mut self.response {
            rule.statuses = statuses;
        }
        self
    }

    /// `share_err`.
    #[must_use]
    pub const fn share_err(mut self) -> Self
    where
        R: ShareErr,
    {
        self.err_sharing = Some(ErrSharing {
            share: |answer| Some(Arc::new(PanicSafe::new(answer.err()?.clone()))),
            answer: |shared| Some(R::of_err(shared.downcast_ref::<PanicSafe<R::Err>>()?.get()?.clone())),
        });
        self
    }

    /// Any backend may hold the value.
    #[must_use]
    pub const fn serialised(mut self) -> Self
    where
        V: CacheValue,
    {
        self.codec = Some(Codec { seal: codec::seal, open: codec::open, memory_of });
        self
    }

    /// `timeout = "…"`; zero caches nothing, `Duration::MAX` caches for ever.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Timeout::Fixed(timeout);
        self
    }

    /// `timeout = …`, an expression. `None` is a negative number of seconds.
    #[must_use]
    pub const fn timeout_by(mut self, timeout: fn() -> Option<Duration>) -> Self {
        self.timeout = Timeout::Computed(timeout);
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

    fn spans_mut(&mut self) -> &mut Spans {
        self.spans.get_or_insert_with(|| Box::new(Spans::NONE))
    }

    /// The nearest share between 0 and 1. Another one is noted.
    fn share(&self, argument: Argument, share: f64, of_nan: f64) -> f64 {
        if (0.0..=1.0).contains(&share) {
            return share;
        }
        self.wrong.add(argument);
        if share.is_nan() { of_nan } else { share.clamp(0.0, 1.0) }
    }

    /// `stale = …`: so long after its timeout, a value is returned while a new one is made.
    #[must_use]
    pub fn stale(mut self, span: impl Into<Option<Duration>>) -> Self {
        let span = self.in_range(Argument::Stale, span.into());
        self.spans_mut().stale = span;
        self
    }

    /// `stale_if_error = …`: so long after its timeout, a value is returned instead of an error.
    #[must_use]
    pub fn stale_if_error(mut self, span: impl Into<Option<Duration>>) -> Self {
        let span = self.in_range(Argument::StaleIfError, span.into());
        self.spans_mut().stale_if_error = span;
        self
    }

    /// `stale_after = …`: so long a caller waits for a new value before it takes one that may stand in.
    #[must_use]
    pub fn stale_after(mut self, span: impl Into<Option<Duration>>) -> Self {
        let span = self.in_range(Argument::StaleAfter, span.into());
        self.spans_mut().stale_after = Some(span);
        self
    }

    /// `early = …`: from this share of its timeout on, a value is replaced.
    #[must_use]
    pub fn early(mut self, share: f64) -> Self {
        let share = self.share(Argument::Early, share, 1.0);
        self.spans_mut().early = share;
        self
    }

    /// `jitter = …`: timeouts are shortened by up to this share.
    #[must_use]
    pub fn jitter(mut self, share: f64) -> Self {
        let share = self.share(Argument::Jitter, share, 0.0);
        self.spans_mut().jitter = share;
        self
    }

    /// `idle = …`: a value is gone once it was not read for so long, in memory to a sixteenth. In a backend, a read prolongs it when half of the
    /// time is over.
    #[must_use]
    pub fn idle(mut self, span: impl Into<Option<Duration>>) -> Self {
        let span = self.in_range(Argument::Idle, span.into());
        self.spans_mut().idle = Some(span);
        self
    }

    /// `retry = …`: the shortest time between two attempts to replace one value.
    #[must_use]
    pub fn retry(mut self, span: impl Into<Option<Duration>>) -> Self {
        let span = self.in_range(Argument::Retry, span.into());
        self.spans_mut().retry = span;
        self
    }

    fn tag_rule_mut(&mut self) -> &mut TagRule<V> {
        self.tag_rule.get_or_insert_default()
    }

    /// `tags(…)`: those that the call's arguments tell.
    #[must_use]
    pub fn tags(mut self, tags: TagList) -> Self {
        self.tag_rule_mut().of_arguments = tags;
        self
    }

    /// `tags(…)`: those that only the value tells.
    #[must_use]
    pub fn tags_of_value(mut self, add: fn(&V, &mut TagList)) -> Self {
        self.tag_rule_mut().of_value = Some(add);
        self
    }

    /// The body mentions [`tag`](crate::tag), and may name tags by it.
    #[must_use]
    pub fn may_name_tags(mut self) -> Self {
        self.tag_rule_mut().names = true;
        self
    }

    /// `inherit_tags = …`: whether values have the tags of the cached values that their bodies use.
    #[must_use]
    pub fn inherit_tags(mut self, inherits: bool) -> Self {
        self.tag_rule_mut().inherits = inherits;
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
