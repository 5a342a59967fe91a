//! The servers. They end with what [`start`] returns.

use std::{process::Command, sync::OnceLock};

use cache_request_benches::server::Server;

/// Where the servers listen.
#[derive(Debug)]
pub(crate) struct Ports {
    pub(crate) redis: u16,
    pub(crate) memcached: u16,
}

static PORTS: OnceLock<Ports> = OnceLock::new();

/// Where the servers listen that were started.
pub(crate) fn ports() -> &'static Ports {
    PORTS.get().expect("the servers are started first")
}

/// `redis://…`
pub(crate) fn redis_url() -> String {
    format!("redis://127.0.0.1:{}", ports().redis)
}

/// `host:port`
pub(crate) fn memcached_address() -> String {
    format!("127.0.0.1:{}", ports().memcached)
}

/// Starts all of them, once.
pub(crate) fn start() -> [Server; 2] {
    #[rustfmt::skip]
    let redis = run("redis-server", &["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
    // It does not run as root unless it is told to. 512 callers may all have a connection.
    let memcached = ["-l", "127.0.0.1", "-u", "root", "-U", "0", "-t", "2", "-m", "256", "-c", "4096", "-p"];
    let memcached = run("memcached", &memcached);
    PORTS
        .set(Ports { redis: redis.address().port(), memcached: memcached.address().port() })
        .expect("they are started once");
    [redis, memcached]
}

/// The last argument is the option that takes a port.
fn run(program: &str, arguments: &[&str]) -> Server {
    Server::start(|port, _| {
        let mut command = Command::new(program);
        command.args(arguments).arg(port.to_string());
        command
    })
}
