//! Keeps the connection of one runtime up. Callers get the connection if it is up, and an error at once if it is not.
//!
//! A task of the runtime connects, watches the connection, and connects again when it is lost: first at once, then after pauses that
//! grow. Callers wait for the first attempt and never for a pause.

use std::{
    mem,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use futures_lite::FutureExt;
use redis::RedisError;
use tokio::{
    runtime::Handle,
    sync::watch,
    time::{sleep, timeout},
};

use super::{
    abandoned_writes::AbandonedWrites,
    health::{Health, PATIENCE},
    live::{Live, Shared},
    server::{ANSWER_LIMIT, Connection, Connector, Greeting, Server},
};
use crate::{Error, backend::telling::pause};

/// A connection that is lost sooner than this counts as a failure, and the next attempt waits.
const STEADY: Duration = Duration::from_secs(1);

/// The connection of one runtime.
pub(super) struct Link {
    state: watch::Receiver<State>,
    /// A call gave up while it waited for an attempt, so no other call waits for it.
    hopeless: AtomicBool,
}

#[derive(Clone)]
enum State {
    /// The first attempt is under way, or the first one since a connection was lost.
    Connecting,
    Up(Arc<Live>),
    /// The last attempt failed, and another one is made after a pause.
    Down(Arc<str>),
}

impl State {
    /// Whether callers need not wait. If a connection was just lost, an attempt follows.
    fn is_settled(&self) -> bool {
        match self {
            Self::Connecting => false,
            Self::Up(live) => !live.health.is_lost(),
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

    /// The connection, if it is up and its server answers.
    pub(super) fn up(&self) -> Option<Arc<Live>> {
        match &*self.state.borrow() {
            State::Up(live) if live.health.is_well() && !self.hopeless.load(Ordering::Relaxed) => {
                Some(Arc::clone(live))
            }
            _ => None,
        }
    }

    /// The connection, which may come up while this waits.
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
            State::Up(live) if live.health.is_stalled() => Err(Error::backend("the server does not answer")),
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

/// A call that waits for an attempt to connect. To drop it is to give the call up.
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
            Err("the backend was dropped".to_owned())
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
                if begun.elapsed() >= STEADY || health.is_excused() {
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

/// Watches a connection until it is lost or its server does not answer.
async fn watch_over(connection: Connection, health: &Arc<Health>, abandoned_writes: &AbandonedWrites) {
    loop {
        health.until_news().await;
        if health.is_lost() {
            return;
        }
        // The caller may have had its own reason to give up, so the server is asked.
        if health.take_doubt() {
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
