//! Asks at a constant rate while the cache is off, and then on, and draws what the site costs.

use std::{fs, sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, Interval, interval_at},
};

use crate::{Error, chart::Chart, choice::Choice, connection::Connection, pageviews::measure, site::Site};

/// How often the CPU is read.
const SAMPLE: Duration = Duration::from_millis(500);

/// For how many samples the cache is off, and then on.
const HALF: u32 = 40;

/// How busy the site keeps one core without the cache.
const BUSY: f64 = 0.7;

/// How many pages tell what a page costs without the cache.
const PROBE: u64 = 500;

/// The pages of a second are asked for over so many connections in turn: none has to wait for the one before it.
const VISITORS: u32 = 16;

pub(crate) async fn run(file: &str) -> Result<(), Error> {
    let site = Site::start()?;
    site.turn_cache(false).await?;
    let choice = Arc::new(Choice::learn(&mut site.connect().await?).await?);
    let cost = measure(&site, &choice, PROBE).await?.cpu_a_page();
    let rate = (BUSY / cost).round().max(1.0);
    println!("{rate} pages a second, at {:.1} ms each", cost * 1000.0);

    let (start, period) = (Instant::now(), Duration::from_secs_f64(1.0 / rate));
    let mut visitors = JoinSet::new();
    for visitor in 0..VISITORS {
        let turns = interval_at(start + period * visitor, period * VISITORS);
        visitors.spawn(visit(site.connect().await?, Arc::clone(&choice), visitor, turns));
    }
    let samples = tokio::select! {
        samples = watch(&site) => samples?,
        Some(ended) = visitors.join_next() => {
            ended??;
            return Err("a visitor has left".into());
        }
    };

    let chart = Chart { rate, every: SAMPLE.as_secs_f64(), samples };
    let (off, on) = chart.means();
    println!("CPU of the site: {off:.1} % of a core without the cache, {on:.1} % with it");
    fs::write(file, chart.svg()).map_err(|error| format!("{file} cannot be written: {error}"))?;
    println!("{file} shows it");
    Ok(())
}

/// Asks for a page at each of its turns, and at once if it is late.
async fn visit(mut site: Connection, choice: Arc<Choice>, visitor: u32, mut turns: Interval) -> Result<(), Error> {
    for request in choice.of_visitor(visitor.into()) {
        turns.tick().await;
        site.page(request).await?;
    }
    Ok(())
}

/// Turns the cache on in the middle. Returns how busy the site has been in each sample, in percent of one core.
async fn watch(site: &Site) -> Result<Vec<f64>, Error> {
    let mut samples = Vec::new();
    let (mut last, mut cpu) = (Instant::now(), site.cpu()?);
    let mut turns = interval_at(last + SAMPLE, SAMPLE);
    for sample in 0..2 * HALF {
        if sample == HALF {
            site.turn_cache(true).await?;
        }
        let (now, cpu_now) = (turns.tick().await, site.cpu()?);
        samples.push((cpu_now - cpu).as_secs_f64() / (now - last).as_secs_f64() * 100.0);
        (last, cpu) = (now, cpu_now);
    }
    Ok(samples)
}
