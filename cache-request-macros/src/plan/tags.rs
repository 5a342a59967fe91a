//! The tags of values: which of them the arguments tell, and which the value.

use proc_macro2::{Span, TokenStream};
use quote::quote;
use syn::Attribute;

use super::{bound, no_argument};
use crate::{
    args::{Args, Tag},
    errors::Errors,
    names,
    signature::Signature,
    template::Placeholder,
};

/// What `tags(…)` names.
#[derive(Default)]
pub(crate) struct TagsPlan {
    /// Those that are known before the body runs.
    pub(crate) of_call: Vec<TagPlan>,
    pub(crate) of_value: Vec<TagPlan>,
}

/// One tag: a text with values in it.
pub(crate) struct TagPlan {
    /// The text before each value and after the last one.
    pub(crate) pieces: Vec<String>,
    pub(crate) values: Vec<TokenStream>,
    /// Of the arguments in it.
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) span: Span,
}

/// Whose a placeholder is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Argument,
    Value,
}

/// Finds what the placeholders name.
pub(super) fn join(args: &mut Args, signature: &Signature, errors: &mut Errors) -> TagsPlan {
    let mut plan = TagsPlan::default();
    for Tag { literal, template } in args.tags.take().into_iter().flat_map(|tags| tags.value) {
        let span = literal.span();
        let mut tag = TagPlan { pieces: template.pieces, values: Vec::new(), cfg: Vec::new(), span };
        let mut of = Vec::new();
        for placeholder in &template.placeholders {
            match filled(placeholder, signature, &mut tag) {
                Ok(found) => of.push(found),
                Err(message) => errors.push(syn::Error::new(span, message)),
            }
        }
        match of.first() {
            Some(first) if of.iter().any(|other| other != first) => errors.push(syn::Error::new(
                span,
                "a tag is of arguments, which are known before the body runs, or of the `value` that it makes, and this one is of both; write \
                 two tags",
            )),
            Some(Of::Value) => plan.of_value.push(tag),
            _ => plan.of_call.push(tag),
        }
    }
    plan
}

/// Adds what a placeholder names, or says what is wrong.
fn filled(placeholder: &Placeholder, signature: &Signature, tag: &mut TagPlan) -> Result<Of, String> {
    let Placeholder { root, fields, span, .. } = placeholder;
    let bound = bound(root, signature);
    let (mut root, of) = match (bound, signature.receiver()) {
        (Some(_), _) if root == names::VALUE => {
            return Err("in a tag, `value` is the cached value, and here it is also an argument; rename the argument"
                .to_owned());
        }
        (Some((argument, binding)), _) => {
            tag.cfg.extend(argument.cfg.iter().cloned());
            (binding.ident.clone(), Of::Argument)
        }
        (None, Some(receiver)) if root == "self" => (receiver.self_token.into(), Of::Argument),
        (None, _) if root == names::VALUE => (names::local(names::VALUE), Of::Value),
        (None, _) => {
            let no_argument = no_argument(placeholder, signature);
            return Err(format!("{no_argument}, and `value` is the cached value"));
        }
    };
    // At the literal, as generated code: an error about the value belongs there, and no lint looks at it.
    root.set_span(root.span().located_at(*span));
    tag.values.push(quote!(#root #(.#fields)*));
    Ok(of)
}
