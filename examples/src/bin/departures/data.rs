//! The database: loaded at start, then read, and changed by [`Db::rename_airport`]. It lives in this process's memory.
//!
//! Nothing in here knows of the cache.

use std::{
    error::Error,
    str,
    sync::{Arc, Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use csv::ByteRecord;
use flate2::read::GzDecoder;
use rusqlite::{Connection, params};
use tokio::{sync::Semaphore, task};

use crate::arguments::Iata;

/// US Bureau of Transportation Statistics: the departures of January 2001.
const FLIGHTS: &[u8] = include_bytes!("../../../data/flights-2001-01.csv.gz");

/// Data.gov: the airports of the United States.
const AIRPORTS: &[u8] = include_bytes!("../../../data/airports.csv");

/// A database in memory that all connections of this process share, and that lasts as long as one of them.
const DATABASE: &str = "file:/departures?vfs=memdb";

/// How many queries run at a time. Others wait.
const CONNECTIONS: usize = 4;

const TABLES: &str = "
    CREATE TABLE airports (
        iata TEXT PRIMARY KEY, name TEXT NOT NULL, city TEXT NOT NULL, state TEXT NOT NULL,
        latitude REAL NOT NULL, longitude REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE flights (
        origin TEXT NOT NULL, destination TEXT NOT NULL, day INTEGER NOT NULL, hour INTEGER NOT NULL,
        delay INTEGER NOT NULL, distance INTEGER NOT NULL
    );
";

/// Made after the load, which is faster than keeping it up to date row by row.
const INDEX: &str = "CREATE INDEX flights_by_route ON flights (origin, destination)";

/// A pool of connections to the database.
#[derive(Clone)]
pub(crate) struct Db {
    /// Which start of the site this is. What is changed is lost with the process, so no other start may have answers that show it.
    pub(crate) run: u64,
    idle: Arc<Mutex<Vec<Connection>>>,
    free: Arc<Semaphore>,
}

impl Db {
    /// Runs `query` on a thread where it may block.
    pub(crate) async fn ask<T, F>(&self, query: F) -> rusqlite::Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    {
        let turn = Arc::clone(&self.free).acquire_owned().await.expect("the semaphore is never closed");
        let db = self.clone();
        let work = task::spawn_blocking(move || {
            let connection = db.take()?;
            let answer = query(&connection);
            db.give_back(connection);
            drop(turn);
            answer
        });
        work.await.unwrap_or_else(|fault| std::panic::resume_unwind(fault.into_panic()))
    }

    /// Gives an airport another name and city. Returns whether there is such an airport.
    pub(crate) async fn rename_airport(&self, iata: &Iata, name: String, city: String) -> rusqlite::Result<bool> {
        let iata = iata.clone();
        let change = move |connection: &Connection| {
            connection.execute("UPDATE airports SET name = ?, city = ? WHERE iata = ?", params![name, city, iata])
        };
        Ok(self.ask(change).await? == 1)
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.map_or_else(|| Connection::open(DATABASE), Ok)
    }

    fn give_back(&self, connection: Connection) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }
}

/// Loads airports and flights into a new database.
pub(crate) fn load() -> Result<Db, Box<dyn Error + Send + Sync>> {
    let mut connection = Connection::open(DATABASE)?;
    connection.execute_batch(TABLES)?;
    let transaction = connection.transaction()?;
    load_airports(&transaction)?;
    load_flights(&transaction)?;
    transaction.execute_batch(INDEX)?;
    transaction.commit()?;
    Ok(Db {
        run: SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as u64,
        idle: Arc::new(Mutex::new(vec![connection])),
        free: Arc::new(Semaphore::new(CONNECTIONS)),
    })
}

fn load_airports(connection: &Connection) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut insert = connection.prepare("INSERT INTO airports VALUES (?, ?, ?, ?, ?, ?)")?;
    for row in csv::Reader::from_reader(AIRPORTS).deserialize() {
        let (iata, name, city, state, _country, latitude, longitude): (
            String,
            String,
            String,
            String,
            String,
            f64,
            f64,
        ) = row?;
        insert.execute(params![iata, name, city, state, latitude, longitude])?;
    }
    Ok(())
}

fn load_flights(connection: &Connection) -> Result<(), Box<dyn Error + Send + Sync>> {
    let mut insert = connection.prepare("INSERT INTO flights VALUES (?, ?, ?, ?, ?, ?)")?;
    let mut rows = csv::Reader::from_reader(GzDecoder::new(FLIGHTS));
    let mut row = ByteRecord::new();
    while rows.read_byte_record(&mut row)? {
        // The columns: departure as 2001-01-31T23:59, delay, distance, origin, destination.
        let departure = text(&row, 0)?;
        let (day, hour) = departure.get(8..10).zip(departure.get(11..13)).ok_or("a departure is cut short")?;
        insert.execute(params![
            text(&row, 3)?,
            text(&row, 4)?,
            day.parse::<u8>()?,
            hour.parse::<u8>()?,
            text(&row, 1)?.parse::<i32>()?,
            text(&row, 2)?.parse::<i32>()?,
        ])?;
    }
    Ok(())
}

fn text(row: &ByteRecord, column: usize) -> Result<&str, str::Utf8Error> {
    str::from_utf8(&row[column])
}
