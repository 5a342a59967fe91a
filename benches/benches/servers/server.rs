//! The servers. They end with what [`start`] returns.

use std::{fs, os::unix::fs::chown, path::PathBuf, process::Command, sync::OnceLock};

use cache_request_benches::server::Server;
use rustix::process::Signal;

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

/// Starts PostgreSQL, with a user `cache` whom it trusts.
pub(crate) fn postgres() -> Server {
    // Debian keeps those of each version apart, and none in the path.
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest = versions.map(|version| version.path().join("bin/")).max().unwrap_or_else(PathBuf::new);
    // It does not run as root, which may give its directory away.
    const OTHER: u32 = 65534;
    let unprivileged = "setpriv --reuid=65534 --regid=65534 --clear-groups --";
    let server = Server::start(|port, directory| {
        let is_given = chown(directory, Some(OTHER), Some(OTHER)).is_ok();
        let (user, bin) = (if is_given { unprivileged } else { "" }, newest.display());
        let made = format!("{user} {bin}initdb -D data -U cache -A trust -E UTF8 --no-sync");
        let settings = format!("-c listen_addresses=127.0.0.1 -c unix_socket_directories= -c port={port} -c fsync=off");
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{made} && exec {user} {bin}postgres -D data {settings}")]);
        command
    });
    server.ended_by(Signal::INT)
}

pub(crate) fn postgres_url(server: &Server) -> String {
    format!("postgres://cache@{}/postgres", server.address())
}
