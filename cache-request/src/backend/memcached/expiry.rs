//! Timeouts to the millisecond, on servers that count seconds.
//!
//! The server is told to keep an item a second or two too long. When it really ends stands in the item's flags: the lowest 32 bits
//! of the milliseconds since 1970, of which the time that the server has left for it says which. That is less than a header before
//! the value would take, needs no copy of a value, and can be read without it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use memcache::exp::{GetResult, Set};

use crate::base::clock::unix_millis;

/// What the server takes for seconds from now. What is more is a date.
const LONGEST_RELATIVE: u64 = 30 * 24 * 60 * 60;

/// The last date that the server knows: it reads 32 bits with a sign.
const LAST_DATE: u64 = i32::MAX as u64;

/// Up to here the lowest 32 bits of milliseconds say which moment is meant: they come again every 49 days.
const TOLD_BY_FLAGS: i64 = 20 * 24 * 60 * 60;

/// What the server says it has left of what it keeps for ever.
const FOR_EVER: i64 = -1;

/// When an item ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Expiry {
    /// As the protocol has it: seconds, or a date in seconds since 1970, or 0 for ever.
    server: u32,
    /// The milliseconds. Of what the server keeps for ever, the seconds since 1970, or 0.
    flags: u32,
}

impl Expiry {
    /// A timeout that begins now. `None` if there is nothing to keep.
    pub(super) fn of(timeout: Option<Duration>) -> Option<Self> {
        Self::from(timeout, SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
    }

    fn from(timeout: Option<Duration>, now: Duration) -> Option<Self> {
        let Some(timeout) = timeout else { return Some(Self { server: 0, flags: 0 }) };
        if timeout.is_zero() {
            return None;
        }
        let end = now.saturating_add(timeout);
        // Its clock ticks once a second: the one that counts is up to a second old.
        let (left, date) = (seconds(timeout).saturating_add(1), seconds(end).saturating_add(1));
        let server = if left <= LONGEST_RELATIVE { left } else { date };
        if server <= LAST_DATE {
            // The lowest bits are wanted.
            return Some(Self { server: server as u32, flags: end.as_nanos().div_ceil(1_000_000) as u32 });
        }
        // Later than any date that the server knows.
        Some(Self { server: 0, flags: u32::try_from(seconds(end)).unwrap_or(0) })
    }

    pub(super) fn set(self, stored: &str, value: &[u8]) -> Set {
        Set::new(stored, value).client_flags(self.flags).ttl_raw(self.server)
    }
}

/// How long the server keeps what has ended already: longer than any two trips take.
const ENDED_STAYS: u32 = 60;

/// How long before it was made it has ended, so that it has by everybody's clock, in milliseconds.
const ENDED_BEFORE: u64 = 24 * 60 * 60 * 1000;

/// An empty item that has ended already, and is nothing to anybody.
pub(super) fn ended(stored: &str) -> Set {
    let end = unix_millis(SystemTime::now()).wrapping_sub(ENDED_BEFORE);
    Set::new(stored, b"").client_flags(end as u32).ttl_raw(ENDED_STAYS)
}

/// Rounded up.
fn seconds(duration: Duration) -> u64 {
    duration.as_secs().saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// Whether an item was found that has not ended. It was asked for the time that it has left.
pub(super) fn is_there(found: &GetResult) -> bool {
    let ends = (found.client_flags, found.item.ttl);
    found.hit() && matches!(ends, (Some(flags), Some(left)) if !is_over(flags, left, unix_millis(SystemTime::now())))
}

fn is_over(flags: u32, left: i64, now: u64) -> bool {
    if left == FOR_EVER {
        flags != 0 && now / 1000 >= u64::from(flags)
    } else if left > TOLD_BY_FLAGS {
        // No timeout is as long. It has ended while the server looked, and the difference has no sign.
        left > i64::from(i32::MAX)
    } else {
        // The lowest bits of both: their difference is less than half of what 32 bits hold.
        flags.wrapping_sub(now as u32).cast_signed() <= 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::new(1_795_000_000, 999_999_999);
    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn the_server_is_told_no_less_and_never_for_ever() {
        for (timeout, server) in [
            (Duration::from_nanos(1), 2),
            (Duration::from_millis(1), 2),
            (Duration::from_secs(1), 2),
            (Duration::from_millis(1001), 3),
            (30 * DAY - Duration::from_secs(1), 2_592_000),
            (30 * DAY, 1_795_000_000 + 2_592_000 + 2),
            (31 * DAY, 1_795_000_000 + 2_678_400 + 2),
            (3650 * DAY, 1_795_000_000 + 315_360_000 + 2),
        ] {
            assert_eq!(Expiry::from(Some(timeout), NOW).unwrap().server, server, "{timeout:?}");
        }
        assert_eq!(Expiry::from(Some(Duration::ZERO), NOW), None);
        assert_eq!(Expiry::from(None, NOW), Some(Expiry { server: 0, flags: 0 }));
        assert_eq!(Expiry::from(Some(Duration::MAX), NOW), Some(Expiry { server: 0, flags: 0 }));
        let beyond = Expiry::from(Some(20 * 365 * DAY), NOW).unwrap();
        assert_eq!(beyond, Expiry { server: 0, flags: 1_795_000_001 + 20 * 365 * 24 * 60 * 60 });
    }

    #[test]
    fn it_ends_at_its_millisecond() {
        for timeout in [
            Duration::from_nanos(1),
            Duration::from_millis(1),
            Duration::from_millis(1500),
            Duration::from_secs(3600),
            20 * DAY,
            // Around the moments at which the lowest bits begin anew.
            Duration::from_millis((1 << 32) - 1),
            Duration::from_millis(1 << 32),
            49 * DAY,
            400 * DAY,
            20 * 365 * DAY,
        ] {
            let expiry = Expiry::from(Some(timeout), NOW).unwrap();
            let end = (NOW + timeout).as_nanos().div_ceil(1_000_000) as u64;
            let left = |now: u64| match expiry.server {
                0 => FOR_EVER,
                relative if u64::from(relative) <= LONGEST_RELATIVE => {
                    i64::from(relative) - (now / 1000) as i64 + NOW.as_secs() as i64
                }
                date => i64::from(date) - (now / 1000) as i64,
            };
            let exact = if expiry.server == 0 { end.div_ceil(1000) * 1000 } else { end };
            for before in [1, 2, 100] {
                assert!(
                    !is_over(expiry.flags, left(exact - before), exact - before),
                    "{timeout:?}, {before} ms before"
                );
            }
            for after in [0, 1, 500, 999] {
                let left = left(exact + after);
                // If none is left the server has let it go.
                assert!(
                    (expiry.server != 0 && left <= 0) || is_over(expiry.flags, left, exact + after),
                    "{timeout:?}, {after} ms after"
                );
            }
            let now = unix_millis(UNIX_EPOCH + NOW);
            assert!(!is_over(expiry.flags, left(now), now), "{timeout:?}, at once");
        }
        assert!(!is_over(0, FOR_EVER, u64::MAX));
        assert!(is_over(0, i64::from(u32::MAX), 1));
    }
}
