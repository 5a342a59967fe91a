//! Parts of a stored response (RFC 9110, section 14; RFC 9111, section 3.4).

use std::{ops::Range, time::SystemTime};

use ::http::{
    HeaderMap, Method, StatusCode,
    header::{IF_RANGE, LAST_MODIFIED, RANGE},
};

use super::{
    conditions::EntityTag,
    freshness::{date, http_date, single_date},
    lists::{split, trim},
};

/// The most ranges of one request that are answered apart. With more, the whole response is sent, as section 14.2 allows.
const MOST_RANGES: usize = 16;

/// What a request wants of a complete response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    Whole,
    /// These bytes, each range inside the response.
    Parts(Vec<Range<u64>>),
    /// No range overlaps the response: 416.
    Unsatisfiable,
}

/// What a request wants of a stored response of `length` bytes (sections 14.1.2 and 14.2).
pub(crate) fn wanted(
    method: &Method,
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    length: u64,
) -> Wanted {
    let mut lines = request.get_all(RANGE).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return Wanted::Whole };
    if method != Method::GET || status != StatusCode::OK || !is_for(request, response) {
        return Wanted::Whole;
    }
    match parse(line.as_bytes(), length) {
        // A malformed field, or another unit, is ignored.
        None => Wanted::Whole,
        Some(parts) if parts.is_empty() => Wanted::Unsatisfiable,
        Some(parts) if parts.len() > MOST_RANGES || overlaps(&parts) => Wanted::Whole,
        Some(parts) => Wanted::Parts(parts),
    }
}

/// Whether `If-Range` allows a part: the client has other parts of this very representation (section 13.1.5).
fn is_for(request: &HeaderMap, response: &HeaderMap) -> bool {
    let mut lines = request.get_all(IF_RANGE).iter();
    let Some(condition) = lines.next() else { return true };
    // It has one value. With several, no part is known to fit.
    if lines.next().is_some() {
        return false;
    }
    if let Some(tag) = EntityTag::parse(condition.as_bytes()) {
        return EntityTag::of(response).is_some_and(|own| own.matches_strongly(tag));
    }
    let strong = |modified: SystemTime| {
        // A date is a strong validator only if the response was made later than it was changed (section 8.8.2.2).
        date(response).is_some_and(|made| made > modified)
    };
    let modified = single_date(response, &LAST_MODIFIED).filter(|modified| strong(*modified));
    modified.is_some() && modified == http_date(condition.as_bytes())
}

/// The satisfiable ranges, or `None` if the field is not of bytes or malformed.
fn parse(field: &[u8], length: u64) -> Option<Vec<Range<u64>>> {
    let (unit, set) = field.split_at(field.iter().position(|&byte| byte == b'=')?);
    if !trim(unit).eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut parts = Vec::new();
    let mut specs = split(&set[1..]).peekable();
    specs.peek()?;
    for spec in specs {
        let (first, last) = spec.split_at(spec.iter().position(|&byte| byte == b'-')?);
        let (first, last) = (number(trim(first))?, number(trim(&last[1..]))?);
        let part = match (first, last) {
            (Some(first), Some(last)) if last < first => return None,
            (Some(first), last) => first..last.map_or(length, |last| last.saturating_add(1)).min(length),
            (None, Some(suffix)) => length.saturating_sub(suffix)..length,
            (None, None) => return None,
        };
        if part.start < part.end {
            parts.push(part);
        }
    }
    Some(parts)
}

/// A position: `Some(None)` if there is none, `None` if it is no number.
#[expect(clippy::option_option, reason = "missing and malformed differ")]
fn number(digits: &[u8]) -> Option<Option<u64>> {
    if digits.is_empty() {
        return Some(None);
    }
    digits.iter().all(u8::is_ascii_digit).then(|| {
        let add = |number: u64, digit: &u8| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
        Some(digits.iter().fold(0, add))
    })
}

/// Whether ranges overlap: such requests are broken or an attack (section 14.2).
fn overlaps(parts: &[Range<u64>]) -> bool {
    let mut sorted: Vec<_> = parts.iter().collect();
    sorted.sort_unstable_by_key(|part| part.start);
    sorted.windows(2).any(|pair| pair[1].start < pair[0].end)
}
