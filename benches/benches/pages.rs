//! Whole pages: an axum handler with the bytes at hand, and the same behind a `CachePage` that memory answers.
//!
//! Each contender is a server in a process of its own, with one worker thread. `wrk` asks it for one page, on another core.

use std::{
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    time::Duration,
};

use axum::{Router, body::Bytes, http::header, routing::get};
use cache_request::http::CachePage;
use cache_request_benches::{rounds, samples::Samples, table::Table};
use tokio::{net::TcpListener, runtime};

const CONTENDERS: [&str; 2] = ["bare axum", "CachePage, memory"];
const SIZES: [usize; 2] = [1 << 10, 1 << 16];
const SECONDS: u64 = 3;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().collect();
    if let [_, serve, contender, size] = &arguments[..]
        && serve == "serve"
    {
        return serve_pages(contender, size.parse()?);
    }
    let count = rounds::count(5);
    for size in SIZES {
        let mut rates: [Samples; CONTENDERS.len()] = Default::default();
        let mut costs: [Samples; CONTENDERS.len()] = Default::default();
        for round in 0..count {
            for contender in rounds::turns(round, CONTENDERS.len()) {
                let (rate, cost) = measure(CONTENDERS[contender], size)?;
                rates[contender].push(rate);
                costs[contender].push(cost);
            }
        }
        let mut table = Table::new([&format!("{size} bytes"), "requests a second", "÷ bare", "CPU-seconds per 1,000"]);
        for (contender, (rate, cost)) in CONTENDERS.iter().zip(rates.iter().zip(&costs)) {
            let ratio = rate.median() / rates[0].median();
            table.row([
                (*contender).to_owned(),
                format!("{:.0}", rate.median()),
                format!("{ratio:.2}"),
                format!("{:.4}", cost.median()),
            ]);
        }
        println!("{table}");
    }
    Ok(())
}

/// Requests a second, and CPU-seconds of the server per 1,000 requests.
fn measure(contender: &str, size: usize) -> Result<(f64, f64), Box<dyn Error>> {
    let mut server = Server::start(contender, size)?;
    server.ask(1)?;
    let before = server.cpu_seconds()?;
    let rate = server.ask(SECONDS)?;
    let used = server.cpu_seconds()? - before;
    Ok((rate, used / (rate * SECONDS as f64) * 1000.0))
}

struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(contender: &str, size: usize) -> Result<Self, Box<dyn Error>> {
        let mut process = Command::new(env::current_exe()?)
            .args(["serve", contender, &size.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut address = String::new();
        BufReader::new(process.stdout.take().ok_or("no output")?).read_line(&mut address)?;
        Ok(Self { process, address: address.trim().to_owned() })
    }

    /// The rate at which it answers.
    fn ask(&self, seconds: u64) -> Result<f64, Box<dyn Error>> {
        let run = Command::new("wrk")
            .args(["-t1", "-c32", &format!("-d{seconds}s"), &format!("http://{}/page", self.address)])
            .output()
            .map_err(|error| format!("wrk: {error}; `scripts/need wrk` installs it"))?;
        let printed = String::from_utf8(run.stdout)?;
        if printed.contains("Non-2xx") || printed.contains("Socket errors") {
            return Err(printed.into());
        }
        let rate = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:"));
        Ok(rate.ok_or("wrk printed no rate")?.trim().parse()?)
    }

    /// Linux counts it in hundredths of a second.
    fn cpu_seconds(&mut self) -> Result<f64, Box<dyn Error>> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        Ok(ticks / 100.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn serve_pages(contender: &str, size: usize) -> Result<(), Box<dyn Error>> {
    let body = Bytes::from(vec![b'x'; size]);
    let page = move || {
        let body = body.clone();
        async move { ([(header::CACHE_CONTROL, "max-age=3600"), (header::CONTENT_TYPE, "text/html")], body) }
    };
    let mut site = Router::new().route("/page", get(page));
    if contender != CONTENDERS[0] {
        site = site.layer(CachePage::new().timeout(Duration::from_secs(3600)));
    }
    runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("{}", listener.local_addr()?);
        axum::serve(listener, site).await?;
        Ok(())
    })
}
