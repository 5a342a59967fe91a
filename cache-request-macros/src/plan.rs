//! Joins the attribute's arguments with the function: finds the parts of the key, and contradictions.

mod each;
mod tags;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::{Attribute, Expr, Type, spanned::Spanned};

use crate::{
    args::{Args, Extra, ExtraValue, FieldKind, Given, HandleArg, OwnKey, is_set},
    errors::Errors,
    names, owned,
    signature::{Argument, Binding, Kind, Signature, mentions},
    template::{Placeholder, Template},
    types,
};

pub(crate) use self::{
    each::EachPlan,
    tags::{TagPlan, TagsPlan},
};

/// All that the expansion needs. With it, the expansion cannot fail.
pub(crate) struct Plan {
    pub(crate) args: Args,
    pub(crate) signature: Signature,
    pub(crate) key: KeyPlan,
    pub(crate) tags: TagsPlan,
    pub(crate) companion: bool,
    pub(crate) replacement: Replacement,
    /// The function is over a list. Everything else is then of a function over one element.
    pub(crate) each: Option<EachPlan>,
}

/// Who runs the body for a value that may still be returned.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replacement {
    /// There are no such values.
    Never,
    /// One of the callers.
    Foreground,
    Background,
}

/// What the key is made of.
pub(crate) enum KeyPlan {
    /// Named parts, in order, and the text around them if the key is a text of the user's own.
    Parts { parts: Vec<Part>, pieces: Option<Vec<String>> },
    /// The value that the user's function returns for these references.
    Function { function: Expr, references: Vec<Part> },
}

/// One part of the key.
pub(crate) struct Part {
    pub(crate) name: String,
    /// A reference to it, or the name of a field.
    pub(crate) value: TokenStream,
    pub(crate) origin: Origin,
    /// Where an error about it belongs.
    pub(crate) span: Span,
    pub(crate) cfg: Vec<Attribute>,
}

/// Where a part of the key comes from.
pub(crate) enum Origin {
    /// An argument of this type.
    Argument(Box<Type>),
    /// A name in the pattern of this argument.
    Binding(Ident),
    /// The attribute names it, so it is a part whatever its type is.
    Named,
    /// A field of the request that is among the arguments.
    Field(FieldKind),
}

/// Finds the parts of the key, and contradictions.
pub(crate) fn join(mut args: Args, mut signature: Signature, errors: &mut Errors) -> Plan {
    let place = signature.answer.span();
    let private = private(&args, place);
    signature.respond(&syn::parse_quote_spanned!(place=> #private::Response));
    unknown_skips(&args, &signature, errors);
    written_arguments(&args, &signature, errors);
    receiver(&args, &signature, errors);
    answer(&args, &signature, errors);
    detached(&args, &signature, errors);
    let replacement = replacement(&args, &signature, errors);
    shared(&args, &signature, errors);
    let each = each::join(&args, &mut signature, errors);
    let key = match args.key.take().map(|key| key.value) {
        None => KeyPlan::Parts { parts: parts(&args, &signature, errors), pieces: None },
        Some(OwnKey::Template(template)) => {
            if let Some(each) = &each {
                each::is_in(&template, &signature.arguments[each.list], errors);
            }
            template_key(template, &signature, errors)
        }
        Some(OwnKey::Function(function)) => KeyPlan::Function { function, references: references(&args, &signature) },
    };
    let tags = tags::join(&mut args, &signature, errors);
    let companion = has_companion(&args, &signature);
    Plan { args, signature, key, tags, companion, replacement, each }
}

/// The library's module for the expansion, at a place.
pub(crate) fn private(args: &Args, place: Span) -> TokenStream {
    match &args.krate {
        Some(krate) => {
            let path = &krate.value;
            quote_spanned!(place=> #path::__private)
        }
        None => quote_spanned!(place=> ::cache_request::__private),
    }
}

fn has_companion(args: &Args, signature: &Signature) -> bool {
    let refused = args.handle.as_ref().is_some_and(|handle| handle.value == HandleArg::No);
    !refused && !signature.async_trait
}

fn skips(args: &Args, name: &str) -> bool {
    args.skip.iter().flat_map(|skip| &skip.value).any(|skipped| names::plain(skipped) == name)
}

/// "`self`, `id` and `lang`".
fn all_names(signature: &Signature) -> String {
    let receiver = signature.receiver().map(|_| "self");
    names::list(receiver.into_iter().chain(signature.bindings().map(|binding| binding.name.as_str())))
}

fn unknown_skips(args: &Args, signature: &Signature, errors: &mut Errors) {
    let mut before: Vec<String> = Vec::new();
    for skipped in args.skip.iter().flat_map(|skip| &skip.value) {
        let name = names::plain(skipped);
        let known = signature.bindings().any(|binding| binding.name == name)
            || (name == "self" && signature.receiver().is_some());
        if !known {
            errors.at(
                skipped,
                format!("there is no argument `{name}` to skip; the arguments are {}", all_names(signature)),
            );
        } else if before.contains(&name) {
            errors.at(skipped, format!("`{name}` is skipped twice"));
        }
        before.push(name);
    }
}

/// An argument that the body may write through: a hit would not write.
fn written_arguments(args: &Args, signature: &Signature, errors: &mut Errors) {
    // A `key` that names its arguments leaves the others out on purpose.
    if matches!(&args.key, Some(Given { value: OwnKey::Template(_), .. })) {
        return;
    }
    let message = |name: &str| {
        format!(
            "a hit does not repeat what the body writes through `{name}`; take it by value or by `&`, or write \
             `skip({name})` if no caller needs what is written"
        )
    };
    if let Some(receiver) = signature.receiver()
        && types::is_writable_self(receiver)
        && !skips(args, "self")
    {
        errors.at(receiver, message("self"));
    }
    for argument in &signature.arguments {
        if let Some(reference) = &argument.writable
            && let Some(binding) = argument.bindings.iter().find(|binding| !skips(args, &binding.name))
        {
            errors.at(reference, message(&binding.name));
        }
    }
}

/// A detached body outlives its call, so it owns its arguments.
fn detached(args: &Args, signature: &Signature, errors: &mut Errors) {
    let Some(detach) = args.detach.as_ref().filter(|flag| flag.value) else { return };
    if signature.kind == Kind::Plain {
        errors.at(&detach.name.ident, "`detach` is for async functions: a plain one cannot be cancelled; remove it");
        return;
    }
    if !has_companion(args, signature) {
        errors.at(&detach.name.ident, "`detach` needs the companion function; remove `handle = false`, or `detach`");
    }
    let message = "with `detach` the body may outlive its call, so it must own its arguments";
    if let Some(receiver) = signature.receiver()
        && types::is_reference_to_self(receiver)
    {
        errors.at(receiver, format!("{message}; take `self: Arc<Self>`, or `self` by value"));
    }
    for argument in &signature.arguments {
        if let Some(lifetime) = types::borrows(&argument.ty) {
            errors
                .at(lifetime, format!("{message}; take an owned value here, such as a `String`, a `Vec` or an `Arc`"));
        }
        if types::opaque(&argument.ty).is_some() {
            errors.at(&argument.ty, "`detach` needs arguments whose types have names; use a type parameter");
        }
    }
}

/// A body in the background owns its arguments.
fn replacement(args: &Args, signature: &Signature, errors: &mut Errors) -> Replacement {
    let given = [&args.stale, &args.stale_after].into_iter().find_map(|slot| slot.as_ref().map(|given| &given.name));
    let Some(given) = given.or(args.early.as_ref().map(|given| &given.name)) else {
        return Replacement::Never;
    };
    if is_set(&args.foreground) {
        return Replacement::Foreground;
    }
    let message = "a new value is made in the background, where the body must own this argument; take an owned value or a plain \
                   reference to one, or write `foreground`, so that one of the callers makes it";
    for argument in &signature.arguments {
        if let Some(place) = owned::unownable(&argument.ty) {
            errors.at(place, message);
        }
        if types::opaque(&argument.ty).is_some() {
            errors.at(&argument.ty, "a body in the background needs arguments whose types have names; use a type parameter, or write `foreground`");
        }
    }
    if let Some(receiver) = signature.receiver().filter(|receiver| types::is_writable_self(receiver)) {
        errors.at(receiver, message);
    }
    if !has_companion(args, signature) {
        let given = names::plain(&given.ident);
        let message = format!(
            "without a companion function, no body runs in the background; write `foreground` beside `{given}`"
        );
        errors.push(syn::Error::new(signature.function.sig.ident.span(), message));
    }
    Replacement::Background
}

/// Entries are found by the name that functions share, so those of two instances would be mixed up.
fn shared(args: &Args, signature: &Signature, errors: &mut Errors) {
    let Some(share) = &args.share else { return };
    let is_generic = |parameter: &syn::GenericParam| !matches!(parameter, syn::GenericParam::Lifetime(_));
    if signature.function.sig.generics.params.iter().any(is_generic) {
        errors.at(
            &share.name.ident,
            "a generic function has entries of its own for each of its types, so it cannot share them; remove `share`",
        );
    }
}

/// `self` has to be named in `skip` or `vary`: it is seldom meant as a whole.
fn receiver(args: &Args, signature: &Signature, errors: &mut Errors) {
    let Some(receiver) = signature.receiver() else { return };
    let varied = args.vary.iter().flat_map(|vary| &vary.value).any(|extra| match &extra.value {
        ExtraValue::Expression(value) => mentions(&value.to_token_stream(), "self"),
        ExtraValue::Field { .. } => false,
    });
    let written = types::is_writable_self(receiver);
    if args.key.is_none() && !skips(args, "self") && !varied && !written {
        errors.at(
            receiver.self_token,
            "is `self` part of the key? Write `skip(self)` if the answer does not depend on it, or `vary(self.field)` \
             with the fields on which it does",
        );
    }
}

/// Checks the return type against the attribute's arguments.
fn answer(args: &Args, signature: &Signature, errors: &mut Errors) {
    if let Some(opaque) = &signature.opaque
        && has_companion(args, signature)
    {
        errors.at(
            opaque,
            "the companion function cannot name this `impl` type; write `handle = false` to go without it, or return \
             a type that has a name",
        );
    }
    if let Some(reference) = types::unreadable(&signature.answer).filter(|_| !is_set(&args.local)) {
        let owned = if types::is_text(&reference.elem) {
            "a `String` or a `Cow<'static, str>`"
        } else {
            "an owned value, such as a `Vec` or an `Arc`"
        };
        errors.at(
            reference,
            format!(
                "a cache that keeps bytes cannot make a `'static` reference of them; return {owned}, or write `local`"
            ),
        );
    }
    let flags =
        [&args.cache_err, &args.share_err].into_iter().flatten().filter(|flag| flag.value).map(|flag| &flag.name);
    for name in flags.chain(args.timeout_err.as_ref().map(|given| &given.name)) {
        if types::is_certainly_no_result(&signature.answer) {
            let name = &name.ident;
            errors.at(name, format!("`{name}` needs a function that returns a `Result`; remove it"));
        }
    }
}

fn parts(args: &Args, signature: &Signature, errors: &mut Errors) -> Vec<Part> {
    let mut parts = Vec::new();
    for argument in &signature.arguments {
        let kept = argument.bindings.iter().filter(|binding| !skips(args, &binding.name));
        parts.extend(kept.map(|binding| part(argument, binding)));
    }
    for Extra { name, value } in args.vary.iter().flat_map(|vary| &vary.value) {
        let (value, origin, span) = match value {
            ExtraValue::Expression(value) => {
                if skips(args, name) && value.to_token_stream().to_string() == *name {
                    errors.at(value, format!("`{name}` is skipped and varied on; keep one of the two"));
                }
                (quote_spanned!(value.span()=> &(#value)), Origin::Named, value.span())
            }
            ExtraValue::Field { kind, name } => (quote!(#name), Origin::Field(*kind), name.span()),
        };
        if parts.iter().any(|part| part.name == *name) {
            let message =
                format!("`{name}` is part of the key already; give this part another name, or skip the first");
            errors.push(syn::Error::new(span, message));
        }
        parts.push(Part { name: name.clone(), value, origin, span, cfg: Vec::new() });
    }
    parts
}

fn part(argument: &Argument, binding: &Binding) -> Part {
    let ident = &binding.ident;
    let span = ident.span();
    let value = if binding.reference { quote!(#ident) } else { quote_spanned!(span=> &#ident) };
    let origin = match argument.pattern {
        None => Origin::Argument(Box::new(argument.ty.clone())),
        Some(_) => Origin::Binding(argument.name.clone()),
    };
    Part { name: binding.name.clone(), value, origin, span, cfg: argument.cfg.clone() }
}

fn template_key(template: Template, signature: &Signature, errors: &mut Errors) -> KeyPlan {
    let mut parts = Vec::new();
    for placeholder in template.placeholders {
        match filled(&placeholder, signature) {
            Some(part) => parts.push(part),
            None => errors.push(syn::Error::new(placeholder.span, no_argument(&placeholder, signature))),
        }
    }
    KeyPlan::Parts { parts, pieces: Some(template.pieces) }
}

fn no_argument(placeholder: &Placeholder, signature: &Signature) -> String {
    let (root, names) = (&placeholder.root, all_names(signature));
    format!("there is no argument `{root}` for this placeholder; the arguments are {names}")
}

fn filled(placeholder: &Placeholder, signature: &Signature) -> Option<Part> {
    let Placeholder { text, root, fields, span } = placeholder;
    if root == "self" {
        let this = signature.receiver()?.self_token;
        return Some(Part {
            name: text.clone(),
            value: quote_spanned!(*span=> &#this #(.#fields)*),
            origin: Origin::Named,
            span: *span,
            cfg: Vec::new(),
        });
    }
    let (argument, binding) = bound(root, signature)?;
    let ident = &binding.ident;
    let whole = part(argument, binding);
    let value = if fields.is_empty() { whole.value } else { quote_spanned!(*span=> &#ident #(.#fields)*) };
    Some(Part { name: text.clone(), value, origin: Origin::Named, ..whole })
}

/// The argument that binds this name, and how.
fn bound<'a>(name: &str, signature: &'a Signature) -> Option<(&'a Argument, &'a Binding)> {
    signature.arguments.iter().find_map(|argument| {
        let binding = argument.bindings.iter().find(|binding| binding.name == name)?;
        Some((argument, binding))
    })
}

/// The arguments of the user's key function.
fn references(args: &Args, signature: &Signature) -> Vec<Part> {
    let receiver = signature.receiver().filter(|_| !skips(args, "self")).map(|receiver| {
        let this = receiver.self_token;
        let value = if types::is_reference_to_self(receiver) { quote!(#this) } else { quote!(&#this) };
        Part { name: "self".to_owned(), value, origin: Origin::Named, span: this.span(), cfg: Vec::new() }
    });
    let arguments = signature.arguments.iter().flat_map(|argument| {
        let kept = argument.bindings.iter().filter(|binding| !skips(args, &binding.name));
        kept.map(|binding| part(argument, binding))
    });
    receiver.into_iter().chain(arguments).collect()
}
