//! Build time of 200 annotated functions, and how many crates come with the attribute.
//!
//! Small crates are written into the target directory, their dependencies built beforehand; what is timed is `cargo build` of
//! the crate alone, in turns.

use std::{
    collections::BTreeSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use cache_request_benches::{rounds, samples::Samples, table::Table};

/// Functions in each crate: a fifth of them each of the five below.
const FUNCTIONS: usize = 200;

/// What is written above each function, with what it needs.
const ATTRIBUTES: [(&str, &str, &str); 3] = [
    ("cache-request", "#[cache_request::cache_request(timeout = 300)]", OURS),
    (
        "cached",
        "#[cached::macros::cached(max_size = 10_000, ttl_secs = 300)]",
        "cached = { version = \"4.1\", features = [\"async\"] }",
    ),
    ("no attribute", "", ""),
];

const OURS: &str = concat!("cache-request = { path = '", env!("CARGO_MANIFEST_DIR"), "/../cache-request' }");

/// What is counted, with the features a plain use needs.
const COUNTED: [(&str, &str); 7] = [
    ("cache-request", OURS),
    ("cached", "cached = \"4.1\""),
    ("cached, async", "cached = { version = \"4.1\", features = [\"async\"] }"),
    ("memoize", "memoize = \"0.6\""),
    ("moka", "moka = { version = \"0.12\", features = [\"sync\"] }"),
    ("quick_cache", "quick_cache = \"0.7\""),
    ("DashMap", "dashmap = \"6\""),
];

fn main() {
    if rounds::chosen("time") {
        build_times();
    }
    if rounds::chosen("dependencies") {
        dependencies();
    }
}

fn build_times() {
    let crates = ATTRIBUTES.map(|(name, attribute, dependency)| (name, write(name, dependency, &source(attribute))));
    println!("{FUNCTIONS} functions, dependencies built already; seconds, medians [min–max]\n");
    let mut table = Table::new(["", "`cargo build`", "ours ÷ it", "`cargo build --release`", "ours ÷ it"]);
    let mut samples = crates.each_ref().map(|_| <[Samples; 2]>::default());
    let rounds = rounds::count(5);
    // The round before the first one builds the dependencies.
    for round in 0..=rounds {
        for turn in rounds::turns(round, crates.len()) {
            for (column, profile) in ["dev", "release"].into_iter().enumerate() {
                let seconds = build(&crates[turn].1, profile);
                if round > 0 {
                    samples[turn][column].push(seconds);
                }
            }
        }
    }
    for ((name, _), of_it) in crates.iter().zip(&samples) {
        let ratio = |column: usize| format!("{:.2}", samples[0][column].median() / of_it[column].median());
        table.row([(*name).to_owned(), format!("{:.2}", of_it[0]), ratio(0), format!("{:.2}", of_it[1]), ratio(1)]);
    }
    println!("{table}");
}

fn source(attribute: &str) -> String {
    let functions = (0..FUNCTIONS / 5).map(|number| {
        format!(
            r#"
{attribute}
pub fn text_{number}(id: u64) -> String {{
    format!("{{id}} {number}")
}}

{attribute}
pub fn numbers_{number}(origin: &str, day: u32, carrier: &str) -> Vec<u64> {{
    (0..u64::from(day)).map(|at| at + (origin.len() * carrier.len()) as u64 + {number}).collect()
}}

{attribute}
pub fn checked_{number}(id: u64) -> Result<String, std::num::ParseIntError> {{
    let parsed: u64 = id.to_string().parse()?;
    Ok(format!("{{parsed}} {number}"))
}}

{attribute}
pub async fn later_{number}(id: u64, name: String) -> String {{
    format!("{{id}} {{name}} {number}")
}}

{attribute}
pub async fn later_checked_{number}(origin: &str, day: u32) -> Result<Vec<u64>, String> {{
    if day > 366 {{ Err(origin.to_owned()) }} else {{ Ok(vec![u64::from(day) + {number}]) }}
}}
"#
        )
    });
    functions.collect()
}

/// Writes a crate, and says where.
fn write(name: &str, dependency: &str, source: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("build").join(name.replace([' ', ','], "-"));
    let manifest = format!(
        "[package]\nname = \"measured\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{dependency}\n\n[workspace]\n"
    );
    fs::create_dir_all(directory.join("src")).expect("the target directory can be written");
    fs::write(directory.join("Cargo.toml"), manifest).expect("the target directory can be written");
    fs::write(directory.join("src/lib.rs"), source).expect("the target directory can be written");
    // The same versions as everywhere else in this workspace.
    let lock = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    fs::copy(lock, directory.join("Cargo.lock")).expect("the workspace has a lock file");
    directory
}

/// Seconds that a build of the crate alone takes.
fn build(directory: &Path, profile: &str) -> f64 {
    let source = directory.join("src/lib.rs");
    let text = fs::read(&source).expect("it was written");
    fs::write(&source, text).expect("it was written");
    let mut cargo = cargo(directory);
    cargo.args(["build", "--quiet", "--profile", profile]);
    let start = Instant::now();
    assert!(cargo.status().expect("cargo can be run").success(), "{} builds", directory.display());
    start.elapsed().as_secs_f64()
}

fn cargo(directory: &Path) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(directory);
    // Nothing of an earlier build is to be of use, and each crate has its own directory.
    cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_TARGET_DIR", directory.join("target"));
    cargo
}

fn dependencies() {
    println!("Crates that come with it, by default features\n");
    let mut table = Table::new(["", "crates"]);
    for (name, dependency) in COUNTED {
        let directory = write(&format!("counted {name}"), dependency, "");
        let output = cargo(&directory).args(["tree", "--edges", "normal", "--prefix", "none"]).output();
        let output = output.expect("cargo can be run");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let listed = String::from_utf8_lossy(&output.stdout).into_owned();
        let crates: BTreeSet<(&str, &str)> = listed.lines().filter_map(name_and_version).collect();
        // All but the crate that asks, and the one it asks for.
        table.row([name.to_owned(), (crates.len() - 2).to_string()]);
    }
    print!("{table}");
}

fn name_and_version(line: &str) -> Option<(&str, &str)> {
    let mut words = line.split_whitespace();
    words.next().zip(words.next())
}
