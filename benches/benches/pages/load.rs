//! The load: `wrk` on one core, and the server on another.

use std::{
    fs,
    io::{self, Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    process::{Command, Stdio},
};

use cache_request_benches::server;

use crate::site;

/// What puts the load on, and what chooses the core.
pub(crate) const PROGRAMS: [&str; 2] = ["wrk", "taskset"];

/// What came of a load.
pub(crate) struct Load {
    /// Requests a second.
    pub(crate) rate: f64,
    pub(crate) requests: f64,
}

/// Panics if a program is missing.
pub(crate) fn need(program: &str) {
    let mut version = Command::new(program);
    version.arg("-V").env("PATH", server::path()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(cause) = version.status()
        && cause.kind() == io::ErrorKind::NotFound
    {
        panic!("{program} is missing; `scripts/need wrk nginx varnishd` installs all that is needed");
    }
}

/// The same command, on the first core of those that this process may use.
pub(crate) fn on_one_core(command: &Command) -> Command {
    on_core(&cores().0, command)
}

/// 32 connections that each ask for the page again once they have it.
pub(crate) fn run(address: SocketAddr, seconds: u64) -> Load {
    let mut wrk = Command::new("wrk");
    wrk.args(["-t1", "-c32", &format!("-d{seconds}s"), &format!("http://{address}{}", site::PAGE)]);
    let run = on_core(&cores().1, &wrk).output().expect("wrk runs");
    let printed = String::from_utf8_lossy(&run.stdout);
    let failed = printed.contains("Non-2xx") || printed.contains("Socket errors");
    assert!(!failed, "{printed}");
    let rate = printed.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok());
    let requests = printed.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    let load = rate.zip(requests).map(|(rate, requests)| Load { rate, requests });
    load.unwrap_or_else(|| panic!("wrk printed no rate: {printed}"))
}

/// The body at a path.
pub(crate) fn get(address: SocketAddr, path: &str) -> Vec<u8> {
    let mut answer = Vec::new();
    let asked = TcpStream::connect(address).and_then(|mut stream| {
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
        stream.read_to_end(&mut answer)
    });
    asked.expect("an answer");
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n").expect("a head");
    let body = answer.split_off(end + 4);
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
    body
}

fn on_core(core: &str, command: &Command) -> Command {
    let mut bound = Command::new("taskset");
    bound.args(["-c", core]).arg(command.get_program()).args(command.get_args());
    bound
}

/// One core for the server and one for the load, as Linux numbers them. They are the same one if there is no other.
fn cores() -> (String, String) {
    let status = fs::read_to_string("/proc/self/status").expect("Linux");
    let allowed = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("the cores").trim();
    let is_between = |c| c == '-' || c == ',';
    let first = allowed.split(is_between).next().unwrap_or(allowed);
    let last = allowed.rsplit(is_between).next().unwrap_or(allowed);
    (first.to_owned(), last.to_owned())
}
