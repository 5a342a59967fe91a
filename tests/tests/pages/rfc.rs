//! The page `rfc.md`: each row of its tables names tests that are there.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The names of all tests of pages and of their rules.
fn tests() -> BTreeSet<String> {
    let mut folders = vec![root().join("cache-request/src/http"), root().join("tests/tests/pages")];
    let mut names = BTreeSet::new();
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else {
                names.extend(tests_of(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    names
}

/// The functions after an attribute that makes them tests.
fn tests_of(source: &str) -> Vec<String> {
    let mut is_test = false;
    let mut names = Vec::new();
    for line in source.lines().map(str::trim) {
        is_test |= line.starts_with("#[test]") || line.starts_with("#[tokio::test");
        if let Some((_, rest)) = line.split_once("fn ").filter(|_| is_test) {
            names.extend(rest.split('(').next().map(str::to_owned));
            is_test = false;
        }
    }
    names
}

/// What is wrong with a table row.
fn faults(row: &str, tests: &BTreeSet<String>) -> Vec<String> {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [_, _, here, named] = cells[..] else { return vec![format!("not four cells: {row}")] };
    let named: Vec<_> = named.split('`').skip(1).step_by(2).collect();
    if named.is_empty() && !here.starts_with("Does not apply: ") {
        return vec![format!("no test: {row}")];
    }
    named.iter().filter(|name| !tests.contains(**name)).map(|name| format!("no such test: {name}")).collect()
}

#[test]
fn a_row_of_the_rfc_table_named_a_test_that_is_not_there() {
    let tests = tests();
    assert!(tests.contains("vary_is_ignored") && tests.contains("valid_dates_are_read"), "tests are found");
    for (row, count) in [
        ("| 3 | MUST | So it is | `vary_is_ignored` |", 0),
        ("| 3 | MUST | Does not apply: there is none | |", 0),
        ("| 3 | MUST | So it is | |", 1),
        ("| 3 | MUST | So it is | `vary_is_ignored`, `vary_is_not_ignored` |", 1),
        ("| 3 | MUST | So it is |", 1),
    ] {
        assert_eq!(faults(row, &tests).len(), count, "{row}");
    }

    let page = fs::read_to_string(root().join("cache-request/docs/rfc.md")).unwrap();
    let rows: Vec<_> = page.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| section |")).collect();
    let rows: Vec<_> = rows.into_iter().filter(|line| !line.starts_with("| ---")).collect();
    assert!(rows.len() > 150, "only {} rows found", rows.len());
    let mut faults: Vec<_> = rows.iter().flat_map(|row| faults(row, &tests)).collect();
    let in_prose =
        page.lines().filter(|line| !line.starts_with('|')).flat_map(|line| line.split('`').skip(1).step_by(2));
    let in_prose = in_prose.filter(|code| code.matches('_').count() > 2 && !tests.contains(*code));
    faults.extend(in_prose.map(|name| format!("no such test: {name}")));
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
