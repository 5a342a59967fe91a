//! The measures of one function.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use super::distribution::{Distribution, Samples};
use crate::base::{
    clock::{Nanos, nanos},
    sync::unpoisoned,
};

/// Bodies are short if their mean is below this. Reading a clock twice takes some 50 ns.
const SHORT: Duration = Duration::from_micros(10);

/// So many bodies are measured before they may be found to be short.
const FIRST_BODIES: u64 = 64;

/// One short body in so many is measured.
const SHORT_BODIES: u64 = 16;

/// In place of a timeout.
const NO_VALUE: u64 = u64::MAX;
const DIFFERENT: u64 = u64::MAX - 1;

/// What the calls of one function take and hold.
pub(crate) struct Measures {
    since: Nanos,
    figures: Mutex<Recorded>,
    bodies_are_short: AtomicBool,
    bodies: AtomicU64,
    /// Of all values.
    timeout: AtomicU64,
}

#[derive(Default)]
struct Recorded {
    body: Samples,
    hit: Samples,
    wait: Samples,
    age: Samples,
    bytes: Samples,
    held: Held,
}

/// Bytes in memory, by the time that they are there.
#[derive(Default)]
struct Held {
    until: Nanos,
    byte_seconds: f64,
}

/// What was measured, as it is read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Figures {
    pub(crate) measured_for: Duration,
    pub(crate) body_time: Option<Distribution<Duration>>,
    pub(crate) hit_time: Option<Distribution<Duration>>,
    pub(crate) wait_time: Option<Distribution<Duration>>,
    pub(crate) age: Option<Distribution<Duration>>,
    pub(crate) value_bytes: Option<Distribution<u64>>,
    pub(crate) byte_seconds: f64,
    /// What a body mostly takes, and a hit. None if none was measured.
    pub(crate) typical: Option<(Duration, Duration)>,
}

impl Measures {
    /// None if nothing is to be measured.
    pub(crate) fn new(measure: bool, now: Nanos) -> Option<Box<Self>> {
        measure.then(|| {
            let held = Held { until: now, byte_seconds: 0.0 };
            Box::new(Self {
                since: now,
                figures: Mutex::new(Recorded { held, ..Recorded::default() }),
                bodies_are_short: AtomicBool::new(false),
                bodies: AtomicU64::new(0),
                timeout: AtomicU64::new(NO_VALUE),
            })
        })
    }

    /// Whether the body that begins now is to be measured. A short one mostly is not, so that it reads no clock.
    pub(crate) fn measure_next_body(&self) -> bool {
        !self.bodies_are_short.load(Relaxed) || self.bodies.fetch_add(1, Relaxed).is_multiple_of(SHORT_BODIES)
    }

    /// A body took so long.
    pub(crate) fn body(&self, took: Duration) {
        self.record(|recorded| {
            recorded.body.add(nanos(took));
            let short = recorded.body.count() >= FIRST_BODIES && recorded.body.mean() < SHORT.as_nanos() as f64;
            self.bodies_are_short.store(short, Relaxed);
        });
    }

    /// A hit took so long, which stands for so many.
    pub(crate) fn hit(&self, took: Duration, hits: u64) {
        self.record(|recorded| recorded.hit.add_many(nanos(took), hits));
    }

    /// A call waited so long for another caller's body.
    pub(crate) fn waited(&self, took: Duration) {
        self.record(|recorded| recorded.wait.add(nanos(took)));
    }

    /// An answer was that old.
    pub(crate) fn age(&self, age: Duration) {
        self.record(|recorded| recorded.age.add(nanos(age)));
    }

    /// The timeout of all values, if they have the same.
    pub(crate) fn timeout(&self) -> Option<Duration> {
        Some(self.timeout.load(Relaxed))
            .filter(|timeout| ![NO_VALUE, DIFFERENT].contains(timeout))
            .map(Duration::from_nanos)
    }

    /// A value is stored that has this timeout, or one of its own.
    pub(crate) fn keep_timeout(&self, timeout: Option<Duration>) {
        let timeout = timeout.map_or(DIFFERENT, nanos);
        match self.timeout.load(Relaxed) {
            NO_VALUE => self.timeout.store(timeout, Relaxed),
            known if known == timeout => {}
            _ => self.timeout.store(DIFFERENT, Relaxed),
        }
    }

    /// A value of so many bytes was stored.
    pub(crate) fn stored(&self, bytes: usize) {
        self.record(|recorded| recorded.bytes.add(bytes as u64));
    }

    /// So many bytes are held in memory now.
    pub(crate) fn held(&self, bytes: usize, now: Nanos) {
        self.record(|recorded| recorded.held.go_on(bytes, now));
    }

    /// What was measured until now. So many bytes are held in memory.
    pub(crate) fn read(&self, bytes: usize, now: Nanos) -> Figures {
        self.record(|recorded| {
            recorded.held.go_on(bytes, now);
            let Recorded { body, hit, wait, age, bytes, held } = recorded;
            Figures {
                measured_for: Duration::from_nanos(now.saturating_sub(self.since)),
                body_time: body.times(),
                hit_time: hit.times(),
                wait_time: wait.times(),
                age: age.times(),
                value_bytes: bytes.read(),
                byte_seconds: held.byte_seconds,
                typical: body.typical().zip(hit.typical()),
            }
        })
    }

    fn record<T>(&self, record: impl FnOnce(&mut Recorded) -> T) -> T {
        let mut recorded = unpoisoned(self.figures.lock());
        record(&mut recorded)
    }
}

impl Held {
    /// The bytes count for the time since the last look, in which few have come and gone.
    fn go_on(&mut self, bytes: usize, now: Nanos) {
        let passed = Duration::from_nanos(now.saturating_sub(self.until));
        self.byte_seconds += bytes as f64 * passed.as_secs_f64();
        self.until = self.until.max(now);
    }
}

impl fmt::Debug for Measures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Measures").field("since", &self.since).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Nanos = 1_000_000_000;

    #[test]
    fn bytes_count_for_the_time_that_they_are_held() {
        let measures = Measures::new(true, SECOND).unwrap();
        measures.held(0, 3 * SECOND);
        measures.held(100, 5 * SECOND);
        assert_eq!(measures.read(10, 6 * SECOND).byte_seconds, 210.0);
        let figures = measures.read(10, 5 * SECOND);
        assert_eq!((figures.byte_seconds, figures.measured_for), (210.0, Duration::from_secs(4)));
    }

    #[test]
    fn the_timeout_of_one_value_was_taken_for_that_of_all() {
        let measures = Measures::new(true, 0).unwrap();
        let minute = Some(Duration::from_secs(60));
        assert_eq!(measures.timeout(), None);
        (0..2).for_each(|_| measures.keep_timeout(minute));
        assert_eq!(measures.timeout(), minute);
        measures.keep_timeout(Some(Duration::from_secs(5)));
        measures.keep_timeout(minute);
        assert_eq!(measures.timeout(), None);
    }

    #[test]
    fn each_short_body_read_a_clock() {
        let measures = Measures::new(true, 0).unwrap();
        for _ in 0..FIRST_BODIES {
            assert!(measures.measure_next_body(), "it is not known yet how long they are");
            measures.body(Duration::from_micros(9));
        }
        let measured = (0..160).filter(|_| measures.measure_next_body()).count();
        assert_eq!(measured, 10);
        measures.body(Duration::from_secs(1));
        assert!((0..10).all(|_| measures.measure_next_body()), "they are long");
    }
}
