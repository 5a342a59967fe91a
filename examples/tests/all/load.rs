//! The visitors of `departures`.

use std::process::{Command, Output};

/// The site that it starts has its standard error, so this returns when both have ended.
fn load(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_load")).args(arguments).output().expect("the program can be started")
}

#[cfg(target_os = "linux")]
#[test]
fn visitors_ask_for_as_many_pages_as_they_are_told_and_report() {
    let run = load(&["pageviews", "2000"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let report = String::from_utf8(run.stdout).expect("it prints text");
    assert!(report.starts_with("The site has "), "{report}");
    let (with, without) = report.split_once("\nWithout it\n").expect("it has two parts");
    for (part, pages) in [(with, 2000), (without, 20)] {
        assert_eq!(figure(part, "pageviews"), pages);
        for name in ["time", "pageviews a second", "CPU of the site", "CPU of the visitors"] {
            line(part, name);
        }
    }
    // The clicks to learn the pages have left most of them to the visitors, who ask for many of them twice.
    assert!((1..2000).contains(&figure(with, "hits")), "{report}");
    assert!(figure(with, "peak memory of the site") > 0, "{report}");
    assert_eq!(figure(without, "hits"), 0);
    assert!(without.contains("\nCPU a page, without ÷ with: "), "{report}");
}

#[test]
fn a_wrong_command_is_refused_in_words() {
    for arguments in [&[][..], &["pages"], &["pageviews", "none"], &["pageviews", "0"], &["plot", "a.svg", "b.svg"]] {
        let run = load(arguments);
        assert!(!run.status.success(), "{arguments:?}");
        let words = String::from_utf8_lossy(&run.stderr);
        assert!(words.contains("usage: load pageviews [COUNT]"), "{arguments:?}: {words}");
    }
}

/// What stands behind a name in the report.
#[track_caller]
fn line<'a>(report: &'a str, name: &str) -> &'a str {
    let found = report.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix("  "));
    found.unwrap_or_else(|| panic!("{name} is not in {report}"))
}

/// The whole number there.
#[track_caller]
fn figure(report: &str, name: &str) -> u64 {
    let digits = line(report, name).trim_start().split(|character: char| !character.is_ascii_digit()).next();
    digits.and_then(|digits| digits.parse().ok()).unwrap_or_else(|| panic!("{name} has no number in {report}"))
}
