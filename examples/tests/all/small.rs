//! The small programs print what their text says.

use std::process::Command;

fn printed(program: &str) -> String {
    // Whatever cache is chosen where the tests run, these programs are about their own.
    let run = Command::new(program).env_remove("CACHE_URL").output().expect("the program can be started");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stdout).expect("it prints text")
}

#[track_caller]
fn prints(program: &str, expected: &[&str]) {
    let printed = printed(program);
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
}

#[test]
fn quickstart() {
    let printed = printed(env!("CARGO_BIN_EXE_quickstart"));
    let lines: Vec<_> = printed.lines().collect();
    let (story, table) = lines.split_at(12);
    assert_eq!(
        story,
        [
            "  looking up JFK to SFO",
            "Some(2586)",
            "Some(2586)",
            "  looking up JFK to XYZ",
            "None",
            "None",
            "key: quickstart..miles?from=JFK&to=SFO",
            "cached: Some(Some(2586))",
            "invalidated: true",
            "cached: None",
            "  looking up JFK to SFO",
            "Some(2586)",
        ]
    );
    let [headings, counts, "", causes, misses, "", held] = table else { panic!("two tables were expected: {printed}") };
    let cells = |line: &str| -> Vec<String> {
        line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).map(String::from).collect()
    };
    assert_eq!(cells(headings)[..4], ["function", "hits", "hit %", "misses"]);
    assert_eq!(cells(counts)[..4], ["miles", "2", "40.0", "3"]);
    assert_eq!(cells(causes), ["misses", "new", "invalidated"]);
    assert_eq!(cells(misses), ["miles", "2", "1"]);
    assert!(held.starts_with("2 entries, "), "{held}");
}

#[test]
fn report() {
    let printed = printed(env!("CARGO_BIN_EXE_report"));
    let verdict = |function: &str| {
        let line = printed.lines().find(|line| line.starts_with(function)).unwrap_or_else(|| panic!("{printed}"));
        ["keep (saves", "give it more memory (evictions cost", "not worth it (saves"].map(|words| line.contains(words))
    };
    assert_eq!(verdict("delays "), [true, false, false], "{printed}");
    assert_eq!(verdict("flights "), [false, true, false], "{printed}");
    assert_eq!(verdict("double "), [false, false, true], "{printed}");
}

/// The guide shows it.
#[test]
fn timeline() {
    let shown = include_str!("../../../cache-request/docs/timeline.svg");
    assert!(printed(env!("CARGO_BIN_EXE_timeline")) == shown, "write it anew, as the program's text says");
}

#[test]
fn asynchronous() {
    prints(
        env!("CARGO_BIN_EXE_asynchronous"),
        &[
            "  greeting \"Ann\"",
            "bodies run: 1",
            "  greeting \"\"",
            "Err(\"no name to greet\")",
            "  greeting \"\"",
            "Err(\"no name to greet\")",
            "  greeting \"Ann\"",
            "Ok(\"Hello, Ann!\")",
            "key: asynchronous.acme.greeting?name=Ann",
            "  greeting \"Ann\"",
            "Ok(\"Hello, Ann!\")",
            "key: asynchronous.globex.greeting?name=Ann",
        ],
    );
}

#[test]
fn methods() {
    prints(
        env!("CARGO_BIN_EXE_methods"),
        &[
            "  pricing 7",
            "21 21",
            "  counting 7 in north",
            "  counting 7 in south",
            "12 12 12",
            "  looking up the currency of south",
            "EUR EUR",
            "  taxing 8",
            "2 2",
            "key: methods..Shop.stock?article=7&self.region=south",
            "key: methods..Shop.currency?region=south",
            "invalidated: true",
            "  counting 7 in south",
            "12 12",
        ],
    );
}

#[test]
fn own_key() {
    prints(
        env!("CARGO_BIN_EXE_own_key"),
        &[
            "article 5 in \"en\"",
            "own_key..article?5:en",
            "400000 400000",
            "own_key..population?oslo",
            "GET /video/5 with 2 parameters",
            "webtv..api?url=/video/5&params=hd=1&lang=en",
            "users.find(\"Ann\", 5)",
            "myapp..gateway.users.find?params=Ann,5",
        ],
    );
}

#[test]
fn own_backend() {
    prints(
        env!("CARGO_BIN_EXE_own_backend"),
        &["  squaring 12", "144 144", "keys: [\"own_backend..square?number=12\"]", "  squaring 12", "144, faults: 1"],
    );
}

#[test]
fn testing() {
    prints(env!("CARGO_BIN_EXE_testing"), &["1.17", "1.17, cached"]);
}

#[test]
fn pages() {
    prints(
        env!("CARGO_BIN_EXE_pages"),
        &[
            "  rendering /offers",
            "GET /offers: Oranges 100 (cache-request; fwd=uri-miss; ttl=60; stored)",
            "GET /offers: Oranges 100 (cache-request; hit; ttl=60)",
            "POST /offers: raised (cache-request; fwd=method)",
            "  rendering /offers",
            "GET /offers: Oranges 110 (cache-request; fwd=uri-miss; ttl=60; stored)",
            "  asked for /logo",
            "GET /logo: <svg/> (cache-request; fwd=uri-miss; ttl=10; stored)",
            "  asked for /logo",
            "GET /logo: <svg/> (cache-request; fwd=stale; fwd-status=304; ttl=10; stored)",
            "GET /logo: <svg/> (cache-request; hit; ttl=10)",
            "  rendering /offers",
            "GET /offers: Oranges 110 (cache-request; hit; ttl=-12)",
            "GET /offers: Oranges 110 (cache-request; hit; ttl=60)",
            "  rendering /offers",
            "GET /offers: Oranges 110 (cache-request; fwd=uri-miss; ttl=60; stored)",
            "  rendering /account",
            "GET /account: yours (cache-request; fwd=bypass; detail=user)",
            "  rendering /account",
            "GET /account: yours (cache-request; fwd=bypass; detail=user)",
        ],
    );
}

#[test]
fn grpc() {
    prints(
        env!("CARGO_BIN_EXE_grpc"),
        &[
            "Unauthenticated: who is it?",
            "  looking up UA 15",
            "SFO",
            "SFO",
            "  looking up UA 16",
            "NotFound: no such flight",
            "  looking up UA 16",
            "NotFound: no such flight",
        ],
    );
}
