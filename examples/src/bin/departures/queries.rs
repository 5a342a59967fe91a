//! The queries of the site. The answers of every function here are cached.
//!
//! Each is plain SQL. Only the line above the function is about caching:
//!
//! - The arguments are the key, without `db`: it says where to ask, not what.
//! - An `Err` is not cached. An airport that does not exist is therefore an error and not a `None`: a client that tries all
//!   possible codes leaves nothing in the cache.
//! - Arguments are checked and in one spelling (see `arguments.rs`), so `jfk` and `JFK` share an answer.
//! - What `rename_airport` changes is known to this run of the site only. [`airport`] and [`busiest_airports`] show it, so
//!   their keys have `db.run`.

use cache_request::cache_request;
use rusqlite::{OptionalExtension, named_params, params};
use serde::{Deserialize, Serialize};

use crate::{
    arguments::{Day, Iata, Limit},
    data::Db,
};

/// The fewest flights in the month with which a route can be among the worst: about three a day.
pub(crate) const ENOUGH_FLIGHTS: u32 = 90;

/// The name and place of an airport. They change seldom, so their timeout is longer than the others.
#[cache_request(timeout = 3600, skip(db), vary(db.run))]
pub(crate) async fn airport(db: &Db, iata: &Iata) -> Result<Airport, Error> {
    let code = iata.clone();
    let found = db.ask(move |connection| {
        let mut query = connection
            .prepare_cached("SELECT iata, name, city, state, latitude, longitude FROM airports WHERE iata = ?")?;
        query
            .query_row([&code], |row| {
                Ok(Airport {
                    iata: row.get(0)?,
                    name: row.get(1)?,
                    city: row.get(2)?,
                    state: row.get(3)?,
                    latitude: row.get(4)?,
                    longitude: row.get(5)?,
                })
            })
            .optional()
    });
    found.await?.ok_or_else(|| Error::UnknownAirport(iata.clone()))
}

/// How late an airport's departures are; `None` if it has none.
#[cache_request(timeout = 300, skip(db))]
pub(crate) async fn punctuality(db: &Db, origin: &Iata) -> Result<Option<Punctuality>, Error> {
    let origin = origin.clone();
    let found = db.ask(move |connection| {
        // A percentile is the smallest delay that so many of the flights do not exceed.
        let mut query = connection.prepare_cached(
            "SELECT count(*), avg(delay), avg(delay < 15), max(delay),
                    min(delay) FILTER (WHERE place * 2 >= total),
                    min(delay) FILTER (WHERE place * 10 >= total * 9)
             FROM (SELECT delay, row_number() OVER (ORDER BY delay) AS place, count(*) OVER () AS total
                   FROM flights WHERE origin = ?)
             HAVING count(*) > 0",
        )?;
        query
            .query_row([&origin], |row| {
                Ok(Punctuality {
                    flights: row.get(0)?,
                    mean: row.get(1)?,
                    on_time: row.get(2)?,
                    longest: row.get(3)?,
                    median: row.get(4)?,
                    ninth_decile: row.get(5)?,
                })
            })
            .optional()
    });
    Ok(found.await?)
}

/// Where most flights from an airport go.
#[cache_request(timeout = 300, skip(db))]
pub(crate) async fn destinations(db: &Db, origin: &Iata, limit: Limit) -> Result<Vec<Route>, Error> {
    let origin = origin.clone();
    let found = db.ask(move |connection| {
        let mut query = connection.prepare_cached(
            "SELECT origin, destination, count(*), avg(delay), avg(delay < 15), max(distance)
             FROM flights WHERE origin = ? GROUP BY destination ORDER BY count(*) DESC, destination LIMIT ?",
        )?;
        query.query_map(params![origin, limit], Route::from_row)?.collect()
    });
    Ok(found.await?)
}

/// The delays in each hour of the day. `None` is any airport or day.
#[cache_request(timeout = 300, skip(db))]
pub(crate) async fn delays(
    db: &Db,
    origin: Option<&Iata>,
    destination: Option<&Iata>,
    day: Option<Day>,
) -> Result<Vec<Hour>, Error> {
    let (origin, destination) = (origin.cloned(), destination.cloned());
    let found = db.ask(move |connection| {
        let mut query = connection.prepare_cached(
            "SELECT hour, count(*), avg(delay), avg(delay < 15)
             FROM flights
             WHERE (:origin IS NULL OR origin = :origin)
               AND (:destination IS NULL OR destination = :destination)
               AND (:day IS NULL OR day = :day)
             GROUP BY hour ORDER BY hour",
        )?;
        let filter = named_params! { ":origin": origin, ":destination": destination, ":day": day };
        let hours = query.query_map(filter, |row| {
            Ok(Hour { hour: row.get(0)?, flights: row.get(1)?, mean: row.get(2)?, on_time: row.get(3)? })
        })?;
        hours.collect()
    });
    Ok(found.await?)
}

/// The routes with the longest mean delay, of those that have [`ENOUGH_FLIGHTS`].
#[cache_request(timeout = 300, skip(db))]
pub(crate) async fn worst_routes(db: &Db, limit: Limit) -> Result<Vec<Route>, Error> {
    let found = db.ask(move |connection| {
        let mut query = connection.prepare_cached(
            "SELECT origin, destination, count(*), avg(delay), avg(delay < 15), max(distance)
             FROM flights GROUP BY origin, destination HAVING count(*) >= ?
             ORDER BY avg(delay) DESC, origin, destination LIMIT ?",
        )?;
        query.query_map(params![ENOUGH_FLIGHTS, limit], Route::from_row)?.collect()
    });
    Ok(found.await?)
}

/// The airports with most departures, the busiest first.
#[cache_request(timeout = 300, skip(db), vary(db.run))]
pub(crate) async fn busiest_airports(db: &Db, limit: Limit) -> Result<Vec<Busy>, Error> {
    let found = db.ask(move |connection| {
        let mut query = connection.prepare_cached(
            "SELECT iata, city, count(*), avg(delay < 15)
             FROM flights JOIN airports ON iata = origin
             GROUP BY iata ORDER BY count(*) DESC, iata LIMIT ?",
        )?;
        let airports = query.query_map([limit], |row| {
            Ok(Busy { iata: row.get(0)?, city: row.get(1)?, flights: row.get(2)?, on_time: row.get(3)? })
        })?;
        airports.collect()
    });
    Ok(found.await?)
}

/// The whole month in four numbers. A function without arguments has one answer.
#[cache_request(timeout = 300, skip(db))]
pub(crate) async fn month(db: &Db) -> Result<Month, Error> {
    let found = db.ask(|connection| {
        let mut query = connection.prepare_cached(
            "SELECT count(*), count(DISTINCT origin), count(DISTINCT origin || ' ' || destination), avg(delay < 15)
             FROM flights",
        )?;
        query.query_row([], |row| {
            Ok(Month { flights: row.get(0)?, airports: row.get(1)?, routes: row.get(2)?, on_time: row.get(3)? })
        })
    });
    Ok(found.await?)
}

/// See [`airport`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Airport {
    pub(crate) iata: Iata,
    pub(crate) name: String,
    pub(crate) city: String,
    pub(crate) state: String,
    pub(crate) latitude: f64,
    pub(crate) longitude: f64,
}

/// See [`punctuality`]. Delays are in minutes, and negative for early flights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Punctuality {
    pub(crate) flights: u32,
    pub(crate) mean: f64,
    /// The share of flights less than 15 minutes late, from 0 to 1.
    pub(crate) on_time: f64,
    pub(crate) longest: i32,
    pub(crate) median: i32,
    pub(crate) ninth_decile: i32,
}

/// See [`destinations`] and [`worst_routes`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Route {
    pub(crate) origin: Iata,
    pub(crate) destination: Iata,
    pub(crate) flights: u32,
    pub(crate) mean: f64,
    pub(crate) on_time: f64,
    /// In miles.
    pub(crate) distance: u32,
}

/// See [`delays`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Hour {
    pub(crate) hour: u8,
    pub(crate) flights: u32,
    pub(crate) mean: f64,
    pub(crate) on_time: f64,
}

/// See [`busiest_airports`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Busy {
    pub(crate) iata: Iata,
    pub(crate) city: String,
    pub(crate) flights: u32,
    pub(crate) on_time: f64,
}

/// See [`month`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Month {
    pub(crate) flights: u32,
    pub(crate) airports: u32,
    pub(crate) routes: u32,
    pub(crate) on_time: f64,
}

/// Why there is no answer.
#[derive(Debug)]
pub(crate) enum Error {
    UnknownAirport(Iata),
    Database(rusqlite::Error),
}

impl Route {
    fn from_row(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            origin: row.get(0)?,
            destination: row.get(1)?,
            flights: row.get(2)?,
            mean: row.get(3)?,
            on_time: row.get(4)?,
            distance: row.get(5)?,
        })
    }
}

impl From<rusqlite::Error> for Error {
    fn from(fault: rusqlite::Error) -> Self {
        Self::Database(fault)
    }
}
