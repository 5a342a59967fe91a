//! A site over half a million flights, whose queries remember.
//!
//! ```text
//! cargo run --release -p cache-request-examples --bin departures
//! ```
//!
//! then open the address it prints. `PORT` chooses another port than 3000 (0: any free one), `CACHE_URL` where the
//! answers are kept: `memory://` by default, `file:///tmp/departures` or `redis://localhost` for a site that still knows them
//! when it is started again, `null://` for one that forgets everything and is otherwise the same. It has every backend.
//!
//! The part worth reading is `queries.rs`: every function there asks the database, and is annotated. The rest is a
//! web site like any other, and calls them as if they were not.
//!
//! - `data.rs` loads the flights, and hands out connections
//! - `queries.rs` asks them
//! - `site.rs` has a handler for every address
//! - `pages.rs` makes the HTML
//! - `watch.rs` finds out whether an answer was computed or remembered, and in how long
//! - `cache.rs` says what else the site wants of the cache: where it is, how it does, what to forget

mod cache;
mod data;
mod pages;
mod queries;
mod site;
mod watch;

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

/// Waits for Ctrl-C. Where the system has no such thing, that is for ever.
async fn interrupted() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
