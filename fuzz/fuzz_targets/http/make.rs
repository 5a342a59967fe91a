//! Field lines from the fuzzer's bytes: anything, or pieces of what such fields are made of.

use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use http::{HeaderMap, HeaderName, HeaderValue};

/// The fields that the rules read, of responses and of requests, and some that they pass.
const NAMES: [&str; 32] = [
    "cache-control",
    "cache-control",
    "cdn-cache-control",
    "pragma",
    "age",
    "date",
    "expires",
    "last-modified",
    "etag",
    "vary",
    "content-length",
    "content-type",
    "content-range",
    "content-language",
    "content-location",
    "set-cookie",
    "connection",
    "x-more",
    "trailer",
    "cache-status",
    "if-none-match",
    "if-modified-since",
    "if-match",
    "if-unmodified-since",
    "if-range",
    "range",
    "accept",
    "accept-language",
    "cookie",
    "authorization",
    "x-forwarded-host",
    "user-agent",
];

const WORDS: [&str; 64] = [
    ",",
    ", ",
    "=",
    "\"",
    "\\",
    ";",
    " ",
    "*",
    "-",
    "W/",
    "\"a\"",
    "\"b\"",
    "a",
    "b",
    "0",
    "1",
    "bytes=",
    "no-store",
    "private",
    "no-cache",
    "public",
    "max-age",
    "max-age=",
    "max-age=60",
    "s-maxage=",
    "must-revalidate",
    "proxy-revalidate",
    "must-understand",
    "only-if-cached",
    "min-fresh=",
    "max-stale",
    "max-stale=",
    "stale-if-error=",
    "immutable",
    "private=\"",
    "no-cache=\"",
    "No-Store",
    "MAX-AGE=",
    "accept",
    "cookie",
    "x-more",
    "Accept-Language",
    "close",
    "keep-alive",
    "GMT",
    "Sun, ",
    "\t",
    "?0",
    "()",
    "1.5",
    "\"60\"",
    "2147483648",
    "99999999999999999999",
    "text/plain",
    "text/event-stream",
    "x=\"",
    "ext",
    "&",
    "?1",
    "max-age=0",
    "s-maxage",
    "user-agent",
    "vary",
    "if-none-match",
];

#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Value<'a> {
    Raw(&'a [u8]),
    Pieces(Vec<Piece<'a>>),
    Date(i32),
}

#[derive(Debug, Clone, Arbitrary)]
pub(crate) enum Piece<'a> {
    Word(u8),
    Number(u16),
    Raw(&'a [u8]),
}

/// A field: which of the names, and what it says.
pub(crate) type Line<'a> = (u8, Value<'a>);

impl Value<'_> {
    fn bytes(&self, now: SystemTime) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.to_vec(),
            Self::Pieces(pieces) => pieces.iter().flat_map(Piece::bytes).collect(),
            Self::Date(seconds) => {
                let distance = Duration::from_secs(u64::from(seconds.unsigned_abs()) % (1 << 24));
                let time = if *seconds < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
                time.map(httpdate::fmt_http_date).unwrap_or_default().into_bytes()
            }
        }
    }
}

impl Piece<'_> {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Word(number) => WORDS[usize::from(*number) % WORDS.len()].as_bytes().to_vec(),
            Self::Number(number) => number.to_string().into_bytes(),
            Self::Raw(bytes) => bytes.to_vec(),
        }
    }
}

/// The lines whose value can be one.
pub(crate) fn fields(lines: &[Line<'_>], now: SystemTime) -> HeaderMap {
    let line = |(name, value): &Line<'_>| {
        let name = HeaderName::from_static(NAMES[usize::from(*name) % NAMES.len()]);
        Some((name, HeaderValue::from_bytes(&value.bytes(now)).ok()?))
    };
    let mut fields = HeaderMap::new();
    lines.iter().filter_map(line).for_each(|(name, value)| _ = fields.append(name, value));
    fields
}

/// The same fields in other lines: those of a list in one, and empty members where they mean nothing.
pub(crate) fn rewritten(fields: &HeaderMap) -> HeaderMap {
    let mut rewritten = fields.clone();
    for name in ["cache-control", "vary", "connection", "cdn-cache-control"] {
        let lines: Vec<_> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        // A string without an end would reach into the next line.
        if lines.is_empty() || lines.iter().any(|line| line.contains(&b'"')) {
            continue;
        }
        let mut joined = lines.join(&b", "[..]);
        // A dictionary has no empty members.
        if name != "cdn-cache-control" {
            joined = [b" ,\t,", &joined[..], b" , "].concat();
        }
        if let Ok(value) = HeaderValue::from_bytes(&joined) {
            rewritten.insert(name, value);
        }
    }
    rewritten
}
