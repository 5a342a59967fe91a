//! Parses the annotated function: its kind, its arguments and its return type.
//!
//! Reports all errors that do not depend on the attribute's arguments.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use quote::format_ident;
use syn::{
    Attribute, FnArg, GenericParam, Item, ItemFn, Pat, Receiver, Safety, Type,
    spanned::Spanned,
    visit::{self, Visit},
};

use crate::{
    errors::Errors,
    names, pattern,
    types::{self, Responds},
};

/// A function as the expansion needs it.
#[derive(Clone)]
pub(crate) struct Signature {
    pub(crate) function: ItemFn,
    pub(crate) kind: Kind,
    pub(crate) arguments: Vec<Argument>,
    /// The type of one call's answer; for a future, its output. A response in place of `impl IntoResponse`.
    pub(crate) answer: Type,
    /// The same as the user wrote it.
    pub(crate) written_answer: Type,
    /// The answer is made a response.
    pub(crate) responds: Option<Responds>,
    /// The `impl Trait` in it, whose type has no name.
    pub(crate) opaque: Option<syn::TypeImplTrait>,
    /// `#[async_trait]` has already expanded: this is in an `impl` of a trait.
    pub(crate) async_trait: bool,
    /// The function is known to be in an `impl` or a trait.
    pub(crate) associated: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `fn`
    Plain,
    /// `async fn`
    Async,
    /// `fn … -> impl Future`
    Future,
    /// `fn … -> Pin<Box<dyn Future>>`
    BoxedFuture,
}

impl Signature {
    pub(crate) fn receiver(&self) -> Option<&Receiver> {
        self.function.sig.receiver()
    }

    /// Whether a `static` in the function can name the type of its answer: it mentions no type parameter, no `Self` and no lifetime.
    /// (A lifetime that is not written is an error in the companion's signature, too.)
    pub(crate) fn has_static_answer(&self) -> bool {
        let is_generic =
            self.function.sig.generics.params.iter().any(|parameter| !matches!(parameter, GenericParam::Lifetime(_)));
        !self.associated && !is_generic && self.opaque.is_none() && types::borrows(&self.answer).is_none()
    }

    /// Makes the answer of an async function that returns `impl IntoResponse` the type `response`, which has a name.
    pub(crate) fn respond(&mut self, response: &Type) {
        self.responds = types::responds(&self.answer).filter(|_| self.kind != Kind::Plain);
        if self.responds.is_some() {
            self.answer = types::replaced(&self.answer, response);
            self.opaque = None;
        }
    }

    /// All names that the arguments bind, `self` aside.
    pub(crate) fn bindings(&self) -> impl Iterator<Item = &Binding> {
        self.arguments.iter().flat_map(|argument| &argument.bindings)
    }
}

/// One argument that is not `self`.
#[derive(Clone)]
pub(crate) struct Argument {
    /// `#[cfg]`, which goes wherever the argument goes.
    pub(crate) cfg: Vec<Attribute>,
    pub(crate) attrs: Vec<Attribute>,
    /// Its name in the generated signatures: its own, or one made up if it has none.
    pub(crate) name: Ident,
    pub(crate) mutability: Option<syn::Token![mut]>,
    pub(crate) ty: Type,
    /// A pattern that is more than a name.
    pub(crate) pattern: Option<Pat>,
    pub(crate) bindings: Vec<Binding>,
    /// The `&mut` in its type.
    pub(crate) writable: Option<syn::TypeReference>,
}

/// One name that an argument binds.
#[derive(Clone)]
pub(crate) struct Binding {
    pub(crate) ident: Ident,
    /// Without `r#`.
    pub(crate) name: String,
    /// It is a reference where the key is made.
    pub(crate) reference: bool,
}

/// The item as a function, or one error that says what to annotate instead.
pub(crate) fn function(item: TokenStream) -> syn::Result<ItemFn> {
    let error = match syn::parse2::<ItemFn>(item.clone()) {
        Ok(function) => return Ok(function),
        Err(error) => error,
    };
    if let Ok(method) = syn::parse2::<syn::TraitItemFn>(item.clone()) {
        return Err(syn::Error::new_spanned(
            method.sig,
            "a function without a body has no answer to cache; annotate the functions that implement it",
        ));
    }
    let (place, message) = match syn::parse2::<Item>(item) {
        Ok(Item::Impl(block)) => {
            (block.impl_token.span, "`#[cache_request]` goes on a function; annotate the methods of this `impl`")
        }
        Ok(Item::Trait(block)) => (
            block.trait_token.span,
            "`#[cache_request]` goes on a function; annotate the methods that implement this trait",
        ),
        Ok(Item::Mod(block)) => {
            (block.mod_token.span, "`#[cache_request]` goes on a function; annotate the functions of this module")
        }
        Ok(other) => (other.span(), "`#[cache_request]` goes on a function"),
        // The compiler reports what is no item.
        Err(_) => return Err(error),
    };
    Err(syn::Error::new(place, message))
}

/// Reads the function, and collects the errors about it.
pub(crate) fn read(function: ItemFn, attribute_mentions_self: bool, errors: &mut Errors) -> Signature {
    reject_qualifiers(&function, errors);
    let (kind, answer, async_trait) = kind(&function, errors);
    let arguments = arguments(&function, errors);
    let associated = attribute_mentions_self || function.sig.receiver().is_some() || is_associated(&function);
    let opaque = types::opaque(&answer);
    Signature {
        function,
        kind,
        arguments,
        written_answer: answer.clone(),
        answer,
        responds: None,
        opaque,
        async_trait,
        associated,
    }
}

fn reject_qualifiers(function: &ItemFn, errors: &mut Errors) {
    let signature = &function.sig;
    if let Some(token) = &signature.constness {
        errors.at(token, "a `const fn` cannot look into a cache; remove `const`, or the attribute");
    }
    if let Safety::Unsafe(token) = &signature.safety {
        errors.at(
            token,
            "an `unsafe fn` cannot be cached: its caller's promises would not cover the stored answer; \
             annotate a safe function that calls it",
        );
    }
    if let Some(abi) = &signature.abi {
        errors.at(abi, "a function with a foreign ABI cannot be cached; annotate a Rust function that it calls");
    }
}

fn kind(function: &ItemFn, errors: &mut Errors) -> (Kind, Type, bool) {
    let signature = &function.sig;
    let Some(returned) = types::returned(&signature.output) else {
        // It is cached that the body ran: it runs once per timeout.
        let kind = if signature.asyncness.is_some() { Kind::Async } else { Kind::Plain };
        return (kind, syn::parse_quote_spanned!(signature.ident.span()=> ()), false);
    };
    let (kind, answer, async_trait) = match types::future(returned) {
        Some(Ok(future)) if signature.asyncness.is_none() => {
            let kind = if future.boxed { Kind::BoxedFuture } else { Kind::Future };
            (kind, future.output, future.async_trait)
        }
        Some(Err(ty)) if signature.asyncness.is_none() => {
            errors.at(ty, "this future does not say what it yields; write `Future<Output = …>`");
            return (Kind::Plain, Type::Verbatim(TokenStream::new()), false);
        }
        _ => {
            let kind = if signature.asyncness.is_some() { Kind::Async } else { Kind::Plain };
            (kind, returned.clone(), false)
        }
    };
    if types::is_never(&answer) {
        errors.at(&answer, "this function never returns, so it has no answer to cache");
    } else if let Some(reference) = types::borrowed(&answer) {
        errors.at(
            reference,
            "a cache cannot hold borrowed values; return an owned value, such as a `String`, a `Vec` or an `Arc`",
        );
    } else if let Some(lifetime) = types::short_lifetime(&answer) {
        let message = format!(
            "a cached value lives as long as the program, so it must be `'static`, and this one borrows for `{lifetime}`; \
             return an owned value, such as a `String`, a `Vec` or an `Arc`"
        );
        errors.at(lifetime, message);
    }
    (kind, answer, async_trait)
}

fn arguments(function: &ItemFn, errors: &mut Errors) -> Vec<Argument> {
    let mut arguments = Vec::new();
    for (index, input) in function.sig.inputs.iter().enumerate() {
        let FnArg::Typed(input) = input else { continue };
        let (cfg, attrs) = input.attrs.iter().cloned().partition(|attribute| attribute.path().is_ident("cfg"));
        let (name, mutability, pattern) = match &*input.pat {
            Pat::Ident(binding) if binding.ident == "self" => continue,
            Pat::Ident(binding) if binding.by_ref.is_none() && binding.subpat.is_none() => {
                (binding.ident.clone(), binding.mutability, None)
            }
            // Hygienic: no name of the body's can be this one.
            other => (format_ident!("__arg{index}", span = Span::mixed_site()), None, Some(other.clone())),
        };
        if let Some(found) = pattern.as_ref().and_then(pattern::macro_in) {
            errors.at(found, "the names in this macro are not known here; write the pattern out");
        }
        let (idents, reference) = match &pattern {
            Some(pattern) => (pattern::bindings(pattern), true),
            None => (vec![name.clone()], types::is_reference(&input.ty)),
        };
        let bindings =
            idents.into_iter().map(|ident| Binding { name: names::plain(&ident), ident, reference }).collect();
        let ty = (*input.ty).clone();
        let writable = types::writable(&ty);
        arguments.push(Argument { cfg, attrs, name, mutability, ty, pattern, bindings, writable });
    }
    arguments
}

/// Whether a function without `self` must be in an `impl` or a trait, as it uses `Self`.
fn is_associated(function: &ItemFn) -> bool {
    struct Find(bool);
    impl Visit<'_> for Find {
        // An inner item has a `Self` of its own, or none.
        fn visit_item(&mut self, _: &Item) {}

        fn visit_ident(&mut self, ident: &Ident) {
            self.0 |= ident == "Self";
        }

        fn visit_macro(&mut self, found: &syn::Macro) {
            self.0 |= mentions_self_type(&found.tokens);
            visit::visit_macro(self, found);
        }
    }
    let mut find = Find(false);
    find.visit_signature(&function.sig);
    find.visit_block(&function.block);
    find.0
}

/// Whether tokens contain `Self`.
pub(crate) fn mentions_self_type(tokens: &TokenStream) -> bool {
    mentions(tokens, "Self")
}

/// Whether tokens contain this word.
pub(crate) fn mentions(tokens: &TokenStream, word: &str) -> bool {
    tokens.clone().into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == word,
        TokenTree::Group(group) => mentions(&group.stream(), word),
        _ => false,
    })
}

/// The inner attributes of a function's block, as outer ones: they would not be allowed where the block goes.
pub(crate) fn outer(attribute: &Attribute) -> Attribute {
    Attribute { style: syn::AttrStyle::Outer, ..attribute.clone() }
}

/// Attributes that the body needs wherever it goes: `#[cfg]` and lint levels.
pub(crate) fn carried(attribute: &Attribute) -> Option<Attribute> {
    let is = |name: &str| attribute.path().is_ident(name);
    if is("expect") {
        // The lint fires in one of the two functions at most, so that the other's expectation would be an error.
        let mut allow = outer(attribute);
        if let syn::Meta::List(list) = &mut allow.meta {
            list.path = Ident::new("allow", list.path.span()).into();
        }
        return Some(allow);
    }
    ["cfg", "allow", "warn", "deny", "forbid"].into_iter().any(is).then(|| outer(attribute))
}
