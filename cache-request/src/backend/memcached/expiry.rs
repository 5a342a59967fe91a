//! Timeouts to the millisecond, on servers that count seconds.
//!
//! The server is told a timeout in seconds from now, rounded up, and drops an item by its own clock. The item's flags hold the millisecond of
//! its end by the writer's clock: the lowest 31 bits of the milliseconds since 1970. A reader gets the flags and the time that the
//! server has left for the item. If they agree, the flags say when the item ends. If they do not, the clock of writer or reader is
//! wrong, and the item ends early, at the first moment at which it can end by the server's clock.
//!
//! The highest bit of the flags says that the item is the head of a value in chunks.

use std::{
    ops::RangeInclusive,
    time::{Duration, SystemTime},
};

use memcache::exp::{GetResult, LeaseState, Set};

use crate::base::clock::unix_millis;

/// The longest time that the server takes as seconds from now. A larger number would be a date, by the writer's clock.
pub(super) const LONGEST_SECONDS: u64 = 30 * 24 * 60 * 60;

/// The time that the server has left for an item without timeout.
const FOR_EVER: i64 = -1;

/// How much earlier an item ends than in the seconds that the server has left, at most, in milliseconds: one second is added, one is the
/// rounding, and one is the server's clock, which ticks once a second.
const MOST_EARLIER: i64 = 3000;

/// By how many milliseconds the end in the flags differs from the server's if all clocks are right, with a second for slow
/// connections and one for clocks that differ slightly.
const AGREES: RangeInclusive<i64> = -MOST_EARLIER - 1000..=1000;

/// The bit of the flags of a head.
const HEAD: u32 = 1 << 31;

/// The bits of the flags that hold the end.
const END: u32 = HEAD - 1;

/// The flags of an item that has ended.
const ENDED: u32 = HEAD | END;

/// How long the server keeps an item that has ended, in seconds: longer than two round trips take.
const ENDED_SECONDS: u32 = 60;

/// How much longer the server keeps chunks, in seconds, so that they do not end before their head, which is written after them. Chunks
/// whose head is replaced meanwhile take room, so it is no longer than writes take.
const CHUNK_SECONDS: u32 = 5;

/// When an item ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiry {
    /// The seconds that the server is told; 0 for ever.
    seconds: u32,
    flags: u32,
}

impl Expiry {
    /// A timeout that begins now; `None` if it is zero. One of more than 30 days counts as 30 days.
    pub(super) fn of(timeout: Option<Duration>) -> Option<Self> {
        Self::from(timeout, SystemTime::now())
    }

    fn from(timeout: Option<Duration>, now: SystemTime) -> Option<Self> {
        let Some(timeout) = timeout else { return Some(Self { seconds: 0, flags: 0 }) };
        if timeout.is_zero() {
            return None;
        }
        let timeout = timeout.min(Duration::from_secs(LONGEST_SECONDS - 1));
        // The server's clock may be about to tick, so one second more.
        let seconds = timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0) + 1;
        let milliseconds = timeout.as_nanos().div_ceil(1_000_000);
        // Only the lowest bits are kept.
        let flags = (unix_millis(now) as u32).wrapping_add(milliseconds as u32) & END;
        // A head that ends then must not have the flags of an item that has ended.
        Some(Self { seconds: seconds as u32, flags: if flags == END { END - 1 } else { flags } })
    }

    pub(super) fn set(self, stored: &str, value: &[u8]) -> Set {
        Set::new(stored, value).client_flags(self.flags).ttl_raw(self.seconds)
    }

    pub(super) fn set_head(self, stored: &str, head: &[u8]) -> Set {
        self.set(stored, head).client_flags(self.flags | HEAD)
    }

    /// A chunk needs no flags: its head has them.
    pub(super) fn set_chunk(self, stored: &str, chunk: &[u8]) -> Set {
        Set::new(stored, chunk).ttl_raw(self.chunk_seconds())
    }

    /// The seconds that the server is told for a chunk; 0 for ever.
    pub(super) fn chunk_seconds(self) -> u32 {
        match self.seconds {
            0 => 0,
            seconds => (seconds + CHUNK_SECONDS).min(LONGEST_SECONDS as u32),
        }
    }
}

/// Writes an empty item that has ended, which every reader takes for a miss.
pub(super) fn ended(stored: &str) -> Set {
    mark(stored, b"", ENDED_SECONDS)
}

/// Writes an item that counts as ended, and that the server keeps for so many seconds.
pub(super) fn mark(stored: &str, content: &[u8], seconds: u32) -> Set {
    Set::new(stored, content).client_flags(ENDED).ttl_raw(seconds)
}

/// Whether such an item was found.
pub(super) fn is_mark(found: &GetResult) -> bool {
    found.hit() && found.client_flags == Some(ENDED)
}

/// Whether an item was found that has not ended. The get must ask for the time left.
pub(super) fn is_there(found: &GetResult) -> bool {
    let ends = (found.client_flags, found.item.ttl);
    // Whatever the server has given to one caller alone is a claim. See `record`.
    found.hit()
        && found.lease_state == LeaseState::None
        && matches!(ends, (Some(flags), Some(left)) if !is_over(flags, left, unix_millis(SystemTime::now())))
}

/// Whether an item that was found is the head of a value in chunks.
pub(super) fn is_head(found: &GetResult) -> bool {
    found.client_flags.is_some_and(|flags| flags & HEAD != 0)
}

/// Whether an item with these flags has ended, for which the server has so many seconds left, at this millisecond since 1970.
fn is_over(flags: u32, left: i64, now: u64) -> bool {
    if flags == ENDED {
        return true;
    }
    if left == FOR_EVER {
        return false;
    }
    if left > LONGEST_SECONDS as i64 {
        // It ended while the server answered: the difference is less than zero, and the server has no sign for it.
        return true;
    }
    let left = left * 1000;
    // Of two ends that agree, the lowest 31 bits are enough for the difference. Two that do not may differ by a multiple of these, and then
    // the flags still name a moment at which the item can end by the server's clock.
    let difference = flags.wrapping_sub((now as u32).wrapping_add(left as u32));
    let difference = i64::from((difference << 1).cast_signed() >> 1);
    left + if AGREES.contains(&difference) { difference } else { -MOST_EARLIER } <= 0
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const NOW: Duration = Duration::from_millis(1_795_000_000_999);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    /// Writes at `NOW` by the server's clock, and by a writer whose clock is so many milliseconds ahead.
    fn written(timeout: Duration, ahead: i64) -> Expiry {
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(NOW.as_millis() as i64 + ahead).unwrap());
        Expiry::from(Some(timeout), now).unwrap()
    }

    /// What a reader sees so many milliseconds later, whose clock is right: whether the server has the item, and whether that is over.
    fn read(expiry: Expiry, later: u64) -> (bool, bool) {
        let now = NOW.as_millis() as u64 + later;
        let left = i64::from(expiry.seconds) - (now / 1000) as i64 + NOW.as_secs() as i64;
        let is_over = is_over(expiry.flags, left, now);
        assert_eq!(self::is_over(expiry.flags | HEAD, left, now), is_over, "a head ends as a value does");
        (left > 0, is_over)
    }

    #[test]
    fn the_server_is_told_no_less_and_never_a_date() {
        for (timeout, seconds) in [
            (Duration::from_nanos(1), 2),
            (Duration::from_millis(1), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1001), 3),
            (30 * DAY - Duration::from_secs(1), 2_592_000),
            (30 * DAY, 2_592_000),
            (3650 * DAY, 2_592_000),
            (Duration::MAX, 2_592_000),
        ] {
            assert_eq!(written(timeout, 0).seconds, seconds, "{timeout:?}");
        }
        assert_eq!(Expiry::from(Some(Duration::ZERO), UNIX_EPOCH), None);
        assert_eq!(Expiry::from(None, UNIX_EPOCH + NOW), Some(Expiry { seconds: 0, flags: 0 }));
    }

    #[test]
    fn it_ends_at_its_millisecond() {
        for end in [1, 1500, 60_000, 3_600_000, 20 * 86_400_000, 30 * 86_400_000 - 1000] {
            let expiry = written(Duration::from_millis(end), 0);
            for before in [1, 2, 100, 3000].into_iter().filter(|before| *before <= end) {
                assert_eq!(read(expiry, end - before), (true, false), "{end}, {before} ms before");
            }
            for after in [0, 1, 500, 999, 2000] {
                let (is_kept, is_over) = read(expiry, end + after);
                assert!(!is_kept || is_over, "{end}, {after} ms after");
            }
        }
        let to_ended = END.wrapping_sub(NOW.as_millis() as u32) & END;
        assert_eq!(written(Duration::from_millis(to_ended.into()), 0).flags, END - 1);
        assert!(!is_over(0, FOR_EVER, u64::MAX));
        assert!(is_over(0, i64::from(u32::MAX), 1));
    }

    #[test]
    fn clocks_that_do_not_agree_end_it_early_and_never_late() {
        const HOUR: i64 = 3_600_000;
        for ahead in [-400 * 24 * HOUR, -25 * HOUR, -HOUR, -10_000, 10_000, HOUR, 25 * HOUR, 400 * 24 * HOUR] {
            for timeout in [1, 999, 3000, 60_000, 86_400_000] {
                let expiry = written(Duration::from_millis(timeout), ahead);
                let (is_kept, is_over) = read(expiry, timeout);
                assert!(!is_kept || is_over, "{timeout} ms, {ahead} ms ahead");
                if timeout > 3000 {
                    assert_eq!(read(expiry, timeout - 3000), (true, false), "{timeout} ms, {ahead} ms ahead");
                }
            }
        }
    }
}
