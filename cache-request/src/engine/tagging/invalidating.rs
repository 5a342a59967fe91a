//! How a tag is invalidated.

use super::list::id_of;
use crate::{Error, ErrorKind, engine::Engine};

impl Engine {
    /// Invalidates the values that have a tag.
    pub(crate) async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        let id = id_of(tag).map_err(|wrong| Error::new(ErrorKind::Key, wrong))?;
        self.tags.invalidate(id);
        Ok(())
    }

    /// Declares the values stale that have a tag.
    pub(crate) async fn invalidate_tag_soft(&self, tag: &str) -> Result<(), Error> {
        let id = id_of(tag).map_err(|wrong| Error::new(ErrorKind::Key, wrong))?;
        self.tags.soften(id, self.clock.coarse());
        Ok(())
    }
}
