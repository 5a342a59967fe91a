//! What tags cost a hit in each backend, whose records are read with the value: one of the argument, and those of the function and the client
//! with `function_tags`.

use cache_request::{Cache, install_named};
use cache_request_benches::{quiet::Patience, rounds, table::Table};

use crate::{
    contender::{self, Contender, Row},
    load::{KEYS, SMALL},
    local,
    server::{self, memcached_address, redis_url},
};

const CALLERS: [usize; 2] = [1, 64];

/// The contenders of a backend: functions in a cache without the option `function_tags`, and in one with it.
macro_rules! backend {
    ($name:ident, $off:literal, $on:literal) => {
        mod $name {
            use cache_request::{cache_request, client_scope};

            use crate::{contender::Contender, load::make};

            pub(super) const NAMES: [&str; 2] = [$off, $on];

            #[cache_request(timeout = 3600, cache = $off)]
            async fn untagged(number: u64) -> String {
                make(number)
            }

            #[cache_request(timeout = 3600, cache = $off, tags("number:{number}"))]
            async fn tagged(number: u64) -> String {
                make(number)
            }

            #[cache_request(timeout = 3600, cache = $on)]
            async fn of_function(number: u64) -> String {
                make(number)
            }

            pub(super) fn contenders() -> Vec<Contender> {
                vec![
                    Contender::tasks("no tags", |_, number| untagged(number)),
                    Contender::tasks("one of the argument", |_, number| tagged(number)),
                    Contender::tasks("function_tags", |_, number| of_function(number)),
                    Contender::tasks("for a client", |_, number| client_scope("acme", untagged(number))),
                    Contender::tasks("for a client, function_tags", |_, number| {
                        client_scope("acme", of_function(number))
                    }),
                ]
            }
        }
    };
}

backend!(redis, "tags, redis", "function_tags, redis");
backend!(memcached, "tags, memcached", "function_tags, memcached");
backend!(postgres, "tags, postgres", "function_tags, postgres");
backend!(sqlite, "tags, sqlite", "function_tags, sqlite");
backend!(file, "tags, file", "function_tags, file");
backend!(near, "tags, near", "function_tags, near");

/// Its name, the names of its caches, and who competes.
type Backend = (&'static str, [&'static str; 2], fn() -> Vec<Contender>);

const BACKENDS: [Backend; 6] = [
    ("redis", redis::NAMES, redis::contenders),
    ("memcached", memcached::NAMES, memcached::contenders),
    ("postgres", postgres::NAMES, postgres::contenders),
    ("sqlite", sqlite::NAMES, sqlite::contenders),
    ("file", file::NAMES, file::contenders),
    ("redis, near cache", near::NAMES, near::contenders),
];

/// Prints a table of all backends.
pub(crate) fn run(rounds: usize, patience: &mut Patience) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = |name: &str| directory.path().join(name).display().to_string();
    let mut table = Table::new(["", "callers", "no tags, µs", "one tag", "function_tags", "… for a client"]);
    let mut is_empty = true;
    for (name, caches, contenders) in BACKENDS {
        if !rounds::chosen(&format!("tags, {name}")) {
            continue;
        }
        let postgres = (name == "postgres").then(server::postgres);
        let url = match name {
            "memcached" => format!("memcached://{}?", memcached_address()),
            "postgres" => format!("{}?", postgres.as_ref().map_or_else(String::new, server::postgres_url)),
            "sqlite" => format!("sqlite://{}?", path("tags.sqlite")),
            "file" => format!("file://{}?", path("tags")),
            "redis" => format!("{}?", redis_url()),
            _ => format!("tiered+{}?near_timeout=1h&", redis_url()),
        };
        let caches = [0, 1].map(|on| {
            let cache = Cache::from_url(&format!("{url}function_tags={}", on == 1)).expect("its address");
            install_named(caches[on], cache.clone()).expect("it is installed once");
            cache
        });
        let contenders = contenders();
        if name.ends_with("near cache") {
            let ask = || contenders.iter().for_each(|contender| contender.ask_all(SMALL));
            local::bring_to_front(&caches[0], 3 * KEYS, ask);
            local::bring_to_front(&caches[1], 2 * KEYS, ask);
        }
        let rows = contender::measure(&contenders, &CALLERS, SMALL, rounds, patience);
        for (column, callers) in CALLERS.into_iter().enumerate() {
            table.row(line(name, callers, &rows, column));
        }
        is_empty = false;
        drop(postgres);
    }
    if !is_empty {
        println!("\nTags: how many times as long a get takes; of a client's, beside one without the option\n\n{table}");
    }
}

fn line(name: &str, callers: usize, rows: &[Row], column: usize) -> [String; 6] {
    let median = |row: usize| rows[row].cells[column].micros.median();
    let beside = |row: usize| format!("{:.2}", rows[row].cells[column].ratio.median());
    let digits = if median(0) < 10.0 { 3 } else { 1 };
    [
        name.to_owned(),
        callers.to_string(),
        format!("{:.digits$}", rows[0].cells[column].micros),
        beside(1),
        beside(2),
        format!("{:.2}", median(4) / median(3)),
    ]
}
