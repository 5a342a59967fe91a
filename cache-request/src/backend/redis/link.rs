//! A connection that comes back: who needs one gets it if it is up, and an error at once if it is not.
//!
//! A task of the caller's runtime connects, watches over the connection, and connects again when it is lost: at once the
//! first time, and then after pauses that grow. Callers wait for the first attempt, and never for a pause.

use std::{
    hash::{BuildHasher, RandomState},
    mem,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures_lite::FutureExt;
use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};
use tokio::{
    runtime::Handle,
    sync::{Notify, watch},
    time::{sleep, timeout},
};

use super::{
    abandoned_writes::AbandonedWrites,
    server::{ANSWER_LIMIT, Connection, Connector, Greeting, Identity, Server},
};
use crate::{
    Error,
    base::clock::{Nanos, coarse_now, coarse_since},
};

/// Pauses between attempts double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// A connection that is lost sooner than this was no success: the next attempt has to wait.
const STEADY: Duration = Duration::from_secs(1);

/// Who gives up later than this, and saw no answer to anybody meanwhile, did so because there was none.
pub(super) const PATIENCE: Duration = Duration::from_millis(100);

/// What all connections of a backend share.
pub(super) struct Shared {
    pub(super) abandoned_writes: AbandonedWrites,
    /// The most bytes that the server takes of a value, as far as is known.
    pub(super) largest: AtomicUsize,
}

/// The connection of one runtime.
pub(super) struct Link {
    state: watch::Receiver<State>,
    /// Somebody has waited for an attempt in vain, and nobody else need.
    hopeless: AtomicBool,
}

#[derive(Clone)]
enum State {
    /// For the first time, or for the first time since a connection was lost.
    Connecting,
    Up(Arc<Live>),
    /// Until one of the attempts succeeds that are made from time to time.
    Down(Arc<str>),
}

impl State {
    /// Whether there is nothing to wait for. A connection that was just lost will be followed by an attempt.
    fn is_settled(&self) -> bool {
        match self {
            Self::Connecting => false,
            Self::Up(live) => !live.health.lost.load(Ordering::Acquire),
            Self::Down(_) => true,
        }
    }
}

impl Link {
    /// Begins to connect.
    pub(super) fn begin(runtime: &Handle, server: Server, limit: Duration, shared: Arc<Shared>) -> Arc<Self> {
        let (publish, state) = watch::channel(State::Connecting);
        runtime.spawn(keep_up(Connector::new(server), limit, shared, publish));
        Arc::new(Self { state, hopeless: AtomicBool::new(false) })
    }

    /// The connection, if nothing is known against it: so it nearly always is.
    pub(super) fn up(&self) -> Option<Arc<Live>> {
        match &*self.state.borrow() {
            State::Up(live) if live.health.is_well() && !self.hopeless.load(Ordering::Relaxed) => {
                Some(Arc::clone(live))
            }
            _ => None,
        }
    }

    /// The connection that is up, or comes up while this waits.
    pub(super) async fn live(&self) -> Result<Arc<Live>, Error> {
        let mut state = self.state.borrow().clone();
        if !state.is_settled() {
            if self.hopeless.load(Ordering::Relaxed) {
                return Err(Error::backend("not connected: the server takes long to answer"));
            }
            let wait = Wait { link: self, since: Instant::now() };
            let settled = self.state.clone().wait_for(State::is_settled).await.map(|state| state.clone());
            wait.end();
            state = settled.unwrap_or(State::Connecting);
        }
        match state {
            State::Up(live) if live.health.stalled.load(Ordering::Relaxed) => {
                Err(Error::backend("the server does not answer"))
            }
            State::Up(live) => {
                if self.hopeless.load(Ordering::Relaxed) {
                    self.hopeless.store(false, Ordering::Relaxed);
                }
                Ok(live)
            }
            State::Down(why) => Err(Error::backend(format!("not connected: {why}"))),
            State::Connecting => Err(Error::backend("not connected: the runtime that connects has ended")),
        }
    }
}

/// A call that waits for an attempt to connect. Dropped, it was given up.
struct Wait<'a> {
    link: &'a Link,
    since: Instant,
}

impl Wait<'_> {
    fn end(self) {
        mem::forget(self);
    }
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        if self.since.elapsed() >= PATIENCE {
            self.link.hopeless.store(true, Ordering::Relaxed);
        }
    }
}

async fn keep_up(mut connector: Connector, limit: Duration, shared: Arc<Shared>, publish: watch::Sender<State>) {
    let mut failures = 0;
    while !publish.is_closed() {
        let health = Arc::new(Health::new());
        let behind_sentinels = connector.server().is_behind_sentinels();
        let closed = async {
            publish.closed().await;
            Err("nobody needs it any more".to_owned())
        };
        let why = match attempt(&mut connector, &health, limit).or(closed).await {
            Ok((connection, greeting)) => {
                if let Some(largest) = greeting.largest {
                    shared.largest.store(largest, Ordering::Relaxed);
                }
                let begun = Instant::now();
                let live = Live {
                    connection: connection.clone(),
                    health: Arc::clone(&health),
                    behind_sentinels,
                    identity: greeting.identity,
                    shared: Arc::clone(&shared),
                };
                publish.send_replace(State::Up(Arc::new(live)));
                let until_closed = async {
                    publish.closed().await;
                };
                watch_over(connection, &health, &shared.abandoned_writes).or(until_closed).await;
                health.lose();
                if begun.elapsed() >= STEADY || health.excused.load(Ordering::Acquire) {
                    failures = 0;
                    publish.send_replace(State::Connecting);
                    continue;
                }
                "the connection was lost".to_owned()
            }
            Err(why) => why,
        };
        failures += 1;
        publish.send_replace(State::Down(why.into()));
        let until_closed = async {
            publish.closed().await;
        };
        sleep(pause(failures)).or(until_closed).await;
    }
}

async fn attempt(
    connector: &mut Connector,
    health: &Arc<Health>,
    limit: Duration,
) -> Result<(Connection, Greeting), String> {
    let connect = async {
        let connection = connector.connect(health).await?;
        let greeting = connection.greet().await?;
        Ok::<_, RedisError>((connection, greeting))
    };
    match timeout(limit, connect).await {
        Ok(Ok(connected)) => Ok(connected),
        Ok(Err(error)) => Err(connector.server().explain(&error)),
        Err(_) => Err(format!("the server does not answer within {limit:?}")),
    }
}

/// Ends when the connection is lost, or does not answer any more.
async fn watch_over(connection: Connection, health: &Arc<Health>, abandoned_writes: &AbandonedWrites) {
    loop {
        health.news.notified().await;
        if health.lost.load(Ordering::Acquire) {
            return;
        }
        // A call that was given up may have been its caller's own choice. So the server is asked.
        if health.doubted.swap(false, Ordering::AcqRel) {
            let asked = abandoned_writes.now();
            match timeout(ANSWER_LIMIT, connection.answers()).await {
                Ok(true) => {
                    health.answered();
                    abandoned_writes.settle(health, asked);
                }
                Ok(false) | Err(_) => return,
            }
        }
    }
}

/// How long to wait after so many failures: up to half less than planned, as it is not only this process that waits.
pub(super) fn pause(failures: u32) -> Duration {
    let [first, last] = PAUSES;
    let planned = first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    let chance = RandomState::new().hash_one(failures) >> 32;
    planned - (planned / 2).mul_f64(chance as f64 / f64::from(u32::MAX))
}

/// A connection that is up, or was a moment ago.
pub(super) struct Live {
    connection: Connection,
    health: Arc<Health>,
    behind_sentinels: bool,
    identity: Option<Identity>,
    shared: Arc<Shared>,
}

impl Live {
    pub(super) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        self.watched(pin!(self.connection.ask(command))).await
    }

    pub(super) async fn ask_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        self.watched(pin!(self.connection.ask_all(pipeline))).await
    }

    /// As [`ask`](Self::ask), of what writes: after all that was written over other connections.
    pub(super) async fn change(&self, command: &Cmd) -> RedisResult<Value> {
        self.wait_for_late_writes().await?;
        let write = Write { live: self };
        let outcome = self.ask(command).await;
        write.end();
        outcome
    }

    /// As [`change`](Self::change).
    pub(super) async fn change_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        self.wait_for_late_writes().await?;
        let write = Write { live: self };
        let outcome = self.ask_all(pipeline).await;
        write.end();
        outcome
    }

    pub(super) async fn wait_for_late_writes(&self) -> RedisResult<()> {
        self.shared.abandoned_writes.wait(self).await
    }

    /// Takes note of a connection that is lost, or that lets its caller wait for longer than that has time.
    pub(super) async fn watched<T>(&self, asked: Pin<&mut impl Future<Output = RedisResult<T>>>) -> RedisResult<T> {
        let unanswered = Unanswered::new(&self.health);
        let outcome = asked.await;
        unanswered.end();
        if let Err(error) = &outcome {
            if ends_connection(error) {
                self.health.excused.store(true, Ordering::Release);
            }
            if self.is_lost_with(error) {
                self.health.lose();
            }
        }
        outcome
    }

    fn is_lost_with(&self, error: &RedisError) -> bool {
        if matches!(self.connection, Connection::Cluster(_)) {
            // One of its nodes may be lost, and it sees to that. Only where it is gone itself, nothing takes commands.
            return error.is_io_error() && error.to_string().starts_with("redis_cluster: Unable to");
        }
        // A master that sentinels have replaced is a replica of the new one.
        let replaced = error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly) && self.behind_sentinels;
        error.is_unrecoverable_error() || error.is_io_error() || replaced || ends_connection(error)
    }
}

/// Whether a server that says this closes the connection, for what it was sent and for no fault of its own.
fn ends_connection(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.starts_with("Protocol error"))
}

/// A write that has no answer yet. Dropped, it was given up, and may still be done.
struct Write<'a> {
    live: &'a Live,
}

impl Write<'_> {
    fn end(self) {
        mem::forget(self);
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        // A cluster's connections are its own, and not known here.
        if matches!(self.live.connection, Connection::One(_)) {
            self.live.shared.abandoned_writes.note(self.live);
            self.live.health.doubt();
        }
    }
}

/// A call that has no answer yet. Dropped, it was given up.
struct Unanswered<'a> {
    health: &'a Health,
    since: Nanos,
}

impl<'a> Unanswered<'a> {
    fn new(health: &'a Health) -> Self {
        Self { health, since: coarse_now() }
    }

    fn end(self) {
        self.health.answered();
        mem::forget(self);
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        self.health.gave_up(coarse_since(self.since));
    }
}

/// What is known about one connection.
pub(super) struct Health {
    lost: AtomicBool,
    /// It will be lost for what was sent over it, so that the next one need not wait.
    excused: AtomicBool,
    doubted: AtomicBool,
    /// Somebody has waited in vain, and there was no answer to anybody since.
    stalled: AtomicBool,
    last_answer: AtomicU64,
    news: Notify,
}

impl Health {
    pub(super) fn new() -> Self {
        Self {
            lost: AtomicBool::new(false),
            excused: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            last_answer: AtomicU64::new(coarse_now()),
            news: Notify::new(),
        }
    }

    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }

    fn is_well(&self) -> bool {
        !self.is_lost() && !self.stalled.load(Ordering::Relaxed)
    }

    /// For a connection that nobody else watches over.
    pub(super) async fn until_lost(&self) {
        while !self.is_lost() {
            self.news.notified().await;
        }
    }

    pub(super) fn lose(&self) {
        if !self.lost.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }

    fn answered(&self) {
        let now = coarse_now();
        // Written once a tick, as all callers share it.
        if self.last_answer.load(Ordering::Relaxed) != now {
            self.last_answer.store(now, Ordering::Relaxed);
        }
        if self.stalled.load(Ordering::Relaxed) {
            self.stalled.store(false, Ordering::Relaxed);
        }
    }

    /// Somebody has waited for so long in vain.
    pub(super) fn gave_up(&self, waited: Duration) {
        if waited >= PATIENCE && coarse_since(self.last_answer.load(Ordering::Relaxed)) >= PATIENCE {
            self.stalled.store(true, Ordering::Relaxed);
        }
        self.doubt();
    }

    fn doubt(&self) {
        if !self.doubted.swap(true, Ordering::AcqRel) {
            self.news.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_not_alike() {
        for failures in 1..100 {
            let planned = PAUSES[0].saturating_mul(2_u32.saturating_pow(failures - 1)).min(PAUSES[1]);
            let pauses: Vec<_> = (0..20).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|pause| (planned / 2..=planned).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
