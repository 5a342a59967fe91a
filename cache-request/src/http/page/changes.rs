//! The pages that an unsafe request may have changed.

use std::{mem, sync::Arc, time::Duration};

use tokio::runtime::Handle;

use super::{key::Target, settings::Settings, shelf::Shelf};
use crate::{
    base::{context, timer::sleep},
    key::Key,
};

/// Pages that are to be invalidated. If this is dropped before that is done or [forgotten](Self::forget), as the client has left, a task
/// does it: the service may have made the change.
pub(super) struct Changes {
    settings: Arc<Settings>,
    shelf: Shelf,
    keys: Vec<Key>,
}

impl Changes {
    /// Begins with the page of the request's own target.
    pub(super) fn of(settings: Arc<Settings>, shelf: Shelf, target: &Target<'_>) -> Self {
        let mut changes = Self { settings, shelf, keys: Vec::new() };
        changes.add(target);
        changes
    }

    pub(super) fn add(&mut self, target: &Target<'_>) {
        self.keys.extend(target.keys_of_all_schemes(&self.settings.name));
    }

    /// The request has changed nothing.
    pub(super) fn forget(&mut self) {
        self.keys.clear();
    }

    /// Invalidates the pages, each of which is left over until it is done. Those that the backend could not be told of are tried again later.
    pub(super) async fn invalidate(&mut self) {
        let mut failed = Vec::new();
        while let Some(key) = self.keys.last() {
            let done = self.settings.try_invalidate(&self.shelf, key).await;
            failed.extend(self.keys.pop().filter(|_| !done));
        }
        if !failed.is_empty() {
            later(Arc::clone(&self.settings), self.shelf.clone(), failed, Some(PAUSES[0]));
        }
    }
}

/// Pauses before pages are invalidated again double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(500), Duration::from_secs(64)];

/// Invalidates pages in a task, after a pause if there is one, until that has succeeded or the pauses are over. Without a runtime there is no
/// task to do it.
fn later(settings: Arc<Settings>, shelf: Shelf, mut keys: Vec<Key>, mut pause: Option<Duration>) {
    let Ok(runtime) = Handle::try_current() else { return };
    // The task is no `Changes` itself: a runtime that ends drops it, and that must not make another task.
    runtime.spawn(context::carry(async move {
        while !keys.is_empty() {
            if let Some(pause) = pause {
                sleep(pause).await;
            }
            let mut failed = Vec::new();
            for key in keys {
                if !settings.try_invalidate(&shelf, &key).await {
                    failed.push(key);
                }
            }
            keys = failed;
            pause = Some(pause.map_or(PAUSES[0], |pause| pause * 2));
            if pause > Some(PAUSES[1]) {
                return;
            }
        }
    }));
}

impl Drop for Changes {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        later(Arc::clone(&self.settings), self.shelf.clone(), mem::take(&mut self.keys), None);
    }
}
