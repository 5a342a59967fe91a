//! What may happen between callers and every server. Each scenario prints its figures: `--nocapture` shows them.

use std::{thread, time::Duration};

use cache_request::Cache;

use crate::{
    load::{Figures, during, until_it_works},
    proxy::{Mode, Proxy},
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

    /// Calls go on while the wire is in each of these modes, as they do before and after, and what others find is right.
    ///
    /// # Panics
    ///
    /// If a call is wrong, fails or waits, if the wire harms nothing, or if the cache does not work when the wire does again.
    pub fn suffers(&self, modes: &[Mode]) -> Figures {
        let cache = || Cache::from_url(&self.url).unwrap_or_else(|error| panic!("{error:#}"));
        let ours = cache();
        let mut recovered = Vec::new();
        let figures = during(&ours, || {
            for mode in modes {
                until_it_works(&ours);
                self.proxy.set(*mode);
                thread::sleep(Duration::from_secs(4));
                self.proxy.set(Mode::Passes);
                recovered.push(until_it_works(&ours));
            }
        });
        let harmed = self.proxy.harmed();
        println!("{modes:?}: {harmed} pieces harmed, {figures}, works {recovered:.0?} after that");
        figures.are_good();
        assert!(harmed > 0, "{modes:?}");

        let theirs = cache();
        let found = during(&theirs, || {
            until_it_works(&theirs);
        });
        found.are_good();
        figures
    }
}
