//! What a strict reading of fields forbids. It is written anew, by the sentences of RFC 9111, and knows less than the layer: where it
//! does not know, it forbids nothing.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderValue, StatusCode};
use httpdate::parse_http_date;

/// A directive, in lower case, and its argument without quotes.
type Member = (Vec<u8>, Option<Vec<u8>>);

/// The members of all lines of a field, or `None` if a part of it cannot be read.
pub(crate) fn members(fields: &HeaderMap, name: &str) -> Option<Vec<Member>> {
    let mut members = Vec::new();
    for line in fields.get_all(name) {
        for text in split(line.as_bytes())? {
            let mut halves = text.splitn(2, |&byte| byte == b'=');
            let name = halves.next().unwrap_or_default().to_ascii_lowercase();
            if name.is_empty()
                || !name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
            {
                return None;
            }
            members.push((name, halves.next().map(unquoted)));
        }
    }
    Some(members)
}

/// What stands between commas outside strings. `None` if a string has no end.
fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (mut texts, mut text, mut rest) = (Vec::new(), Vec::new(), line.iter());
    while let Some(&byte) = rest.next() {
        match byte {
            b',' => texts.push(std::mem::take(&mut text)),
            b'"' => {
                text.push(byte);
                loop {
                    let inside = *rest.next()?;
                    text.push(inside);
                    match inside {
                        b'"' => break,
                        b'\\' => text.push(*rest.next()?),
                        _ => {}
                    }
                }
            }
            _ => text.push(byte),
        }
    }
    texts.push(text);
    let trimmed = texts.iter().map(|text| text.trim_ascii().to_vec());
    Some(trimmed.filter(|text| !text.is_empty()).collect())
}

fn unquoted(text: &[u8]) -> Vec<u8> {
    match text {
        [b'"', inside @ .., b'"'] => inside.iter().copied().filter(|&byte| byte != b'\\').collect(),
        _ => text.to_vec(),
    }
}

fn has(members: &[Member], name: &str) -> bool {
    members.iter().any(|(known, _)| known == name.as_bytes())
}

fn has_alone(members: &[Member], name: &str) -> bool {
    members.iter().any(|(known, argument)| known == name.as_bytes() && argument.is_none())
}

/// The smallest number of seconds that a directive has, if it has any; zero if one of them cannot be read.
fn seconds(members: &[Member], name: &str) -> Option<u64> {
    let of = |argument: &Option<Vec<u8>>| {
        let digits = argument.as_deref().filter(|text| !text.is_empty() && text.iter().all(u8::is_ascii_digit));
        digits
            .map_or(0, |digits| std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(1 << 31))
    };
    members.iter().filter(|(known, _)| known == name.as_bytes()).map(|(_, argument)| of(argument).min(1 << 31)).min()
}

/// The exchange before a reuse.
pub(crate) struct Stored<'a> {
    pub(crate) request: &'a HeaderMap,
    pub(crate) status: StatusCode,
    pub(crate) response: &'a HeaderMap,
    pub(crate) received: SystemTime,
}

impl Stored<'_> {
    /// Why the response must not answer a request that comes `later`, if that is known.
    pub(crate) fn forbids(&self, request: &HeaderMap, later: Duration) -> Option<&'static str> {
        let Some(wishes) = members(request, "cache-control") else { return Some("the request cannot be read") };
        if has(&wishes, "no-cache") {
            return Some("the request forbids it");
        }
        if self.status.is_informational() || matches!(self.status.as_u16(), 206 | 304) {
            return Some("the status");
        }
        match members(self.request, "cache-control") {
            Some(first) if !has(&first, "no-store") => {}
            _ => return Some("the first request forbids to store it"),
        }
        if self.varies(request) {
            return Some("it is for another request");
        }
        // What a dictionary says is not known here.
        if self.response.contains_key("cdn-cache-control") {
            return None;
        }
        let Some(control) = members(self.response, "cache-control") else { return Some("it cannot be read") };
        if has(&control, "no-store") && !has(&control, "must-understand") {
            return Some("no-store");
        }
        if has_alone(&control, "private") {
            return Some("private");
        }
        if has_alone(&control, "no-cache") {
            return Some("no-cache");
        }
        let is_shared = ["public", "must-revalidate", "s-maxage"].iter().any(|name| has(&control, name));
        if self.request.contains_key("authorization") && !is_shared {
            return Some("credentials");
        }
        let is_strict = ["must-revalidate", "proxy-revalidate", "s-maxage"].iter().any(|name| has(&control, name));
        let may_be_stale = has(&wishes, "max-stale") && !is_strict;
        (!may_be_stale && !self.may_be_fresh(&control, later)).then_some("it is stale")
    }

    /// Section 4.1: without whitespace and commas the selecting fields must be equal at least.
    fn varies(&self, request: &HeaderMap) -> bool {
        let told: Vec<_> =
            self.response.get_all("vary").iter().flat_map(|line| line.as_bytes().split(|&byte| byte == b',')).collect();
        told.iter().any(|name| {
            let Ok(name) = std::str::from_utf8(name.trim_ascii()) else { return true };
            let squashed = |fields: &HeaderMap| {
                let lines = fields.get_all(name).iter().map(HeaderValue::as_bytes);
                let text = lines.flatten().copied().filter(|byte| !b" \t,".contains(byte)).collect::<Vec<_>>();
                fields.contains_key(name).then_some(text)
            };
            name == "*" || !name.is_empty() && squashed(self.request) != squashed(request)
        })
    }

    /// Sections 4.2.1 and 4.2.3.
    fn may_be_fresh(&self, control: &[Member], later: Duration) -> bool {
        let Some(lifetime) = seconds(control, "s-maxage").or_else(|| seconds(control, "max-age")) else {
            return self.response.contains_key("expires") || self.response.contains_key("last-modified");
        };
        let told = self.response.get_all("age").iter().next().and_then(|line| {
            let first = std::str::from_utf8(line.as_bytes()).ok()?.split(',').next()?.trim();
            first.bytes().all(|byte| byte.is_ascii_digit()).then(|| first.parse::<u64>().ok())?
        });
        let made =
            self.response.get_all("date").iter().filter_map(|line| parse_http_date(line.to_str().ok()?).ok()).min();
        let apparent = made.and_then(|made| self.received.duration_since(made).ok()).map_or(0, |age| age.as_secs());
        told.unwrap_or(0).max(apparent).saturating_add(later.as_secs()) < lifetime
    }
}
