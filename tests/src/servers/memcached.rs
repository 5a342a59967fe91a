//! memcached: one server, or a fleet.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use memcache::exp::{Get, GetResult, Meta, MetaClient};

use super::{PATIENCE, Server};

/// One `memcached`.
#[derive(Debug)]
pub struct Memcached {
    /// Its process.
    pub server: Server,
}

impl Memcached {
    /// Starts one with these arguments beside those that every one has.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        let all = |port: u16, _: &std::path::Path| {
            // It does not run as root unless it is told to. It has room for the large values of many tests at the same time.
            let own = ["-l", "127.0.0.1", "-u", "root", "-U", "0", "-t", "2", "-m", "1024", "-p"].map(str::to_owned);
            own.into_iter()
                .chain([port.to_string()])
                .chain(arguments.iter().map(|&argument| argument.to_owned()))
                .collect()
        };
        Self { server: Server::start("memcached", all, answers) }
    }

    /// Starts one that takes no item over 128 KiB.
    #[must_use]
    pub fn small() -> Self {
        // Without the option, it does not start: its slab classes would have larger items than it takes.
        Self::start(&["-I", "128k", "-o", "slab_chunk_max=65536"])
    }

    /// Starts so many, and returns their address with them.
    #[must_use]
    pub fn fleet(servers: usize) -> (Vec<Self>, String) {
        let fleet: Vec<Self> = (0..servers).map(|_| Self::start(&[])).collect();
        let url = url(&fleet);
        (fleet, url)
    }

    /// The one that all tests share that ask for it at the same time. It ends with the last of them.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Memcached>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let memcached = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&memcached);
            memcached
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("memcached://127.0.0.1:{}", self.server.port)
    }

    /// A client that knows nothing of ours.
    ///
    /// # Panics
    ///
    /// If it cannot be made.
    #[must_use]
    pub fn client(&self) -> MetaClient {
        let builder = MetaClient::builder().connect_timeout(Some(PATIENCE)).io_timeout(Some(PATIENCE));
        builder.connect(("127.0.0.1", self.server.port)).expect("a client")
    }

    /// What is stored under this key, with all that is known of it.
    ///
    /// # Panics
    ///
    /// If it does not answer.
    #[must_use]
    pub fn look(&self, key: &str) -> GetResult {
        self.client().run(Get::new(key).meta(Meta::ALL)).expect("an answer")
    }

    /// The generation of a namespace.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn generation(&self, namespace: &str) -> u64 {
        let value = self.look(&format!("{namespace}!generation")).value.expect("a generation");
        String::from_utf8(value).expect("digits").parse().expect("a number")
    }
}

/// The address of a fleet.
#[must_use]
pub fn url(fleet: &[Memcached]) -> String {
    let servers: Vec<_> = fleet.iter().map(|one| format!("127.0.0.1:{}", one.server.port)).collect();
    format!("memcached://{}", servers.join(","))
}

fn answers(port: u16, _: &std::path::Path) -> bool {
    MetaClient::builder().connect(("127.0.0.1", port)).is_ok_and(|client| client.noop().is_ok())
}
