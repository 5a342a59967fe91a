//! The user's function body, as a closure or a future in which all names resolve as before.

use proc_macro2::{Delimiter, Group, TokenStream};
use quote::{ToTokens, quote};
use syn::{Pat, Type};

use super::each;
use crate::{
    names,
    plan::Plan,
    signature::{Kind, Signature},
    types,
};

/// The body, as a closure or a future.
///
/// ```text
/// // input
/// fn f(a: A, (x, y): P) -> R { body }
///
/// // output
/// move || -> R { let _ = &__arg1; let _ = &a; match __arg1 { (x, y) => { body } } }
/// ```
pub(super) fn body(plan: &Plan) -> TokenStream {
    let Signature { function, kind, written_answer, .. } = &plan.signature;
    let answer = types::inferred(written_answer);
    let answer = (!matches!(answer, Type::Infer(_))).then_some(answer);
    let captured = captured(&plan.signature);
    if let Some(each) = &plan.each {
        return each::one(plan, each, &captured);
    }
    match kind {
        Kind::Plain => {
            let returned = answer.map(|answer| quote!(-> #answer));
            let block = block(plan, &captured);
            quote!(move || #returned #block)
        }
        Kind::Async => {
            // An async block has no return type: the first `return` tells it, so that `?` and coercions in the body
            // find the type that they would find in the function.
            let returned_ = names::local("answer");
            let typed = answer.map(|answer| {
                quote! {
                    if let ::core::option::Option::Some(#returned_) = ::core::option::Option::None::<#answer> {
                        return #returned_;
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

/// Mentions every argument, so that the body owns also those that it does not use: a guard among the arguments lives as long as in the
/// function. The last one that is mentioned is dropped last, so the first argument is.
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
