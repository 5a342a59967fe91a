//! What the site does with the cache itself. For everything else it calls the functions in `queries.rs`.

use std::env;

pub(crate) use cache_request::stats;
use cache_request::{Cache, Error};
use tokio::try_join;

use crate::{
    data::Db,
    queries::{self, Iata},
    site::Filter,
};

/// Installs the cache that `CACHE_URL` names. The first call of a cached function would do the same, but here a wrong address
/// ends the program when it starts.
pub(crate) fn install() -> Result<(), Error> {
    let url = env::var("CACHE_URL").unwrap_or_default();
    cache_request::install(Cache::from_url(if url.trim().is_empty() { "memory://" } else { &url })?)
}

/// Invalidates what the first page shows.
pub(crate) async fn forget_home(db: &Db, airports: u32) -> Result<(), Error> {
    let (month, airports) = (queries::month_cache(db), queries::busiest_airports_cache(db, airports));
    try_join!(month.invalidate(), airports.invalidate()).map(drop)
}

/// Invalidates what the page of an airport shows.
pub(crate) async fn forget_airport(db: &Db, iata: &Iata, destinations: u32) -> Result<(), Error> {
    let airport = queries::airport_cache(db, iata);
    let punctuality = queries::punctuality_cache(db, iata);
    let destinations = queries::destinations_cache(db, iata, destinations);
    try_join!(airport.invalidate(), punctuality.invalidate(), destinations.invalidate()).map(drop)
}

/// Invalidates what a page of delays shows.
pub(crate) async fn forget_delays(db: &Db, filter: &Filter) -> Result<(), Error> {
    let delays = queries::delays_cache(db, filter.origin.as_ref(), filter.destination.as_ref(), filter.day);
    delays.invalidate().await.map(drop)
}

/// Invalidates what a page of the worst routes shows.
pub(crate) async fn forget_worst_routes(db: &Db, limit: u32) -> Result<(), Error> {
    queries::worst_routes_cache(db, limit).invalidate().await.map(drop)
}
