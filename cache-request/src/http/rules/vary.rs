//! Which requests may share a response: `Vary` (RFC 9111, section 4.1; RFC 9110, section 12.5.5).

use std::borrow::Cow;

use ::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, FROM, HOST, ORIGIN, REFERER, USER_AGENT, VARY},
};

use smallvec::SmallVec;

use super::{
    lists::{Quotes, elements, members},
    negotiation::languages,
};

/// What a response says of the requests that it answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Vary {
    /// It answers no other request: `Vary: *`, or a field that cannot be read.
    Any,
    /// It answers requests whose named fields match. The names are sorted, each once.
    Names(Vec<HeaderName>),
}

impl Vary {
    /// The `Vary` of a response, over all its lines.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let names: Option<Vec<_>> = members(headers, &VARY)
            .map(|name| if name == b"*" { None } else { HeaderName::from_bytes(name).ok() })
            .collect();
        let Some(mut names) = names else { return Self::Any };
        names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
        names.dedup();
        Self::Names(names)
    }
}

/// Fields that are no lists, although their values may have commas: whitespace around those is part of the value.
const NO_LISTS: [HeaderName; 7] = [AUTHORIZATION, COOKIE, FROM, HOST, ORIGIN, REFERER, USER_AGENT];

/// The pieces of one selecting field that are compared: lines of a field that is no list, else the members of all lines. Those of
/// `Accept-Language` are in normal form.
pub(crate) fn pieces<'a>(headers: &'a HeaderMap, name: &HeaderName) -> SmallVec<[Cow<'a, [u8]>; 4]> {
    if name == ACCEPT_LANGUAGE
        && let Some(languages) = languages(headers)
    {
        return languages.into_iter().map(Cow::Owned).collect();
    }
    let lines = headers.get_all(name).into_iter().map(HeaderValue::as_bytes);
    if NO_LISTS.contains(name) {
        lines.map(Cow::Borrowed).collect()
    } else {
        lines.flat_map(|line| elements(line, Quotes::Strings)).map(Cow::Borrowed).collect()
    }
}

/// The value of one selecting field in a form that is equal for requests that match: lines combined, and without optional
/// whitespace around commas. `None` if the request does not have the field, which is not the same as an empty one.
pub(crate) fn selecting(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    // No piece has a line feed.
    headers.contains_key(name).then(|| pieces(headers, name).join(&b'\n'))
}
