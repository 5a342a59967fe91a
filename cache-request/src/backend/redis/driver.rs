//! The task that drives one connection: it writes the commands that have gathered, and hands out the answers.
//!
//! Tokio runs a task that was just woken before tasks that were ready earlier. So when many callers are ready at once, the command of the
//! first one would be written alone, with a system call and a packet of its own. So while there are many, the task yields each time it
//! is woken, and writes the commands of all ready callers together.

use std::{
    future::poll_fn,
    io::{self, ErrorKind},
    mem,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll, Waker, ready},
};

use redis::{PushInfo, RedisError, RedisResult, Value, aio::AsyncStream};
use tokio::{io::AsyncReadExt, task::yield_now};

use super::{
    answers::Answers,
    health::Health,
    queue::{Queue, wake},
};

/// How often it reads before other tasks run.
const READS: usize = 16;

/// Called for each push message of a server.
pub(super) type Pushes = Arc<dyn Fn(&PushInfo) + Send + Sync>;

/// A connection without encryption.
pub(super) type Socket = Pin<Box<dyn AsyncStream + Send + Sync>>;

/// What drives one connection. To drop it ends the connection and all calls over it.
pub(super) struct Driver {
    socket: Socket,
    queue: Arc<Queue>,
    /// Is lost with the connection.
    health: Arc<Health>,
    pushes: Option<Pushes>,
    /// Commands, of which some bytes are written.
    portion: Vec<u8>,
    written: usize,
    received: Answers,
    answers: Vec<Value>,
    woken: Vec<Waker>,
    /// More than one answer was received at a time.
    is_busy: bool,
    has_yielded: bool,
}

impl Driver {
    pub(super) fn new(socket: Socket, queue: Arc<Queue>, health: Arc<Health>, pushes: Option<Pushes>) -> Self {
        Self {
            socket,
            queue,
            health,
            pushes,
            portion: Vec::new(),
            written: 0,
            received: Answers::default(),
            answers: Vec::new(),
            woken: Vec::new(),
            is_busy: false,
            has_yielded: false,
        }
    }

    /// Runs until the connection ends.
    pub(super) async fn run(mut self) {
        let why = poll_fn(|context| {
            self.has_yielded = self.is_busy && !self.has_yielded;
            if self.has_yielded {
                // A task that wakes itself would wake another thread as well, to take it over.
                let _ = pin!(yield_now()).poll(context);
                return Poll::Pending;
            }
            self.drive(context)
        });
        let why = why.await;
        self.queue.close(why);
    }

    /// Ready with the error that ends the connection.
    fn drive(&mut self, context: &mut Context<'_>) -> Poll<RedisError> {
        if self.health.is_lost() {
            // Another connection is used by now, and nothing may be written after what that one writes.
            return Poll::Ready(closed());
        }
        // The server may stop reading until its answers are read, so both go on even if one of them has to wait.
        let ended = match self.write(context) {
            // A server that closes the connection because of a command may have said so before.
            Poll::Ready(Err(error)) => self.read(context).and_then(|()| Err(error.into())),
            _ => self.read(context),
        };
        match ended {
            Ok(()) => Poll::Pending,
            Err(error) => Poll::Ready(error),
        }
    }

    /// Writes all commands. Pending if the socket takes no more.
    fn write(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            if self.written == self.portion.len() {
                self.portion = self.queue.next_portion(mem::take(&mut self.portion), context.waker());
                self.written = 0;
                if self.portion.is_empty() {
                    return Poll::Ready(Ok(()));
                }
            }
            match ready!(self.socket.as_mut().poll_write(context, &self.portion[self.written..]))? {
                0 => return Poll::Ready(Err(ErrorKind::WriteZero.into())),
                written => self.written += written,
            }
        }
    }

    /// Hands out all answers that are there.
    fn read(&mut self, context: &mut Context<'_>) -> RedisResult<()> {
        for _ in 0..READS {
            match pin!(self.socket.read_buf(self.received.room())).poll(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(closed()),
                Poll::Ready(received) => _ = received?,
            }
            while let Some(answer) = self.received.next()? {
                match answer {
                    Value::Push { kind, data } => {
                        if let Some(pushes) = &self.pushes {
                            pushes(&PushInfo { kind, data });
                        }
                    }
                    answer => self.answers.push(answer),
                }
            }
            self.is_busy = self.answers.len() > 1;
            let expected = self.queue.answer(&mut self.answers, &mut self.woken);
            wake(&mut self.woken);
            if !expected {
                return Err(
                    io::Error::new(ErrorKind::InvalidData, "the server sends an answer without a command").into()
                );
            }
        }
        context.waker().wake_by_ref();
        Ok(())
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.queue.close(closed());
        self.health.lose();
    }
}

fn closed() -> RedisError {
    io::Error::from(ErrorKind::BrokenPipe).into()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_lite::future::{block_on, poll_once};
    use futures_util::future::join_all;
    use tokio::{
        io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
        net::UnixStream,
        runtime::Builder,
    };

    use super::*;

    /// A connection that the server closes after it has sent this.
    struct Server {
        sends: &'static [u8],
        /// How many bytes arrive at a time.
        piece: usize,
        /// Whether it has closed the connection already.
        is_closed: bool,
    }

    impl AsyncRead for Server {
        fn poll_read(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
            received: &mut ReadBuf<'_>,
        ) -> Poll<io::Result<()>> {
            let (piece, rest) = self.sends.split_at(self.piece.min(self.sends.len()));
            received.put_slice(piece);
            self.sends = rest;
            Poll::Ready(Ok(()))
        }
    }

    impl AsyncWrite for Server {
        fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, sent: &[u8]) -> Poll<io::Result<usize>> {
            Poll::Ready(if self.is_closed { Err(ErrorKind::ConnectionReset.into()) } else { Ok(sent.len()) })
        }

        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }

        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }

    /// Begins calls with so many answers each, and drives their connection to its end.
    fn drive<const N: usize>(
        queue: &Arc<Queue>,
        answers: [usize; N],
        server: Server,
        pushes: Option<Pushes>,
    ) -> [RedisResult<Value>; N] {
        let mut calls =
            answers.map(|answers| Box::pin(queue.ask(answers, |commands| commands.append(b"command".into()))));
        for call in &mut calls {
            assert!(block_on(poll_once(call)).is_none());
        }
        block_on(Driver::new(Box::pin(server), Arc::clone(queue), Arc::new(Health::new()), pushes).run());
        calls.map(block_on)
    }

    #[test]
    fn a_message_was_taken_for_an_answer() {
        const SENT: &[u8] = b"$1\r\na\r\n>2\r\n+invalidate\r\n*1\r\n$1\r\nk\r\n-LOADING soon\r\n\
            >2\r\n+invalidate\r\n_\r\n:3\r\n:4\r\n:5";

        for piece in 1..=SENT.len() {
            let told = Arc::new(AtomicUsize::new(0));
            let counts = Arc::clone(&told);
            let pushes: Pushes = Arc::new(move |_| _ = counts.fetch_add(1, Ordering::Relaxed));
            let server = Server { sends: SENT, piece, is_closed: false };
            let [value, two, number, cut] = drive(&Arc::default(), [1, 2, 1, 1], server, Some(pushes));
            assert_eq!(value.unwrap(), Value::BulkString(b"a".into()));
            let Ok(Value::Array(two)) = two else { panic!("{two:?}") };
            assert!(matches!(&two[..], [Value::ServerError(error), Value::Int(3)] if error.code() == "LOADING"));
            assert_eq!(number.unwrap(), Value::Int(4));
            assert!(cut.unwrap_err().is_io_error());
            assert_eq!(told.load(Ordering::Relaxed), 2);
        }
    }

    #[test]
    fn what_a_server_said_before_it_closed_the_connection_was_not_read() {
        let sends = b"-ERR Protocol error: invalid bulk length\r\n";
        let server = Server { sends, piece: sends.len(), is_closed: true };
        let [refused, next] = drive(&Arc::default(), [1, 1], server, None);
        let error = refused.unwrap().extract_error().unwrap_err();
        assert_eq!(error.detail(), Some("Protocol error: invalid bulk length"));
        assert!(next.unwrap_err().is_io_error());
    }

    /// In a runtime with several threads, a task that was just woken runs before tasks that were ready earlier.
    #[test]
    fn each_caller_was_served_alone() {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let rounds = runtime.block_on(async {
            let (ours, mut servers) = UnixStream::pair().unwrap();
            let queue = Arc::new(Queue::default());
            let driver = Driver::new(Box::pin(ours), Arc::clone(&queue), Arc::new(Health::new()), None);
            let server = tokio::spawn(async move {
                let (mut rounds, mut received) = (0, vec![0; 1 << 16]);
                loop {
                    let length = servers.read(&mut received).await.unwrap();
                    if length == 0 {
                        return rounds;
                    }
                    rounds += 1;
                    let answers = received[..length].iter().map(|byte| format!(":{byte}\r\n")).collect::<String>();
                    servers.write_all(answers.as_bytes()).await.unwrap();
                }
            });
            let driver = tokio::spawn(driver.run());
            let caller = |number: u8| {
                let queue = Arc::clone(&queue);
                tokio::spawn(async move {
                    for _ in 0..10 {
                        let answer = queue.ask(1, |commands| commands.end().push(number)).await.unwrap();
                        assert_eq!(answer, Value::Int(number.into()));
                    }
                })
            };
            join_all((0..100).map(caller)).await.into_iter().for_each(Result::unwrap);
            driver.abort();
            server.await.unwrap()
        });
        assert!(rounds < 20, "{rounds} rounds for 1000 commands");
    }
}
