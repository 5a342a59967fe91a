//! Servers of the loopback: each on a free port, in a directory of its own, for as long as a benchmark needs it.

use std::{
    env,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to start or to end.
const LIMIT: Duration = Duration::from_secs(20);

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub struct Server {
    child: Child,
    address: SocketAddr,
    signal: Signal,
    _directory: TempDir,
}

impl Server {
    /// Starts what `command` makes of a free port and an empty directory, and waits until it accepts connections.
    ///
    /// # Panics
    ///
    /// If it does not start.
    #[must_use]
    pub fn start(command: impl Fn(u16, &Path) -> Command) -> Self {
        for _ in 0..10 {
            let directory = tempfile::tempdir().expect("a temporary directory");
            let address = free_address();
            let mut command = command(address.port(), directory.path());
            let program = command.get_program().display().to_string();
            let child = command
                .current_dir(&directory)
                .env("PATH", path())
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap_or_else(|cause| panic!("{program}: {cause}; `scripts/need {program}` installs it"));
            let mut server = Self { child, address, signal: Signal::TERM, _directory: directory };
            if server.accepts() {
                return server;
            }
        }
        panic!("a server does not start");
    }

    /// The same, asked to end by another signal than `TERM`.
    #[must_use]
    pub fn ended_by(mut self, signal: Signal) -> Self {
        self.signal = signal;
        self
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it accepts connections, or ends because another process took the port first.
    fn accepts(&mut self) -> bool {
        let begun = Instant::now();
        while begun.elapsed() < LIMIT {
            thread::sleep(Duration::from_millis(50));
            if self.has_ended() {
                return false;
            }
            if TcpStream::connect(self.address).is_ok() {
                return true;
            }
        }
        false
    }

    fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("its state").is_some()
    }
}

/// Asks it to end, as one that is killed leaves its own processes behind.
impl Drop for Server {
    fn drop(&mut self) {
        let begun = Instant::now();
        while !self.has_ended() && begun.elapsed() < LIMIT {
            // It may have ended by itself.
            let _ = kill_process(Pid::from_child(&self.child), self.signal);
            thread::sleep(Duration::from_millis(5));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where to look for programs: some systems keep servers where only root looks.
#[must_use]
pub fn path() -> String {
    format!("{}:/usr/local/sbin:/usr/sbin", env::var("PATH").unwrap_or_default())
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its address")
}
