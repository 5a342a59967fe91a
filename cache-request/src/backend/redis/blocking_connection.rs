//! The connection over which the thread of a plain function reads by itself, with blocking system calls.
//!
//! To be woken by another thread takes as long as an answer from a server on the same machine. So a thread that waits anyway writes its
//! request and reads the answer itself.
//!
//! It is a second connection, beside the shared one that the library's own threads drive. It is used for reading only, by one
//! caller at a time, and while the shared one is up. Every other caller takes the shared one, and so does this caller when
//! this connection is missing or broken.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    sync::{
        Arc, Mutex, TryLockError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use redis::{
    ConnectionAddr, ConnectionInfo, Pipeline, RedisConnectionInfo, RedisError, RedisResult, Value,
    io::tcp::socket2::Socket, parse_redis_value,
};

use super::{
    live::Live,
    multiplexed::configure,
    server::Server,
    wire::{MAX_VALUE_BYTES, Stored},
};
use crate::base::{
    clock::{Nanos, coarse_now, nanos},
    runtime::own,
    sync::lock,
};

/// The shortest time between two attempts to connect.
const RECONNECT_PAUSE: Duration = Duration::from_secs(1);

/// A connection that was unused for this long is checked first: the server may have closed it.
const IDLE: Duration = Duration::from_millis(100);

/// A connection that breaks before this part of the limit is over is replaced by the shared one within the same call, which
/// has the whole limit again. One that breaks later fails the call.
const RETRY_WITHIN: u32 = 8;

/// The most bytes of one read.
const READ_BYTES: usize = 64 << 10;

const LINE_END: &[u8] = b"\r\n";

/// The blocking connection of one backend.
pub(super) struct BlockingConnection {
    info: ConnectionInfo,
    connect_limit: Duration,
    idle: Arc<Mutex<Option<Open>>>,
    /// When the last attempt to connect began, by the coarse clock; 0 before the first.
    attempted: AtomicU64,
}

/// Why a request has no answer.
pub(super) enum Failure {
    /// The server answered with an error, or the connection broke.
    Failed(RedisError),
    /// The answer does not fit the command.
    UnexpectedAnswer,
    TimedOut,
}

impl BlockingConnection {
    /// `None` for clusters, sentinels and encrypted connections.
    pub(super) fn new(server: &Server, connect_limit: Duration) -> Option<Self> {
        Some(Self { info: server.plain()?, connect_limit, idle: Arc::default(), attempted: AtomicU64::new(0) })
    }

    /// Asks for a value and returns what `read` makes of the answer. `None` tells the caller to use the shared connection, which is
    /// `shared`.
    ///
    /// Takes no longer than `limit`.
    pub(super) fn get<T>(
        &self,
        shared: &Arc<Live>,
        key: Stored<'_>,
        read: impl FnOnce(Value) -> Option<T>,
        limit: Duration,
    ) -> Option<Result<T, Failure>> {
        let mut idle = match self.idle.try_lock() {
            Ok(idle) => idle,
            Err(TryLockError::Poisoned(idle)) => idle.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        // A connection that is not put back is closed: it is broken, or an answer is still to come over it.
        let Some(mut open) = idle.take().filter(|open| open.is_beside(shared)) else {
            drop(idle);
            self.connect(shared);
            return None;
        };
        if !open.is_usable() {
            return None;
        }
        let begun = Instant::now();
        let mut command = Vec::with_capacity(key.namespace.len() + key.key.len() + 32);
        key.write_get(&mut command);
        let answer = match open.exchange(&command, 1, begun, limit) {
            Ok(answer) => answer.into_iter().next().unwrap_or(Value::Nil).extract_error(),
            Err(error) if error.is_timeout() => {
                shared.health.gave_up(begun.elapsed());
                return Some(Err(Failure::TimedOut));
            }
            Err(error) => return (begun.elapsed() >= limit / RETRY_WITHIN).then_some(Err(Failure::Failed(error))),
        };
        let outcome = match answer.map(read) {
            Ok(Some(read)) => Ok(read),
            Ok(None) => return Some(Err(Failure::UnexpectedAnswer)),
            Err(error) => Err(Failure::Failed(error)),
        };
        *idle = Some(open);
        Some(outcome)
    }

    /// Begins to connect in the background, unless the last attempt was a moment ago.
    fn connect(&self, shared: &Arc<Live>) {
        let (now, last) = (coarse_now(), self.attempted.load(Ordering::Relaxed));
        let is_due = last == 0 || now.saturating_sub(last) >= nanos(RECONNECT_PAUSE);
        if !is_due || self.attempted.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let Ok(runtime) = own() else { return };
        let (idle, beside) = (Arc::downgrade(&self.idle), Arc::downgrade(shared));
        let (info, limit) = (self.info.clone(), self.connect_limit);
        drop(runtime.spawn_blocking(move || {
            let open = Open::connect(&info, limit, beside).ok();
            if let Some(idle) = idle.upgrade() {
                *lock(&idle) = open;
            }
        }));
    }
}

/// An open connection, over which no answer is to come.
struct Open {
    socket: Socket,
    /// How long the system lets one read or write take.
    timeout: Duration,
    /// When it was last used, by the coarse clock.
    used: Nanos,
    /// The shared connection when this one was made. If that was replaced, this one may lead to a server that was, too.
    beside: Weak<Live>,
}

impl Open {
    fn connect(info: &ConnectionInfo, limit: Duration, beside: Weak<Live>) -> RedisResult<Self> {
        let begun = Instant::now();
        let socket = connect(info, limit)?;
        let mut open = Self { socket, timeout: Duration::ZERO, used: coarse_now(), beside };
        let (setup, required) = setup(info.redis_settings());
        let answers = open.exchange(&setup.get_packed_pipeline(), setup.len(), begun, limit)?;
        answers.into_iter().take(required).try_for_each(|answer| answer.extract_error().map(drop))?;
        Ok(open)
    }

    fn is_beside(&self, shared: &Arc<Live>) -> bool {
        self.beside.as_ptr() == Arc::as_ptr(shared)
    }

    /// Whether nothing was received since the last answer, neither the end of the connection nor a further answer. A connection that was
    /// just used is not checked, as a check takes as many system calls as a request.
    fn is_usable(&mut self) -> bool {
        let now = coarse_now();
        let is_idle = now.saturating_sub(self.used) >= nanos(IDLE);
        self.used = now;
        !is_idle || self.is_silent().unwrap_or(false)
    }

    fn is_silent(&self) -> io::Result<bool> {
        self.socket.set_nonblocking(true)?;
        let next = (&self.socket).read(&mut [0]);
        self.socket.set_nonblocking(false)?;
        Ok(next.is_err_and(|error| error.kind() == ErrorKind::WouldBlock))
    }

    /// Sends a request and reads as many answers, all within `limit` of `begun`.
    fn exchange(&mut self, request: &[u8], answers: usize, begun: Instant, limit: Duration) -> RedisResult<Vec<Value>> {
        let mut timed = Timed { open: self, begun, limit };
        timed.write_all(request)?;
        let mut received = BufReader::with_capacity(READ_BYTES, timed);
        let answers = (0..answers).map(|_| read_answer(&mut received)).collect::<Result<_, _>>()?;
        if !received.buffer().is_empty() {
            // There are more answers than requests, so which one belongs to which is not known.
            return Err(io::Error::from(ErrorKind::InvalidData).into());
        }
        Ok(answers)
    }
}

/// Reads one answer. A value is read by hand, so that it is copied only once; the client library parses all other answers,
/// which have one line.
fn read_answer(received: &mut impl BufRead) -> RedisResult<Value> {
    let mut line = Vec::new();
    received.take(READ_BYTES as u64).read_until(b'\n', &mut line)?;
    let Some(length) = value_length(&line) else { return parse_redis_value(&line) };
    // The length may be wrong, so memory is not reserved before the bytes are there.
    let mut value = Vec::with_capacity(length.min(READ_BYTES) + LINE_END.len());
    received.take((length + LINE_END.len()) as u64).read_to_end(&mut value)?;
    match value.strip_suffix(LINE_END) {
        Some(bytes) if bytes.len() == length => value.truncate(length),
        _ => return Err(io::Error::from(ErrorKind::UnexpectedEof).into()),
    }
    Ok(Value::BulkString(value))
}

/// The length of the value that follows a line, if that announces one.
fn value_length(line: &[u8]) -> Option<usize> {
    let digits = line.strip_prefix(b"$")?.strip_suffix(LINE_END)?;
    str::from_utf8(digits).ok()?.parse().ok().filter(|length| *length <= MAX_VALUE_BYTES)
}

fn connect(info: &ConnectionInfo, limit: Duration) -> io::Result<Socket> {
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let begun = Instant::now();
            let mut outcome = Err(ErrorKind::NotFound.into());
            for address in (host.as_str(), *port).to_socket_addrs()? {
                let left = limit.saturating_sub(begun.elapsed());
                // `connect_timeout` does not take zero.
                if left.is_zero() {
                    return Err(ErrorKind::TimedOut.into());
                }
                outcome = TcpStream::connect_timeout(&address, left);
                if outcome.is_ok() {
                    break;
                }
            }
            let socket = Socket::from(outcome?);
            configure(&(&socket).into(), info.tcp_settings())?;
            Ok(socket)
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => std::os::unix::net::UnixStream::connect(path).map(Socket::from),
        _ => Err(ErrorKind::Unsupported.into()),
    }
}

/// The commands that a connection begins with, and how many of them must succeed. A server that refuses to be logged in like
/// this, such as one without user names, is read over the shared connection only.
fn setup(settings: &RedisConnectionInfo) -> (Pipeline, usize) {
    let mut setup = redis::pipe();
    if let Some(password) = settings.password() {
        setup.cmd("AUTH").arg(settings.username()).arg(password);
    }
    if settings.db() != 0 {
        setup.cmd("SELECT").arg(settings.db());
    }
    let required = setup.len();
    for (name, value) in [("LIB-NAME", settings.lib_name()), ("LIB-VER", settings.lib_ver())] {
        setup.cmd("CLIENT").arg("SETINFO").arg(name).arg(value);
    }
    (setup, required)
}

/// The socket, with one limit for all reads and writes of a request.
struct Timed<'a> {
    open: &'a mut Open,
    begun: Instant,
    limit: Duration,
}

impl Timed<'_> {
    /// Sets the timeouts of the next read or write. That takes two system calls, so timeouts that are too long by at most a
    /// thirty-second of the limit are kept.
    fn arm(&mut self) -> io::Result<()> {
        let left = self.limit.saturating_sub(self.begun.elapsed());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        if self.open.timeout < left || self.open.timeout - left > self.limit / 32 {
            // Rounded up, as zero would mean no limit.
            let left = left.saturating_add(Duration::from_millis(1));
            self.open.socket.set_read_timeout(Some(left))?;
            self.open.socket.set_write_timeout(Some(left))?;
            self.open.timeout = left;
        }
        Ok(())
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            self.arm()?;
            match (&self.open.socket).read(buffer) {
                // A signal interrupted the read.
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.arm()?;
        (&self.open.socket).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_to_its_end_and_no_further() {
        for (received, expected, rest) in [
            ("$-1\r\n", Some(Value::Nil), ""),
            ("$0\r\n\r\n", Some(Value::BulkString(Vec::new())), ""),
            ("$4\r\na\r\nb\r\n+OK\r\n", Some(Value::BulkString(b"a\r\nb".to_vec())), "+OK\r\n"),
            ("+OK\r\n$1\r\n", Some(Value::Okay), "$1\r\n"),
            (":7\r\n", Some(Value::Int(7)), ""),
            ("", None, ""),
            ("$3\r\nab", None, ""),
            ("$3\r\nabc", None, ""),
            ("$3\r\nabcd\r\n", None, "\n"),
            ("$999999999999\r\nabc\r\n", None, "abc\r\n"),
            ("$3\nabc\r\n", None, "abc\r\n"),
            ("nonsense\r\n", None, ""),
        ] {
            let mut left = received.as_bytes();
            assert_eq!(read_answer(&mut left).ok(), expected, "{received:?}");
            assert_eq!(left, rest.as_bytes(), "{received:?}");
        }
        let refused = read_answer(&mut &b"-WRONGTYPE it is a list\r\n"[..]).unwrap();
        assert_eq!(refused.extract_error().unwrap_err().code(), Some("WRONGTYPE"));
    }
}
