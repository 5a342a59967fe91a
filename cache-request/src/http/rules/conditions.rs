//! Validators and conditional requests (RFC 9110, sections 8.8 and 13; RFC 9111, sections 3.2 and 4.3).

use std::time::SystemTime;

use ::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{
        CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, IF_MATCH,
        IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
    },
};

use super::{
    directives::Directives,
    fields::remove_unstored,
    freshness::{http_date, single_date},
    lists::{tags, trim},
};

/// The fields that make a request conditional. A cache answers them itself and sends its own to the origin.
pub(crate) const CONDITIONS: [HeaderName; 5] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE];

/// An entity tag (RFC 9110, section 8.8.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EntityTag<'a> {
    is_weak: bool,
    /// With its quotes.
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let bytes = trim(bytes);
        let (is_weak, opaque) = match bytes.strip_prefix(b"W/") {
            Some(opaque) => (true, opaque),
            None => (false, bytes),
        };
        let [b'"', inside @ .., b'"'] = opaque else { return None };
        let is_opaque = inside.iter().all(|&byte| byte == 0x21 || (0x23..=0x7e).contains(&byte) || byte >= 0x80);
        is_opaque.then_some(Self { is_weak, opaque })
    }

    /// The tag of a response.
    pub(crate) fn of(response: &'a HeaderMap) -> Option<Self> {
        let mut lines = response.get_all(ETAG).iter();
        let first = lines.next()?;
        if lines.next().is_some() {
            return None;
        }
        Self::parse(first.as_bytes())
    }

    pub(crate) fn is_strong(self) -> bool {
        !self.is_weak
    }

    /// Whether both name the same representation, or an equivalent one (section 8.8.3.2).
    fn matches_weakly(self, other: Self) -> bool {
        self.opaque == other.opaque
    }

    /// Whether both name the same bytes.
    pub(crate) fn matches_strongly(self, other: Self) -> bool {
        self.is_strong() && other.is_strong() && self.opaque == other.opaque
    }
}

/// How a stored response answers the conditions of a GET or HEAD request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Condition {
    /// There is no condition, or the response passes it: it is sent.
    Passed,
    /// The client has it already: 304.
    NotModified,
    /// Only the origin can decide `If-Match` and `If-Unmodified-Since`, which concern its present state.
    OfOrigin,
}

/// Whether a request has a condition that only the origin can decide, as it concerns its present state.
pub(crate) fn is_for_origin(request: &HeaderMap) -> bool {
    request.contains_key(IF_MATCH) || request.contains_key(IF_UNMODIFIED_SINCE)
}

/// Evaluates the conditions of a request on a stored response (RFC 9111, section 4.3.2; RFC 9110, section 13.2.2).
pub(crate) fn evaluate(
    request: &HeaderMap,
    status: StatusCode,
    response: &HeaderMap,
    received: SystemTime,
) -> Condition {
    if is_for_origin(request) {
        return Condition::OfOrigin;
    }
    // Conditions concern a response of 200 only (section 13.2.1): with another status they are ignored.
    if status != StatusCode::OK {
        return Condition::Passed;
    }
    if request.contains_key(IF_NONE_MATCH) {
        let tag = EntityTag::of(response);
        let matches =
            |member| EntityTag::parse(member).zip(tag).is_some_and(|(member, tag)| member.matches_weakly(tag));
        let is_any = tags(request, &IF_NONE_MATCH).eq([b"*"]);
        let found = is_any || tags(request, &IF_NONE_MATCH).any(matches);
        // `If-Modified-Since` is ignored beside it.
        return if found { Condition::NotModified } else { Condition::Passed };
    }
    let mut lines = request.get_all(IF_MODIFIED_SINCE).iter();
    // A field with several members is ignored (section 13.1.3), even if they are equal.
    let (Some(line), None) = (lines.next(), lines.next()) else { return Condition::Passed };
    let Some(since) = http_date(line.as_bytes()) else { return Condition::Passed };
    // Without a date of change, the time of its making stands in (RFC 9111, section 4.3.2).
    let modified = single_date(response, &LAST_MODIFIED).or_else(|| single_date(response, &DATE)).unwrap_or(received);
    if modified <= since { Condition::NotModified } else { Condition::Passed }
}

/// The fields that validate a stored response (RFC 9111, section 4.3.1). Empty if it has no validator.
pub(crate) fn validators(response: &HeaderMap) -> Vec<(HeaderName, HeaderValue)> {
    let tag = response.get(ETAG).filter(|_| EntityTag::of(response).is_some());
    let tag = tag.map(|tag| (IF_NONE_MATCH, tag.clone()));
    let modified = response.get(LAST_MODIFIED).filter(|_| single_date(response, &LAST_MODIFIED).is_some());
    let modified = modified.map(|date| (IF_MODIFIED_SINCE, date.clone()));
    tag.into_iter().chain(modified).collect()
}

/// Replaces the conditions of a request with [`validators`] of a stored response, or with none.
///
/// The answer is then about the stored response, and no 304 of it is meant for the client (section 4.3.3).
pub(crate) fn make_conditional(request: &mut HeaderMap, validators: Vec<(HeaderName, HeaderValue)>) {
    for name in CONDITIONS.iter().chain(&[RANGE]) {
        request.remove(name);
    }
    request.extend(validators);
}

/// Whether a 304 to the cache's own condition is about the stored response that the condition names (section 4.3.4).
///
/// A strong tag decides alone. Otherwise all validators that the 304 has must be those of the stored response. If it has none, it is
/// about that response, as the condition names no other one.
pub(crate) fn is_about(not_modified: &HeaderMap, stored: &HeaderMap) -> bool {
    match EntityTag::of(not_modified) {
        Some(tag) if tag.is_strong() => has_tag_of(not_modified, stored),
        _ => has_tag_of(not_modified, stored) && has_date_of(not_modified, stored),
    }
}

/// What the response to a HEAD tells about the stored response to GET.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Told {
    /// It is about that response: it has a validator of it.
    Unchanged,
    /// A validator or the length differs.
    Changed,
    Nothing,
}

/// Compares the response to a HEAD with the stored one, whose body has `length` bytes (section 4.3.5).
///
/// Without a validator, the same length tells nothing.
pub(crate) fn told_by_head(head: &HeaderMap, stored: &HeaderMap, length: usize) -> Told {
    let is_length = |line: &HeaderValue| line.to_str().is_ok_and(|told| told.parse() == Ok(length));
    let is_same =
        has_tag_of(head, stored) && has_date_of(head, stored) && head.get_all(CONTENT_LENGTH).iter().all(is_length);
    match is_same {
        false => Told::Changed,
        true if head.contains_key(ETAG) || head.contains_key(LAST_MODIFIED) => Told::Unchanged,
        true => Told::Nothing,
    }
}

/// Whether a response was changed when the stored one was, or does not say.
fn has_date_of(new: &HeaderMap, stored: &HeaderMap) -> bool {
    !new.contains_key(LAST_MODIFIED) || new.get_all(LAST_MODIFIED).iter().eq(stored.get_all(LAST_MODIFIED))
}

/// Whether a response has the tag of the stored one, or none. One that cannot be read is another one.
fn has_tag_of(new: &HeaderMap, stored: &HeaderMap) -> bool {
    let is_tag_of = |new: EntityTag<'_>| {
        let matches = if new.is_strong() { EntityTag::matches_strongly } else { EntityTag::matches_weakly };
        EntityTag::of(stored).is_some_and(|old| matches(new, old))
    };
    !new.contains_key(ETAG) || EntityTag::of(new).is_some_and(is_tag_of)
}

/// Fields that a 304 or the response to a HEAD does not update: they describe the stored bytes (RFC 9111, section 3.2).
const OF_THE_BYTES: [HeaderName; 4] = [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_TYPE, CONTENT_RANGE];

/// Digests of the content of one message (RFC 9530, section 2). A part, and a message without content, has another one than the whole.
pub(crate) const OF_THE_CONTENT: [HeaderName; 2] =
    [HeaderName::from_static("content-digest"), HeaderName::from_static("content-md5")];

/// Updates stored fields with those of a 304 or of the response to a HEAD (RFC 9111, section 3.2).
///
/// All lines of a field are replaced together. `Age` goes if the new message has none: it told of the older one.
pub(crate) fn update(stored: &mut HeaderMap, new: &HeaderMap, directives: &Directives) {
    let mut new = new.clone();
    remove_unstored(&mut new, directives);
    for name in OF_THE_BYTES.iter().chain(&OF_THE_CONTENT) {
        new.remove(name);
    }
    stored.remove(::http::header::AGE);
    for name in new.keys() {
        stored.remove(name);
    }
    for (name, value) in &new {
        stored.append(name, value.clone());
    }
    // Those that the new directives name.
    remove_unstored(stored, directives);
}

/// Makes the fields of a response those of a 304 (RFC 9110, section 15.4.5): what a client needs to update what it has.
pub(crate) fn make_not_modified(response: &mut HeaderMap) {
    for name in OF_THE_BYTES.iter().chain(&OF_THE_CONTENT).chain(&[CONTENT_LANGUAGE]) {
        response.remove(name);
    }
}
