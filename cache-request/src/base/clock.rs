//! Time: a coarse clock for look-ups, a precise one for expiry times, and a clock that tests move by hand.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

/// A point on a monotonic clock, in nanoseconds since an arbitrary start.
pub(crate) type Nanos = u64;

/// A moment that never comes.
pub(crate) const NEVER: Nanos = u64::MAX;

/// How far a clock may be off that a store of bytes goes by: the server's, or that of the machine for files. What is stored later than that
/// from now is taken for an entry of a clock that is wrong, or that was, and is a miss: its timeout would end as much too late.
#[cfg(any(feature = "file", feature = "sqlite", feature = "postgres"))]
pub(crate) const CLOCK_TOLERANCE: Duration = Duration::from_secs(5);

/// How far the clocks of two machines may differ that share a backend. It limits by how much too long a value is fresh; the backend's own
/// clock ends its whole time.
pub(crate) const MACHINES_DIFFER: Duration = Duration::from_secs(60);

/// The clock of a cache: the machine's, or one that tests move by hand.
#[derive(Clone, Default)]
pub struct Clock(Option<MockClock>);

/// A clock that stands still until [`advance`](Self::advance) moves it, made by [`Clock::mock`]. Clones move together.
///
/// It converts into a [`Clock`], by value or by reference. It is a type of its own because the machine's clock cannot
/// be advanced.
#[derive(Clone)]
pub struct MockClock(Arc<AtomicU64>);

/// The wall-clock time at which a mocked clock starts: the same in every run, and a whole millisecond, as backends
/// count those.
const MOCK_EPOCH: Duration = Duration::from_secs(1_000_000_000);

impl Clock {
    /// The machine's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(None)
    }

    /// A clock for tests.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use cache_request::{Cache, Clock};
    /// let clock = Clock::mock();
    /// let cache = Cache::builder().clock(&clock).build()?;
    /// clock.advance(Duration::from_secs(300));
    /// # Ok::<(), cache_request::Error>(())
    /// ```
    #[must_use]
    pub fn mock() -> MockClock {
        MockClock(Arc::default())
    }

    /// The wall-clock time. Stored values carry it.
    #[must_use]
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            None => SystemTime::now(),
            Some(mock) => UNIX_EPOCH + MOCK_EPOCH + Duration::from_nanos(mock.elapsed()),
        }
    }

    /// Whether a test moves it. Then it takes the place of any other clock, such as a server's.
    #[cfg(any(feature = "file", feature = "sqlite", feature = "postgres"))]
    pub(crate) fn is_mock(&self) -> bool {
        self.0.is_some()
    }

    /// The time now, behind by at most one tick of the machine's coarse clock (a few milliseconds). Cheap enough for
    /// look-ups.
    #[inline]
    pub(crate) fn coarse(&self) -> Nanos {
        match &self.0 {
            None => machine::coarse(),
            Some(mock) => mock.elapsed(),
        }
    }

    /// The moment when an entry of now expires. It never expires before its timeout is over, and at most two ticks of the coarse clock
    /// after that: that clock may be one tick behind now, and again when it is read then.
    #[inline]
    pub(crate) fn expiry(&self, timeout: Duration) -> Nanos {
        let now = match &self.0 {
            None => machine::coarse().saturating_add(machine::tick()),
            Some(mock) => mock.elapsed(),
        };
        now.saturating_add(nanos(timeout))
    }

    /// The moment `timeout` from now, by the precise clock.
    pub(crate) fn after(&self, timeout: Duration) -> Nanos {
        let now = match &self.0 {
            None => machine::precise(),
            Some(mock) => mock.elapsed(),
        };
        now.saturating_add(nanos(timeout))
    }
}

impl MockClock {
    /// Moves the clock forward. It stops at its end, after some 580 years.
    pub fn advance(&self, by: Duration) {
        let advanced = |now: Nanos| Some(now.saturating_add(nanos(by)));
        let _ = self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, advanced);
    }

    fn elapsed(&self) -> Nanos {
        self.0.load(Ordering::SeqCst)
    }
}

impl From<MockClock> for Clock {
    fn from(mock: MockClock) -> Self {
        Self(Some(mock))
    }
}

impl From<&MockClock> for Clock {
    fn from(mock: &MockClock) -> Self {
        mock.clone().into()
    }
}

/// The nanoseconds of a duration, at most `u64::MAX`.
pub(crate) fn nanos(duration: Duration) -> Nanos {
    u64::try_from(duration.as_nanos()).unwrap_or(NEVER)
}

/// The machine's coarse clock: for what each call to a backend reads.
#[cfg(any(feature = "memcached", feature = "redis"))]
pub(crate) fn coarse_now() -> Nanos {
    machine::coarse()
}

/// The time since `moment` by the coarse clock.
#[cfg(any(feature = "memcached", feature = "redis"))]
pub(crate) fn coarse_since(moment: Nanos) -> Duration {
    Duration::from_nanos(coarse_now().saturating_sub(moment))
}

/// Measures how long something takes.
pub(crate) enum Stopwatch {
    /// In whole ticks of the coarse clock. What is shorter than a tick counts as one as often as a tick falls into it, and else as nothing,
    /// so a sum of many is right.
    Coarse(Nanos),
    /// By the precise clock of a cache.
    Precise(Nanos),
}

impl Stopwatch {
    #[inline]
    pub(crate) fn coarse() -> Self {
        Self::Coarse(machine::coarse())
    }

    pub(crate) fn precise(clock: &Clock) -> Self {
        Self::Precise(clock.after(Duration::ZERO))
    }

    /// The time that has passed, by the same clock.
    #[inline]
    pub(crate) fn elapsed(&self, clock: &Clock) -> Duration {
        Duration::from_nanos(match self {
            Self::Coarse(start) => machine::coarse().saturating_sub(*start),
            Self::Precise(start) => clock.after(Duration::ZERO).saturating_sub(*start),
        })
    }

    pub(crate) fn is_precise(&self) -> bool {
        matches!(self, Self::Precise(_))
    }
}

/// Milliseconds since 1970.
pub(crate) fn unix_millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Clock::mock" } else { "Clock::system" })
    }
}

impl fmt::Debug for MockClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MockClock").field(&Duration::from_nanos(self.elapsed())).finish()
    }
}

#[cfg(target_os = "linux")]
mod machine {
    use std::sync::LazyLock;

    use rustix::time::{ClockId, Timespec, clock_getres, clock_gettime};

    use super::Nanos;

    #[inline]
    pub(super) fn coarse() -> Nanos {
        read(ClockId::MonotonicCoarse)
    }

    /// How far the coarse clock may be behind the precise one.
    #[inline]
    pub(super) fn tick() -> Nanos {
        static TICK: LazyLock<Nanos> = LazyLock::new(|| in_nanos(clock_getres(ClockId::MonotonicCoarse)));
        *TICK
    }

    pub(super) fn precise() -> Nanos {
        read(ClockId::Monotonic)
    }

    #[inline]
    fn read(clock: ClockId) -> Nanos {
        in_nanos(clock_gettime(clock))
    }

    #[inline]
    fn in_nanos(time: Timespec) -> Nanos {
        // The monotonic clock counts from boot, so neither part is negative.
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }
}

#[cfg(not(target_os = "linux"))]
mod machine {
    use std::{sync::OnceLock, time::Instant};

    use super::{Nanos, nanos};

    pub(super) fn coarse() -> Nanos {
        precise()
    }

    pub(super) fn tick() -> Nanos {
        0
    }

    pub(super) fn precise() -> Nanos {
        static START: OnceLock<Instant> = OnceLock::new();
        nanos(START.get_or_init(Instant::now).elapsed())
    }
}
