//! The statements that make the key of one call.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Type, spanned::Spanned};

use super::{located_at, place, private, private_at};
use crate::{
    args::FieldKind,
    pattern,
    plan::{KeyPlan, Origin, Part, Plan},
    signature::Argument,
    types,
};

/// ```text
/// // input
/// fn f(id: u32, (x, mut y): (String, String))
///
/// // output
/// { let key = &mut Key::begin(&mut key); let (x, y) = &__arg1; part of &id; part of x; part of y; }
/// Key::finish(&mut key);
///
/// // output with `vary(lang = lang())`, which may panic
/// Key::fill(&mut key, |key| { …; part of &(lang()); });
/// ```
///
/// How a part enters the key depends on its type, so the library chooses: see `attribute/part` there.
pub(super) fn fill(plan: &Plan, key: &Ident) -> TokenStream {
    let private = private_at(plan, place(&plan.signature));
    let destructured = destructured(plan);
    let added: TokenStream = match &plan.key {
        KeyPlan::Parts { parts, .. } => parts.iter().map(|part| add(plan, key, part)).collect(),
        KeyPlan::Function { function, references } => {
            // With parts of two spans, the compiler would make wrong suggestions.
            let references = references
                .iter()
                .map(|Part { value, cfg, .. }| (cfg, located_at(value.clone(), function.span())))
                .map(|(cfg, value)| quote!(#(#cfg)* #value));
            let own = quote_spanned!(function.span()=> .own((#function)(#(#references),*)));
            // The function may be a closure.
            quote!(#[allow(clippy::redundant_closure_call)] #key #own;)
        }
    };
    let levels = matches!(plan.key, KeyPlan::Parts { .. }).then(|| {
        let private = self::private(plan);
        quote!(#[allow(unused_imports)] use #private::key_parts::*;)
    });
    if runs_code(&plan.key) {
        return quote!(#private::Key::fill(&mut #key, |#key| { #levels #destructured #added }););
    }
    // A key without parts does not use its builder.
    let filled = match added.is_empty() {
        true => quote!(#private::Key::begin(&mut #key);),
        false => quote!({ let #key = &mut #private::Key::begin(&mut #key); #levels #destructured #added }),
    };
    quote!(#filled #private::Key::finish(&mut #key);)
}

/// The names in the arguments' patterns, as references.
pub(super) fn destructured(plan: &Plan) -> TokenStream {
    let destructured = plan.signature.arguments.iter().filter_map(|argument| {
        let pattern = pattern::by_reference(argument.pattern.as_ref().filter(|_| !argument.bindings.is_empty())?);
        let (cfg, name) = (&argument.cfg, &argument.name);
        Some(quote!(#(#cfg)* #[allow(unused_variables)] let #pattern = &#name;))
    });
    destructured.collect()
}

/// Whether a key runs the user's code besides the `Serialize` of its parts.
fn runs_code(key: &KeyPlan) -> bool {
    match key {
        KeyPlan::Parts { parts, .. } => parts.iter().any(|part| matches!(part.origin, Origin::Named)),
        KeyPlan::Function { .. } => true,
    }
}

/// The statement that adds a part.
fn add(plan: &Plan, key: &Ident, part: &Part) -> TokenStream {
    let Part { name, value, origin, span, cfg } = part;
    let private = private_at(plan, *span);
    let added = match origin {
        Origin::Argument(ty) if has_fields(plan) && cfg.is_empty() && types::tuple(ty).is_none() => {
            let before = headers(plan, *span, |argument| argument.bindings.iter().all(|binding| binding.name != *name));
            let besides = quote_spanned!(*span=> (&&#private::HeadersIn::of(#value)).__cache_request_besides());
            let rest = quote_spanned!(*span=> #before.rest_or(#besides, #value).__cache_request_rest());
            add_value(plan, key, &rest, *span, true)
        }
        Origin::Argument(ty) => add_argument(plan, key, ty, value, *span),
        Origin::Binding(argument) => {
            let value = quote_spanned!(*span=> (&&#private::Argument::of(&#argument)).__cache_request_binding(#value));
            add_value(plan, key, &value, *span, true)
        }
        Origin::Named => add_value(plan, key, value, *span, false),
        Origin::Field(kind) => {
            let headers = headers(plan, *span, |_| true);
            let add = match kind {
                FieldKind::Header => quote_spanned!(*span=> add_header),
                FieldKind::Cookie => quote_spanned!(*span=> add_cookie),
            };
            quote_spanned!(*span=> #private::#add(#headers, #value, #key))
        }
    };
    quote!(#(#cfg)* #added;)
}

/// Whether fields of a request are parts. Of the first argument that has them, the type says what else is.
fn has_fields(plan: &Plan) -> bool {
    matches!(&plan.key, KeyPlan::Parts { parts, .. } if parts.iter().any(|part| matches!(part.origin, Origin::Field(_))))
}

/// The names of the header fields of the request that are parts, in lower case.
pub(super) fn fields(plan: &Plan) -> Vec<TokenStream> {
    let KeyPlan::Parts { parts, .. } = &plan.key else { return Vec::new() };
    let fields = parts.iter().filter_map(|part| match &part.origin {
        Origin::Field(FieldKind::Header) => Some(part.value.clone()),
        Origin::Field(FieldKind::Cookie) => Some(quote!("cookie")),
        _ => None,
    });
    fields.collect()
}

/// The header fields of the first argument that has them, of those at the beginning that are `among`.
fn headers(plan: &Plan, span: Span, among: impl Fn(&Argument) -> bool) -> TokenStream {
    let private = private_at(plan, span);
    let none = quote_spanned!(span=> #private::NoHeaders);
    let arguments = plan.signature.arguments.iter().take_while(|argument| among(argument));
    arguments.filter(|argument| argument.cfg.is_empty()).fold(none, |found, argument| {
        let name = &argument.name;
        let reference = if types::is_reference(&argument.ty) { quote!(#name) } else { quote!(&#name) };
        quote_spanned!(span=> #found.or((&&#private::HeadersIn::of(#reference)).__cache_request_headers()))
    })
}

/// Each element of a tuple is a part, as each may be an array.
fn add_argument(plan: &Plan, key: &Ident, ty: &Type, value: &TokenStream, span: Span) -> TokenStream {
    let Some(elements) = types::tuple(ty) else { return add_value(plan, key, value, span, true) };
    // With the argument's span, but as generated code, so that no lint looks at it.
    let place = Span::mixed_site().located_at(span);
    let elements = elements.enumerate().map(|(index, ty)| {
        let index = syn::Index { index: index as u32, span };
        add_argument(plan, key, ty, &quote_spanned!(place=> &(#value).#index), span)
    });
    quote_spanned!(place=> #key.sequence(|#key| { #(#elements;)* }))
}

/// The type of an argument decides whether it is left out. One that the attribute names never is.
fn add_value(plan: &Plan, key: &Ident, value: &TokenStream, span: Span, may_be_left_out: bool) -> TokenStream {
    let private = private_at(plan, span);
    let level = if may_be_left_out { quote_spanned!(span=> Part) } else { quote_spanned!(span=> Named) };
    quote_spanned!(span=> #private::#level::of(#value).__cache_request_part(#key))
}
