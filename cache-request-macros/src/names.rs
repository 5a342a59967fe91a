//! Names in messages and keys.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;

/// The cached value, where a tag names it.
pub(crate) const VALUE: &str = "value";

/// The identifier without its `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The name of a function's companion: `type_cache` of `type_`, as a name with two underscores inside is not snake case.
pub(crate) fn companion(function: &Ident) -> String {
    let name = plain(function);
    let stem = name.trim_end_matches('_');
    format!("{}_cache", if stem.is_empty() { &name } else { stem })
}

/// The name of the hidden function that holds a function's body. No companion has it, as theirs end in `_cache`: that of `__f`
/// is `__f_cache`. The library replaces it in the compiler's names of functions, so the two must agree.
pub(crate) fn hidden(function: &Ident) -> String {
    format!("__{}_body", companion(function))
}

/// The name of the hidden function that begins a body in the background.
pub(crate) fn replacing(function: &Ident) -> String {
    format!("__{}_replace", companion(function))
}

/// The name of the hidden function that is the annotated one itself, where that is called for parts of a list.
pub(crate) fn each(function: &Ident) -> String {
    format!("__{}_each", companion(function))
}

/// A local variable of the expansion. Hygiene hides it from the user's code. But `let` cannot shadow a unit struct or a constant, so it has
/// a name that no item has.
pub(crate) fn local(name: &str) -> Ident {
    Ident::new(&format!("__cache_request_{name}"), Span::mixed_site())
}

/// "`a`, `b` and `c`".
pub(crate) fn list<'a>(names: impl IntoIterator<Item = &'a str>) -> String {
    let names: Vec<_> = names.into_iter().map(|name| format!("`{name}`")).collect();
    match names.split_last() {
        None => "nothing".to_owned(),
        Some((only, [])) => only.clone(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
    }
}

/// The known name that was probably meant.
pub(crate) fn closest<'a>(wrong: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // A third of the letters may differ: more than that is another word.
    let allowed = (wrong.chars().count() / 3).max(1);
    known
        .into_iter()
        .map(|name| (distance(wrong, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// How many letters must be added, dropped or changed (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    // One row of the table of distances between the beginnings of both.
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (dropped, letter) in from.chars().enumerate() {
        let mut diagonal = dropped;
        let mut left = dropped + 1;
        for (index, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[index + 1];
            row[index] = left;
            left = changed.min(diagonal + 1).min(left + 1);
        }
        row[to.len()] = left;
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (from, to, expected) in
            [("", "abc", 3), ("abc", "", 3), ("timout", "timeout", 1), ("kitten", "sitting", 3), ("vary", "vary", 0)]
        {
            assert_eq!(distance(from, to), expected, "{from} -> {to}");
        }
    }

    #[test]
    fn only_near_names_are_suggested() {
        assert_eq!(closest("timout", ["timeout", "timeout_with"]), Some("timeout"));
        assert_eq!(closest("labels", ["timeout", "vary"]), None);
    }
}
