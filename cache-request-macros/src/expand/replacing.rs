//! The function that begins a body in the background, and its calls.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};

use super::{
    call_path_of, companion_path,
    handle::{answer_policy, nameable, prepared_names},
    lints, private,
};
use crate::{
    names,
    owned::{self, OwnedArgument},
    plan::{Plan, Replacement},
    signature::{self, Kind, Signature},
};

/// The name of the receiver where it is owned.
fn this() -> Ident {
    names::local("this")
}

fn name(signature: &Signature) -> Ident {
    let name = &signature.function.sig.ident;
    format_ident!("{}", names::replacing(name), span = name.span())
}

/// All arguments with their names and their `#[cfg]`, the receiver first.
fn arguments(plan: &Plan) -> Vec<(TokenStream, Ident, OwnedArgument)> {
    let private = private(plan);
    let receiver = owned::receiver(&plan.signature, &this(), &private).map(|owned| (TokenStream::new(), this(), owned));
    let arguments = plan.signature.arguments.iter().map(|argument| {
        let cfg = &argument.cfg;
        (quote!(#(#cfg)*), argument.name.clone(), owned::argument(&argument.name, &argument.ty, &private))
    });
    receiver.into_iter().chain(arguments).collect()
}

/// The name of an argument that is owned before the call takes it.
fn spare(name: &Ident) -> Ident {
    names::local(&format!("spare_{}", names::plain(name)))
}

/// Begins the body in the background, for a call that has its arguments.
///
/// ```text
/// policy.begin(site, Instance::of(&__f_cache_body), || __f_cache_replace::<T>(Ownable::own(a), Spare::spare(&b), site, key));
/// ```
pub(super) fn begin(plan: &Plan) -> Option<TokenStream> {
    let arguments = arguments(plan).into_iter().map(|(cfg, _, OwnedArgument { own, .. })| quote!(#cfg #own));
    let [site_, key_] = prepared_names();
    let path = companion_path(&plan.signature, &name(&plan.signature));
    guarded(plan, "begin", &quote!(|| #path(#(#arguments,)* #site_, #key_)))
}

/// What begins the body in the background, as a closure: it owns what the call is about to take. `None` if a `Clone` panics.
///
/// ```text
/// policy.own(site, Instance::of(&__f_cache_body), || {
///     let spare_b = Spare::spare(&b);
///     let replacing_key = Clone::clone(&key);
///     move || __f_cache_replace::<T>(Ownable::own(a), spare_b, site, replacing_key)
/// })
/// ```
pub(super) fn later(plan: &Plan) -> Option<TokenStream> {
    let [site_, key_] = prepared_names();
    // No spare argument has its name.
    let replacing_key_ = names::local("replacing_key");
    let arguments = arguments(plan);
    let spares =
        arguments.iter().filter(|(_, _, owned)| owned.is_moved).map(|(cfg, name, OwnedArgument { own, .. })| {
            let spare = spare(name);
            quote!(#cfg let #spare = #own;)
        });
    let owned = arguments.iter().map(|(cfg, name, OwnedArgument { own, is_moved, .. })| {
        let spare = spare(name);
        if *is_moved { quote!(#cfg #spare) } else { quote!(#cfg #own) }
    });
    let path = companion_path(&plan.signature, &name(&plan.signature));
    let begin = quote! {
        || {
            #(#spares)*
            let #replacing_key_ = ::core::clone::Clone::clone(&#key_);
            move || #path(#(#owned,)* #site_, #replacing_key_)
        }
    };
    guarded(plan, "own", &begin)
}

/// Clones of arguments are the user's code, which may panic.
pub(super) fn guarded(plan: &Plan, how: &str, code: &TokenStream) -> Option<TokenStream> {
    let (hidden, policy, private) = (nameable(plan)?, answer_policy(plan)?, private(plan));
    let how = Ident::new(how, Span::call_site());
    let [site_, _] = prepared_names();
    Some(quote!(#policy.#how(#site_, #private::Instance::of(&#hidden), #code)))
}

/// The function that owns the arguments, and tells whether the body has begun. Nothing for a function whose body never runs in the background.
///
/// ```text
/// fn __f_cache_replace<T: Load>(a: <str as Ownable>::Owned, b: B, site: &'static Site, key: Key) -> bool {
///     policy.in_background(site, Instance::of(&__f_cache_body), async move {
///         __f_cache_body::<T>(Borrow::<str>::borrow(&a), b, site, key).replace_in_background().await
///     })
/// }
/// ```
pub(super) fn function(plan: &Plan) -> Option<TokenStream> {
    let hidden = nameable(plan).filter(|_| plan.replacement == Replacement::Background)?;
    let policy = answer_policy(plan)?;
    let Signature { function, kind, .. } = &plan.signature;
    let private = private(plan);
    let [site_, key_] = prepared_names();
    let arguments = arguments(plan);
    let owned = arguments.iter().map(|(cfg, name, OwnedArgument { ty, .. })| quote!(#cfg #name: #ty));
    let lent = arguments.iter().map(|(cfg, _, OwnedArgument { lend, .. })| quote!(#cfg #lend));
    let call = call_path_of(&hidden, lent);
    let begin = match kind {
        Kind::Plain => {
            quote!(in_background_plain(#site_, #private::Instance::of(&#hidden), move || #call.replace_in_background()))
        }
        _ => {
            quote!(in_background(#site_, #private::Instance::of(&#hidden), async move { #call.replace_in_background().await }))
        }
    };
    let mut sig = function.sig.clone();
    sig.ident = name(&plan.signature);
    sig.asyncness = None;
    sig.output = syn::parse_quote!(-> bool);
    sig.inputs = syn::parse_quote!(#(#owned,)* #site_: &'static #private::Site, #key_: #private::Key);
    let carried = function.attrs.iter().filter_map(signature::carried);
    let lints = lints();
    Some(quote! {
        #[doc(hidden)]
        #[cold]
        #[inline(never)]
        #lints
        #(#carried)*
        #sig { #policy.#begin }
    })
}
