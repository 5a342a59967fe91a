//! Writes the code. Nothing here can fail, and nothing here decides: see [`plan`](crate::plan).
//!
//! What the user wrote keeps its place, so that errors and lints point there; the names made up here are hygienic, so
//! that the body sees none of them.

mod body;
mod handle;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{FnArg, GenericParam, Pat, Type, spanned::Spanned};

use self::handle::{handle, hit};
use crate::{
    names,
    plan::Plan,
    signature::{self, Kind, Signature},
};

/// The annotated function, and its companion if it has one.
///
/// ```text
/// // input
/// pub fn f<T: Load>(mut id: u32, Query(q): Query<T>) -> R { body }
///
/// // output
/// pub fn f<T: Load>(id: u32, __arg1: Query<T>) -> R { hit; f_cache::<T>(id, __arg1).answer() }
/// pub fn f_cache<T: Load>(mut id: u32, __arg1: Query<T>) -> Handle<R, impl ValueOf<R>, impl FnOnce() -> R> { handle }
///
/// // output with `handle = false`
/// pub fn f<T: Load>(mut id: u32, __arg1: Query<T>) -> R { handle.call() }
/// ```
pub(crate) fn expand(plan: &Plan) -> TokenStream {
    let handle = handle(plan);
    if !plan.companion {
        return caller(plan, &handle);
    }
    let caller = caller(plan, &call_of_companion(&plan.signature));
    let companion = companion(plan, &handle);
    quote!(#caller #companion)
}

/// The function as its callers know it, which calls a handle.
fn caller(plan: &Plan, handle: &TokenStream) -> TokenStream {
    let Signature { function, kind, .. } = &plan.signature;
    let vis = &function.vis;
    let mut sig = function.sig.clone();
    sig.inputs = inputs(&plan.signature, !plan.companion);
    let attrs = function.attrs.iter().map(|attribute| {
        // An expectation holds for the body, which may stand in the companion now.
        if attribute.path().is_ident("expect") {
            signature::carried(attribute)
        } else {
            Some(signature::outer(attribute))
        }
    });
    let hit = hit(plan);
    let call = if hit.is_some() { quote!(answer) } else { quote!(call) };
    let polled = quote!(#hit ::core::pin::pin!(#handle).#call().await);
    let body = match kind {
        Kind::Plain => quote!(#hit #handle.#call()),
        Kind::Async => polled,
        // The arguments wait in the future, and the handle is made where it is polled: a finished handle would be moved
        // into its place, and the future would hold it twice.
        Kind::Future => quote!(async move { #polled }),
        Kind::BoxedFuture => quote!(::std::boxed::Box::pin(async move { #polled })),
    };
    quote! {
        #(#attrs)*
        #[allow(clippy::used_underscore_binding)]
        #vis #sig { #body }
    }
}

/// The companion as a value.
///
/// ```text
/// // output
/// Self::f_cache::<T, N>
///
/// // output for what looks like a free function
/// ({ macro_rules! an_associated_function_needs_handle_Self { () => { f_cache::<T, N> } } that!() })
/// ```
///
/// If that is an associated function after all, its companion is not found, and of that error only the names are ours: it shows
/// the macro that the companion's name stands in. In parentheses the name is a value, called or not, and always at the same place,
/// so that all of these errors are one.
fn companion_path(signature: &Signature) -> TokenStream {
    let mut name = companion_name(signature);
    // Lifetimes are inferred; naming those that are late bound is an error.
    let generics: Vec<&Ident> = signature
        .function
        .sig
        .generics
        .params
        .iter()
        .filter_map(|parameter| match parameter {
            GenericParam::Lifetime(_) => None,
            GenericParam::Type(parameter) => Some(&parameter.ident),
            GenericParam::Const(parameter) => Some(&parameter.ident),
        })
        .collect();
    let turbofish = (!generics.is_empty()).then(|| quote!(::<#(#generics),*>));
    if signature.associated {
        return quote!(Self::#name #turbofish);
    }
    name.set_span(name.span().located_at(Span::call_site()));
    quote! {
        ({
            macro_rules! an_associated_function_needs_handle_Self {
                () => { #name #turbofish };
            }
            an_associated_function_needs_handle_Self!()
        })
    }
}

/// ```text
/// // input
/// fn f<'a, T, const N: usize>(&self, a: &'a T, (x, y): (u8, [u8; N])) -> R
///
/// // output
/// Self::f_cache::<T, N>(self, a, __arg2)
/// ```
fn call_of_companion(signature: &Signature) -> TokenStream {
    let path = companion_path(signature);
    let receiver = signature.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let arguments = signature.arguments.iter().map(|argument| {
        let (cfg, name) = (&argument.cfg, &argument.name);
        quote!(#(#cfg)* #name)
    });
    let arguments = receiver.into_iter().chain(arguments);
    quote!(#path (#(#arguments),*))
}

fn companion_name(signature: &Signature) -> Ident {
    let name = &signature.function.sig.ident;
    format_ident!("{}_cache", names::plain(name), span = name.span())
}

/// ```text
/// // input
/// pub async fn f(id: u32) -> R where …
///
/// // output
/// pub fn f_cache(id: u32) -> AsyncHandle<R, impl ValueOf<R>, impl Future<Output = R>> where … { handle }
/// ```
///
/// The `impl` types capture every lifetime in the caller's older editions too: the tokens are of this crate's edition.
fn companion(plan: &Plan, handle: &TokenStream) -> TokenStream {
    let Signature { function, kind, answer, .. } = &plan.signature;
    let private = private(plan);
    // Only its place is the user's: by its edition an `impl` captures every lifetime, or few.
    let place = place(&plan.signature);
    let value = located_at(quote!(impl #private::ValueOf<), place);
    let placed = private_at(plan, place);
    let close = located_at(quote!(>), place);
    let value = quote!(#value #answer #close);
    let mut sig = function.sig.clone();
    sig.ident = companion_name(&plan.signature);
    sig.asyncness = None;
    sig.inputs = inputs(&plan.signature, true);
    let returned = match kind {
        Kind::Plain => quote! {
            #placed::Handle<#answer, #value, impl ::core::ops::FnOnce() -> #answer #close
        },
        _ => quote! {
            #placed::AsyncHandle<#answer, #value, impl ::core::future::Future<Output = #answer> #close
        },
    };
    sig.output = syn::ReturnType::Type(<syn::Token![->]>::default(), Box::new(Type::Verbatim(returned)));
    let vis = &function.vis;
    let carried = function.attrs.iter().filter_map(signature::carried);
    let link = if plan.signature.associated { "Self::" } else { "" };
    let doc = format!(
        "One call of [`{name}`]({link}{name}), to look at, refresh, forget or fill what is remembered of it.",
        name = names::plain(&function.sig.ident)
    );
    // What these say of a signature was said of the function's own.
    quote! {
        #[doc = #doc]
        #[allow(
            dead_code,
            unreachable_pub,
            private_interfaces,
            clippy::elidable_lifetime_names,
            clippy::extra_unused_lifetimes,
            clippy::extra_unused_type_parameters,
            clippy::missing_panics_doc,
            clippy::needless_lifetimes,
            clippy::too_many_arguments,
            clippy::type_complexity,
            clippy::unused_self,
            clippy::used_underscore_binding,
            clippy::wrong_self_convention
        )]
        #(#carried)*
        #vis #sig #handle
    }
}

/// The arguments of a generated signature. Patterns go to the body, so that the arguments have names to be passed on by.
fn inputs(signature: &Signature, keep_mut: bool) -> syn::punctuated::Punctuated<FnArg, syn::Token![,]> {
    let receiver = signature.receiver().map(|receiver| {
        let mut receiver = receiver.clone();
        // `&mut self` is a type, `mut self` a binding.
        if !keep_mut && receiver.reference.is_none() {
            receiver.mutability = None;
        }
        FnArg::Receiver(receiver)
    });
    let arguments = signature.arguments.iter().map(|argument| {
        let name = syn::PatIdent {
            attrs: Vec::new(),
            by_ref: None,
            mutability: argument.mutability.filter(|_| keep_mut),
            ident: argument.name.clone(),
            subpat: None,
        };
        FnArg::Typed(syn::PatType {
            attrs: argument.cfg.iter().chain(&argument.attrs).cloned().collect(),
            pat: Box::new(Pat::Ident(name)),
            colon_token: <syn::Token![:]>::default(),
            ty: Box::new(argument.ty.clone()),
        })
    });
    receiver.into_iter().chain(arguments).collect()
}

/// The same tokens at another place; what their names mean stays.
fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    moved.collect()
}

/// Where an error about the kept type belongs: the return type.
fn place(signature: &Signature) -> Span {
    signature.answer.span()
}

/// The library's module for the expansion.
fn private(plan: &Plan) -> TokenStream {
    private_at(plan, Span::call_site())
}

fn private_at(plan: &Plan, place: Span) -> TokenStream {
    match &plan.args.krate {
        Some(krate) => {
            let path = &krate.value;
            quote_spanned!(place=> #path::__private)
        }
        None => quote_spanned!(place=> ::cache_request::__private),
    }
}
