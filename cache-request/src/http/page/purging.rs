//! Purges by prefix, as they are stored: how one is added, and which is the newest.

use std::{sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{
    entry::Entry,
    purges::{Prefix, Purges},
    shelf::{Shelf, new_number},
};
use crate::{Error, key::Key};

/// How often a purge tries again, as others change the list at the same time. After that, it takes all pages.
const ATTEMPTS: usize = 8;

impl Shelf {
    /// The number of the newest purge that anything has made, for a page that is asked for from now on.
    pub(super) async fn newest_purge(&self, key: &Key) -> Option<u128> {
        let call = self.call(key)?;
        for _ in 0..ATTEMPTS {
            if let Some(Entry::Purges(purges)) = call.peek_in_backend().await {
                return purges.newest();
            }
            let mut making = call.begin_elsewhere(false).await?;
            let purges = Entry::Purges(Arc::new(Purges::begin(new_number())));
            if let Err(error) = call.store_led(&mut making, &purges, Duration::ZERO, None).await {
                self.fault(&error);
                return None;
            }
        }
        None
    }

    /// Adds a purge to the list.
    pub(super) async fn purge(&self, key: &Key, prefix: Prefix) -> Result<(), Error> {
        // Only what other processes change at the same time is found out by the fence.
        static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());
        let Some(call) = self.call(key) else { return Ok(()) };
        let _only = ONE_AT_A_TIME.lock().await;
        let can_tell = self.engine().backend().is_none_or(|backend| backend.has_fences());
        for _ in 0..if can_tell { ATTEMPTS } else { 0 } {
            let Some(mut making) = call.begin_elsewhere(false).await else { break };
            let Some(Entry::Purges(known)) = call.peek_in_backend().await else { break };
            let number = new_number();
            let purges = Entry::Purges(Arc::new(known.with(number, prefix.clone())));
            if call.store_led(&mut making, &purges, Duration::ZERO, None).await.is_err() {
                break;
            }
            if let Some(Entry::Purges(stored)) = call.peek_in_backend().await
                && stored.has(number)
            {
                return Ok(());
            }
        }
        // Without the list, all pages are gone.
        self.invalidate(key).await.map(drop)
    }
}
