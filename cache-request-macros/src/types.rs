//! Answers questions about types by their tokens.

use proc_macro2::{Delimiter, TokenTree};
use syn::{
    GenericArgument, Lifetime, PathArguments, PathSegment, Receiver, ReceiverKind, ReturnType, Type, TypeFnPtr,
    TypeImplTrait, TypeParamBound, TypeReference, TypeTraitObject,
    visit::{self, Visit},
    visit_mut::{self, VisitMut},
};

/// A function's `-> impl Future<Output = T>`, or the boxed one.
pub(crate) struct FutureType {
    pub(crate) output: Type,
    pub(crate) boxed: bool,
    /// It has `'async_trait`: the attribute of that name has already expanded.
    pub(crate) async_trait: bool,
}

/// The future that a return type is, if it is one. `None` for an output means that the type does not say it.
pub(crate) fn future(ty: &Type) -> Option<Result<FutureType, &Type>> {
    let ty = without_parens(ty);
    let (bounds, boxed) = match ty {
        Type::ImplTrait(opaque) => (&opaque.bounds, false),
        _ => {
            let Type::TraitObject(object) = inner(inner(ty, "Pin")?, "Box")? else { return None };
            (&object.bounds, true)
        }
    };
    let bound = bounds.iter().find_map(|bound| match bound {
        TypeParamBound::Trait(bound) => bound.path.segments.last().filter(|last| last.ident == "Future"),
        _ => None,
    })?;
    let async_trait =
        bounds.iter().any(|bound| matches!(bound, TypeParamBound::Lifetime(name) if name.ident == "async_trait"));
    Some(match output(bound) {
        Some(output) => Ok(FutureType { output: output.clone(), boxed, async_trait }),
        None => Err(ty),
    })
}

fn output(bound: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &bound.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::AssocType(assoc) if assoc.ident == "Output" => Some(&assoc.ty),
        _ => None,
    })
}

/// `T` of `Name<T>`.
fn inner<'a>(ty: &'a Type, name: &str) -> Option<&'a Type> {
    let last = last_segment(ty)?;
    if last.ident != name {
        return None;
    }
    first_argument(last)
}

fn first_argument(segment: &PathSegment) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = &segment.arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(without_parens(ty)),
        _ => None,
    })
}

fn last_segment(ty: &Type) -> Option<&PathSegment> {
    match without_parens(ty) {
        Type::Path(path) if path.qself.is_none() => path.path.segments.last(),
        _ => None,
    }
}

pub(crate) fn without_parens(mut ty: &Type) -> &Type {
    loop {
        ty = match ty {
            Type::Paren(paren) => &paren.elem,
            Type::Group(group) => &group.elem,
            _ => return ty,
        }
    }
}

pub(crate) fn is_never(ty: &Type) -> bool {
    matches!(without_parens(ty), Type::Never(_))
}

/// Whether `self` is a reference already.
pub(crate) fn is_reference_to_self(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(..) => true,
        ReceiverKind::Typed(_, ty) => is_reference(ty),
        _ => false,
    }
}

/// Whether a body may write through `self`.
pub(crate) fn is_writable_self(receiver: &Receiver) -> bool {
    match &receiver.kind {
        ReceiverKind::Reference(_, _, mutability) => mutability.is_some(),
        ReceiverKind::Typed(_, ty) => writable(ty).is_some(),
        _ => false,
    }
}

/// `&T`, whose argument is a reference already.
pub(crate) fn is_reference(ty: &Type) -> bool {
    matches!(without_parens(ty), Type::Reference(_))
}

/// Whether a type cannot be a `Result`. A name may be an alias of one, so only what the prelude and the language name
/// is certain.
pub(crate) fn is_certainly_no_result(ty: &Type) -> bool {
    match without_parens(ty) {
        Type::Path(path) => {
            path.path.get_ident().is_some_and(|name| {
                matches!(
                    name.to_string().as_str(),
                    "bool"
                        | "char"
                        | "f32"
                        | "f64"
                        | "i8"
                        | "i16"
                        | "i32"
                        | "i64"
                        | "i128"
                        | "isize"
                        | "u8"
                        | "u16"
                        | "u32"
                        | "u64"
                        | "u128"
                        | "usize"
                        | "String"
                )
            }) || matches!(last_segment(ty), Some(last) if matches!(last.ident.to_string().as_str(), "Option" | "Vec" | "Box"))
        }
        Type::Macro(_) | Type::Verbatim(_) | Type::Infer(_) => false,
        _ => true,
    }
}

/// Whether a type may be a response with a body to read, by its name. An alias may be one.
pub(crate) fn may_be_response(ty: &Type) -> bool {
    match (without_parens(ty), last_segment(ty)) {
        (Type::Path(_), Some(last)) if last.ident == "Result" => first_argument(last).is_none_or(may_be_response),
        (Type::Path(_), _) => !is_certainly_no_result(ty),
        (Type::Macro(_) | Type::Verbatim(_), _) => true,
        _ => false,
    }
}

/// A list, and the type of its elements.
pub(crate) fn list(ty: &Type) -> Option<(List, &Type)> {
    match without_parens(ty) {
        Type::Reference(reference) if reference.mutability.is_none() => match without_parens(&reference.elem) {
            Type::Slice(slice) => Some((List::Slice, &slice.elem)),
            ty => Some((List::Reference, inner(ty, "Vec")?)),
        },
        ty => Some((List::Owned, inner(ty, "Vec")?)),
    }
}

/// How a function takes a list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum List {
    /// `&[T]`
    Slice,
    /// `&Vec<T>`
    Reference,
    /// `Vec<T>`
    Owned,
}

/// The type in words that do not depend on how it is borrowed or where it stands: `str` for a `String` or a `&str`.
pub(crate) fn in_words(ty: &Type) -> String {
    fn add(tokens: proc_macro2::TokenStream, words: &mut String) {
        let mut tokens = tokens.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == '&' => {}
                TokenTree::Punct(punct) if punct.as_char() == '\'' => _ = tokens.next(),
                TokenTree::Punct(punct) if punct.as_char() == ':' => {}
                TokenTree::Ident(ident) => {
                    let leads_on = matches!(tokens.peek(), Some(TokenTree::Punct(punct)) if punct.as_char() == ':');
                    let word = ident.to_string();
                    if !leads_on {
                        words.push_str(if word == "String" { "str" } else { &word });
                    }
                }
                TokenTree::Group(group) => {
                    let (open, close) = match group.delimiter() {
                        Delimiter::Parenthesis => ("(", ")"),
                        Delimiter::Bracket => ("[", "]"),
                        Delimiter::Brace => ("{", "}"),
                        Delimiter::None => ("", ""),
                    };
                    words.push_str(open);
                    add(group.stream(), words);
                    words.push_str(close);
                }
                other => words.push_str(&other.to_string()),
            }
        }
    }
    let mut words = String::new();
    add(quote::quote!(#ty), &mut words);
    words
}

/// The types that a type names, in their order, with `None` for those that depend on how they are borrowed, or that an item beside the function
/// could not name. Types that are equal [in words](in_words) name equally many.
pub(crate) fn named(ty: &Type) -> Vec<Option<Type>> {
    /// What keeps a type from being named, or from being the same for all functions.
    #[derive(Default)]
    struct Depends(bool);
    impl Visit<'_> for Depends {
        fn visit_type(&mut self, ty: &Type) {
            match ty {
                Type::Path(_) | Type::Tuple(_) | Type::Array(_) | Type::Paren(_) | Type::Group(_) => {
                    visit::visit_type(self, ty);
                }
                _ => self.0 = true,
            }
        }

        fn visit_path_segment(&mut self, segment: &PathSegment) {
            let name = segment.ident.to_string();
            // A type parameter or a constant of an `impl` has a name like the last.
            self.0 |= ["str", "String", "Self"].contains(&&*name) || !name.contains(char::is_lowercase);
            visit::visit_path_segment(self, segment);
        }

        fn visit_parenthesized_generic_arguments(&mut self, _: &syn::ParenthesizedGenericArguments) {
            self.0 = true;
        }
    }

    struct Anonymous;
    impl VisitMut for Anonymous {
        fn visit_lifetime_mut(&mut self, lifetime: &mut Lifetime) {
            *lifetime = Lifetime::new("'_", lifetime.span());
        }
    }

    struct Names(Vec<Option<Type>>);
    impl Visit<'_> for Names {
        fn visit_type_path(&mut self, path: &syn::TypePath) {
            let mut ty = Type::Path(path.clone());
            let mut depends = Depends::default();
            depends.visit_type(&ty);
            Anonymous.visit_type_mut(&mut ty);
            self.0.push((!depends.0).then_some(ty));
            visit::visit_type_path(self, path);
        }
    }

    let mut names = Names(Vec::new());
    names.visit_type(ty);
    names.0
}

/// How a type holds an `impl IntoResponse`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Responds {
    /// It is one.
    Always,
    /// It is a `Result` of one.
    IfOk,
}

/// Whether the type is an `impl IntoResponse` or a `Result` of one.
pub(crate) fn responds(ty: &Type) -> Option<Responds> {
    let is_response = |ty: &Type| match without_parens(ty) {
        Type::ImplTrait(opaque) => opaque.bounds.iter().any(|bound| match bound {
            TypeParamBound::Trait(bound) => bound.path.segments.last().is_some_and(|last| last.ident == "IntoResponse"),
            _ => false,
        }),
        _ => false,
    };
    if is_response(ty) {
        return Some(Responds::Always);
    }
    inner(ty, "Result").filter(|ok| is_response(ok)).map(|_| Responds::IfOk)
}

/// The reference with a lifetime shorter than `'static` that a cache would have to hold.
pub(crate) fn borrowed(ty: &Type) -> Option<TypeReference> {
    let mut found = FindReference { matches: |reference| !is_static(reference.lifetime.as_ref()), found: None };
    found.visit_type(kept(ty));
    found.found
}

/// A lifetime in a cached value's type that is not `'static`: `Msg<'a>`, `Box<dyn Iterator + 'a>`.
pub(crate) fn short_lifetime(ty: &Type) -> Option<Lifetime> {
    let mut find = FindLifetime::default();
    find.visit_type(kept(ty));
    find.found
}

#[derive(Default)]
struct FindLifetime {
    found: Option<Lifetime>,
}

impl Visit<'_> for FindLifetime {
    fn visit_lifetime(&mut self, lifetime: &Lifetime) {
        if self.found.is_none() && !is_static(Some(lifetime)) {
            self.found = Some(lifetime.clone());
        }
    }

    // The lifetimes of a function's own signature are not held by the value.
    fn visit_type_fn_ptr(&mut self, _: &TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &syn::ParenthesizedGenericArguments) {}
    fn visit_bound_lifetimes(&mut self, _: &syn::BoundLifetimes) {}
    fn visit_trait_bound(&mut self, bound: &syn::TraitBound) {
        if bound.lifetimes.is_none() {
            visit::visit_trait_bound(self, bound);
        }
    }
}

/// The first reference or short lifetime in the type of an argument, as tokens to point at.
pub(crate) fn borrows(ty: &Type) -> Option<proc_macro2::TokenStream> {
    let mut reference = FindReference { matches: |reference| !is_static(reference.lifetime.as_ref()), found: None };
    reference.visit_type(ty);
    let mut lifetime = FindLifetime::default();
    lifetime.visit_type(ty);
    reference.found.map(|found| quote::quote!(#found)).or_else(|| lifetime.found.map(|found| quote::quote!(#found)))
}

/// The elements of a tuple, or of a reference to one.
pub(crate) fn tuple(ty: &Type) -> Option<impl Iterator<Item = &Type>> {
    match without_parens(ty) {
        Type::Tuple(tuple) if !tuple.elems.is_empty() => Some(tuple.elems.iter()),
        Type::Reference(reference) => tuple(&reference.elem),
        _ => None,
    }
}

/// The part of an answer that a cache holds: the `Ok` value of a `Result`.
fn kept(ty: &Type) -> &Type {
    match last_segment(ty) {
        Some(last) if last.ident == "Result" => first_argument(last).unwrap_or(ty),
        _ => ty,
    }
}

/// A `&'static T` that a backend would have to read back from bytes. Only where that is certain: a type of the user may do anything with
/// its arguments.
pub(crate) fn unreadable(ty: &Type) -> Option<&TypeReference> {
    fn find(ty: &Type) -> Option<&TypeReference> {
        const HOLD_THEIR_ARGUMENTS: [&str; 8] =
            ["Option", "Vec", "Box", "VecDeque", "BTreeSet", "HashSet", "BTreeMap", "HashMap"];
        match without_parens(ty) {
            Type::Reference(reference) => Some(reference),
            Type::Array(array) => find(&array.elem),
            Type::Tuple(tuple) => tuple.elems.iter().find_map(find),
            ty => {
                let last =
                    last_segment(ty).filter(|last| HOLD_THEIR_ARGUMENTS.iter().any(|name| last.ident == name))?;
                let PathArguments::AngleBracketed(arguments) = &last.arguments else { return None };
                arguments.args.iter().find_map(|argument| match argument {
                    GenericArgument::Type(ty) => find(ty),
                    _ => None,
                })
            }
        }
    }
    find(kept(ty)).filter(|reference| is_static(reference.lifetime.as_ref()))
}

pub(crate) fn is_text(ty: &Type) -> bool {
    last_segment(ty).is_some_and(|last| last.ident == "str")
}

pub(crate) fn is_static(lifetime: Option<&Lifetime>) -> bool {
    lifetime.is_some_and(|lifetime| lifetime.ident == "static")
}

/// The `&mut` through which a body may write.
pub(crate) fn writable(ty: &Type) -> Option<TypeReference> {
    let mut found = FindReference { matches: |reference| reference.mutability.is_some(), found: None };
    found.visit_type(ty);
    found.found
}

struct FindReference {
    matches: fn(&TypeReference) -> bool,
    found: Option<TypeReference>,
}

impl Visit<'_> for FindReference {
    fn visit_type_reference(&mut self, reference: &TypeReference) {
        if self.found.is_none() && (self.matches)(reference) {
            self.found = Some(reference.clone());
        }
        visit::visit_type_reference(self, reference);
    }

    // The references of a function's or a closure's own signature are not held by the value.
    fn visit_type_fn_ptr(&mut self, _: &TypeFnPtr) {}
    fn visit_parenthesized_generic_arguments(&mut self, _: &syn::ParenthesizedGenericArguments) {}
    fn visit_type_trait_object(&mut self, _: &TypeTraitObject) {}
}

/// The `impl Trait` inside a type.
pub(crate) fn opaque(ty: &Type) -> Option<TypeImplTrait> {
    struct Find(Option<TypeImplTrait>);
    impl Visit<'_> for Find {
        fn visit_type_impl_trait(&mut self, opaque: &TypeImplTrait) {
            self.0.get_or_insert_with(|| opaque.clone());
        }
    }
    let mut find = Find(None);
    find.visit_type(ty);
    find.0
}

/// The type with `_` for each `impl Trait`, as an expression may name it.
pub(crate) fn inferred(ty: &Type) -> Type {
    replaced(ty, &Type::Infer(syn::TypeInfer { attrs: Vec::new(), underscore_token: <syn::Token![_]>::default() }))
}

/// The type with another one for each `impl Trait`.
pub(crate) fn replaced(ty: &Type, other: &Type) -> Type {
    struct Replace<'a>(&'a Type);
    impl VisitMut for Replace<'_> {
        fn visit_type_mut(&mut self, ty: &mut Type) {
            if let Type::ImplTrait(_) = ty {
                *ty = self.0.clone();
            } else {
                visit_mut::visit_type_mut(self, ty);
            }
        }
    }
    let mut ty = ty.clone();
    Replace(other).visit_type_mut(&mut ty);
    ty
}

/// What a function returns, `()` if it does not say.
pub(crate) fn returned(output: &ReturnType) -> Option<&Type> {
    match output {
        ReturnType::Default => None,
        ReturnType::Type(_, ty) => Some(ty),
    }
}
