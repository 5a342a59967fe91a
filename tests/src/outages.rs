//! What may happen to every server while calls go on. Each scenario prints its figures: `--nocapture` shows them.

use std::{
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use cache_request::{Backend, Cache, ErrorKind, scoped_sync};
use futures_lite::future::block_on;
use futures_util::future::join_all;
use tokio::time::timeout;

use crate::{
    callers::double,
    load::{CALLERS, Figures, during, until_it_works, until_noticed},
    servers::{Server, wait_until},
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
/// If calls are wrong, fail or wait more than once, or if it is not found when it comes.
pub fn is_absent_and_comes(url: &str, server: &mut Server, says: &str) {
    server.kill();
    // A call that waited would end after a minute, with a timeout.
    let patient = cache(&format!("{url}?soft_limit=60s"));
    scoped_sync(&patient, || assert_eq!(double(1), 2));
    let faults = &patient.stats().functions[0].faults;
    assert_eq!((faults.timeout, faults.total()), (0, 1), "{}", patient.stats());
    let cache = cache(url);
    let error = Cache::from_url(&format!("{url}?connect=now")).expect_err("no server listens");
    assert_eq!(error.kind(), ErrorKind::Backend);
    assert!(error.to_string().contains(says), "{error}");

    let mut recovered = Duration::ZERO;
    let figures = during(&cache, || {
        until_noticed(&cache, 0);
        thread::sleep(Duration::from_millis(500));
        server.restart();
        recovered = until_it_works(&cache);
    });
    println!("absent, then started: {figures}, works {recovered:.1?} after the start");
    faults_are_noticed(&figures);
}

/// A place that neither accepts connections nor refuses them, and many calls.
///
/// # Panics
///
/// If calls are wrong, fail, or wait again and again.
pub fn never_answers(url: impl FnOnce(SocketAddr) -> String) {
    const FAULTS: u64 = 8;
    const MANY: u64 = 1000;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let url = url(listener.local_addr().expect("its number"));
    // No call tries again after the first ones, however long they all take.
    let cache = cache(&format!("{url}?breaker_faults={FAULTS}&breaker_pause=1h"));
    let figures = during(&cache, || wait_until("calls go on", || cache.stats().bodies() >= MANY));
    println!("never answers: {figures}");
    faults_are_noticed(&figures);
    assert!(figures.timeouts <= FAULTS + CALLERS, "calls wait for attempts to connect: {figures}");
}

/// A server that crashes three times, and is started again.
///
/// # Panics
///
/// If calls are wrong, fail or wait more than once, or if it is not found again.
pub fn is_killed_and_restarted(url: &str, server: &mut Server) {
    let cache = cache(url);
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for _ in 0..3 {
            until_it_works(&cache);
            thread::sleep(Duration::from_millis(300));
            let faults = cache.stats().faults();
            server.kill();
            thread::sleep(Duration::from_millis(700));
            until_noticed(&cache, faults);
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
/// If calls are wrong, fail or wait more than once, or if it is not found again.
pub fn is_stopped_and_goes_on(url: &str, server: &Server) {
    let cache = cache(url);
    let mut recovered = Vec::new();
    let figures = during(&cache, || {
        for stopped in [Duration::from_millis(600), Duration::from_secs(4)] {
            until_it_works(&cache);
            let faults = cache.stats().faults();
            server.stop();
            thread::sleep(stopped);
            until_noticed(&cache, faults);
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
/// If calls are wrong, fail or wait more than once, or if there are no new connections.
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

/// A server that cannot do its work from when it is told `begin` until it is told `end`. This is no sooner than calls have had
/// faults, and than it `says` that it cannot.
///
/// # Panics
///
/// If calls are wrong, fail or wait more than once, or if it does not serve again.
pub fn cannot_work(what: &str, cache: &Cache, begin: impl FnOnce(), says: impl FnMut() -> bool, end: impl FnOnce()) {
    let mut recovered = Duration::ZERO;
    let figures = during(cache, || {
        until_it_works(cache);
        let faults = cache.stats().faults();
        begin();
        thread::sleep(Duration::from_secs(2));
        until_noticed(cache, faults);
        wait_until("the server says so", says);
        end();
        recovered = until_it_works(cache);
    });
    println!("{what}: {figures}, works {recovered:.1?} after that");
    faults_are_noticed(&figures);
}

/// The master among `servers` that is lost, until there is another one, and comes back.
///
/// # Panics
///
/// If calls are wrong, fail or wait more than once, or if no master is found again.
pub fn is_replaced<S>(
    how: &str,
    cache: &Cache,
    servers: &mut S,
    lose: impl FnOnce(&mut S),
    until_replaced: impl FnOnce(&S),
    bring_back: impl FnOnce(&mut S),
) {
    let mut took = [Duration::ZERO; 2];
    let figures = during(cache, || {
        until_it_works(cache);
        let begun = Instant::now();
        lose(servers);
        until_replaced(servers);
        took[0] = begun.elapsed();
        took[1] = until_it_works(cache);
        bring_back(servers);
        thread::sleep(Duration::from_secs(2));
        until_it_works(cache);
    });
    println!("master {how}: {figures}, another one after {:.1?}, works {:.1?} after that", took[0], took[1]);
    figures.are_good();
}

/// Writes that are given up while all `servers` stand still, for `stopped`, and the deletions of what they were to write, which
/// begin a `moment` before the servers go on: these are done when this returns, and nothing is to come after them.
///
/// # Panics
///
/// If a server answers while it is stopped.
pub fn are_stopped_while_keys_are_written_and_deleted(
    servers: &[&Server],
    [stopped, moment]: [Duration; 2],
    backend: &impl Backend,
    keys: &[String],
) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let connect = async || {
        for key in keys {
            backend.get(key).await.expect("all servers are there");
            backend.delete(key).await.expect("all servers are there");
        }
    };
    runtime.block_on(connect());
    block_on(connect());

    servers.iter().for_each(|server| server.stop());
    let value = &vec![b'x'; 20_000];
    runtime.block_on(async {
        let sets = join_all(keys.iter().map(|key| backend.set(key, value, None)));
        assert!(timeout(Duration::from_millis(150), sets).await.is_err(), "the servers are stopped");
    });
    thread::sleep(stopped);
    thread::scope(|threads| {
        for key in keys {
            threads.spawn(move || {
                // As often as it takes until its server is told.
                while block_on(backend.delete(key)).is_err() {
                    thread::sleep(Duration::from_millis(5));
                }
            });
        }
        thread::sleep(moment);
        servers.iter().for_each(|server| server.go_on());
    });
    // What comes late, if anything does.
    thread::sleep(Duration::from_millis(500));
}

/// The `full_disk` of the program `child`, whose files may have so many bytes for a while.
///
/// # Panics
///
/// If its calls are wrong, fail or wait more than once, or if nothing is kept when there is room again.
pub fn full_disk(program: &str, url: &str, bytes: u64) {
    // Otherwise the program ends when it writes too much.
    let script = "trap '' XFSZ; exec \"$0\" \"$@\"";
    let output = Command::new("sh")
        .args(["-c", script, program, "full_disk", url, &bytes.to_string()])
        .output()
        .expect("a shell");
    print!("{}", String::from_utf8_lossy(&output.stdout));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
