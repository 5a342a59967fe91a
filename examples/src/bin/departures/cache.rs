//! What the site wants of the cache itself. Everything else it gets by calling the functions in `queries.rs`.

use std::fmt;

use cache_request::Error;
use serde::Serialize;

use crate::{data::Db, queries::Iata, site::Filter};

/// Chooses the cache that `CACHE_URL` names.
pub(crate) fn install() -> Result<(), Error> {
    Ok(())
}

/// The counters.
#[derive(Serialize)]
pub(crate) struct Stats {}

impl fmt::Display for Stats {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

pub(crate) fn stats() -> Stats {
    Stats {}
}

/// Forgets what the first page shows.
pub(crate) async fn forget_home(_db: &Db, _airports: u32) -> Result<(), Error> {
    Ok(())
}

/// Forgets what the page of an airport shows.
pub(crate) async fn forget_airport(_db: &Db, _iata: &Iata, _destinations: u32) -> Result<(), Error> {
    Ok(())
}

/// Forgets what a page of delays shows.
pub(crate) async fn forget_delays(_db: &Db, _filter: &Filter) -> Result<(), Error> {
    Ok(())
}

/// Forgets what a page of the worst routes shows.
pub(crate) async fn forget_worst_routes(_db: &Db, _limit: u32) -> Result<(), Error> {
    Ok(())
}
