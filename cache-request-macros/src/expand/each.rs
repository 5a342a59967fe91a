//! A function over a list, of which each element is a key.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};

use super::{
    companion_path,
    handle::{policy_of, site},
    hidden_name, inputs,
    key::fill,
    lints, place, private, private_at, tags,
};
use crate::{
    names,
    plan::{EachPlan, Plan},
    signature::{self, Kind, Signature},
    types::{self, List},
};

/// The name of the function that is the annotated one itself.
fn name(signature: &Signature) -> Ident {
    let name = &signature.function.sig.ident;
    format_ident!("{}", names::each(name), span = name.span())
}

/// The annotated function: a call for the whole list.
///
/// ```text
/// // input
/// pub async fn f(db: &Db, name: String, ids: &[u64]) -> R { body }
///
/// // output
/// pub async fn f(db: &Db, name: String, ids: &[u64]) -> R {
///     EachCall::new(site, Instance::of(&__f_cache_body), policy).answer(
///         &ids[..],
///         |ids| { key; key },
///         |ids, tags| { tags.add(…); },
///         { let name = &name; move |part| { let name = again(name); async move {
///             let list = part.as_deref().unwrap_or(ids); __f_cache_each(db, name, list).await
///         } } },
///     ).await
/// }
/// ```
pub(super) fn caller(plan: &Plan, each: &EachPlan) -> TokenStream {
    let Signature { function, kind, .. } = &each.whole;
    let private = private(plan);
    let hidden = companion_path(&plan.signature, &hidden_name(&plan.signature));
    let site = site(plan);
    let place = place(&each.whole);
    let (placed, answer) = (private_at(plan, place), &each.whole.answer);
    let policy = policy_of(plan, &quote_spanned!(place=> #placed::values_policy::<#answer>()));
    let (list, element) = (&each.whole.arguments[each.list].name, &plan.signature.arguments[each.list].name);
    let key_ = names::local("key");
    let fill = fill(plan, &key_);
    let run = run(plan, each);
    let call = quote!(#private::EachCall::new(#site, #private::Instance::of(&#hidden), #policy));
    let key = quote! {
        |#element| {
            let mut #key_ = #private::Key::new();
            #fill
            #key_
        }
    };
    let tag = tags::of_element(plan, element);
    let polled = quote!(#call.answer(&#list[..], #key, #tag, #run).await);
    let body = match kind {
        Kind::Plain => quote!(#call.answer_here(&#list[..], #key, #tag, #run)),
        Kind::Async => polled,
        Kind::Future => quote!(async move { #polled }),
        Kind::BoxedFuture => quote!(::std::boxed::Box::pin(async move { #polled })),
    };
    let attrs = function.attrs.iter().filter_map(|attribute| {
        // An expectation holds for the body, which stands elsewhere now.
        if attribute.path().is_ident("expect") {
            signature::carried(attribute)
        } else {
            Some(signature::outer(attribute))
        }
    });
    let vis = &function.vis;
    let mut sig = function.sig.clone();
    sig.inputs = inputs(&each.whole, false);
    quote! {
        #(#attrs)*
        #[allow(clippy::needless_pass_by_value, clippy::ptr_arg, clippy::used_underscore_binding)]
        #vis #sig { #body }
    }
}

/// The closure that begins the body for a part of the list, or for all of it.
fn run(plan: &Plan, each: &EachPlan) -> TokenStream {
    let Signature { kind, arguments, .. } = &each.whole;
    let private = private(plan);
    let [part_, list_, this_] = ["part", "list", "this"].map(names::local);
    let list = &arguments[each.list].name;
    let receiver = each.whole.receiver().map(|receiver| (receiver.self_token, types::is_reference_to_self(receiver)));
    let owned =
        arguments.iter().enumerate().filter(|(at, argument)| *at != each.list && !types::is_reference(&argument.ty));
    let owned: Vec<_> = owned.map(|(_, argument)| (&argument.cfg, &argument.name)).collect();
    let lent = owned.iter().map(|(cfg, name)| quote!(#(#cfg)* let #name = &#name;));
    let lent_receiver =
        receiver.filter(|(_, is_reference)| !is_reference).map(|(this, _)| quote!(let #this_ = &#this;));
    let lent_list = (each.takes == List::Owned).then(|| quote!(let #list = &#list;));
    let again = owned.iter().map(|(cfg, name)| {
        let again = Ident::new("again", name.span());
        quote!(#(#cfg)* let #name = #private::#again(#name);)
    });
    let again_receiver = lent_receiver.as_ref().map(|_| quote!(let #this_ = #private::again(#this_);));
    let (before, inside) = match each.takes {
        List::Slice => (None, Some(quote!(let #list_ = #part_.as_deref().unwrap_or(#list);))),
        List::Reference => (None, Some(quote!(let #list_ = #part_.as_ref().unwrap_or(#list);))),
        List::Owned => (Some(quote!(let #list_ = #part_.unwrap_or_else(|| ::core::clone::Clone::clone(#list));)), None),
    };
    let this = receiver.map(|(this, is_reference)| if is_reference { this.to_token_stream() } else { quote!(#this_) });
    let call = call(each, this, &quote!(#list_));
    let body = match kind {
        Kind::Plain => quote!(#inside #call),
        _ => quote!(async move { #inside #call.await }),
    };
    quote! {
        {
            #lent_receiver
            #lent_list
            #(#lent)*
            move |#part_: ::core::option::Option<::std::vec::Vec<_>>| {
                #again_receiver
                #(#again)*
                #before
                #body
            }
        }
    }
}

/// A call of the function that is the annotated one itself.
fn call(each: &EachPlan, this: Option<TokenStream>, list: &TokenStream) -> TokenStream {
    let path = companion_path(&each.whole, &name(&each.whole));
    let arguments = each.whole.arguments.iter().enumerate().map(|(at, argument)| {
        let (cfg, name) = (&argument.cfg, &argument.name);
        if at == each.list { quote!(#(#cfg)* #list) } else { quote!(#(#cfg)* #name) }
    });
    let arguments = this.into_iter().chain(arguments);
    quote!(#path (#(#arguments),*))
}

/// The body of a companion's handle, after it has mentioned its arguments: the function for a list of one element.
pub(super) fn one(plan: &Plan, each: &EachPlan, captured: &TokenStream) -> TokenStream {
    let private = private(plan);
    let [list_, answer_] = ["list", "answer"].map(names::local);
    let element = &plan.signature.arguments[each.list].name;
    let list = if each.takes == List::Owned { quote!(#list_) } else { quote!(&#list_) };
    let this = each.whole.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let call = call(each, this, &list);
    let before = quote!(#captured let #list_ = #private::list_of(&#element););
    let after = quote!(#private::EachAnswerOf::one(#answer_, &#element));
    match each.whole.kind {
        Kind::Plain => quote!(move || { #before let #answer_ = #call; #after }),
        _ => quote!(async move { #before let #answer_ = #call.await; #after }),
    }
}

/// The annotated function itself, under a name of its own.
pub(super) fn function(each: &EachPlan) -> TokenStream {
    let function = &each.whole.function;
    let mut sig = function.sig.clone();
    sig.ident = name(&each.whole);
    let block = &function.block;
    let lints = lints();
    let carried = function.attrs.iter().filter_map(signature::carried);
    quote! {
        #[doc(hidden)]
        #lints
        #[allow(clippy::needless_pass_by_value, clippy::ptr_arg)]
        #(#carried)*
        #sig #block
    }
}

/// What is cached of one element.
pub(super) fn answer_policy(plan: &Plan, each: &EachPlan) -> TokenStream {
    let place = place(&each.whole);
    let (placed, answer) = (private_at(plan, place), &each.whole.answer);
    quote_spanned!(place=> #placed::element_policy::<#answer>())
}

/// The statements that make the key of one element, where that is an argument.
pub(super) fn lent(plan: &Plan, fill: TokenStream) -> TokenStream {
    let Some(each) = &plan.each else { return fill };
    let element = &plan.signature.arguments[each.list].name;
    quote!({ let #element = &#element; #fill })
}
