//! What may happen between callers and every server. Each scenario prints its figures: `--nocapture` shows them.

use std::{thread, time::Duration};

use cache_request::{Cache, scoped_sync};

use crate::{
    callers::double,
    load::{during, until_it_works, until_noticed},
    proxy::{Mode, Proxy},
    servers::wait_until,
};

/// A server with a wire before it.
pub struct Wired<S> {
    /// The server.
    pub server: S,
    proxy: Proxy,
    url: String,
}

impl<S> Wired<S> {
    /// A server that listens at a port, with the address that it has at another one.
    pub fn new(server: S, port: impl FnOnce(&S) -> u16, url: impl FnOnce(u16) -> String) -> Self {
        let proxy = Proxy::of(port(&server));
        let url = url(proxy.port);
        Self { server, proxy, url }
    }

    /// Calls go on while the wire is in each of these modes, as they do before and after, and what others find is right. A mode
    /// lasts until a piece is harmed, and where the last one `has_faults` until one is counted.
    ///
    /// # Panics
    ///
    /// If a call is wrong, fails or waits more than once, if the wire harms nothing, or if the cache does not work when the wire does again.
    pub fn suffers(&self, modes: &[Mode], has_faults: bool) {
        let cache = || Cache::from_url(&self.url).unwrap_or_else(|error| panic!("{error:#}"));
        let ours = cache();
        let mut recovered = Vec::new();
        let figures = during(&ours, || {
            for (number, mode) in modes.iter().enumerate() {
                until_it_works(&ours);
                let (harmed, faults) = (self.proxy.harmed(), ours.stats().faults());
                self.proxy.set(*mode);
                thread::sleep(Duration::from_secs(4));
                wait_until("the wire harms something", || self.proxy.harmed() > harmed);
                if has_faults && number + 1 == modes.len() {
                    until_noticed(&ours, faults);
                }
                self.proxy.set(Mode::Passes);
                recovered.push(until_it_works(&ours));
            }
        });
        let harmed = self.proxy.harmed();
        println!("{modes:?}: {harmed} pieces harmed, {figures}, works {recovered:.0?} after that");
        figures.are_good();

        let theirs = cache();
        let found = during(&theirs, || {
            until_it_works(&theirs);
        });
        found.are_good();
    }

    /// Answers that are late, for a caller who has the time, are answers.
    ///
    /// # Panics
    ///
    /// If one is not used.
    pub fn has_answers_that_are_late(&self, delay: Duration) {
        const CALLS: u32 = 20;

        let cache =
            Cache::from_url(&format!("{}&soft_limit=60s", self.url)).unwrap_or_else(|error| panic!("{error:#}"));
        let numbers = 5000..5000 + CALLS;
        let all = || numbers.clone().for_each(|number| assert_eq!(scoped_sync(&cache, || double(number)), number * 2));
        all();
        let hits = || cache.stats().functions.iter().map(|function| function.hits).sum::<u64>();
        let before = (hits(), cache.stats().faults());
        self.proxy.set(Mode::Delays(delay));
        all();
        self.proxy.set(Mode::Passes);
        assert_eq!((hits() - before.0, cache.stats().faults() - before.1), (CALLS.into(), 0), "{}", cache.stats());
    }
}
