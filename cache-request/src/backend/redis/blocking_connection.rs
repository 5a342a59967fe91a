//! The connection of a plain function that waits alone: its thread drives it. To be woken by another thread costs as much as a
//! server on the same machine takes to answer.
//!
//! It is a second one, beside that of the library's own threads, and is used for reading, while the latter is up. Whoever comes
//! while it is in use takes the latter, and so does everybody when something is wrong with this one.

use std::{
    future::pending,
    mem,
    sync::{
        Arc, Mutex, TryLockError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_lite::{FutureExt, future::poll_once};
use redis::{AsyncConnectionConfig, Client, Cmd, RedisError, RedisResult, Value, aio::MultiplexedConnection};
use tokio::{
    runtime::{Builder, Handle, Runtime},
    task::yield_now,
    time::timeout,
};

use super::{
    link::Live,
    multiplexed::{Driver, open},
    server::Server,
};
use crate::base::{
    clock::{Nanos, coarse_now, nanos},
    runtime::own,
    sync::lock,
};

/// How long after one attempt to connect the next may begin.
const PAUSE: Duration = Duration::from_secs(1);

/// A connection that nobody has used for so long may have been closed, and is looked at first.
const IDLE: Duration = Duration::from_millis(100);

/// Whoever has waited for more than this part of the limit in vain may not begin anew with another connection: there the whole of
/// it counts again.
const LATE: u32 = 8;

pub(super) struct BlockingConnection {
    client: Client,
    connect_limit: Duration,
    driven: Arc<Mutex<Option<Driven>>>,
    /// When somebody last began to connect, by the coarse clock.
    attempted: AtomicU64,
}

/// Why there is no answer to somebody who has waited for it.
pub(super) enum Failure {
    Refused(RedisError),
    OutOfStep,
    TookTooLong,
}

impl BlockingConnection {
    /// `None` if the server is several, or the connection is to be encrypted.
    pub(super) fn new(server: &Server, connect_limit: Duration) -> Option<Self> {
        let client = server.plain_client()?;
        Some(Self { client, connect_limit, driven: Arc::default(), attempted: AtomicU64::new(0) })
    }

    /// What `read` makes of the server's answer, or `None` if somebody else is to be asked. `live` is the connection of the
    /// library's own threads.
    pub(super) fn ask<T>(
        &self,
        live: &Arc<Live>,
        command: impl FnOnce() -> Cmd,
        read: impl FnOnce(Value) -> Option<T>,
        limit: Duration,
    ) -> Option<Result<T, Failure>> {
        // A thread that is of a runtime may not drive another one, nor may one that has lost what tokio needs of it.
        if !Handle::try_current().is_err_and(|error| error.is_missing_context()) {
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
            self.connect(live);
            return None;
        };
        if !driven.is_open() {
            return None;
        }
        let begun = Instant::now();
        let answer = match driven.ask(&command(), limit) {
            None => {
                live.health().gave_up(begun.elapsed());
                return Some(Err(Failure::TookTooLong));
            }
            Some(Err(error)) if error.is_unrecoverable_error() || error.is_io_error() => {
                return (begun.elapsed() >= limit / LATE).then_some(Err(Failure::Refused(error)));
            }
            Some(answer) => answer.and_then(Value::extract_error),
        };
        let outcome = match answer.map(read) {
            Ok(Some(read)) => Ok(read),
            Ok(None) => return Some(Err(Failure::OutOfStep)),
            Err(error) => Err(Failure::Refused(error)),
        };
        *place = Some(driven);
        Some(outcome)
    }

    /// Begins to connect, in the background.
    fn connect(&self, live: &Arc<Live>) {
        let (now, last) = (coarse_now(), self.attempted.load(Ordering::Relaxed));
        let is_time = last == 0 || now.saturating_sub(last) >= nanos(PAUSE);
        if !is_time || self.attempted.compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            return;
        }
        let Ok(runtime) = own() else { return };
        let (place, beside) = (Arc::downgrade(&self.driven), Arc::downgrade(live));
        let (client, limit) = (self.client.clone(), self.connect_limit);
        drop(runtime.spawn_blocking(move || {
            let driven = Driven::connect(&client, limit, beside);
            if let Some(place) = place.upgrade() {
                *lock(&place) = driven;
            }
        }));
    }
}

/// The connection, and what drives it while somebody waits for its answer.
struct Driven {
    connection: MultiplexedConnection,
    driver: Driver,
    runtime: DroppedAnywhere,
    /// When it was last used, by the coarse clock.
    used: Nanos,
    /// The connection of the library's own threads at the time. Where that was lost, this one may lead to a server that is no more
    /// the one.
    beside: Weak<Live>,
}

impl Driven {
    fn connect(client: &Client, limit: Duration, beside: Weak<Live>) -> Option<Self> {
        let runtime = DroppedAnywhere(Some(Builder::new_current_thread().enable_all().build().ok()?));
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let attempt = async { timeout(limit, open(client, config)).await };
        let (connection, driver) = runtime.get()?.block_on(attempt).ok()?.ok()??;
        Some(Self { connection, driver, runtime, used: coarse_now(), beside })
    }

    fn is_beside(&self, live: &Arc<Live>) -> bool {
        self.beside.as_ptr() == Arc::as_ptr(live)
    }

    /// Whether it was not closed while nobody drove it, as far as is looked.
    fn is_open(&mut self) -> bool {
        let Self { driver, runtime, used, .. } = self;
        let now = coarse_now();
        if now.saturating_sub(mem::replace(used, now)) < nanos(IDLE) {
            return true;
        }
        let is_closed = async {
            // So that the runtime hears of what has come meanwhile.
            yield_now().await;
            poll_once(driver).await.is_some()
        };
        runtime.get().is_some_and(|runtime| !runtime.block_on(is_closed))
    }

    /// `None` if that takes too long.
    fn ask(&mut self, command: &Cmd, limit: Duration) -> Option<RedisResult<Value>> {
        let Self { connection, driver, runtime, .. } = self;
        let driven = async {
            driver.await;
            pending().await
        };
        let asked = connection.send_packed_command(command).or(driven);
        runtime.get()?.block_on(async { timeout(limit, asked).await.ok() })
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
