//! The tags of values.

use proc_macro2::{Ident, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};

use super::{key::destructured, private};
use crate::{
    names,
    plan::{Plan, TagPlan},
};

/// The list that tags are added to.
fn list() -> Ident {
    names::local("tags")
}

/// The statement that makes the tags that are known before the body runs.
///
/// ```text
/// // input
/// tags("article:{id}", "news")
///
/// // output
/// let tags = TagList::of(|tags| { tags.add(format_args!("article:{}", id)); tags.add(format_args!("news")); });
/// ```
pub(super) fn of_call(plan: &Plan) -> Option<TokenStream> {
    let added = added_before(plan)?;
    let (private, tags_) = (private(plan), list());
    Some(quote!(let #tags_ = #private::TagList::of(|#tags_| { #added });))
}

/// What the policy of one call is told of them.
pub(super) fn of_call_in_policy(plan: &Plan) -> Option<TokenStream> {
    let tags_ = list();
    (!plan.tags.of_call.is_empty()).then(|| quote!(.tags(#tags_)))
}

/// The closure that adds these tags of one element of a list.
pub(super) fn of_element(plan: &Plan, element: &Ident) -> TokenStream {
    match added_before(plan) {
        None => quote!(|_, _| {}),
        Some(added) => {
            let tags_ = list();
            // An element may be in no tag.
            quote!(|#[allow(unused_variables)] #element, #tags_| { #added })
        }
    }
}

/// What the policy is told of all calls.
///
/// ```text
/// .tags_of_value(|value, tags| {
///     if let Some(value) = Tagged::of(value).inside().and_then(|value| Tagged::of(value).inside()) {
///         tags.add(format_args!("author:{}", value.author_id));
///     }
/// }).inherit_tags(false)
/// ```
///
/// A value may be an `Option` in a `Result`.
pub(super) fn in_policy(plan: &Plan) -> TokenStream {
    let of_value = (!plan.tags.of_value.is_empty()).then(|| {
        let (private, tags_, value_) = (private(plan), list(), names::local(names::VALUE));
        let added = added(&plan.tags.of_value);
        let inside = quote!(#private::Tagged::of(#value_).__cache_request_inside());
        quote! {
            .tags_of_value(|#value_, #tags_| {
                if let ::core::option::Option::Some(#value_) = #inside.and_then(|#value_| #inside) { #added }
            })
        }
    });
    let inherits = plan.args.inherit_tags.as_ref().filter(|inherits| !inherits.value);
    let inherits = inherits.map(|_| quote!(.inherit_tags(false)));
    let block = plan.each.as_ref().map_or(&plan.signature, |each| &each.whole).function.block.to_token_stream();
    let names = mentions_tag(block).then(|| quote!(.may_name_tags()));
    quote!(#of_value #inherits #names)
}

/// Whether a body mentions `tag`, and so may name tags. What it has to know for that is read before it begins.
fn mentions_tag(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "tag",
        TokenTree::Group(group) => mentions_tag(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The statements that add the tags that are known before the body runs, if there are any.
fn added_before(plan: &Plan) -> Option<TokenStream> {
    let tags = &plan.tags.of_call;
    if tags.is_empty() {
        return None;
    }
    let destructured = tags.iter().any(|tag| !tag.values.is_empty()).then(|| destructured(plan));
    let added = added(tags);
    Some(quote!(#destructured #added))
}

fn added(tags: &[TagPlan]) -> TokenStream {
    let tags_ = list();
    let added = tags.iter().map(|TagPlan { pieces, values, cfg, span }| {
        let place = Span::mixed_site().located_at(*span);
        // A brace in a format is written twice.
        let pieces: Vec<_> = pieces.iter().map(|piece| piece.replace('{', "{{").replace('}', "}}")).collect();
        let mut format = Literal::string(&pieces.join("{}"));
        format.set_span(place);
        quote_spanned!(place=> #(#cfg)* #tags_.add(::core::format_args!(#format #(, #values)*));)
    });
    added.collect()
}
