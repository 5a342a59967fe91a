//! The page `docs/options.md`, which is rendered from the table and is part of the documentation of `Config`.

use std::{env, fmt::Write as _, fs, path::Path};

use super::{
    option::Of,
    table::{FILE, MEMCACHED, MEMORY, OPTIONS, SERVERS, SQL},
};

const INTRODUCTION: &str = "\
<!-- Rendered from the table in src/options/table.rs by `UPDATE=1 cargo test -p cache-request --lib options`. -->

# Options

An option is a parameter of an address, as in `file:///var/cache/app?max_bytes=1GiB&soft_limit=1s`; or it stands in a
configuration beside the `url`; or it is the method of that name of a builder: `CacheBuilder`, or that of the backend.

| value | how it is written | in code |
| --- | --- | --- |
| bytes | `1048576`, or with one of the units `kB`, `MB`, `GB`, `KiB`, `MiB` and `GiB`: `64MiB` | `u64` |
| number | `10000` | `u64`; `u32` for `db`, `i32` for `compress_level` |
| duration | `250ms`, `10s`, `1h 30m`, `1day` | `Duration` |
| text | in an address percent-encoded | `String`; bytes for the secrets |

A limit of 0 is an error: to keep nothing, there is `null://`. So is an option that the scheme does not have, and one that is given
twice.
";

const REDIS: &[&str] = &["redis", "rediss", "redis+unix", "redis-cluster", "redis-sentinel"];

/// The sections, and the schemes of each. An option is in the first one that has all of its schemes.
const SECTIONS: [(&str, Of); 8] = [
    ("Every cache", Of::All),
    ("Every cache with a backend: all schemes but `memory` and `null`", Of::Backends),
    ("Memory in front of a backend: `tiered+redis`, `tiered+file` and so on", Of::Near),
    ("`memory`", Of::Schemes(MEMORY)),
    ("`file`", Of::Schemes(FILE)),
    ("Redis and Valkey: `redis`, `rediss`, `redis+unix`, `redis-cluster` and `redis-sentinel`", Of::Schemes(REDIS)),
    ("Databases: `sqlite` and `postgres`", Of::Schemes(SQL)),
    ("`memcached`", Of::Schemes(MEMCACHED)),
];
/// It comes before those of single servers, and takes what they do not.
const SHARED: (&str, Of) =
    ("Servers and databases: Redis and Valkey, `sqlite`, `postgres` and `memcached`", Of::Schemes(SERVERS));
const BEFORE_SHARED: usize = 5;

#[test]
fn the_page_of_options_says_what_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/options.md");
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap();
    assert!(written == page(), "docs/options.md differs from the table: run this test with UPDATE=1");
}

fn page() -> String {
    let (before, after) = SECTIONS.split_at(BEFORE_SHARED);
    let sections = before.iter().chain([&SHARED]).chain(after);
    let mut page = INTRODUCTION.to_owned();
    let mut rows = 0;
    for (heading, schemes) in sections {
        let options: Vec<_> = OPTIONS.iter().filter(|option| section(option.of()).0 == *heading).collect();
        write!(page, "\n## {heading}\n\n| option | value | default | meaning |\n| --- | --- | --- | --- |\n").unwrap();
        for option in &options {
            let [name, value, default, help] = option.row();
            let only = only(option.of(), *schemes);
            writeln!(page, "| {name} | {value} | {default} | {help}{only} |").unwrap();
        }
        rows += options.len();
    }
    assert_eq!(rows, OPTIONS.len());
    page
}

fn section(of: Of) -> (&'static str, Of) {
    SECTIONS.into_iter().find(|(_, section)| is_within(of, *section)).unwrap_or(SHARED)
}

fn is_within(of: Of, section: Of) -> bool {
    match (of, section) {
        (Of::All, Of::All) | (Of::Backends, Of::Backends) | (Of::Near, Of::Near) => true,
        (Of::Schemes(schemes), Of::Schemes(section)) => schemes.iter().all(|scheme| section.contains(scheme)),
        _ => false,
    }
}

/// Says which schemes of the section have the option, or which have not, if not all have it.
fn only(of: Of, section: Of) -> String {
    let (Of::Schemes(schemes), Of::Schemes(section)) = (of, section) else { return String::new() };
    // `postgresql` is another name of `postgres`.
    let section = section.iter().filter(|name| **name != "postgresql");
    let (with, without): (Vec<&str>, Vec<_>) = section.partition(|name| schemes.contains(name));
    let list = |names: &[&str]| names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    match without.len() {
        0 => String::new(),
        few if few < with.len() => format!(" Not {}.", list(&without)),
        _ => format!(" Only {}.", list(&with)),
    }
}
