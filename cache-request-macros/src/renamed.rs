//! Finds out whether the user's Cargo.toml renames the library, so that the error says `crate = …`.
//!
//! It reads lines, not TOML. For a manifest that it does not understand it reports nothing, and the compiler's own errors remain.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

/// The name of the dependency in the manifest of the crate that is being compiled, if it is not `cache-request`.
pub(crate) fn dependency() -> Option<String> {
    dependency_of(&PathBuf::from(env::var_os("CARGO_MANIFEST_DIR")?))
}

/// The workspace's manifest is read only if the crate's own neither names the library nor renames it.
fn dependency_of(directory: &Path) -> Option<String> {
    let text = read(directory)?;
    let manifest = Manifest::of(&text);
    if manifest.names_library {
        return None;
    }
    let name = manifest.renamed.first().copied().map(str::to_owned).or_else(|| inherited(&manifest, directory))?;
    Some(name.replace('-', "_"))
}

/// The name of a dependency that takes its package from the workspace.
fn inherited(manifest: &Manifest<'_>, directory: &Path) -> Option<String> {
    let find = |workspace: &Manifest<'_>| {
        let name = manifest.inherited.iter().find(|name| workspace.renamed_in_workspace.contains(name))?;
        Some((*name).to_owned())
    };
    if manifest.inherited.is_empty() {
        None
    } else if manifest.is_workspace {
        find(manifest)
    } else if let Some(root) = &manifest.root {
        find(&Manifest::of(&read(&directory.join(root))?))
    } else {
        let text = directory.ancestors().skip(1).filter_map(read).find(|text| Manifest::of(text).is_workspace)?;
        find(&Manifest::of(&text))
    }
}

fn read(directory: &Path) -> Option<String> {
    fs::read_to_string(directory.join("Cargo.toml")).ok()
}

/// What a manifest says of the library.
#[derive(Default)]
struct Manifest<'a> {
    /// It depends on the library by its own name, or is the library's.
    names_library: bool,
    /// Dependencies that are the library.
    renamed: Vec<&'a str>,
    /// Dependencies that are what `[workspace.dependencies]` says.
    inherited: Vec<&'a str>,
    /// Names for the library in `[workspace.dependencies]`.
    renamed_in_workspace: Vec<&'a str>,
    is_workspace: bool,
    /// `package.workspace`: the directory of the workspace's manifest.
    root: Option<String>,
}

impl<'a> Manifest<'a> {
    fn of(text: &'a str) -> Self {
        let (mut manifest, mut table) = (Self::default(), "");
        for line in text.lines().map(str::trim) {
            if let Some(header) = line.strip_prefix('[') {
                table = header.split('#').next().unwrap_or(header).trim_end().trim_end_matches(']');
                manifest.is_workspace |= table == "workspace" || table.starts_with("workspace.");
                manifest.names_library |= matches!(dependency_in(table), Some((true, "cache-request")));
            } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
                manifest.entry(table, key.trim(), &value.replace([' ', '\t'], "").replace('\'', "\""));
            }
        }
        manifest
    }

    /// `value` has no blanks, and double quotes only.
    fn entry(&mut self, table: &'a str, key: &'a str, value: &str) {
        let text = || value.split('"').nth(1).unwrap_or_default().to_owned();
        match (table, key) {
            ("package", "name") | ("", "package.name") => self.names_library |= text() == "cache-request",
            ("package", "workspace") | ("", "package.workspace") => self.root = Some(text()),
            _ => {}
        }
        // `[dependencies]` with `memo` or `memo.package`, or `[dependencies.memo]` with `package`.
        let (of_crate, name, property) = match (list(table), dependency_in(table)) {
            (Some(of_crate), _) => {
                let (name, property) = key.split_once('.').unwrap_or((key, ""));
                (of_crate, unquoted(name), property)
            }
            (None, Some((of_crate, name))) => (of_crate, name, key),
            (None, None) => return,
        };
        let is_library = match property {
            "" => value.contains("package=\"cache-request\""),
            "package" => value.starts_with("\"cache-request\""),
            _ => false,
        };
        let inherits = match property {
            "" => value.contains("workspace=true"),
            "workspace" => value.starts_with("true"),
            _ => false,
        };
        if !of_crate {
            self.renamed_in_workspace.extend(is_library.then_some(name));
        } else if name == "cache-request" {
            self.names_library = true;
        } else {
            self.renamed.extend(is_library.then_some(name));
            self.inherited.extend(inherits.then_some(name));
        }
    }
}

/// Whether a table lists the crate's own dependencies or, `false`, the workspace's. `None` if it lists neither.
fn list(table: &str) -> Option<bool> {
    match table.strip_suffix("dependencies")? {
        "" | "dev-" | "build-" => Some(true),
        "workspace." => Some(false),
        of_target => {
            let of_target = of_target.strip_suffix("dev-").or(of_target.strip_suffix("build-")).unwrap_or(of_target);
            (of_target.starts_with("target.") && of_target.ends_with('.')).then_some(true)
        }
    }
}

/// The dependency that a table describes, `memo` for `dependencies.memo`, after what [`list`] says of it.
fn dependency_in(table: &str) -> Option<(bool, &str)> {
    let (outer, name) = table.rsplit_once('.')?;
    Some((list(outer)?, unquoted(name)))
}

fn unquoted(name: &str) -> &str {
    name.trim().trim_matches(['"', '\''])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of manifests, removed at the end.
    struct Files(PathBuf);

    impl Files {
        fn new(test: &str, manifests: &[(&str, &str)]) -> Self {
            let files = Self(env::temp_dir().join(format!("cache-request-renamed-{}-{test}", std::process::id())));
            for (directory, manifest) in manifests {
                let directory = files.0.join(directory);
                fs::create_dir_all(&directory).unwrap();
                fs::write(directory.join("Cargo.toml"), manifest).unwrap();
            }
            files
        }

        fn name_in(&self, directory: &str) -> Option<String> {
            dependency_of(&self.0.join(directory))
        }
    }

    impl Drop for Files {
        fn drop(&mut self) {
            fs::remove_dir_all(&self.0).unwrap();
        }
    }

    const WORKSPACE: &str = "[workspace]\nmembers = [\"**\"]\n\n[workspace.dependencies]\nserde = \"1\"\n\
                             to-memo = { package = \"cache-request\", version = \"1\" }";

    #[test]
    fn a_renamed_dependency_is_found() {
        for manifest in [
            "[dependencies]\nmemo = { package = \"cache-request\", version = \"1\" }",
            "[dependencies] # all\nmemo = { package = 'cache-request', version = \"1\" }",
            "[dependencies]\nserde = \"1\"\n\n[dev-dependencies]\nmemo={version=\"1\",package=\"cache-request\"}",
            "[dependencies]\nmemo.version = \"1\"\nmemo.package = \"cache-request\" # renamed",
            "[dependencies.memo]\nversion = \"1\"\npackage = \"cache-request\"",
            "[target.'cfg(unix)'.dependencies.memo]\npackage = \"cache-request\"",
            "[target.'cfg(unix)'.dev-dependencies]\nmemo = { package = \"cache-request\" }",
            "[dependencies]\nmemo = { package = \"cache-request\" }\n[workspace.dependencies]\ncache-request = \"1\"",
        ] {
            let files = Files::new("found", &[("", manifest)]);
            assert_eq!(files.name_in("").as_deref(), Some("memo"), "{manifest}");
        }
        let files = Files::new("found", &[("", "[dependencies]\nto-memo = { package = \"cache-request\" }")]);
        assert_eq!(files.name_in("").as_deref(), Some("to_memo"));
    }

    #[test]
    fn a_dependency_renamed_in_the_workspace_was_not_found() {
        for member in [
            "[dependencies]\nserde.workspace = true\nto-memo = { workspace = true }",
            "[dependencies]\nto-memo.workspace = true",
            "[dependencies.to-memo]\nworkspace = true",
            "[dev-dependencies]\nto-memo = { features = [\"serde\"], workspace = true }",
            "[dev-dependencies.to-memo]\nworkspace = true",
            "[target.'cfg(unix)'.dependencies]\nto-memo.workspace = true",
            "[target.\"cfg(unix)\".dev-dependencies.to-memo]\nworkspace = true",
        ] {
            // Beside the `[workspace]`, below it, and where `package.workspace` leads to it.
            let root = format!("{member}\n\n{WORKSPACE}");
            let elsewhere = format!("[package]\nworkspace = \"../inside\"\n\n{member}");
            let dotted = format!("package.workspace = '../inside'\n\n{member}");
            let files = Files::new(
                "workspace",
                &[
                    ("inside", WORKSPACE),
                    ("inside/crates", "[package]\nname = \"no-root\""),
                    ("inside/crates/member", member),
                    ("elsewhere", &elsewhere),
                    ("dotted", &dotted),
                    ("root", &root),
                    ("other/member", member),
                    ("other", "[workspace.dependencies]\nto-memo = \"1\""),
                    ("alone", member),
                ],
            );
            for directory in ["inside/crates/member", "elsewhere", "dotted", "root"] {
                assert_eq!(files.name_in(directory).as_deref(), Some("to_memo"), "{directory}: {member}");
            }
            for directory in ["other/member", "alone"] {
                assert_eq!(files.name_in(directory), None, "{directory}: {member}");
            }
        }
    }

    #[test]
    fn a_dependency_of_its_own_name_is_none() {
        for manifest in [
            "[package]\nname = \"cache-request\"\n[dependencies]\nto-memo.workspace = true",
            "[dependencies]\ncache-request = \"1\"",
            "[dependencies]\ncache-request.workspace = true\nto-memo.workspace = true",
            "[dependencies.cache-request]\nversion = \"1\"",
            "[target.'cfg(unix)'.dependencies.cache-request]\n[dependencies]\nto-memo.workspace = true",
            "[dependencies]\n# memo = { package = \"cache-request\" }",
            "[dependencies]\ncache-request = \"1\"\n[dev-dependencies]\nmemo = { package = \"cache-request\" }",
            "[dependencies]\nserde = { workspace = true }",
            "[package.metadata.dependencies]\nmemo = { package = \"cache-request\" }",
        ] {
            let files = Files::new("own", &[("", WORKSPACE), ("member", manifest)]);
            assert_eq!(files.name_in("member"), None, "{manifest}");
        }
    }
}
