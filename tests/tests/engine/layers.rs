//! The layers of the library: each file imports only files of lower layers, and no imports go in a circle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use syn::{Attribute, Item, UseTree, Visibility};

/// The folders of `cache-request/src`, lowest first.
const LAYERS: [&str; 13] = [
    "error",
    "options",
    "base",
    "key",
    "codec",
    "stats",
    "report",
    "store",
    "backend",
    "engine",
    "cache",
    "attribute",
    "http",
];

type Module = Vec<String>;

/// What one file imports, and what it passes on: the name, and where it comes from.
#[derive(Default)]
struct File {
    imports: BTreeSet<Module>,
    reexports: BTreeMap<String, Module>,
}

#[test]
fn imports_go_down_and_never_in_a_circle() {
    let mut files = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../cache-request/src"), &[], &mut files);
    assert!(files.len() > 80, "only {} files found", files.len());
    let imports: BTreeMap<_, BTreeSet<_>> = files
        .iter()
        .map(|(module, file)| (module, file.imports.iter().filter_map(|path| definer(path, &files)).collect()))
        .collect();
    let layer = |module: &Module| LAYERS.iter().position(|layer| module.first().is_none_or(|first| first == layer));
    let mut faults = Vec::new();
    for (module, targets) in &imports {
        let upward = targets.iter().filter(|target| layer(target) > layer(module));
        faults.extend(upward.map(|target| format!("{} imports {}", module.join("::"), target.join("::"))));
        let around = targets.iter().filter(|target| ***target != **module && reaches(target, module, &imports));
        faults.extend(around.map(|target| format!("circle: {} imports {}", module.join("::"), target.join("::"))));
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Reads the modules below a folder, tests and models left out.
fn read(folder: &Path, module: &[String], files: &mut BTreeMap<Module, File>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let own = if ["mod", "lib"].contains(&&*name) {
            module.to_vec()
        } else {
            [module, std::slice::from_ref(&name)].concat()
        };
        if ["tests", "model"].contains(&&*name) {
            continue;
        } else if path.is_dir() {
            read(&path, &own, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = syn::parse_file(&fs::read_to_string(&path).unwrap()).unwrap();
            let file = files.entry(own.clone()).or_default();
            source.items.iter().for_each(|item| collect(item, &own, file));
        }
    }
}

fn collect(item: &Item, module: &Module, file: &mut File) {
    match item {
        Item::Use(item) => flatten(&item.tree, &[], &mut |path, name| {
            let Some(path) = absolute(&path, module) else { return };
            match item.vis {
                Visibility::Inherited => _ = file.imports.insert(path),
                _ => _ = file.reexports.insert(name, path),
            }
        }),
        Item::Mod(inner) if !inner.attrs.iter().any(is_test) => {
            let own = [&module[..], &[inner.ident.to_string()]].concat();
            let items = inner.content.iter().flat_map(|(_, items)| items);
            items.for_each(|item| collect(item, &own, file));
        }
        _ => {}
    }
}

fn is_test(attribute: &Attribute) -> bool {
    attribute.path().is_ident("cfg") && quote::ToTokens::to_token_stream(attribute).to_string().contains("test")
}

/// Calls `found` with each path of a `use`, and the name that it gets.
fn flatten(tree: &UseTree, path: &[String], found: &mut impl FnMut(Module, String)) {
    let with = |name: &dyn ToString| [path, &[name.to_string()]].concat();
    match tree {
        UseTree::Path(tree) => flatten(&tree.tree, &with(&tree.ident), found),
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, path, found)),
        UseTree::Name(name) if name.ident == "self" => found(path.to_vec(), path.last().unwrap().clone()),
        UseTree::Name(name) => found(with(&name.ident), name.ident.to_string()),
        UseTree::Rename(name) => found(with(&name.ident), name.rename.to_string()),
        UseTree::Glob(_) => found(path.to_vec(), "*".to_owned()),
    }
}

/// A path of this crate from its root on.
fn absolute(path: &Module, module: &Module) -> Option<Module> {
    let supers = path.iter().take_while(|step| *step == "super").count();
    match path[0].as_str() {
        "crate" => Some(path[1..].to_vec()),
        "self" => Some([module, &path[1..]].concat()),
        "super" => Some([&module[..module.len() - supers], &path[supers..]].concat()),
        _ => None,
    }
}

/// The file that defines what `path` names.
fn definer<'a>(path: &Module, files: &'a BTreeMap<Module, File>) -> Option<&'a Module> {
    let (known, (module, file)) =
        (0..=path.len()).rev().find_map(|known| Some((known, files.get_key_value(&path[..known])?)))?;
    match path.get(known).and_then(|name| file.reexports.get(name)) {
        Some(further) => definer(&[further, &path[known + 1..]].concat(), files),
        None => Some(module),
    }
}

fn reaches(from: &Module, to: &Module, imports: &BTreeMap<&Module, BTreeSet<&Module>>) -> bool {
    let (mut seen, mut next) = (BTreeSet::from([from]), vec![from]);
    while let Some(module) = next.pop() {
        if module == to {
            return true;
        }
        next.extend(imports[module].iter().filter(|target| seen.insert(target)));
    }
    false
}
