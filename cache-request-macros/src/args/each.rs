//! `each(…)` and `share = "…"`: lists whose elements are keys, and functions that share their entries.

use proc_macro2::{Ident, TokenStream};
use syn::{Token, ext::IdentExt, parenthesized, parse::ParseStream};

use super::{
    Args, HandleArg, Name,
    contradictions::{name_of, name_of_set},
};
use crate::{errors::Errors, names};

/// `each(ids)` or `each(ids as id)`
pub(crate) struct Each {
    /// The list.
    pub(crate) list: Ident,
    /// What an element of it is called, if not as the list.
    pub(crate) element: Option<Ident>,
}

/// Parses what is in the parentheses.
pub(super) fn each(input: ParseStream<'_>) -> syn::Result<Each> {
    let inside;
    let parentheses = parenthesized!(inside in input);
    let expected =
        "expected the name of the list, such as `each(ids)`, or `each(ids as id)` with a name for its elements";
    if inside.is_empty() {
        return Err(syn::Error::new(parentheses.span.join(), expected));
    }
    let ident = || inside.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), expected));
    let list = ident()?;
    let element = match inside.parse::<Option<Token![as]>>()? {
        Some(_) => Some(ident()?),
        None => None,
    };
    if inside.is_empty() {
        return Ok(Each { list, element });
    }
    let error = inside.error(expected);
    // Or else the rest would be an error of its own.
    inside.parse::<TokenStream>()?;
    Err(error)
}

/// Arguments that do not go with `each` or `share`.
pub(super) fn contradictions(args: &Args, errors: &mut Errors) {
    let replaced = [
        name_of(&args.stale),
        name_of(&args.early),
        name_of(&args.stale_if_error),
        name_of(&args.stale_after),
        name_of(&args.retry),
        name_of_set(&args.foreground),
    ];
    if args.each.is_some() {
        refuse(&replaced, errors, |name| {
            format!(
                "with `each`, a value is not returned beyond its timeout, and not replaced before, so `{name}` does not go with it; remove one of them"
            )
        });
        let of_errors = [name_of_set(&args.cache_err), name_of(&args.timeout_err), name_of_set(&args.share_err)];
        refuse(&of_errors, errors, |name| {
            format!(
                "with `each`, an `Err` is of a part of the list, and of no element, so it is neither kept nor shared; remove `{name}`"
            )
        });
        refuse(&[name_of_set(&args.detach)], errors, |_| {
            "with `each`, a body ends with its call, so `detach` does not go with it; remove one of them".to_owned()
        });
        refuse(&[name_of(&args.status)], errors, |_| {
            "with `each`, an answer has a value for each element, and `status` is about responses; remove `status`"
                .to_owned()
        });
        let no_handle = args.handle.as_ref().filter(|handle| handle.value == HandleArg::No);
        refuse(&[no_handle.map(|handle| handle.name.clone())], errors, |_| {
            "with `each`, the function needs its companion, as its body stands beside that; remove `handle = false`"
                .to_owned()
        });
    }
    if args.share.is_some() {
        refuse(&replaced, errors, |name| {
            format!(
                "values that functions share are not returned beyond their timeout, so `{name}` does not go with `share`; remove one of them"
            )
        });
        refuse(&[name_of(&args.name)], errors, |_| {
            "`share` names the entries of all functions that share them, so `name` adds nothing to it; remove `name`"
                .to_owned()
        });
        refuse(&[name_of(&args.key)], errors, |_| {
            "functions that share entries find them by their arguments, and what two keys of their own mean is not known; remove `key`"
                .to_owned()
        });
    }
}

fn refuse(given: &[Option<Name>], errors: &mut Errors, message: impl Fn(&str) -> String) {
    for name in given.iter().flatten() {
        errors.at(&name.ident, message(&names::plain(&name.ident)));
    }
}
