//! Those who compete, and how they are measured.

use std::{env, path::Path, process::Command};

use axum::Router;
use cache_request_benches::server::Server;

use crate::{load, peers, proxies, site, usage};

/// How long the load lasts that is measured, and the one before it that warms up.
const SECONDS: u64 = 2;
const WARM_UP: u64 = 1;

/// The first argument of this program if it is to serve a site.
const COMMAND: &str = "serve";

/// The site that the proxies ask, which is no contender itself.
const ORIGIN: &str = "origin";

/// The one that all are compared with.
pub(crate) const BARE: &str = "bare axum";

pub(crate) const CONTENDERS: [Contender; 8] = [
    Contender { name: BARE, kind: Kind::Site(site::bare) },
    Contender { name: "CachePage, memory", kind: Kind::Site(site::cache_page) },
    Contender { name: "#[cache_request], Response", kind: Kind::Site(site::annotated_response) },
    Contender { name: "#[cache_request], Bytes", kind: Kind::Site(site::annotated_bytes) },
    Contender { name: "http-cache-tower", kind: Kind::Site(peers::http_cache_tower) },
    Contender { name: "axum-response-cache", kind: Kind::Site(peers::axum_response_cache) },
    Contender { name: "nginx, proxy_cache", kind: Kind::Proxy { program: "nginx", command: proxies::nginx } },
    Contender { name: "Varnish", kind: Kind::Proxy { program: "varnishd", command: proxies::varnish } },
];

/// One way to serve a page.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    kind: Kind,
}

/// What serves it.
enum Kind {
    /// This program.
    Site(fn() -> Router),
    /// Another program, which is given a port, a directory and the address of [`site::origin`].
    Proxy { program: &'static str, command: fn(u16, &Path, &str) -> Command },
}

/// What was measured of one contender in one round.
pub(crate) struct Measured {
    /// Requests a second.
    pub(crate) rate: f64,
    /// CPU-seconds of all its processes per 1,000 requests.
    pub(crate) cost: f64,
}

impl Contender {
    /// Panics if a program is missing that it needs.
    pub(crate) fn need(&self) {
        let proxy = if let Kind::Proxy { program, .. } = self.kind { Some(program) } else { None };
        load::PROGRAMS.into_iter().chain(proxy).for_each(load::need);
    }

    /// Starts it, and ends it afterwards.
    pub(crate) fn measure(&self, size: usize) -> Measured {
        match self.kind {
            Kind::Site(_) => {
                let server = Server::start(|port, _| load::on_one_core(&command(self.name, size, port)));
                self.load(&server, &server, size)
            }
            Kind::Proxy { command: proxy, .. } => {
                let origin = Server::start(|port, _| command(ORIGIN, size, port));
                let address = origin.address().to_string();
                let server = Server::start(|port, directory| load::on_one_core(&proxy(port, directory, &address)));
                self.load(&server, &origin, size)
            }
        }
    }

    /// `maker` is where the page is made, and counts that.
    fn load(&self, server: &Server, maker: &Server, size: usize) -> Measured {
        let address = server.address();
        assert_eq!(load::get(address, site::PAGE).len(), size, "{}", self.name);
        load::run(address, WARM_UP);
        // Several connections may have asked before it was cached.
        let made = site::made(maker.address());
        assert_eq!(made > 0, self.name != BARE, "{} made {made} pages before its first hit", self.name);
        let before = usage::cpu_seconds(server.id());
        let load = load::run(address, SECONDS);
        let used = usage::cpu_seconds(server.id()) - before;
        let made = site::made(maker.address());
        assert_eq!(made, 0, "{} made {made} pages among its hits", self.name);
        Measured { rate: load.rate, cost: used / load.requests * 1000.0 }
    }
}

/// Serves a contender's site until the process is ended, if that is what the arguments of this program ask for.
pub(crate) fn serve(arguments: &[String]) -> bool {
    let [_, command, name, size, port] = arguments else { return false };
    if command != COMMAND {
        return false;
    }
    let contender = CONTENDERS.iter().find(|contender| contender.name == name);
    let site = match contender.map(|contender| &contender.kind) {
        Some(Kind::Site(site)) => *site,
        _ => site::origin,
    };
    site::serve(site, size.parse().expect("a size"), port.parse().expect("a port"));
    true
}

/// This program, as the site of that name.
fn command(name: &str, size: usize, port: u16) -> Command {
    let mut command = Command::new(env::current_exe().expect("this program"));
    command.args([COMMAND, name, &size.to_string(), &port.to_string()]);
    command
}
