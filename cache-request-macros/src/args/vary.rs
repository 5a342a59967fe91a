//! `vary(…)`: more parts of the key.

use syn::{Expr, ExprLit, Ident, Lit, LitStr, Token, ext::IdentExt, parse::ParseStream, spanned::Spanned};

use super::{after_equals, in_parentheses};
use crate::names;

/// One part in `vary(…)`.
pub(crate) struct Extra {
    pub(crate) name: String,
    pub(crate) value: ExtraValue,
}

pub(crate) enum ExtraValue {
    Expression(Expr),
    /// `header("accept-language")` or `cookie("theme")`: a field of the request, whose name is in the form that it is looked up by.
    Field {
        kind: FieldKind,
        name: LitStr,
    },
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum FieldKind {
    Header,
    Cookie,
}

/// Parses the list in the parentheses.
pub(super) fn vary(input: ParseStream<'_>) -> syn::Result<Vec<Extra>> {
    in_parentheses(input, "expected more parts of the key, such as `lang = lang()`", |input| {
        if input.peek2(Token![=]) && !input.peek2(Token![==]) {
            let name = input.call(Ident::parse_any)?;
            return Ok(Extra { name: names::plain(&name), value: ExtraValue::Expression(after_equals(input)?) });
        }
        let value = input.parse()?;
        if let Some(field) = field(&value) {
            return field;
        }
        let name = dotted(&value).ok_or_else(|| {
            syn::Error::new(value.span(), "this part of the key needs a name; write `vary(name = …)`")
        })?;
        Ok(Extra { name, value: ExtraValue::Expression(value) })
    })
}

/// `header("…")` or `cookie("…")` without a name of its own: a field of the request. With a name, it is a call of the user's function.
fn field(value: &Expr) -> Option<syn::Result<Extra>> {
    let Expr::Call(call) = value else { return None };
    let Expr::Path(function) = &*call.func else { return None };
    let kind = match function.path.get_ident()?.to_string().as_str() {
        "header" => FieldKind::Header,
        "cookie" => FieldKind::Cookie,
        _ => return None,
    };
    let Some(Expr::Lit(ExprLit { lit: Lit::Str(name), .. })) = call.args.first().filter(|_| call.args.len() == 1)
    else {
        let message = "expected a name in quotes, such as `header(\"accept-language\")`; a function of yours needs a name for its part, as in \
                       `vary(name = header(…))`";
        return Some(Err(syn::Error::new(value.span(), message)));
    };
    let text = name.value();
    if text.is_empty() || !text.bytes().all(is_token) {
        let message = "expected the name of a header field or a cookie, such as `header(\"accept-language\")`";
        return Some(Err(syn::Error::new(name.span(), message)));
    }
    let (text, prefix) = match kind {
        FieldKind::Header => (text.to_ascii_lowercase(), "header"),
        FieldKind::Cookie => (text, "cookie"),
    };
    let name = LitStr::new(&text, name.span());
    Some(Ok(Extra { name: format!("{prefix}.{text}"), value: ExtraValue::Field { kind, name } }))
}

/// The characters of names (RFC 9110, section 5.6.2; RFC 6265, section 4.1.1).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The name of a part that is given as `self.region`. None for other expressions.
fn dotted(expression: &Expr) -> Option<String> {
    match expression {
        Expr::Path(path) if path.qself.is_none() && path.path.segments.iter().all(|step| step.arguments.is_none()) => {
            let steps: Vec<_> = path.path.segments.iter().map(|step| names::plain(&step.ident)).collect();
            Some(steps.join("::"))
        }
        Expr::Field(field) => {
            let member = match &field.member {
                syn::Member::Named(name) => names::plain(name),
                syn::Member::Unnamed(index) => index.index.to_string(),
            };
            dotted(&field.base).map(|base| format!("{base}.{member}"))
        }
        _ => None,
    }
}
