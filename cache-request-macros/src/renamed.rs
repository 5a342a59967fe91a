//! Finds out that the user's Cargo.toml gives the library another name, to say `crate = …` instead of unresolved paths.

use std::{env, fs, path::Path};

/// The name of the dependency in the manifest of the crate that is being compiled, if it is not `cache-request`.
///
/// It reads lines, and no TOML: of a manifest that it does not understand it says nothing, and the compiler's own errors remain.
pub(crate) fn dependency() -> Option<String> {
    let directory = env::var_os("CARGO_MANIFEST_DIR")?;
    name_in(&fs::read_to_string(Path::new(&directory).join("Cargo.toml")).ok()?)
}

fn name_in(manifest: &str) -> Option<String> {
    let (mut table, mut renamed) = ("", None);
    for line in manifest.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_end_matches(']');
            if last(table) == "cache-request" && table.contains("dependencies.") {
                return None;
            }
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        let (key, value) = (key.trim().trim_matches('"'), value.replace(' ', ""));
        let in_list = table.ends_with("dependencies");
        if in_list && key.split('.').next() == Some("cache-request") {
            return None;
        }
        if in_list && value.contains("package=\"cache-request\"") {
            renamed = Some(key.to_owned());
        } else if table.contains("dependencies.") && key == "package" && value == "\"cache-request\"" {
            renamed = Some(last(table).to_owned());
        }
    }
    renamed.map(|name| name.replace('-', "_"))
}

fn last(table: &str) -> &str {
    table.rsplit('.').next().unwrap_or(table).trim_matches('"')
}

#[cfg(test)]
mod tests {
    use super::name_in;

    #[test]
    fn a_renamed_dependency_is_found() {
        for manifest in [
            "[dependencies]\nmemo = { package = \"cache-request\", version = \"1\" }",
            "[dependencies]\nserde = \"1\"\n\n[dev-dependencies]\nmemo={version=\"1\",package=\"cache-request\"}",
            "[dependencies.memo]\nversion = \"1\"\npackage = \"cache-request\"",
            "[target.'cfg(unix)'.dependencies.memo]\npackage = \"cache-request\"",
        ] {
            assert_eq!(name_in(manifest).as_deref(), Some("memo"), "{manifest}");
        }
        assert_eq!(name_in("[dependencies]\nto-memo = { package = \"cache-request\" }").as_deref(), Some("to_memo"));
    }

    #[test]
    fn a_dependency_of_its_own_name_is_none() {
        for manifest in [
            "[package]\nname = \"cache-request\"",
            "[dependencies]\ncache-request = \"1\"",
            "[dependencies]\ncache-request.workspace = true",
            "[dependencies.cache-request]\nversion = \"1\"",
            "[dependencies]\n# memo = { package = \"cache-request\" }",
            "[dependencies]\ncache-request = \"1\"\n[dev-dependencies]\nmemo = { package = \"cache-request\" }",
            "[dependencies]\nmemo = { workspace = true }",
        ] {
            assert_eq!(name_in(manifest), None, "{manifest}");
        }
    }
}
