//! A web site about half a million flights, whose queries are cached.
//!
//! ```text
//! cargo run --release -p cache-request-examples --bin departures
//! ```
//!
//! Then open the address that it prints. `PORT` chooses another port than 3000 (0 is any free one). `CACHE_URL` chooses where
//! answers and pages are kept: `memory://` by default, `file:///tmp/departures` or `redis://localhost` to have answers after a
//! restart, `null://` to compute all of them.
//!
//! Read `queries.rs` first: every function there queries the database, and is annotated. Then `cache.rs`, which has the cache of
//! pages, and forgets what a change has made wrong. The rest is an ordinary web site.
//!
//! - `arguments.rs` has what can be asked for
//! - `data.rs` has the database
//! - `queries.rs` has the queries
//! - `cache.rs` installs the cache, and invalidates
//! - `site.rs` has a handler for each address
//! - `pages.rs` writes the HTML
//! - `rpc.rs` answers programs, by JSON-RPC
//! - `journal.rs` notes what became of each request, and why
//! - `switch.rs` turns the cache off and on

mod arguments;
mod cache;
mod data;
mod journal;
mod pages;
mod queries;
mod rpc;
mod site;
mod switch;

use std::{env, error::Error, process::ExitCode, time::Instant};

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Box<dyn Error + Send + Sync>> {
    let port: u16 = match env::var("PORT") {
        Ok(port) => port.parse().map_err(|_| format!("PORT is {port:?}: a number from 0 to 65535 was expected"))?,
        Err(_) => 3000,
    };
    cache::install().map_err(|error| format!("CACHE_URL: {error}"))?;
    let listener = TcpListener::bind(("127.0.0.1", port)).await.map_err(|error| {
        format!("port {port} cannot be had: {error}; PORT=… chooses another one, PORT=0 any free one")
    })?;

    let start = Instant::now();
    let db = tokio::task::spawn_blocking(data::load).await??;
    println!("Loaded the flights of January 2001 in {:.1} s.", start.elapsed().as_secs_f64());

    let home = format!("http://{}", listener.local_addr()?);
    println!("Open {home}/ or");
    for path in ["/airports/ORD", "/delays?origin=ORD&destination=LGA", "/routes/worst?limit=20", "/stats"] {
        println!("     {home}{path}");
    }
    println!("Ctrl-C ends it.");

    axum::serve(listener, site::router(db)).with_graceful_shutdown(interrupted()).await?;
    Ok(())
}

/// Waits for Ctrl-C; for ever on a system without it.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
