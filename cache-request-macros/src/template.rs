//! `key = "article:{id}:{user.lang}"`, `tags("article:{id}")`: a text with placeholders.

use proc_macro2::Span;
use syn::LitStr;

/// An own key or a tag, with placeholders.
pub(crate) struct Template {
    /// The text before each placeholder and after the last one: one more than there are placeholders.
    pub(crate) pieces: Vec<String>,
    pub(crate) placeholders: Vec<Placeholder>,
}

/// `{id}`, or `{user.lang}`.
pub(crate) struct Placeholder {
    /// As it is written.
    pub(crate) text: String,
    /// The argument, or `value` in a tag: `user`.
    pub(crate) root: String,
    /// The field that is taken: `lang`.
    pub(crate) fields: Vec<syn::Member>,
    pub(crate) span: Span,
}

/// Parses the literal of `what` it is. Errors have its span.
pub(crate) fn read(literal: &LitStr, what: &str) -> syn::Result<Template> {
    let text = literal.value();
    let error = |message: &str| syn::Error::new(literal.span(), message);
    let mut template = Template { pieces: Vec::new(), placeholders: Vec::new() };
    let mut piece = String::new();
    let mut rest = text.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '{' | '}' if rest.next_if_eq(&letter).is_some() => piece.push(letter),
            '{' => {
                let mut inside = String::new();
                loop {
                    match rest.next() {
                        Some('}') => break,
                        Some('{') | None => return Err(error("this `{` is never closed; write `{{` for a brace")),
                        Some(letter) => inside.push(letter),
                    }
                }
                template.pieces.push(std::mem::take(&mut piece));
                template.placeholders.push(placeholder(&inside, literal)?);
            }
            '}' => return Err(error("this `}` closes nothing; write `}}` for a brace")),
            _ => piece.push(letter),
        }
    }
    template.pieces.push(piece);
    if template.pieces.iter().all(String::is_empty) && template.placeholders.is_empty() {
        return Err(error(&format!("the {what} is empty")));
    }
    Ok(template)
}

fn placeholder(inside: &str, literal: &LitStr) -> syn::Result<Placeholder> {
    let wrong = || {
        let message = format!("`{{{inside}}}` is not an argument or a field of one; write `{{id}}` or `{{user.id}}`");
        syn::Error::new(literal.span(), message)
    };
    let mut steps = inside.split('.');
    let root = steps.next().filter(|root| is_name(root)).ok_or_else(wrong)?.to_owned();
    let fields = steps.map(|field| member(field, literal.span())).collect::<Option<_>>().ok_or_else(wrong)?;
    Ok(Placeholder { text: inside.to_owned(), root, fields, span: literal.span() })
}

fn member(field: &str, span: Span) -> Option<syn::Member> {
    if let Ok(index) = field.parse() {
        return Some(syn::Member::Unnamed(syn::Index { index, span }));
    }
    // A field may be called like a keyword: `r#type`.
    let field = syn::parse_str::<syn::Ident>(field).or_else(|_| syn::parse_str(&format!("r#{field}"))).ok()?;
    let mut field = field;
    field.set_span(span);
    Some(syn::Member::Named(field))
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first.is_alphabetic() || first == '_')
        && text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken_apart(text: &str) -> Result<(Vec<String>, Vec<String>), String> {
        let template = read(&LitStr::new(text, Span::call_site()), "key").map_err(|error| error.to_string())?;
        Ok((template.pieces, template.placeholders.into_iter().map(|placeholder| placeholder.text).collect()))
    }

    #[test]
    fn pieces_stand_around_placeholders() {
        let strings = |texts: &[&str]| texts.iter().copied().map(str::to_owned).collect::<Vec<_>>();
        for (text, pieces, placeholders) in [
            ("all", &["all"][..], &[][..]),
            ("{id}", &["", ""], &["id"]),
            ("a:{id}:{user.lang}", &["a:", ":", ""], &["id", "user.lang"]),
            ("{{{pair.0}}}", &["{", "}"], &["pair.0"]),
            ("{it.type}", &["", ""], &["it.type"]),
        ] {
            assert_eq!(taken_apart(text), Ok((strings(pieces), strings(placeholders))), "{text}");
        }
    }

    #[test]
    fn what_is_no_template() {
        for text in ["", "{", "a{id", "a}", "{}", "{a b}", "{a.}", "{.a}", "{a{b}}", "{1}"] {
            assert!(taken_apart(text).is_err(), "{text}");
        }
    }
}
