//! How an argument is owned by a body that runs in the background, and lent to it there.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{GenericArgument, PathArguments, ReceiverKind, Type, TypeReference, spanned::Spanned};

use crate::{signature::Signature, types};

/// How the type of an argument borrows.
enum Borrowing<'a> {
    /// `&T`
    Reference(&'a Type),
    /// `Option<&T>`
    Optional(&'a Type),
    /// `Cow<'_, T>`
    Cow(&'a Type),
    /// Not at all, or for ever, as far as the tokens say.
    Nothing,
}

/// One argument in the function that begins a body in the background.
pub(crate) struct OwnedArgument {
    /// Its type there.
    pub(crate) ty: TokenStream,
    /// Makes it from the argument, by reference.
    pub(crate) own: TokenStream,
    /// Makes the argument from it.
    pub(crate) lend: TokenStream,
    /// The argument is moved into the body of a call, so that it has to be owned before.
    pub(crate) is_moved: bool,
}

impl<'a> Borrowing<'a> {
    fn of(ty: &'a Type) -> Self {
        let is_lent = |reference: &TypeReference| !types::is_static(reference.lifetime.as_ref());
        match types::without_parens(ty) {
            Type::Reference(reference) if is_lent(reference) => Self::Reference(&reference.elem),
            Type::Path(path) if path.qself.is_none() => match path.path.segments.last() {
                Some(last) if last.ident == "Option" => match argument_of(&last.arguments) {
                    Some(Type::Reference(reference)) if is_lent(reference) => Self::Optional(&reference.elem),
                    _ => Self::Nothing,
                },
                Some(last) if last.ident == "Cow" && !has_static(&last.arguments) => {
                    argument_of(&last.arguments).map_or(Self::Nothing, Self::Cow)
                }
                _ => Self::Nothing,
            },
            _ => Self::Nothing,
        }
    }

    /// What has to be owned.
    fn inside(&self, ty: &'a Type) -> &'a Type {
        match self {
            Self::Reference(inside) | Self::Optional(inside) | Self::Cow(inside) => inside,
            Self::Nothing => ty,
        }
    }
}

fn argument_of(arguments: &PathArguments) -> Option<&Type> {
    let PathArguments::AngleBracketed(arguments) = arguments else { return None };
    arguments.args.iter().find_map(|argument| match argument {
        GenericArgument::Type(ty) => Some(types::without_parens(ty)),
        _ => None,
    })
}

fn has_static(arguments: &PathArguments) -> bool {
    let PathArguments::AngleBracketed(arguments) = arguments else { return false };
    let is_static = |argument: &GenericArgument| match argument {
        GenericArgument::Lifetime(lifetime) => types::is_static(Some(lifetime)),
        _ => false,
    };
    arguments.args.iter().any(is_static)
}

/// What in a type cannot be owned.
pub(crate) fn unownable(ty: &Type) -> Option<TokenStream> {
    if let Some(writable) = types::writable(ty) {
        return Some(quote!(#writable));
    }
    types::borrows(Borrowing::of(ty).inside(ty))
}

/// The argument `name` of this type.
pub(crate) fn argument(name: &Ident, ty: &Type, private: &TokenStream) -> OwnedArgument {
    let place = ty.span();
    let borrowing = Borrowing::of(ty);
    let inside = borrowing.inside(ty);
    let owned = quote_spanned!(place=> <#inside as #private::Ownable>::Owned);
    let borrow = quote!(::core::borrow::Borrow::<#inside>::borrow);
    let own = quote_spanned!(place=> #private::Ownable::own);
    match borrowing {
        Borrowing::Reference(_) => {
            OwnedArgument { ty: owned, own: quote!(#own(#name)), lend: quote!(#borrow(&#name)), is_moved: false }
        }
        Borrowing::Optional(_) => OwnedArgument {
            ty: quote!(::core::option::Option<#owned>),
            own: quote!(#name.map(#own)),
            lend: quote!(#name.as_ref().map(#borrow)),
            is_moved: false,
        },
        Borrowing::Cow(_) => OwnedArgument {
            ty: owned,
            own: quote!(#own(&*#name)),
            lend: quote!(::std::borrow::Cow::Borrowed(#borrow(&#name))),
            is_moved: true,
        },
        Borrowing::Nothing => OwnedArgument {
            ty: quote!(#ty),
            own: quote_spanned!(place=> #private::Spare::spare(&#name)),
            lend: quote!(#name),
            is_moved: true,
        },
    }
}

/// The receiver, known as `this` where it is owned.
pub(crate) fn receiver(signature: &Signature, this: &Ident, private: &TokenStream) -> Option<OwnedArgument> {
    let receiver = signature.receiver()?;
    let (token, place) = (receiver.self_token, receiver.span());
    let own = quote_spanned!(place=> #private::Spare::spare);
    Some(match &receiver.kind {
        ReceiverKind::Reference(..) => {
            OwnedArgument { ty: quote!(Self), own: quote!(#own(#token)), lend: quote!(&#this), is_moved: false }
        }
        ReceiverKind::Typed(_, ty) => match types::without_parens(ty) {
            Type::Reference(reference) => {
                let inside = &reference.elem;
                OwnedArgument { ty: quote!(#inside), own: quote!(#own(#token)), lend: quote!(&#this), is_moved: false }
            }
            ty => OwnedArgument { ty: quote!(#ty), own: quote!(#own(&#token)), lend: quote!(#this), is_moved: true },
        },
        _ => OwnedArgument { ty: quote!(Self), own: quote!(#own(&#token)), lend: quote!(#this), is_moved: true },
    })
}
