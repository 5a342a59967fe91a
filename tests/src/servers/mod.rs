//! Servers that a test starts for itself, and that end with it: on free ports of the loopback, in directories of their own.

pub mod delay;
pub mod memcached;
pub mod postgres;
pub mod redis;

use std::{
    fs::File,
    net::{Ipv4Addr, TcpListener},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// How long a server may take to do what is waited for. Much longer than it does, as other tests run beside it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Says whether the server at a port answers, whose files are there.
type Answers = fn(u16, &Path) -> bool;

/// A server process. It is killed when this is dropped, whatever the test came to.
#[derive(Debug)]
pub struct Server {
    program: &'static str,
    arguments: Vec<String>,
    answers: Answers,
    child: Child,
    /// Where it keeps its files, and `log`.
    pub dir: Arc<TempDir>,
    /// Where it listens on the loopback.
    pub port: u16,
}

impl Server {
    /// Starts a program, with the arguments that it needs to listen at a port, and waits until it does.
    ///
    /// # Panics
    ///
    /// If the program is missing, with the command that installs it, or if it does not start.
    #[must_use]
    pub fn start(program: &'static str, arguments: impl Fn(u16, &Path) -> Vec<String>, answers: Answers) -> Self {
        for _ in 0..10 {
            let dir = Arc::new(tempfile::tempdir().expect("a temporary directory"));
            let port = free_port();
            let arguments = arguments(port, dir.path());
            let child = spawn(program, &arguments, dir.path());
            let mut server = Self { program, arguments, answers, child, dir, port };
            if server.waits() {
                return server;
            }
            // It has ended: another process took this port first.
            eprintln!("{program} has ended: {}", server.log());
        }
        panic!("{program} does not start");
    }

    /// Whether it answers, before it ends.
    fn waits(&mut self) -> bool {
        let begun = Instant::now();
        while !(self.answers)(self.port, self.dir.path()) {
            if self.child.try_wait().expect("its state").is_some() {
                return false;
            }
            assert!(begun.elapsed() < PATIENCE, "{} does not answer: {}", self.program, self.log());
            thread::sleep(Duration::from_millis(5));
        }
        true
    }

    /// Ends it at once, as a crash would.
    pub fn kill(&mut self) {
        // It may have ended by itself, and its id may belong to another process by now.
        if matches!(self.child.try_wait(), Ok(None)) {
            // Those that it started end when they see that it has.
            self.go_on();
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    /// Starts it again where it was, after [`kill`](Self::kill).
    ///
    /// # Panics
    ///
    /// If it does not start.
    pub fn restart(&mut self) {
        let begun = Instant::now();
        loop {
            self.kill();
            self.child = spawn(self.program, &self.arguments, self.dir.path());
            if self.waits() {
                return;
            }
            assert!(begun.elapsed() < PATIENCE, "{} does not start again: {}", self.program, self.log());
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// Stops it and its child processes (`SIGSTOP`), and waits until all of them have stopped: its port still accepts
    /// connections, and nothing answers.
    pub fn stop(&self) {
        self.signal(Signal::STOP);
        wait_until("it is stopped", || is_stopped(self.pid()));
        // It cannot start another one now.
        self.signal_children(Signal::STOP);
        wait_until("those that it started are stopped", || self.children().into_iter().all(is_stopped));
    }

    /// Lets it go on after [`stop`](Self::stop).
    pub fn go_on(&self) {
        self.signal_children(Signal::CONT);
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the process is ours");
    }

    fn signal_children(&self, signal: Signal) {
        for child in self.children() {
            // It may be ending.
            let _ = kill_process(child, signal);
        }
    }

    /// Its process.
    pub(super) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// Those that it has started, and that have not ended.
    pub(super) fn children(&self) -> Vec<Pid> {
        let own = self.child.id().to_string();
        let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        processes
            .filter_map(|entry| entry.file_name().into_string().ok())
            .filter(|process| state_of(process).is_some_and(|(_, parent)| parent == own))
            .filter_map(|process| Pid::from_raw(process.parse().ok()?))
            .collect()
    }

    /// What it has written.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The state of a process and its parent, where the system tells.
fn state_of(process: &str) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // Its name stands in brackets, and may have anything in it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.to_owned(), fields.next()?.to_owned()))
}

/// Whether all threads of a process stand still, or have ended, where the system tells.
fn is_stopped(process: Pid) -> bool {
    let process = process.as_raw_nonzero();
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten();
    let states = threads.filter_map(|thread| state_of(&format!("{process}/task/{}", thread.file_name().to_str()?)));
    states.into_iter().all(|(state, _)| matches!(&*state, "T" | "Z" | "X"))
}

fn spawn(program: &'static str, arguments: &[String], dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).expect("a file for what it writes");
    Command::new(program)
        .args(arguments)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the same file"))
        .stderr(log)
        .spawn()
        .unwrap_or_else(|cause| missing(program, &cause))
}

/// Runs a program to its end, and returns what it wrote.
///
/// # Panics
///
/// If the program is missing or fails.
pub fn run(program: &'static str, arguments: &[&str], dir: &Path) -> String {
    let output = Command::new(program).args(arguments).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|cause| missing(program, &cause));
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{program} {arguments:?}: {told}{}", String::from_utf8_lossy(&output.stderr));
    told
}

fn missing(program: &str, cause: &std::io::Error) -> ! {
    panic!("{program} cannot be run ({cause}): `scripts/need {program}` installs it")
}

/// A port that is free now. Another process may take it first, so be ready to try another one.
///
/// # Panics
///
/// If there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    listener.local_addr().expect("its number").port()
}

/// Waits until it is so.
///
/// # Panics
///
/// If it takes longer than [`PATIENCE`].
pub fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "timed out waiting until {what}");
        thread::sleep(Duration::from_millis(20));
    }
}
