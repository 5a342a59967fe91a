//! The notation of values in a key's text.
//!
//! | value | text |
//! | --- | --- |
//! | integers | `5`, `-5` |
//! | floats | `1.0`, `1e300`, `-0.0`, `inf`, `-inf`, `nan:7ff8000000000000` |
//! | `bool` | `true`, `false` |
//! | strings | percent-encoded and bare: `LAX`, `a%20b`; `'`, `'5`, `'1e3`, `'inf`, `'true` where it would be read as something else |
//! | bytes | `$00ff` |
//! | unit, `None` | `*`, `!`; `Some(None)` is `!!`, and any other `Some(x)` is `x` |
//! | sequences, tuples | `(a,b)`, `()` |
//! | maps | `(k:v,k:v)`, `(:)` |
//! | structs | `(field=v,field=v)`, `(=)` |
//! | enum variants | `@V`, newtype `@V(v)`, tuple `@V(a,b)`, `@V(a,)`, `@V()`, struct `@V(field=v)`, `@V(=)` |
//!
//! The notation is injective because it can be read back from the left. A value's first character tells its kind: a
//! digit, `-`, `i`, `n`, `t` or `f` may begin a number, a `bool` or a string, but a string that looks like one of the
//! former begins with `'`. Strings and names contain only unreserved characters and `%`, and none of `(),:=`, so their
//! ends are clear. Parentheses balance, and no value is the empty text. After the first element, `,`, `:`, `=` or `)`
//! distinguishes sequence, map and struct (a `nan` includes its `:`), and the comma after a lone element distinguishes
//! a tuple variant from a newtype variant.
//!
//! Two kinds of words have no notation: values nested too deep to be read, and words that no key has. Their text is `^`
//! and the remaining words in hexadecimal, which is injective as well.

use std::{fmt::Write, str};

use super::{
    percent,
    tag::{Bytes, Reader, Tag},
};

/// The maximum nesting that is shown. It bounds the recursion.
const DEEPEST: u32 = 64;

/// Appends the next value's text.
pub(super) fn value(out: &mut String, reader: &mut Reader<'_>) {
    let (start, words) = (out.len(), reader.rest());
    if nested(out, reader, 0).is_none() {
        out.truncate(start);
        out.push('^');
        for word in words {
            let _ = write!(out, "{word:016x}");
        }
        *reader = Reader::new(&[]);
    }
}

/// The text of arguments without names: for a sequence, nothing or its elements with at least one comma; for any other
/// value, its text after a `:`. No [`value`] has this form.
pub(super) fn arguments(words: &[u64]) -> String {
    let mut out = String::new();
    if list(&mut out, &mut Reader::new(words)).is_none() {
        out.clear();
        out.push(':');
        value(&mut out, &mut Reader::new(words));
    }
    out
}

fn list(out: &mut String, reader: &mut Reader<'_>) -> Option<()> {
    reader.take(Tag::Seq)?;
    if elements(out, reader, 0)? == 1 {
        out.push(',');
    }
    Some(())
}

/// `None` if the words have no notation. The text written so far is then useless.
fn nested(out: &mut String, reader: &mut Reader<'_>, depth: u32) -> Option<()> {
    if depth > DEEPEST {
        return None;
    }
    if let Some(bytes) = reader.text() {
        text(out, bytes);
        return Some(());
    }
    let (tag, payload) = reader.tagged()?;
    match tag {
        Tag::Unsigned => write!(out, "{payload}").ok()?,
        Tag::WideUnsigned => write!(out, "{}", wide(reader, payload)?).ok()?,
        // The payload is `-1 - n`.
        Tag::Negative => write!(out, "-{}", payload + 1).ok()?,
        Tag::WideNegative => write!(out, "-{}", wide(reader, payload)?.checked_add(1)?).ok()?,
        Tag::Float => float(out, f64::from_bits(reader.word()?)),
        Tag::False => out.push_str("false"),
        Tag::True => out.push_str("true"),
        Tag::Unit => out.push('*'),
        Tag::None if payload <= DEEPEST.into() => (0..=payload).for_each(|_| out.push('!')),
        Tag::Bytes => {
            out.push('$');
            reader.bytes(payload)?.iter().try_for_each(|byte| write!(out, "{byte:02x}").ok())?;
        }
        Tag::Seq => {
            out.push('(');
            elements(out, reader, depth)?;
            out.push(')');
        }
        Tag::Map => pairs(out, reader, depth, ':')?,
        Tag::Struct => pairs(out, reader, depth, '=')?,
        Tag::UnitVariant => variant(out, reader, payload)?,
        Tag::NewtypeVariant => {
            variant(out, reader, payload)?;
            out.push('(');
            nested(out, reader, depth + 1)?;
            out.push(')');
        }
        Tag::TupleVariant => {
            variant(out, reader, payload)?;
            out.push('(');
            if elements(out, reader, depth)? == 1 {
                out.push(',');
            }
            out.push(')');
        }
        Tag::StructVariant => {
            variant(out, reader, payload)?;
            pairs(out, reader, depth, '=')?;
        }
        Tag::None
        | Tag::ShortText
        | Tag::Text
        | Tag::End
        | Tag::Client
        | Tag::OwnPath
        | Tag::OwnText
        | Tag::LeftOut => return None,
    }
    Some(())
}

/// Reads the one or two words of an integer that does not fit into a payload.
fn wide(reader: &mut Reader<'_>, words: u64) -> Option<u128> {
    let low = reader.word()?;
    let high = if words == 2 { reader.word()? } else { 0 };
    Some(u128::from(high) << 64 | u128::from(low))
}

/// Writes the elements up to their `End`, separated by commas. Returns their number.
fn elements(out: &mut String, reader: &mut Reader<'_>, depth: u32) -> Option<usize> {
    let mut count = 0;
    while reader.take(Tag::End).is_none() {
        if count > 0 {
            out.push(',');
        }
        nested(out, reader, depth + 1)?;
        count += 1;
    }
    Some(count)
}

/// Writes the entries or fields up to their `End`, in parentheses.
fn pairs(out: &mut String, reader: &mut Reader<'_>, depth: u32, between: char) -> Option<()> {
    out.push('(');
    if reader.take(Tag::End).is_some() {
        out.push(between);
    } else {
        loop {
            match between {
                ':' => nested(out, reader, depth + 1)?,
                _ => percent::encode(out, reader.text()?.iter(), percent::unreserved),
            }
            out.push(between);
            nested(out, reader, depth + 1)?;
            if reader.take(Tag::End).is_some() {
                break;
            }
            out.push(',');
        }
    }
    out.push(')');
    Some(())
}

fn variant(out: &mut String, reader: &mut Reader<'_>, length: u64) -> Option<()> {
    out.push('@');
    percent::encode(out, reader.bytes(length)?.iter(), percent::unreserved);
    Some(())
}

fn text(out: &mut String, bytes: Bytes<'_>) {
    if looks_like_something_else(bytes) {
        out.push('\'');
    }
    percent::encode(out, bytes.iter(), percent::unreserved);
}

/// Whether a bare string would be read as an empty text, a number or a `bool`. Numbers begin with a sign, a digit, a
/// dot, or a letter of `inf` or `nan`, so other strings need no closer look.
fn looks_like_something_else(bytes: Bytes<'_>) -> bool {
    match bytes.iter().next() {
        None => true,
        Some(b't') => bytes.iter().eq(*b"true"),
        Some(b'f') => bytes.iter().eq(*b"false"),
        Some(b'+' | b'-' | b'.' | b'0'..=b'9' | b'i' | b'I' | b'n' | b'N') => {
            let bytes: Vec<u8> = bytes.iter().collect();
            str::from_utf8(&bytes).is_ok_and(|text| text.parse::<f64>().is_ok())
        }
        Some(_) => false,
    }
}

/// The shortest text that reads back as the same float and never as an integer.
fn float(out: &mut String, float: f64) {
    let _ = if float.is_nan() { write!(out, "nan:{:016x}", float.to_bits()) } else { write!(out, "{float:?}") };
}
