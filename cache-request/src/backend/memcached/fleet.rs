//! Which server has a key, and which of them answer.

use std::{
    fmt, io,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use memcache::exp::{self, AsyncMetaClient, MetaClientBuilder, Operation};
use tokio::{
    runtime::Handle,
    time::{sleep, timeout},
};

use super::get_batch::GetBatch;
use crate::{
    Error, ErrorKind,
    base::{
        clock::{Nanos, coarse_now, coarse_since},
        runtime,
    },
};

/// Pauses between attempts to reach a lost server double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// How long such an attempt may take.
const ATTEMPT: Duration = Duration::from_secs(1);

/// Who gives up later than this did so because there was no answer.
const PATIENCE: Duration = Duration::from_millis(100);

/// So many connections in a row may be lost before their server counts as lost: it may have ended those that nobody used.
const CUTS: u32 = 4;

/// All servers.
pub(super) struct Fleet {
    servers: Vec<Server>,
    answer_limit: Duration,
}

struct Server {
    /// `host:port`
    address: String,
    hash: u64,
    /// It did not answer, and is asked by a task of the library's own runtime until it does. Nobody else asks it meanwhile.
    lost: AtomicBool,
    /// How many connections were lost since one had an answer.
    cuts: AtomicU32,
    /// Connections of earlier epochs are not used any more.
    epoch: AtomicU64,
}

impl Fleet {
    pub(super) fn new(addresses: Vec<String>, answer_limit: Duration) -> Arc<Self> {
        let servers = addresses.into_iter().map(|address| Server {
            hash: hash(&address),
            address,
            lost: AtomicBool::new(false),
            cuts: AtomicU32::new(0),
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

    /// Rendezvous hashing: of all servers, the one that this key likes most. Whatever happens to others, and in whichever order they
    /// are named, it is the same one.
    pub(super) fn server_of(&self, key: &str) -> usize {
        if self.servers.len() == 1 {
            return 0;
        }
        let key = hash(key);
        let liked = |server: usize| mix(key ^ self.servers[server].hash);
        (0..self.servers.len()).max_by_key(|server| liked(*server)).unwrap_or(0)
    }

    /// Asks one server something, through the connections of the caller's runtime. At once an error, if the server is lost.
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
        self.is_there(number)?;
        let server = &self.servers[number];
        let waiting = self.waiting(number);
        let outcome = link
            .drive(async {
                let conversation = async { operation(link.client(number, server).await?).await };
                timeout(limit, conversation).await
            })
            .await;
        waiting.end();
        match outcome {
            Ok(Ok(answer)) => {
                if server.cuts.load(Ordering::Relaxed) != 0 {
                    server.cuts.store(0, Ordering::Relaxed);
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

    /// An error, if the server is lost.
    pub(super) fn is_there(&self, number: usize) -> Result<(), Failure> {
        if self.servers[number].lost.load(Ordering::Relaxed) {
            return Err(self.unreachable(number, ErrorKind::Backend, "is not there"));
        }
        Ok(())
    }

    /// To be held while a call waits for the server.
    pub(super) fn waiting(self: &Arc<Self>, number: usize) -> Waiting<'_> {
        Waiting { fleet: self, number, since: coarse_now(), is_over: false }
    }

    /// Half the usual time, for what comes before what the caller wants.
    pub(super) async fn ask_shortly<T>(
        self: &Arc<Self>,
        link: &Link,
        server: usize,
        operation: impl AsyncFnOnce(AsyncMetaClient) -> exp::Result<T>,
    ) -> Result<T, Failure> {
        self.ask_within(self.answer_limit / 2, link, server, operation).await
    }

    /// Some operations in one round trip. As many outcomes as operations. A connection that is lost counts as one, however many
    /// had no answer over it.
    pub(super) async fn exchange<O: Operation>(
        self: &Arc<Self>,
        link: &Link,
        server: usize,
        operations: Vec<O>,
    ) -> Vec<Result<O::Output, Failure>> {
        let count = operations.len();
        let asked = async move |client: AsyncMetaClient| {
            let outcomes = client.run_many(operations).await?;
            // If there are none, it is the whole that has failed.
            let has_answers = outcomes.iter().any(|outcome| !outcome.as_ref().is_err_and(is_of_connection));
            if has_answers {
                Ok(outcomes)
            } else {
                outcomes.into_iter().collect::<exp::Result<_>>().map(|_: Vec<_>| Vec::new())
            }
        };
        let outcomes = match self.ask(link, server, asked).await {
            Ok(outcomes) => outcomes,
            Err(failure) => return (0..count).map(|_| Err(failure.again())).collect(),
        };
        let mut lost: Option<Failure> = None;
        let mut failed = |error| match &lost {
            Some(failure) if is_of_connection(&error) => failure.again(),
            None if is_of_connection(&error) => lost.insert(self.failed(server, error)).again(),
            _ => self.failed(server, error),
        };
        outcomes.into_iter().map(|outcome| outcome.map_err(&mut failed)).collect()
    }

    /// An error if one of them does not answer.
    pub(super) async fn all_answer(self: &Arc<Self>, link: &Link) -> Result<(), Error> {
        let answers = (0..self.len()).map(|server| self.ask(link, server, async |client| client.noop().await));
        join_all(answers).await.into_iter().collect::<Result<(), _>>().map_err(Failure::error)
    }

    /// What went wrong at one server. The texts of the client's errors quote keys, and with them arguments.
    pub(super) fn failed(self: &Arc<Self>, number: usize, error: exp::Error) -> Failure {
        match error {
            exp::Error::Ambiguous { source, .. } => self.failed(number, *source),
            exp::Error::Io(cause) => {
                let server = &self.servers[number];
                let is_cut = matches!(
                    cause.kind(),
                    io::ErrorKind::UnexpectedEof
                        | io::ErrorKind::ConnectionReset
                        | io::ErrorKind::ConnectionAborted
                        | io::ErrorKind::BrokenPipe
                        | io::ErrorKind::NotConnected
                );
                // Connections that were not used for a while may all be gone, and the next one may work.
                server.epoch.fetch_add(1, Ordering::Relaxed);
                if !is_cut || server.cuts.fetch_add(1, Ordering::Relaxed) + 1 >= CUTS {
                    self.lose(number);
                }
                let why = self.unreachable(number, ErrorKind::Backend, &format!("cannot be reached: {cause}"));
                if is_cut { Failure::Cut(why.error()) } else { why }
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
                Failure::Other(Error::backend(format!("no command for memcached: {message}")))
            }
            _ => Failure::nonsense(),
        }
    }

    /// The error of the keys of one server, of this kind where it is the backend's: not if others go on, as the guard would leave
    /// all of them alone.
    #[cold]
    fn unreachable(&self, number: usize, kind: ErrorKind, why: &str) -> Failure {
        let others_go_on = self
            .servers
            .iter()
            .enumerate()
            .any(|(other, server)| other != number && !server.lost.load(Ordering::Relaxed));
        let kind = if others_go_on { ErrorKind::Unavailable } else { kind };
        Failure::Other(Error::new(kind, format!("memcached at {} {why}", self.servers[number].address)))
    }

    /// Nobody asks this server any more, until it answers again.
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
            // Nobody would find it again.
            Err(_) => server.lost.store(false, Ordering::Relaxed),
        }
    }

    fn found(&self, number: usize) {
        let server = &self.servers[number];
        server.epoch.fetch_add(1, Ordering::Relaxed);
        server.cuts.store(0, Ordering::Relaxed);
        server.lost.store(false, Ordering::Relaxed);
    }
}

/// Asks a lost server until it answers, or nobody wants to know any more.
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

/// A call that waits for a server. If it gives up, after a while, that is for want of an answer.
pub(super) struct Waiting<'a> {
    fleet: &'a Arc<Fleet>,
    number: usize,
    /// By the coarse clock: it is read for every call.
    since: Nanos,
    is_over: bool,
}

impl Waiting<'_> {
    pub(super) fn end(mut self) {
        self.is_over = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_over && coarse_since(self.since) >= PATIENCE {
            self.fleet.lose(self.number);
        }
    }
}

/// The connections of one runtime: a client for each server, made when it is needed.
pub(super) struct Link {
    runtime: Handle,
    clients: Vec<Mutex<Option<(u64, AsyncMetaClient)>>>,
    get_batch: Vec<GetBatch>,
    max_connections: usize,
}

impl Link {
    pub(super) fn new(runtime: &Handle, servers: usize, max_connections: usize) -> Self {
        Self {
            runtime: runtime.clone(),
            clients: (0..servers).map(|_| Mutex::default()).collect(),
            get_batch: (0..servers).map(|_| GetBatch::default()).collect(),
            max_connections,
        }
    }

    /// Those who wait for a server.
    pub(super) fn get_batch(&self, server: usize) -> &GetBatch {
        &self.get_batch[server]
    }

    pub(super) fn runtime(&self) -> &Handle {
        &self.runtime
    }

    async fn client(&self, number: usize, server: &Server) -> exp::Result<AsyncMetaClient> {
        let epoch = server.epoch.load(Ordering::Relaxed);
        if let Some((of, client)) = &*self.slot(number)
            && *of == epoch
        {
            return Ok(client.clone());
        }
        // It resolves the name, and connects when it is asked something. How long that may take is our own concern.
        let client = MetaClientBuilder::new()
            .max_idle(self.max_connections)
            .max_connections(Some(self.max_connections))
            .connect_timeout(None)
            .io_timeout(None)
            .connect_async(server.address.as_str())
            .await?;
        let mut slot = self.slot(number);
        match &*slot {
            // Somebody else was as quick.
            Some((of, client)) if *of >= epoch => Ok(client.clone()),
            _ => {
                *slot = Some((epoch, client.clone()));
                Ok(client)
            }
        }
    }

    fn slot(&self, number: usize) -> MutexGuard<'_, Option<(u64, AsyncMetaClient)>> {
        self.clients[number].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives what uses these connections, whoever polls it: they belong to this runtime, which is not always the caller's.
    async fn drive<T>(&self, future: impl Future<Output = T>) -> T {
        let mut future = pin!(future);
        std::future::poll_fn(|context| {
            let _entered = self.runtime.enter();
            future.as_mut().poll(context)
        })
        .await
    }
}

/// Whether it is one of the connection, and not of one operation.
fn is_of_connection(error: &exp::Error) -> bool {
    match error {
        exp::Error::Ambiguous { source, .. } => is_of_connection(source),
        exp::Error::Io(_) | exp::Error::Timeout { .. } => true,
        _ => false,
    }
}

/// Why there is no answer.
pub(super) enum Failure {
    /// The server answers that it will not: it has no room, or takes nothing as large.
    Refused(String),
    /// A connection has ended, of which nobody need have known.
    Cut(Error),
    Other(Error),
}

impl Failure {
    #[cold]
    pub(super) fn nonsense() -> Self {
        Self::Other(Error::backend("memcached answers with something that is no answer"))
    }

    pub(super) fn is_too_large(&self) -> bool {
        matches!(self, Self::Refused(message) if message.contains("too large"))
    }

    pub(super) fn is_refusal(&self) -> bool {
        matches!(self, Self::Refused(_))
    }

    pub(super) fn error(self) -> Error {
        match self {
            Self::Refused(message) => Error::backend(format!("memcached refuses: {message}")),
            Self::Cut(error) | Self::Other(error) => error,
        }
    }

    pub(super) fn is_cut(&self) -> bool {
        matches!(self, Self::Cut(_))
    }

    /// The same failure, of another operation.
    pub(super) fn again(&self) -> Self {
        match self {
            Self::Refused(message) => Self::Refused(message.clone()),
            Self::Cut(error) => Self::Cut(again(error)),
            Self::Other(error) => Self::Other(again(error)),
        }
    }
}

/// The same error, of another operation.
pub(super) fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

/// The same in every process and release: where a key is depends on it.
fn hash(text: &str) -> u64 {
    let digest = blake3::hash(text.as_bytes());
    digest.as_bytes().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The end of `SplitMix64`.
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
