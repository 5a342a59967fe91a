//! The documents: their links lead somewhere, and they are short and plain.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// All documents for people.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let folders = ["", "benches", "cache-request/docs", "cache-request-macros/docs", "examples", "examples/data"];
    let folders = folders.map(|folder| root.join(folder));
    let files = folders.iter().flat_map(|folder| fs::read_dir(folder).unwrap()).map(|file| file.unwrap().path());
    files.filter(|file| file.extension().is_some_and(|extension| extension == "md")).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading_that_are_there() {
    let documents = documents();
    assert!(documents.len() > 15, "only {} documents found", documents.len());
    let mut faults = Vec::new();
    for document in &documents {
        let text = without_code(&fs::read_to_string(document).unwrap());
        for target in targets(&text).iter().filter(|target| !target.contains("://")) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { document.clone() } else { document.parent().unwrap().join(file) };
            let headings = || headings(&fs::read_to_string(&file).unwrap_or_default());
            if !file.exists() || !heading.is_empty() && !headings().contains(heading) {
                faults.push(format!("{}: {target}", document.display()));
            }
        }
        let (used, defined) = (labels(&text), definitions(&text));
        // Where nothing is defined, brackets are brackets.
        let unknown = used.iter().filter(|label| !defined.is_empty() && !defined.contains(*label));
        faults.extend(unknown.map(|label| format!("{}: [{label}] is not defined", document.display())));
        let unused = defined.iter().filter(|label| !used.contains(*label));
        faults.extend(unused.map(|label| format!("{}: [{label}] is not used", document.display())));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_readme_is_read_in_one_sitting() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md")).unwrap();
    let lines = readme.lines().count();
    assert!(lines <= 150, "{lines} lines");
}

#[test]
fn the_table_has_each_argument_of_the_attribute() {
    let macros = Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-request-macros");
    let read = |file: &str| fs::read_to_string(macros.join(file)).unwrap();
    let (table, source) = (read("docs/arguments.md"), read("src/args.rs"));
    let rows: Vec<_> = table.lines().filter_map(|line| line.strip_prefix("| `")).collect();
    let arguments: Vec<_> = source.split("argument!(\"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
    assert!(arguments.len() > 15, "only {} arguments found", arguments.len());
    for argument in arguments {
        let in_rows =
            rows.iter().filter(|row| row.split(|c: char| !c.is_alphanumeric() && c != '_').next() == Some(argument));
        // A key is a template or a function, and a handle may be refused or be an associated function.
        let expected = if matches!(argument, "key" | "handle") { 2 } else { 1 };
        assert_eq!(in_rows.count(), expected, "rows of `{argument}`");
    }
}

#[test]
fn the_one_who_acts_is_named() {
    let comments = |path: PathBuf| {
        let text = fs::read_to_string(&path).unwrap();
        let is_source = path.extension().is_some_and(|extension| extension == "rs");
        let lines = text.lines().filter(|line| !is_source || line.trim_start().starts_with("//"));
        (path, lines.collect::<Vec<_>>().join("\n").to_lowercase())
    };
    for (path, text) in documents().into_iter().chain(sources()).map(comments) {
        for word in ["nobody", "whoever", "somebody", "nought"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// Eleven tests did not run for a while: no file declared their modules.
#[test]
fn every_file_of_tests_is_declared_as_a_module() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").canonicalize().unwrap();
    let tests: Vec<_> = sources().into_iter().filter(|path| path.starts_with(&root)).collect();
    assert!(tests.len() > 100, "only {} files found", tests.len());
    for path in tests {
        let folder = path.parent().unwrap();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // Programs of their own, files that the compiler is to refuse, and a module that several programs name by its path.
        let is_apart = name == "main" || folder == root || folder.starts_with(root.join("ui"));
        if is_apart || folder.ends_with("support") {
            continue;
        }
        let (name, folder) = match name {
            "mod" => (folder.file_name().unwrap().to_str().unwrap(), folder.parent().unwrap()),
            name => (name, folder),
        };
        let declares = |file: PathBuf| {
            let declaration = format!("mod {name};");
            fs::read_to_string(file).is_ok_and(|text| {
                text.lines().any(|line| line.ends_with(&declaration) && !line.trim_start().starts_with("//"))
            })
        };
        let parents = [folder.join("main.rs"), folder.join("mod.rs"), folder.with_extension("rs")];
        assert!(parents.into_iter().any(declares), "{} is no module", path.display());
    }
}

/// All sources of the workspace.
fn sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap();
    let mut folders: Vec<_> = ["benches", "cache-request", "cache-request-macros", "examples", "fuzz", "tests"]
        .map(|folder| root.join(folder))
        .into();
    let mut sources = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() && !entry.ends_with("target") {
                folders.push(entry);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                sources.push(entry);
            }
        }
    }
    sources
}

/// The text without blocks and pieces of code, in which brackets are no links.
fn without_code(text: &str) -> String {
    let prose = text.split("```").step_by(2).collect::<String>();
    // A label may be a piece of code as a whole: its backticks stay.
    let mut pieces = prose.split('`').map(str::to_owned).collect::<Vec<_>>();
    for code in pieces.iter_mut().skip(1).step_by(2) {
        *code = code.replace(['[', ']'], " ");
    }
    pieces.join("`")
}

/// Where inline links and definitions lead.
fn targets(text: &str) -> BTreeSet<String> {
    let inline = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target.to_owned());
    let defined = text.lines().filter_map(definition).map(|(_, target)| target.to_owned());
    inline.chain(defined).collect()
}

fn definition(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix('[')?.split_once("]: ")
}

fn definitions(text: &str) -> BTreeSet<String> {
    text.lines().filter_map(definition).map(|(label, _)| label.to_lowercase()).collect()
}

/// The labels that links refer to: `[label]` and `[text][label]`, not `[text](target)`.
fn labels(text: &str) -> BTreeSet<String> {
    let prose: Vec<_> = text.lines().filter(|line| definition(line).is_none()).collect();
    let prose = prose.join(" ");
    let mut labels = BTreeSet::new();
    let mut rest = &prose[..];
    while let Some((before, inside)) = rest.split_once('[') {
        let Some((label, after)) = inside.split_once(']') else { break };
        let is_attribute = before.ends_with('#') || before.ends_with("#!");
        if !is_attribute && !after.starts_with('(') && !after.starts_with('[') {
            labels.insert(label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        }
        rest = after;
    }
    labels
}

/// Headings, as GitHub and rustdoc turn them into fragments.
fn headings(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let slug = |heading: &str| {
        let kept = heading.chars().filter(|character| character.is_alphanumeric() || " -_".contains(*character));
        kept.collect::<String>().to_lowercase().replace(' ', "-")
    };
    headings.map(slug).collect()
}
