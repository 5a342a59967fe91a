//! The pages that an unsafe request may have changed.

use std::{mem, sync::Arc};

use tokio::runtime::Handle;

use super::{key::Target, settings::Settings, shelf::Shelf};
use crate::{base::context, key::Key};

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

    /// Invalidates the pages, each of which is left over until it is done.
    pub(super) async fn invalidate(&mut self) {
        while let Some(key) = self.keys.last() {
            self.settings.try_invalidate(&self.shelf, key).await;
            self.keys.pop();
        }
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        if self.keys.is_empty() {
            return;
        }
        // Without a runtime there is no task to do it.
        let Ok(runtime) = Handle::try_current() else { return };
        let (settings, shelf, keys) = (Arc::clone(&self.settings), self.shelf.clone(), mem::take(&mut self.keys));
        // The task is no `Changes` itself: a runtime that ends drops it, and that must not make another task.
        runtime.spawn(context::carry(async move {
            for key in keys {
                settings.try_invalidate(&shelf, &key).await;
            }
        }));
    }
}
