//! Keys, timeouts and answers as they are on the wire.

use std::{io::Write, time::Duration};

use redis::{Cmd, RedisWrite, ToRedisArgs, Value, cmd};

/// The largest value that is sent, in bytes: the default of a server's `proto-max-bulk-len`. A server closes the connection for a larger
/// one, and all calls over that connection fail.
pub(super) const MAX_VALUE_BYTES: usize = 512 << 20;

/// The value in an answer to `GET`. The outer `None` means that the answer does not fit the command.
pub(super) fn bytes(answer: Value) -> Option<Option<Vec<u8>>> {
    match answer {
        Value::BulkString(bytes) => Some(Some(bytes)),
        Value::Nil => Some(None),
        _ => None,
    }
}

/// Whether the key was there, by the count that commands such as `UNLINK` answer. `None` if the answer does not fit the command.
pub(super) fn was_there(answer: &Value) -> Option<bool> {
    match answer {
        Value::Int(count) => Some(*count > 0),
        _ => None,
    }
}

/// How long the server keeps a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expiry {
    Never,
    /// In milliseconds.
    After(u64),
}

impl Expiry {
    /// `None` for a timeout of zero.
    pub(super) fn of(timeout: Option<Duration>) -> Option<Self> {
        // The server adds the current time, and refuses a sum that overflows an `i64`. This is 146 million years.
        const LONGEST: u64 = 1 << 62;

        let Some(timeout) = timeout else { return Some(Self::Never) };
        // Rounded up, so that no value ends early and a short timeout does not become zero.
        let milliseconds = u64::try_from(timeout.as_nanos().div_ceil(1_000_000)).unwrap_or(LONGEST).min(LONGEST);
        (milliseconds > 0).then_some(Self::After(milliseconds))
    }
}

/// A key on the server, `<namespace>:<key>`, as an argument of a command. A namespace has no colon, so different keys differ there, too.
#[derive(Clone, Copy)]
pub(super) struct Stored<'a> {
    pub(super) namespace: &'a str,
    pub(super) key: &'a str,
}

impl Stored<'_> {
    pub(super) fn get(self) -> Cmd {
        let mut command = cmd("GET");
        command.arg(self);
        command
    }

    /// Appends a `GET` as it is sent, without the allocations of a command.
    pub(super) fn write_get(self, out: &mut Vec<u8>) {
        let Self { namespace, key } = self;
        let length = namespace.len() + 1 + key.len();
        // It writes to memory, which does not fail.
        let _ = write!(out, "*2\r\n$3\r\nGET\r\n${length}\r\n");
        for part in [namespace, ":", key, "\r\n"] {
            out.extend_from_slice(part.as_bytes());
        }
    }
}

impl ToRedisArgs for Stored<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        // It writes to memory, which does not fail.
        let mut out = out.writer_for_next_arg();
        for part in [self.namespace, ":", self.key] {
            let _ = out.write_all(part.as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_rounded_up_and_never_to_none() {
        for (timeout, expiry) in [
            (None, Some(Expiry::Never)),
            (Some(Duration::ZERO), None),
            (Some(Duration::from_nanos(1)), Some(Expiry::After(1))),
            (Some(Duration::from_millis(1)), Some(Expiry::After(1))),
            (Some(Duration::from_nanos(1_000_001)), Some(Expiry::After(2))),
            (Some(Duration::from_secs(1)), Some(Expiry::After(1000))),
            (Some(Duration::from_secs(31 * 24 * 60 * 60)), Some(Expiry::After(2_678_400_000))),
            (Some(Duration::MAX), Some(Expiry::After(1 << 62))),
        ] {
            assert_eq!(Expiry::of(timeout), expiry, "{timeout:?}");
        }
    }
}
