//! The servers: which one has a key, and which of them answer.

use std::{
    fmt, io,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use memcache::exp::{self, AsyncMetaClient, MetaClientBuilder, Operation};
use tokio::time::{sleep, timeout};

use super::{failure::Failure, link::Link};
use crate::{
    Error, ErrorKind,
    base::{
        clock::{Nanos, coarse_now, coarse_since},
        runtime,
    },
};

/// Pauses between attempts to reach a lost server double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// A caller that gives up after this time did so because the server did not answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// How many connections in a row may be closed before their server counts as lost. A server that is well closes idle ones.
const CLOSED: u32 = 4;

/// The servers among which the keys are divided.
pub(super) struct Fleet {
    servers: Vec<Server>,
    answer_limit: Duration,
}

struct Server {
    /// `host:port`
    address: String,
    hash: u64,
    /// It did not answer. A task of the library's own runtime asks it until it does; calls do not ask it.
    lost: AtomicBool,
    /// How many connections were closed since the last answer.
    closed: AtomicU32,
    /// Connections of earlier epochs are not used.
    epoch: AtomicU64,
}

impl Fleet {
    pub(super) fn new(addresses: Vec<String>, answer_limit: Duration) -> Arc<Self> {
        let servers = addresses.into_iter().map(|address| Server {
            hash: hash(&address),
            address,
            lost: AtomicBool::new(false),
            closed: AtomicU32::new(0),
            epoch: AtomicU64::new(0),
        });
        Arc::new(Self { servers: servers.collect(), answer_limit })
    }

    pub(super) fn answer_limit(&self) -> Duration {
        self.answer_limit
    }

    pub(super) fn len(&self) -> usize {
        self.servers.len()
    }

    /// The server that has this key, by rendezvous hashing: the one with the highest score for the key. Neither the order of the
    /// servers nor the loss of another one changes it.
    pub(super) fn server_of(&self, key: &str) -> usize {
        if self.servers.len() == 1 {
            return 0;
        }
        let key = hash(key);
        let score = |server: usize| mix(key ^ self.servers[server].hash);
        (0..self.servers.len()).max_by_key(|server| score(*server)).unwrap_or(0)
    }

    /// Runs an operation on one server. Fails at once if the server is lost.
    pub(super) async fn ask<T>(
        self: &Arc<Self>,
        link: &Link,
        server: usize,
        operation: impl AsyncFnOnce(AsyncMetaClient) -> exp::Result<T>,
    ) -> Result<T, Failure> {
        self.ask_within(self.answer_limit, link, server, operation).await
    }

    async fn ask_within<T>(
        self: &Arc<Self>,
        limit: Duration,
        link: &Link,
        number: usize,
        operation: impl AsyncFnOnce(AsyncMetaClient) -> exp::Result<T>,
    ) -> Result<T, Failure> {
        self.check(number)?;
        let server = &self.servers[number];
        let waiting = self.waiting(number);
        let outcome = link
            .drive(async {
                let operation = async {
                    let epoch = server.epoch.load(Ordering::Relaxed);
                    operation(link.client(number, &server.address, epoch).await?).await
                };
                timeout(limit, operation).await
            })
            .await;
        waiting.end();
        match outcome {
            Ok(Ok(answer)) => {
                if server.closed.load(Ordering::Relaxed) != 0 {
                    server.closed.store(0, Ordering::Relaxed);
                }
                Ok(answer)
            }
            Ok(Err(error)) => Err(self.failed(number, error)),
            Err(_) => {
                self.lose(number);
                Err(self.unreachable(number, ErrorKind::Timeout, "does not answer"))
            }
        }
    }

    /// Fails if the server is lost.
    pub(super) fn check(&self, number: usize) -> Result<(), Failure> {
        if self.servers[number].lost.load(Ordering::Relaxed) {
            return Err(self.unreachable(number, ErrorKind::Backend, "is lost and not asked until it answers again"));
        }
        Ok(())
    }

    /// Returns what a call must hold while it waits for the server.
    pub(super) fn waiting(self: &Arc<Self>, number: usize) -> Waiting<'_> {
        Waiting { fleet: self, number, since: coarse_now(), has_ended: false }
    }

    /// As [`ask`](Self::ask), within half the time: for what has to be known before the caller's own operation.
    pub(super) async fn ask_first<T>(
        self: &Arc<Self>,
        link: &Link,
        server: usize,
        operation: impl AsyncFnOnce(AsyncMetaClient) -> exp::Result<T>,
    ) -> Result<T, Failure> {
        self.ask_within(self.answer_limit / 2, link, server, operation).await
    }

    /// Runs some operations in one round trip, and returns one outcome for each. A connection that is closed counts once, however
    /// many operations failed with it.
    pub(super) async fn exchange<O: Operation>(
        self: &Arc<Self>,
        link: &Link,
        server: usize,
        operations: Vec<O>,
    ) -> Vec<Result<O::Output, Failure>> {
        let count = operations.len();
        let asked = async move |client: AsyncMetaClient| {
            let outcomes = client.run_many(operations).await?;
            // Without any answer, the round trip itself has failed.
            let has_answers = outcomes.iter().any(|outcome| !outcome.as_ref().is_err_and(is_of_connection));
            if has_answers {
                Ok(outcomes)
            } else {
                outcomes.into_iter().collect::<exp::Result<_>>().map(|_: Vec<_>| Vec::new())
            }
        };
        let outcomes = match self.ask(link, server, asked).await {
            Ok(outcomes) => outcomes,
            Err(failure) => return (0..count).map(|_| Err(failure.copy())).collect(),
        };
        let mut lost: Option<Failure> = None;
        let mut failed = |error| match &lost {
            Some(failure) if is_of_connection(&error) => failure.copy(),
            None if is_of_connection(&error) => lost.insert(self.failed(server, error)).copy(),
            _ => self.failed(server, error),
        };
        outcomes.into_iter().map(|outcome| outcome.map_err(&mut failed)).collect()
    }

    /// Fails if one of the servers does not answer.
    pub(super) async fn all_answer(self: &Arc<Self>, link: &Link) -> Result<(), Error> {
        let answers = (0..self.len()).map(|server| self.ask(link, server, async |client| client.noop().await));
        join_all(answers).await.into_iter().collect::<Result<(), _>>().map_err(Failure::error)
    }

    /// The failure for an error of the client. Texts of the client's own are not shown: they quote keys, which hold arguments.
    pub(super) fn failed(self: &Arc<Self>, number: usize, error: exp::Error) -> Failure {
        match error {
            exp::Error::Ambiguous { source, .. } => self.failed(number, *source),
            exp::Error::Io(cause) => {
                let server = &self.servers[number];
                let is_closed = matches!(
                    cause.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::NotConnected
                );
                // Other idle connections may be closed as well, and a new one may work.
                server.epoch.fetch_add(1, Ordering::Relaxed);
                if !is_closed || server.closed.fetch_add(1, Ordering::Relaxed) + 1 >= CLOSED {
                    self.lose(number);
                }
                let why = self.unreachable(number, ErrorKind::Backend, &format!("cannot be reached: {cause}"));
                if is_closed { Failure::Closed(why.error()) } else { why }
            }
            exp::Error::Timeout { .. } => {
                self.lose(number);
                self.unreachable(number, ErrorKind::Timeout, "does not answer")
            }
            exp::Error::Server(message) => Failure::Refused(message),
            exp::Error::Rejected(message) => {
                Failure::Other(Error::backend(format!("memcached rejects a command: {message}")))
            }
            exp::Error::Usage(message) => {
                Failure::Other(Error::backend(format!("the client sends no such command to memcached: {message}")))
            }
            _ => Failure::unexpected_answer(),
        }
    }

    /// The failure of one server. It is of the given kind if no other server works. Else it is [`ErrorKind::Unavailable`], as the
    /// guard would stop asking the others.
    #[cold]
    fn unreachable(&self, number: usize, kind: ErrorKind, why: &str) -> Failure {
        let others_work = self
            .servers
            .iter()
            .enumerate()
            .any(|(other, server)| other != number && !server.lost.load(Ordering::Relaxed));
        let kind = if others_work { ErrorKind::Unavailable } else { kind };
        Failure::Other(Error::new(kind, format!("memcached at {} {why}", self.servers[number].address)))
    }

    /// Marks a server as lost, and begins to ask it until it answers.
    #[cold]
    fn lose(self: &Arc<Self>, number: usize) {
        let server = &self.servers[number];
        if server.lost.swap(true, Ordering::Relaxed) {
            return;
        }
        match runtime::own() {
            Ok(runtime) => {
                runtime.spawn(find_again(Arc::downgrade(self), number, server.address.clone()));
            }
            // Without a runtime, nothing would find it again.
            Err(_) => server.lost.store(false, Ordering::Relaxed),
        }
    }

    fn found(&self, number: usize) {
        let server = &self.servers[number];
        server.epoch.fetch_add(1, Ordering::Relaxed);
        server.closed.store(0, Ordering::Relaxed);
        server.lost.store(false, Ordering::Relaxed);
    }
}

/// Asks a lost server until it answers or the fleet is dropped.
async fn find_again(fleet: Weak<Fleet>, number: usize, address: String) {
    let mut pause = PAUSES[0];
    loop {
        let answer = async {
            let client = MetaClientBuilder::new().connect_async(address.as_str()).await?;
            client.noop().await
        };
        let answers = matches!(timeout(ATTEMPT, answer).await, Ok(Ok(())));
        let Some(fleet) = fleet.upgrade() else { return };
        if answers {
            return fleet.found(number);
        }
        drop(fleet);
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES[1]);
    }
}

/// A call that waits for a server. If it is dropped after [`PATIENCE`] without an end, the server is lost.
pub(super) struct Waiting<'a> {
    fleet: &'a Arc<Fleet>,
    number: usize,
    /// By the coarse clock, as it is read for every call.
    since: Nanos,
    has_ended: bool,
}

impl Waiting<'_> {
    pub(super) fn end(mut self) {
        self.has_ended = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.has_ended && coarse_since(self.since) >= PATIENCE {
            self.fleet.lose(self.number);
        }
    }
}

/// Whether the error is one of the connection, and not of one operation.
fn is_of_connection(error: &exp::Error) -> bool {
    match error {
        exp::Error::Ambiguous { source, .. } => is_of_connection(source),
        exp::Error::Io(_) | exp::Error::Timeout { .. } => true,
        _ => false,
    }
}

/// A hash that is the same in every process and release, as it decides which server has a key.
fn hash(text: &str) -> u64 {
    let digest = blake3::hash(text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The last step of `SplitMix64`: spreads each bit of the hash over all bits.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.servers.iter().map(|server| &server.address)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(addresses: &[&str]) -> Arc<Fleet> {
        Fleet::new(addresses.iter().map(|address| (*address).to_owned()).collect(), Duration::from_secs(1))
    }

    #[test]
    fn keys_are_divided_evenly_and_stay_where_they_are() {
        let (three, other_order, two) =
            (fleet(&["a:1", "b:1", "c:1"]), fleet(&["c:1", "a:1", "b:1"]), fleet(&["a:1", "c:1"]));
        let mut counts = [0; 3];
        for key in 0..3000 {
            let key = format!("key{key}");
            let server = three.server_of(&key);
            counts[server] += 1;
            let address = &three.servers[server].address;
            assert_eq!(other_order.servers[other_order.server_of(&key)].address, *address);
            // Without one server, its keys move and no others.
            if server != 1 {
                assert_eq!(two.servers[two.server_of(&key)].address, *address);
            }
        }
        assert!(counts.iter().all(|count| (900..1100).contains(count)), "{counts:?}");
        // Another release has to find what this one has stored.
        assert_eq!(["one", "two", "three", "four"].map(|key| three.server_of(key)), [2, 0, 2, 1]);
    }
}
