//! Visitors for the site `departures`: what a page costs it, with and without a cache.
//!
//! ```text
//! cargo build --release -p cache-request-examples --bins
//! cargo run --release -p cache-request-examples --bin load -- pageviews 10000000
//! cargo run --release -p cache-request-examples --bin load -- plot cpu.svg
//! ```
//!
//! It starts the site on a free port of this machine, asks it over keep-alive connections, and ends it. What the site costs is
//! read in `/proc`, so this runs on Linux.
//!
//! - `site.rs` starts the site, and reads what it costs
//! - `connection.rs` is the client
//! - `choice.rs` learns the pages of the site, and chooses among them
//! - `pageviews.rs` asks as fast as it can, and reports
//! - `plot.rs` asks at a constant rate, and notes the CPU
//! - `chart.rs` draws that

mod chart;
mod choice;
mod connection;
mod pageviews;
mod plot;
mod site;

use std::{env, process::ExitCode};

const USAGE: &str = "usage: load pageviews [COUNT]  (10000000 by default)
       load plot [FILE.svg]    (cpu.svg by default)";

type Error = Box<dyn std::error::Error + Send + Sync>;

/// On one thread, as it shares the machine with the site.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Error> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["pageviews"] => pageviews::run(10_000_000).await,
        ["pageviews", count] => match count.parse() {
            Ok(count) if count > 0 => pageviews::run(count).await,
            _ => Err(format!("“{count}” is not a number of pages\n{USAGE}").into()),
        },
        ["plot"] => plot::run("cpu.svg").await,
        ["plot", file] => plot::run(file).await,
        _ => Err(USAGE.into()),
    }
}
