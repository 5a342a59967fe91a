//! `tags(…)`: names that values have in common.

use syn::{Expr, ExprLit, Lit, LitStr, parse::ParseStream, spanned::Spanned};

use super::in_parentheses;
use crate::{
    errors::Errors,
    template::{self, Template},
};

/// What the library allows of a tag, and of the tags of one value.
const MOST_TAG_BYTES: usize = 256;
const MOST_TAGS: usize = 1000;

/// One tag in `tags(…)`.
pub(crate) struct Tag {
    pub(crate) literal: LitStr,
    pub(crate) template: Template,
}

/// Parses the list in the parentheses. Reports all tags that are none.
pub(super) fn tags(input: ParseStream<'_>) -> syn::Result<Vec<Tag>> {
    let values =
        in_parentheses(input, "expected tags in quotes, such as `tags(\"article:{id}\", \"news\")`", |input| {
            input.parse::<Expr>()
        })?;
    let mut errors = Errors::default();
    if let Some(first) = values.get(MOST_TAGS) {
        errors.at(first, format!("a value has at most {MOST_TAGS} tags; remove this one and those after it"));
    }
    let mut tags: Vec<Tag> = Vec::new();
    for value in values {
        match tag(value) {
            Ok(Tag { literal, .. }) if tags.iter().any(|tag| tag.literal.value() == literal.value()) => {
                errors.at(literal, "this tag is there twice; keep one of them");
            }
            Ok(tag) => tags.push(tag),
            Err(error) => errors.push(error),
        }
    }
    errors.finish()?;
    Ok(tags)
}

fn tag(mut value: Expr) -> syn::Result<Tag> {
    // The value of a `macro_rules` variable comes in a group of its own.
    while let Expr::Group(group) = value {
        value = *group.expr;
    }
    let Expr::Lit(ExprLit { lit: Lit::Str(literal), .. }) = value else {
        return Err(syn::Error::new(value.span(), "expected a tag in quotes, such as `\"article:{id}\"`"));
    };
    let template = template::read(&literal, "tag")?;
    let letters = template.pieces.iter().flat_map(|piece| piece.chars());
    let bytes: usize = template.pieces.iter().map(String::len).sum();
    let wrong = match letters.into_iter().find(|letter| letter.is_whitespace() || letter.is_control()) {
        Some(letter) => {
            format!(
                "a tag has no spaces and no control characters, and this one has {letter:?}; write `-` in its place"
            )
        }
        None if bytes > MOST_TAG_BYTES => {
            format!("a tag has at most {MOST_TAG_BYTES} bytes, and the text of this one has {bytes}; shorten it")
        }
        None => return Ok(Tag { literal, template }),
    };
    Err(syn::Error::new(literal.span(), wrong))
}

#[cfg(test)]
mod tests {
    use syn::parse::Parser;

    use super::*;

    /// The message about the first tag that is none, if there is one.
    fn message(list: &[String]) -> Option<String> {
        let list: Vec<_> = list.iter().map(|tag| format!("{tag:?}")).collect();
        tags.parse_str(&format!("({})", list.join(", "))).err().map(|error| error.to_string())
    }

    #[test]
    fn the_text_of_a_tag_may_be_as_long_as_a_tag() {
        let text = |bytes: usize| format!("{{{{{{id}}{}", "é".repeat(bytes / 2 - 1) + &"a".repeat(bytes % 2 + 1));
        assert_eq!(message(&[text(MOST_TAG_BYTES)]), None);
        let message = message(&[text(MOST_TAG_BYTES + 1)]).unwrap();
        assert!(message.contains("at most 256 bytes, and the text of this one has 257"), "{message}");
    }

    #[test]
    fn a_value_may_have_as_many_tags_as_the_library_allows() {
        let tags = |count: usize| (0..count).map(|tag| tag.to_string()).collect::<Vec<_>>();
        assert_eq!(message(&tags(MOST_TAGS)), None);
        let message = message(&tags(MOST_TAGS + 1)).unwrap();
        assert!(message.contains("at most 1000 tags"), "{message}");
    }

    #[test]
    fn every_space_and_control_character_is_found() {
        for letter in [' ', '\t', '\n', '\u{a0}', '\u{2003}', '\0', '\u{7f}', '\u{85}'] {
            let message = message(&[format!("a{{id}}{letter}b")]).unwrap();
            assert!(message.contains(&format!("{letter:?}")), "{message}");
        }
    }
}
