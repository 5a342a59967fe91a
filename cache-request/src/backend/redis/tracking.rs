//! How the memory in front of a server hears of changes: by `CLIENT TRACKING` of all keys of the namespace, over a connection
//! of its own to each server that has some (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! Where a connection is lost, or it is in doubt whether these are the servers that have keys (`masters`), something may have
//! been missed. Then all are made anew.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError},
    },
    time::Duration,
};

use futures_lite::FutureExt;
use redis::{PushInfo, PushKind, Value};
use tokio::{
    sync::oneshot,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{
    health::Health,
    link::pause,
    masters::{Masters, Tracker},
    server::{Pushes, Server},
};
use crate::{Error, backend::Changes, base::runtime::own};

/// How often it is looked whether nothing can be missed, and how long an answer to that may take.
const EVERY: Duration = Duration::from_secs(1);

/// Tells of all changes to keys that begin with `prefix`, which it takes away, from a task of the library's own runtime.
pub(super) fn track(server: Server, prefix: String, connect_limit: Duration, changes: Changes) {
    match own() {
        Ok(runtime) => drop(runtime.spawn(async move {
            let (teller, until_gone) = Teller::begin(changes);
            keep_tracking(&server, &prefix, connect_limit, &teller).or(until_gone).await;
        })),
        Err(error) => changes.lost(&error),
    }
}

async fn keep_tracking(server: &Server, prefix: &str, connect_limit: Duration, teller: &Teller) {
    let pushes = pushes(prefix.to_owned(), teller.clone());
    let mut failures = 0;
    loop {
        let health = Arc::new(Health::new());
        let tracker = Tracker { server, prefix, pushes: Arc::clone(&pushes), health: Arc::clone(&health) };
        let why = match timeout(connect_limit, Masters::connect(&tracker, connect_limit)).await {
            Ok(Ok(mut masters)) => {
                let in_doubt = async {
                    masters.check(server, EVERY).await?;
                    failures = 0;
                    teller.tell(News::Begun);
                    loop {
                        sleep(EVERY).await;
                        masters.check(server, EVERY).await?;
                    }
                };
                let lost = async {
                    health.until_lost().await;
                    Err::<Infallible, _>("the connection was lost".to_owned())
                };
                let Err(why) = lost.or(in_doubt).await;
                why
            }
            Ok(Err(error)) => server.explain(&error),
            Err(_) => format!("the server does not answer within {connect_limit:?}"),
        };
        failures += 1;
        teller.tell(News::Lost(Error::backend(why)));
        server.readers().release();
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
}

impl Teller {
    /// Begins a thread, which ends when nobody has news any more, or nobody is there to hear them: that is waited for.
    fn begin(changes: Changes) -> (Self, impl Future<Output = ()>) {
        let (news, heard) = mpsc::channel();
        let (listens, gone) = oneshot::channel::<Infallible>();
        drop(spawn_blocking(move || {
            let _listens = listens;
            while !changes.is_closed() {
                match heard.recv_timeout(EVERY) {
                    Ok(News::Begun) => changes.begin(),
                    Ok(News::Changed(key)) => changes.changed(&key),
                    Ok(News::AllChanged) => changes.all_changed(),
                    Ok(News::Lost(why)) => changes.lost(&why),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }));
        let until_gone = async {
            let _ = gone.await;
        };
        (Self { news }, until_gone)
    }

    fn tell(&self, news: News) {
        // Whoever would hear it may be gone, and then so is the front.
        let _ = self.news.send(news);
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
