//! Ten thousand functions in one program: the memory of each that is never called.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The functions are divided among crates, as a compiler needs much memory for one of ten thousand.
const CRATES: usize = 10;
const FUNCTIONS: usize = 1_000;

pub(crate) fn measure() {
    let number = CRATES * FUNCTIONS;
    println!(
        "{number} functions `fn(u64) -> u64` in a program that calls none of them, not optimised: bytes of each\n"
    );
    println!("| | resident | of that, not the file's | in the file |\n| --- | ---: | ---: | ---: |");
    let [with, without] = [("annotated", "#[cache_request::cache_request(timeout = 300)]"), ("plain", "")]
        .map(|(name, attribute)| run(name, attribute));
    let each = |column: usize| (with[column] - without[column]) / number as f64;
    println!("| with the attribute, beyond those without | {:.1} | {:.1} | {:.1} |", each(0), each(1), each(2));
}

/// Builds and runs a program. What is resident, how much of that is not the file's, and the size of its file.
fn run(name: &str, attribute: &str) -> [f64; 3] {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| manifest.join("../../target"), PathBuf::from);
    let directory = target.join("functions").join(name);
    let library = manifest.join("../../cache-request");
    let depends = format!("cache-request = {{ path = '{}' }}\n", library.display());
    let (mut parts, mut arrays) = (String::new(), String::new());
    for part in 0..CRATES {
        let functions: String = (0..FUNCTIONS)
            .map(|number| format!("{attribute}\npub fn f{number}(key: u64) -> u64 {{\n    key + {number}\n}}\n"))
            .collect();
        let names: String = (0..FUNCTIONS).map(|number| format!("f{number}, ")).collect();
        let all = format!("{functions}\npub static ALL: [fn(u64) -> u64; {FUNCTIONS}] = [{names}];\n");
        write(&directory.join(format!("part{part}")), &format!("{name}-part{part}"), &depends, "src/lib.rs", &all);
        parts += &format!("{name}-part{part} = {{ path = 'part{part}' }}\n");
        arrays += &format!("&{name}_part{part}::ALL, ");
    }
    let main = format!("static ALL: [&[fn(u64) -> u64; {FUNCTIONS}]; {CRATES}] = [{arrays}];\n{MAIN}");
    write(&directory, name, &format!("{depends}{parts}\n[workspace]\n"), "src/main.rs", &main);
    fs::copy(manifest.join("../../Cargo.lock"), directory.join("Cargo.lock")).expect("there is a lock file");
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(&directory).args(["build", "--quiet"]).env("CARGO_TARGET_DIR", target.join("functions/target"));
    cargo.env("CARGO_INCREMENTAL", "0").env("CARGO_PROFILE_DEV_DEBUG", "0").env("CARGO_PROFILE_DEV_STRIP", "symbols");
    assert!(cargo.status().expect("cargo can be run").success(), "{} builds", directory.display());
    let program = target.join("functions/target/debug").join(name);
    let output = Command::new(&program).stderr(Stdio::inherit()).output().expect("it can be run");
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let kilobytes: Vec<f64> = printed.split_whitespace().map(|number| number.parse().expect("a number")).collect();
    let file = fs::metadata(&program).expect("it was built").len();
    [kilobytes[0] * 1024.0, kilobytes[1] * 1024.0, file as f64]
}

/// Writes a crate with one source.
fn write(directory: &Path, name: &str, depends: &str, source: &str, text: &str) {
    let manifest =
        format!("[package]\nname = \"{name}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{depends}");
    fs::create_dir_all(directory.join("src")).expect("the target directory can be written");
    fs::write(directory.join("Cargo.toml"), manifest).expect("the target directory can be written");
    fs::write(directory.join(source), text).expect("the target directory can be written");
}

/// Prints the kilobytes that are resident, and how many of them are anonymous.
const MAIN: &str = r#"
fn main() {
    std::hint::black_box(&ALL);
    if std::env::args().count() > 100 {
        println!("{}", ALL.iter().flat_map(|all| all.iter()).map(|function| function(1)).sum::<u64>());
    }
    let status = std::fs::read_to_string("/proc/self/status").expect("it is Linux");
    for name in ["VmRSS:", "RssAnon:"] {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("it says so");
        println!("{}", line.trim().trim_end_matches(" kB"));
    }
}
"#;
