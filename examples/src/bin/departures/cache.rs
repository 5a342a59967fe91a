//! What the site does with the cache itself. For everything else it calls the functions in `queries.rs`.

use std::{env, time::Duration};

pub(crate) use cache_request::stats;
use cache_request::{Cache, Error, http::CachePage};
use tokio::try_join;

use crate::{
    arguments::{Iata, Limit},
    data::Db,
    pages::airport_address,
    queries, rpc,
    site::{BUSIEST, DESTINATIONS, Filter},
};

/// The host in the keys of pages. The site answers under several names, such as `localhost`, and has its pages once.
pub(crate) const HOST: &str = "departures";

/// The site has no users who are logged in: a cookie that another program has set on this host means nothing here.
const SESSION_COOKIES: [&str; 0] = [];

/// Installs the cache that `CACHE_URL` names. The first call of a cached function would do the same, but here a wrong address
/// ends the program when it starts.
pub(crate) fn install() -> Result<(), Error> {
    let url = env::var("CACHE_URL").unwrap_or_default();
    cache_request::install(Cache::from_url(if url.trim().is_empty() { "memory://" } else { &url })?)
}

/// Keeps whole pages for a minute, in the cache that functions use. A reload gets what is there.
pub(crate) fn pages(db: &Db) -> CachePage {
    CachePage::new()
        .name(format!("departures.{}", db.run))
        .timeout(Duration::from_secs(60))
        .session_cookies(SESSION_COOKIES)
        .obey_clients(false)
        .etags(true)
}

/// Invalidates what shows the name or the city of an airport.
///
/// What was made of others goes after those. Else it could be made anew of what is about to go.
pub(crate) async fn forget_names(db: &Db, pages: &CachePage, iata: &Iata) -> Result<(), Error> {
    let (airport, busiest) = (queries::airport_cache(db, iata), queries::busiest_airports_cache(db, BUSIEST));
    try_join!(airport.invalidate(), busiest.invalidate())?;
    rpc::call_cache(db, &rpc::Call::FindAirport(iata.clone())).invalidate().await?;
    let page = airport_address(iata);
    try_join!(purge(pages, "/"), purge(pages, &page)).map(drop)
}

async fn purge(pages: &CachePage, address: &str) -> Result<bool, Error> {
    let uri = format!("http://{HOST}{address}").parse().expect("the site's own addresses are well-formed");
    pages.purge(&uri).await
}

/// Invalidates what the first page shows.
pub(crate) async fn forget_home(db: &Db) -> Result<(), Error> {
    let (month, airports) = (queries::month_cache(db), queries::busiest_airports_cache(db, BUSIEST));
    try_join!(month.invalidate(), airports.invalidate()).map(drop)
}

/// Invalidates what the page of an airport shows.
pub(crate) async fn forget_airport(db: &Db, iata: &Iata) -> Result<(), Error> {
    let airport = queries::airport_cache(db, iata);
    let punctuality = queries::punctuality_cache(db, iata);
    let destinations = queries::destinations_cache(db, iata, DESTINATIONS);
    try_join!(airport.invalidate(), punctuality.invalidate(), destinations.invalidate()).map(drop)
}

/// Invalidates what a page of delays shows.
pub(crate) async fn forget_delays(db: &Db, filter: &Filter) -> Result<(), Error> {
    let delays = queries::delays_cache(db, filter.origin.as_ref(), filter.destination.as_ref(), filter.day);
    delays.invalidate().await.map(drop)
}

/// Invalidates what a page of the worst routes shows.
pub(crate) async fn forget_worst_routes(db: &Db, limit: Limit) -> Result<(), Error> {
    queries::worst_routes_cache(db, limit).invalidate().await.map(drop)
}
