//! PostgreSQL: one server, that trusts its password only.

use std::{
    fs::Permissions,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
};

use rustix::process::Pid;

use super::Server;
use crate::certificates::Certificates;

/// The password of the user `cache`. It has what addresses have to encode.
pub const PASSWORD: &str = "s3cr:t/@?%";

/// One `postgres`, with one user `cache` and one database of that name.
#[derive(Debug)]
pub struct Postgres {
    /// Its process.
    pub server: Server,
}

impl Postgres {
    /// Starts one with these settings, such as `max_connections=20`.
    #[must_use]
    pub fn start(settings: &[&str]) -> Self {
        Self::start_with(|dir| {
            initialise(dir);
            settings.iter().map(ToString::to_string).collect()
        })
    }

    /// Starts one that encrypts, for clients that want it to.
    #[must_use]
    pub fn encrypted(certificates: &Certificates) -> Self {
        Self::start_with(|dir| {
            initialise(dir);
            let files = [("ssl_cert_file", certificates.certificate()), ("ssl_key_file", certificates.key())];
            let own = files.map(|(setting, file)| {
                let copy = dir.join(setting);
                std::fs::copy(file, &copy).expect("a copy that it may read");
                // Only the server may read the key.
                std::fs::set_permissions(&copy, Permissions::from_mode(0o600)).expect("the copy is ours");
                give_away(&copy);
                format!("{setting}={}", copy.display())
            });
            own.into_iter().chain(["ssl=on".to_owned()]).collect()
        })
    }

    /// Starts one with the settings that are prepared in its directory.
    fn start_with(prepare: impl Fn(&Path) -> Vec<String>) -> Self {
        let arguments = |port: u16, dir: &Path| arguments(port, dir, &prepare(dir));
        let postgres = Self { server: Server::start(launcher(), arguments, answers) };
        postgres.ask_of("postgres", "CREATE DATABASE cache");
        postgres
    }

    /// The one that all tests share that ask for it at the same time. It ends with the last of them.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Postgres>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let postgres = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&postgres);
            postgres
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        Self::url_at(self.server.port)
    }

    /// Its address, if it listened at another port.
    #[must_use]
    pub fn url_at(port: u16) -> String {
        format!("postgres://cache:s3cr%3At%2F%40%3F%25@127.0.0.1:{port}/cache")
    }

    /// Has every write fail from now on that would make a file longer than so many bytes, as if there were no room on the
    /// disk. Without a number it has room again.
    ///
    /// # Panics
    ///
    /// If the system cannot do that.
    pub fn limit_files(&self, bytes: Option<u64>) {
        let limit = bytes.map_or("unlimited".to_owned(), |bytes| bytes.to_string());
        let of = |process: Pid| {
            let mut arguments = as_unprivileged();
            let process = process.as_raw_nonzero().to_string();
            // Only the soft one, which may be lifted again.
            arguments.extend(["prlimit".to_owned(), format!("--fsize={limit}:"), "--pid".to_owned(), process]);
            Command::new(&arguments[0]).args(&arguments[1..]).stderr(Stdio::null()).status()
        };
        let own = of(self.server.pid()).expect("prlimit lies beside setpriv");
        assert!(own.success(), "prlimit: {own}");
        // What it starts from now on is limited as it is. What it has started may be ending.
        for child in self.server.children() {
            let _ = of(child);
        }
    }

    /// What it answers to a statement, as text.
    ///
    /// # Panics
    ///
    /// If it answers with an error.
    #[must_use]
    pub fn ask(&self, statement: &str) -> String {
        self.ask_of("cache", statement)
    }

    fn ask_of(&self, database: &str, statement: &str) -> String {
        let output = Command::new(program("psql"))
            .args(["-X", "-q", "-A", "-t", "-h", "127.0.0.1", "-p", &self.server.port.to_string(), "-U", "cache"])
            .args(["-d", database, "-c", statement])
            .env("PGPASSWORD", PASSWORD)
            .output()
            .expect("psql lies beside postgres");
        assert!(output.status.success(), "{statement}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

fn answers(port: u16, _: &Path) -> bool {
    let port = port.to_string();
    let asked = Command::new(program("pg_isready")).args(["-q", "-h", "127.0.0.1", "-p", &port]).status();
    asked.is_ok_and(|status| status.success())
}

fn arguments(port: u16, dir: &Path, settings: &[String]) -> Vec<String> {
    let (port, data) = (format!("port={port}"), dir.join("data"));
    let mut arguments = as_unprivileged();
    arguments.extend([program("postgres").display().to_string(), "-D".to_owned(), data.display().to_string()]);
    let fixed = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=60"];
    for setting in fixed.into_iter().chain(settings.iter().map(String::as_str)).chain([&*port]) {
        arguments.extend(["-c".to_owned(), setting.to_owned()]);
    }
    // That is what is started: see `launcher`.
    arguments.remove(0);
    arguments
}

fn initialise(dir: &Path) {
    let password = dir.join("password");
    std::fs::write(&password, PASSWORD).expect("a file for the password");
    let mut arguments = as_unprivileged();
    arguments.push(program("initdb").display().to_string());
    let (data, password) = (dir.join("data").display().to_string(), password.display().to_string());
    arguments.extend(
        ["-D", &data, "-U", "cache", "-A", "scram-sha-256", "--pwfile", &password, "-E", "UTF8", "--no-sync"]
            .map(str::to_owned),
    );
    give_away(dir);
    give_away(&dir.join("password"));
    let output = Command::new(&arguments[0]).args(&arguments[1..]).current_dir(dir).stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|cause| missing(&cause.to_string()));
    assert!(output.status.success(), "initdb: {}", String::from_utf8_lossy(&output.stderr));
}

/// It refuses to run as root.
const NOBODY: u32 = 65534;

/// Makes the user that it runs as the owner.
fn give_away(path: &Path) {
    if is_root() {
        std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give it away");
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// What is put before a command so that it does not run as root.
fn as_unprivileged() -> Vec<String> {
    if !is_root() {
        return Vec::new();
    }
    ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"].map(str::to_owned).into()
}

/// What starts it: itself, or what becomes it after it is no longer root.
fn launcher() -> &'static str {
    static POSTGRES: OnceLock<String> = OnceLock::new();
    if is_root() { "setpriv" } else { POSTGRES.get_or_init(|| program("postgres").display().to_string()) }
}

/// Debian keeps those of each version apart, and none in the path.
fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut versions: Vec<_> = versions.map(|version| version.path().join("bin")).collect();
    // The newest one of those that have it.
    versions.sort_by_key(|bin| bin.iter().rev().nth(1).and_then(|name| name.to_str()?.parse::<u32>().ok()));
    let places = versions.into_iter().rev().chain(std::env::split_paths(&path));
    places
        .map(|bin| bin.join(name))
        .find(|program| program.is_file())
        .unwrap_or_else(|| missing(&format!("{name} is nowhere")))
}

fn missing(cause: &str) -> ! {
    panic!("PostgreSQL cannot be run ({cause}): `scripts/need postgres` installs it")
}
