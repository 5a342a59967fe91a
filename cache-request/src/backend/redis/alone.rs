//! The connection of a caller whose thread waits for the answer in any case, and who is alone in that: the thread drives it
//! itself. To be woken by another thread costs as much as a server on the same machine takes to answer.
//!
//! It is a second one, beside that of the library's own threads, and is used only while the latter is up. Whoever comes while
//! it is in use takes the latter, and so does everybody when something is wrong with this one.

use std::{
    future::pending,
    pin::pin,
    sync::{
        Arc, Mutex, TryLockError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_lite::FutureExt;
use redis::{AsyncConnectionConfig, Client, Cmd, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    time::timeout,
};

use super::{
    link::Live,
    multiplexed::{Driver, open},
    server::Server,
};
use crate::{
    clock::{Clock, nanos},
    runtime::own,
    shim::lock,
};

/// How long an attempt to connect may take, and how long after one the next may begin.
const EVERY: Duration = Duration::from_secs(1);

/// Whoever has waited longer than this for a connection that then failed does not begin anew with another one.
const SHORT: Duration = Duration::from_millis(10);

#[derive(Default)]
pub(super) struct Alone {
    driven: Arc<Mutex<Option<Driven>>>,
    /// When somebody last began to connect, by the coarse clock.
    attempted: AtomicU64,
}

/// Why there is no answer to somebody who has waited for it.
pub(super) enum Unanswered {
    Cut,
    TookTooLong,
}

impl Alone {
    /// The answer of the server, or `None` if somebody else is to be asked. `live` is the connection of the library's own threads.
    pub(super) fn ask(
        &self,
        server: &Server,
        live: &Arc<Live>,
        command: impl FnOnce() -> Cmd,
        limit: Duration,
    ) -> Option<Result<Value, Unanswered>> {
        // Where this thread drives a runtime already, it cannot drive another one.
        if Handle::try_current().is_ok() {
            return None;
        }
        let mut place = match self.driven.try_lock() {
            Ok(place) => place,
            Err(TryLockError::Poisoned(place)) => place.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        // What is wrong with it, or unfinished on it, ends with it.
        let Some(mut driven) = place.take().filter(|driven| driven.is_beside(live)) else {
            drop(place);
            self.connect(server, live);
            return None;
        };
        let begun = Instant::now();
        match driven.ask(live, &command(), limit) {
            Some(Ok(answer)) => {
                *place = Some(driven);
                Some(Ok(answer))
            }
            Some(Err(_)) if begun.elapsed() < SHORT => None,
            Some(Err(_)) => Some(Err(Unanswered::Cut)),
            None => Some(Err(Unanswered::TookTooLong)),
        }
    }

    /// Ends it, for an answer that is none to what was asked.
    pub(super) fn end(&self) {
        if let Ok(mut place) = self.driven.try_lock() {
            *place = None;
        }
    }

    /// Begins to connect, in the background.
    fn connect(&self, server: &Server, live: &Arc<Live>) {
        let (now, last) = (Clock::system().coarse(), self.attempted.load(Ordering::Relaxed));
        let is_time = last == 0 || now.saturating_sub(last) >= nanos(EVERY);
        if !is_time || self.attempted.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let (place, beside) = (Arc::downgrade(&self.driven), Arc::downgrade(live));
        if let (Some(client), Ok(runtime)) = (server.plain_client(), own()) {
            drop(runtime.spawn_blocking(move || {
                let driven = Driven::connect(&client, beside);
                if let Some(place) = place.upgrade() {
                    *lock(&place) = driven;
                }
            }));
        }
    }
}

/// The connection, and what drives it while somebody waits for its answer.
struct Driven {
    connection: MultiplexedConnection,
    driver: Driver,
    runtime: DroppedAnywhere,
    /// The connection of the library's own threads at the time. Where that was lost, this one may lead to a server that is no more
    /// the one.
    beside: Weak<Live>,
}

impl Driven {
    fn connect(client: &Client, beside: Weak<Live>) -> Option<Self> {
        let runtime = DroppedAnywhere(Some(Builder::new_current_thread().enable_all().build().ok()?));
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let attempt = async { timeout(EVERY, open(client, config)).await };
        let (connection, driver) = runtime.get()?.block_on(attempt).ok()?.ok()??;
        Some(Self { connection, driver, runtime, beside })
    }

    fn is_beside(&self, live: &Arc<Live>) -> bool {
        self.beside.as_ptr() == Arc::as_ptr(live)
    }

    /// `None` if that takes too long.
    fn ask(&mut self, live: &Live, command: &Cmd, limit: Duration) -> Option<RedisResult<Value>> {
        let Self { connection, driver, runtime, .. } = self;
        // An error here says nothing of the other connection; to wait in vain does.
        let asked = async { live.watched(pin!(async { Ok(connection.send_packed_command(command).await) })).await };
        let driven = async {
            driver.await;
            pending().await
        };
        runtime.get()?.block_on(async { timeout(limit, asked.or(driven)).await.ok()?.ok() })
    }
}

/// A runtime that may also be dropped by what another runtime drives.
struct DroppedAnywhere(Option<Runtime>);

impl DroppedAnywhere {
    fn get(&self) -> Option<&Runtime> {
        self.0.as_ref()
    }
}

impl Drop for DroppedAnywhere {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
