//! How the memory in front of a server hears of changes: by `CLIENT TRACKING` of all keys of the namespace, over a connection
//! of its own to each server that has some (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! A connection that is lost, that does not answer, or that is no more to one of the masters, may have missed something. Then
//! all are made anew.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use futures_lite::FutureExt;
use redis::{PushInfo, PushKind, RedisResult, Value, cmd};
use tokio::{
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    link::{Health, pause},
    server::{Connector, Masters, Pushes, Server, masters},
};
use crate::{Error, backend::Changes, runtime::own};

/// How often the connections are tried, while nothing else is heard of them.
const EVERY: Duration = Duration::from_secs(1);

/// Tells of all changes to keys that begin with `prefix`, which it takes away, from a task of the library's own runtime.
pub(super) fn track(server: Server, prefix: String, connect_limit: Duration, changes: Changes) {
    match own() {
        Ok(runtime) => drop(runtime.spawn(keep_tracking(server, prefix, connect_limit, changes))),
        Err(error) => changes.lost(&error),
    }
}

async fn keep_tracking(server: Server, prefix: String, connect_limit: Duration, changes: Changes) {
    let teller = Teller::begin(changes);
    let mut connector = Connector::new(server).with_pushes(pushes(prefix.clone(), teller.clone()));
    let mut failures = 0;
    while !teller.is_closed() {
        let health = Arc::new(Health::new());
        let why = match timeout(connect_limit, begin(&mut connector, &health, &prefix)).await {
            Ok(Ok(mut masters)) => {
                failures = 0;
                teller.tell(News::Begun);
                masters.until_lost(connector.server(), &health, &teller).await
            }
            Ok(Err(error)) => connector.server().explain(&error),
            Err(_) => format!("the server does not answer within {connect_limit:?}"),
        };
        failures += 1;
        teller.tell(News::Lost(Error::backend(why)));
        sleep(pause(failures)).await;
    }
}

/// What the front is to hear.
enum News {
    Begun,
    Changed(String),
    AllChanged,
    Lost(Error),
}

/// Tells the front, in order, from a thread that may be blocked: what goes from there runs the destructors of the user's
/// values, which may wait for what the library's own runtime drives.
#[derive(Clone)]
struct Teller {
    news: mpsc::Sender<News>,
    is_closed: Arc<AtomicBool>,
}

impl Teller {
    /// Begins a thread, which ends when nobody has news any more.
    fn begin(changes: Changes) -> Self {
        let (news, heard) = mpsc::channel();
        let is_closed = Arc::new(AtomicBool::new(false));
        let closed = Arc::clone(&is_closed);
        drop(spawn_blocking(move || {
            loop {
                match heard.recv_timeout(EVERY) {
                    Ok(News::Begun) => changes.begin(),
                    Ok(News::Changed(key)) => changes.changed(&key),
                    Ok(News::AllChanged) => changes.all_changed(),
                    Ok(News::Lost(why)) => changes.lost(&why),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
                if changes.is_closed() {
                    closed.store(true, Ordering::Relaxed);
                    return;
                }
            }
        }));
        Self { news, is_closed }
    }

    fn tell(&self, news: News) {
        // Whoever would hear it may be gone, and then so is the front.
        let _ = self.news.send(news);
    }

    fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Relaxed)
    }
}

async fn begin(connector: &mut Connector, health: &Arc<Health>, prefix: &str) -> RedisResult<Masters> {
    let masters = connector.connect_to_masters(health).await?;
    for connection in &masters.connections {
        let mut command = cmd("CLIENT");
        // `BCAST`: the server need not remember who has read what.
        command.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(prefix);
        command.query_async::<()>(&mut connection.sender()).await?;
    }
    Ok(masters)
}

impl Masters {
    /// Why changes may be missed from now on.
    async fn until_lost(&mut self, server: &Server, health: &Health, teller: &Teller) -> String {
        loop {
            let lost = async {
                health.until_lost().await;
                true
            };
            let not_yet = async {
                sleep(EVERY).await;
                false
            };
            if lost.or(not_yet).await {
                return "the connection was lost".to_owned();
            }
            if teller.is_closed() {
                return "the cache is gone".to_owned();
            }
            match timeout(EVERY, self.are_still()).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => return "the cluster has other masters now".to_owned(),
                Ok(Err(error)) => return server.explain(&error),
                Err(_) => return format!("the server does not answer within {EVERY:?}"),
            }
        }
    }

    /// Whether all answer, and are still those that have the keys.
    async fn are_still(&mut self) -> RedisResult<bool> {
        for connection in &self.connections {
            cmd("PING").query_async::<()>(&mut connection.sender()).await?;
        }
        match &mut self.cluster {
            Some((client, hosts)) => Ok(masters(client).await? == *hosts),
            None => Ok(true),
        }
    }
}

/// Takes what the server says unasked.
fn pushes(prefix: String, teller: Teller) -> Pushes {
    Arc::new(move |push: &PushInfo| {
        if push.kind != PushKind::Invalidate {
            return;
        }
        match push.data.first() {
            Some(Value::Array(keys)) => {
                for key in keys {
                    let key = match key {
                        Value::BulkString(key) => str::from_utf8(key).ok(),
                        Value::SimpleString(key) => Some(key.as_str()),
                        _ => None,
                    };
                    // Keys that are no text are none of ours.
                    if let Some(key) = key.and_then(|key| key.strip_prefix(&prefix)) {
                        teller.tell(News::Changed(key.to_owned()));
                    }
                }
            }
            // After `FLUSHALL` or `FLUSHDB`, and whatever else it may come to mean.
            _ => teller.tell(News::AllChanged),
        }
    })
}
