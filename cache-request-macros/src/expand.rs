//! Generates the code. It cannot fail and takes no decisions: [`plan`](crate::plan) does.
//!
//! The user's tokens keep their spans, so that errors and lints point at them. Names made up here are hygienic: the body does not see
//! them.

mod body;
mod each;
mod handle;
mod key;
mod replacing;
mod tags;

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::{FnArg, GenericParam, Pat, Type, spanned::Spanned};

use self::handle::{handle, hit, nameable, prepared, prepared_names};
use crate::{
    names,
    plan::{self, Plan, Replacement},
    signature::{self, Kind, Signature},
};

/// The annotated function, and its companion if it has one.
///
/// ```text
/// // input
/// pub fn f<T: Load>(mut id: u32, Query(q): Query<T>) -> R { body }
///
/// // output
/// pub fn f<T: Load>(id: u32, __arg1: Query<T>) -> R { site; key; hit; __f_cache_body::<T>(id, __arg1, site, key).answer() }
/// pub fn f_cache<T: Load>(id: u32, __arg1: Query<T>) -> SyncHandle<…> { site; key; __f_cache_body::<T>(id, __arg1, site, key) }
/// fn __f_cache_body<T: Load>(mut id: u32, __arg1: Query<T>, site: &'static Site, key: Key) -> SyncHandle<…> { handle }
///
/// // output if an argument is an `impl Trait`, so that no function with it can be named as a value
/// pub fn f(id: u32, __arg1: impl Load) -> R { f_cache(id, __arg1).call() }
/// pub fn f_cache(mut id: u32, __arg1: impl Load) -> SyncHandle<…> { site; key; handle }
///
/// // output with `handle = false`
/// pub fn f<T: Load>(mut id: u32, __arg1: Query<T>) -> R { { site; key; handle }.call() }
/// ```
///
/// Each call makes its key once, as a `vary` expression or a key function is the user's code.
pub(crate) fn expand(plan: &Plan) -> TokenStream {
    let signature = &plan.signature;
    let prepared = prepared(plan);
    let handle = handle(plan);
    if !plan.companion {
        return caller(plan, &TokenStream::new(), &braced(plan, &quote!(#prepared #handle)), true);
    }
    let name = names::plain(&signature.function.sig.ident);
    let companion_name = companion_name(signature);
    let link = if signature.associated { "Self::" } else { "" };
    let doc =
        format!("One call of [`{name}`]({link}{name}): looks at, refreshes, invalidates or fills its cached value.");
    // Only a companion that is called is compiled.
    let documented = quote!(#[doc = #doc] #[inline]);
    let vis = &signature.function.vis;
    if let Some(each) = &plan.each {
        let (caller, function) = (each::caller(plan, each), each::function(each));
        let (companion, hidden) = (companion(plan, &documented), hidden(plan, &handle));
        return quote!(#caller #companion #hidden #function);
    }
    let Some(hit) = hit(plan) else {
        let caller = caller(
            plan,
            &TokenStream::new(),
            &call_of(signature, &companion_path(signature, &companion_name), None),
            false,
        );
        let companion = returns_handle(
            plan,
            &documented,
            &vis.to_token_stream(),
            &companion_name,
            None,
            &quote!({ #prepared #handle }),
        );
        return quote!(#caller #companion);
    };
    let hidden_name = hidden_name(signature);
    let call = call_of(signature, &companion_path(signature, &hidden_name), Some(prepared_names()));
    let caller = caller(plan, &quote!(#prepared #hit), &call, false);
    let replacing = replacing::function(plan);
    let (companion, hidden) = (companion(plan, &documented), hidden(plan, &handle));
    quote!(#caller #companion #hidden #replacing)
}

/// The companion, which calls the hidden function.
fn companion(plan: &Plan, documented: &TokenStream) -> TokenStream {
    let signature = &plan.signature;
    let prepared = prepared(plan);
    let call = call_of(signature, &companion_path(signature, &hidden_name(signature)), Some(prepared_names()));
    let vis = signature.function.vis.to_token_stream();
    returns_handle(plan, documented, &vis, &companion_name(signature), None, &quote!({ #prepared #call }))
}

/// The hidden function that makes the handle.
fn hidden(plan: &Plan, handle: &TokenStream) -> TokenStream {
    let attributes = quote!(#[doc(hidden)] #[inline(never)]);
    let names = Some(prepared_names());
    returns_handle(plan, &attributes, &TokenStream::new(), &hidden_name(&plan.signature), names, handle)
}

/// A block with the span for errors about the cached type.
fn braced(plan: &Plan, tokens: &TokenStream) -> TokenStream {
    let mut block = Group::new(Delimiter::Brace, tokens.clone());
    block.set_span(place(&plan.signature));
    block.into_token_stream()
}

/// The annotated function: the `first` statements, then the call of a handle.
fn caller(plan: &Plan, first: &TokenStream, handle: &TokenStream, holds_body: bool) -> TokenStream {
    let Signature { function, kind, .. } = &plan.signature;
    let vis = &function.vis;
    let mut sig = function.sig.clone();
    sig.inputs = inputs(&plan.signature, holds_body);
    let attrs = function.attrs.iter().map(|attribute| {
        // An expectation holds for the body, which may stand in the companion now.
        if attribute.path().is_ident("expect") {
            signature::carried(attribute)
        } else {
            Some(signature::outer(attribute))
        }
    });
    let private = private(plan);
    let call = if first.is_empty() { quote!(call) } else { quote!(answer) };
    let replaces = !first.is_empty() && plan.replacement == Replacement::Background;
    let waits = replaces && plan.args.stale_after.is_some();
    let polled = match &plan.args.detach {
        // At the argument, as the feature of that name may be missing.
        Some(detach) if detach.value => {
            let detached = Ident::new("answer_detached", detach.name.ident.span());
            let answered = quote!(#handle.#detached().await);
            if replaces { answered_now(plan, first, &answered) } else { quote!(#first #answered.0) }
        }
        _ if first.is_empty() => quote!(::core::pin::pin!(#handle).call().await),
        _ if waits => {
            answered_after(plan, first, |begin| quote!(::core::pin::pin!(#handle).answer_after(#begin).await))
        }
        _ if replaces => {
            answered_now(plan, first, &quote!(#private::answer_now(::core::pin::pin!(#handle).answer_now().await)))
        }
        _ => quote!(#first #private::answer(::core::pin::pin!(#handle).#call().await)),
    };
    let body = match kind {
        Kind::Plain if waits => answered_after(plan, first, |begin| quote!(#handle.answer_after(#begin))),
        Kind::Plain if replaces => answered_now(plan, first, &quote!(#handle.answer_now())),
        Kind::Plain => quote!(#first #handle.#call()),
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

/// A call that found nothing in memory, and is told if a value of the backend is due to be replaced.
///
/// ```text
/// // output
/// site; key; hit;
/// let later = …;
/// let (answer, is_due) = __f_cache_body::<T>(a, b, site, key).answer_now();
/// policy.begin(site, Instance::of(&__f_cache_body), move || match later.filter(|_| is_due) { Some(later) => later(), None => false });
/// answer
/// ```
fn answered_now(plan: &Plan, first: &TokenStream, answered: &TokenStream) -> TokenStream {
    let [answer_, is_due_] = ["answer", "is_due"].map(names::local);
    let (later, begin) = later_if_due(plan);
    quote! {
        #first
        #later
        let (#answer_, #is_due_) = #answered;
        #begin;
        #answer_
    }
}

/// The same for `stale_after`: the call may wait for what it has begun.
///
/// ```text
/// // output
/// site; key; hit;
/// let later = …;
/// __f_cache_body::<T>(a, b, site, key).answer_after(move |is_due| policy.begin(…))
/// ```
fn answered_after(plan: &Plan, first: &TokenStream, answer: impl FnOnce(TokenStream) -> TokenStream) -> TokenStream {
    let is_due_ = names::local("is_due");
    let (later, begin) = later_if_due(plan);
    let answer = answer(quote!(move |#is_due_| #begin));
    quote!(#first #later #answer)
}

/// The statement that owns the arguments, and the expression that begins the body with them if that is due.
fn later_if_due(plan: &Plan) -> (TokenStream, Option<TokenStream>) {
    let [is_due_, later_] = ["is_due", "later"].map(names::local);
    let later = replacing::later(plan);
    // It is dropped there in any case, as destructors of arguments are the user's code, too.
    let begin = quote! {
        move || match #later_.filter(|_| #is_due_) {
            ::core::option::Option::Some(#later_) => #later_(),
            ::core::option::Option::None => false,
        }
    };
    (quote!(let #later_ = #later;), replacing::guarded(plan, "begin", &begin))
}

/// The companion, or the hidden function that holds the body, as a value.
///
/// ```text
/// // output
/// Self::f_cache::<T, N>
///
/// // output for what looks like a free function
/// ({ macro_rules! an_associated_function_needs_handle_Self { () => { f_cache::<T, N> } } that!() })
/// ```
///
/// If it is an associated function after all, the compiler does not find its companion. The macro's name then shows in the error, and
/// tells what to write. The parentheses make the name a value in each use, so that the compiler reports all of them as one error.
fn companion_path(signature: &Signature, name: &Ident) -> TokenStream {
    let mut name = name.clone();
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
///
/// `more` arguments follow the user's.
fn call_of(signature: &Signature, path: &TokenStream, more: Option<[Ident; 2]>) -> TokenStream {
    let receiver = signature.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let arguments = signature.arguments.iter().map(|argument| {
        let (cfg, name) = (&argument.cfg, &argument.name);
        quote!(#(#cfg)* #name)
    });
    let more = more.into_iter().flatten().map(ToTokens::into_token_stream);
    let arguments = receiver.into_iter().chain(arguments).chain(more);
    quote!(#path (#(#arguments),*))
}

/// A call of the function that holds the body, with these arguments.
fn call_path_of(path: &TokenStream, arguments: impl Iterator<Item = TokenStream>) -> TokenStream {
    let prepared = prepared_names();
    quote!(#path (#(#arguments,)* #(#prepared),*))
}

fn companion_name(signature: &Signature) -> Ident {
    let name = &signature.function.sig.ident;
    format_ident!("{}", names::companion(name), span = name.span())
}

/// The function that holds the body, which the annotated one and its companion call.
fn hidden_name(signature: &Signature) -> Ident {
    let name = &signature.function.sig.ident;
    format_ident!("{}", names::hidden(name), span = name.span())
}

/// ```text
/// // input
/// pub async fn f(id: u32) -> R where …
///
/// // output
/// pub fn f_cache(id: u32) -> Handle<R, impl ValueOf<R>, impl Future<Output = R>> where … { handle }
/// ```
///
/// The `impl` types capture every lifetime in the caller's older editions too: the tokens are of this crate's edition.
fn returns_handle(
    plan: &Plan,
    doc: &TokenStream,
    vis: &TokenStream,
    name: &Ident,
    prepared: Option<[Ident; 2]>,
    body: &TokenStream,
) -> TokenStream {
    let Signature { function, kind, answer, .. } = &plan.signature;
    let private = private(plan);
    // Only its place is the user's: by its edition an `impl` captures every lifetime, or few.
    let place = place(&plan.signature);
    let value = located_at(quote!(impl #private::ValueOf<), place);
    let placed = private_at(plan, place);
    let close = located_at(quote!(>), place);
    let value = quote!(#value #answer #close);
    let mut sig = function.sig.clone();
    sig.ident = name.clone();
    sig.asyncness = None;
    let holds_body = prepared.is_some() || nameable(plan).is_none();
    sig.inputs = inputs(&plan.signature, holds_body);
    if let Some([site, key]) = prepared {
        sig.inputs.push(syn::parse_quote!(#site: &'static #private::Site));
        sig.inputs.push(syn::parse_quote!(#key: #private::Key));
    }
    let returned = match kind {
        Kind::Plain => quote! {
            #placed::SyncHandle<#answer, #value, impl ::core::ops::FnOnce() -> #answer #close
        },
        _ => quote! {
            #placed::Handle<#answer, #value, impl ::core::future::Future<Output = #answer> #close
        },
    };
    sig.output = syn::ReturnType::Type(<syn::Token![->]>::default(), Box::new(Type::Verbatim(returned)));
    let carried = function.attrs.iter().filter_map(signature::carried);
    let lints = lints();
    quote! {
        #doc
        #lints
        #(#carried)*
        #vis #sig #body
    }
}

/// The compiler has already applied these lints to the function's own signature.
fn lints() -> TokenStream {
    quote! {
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
    }
}

/// The arguments of a generated signature. Patterns go to the body, so that the arguments have names to be passed on by.
fn inputs(signature: &Signature, keep_mut: bool) -> syn::punctuated::Punctuated<FnArg, syn::Token![,]> {
    let receiver = signature.receiver().map(|receiver| {
        let mut receiver = receiver.clone();
        // `&mut self` is a type, `mut self` a binding.
        if !keep_mut && !matches!(receiver.kind, syn::ReceiverKind::Reference(..)) {
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

/// The same tokens with another span. Their names resolve as before.
fn located_at(tokens: TokenStream, place: Span) -> TokenStream {
    let moved = tokens.into_iter().map(|mut token| {
        token.set_span(token.span().located_at(place));
        token
    });
    moved.collect()
}

/// The span for errors about the cached type: the return type.
fn place(signature: &Signature) -> Span {
    signature.answer.span()
}

/// The library's module for the expansion.
fn private(plan: &Plan) -> TokenStream {
    private_at(plan, Span::call_site())
}

fn private_at(plan: &Plan, place: Span) -> TokenStream {
    plan::private(&plan.args, place)
}
