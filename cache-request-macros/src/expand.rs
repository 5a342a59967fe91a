//! Writes the code. Nothing here can fail, and nothing here decides: see [`plan`](crate::plan).
//!
//! What the user wrote keeps its place, so that errors and lints point there; the names made up here are hygienic, so
//! that the body sees none of them.

use proc_macro2::{Delimiter, Group, Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::{FnArg, GenericParam, Pat, Type, spanned::Spanned};

use crate::{
    args::{Timeout, is_set},
    names, pattern,
    plan::{KeyPlan, Part, Plan},
    signature::{self, Kind, Signature},
    types,
};

/// The annotated function, and its companion if it has one.
///
/// ```text
/// // input
/// pub fn f<T: Load>(mut id: u32, Query(q): Query<T>) -> R { body }
///
/// // output
/// pub fn f<T: Load>(id: u32, __arg1: Query<T>) -> R { f_cache::<T>(id, __arg1).call() }
/// pub fn f_cache<T: Load>(mut id: u32, __arg1: Query<T>) -> Handle<R, impl Value, impl FnOnce() -> R> { handle }
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
    let polled = quote!(::core::pin::pin!(#handle).call_pinned().await);
    let body = match kind {
        Kind::Plain => quote!(#handle.call()),
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

/// ```text
/// // input
/// fn f<'a, T, const N: usize>(&self, a: &'a T, (x, y): (u8, [u8; N])) -> R
///
/// // output
/// Self::f_cache::<T, N>(self, a, __arg2)
/// ```
fn call_of_companion(signature: &Signature) -> TokenStream {
    let name = companion_name(signature);
    let path = if signature.associated { quote!(Self::#name) } else { quote!(#name) };
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
    let receiver = signature.receiver().map(|receiver| receiver.self_token.to_token_stream());
    let arguments = signature.arguments.iter().map(|argument| {
        let (cfg, name) = (&argument.cfg, &argument.name);
        quote!(#(#cfg)* #name)
    });
    let arguments = receiver.into_iter().chain(arguments);
    quote!(#path #turbofish (#(#arguments),*))
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
/// pub fn f_cache(id: u32) -> AsyncHandle<R, impl Value, impl Future<Output = R>> where … { handle }
/// ```
///
/// The `impl` types capture every lifetime in the caller's older editions too: the tokens are of this crate's edition.
fn companion(plan: &Plan, handle: &TokenStream) -> TokenStream {
    let Signature { function, kind, answer, .. } = &plan.signature;
    let private = private(plan);
    // Only its place is the user's: by its edition an `impl` captures every lifetime, or few.
    let value = quote!(impl #private::Value);
    let value = located_at(value, place(&plan.signature));
    let placed = private_at(plan, place(&plan.signature));
    let close = quote_spanned!(place(&plan.signature)=> >);
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

/// The handle on one call, an expression.
///
/// ```text
/// {
///     let site = { static SITE: Site = Site::new(…); &SITE };
///     let key = Key::build(|key| { key.part(&id); … });
///     let policy = …;
///     Handle::new(site, policy, key, move || -> R { body })
/// }
/// ```
///
/// The key is made at once, before the body takes the arguments; for an `async fn` that is its first poll, and for a
/// companion when it is called, so that a handle always has its key.
fn handle(plan: &Plan) -> TokenStream {
    let site = site(plan);
    let key = key(plan);
    let body = body(plan);
    let policy = policy(plan);
    let handle = match plan.signature.kind {
        Kind::Plain => quote!(Handle),
        _ => quote!(AsyncHandle),
    };
    let place = place(&plan.signature);
    // The names of the block are hygienic: the body sees none of them, though it stands among them. All but the last
    // one, that is, which comes after all that the user wrote.
    let [site_, key_, body_] = ["site", "key", "body"].map(|name| Ident::new(name, Span::mixed_site()));
    let policy_ = Ident::new("policy", place);
    // One place for all that asks something of the kept type: of errors at one place the compiler shows the first.
    let private = private_at(plan, place);
    let handle = quote_spanned!(place=> #private::#handle::new(#site_, #policy_, #key_, #body_));
    let mut block = Group::new(
        Delimiter::Brace,
        quote! {
            let #site_ = #site;
            let #key_ = #key;
            let #body_ = #body;
            let #policy_ = #policy;
            #handle
        },
    );
    block.set_span(place);
    block.into_token_stream()
}

/// In a block of its own, as a `static` is not hygienic and the body may know another `SITE`.
fn site(plan: &Plan) -> TokenStream {
    let private = private(plan);
    let args = &plan.args;
    let function = names::plain(&plan.signature.function.sig.ident);
    let (parts, pieces) = match &plan.key {
        KeyPlan::Parts { parts, pieces } => (parts.as_slice(), pieces.as_deref()),
        KeyPlan::Function { .. } => (&[][..], None),
    };
    let parts = parts.iter().map(|Part { name, cfg, .. }| quote!(#(#cfg)* #name));
    let texts = [("name", &args.name), ("version", &args.version), ("prefix", &args.prefix), ("cache", &args.cache)];
    let texts = texts.into_iter().filter_map(|(setter, slot)| {
        let text = &slot.as_ref()?.value;
        let setter = Ident::new(setter, Span::call_site());
        Some(quote!(.#setter(#text)))
    });
    let template = pieces.map(|pieces| quote!(.template(&[#(#pieces),*])));
    let uncoalesced = args.coalesce.as_ref().filter(|coalesce| !coalesce.value).map(|_| quote!(.uncoalesced()));
    quote! {
        {
            static SITE: #private::Site = #private::Site::new(
                ::core::module_path!(), #function, &[#(#parts),*], ::core::file!(), ::core::line!(),
            ) #(#texts)* #template #uncoalesced;
            &SITE
        }
    }
}

/// ```text
/// // input
/// fn f(id: u32, (x, mut y): (String, String)) with `vary(lang = lang())`
///
/// // output
/// Key::build(|key| { let (x, y) = &__arg1; key.part(&id); key.part(x); key.part(y); key.part(&(lang())); })
/// ```
fn key(plan: &Plan) -> TokenStream {
    let private = private(plan);
    let key = Ident::new("key", Span::mixed_site());
    let destructured = plan.signature.arguments.iter().filter_map(|argument| {
        let pattern = pattern::by_reference(argument.pattern.as_ref().filter(|_| !argument.bindings.is_empty())?);
        let (cfg, name) = (&argument.cfg, &argument.name);
        Some(quote!(#(#cfg)* #[allow(unused_variables)] let #pattern = &#name;))
    });
    let added = match &plan.key {
        KeyPlan::Parts { parts, .. } => parts
            .iter()
            .map(|Part { value, span, cfg, .. }| {
                // The whole call stands where the argument is, so that an error about its type does too.
                let call = quote_spanned!(*span=> .part(#value));
                quote!(#(#cfg)* #key #call;)
            })
            .collect(),
        KeyPlan::Function { function, references } => {
            // A call that is partly here and partly there would have the compiler suggest nonsense.
            let references = references
                .iter()
                .map(|Part { value, cfg, .. }| (cfg, located_at(value.clone(), function.span())))
                .map(|(cfg, value)| quote!(#(#cfg)* #value));
            let own = quote_spanned!(function.span()=> .own((#function)(#(#references),*)));
            // The function may be a closure.
            quote!(#[allow(clippy::redundant_closure_call)] #key #own;)
        }
    };
    let added: TokenStream = added;
    // A key of no parts uses nothing of its builder.
    if added.is_empty() {
        return quote!(#private::Key::build(|_| {}));
    }
    quote!(#private::Key::build(|#key| { #(#destructured)* #added }))
}

/// What of the answer is kept, and for how long.
fn policy(plan: &Plan) -> TokenStream {
    let Plan { args, signature, .. } = plan;
    let answer = types::inferred(&signature.answer);
    // An error about the kept type belongs to the return type, and points at what the method is called on.
    let place = place(signature);
    let placed = private_at(plan, place);
    let policy = if is_set(&args.cache_err) {
        quote_spanned!(place=> #placed::Policy::<#answer, #answer>::whole_result())
    } else if let Type::Infer(_) = answer {
        // Only the body knows the type.
        let body = Ident::new("body", Span::mixed_site());
        match signature.kind {
            Kind::Plain => quote_spanned!(place=> #placed::Policy::of_body(&#body)),
            _ => quote_spanned!(place=> #placed::Policy::of_future(&#body)),
        }
    } else {
        // Only the braces: one of the imports goes unused, which would be the user's business if they wrote it.
        let private = private(plan);
        let mut probe = Group::new(
            Delimiter::Brace,
            quote! {
                use #private::{AnyAnswer as _, ResultAnswer as _};
                (&#private::Probe::<#answer>::new()).policy()
            },
        );
        probe.set_span(place);
        probe.into_token_stream()
    };
    let kept =
        if is_set(&args.local) { quote_spanned!(place=> .local()) } else { quote_spanned!(place=> .serialised()) };
    let timeout = args.timeout.as_ref().map(|timeout| timeout_of(&timeout.value));
    let per_value = [("timeout_with", &args.timeout_with), ("when", &args.when), ("weight", &args.weight)];
    let per_value = per_value.into_iter().filter_map(|(setter, slot)| {
        let given = slot.as_ref()?;
        let setter = Ident::new(setter, given.name.ident.span());
        let closure = &given.value;
        Some(quote!(.#setter(#closure)))
    });
    let skip_none = args.skip_none.as_ref().filter(|flag| flag.value).map(|flag| {
        let setter = Ident::new("skip_none", flag.name.ident.span());
        quote!(.#setter())
    });
    quote!(#policy #kept #timeout #(#per_value)* #skip_none)
}

fn timeout_of(timeout: &Timeout) -> TokenStream {
    let duration = match timeout {
        Timeout::Fixed(fixed) => {
            let (seconds, nanos) = (fixed.as_secs(), fixed.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanos))
        }
        Timeout::Never => quote!(::core::time::Duration::MAX),
        Timeout::Expression(expression) => expression.to_token_stream(),
    };
    quote!(.timeout(|| #duration))
}

/// The body, as a closure or a future.
///
/// ```text
/// // input
/// fn f(a: A, (x, y): P) -> R { body }
///
/// // output
/// move || -> R { let _ = &__arg1; let _ = &a; match __arg1 { (x, y) => { body } } }
/// ```
fn body(plan: &Plan) -> TokenStream {
    let Signature { function, kind, answer, .. } = &plan.signature;
    let answer = types::inferred(answer);
    let answer = (!matches!(answer, Type::Infer(_))).then_some(answer);
    let captured = captured(&plan.signature);
    match kind {
        Kind::Plain => {
            let returned = answer.map(|answer| quote!(-> #answer));
            let block = block(plan, &captured);
            quote!(move || #returned #block)
        }
        Kind::Async => {
            // An async block has no return type: the first `return` tells it, so that `?` and coercions in the body
            // find the type that they would find in the function.
            let typed = answer.map(|answer| {
                quote! {
                    if let ::core::option::Option::Some(answer) = ::core::option::Option::None::<#answer> {
                        return answer;
                    }
                }
            });
            let block = block(plan, &quote!(#captured #typed));
            quote!(async move #block)
        }
        // These own what they mention: a function that returns a future drops its other arguments before that is polled.
        Kind::Future => {
            let block = block(plan, &TokenStream::new());
            quote!(async move { (move || #block)().await })
        }
        Kind::BoxedFuture => {
            let returned = types::returned(&function.sig.output);
            let block = block(plan, &TokenStream::new());
            quote!(async move { (move || -> #returned #block)().await })
        }
    }
}

/// Mentions every argument, so that the body owns those too that it does not use: a guard among the arguments lives as
/// long as it would. What is mentioned last is dropped last, as the first argument is.
fn captured(signature: &Signature) -> TokenStream {
    let receiver = signature.receiver().map(|receiver| {
        let this = receiver.self_token;
        quote!(let _ = &#this;)
    });
    let arguments = signature.arguments.iter().rev().map(|argument| {
        let (cfg, name) = (&argument.cfg, &argument.name);
        quote!(#(#cfg)* let _ = &#name;)
    });
    quote!(#(#arguments)* #receiver)
}

/// The user's block, with what comes before its statements, in the scope of what the patterns bind.
///
/// A `match` rather than a `let`: the temporaries of the block's last expression are dropped before what it binds, as
/// they are before a function's arguments.
fn block(plan: &Plan, before: &TokenStream) -> TokenStream {
    let block = &plan.signature.function.block;
    let statements = &block.stmts;
    let mut inside = quote!(#(#statements)*);
    let mut conditional = TokenStream::new();
    for argument in plan.signature.arguments.iter().rev() {
        let Some(pattern) = argument.pattern.as_ref().filter(|pattern| !matches!(pattern, Pat::Wild(_))) else {
            continue;
        };
        let (cfg, name) = (&argument.cfg, &argument.name);
        if cfg.is_empty() {
            inside = quote!(match #name { #pattern => { #inside } });
        } else {
            conditional = quote!(#(#cfg)* let #pattern = #name; #conditional);
        }
    }
    // The braces are the user's: a block in a block would be braces too many for the compiler's lint.
    let mut whole = Group::new(Delimiter::Brace, quote!(#before #conditional #inside));
    whole.set_span(block.brace_token.span.join());
    whole.into_token_stream()
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
