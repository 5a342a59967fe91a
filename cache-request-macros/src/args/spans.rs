//! Grammar of the arguments that say how long a value is of use beside its timeout.

use proc_macro2::Span;
use syn::{Expr, ExprLit, ExprUnary, Lit, Token, UnOp, parse::ParseStream, spanned::Spanned};

use super::{Timeout, after_equals, timeout};

/// A time that is neither zero nor for ever.
pub(super) fn span(input: ParseStream<'_>) -> syn::Result<Timeout> {
    let place = value_of(input);
    match timeout(input)? {
        Timeout::Fixed(fixed) if fixed.is_zero() => {
            Err(syn::Error::new(place, "this is zero, which means nothing here; leave the argument out"))
        }
        Timeout::Never => Err(syn::Error::new(place, "expected a time that ends, such as `60` or `\"5m\"`")),
        span => Ok(span),
    }
}

/// The place of the value behind the `=`.
fn value_of(input: ParseStream<'_>) -> Span {
    let ahead = input.fork();
    _ = ahead.parse::<Token![=]>();
    ahead.span()
}

/// A share between zero and one, without both.
pub(super) fn share(input: ParseStream<'_>) -> syn::Result<Expr> {
    let value = after_equals(input)?;
    let message = "expected a share between 0 and 1, such as `0.9`";
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Float(share), .. })
            if share.base10_parse::<f64>().is_ok_and(|share| 0.0 < share && share < 1.0) => {}
        Expr::Lit(_) | Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => {
            return Err(syn::Error::new(value.span(), message));
        }
        _ => {}
    }
    Ok(value)
}
