//! Asks for pages as fast as the site answers, with the cache on and off, and reports.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::task::JoinSet;

use crate::{
    Error,
    choice::Choice,
    connection::Connection,
    site::{Site, own_cpu},
};

/// How many connections are busy at a time.
const VISITORS: u64 = 32;

/// The most pages that are asked for with the cache off.
const MOST_WITHOUT: u64 = 5_000;

pub(crate) async fn run(count: u64) -> Result<(), Error> {
    let site = Site::start()?;
    let choice = Arc::new(Choice::learn(&mut site.connect().await?).await?);
    println!("The site has {} pages two clicks from its first one.", choice.pages());

    println!("\nWith the cache");
    let with = measure(&site, &choice, count).await?;
    with.print();
    println!("  peak memory of the site   {:.1} MB", site.peak_memory()? as f64 / 1e6);

    println!("\nWithout it");
    site.turn_cache(false).await?;
    let without = measure(&site, &choice, (count / 100).clamp(1, MOST_WITHOUT)).await?;
    without.print();
    if without.hits > 0 {
        return Err("the cache is off, and there were hits".into());
    }
    println!("\nCPU a page, without ÷ with: {:.0}", without.cpu_a_page() / with.cpu_a_page());
    Ok(())
}

/// What so many pageviews have cost.
pub(crate) struct Measured {
    pages: u64,
    hits: u64,
    wall: Duration,
    /// Of the site.
    cpu: Duration,
    own_cpu: Duration,
}

impl Measured {
    /// In seconds.
    pub(crate) fn cpu_a_page(&self) -> f64 {
        self.cpu.as_secs_f64() / self.pages as f64
    }

    fn print(&self) {
        let Self { pages, hits, wall, own_cpu, .. } = self;
        let (wall, pages_of_thousand) = (wall.as_secs_f64(), *pages as f64 / 1000.0);
        println!("  pageviews                 {pages}");
        println!("  time                      {wall:.1} s");
        println!("  pageviews a second        {:.0}", *pages as f64 / wall);
        println!("  hits                      {hits}, {:.3} %", *hits as f64 / *pages as f64 * 100.0);
        println!("  CPU of the site           {:.4} s a thousand pages", self.cpu_a_page() * 1000.0);
        println!("  CPU of the visitors       {:.4} s a thousand pages", own_cpu.as_secs_f64() / pages_of_thousand);
    }
}

/// Asks for `pages` pages over [`VISITORS`] connections.
pub(crate) async fn measure(site: &Site, choice: &Arc<Choice>, pages: u64) -> Result<Measured, Error> {
    let (start, cpu, own) = (Instant::now(), site.cpu()?, own_cpu()?);
    let mut visitors = JoinSet::new();
    for visitor in 0..VISITORS {
        let share = pages / VISITORS + u64::from(visitor < pages % VISITORS);
        visitors.spawn(visit(site.connect().await?, Arc::clone(choice), visitor, share));
    }
    let mut hits = 0;
    while let Some(visitor) = visitors.join_next().await {
        hits += visitor??;
    }
    Ok(Measured { pages, hits, wall: start.elapsed(), cpu: site.cpu()? - cpu, own_cpu: own_cpu()? - own })
}

/// Asks for one page after the other, and returns how many were from the cache.
async fn visit(mut site: Connection, choice: Arc<Choice>, visitor: u64, pages: u64) -> Result<u64, Error> {
    let mut hits = 0;
    for request in choice.of_visitor(visitor).take(pages as usize) {
        hits += u64::from(site.page(request).await?);
    }
    Ok(hits)
}
