//! Tells a near cache of changes, by `CLIENT TRACKING` of all keys of the namespace, over a connection of its own to each master
//! (<https://redis.io/docs/latest/develop/reference/client-side-caching/>).
//!
//! If a connection is lost, or a check of the masters fails (see `masters`), a change may have been missed. Then the near cache is
//! emptied and all connections are made again.

use std::{convert::Infallible, sync::Arc, time::Duration};

use futures_lite::FutureExt;
use redis::{PushInfo, PushKind, Value};
use tokio::time::{sleep, timeout};

use super::{
    driver::Pushes,
    health::Health,
    masters::{Masters, Tracker},
    server::Server,
};
use crate::{
    Error,
    backend::{
        Changes,
        telling::{News, Teller, pause},
    },
    base::runtime::own,
};

/// The time between two checks of the masters, and the most time for one answer to a check.
const EVERY: Duration = Duration::from_secs(1);

/// Tells `changes` of all changes to keys that begin with `prefix`, without the prefix, from a task of the library's own runtime.
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
                let check_fails = async {
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
                let Err(why) = lost.or(check_fails).await;
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

/// Reads the push messages of the servers.
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
                    // A key that is not text is not of this library.
                    if let Some(key) = key.and_then(|key| key.strip_prefix(&prefix)) {
                        teller.tell(News::Changed(key.to_owned()));
                    }
                }
            }
            // After `FLUSHALL` or `FLUSHDB`, or of an unknown form.
            _ => teller.tell(News::AllChanged),
        }
    })
}
