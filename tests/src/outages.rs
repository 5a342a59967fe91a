//! What may happen to every server while calls go on. Each scenario prints its figures: `--nocapture` shows them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cache_request::{Cache, ErrorKind, scoped_sync};

use crate::{
    callers::double,
    load::{Figures, SOFT_LIMIT, during, until_it_works},
    servers::Server,
};

fn cache(url: &str) -> Cache {
    Cache::from_url(url).unwrap_or_else(|error| panic!("{error:#}"))
}

/// The figures are good, and it did happen.
fn faults_are_noticed(figures: &Figures) {
    figures.are_good();
    assert!(figures.faults > 0, "nothing happened: {figures}");
}

/// A server that is not there when the program starts, as the error of `connect=now` `says`, and comes later.
///
/// # Panics
///
/// If calls are wrong, fail or wait, or if it is not found when it comes.
pub fn is_absent_and_comes(url: &str, server: &mut Server, says: &str) {
    server.kill();
    let cache = cache(url);
    let begun = Instant::now();
    scoped_sync(&cache, || assert_eq!(double(1), 2));
    let first = begun.elapsed();
    let error = Cache::from_url(&format!("{url}?connect=now")).expect_err("nobody listens");
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.to_string().contains(says), "{error}");

    let mut recovered = Duration::ZERO;
    let figures = during(&cache, || {
        thread::sleep(Duration::from_millis(500));
        server.restart();
        recovered = until_it_works(&cache);
    });
    println!("absent, then started: first call {first:.1?}, {figures}, works {recovered:.1?} after the start");
    faults_are_noticed(&figures);
    assert!(first < SOFT_LIMIT, "{first:?}");
}

/// A place that neither accepts connections nor refuses them; returns what calls came to in 3 s.
///
/// # Panics
///
/// If calls are wrong, fail, or wait again and again.
pub fn never_answers(url: impl FnOnce(SocketAddr) -> String) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let cache = cache(&url(listener.local_addr().expect("its number")));
    let figures = during(&cache, || thread::sleep(Duration::from_secs(3)));
    println!("never answers: {figures}");
    faults_are_noticed(&figures);
    assert!(figures.calls > 200, "calls wait for attempts to connect: {figures}");
}

/// A server that crashes three times, and is started again.
///
/// # Panics
///
/// If calls are wrong, fail or wait, or if it is not found again.
pub fn is_killed_and_restarted(url: &str, server: &mut Server) {
    let cache = cache(url);
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for _ in 0..3 {
            until_it_works(&cache);
            thread::sleep(Duration::from_millis(300));
            server.kill();
            thread::sleep(Duration::from_millis(700));
            server.restart();
            recovered.push(until_it_works(&cache));
        }
    });
    println!("killed and restarted three times: {figures}, works {recovered:.0?} after the restarts");
    faults_are_noticed(&figures);
}

/// A server that does nothing for a while, and does not say so: for less and for more than what it takes to give a
/// connection up.
///
/// # Panics
///
/// If calls are wrong, fail or wait, or if it is not found again.
pub fn is_stopped_and_goes_on(url: &str, server: &Server) {
    let cache = cache(url);
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for stopped in [Duration::from_millis(600), Duration::from_secs(4)] {
            until_it_works(&cache);
            server.stop();
            thread::sleep(stopped);
            server.go_on();
            recovered.push(until_it_works(&cache));
        }
    });
    println!("stopped and gone on twice: {figures}, works {recovered:.0?} after that");
    faults_are_noticed(&figures);
}

/// A server that is asked to `end` its connections ten times.
///
/// # Panics
///
/// If calls are wrong, fail or wait, or if there are no new connections.
pub fn ends_its_connections(url: &str, end: impl Fn()) {
    let cache = cache(url);
    let figures = during(&cache, || {
        for _ in 0..10 {
            until_it_works(&cache);
            end();
            thread::sleep(Duration::from_millis(100));
        }
        until_it_works(&cache);
    });
    println!("connections ended ten times: {figures}");
    figures.are_good();
}

/// A server that cannot do its work from when it is told `begin` until it is told `end`.
///
/// # Panics
///
/// If calls are wrong, fail or wait, or if it does not serve again.
pub fn cannot_work(what: &str, cache: &Cache, begin: impl FnOnce(), end: impl FnOnce()) {
    let mut recovered = Duration::ZERO;
    let figures = during(cache, || {
        until_it_works(cache);
        begin();
        thread::sleep(Duration::from_secs(2));
        end();
        recovered = until_it_works(cache);
    });
    println!("{what}: {figures}, works {recovered:.1?} after that");
    faults_are_noticed(&figures);
}

/// A program, `full_disk`, whose files may have so many bytes for a while.
///
/// # Panics
///
/// If its calls are wrong, fail or wait, or if nothing is kept when there is room again.
pub fn full_disk(program: &str, url: &str, bytes: u64) {
    // Otherwise the program ends when it writes too much.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let output = Command::new("sh").args(["-c", script, program, url, &bytes.to_string()]).output().expect("a shell");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
