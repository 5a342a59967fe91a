//! The servers: each on a free port of the loopback, in a directory of its own. They end with what [`start`] returns.

use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Child, Command, Stdio},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;

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
    let redis = Server::start("redis-server", &["--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--port"]);
    // It does not run as root unless it is told to. 512 callers may all have a connection.
    let memcached = ["-l", "127.0.0.1", "-u", "root", "-U", "0", "-t", "2", "-m", "256", "-c", "4096", "-p"];
    let memcached = Server::start("memcached", &memcached);
    PORTS.set(Ports { redis: redis.port, memcached: memcached.port }).expect("they are started once");
    [redis, memcached]
}

/// A process that is ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    port: u16,
    _directory: TempDir,
}

impl Server {
    /// The last argument is the option that takes a port.
    fn start(program: &str, arguments: &[&str]) -> Self {
        for _ in 0..10 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let port = free_port();
            let child = Command::new(program)
                .args(arguments)
                .arg(port.to_string())
                .current_dir(&directory)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|cause| panic!("{program}: {cause}; `scripts/need {program}` installs it"));
            let mut server = Self { child, port, _directory: directory };
            if server.accepts() {
                return server;
            }
        }
        panic!("{program} does not start");
    }

    /// Waits until it accepts connections, or ends because another process took the port first.
    fn accepts(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(20) {
            thread::sleep(Duration::from_millis(50));
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            if TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_ok() {
                return true;
            }
        }
        false
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address").port()
}
