//! `Cache-Status` (RFC 9211): how the cache has handled a request.

use std::{fmt::Write as _, time::Duration};

use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::stats::Count;

pub(super) const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// The name of the cache in the field.
const NAME: &str = "cache-request";

/// Why a request was forwarded to the wrapped service (section 2.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Forward {
    /// The cache is not to handle it.
    Bypass,
    /// Its method is not cached.
    Method,
    /// Nothing is stored for its target.
    UriMiss,
    /// The stored variants are not for it.
    VaryMiss,
    /// What is stored is stale.
    Stale,
    /// Its directives ask for it.
    Request,
}

impl Forward {
    fn token(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::Method => "method",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
        }
    }
}

/// How one request was handled.
#[derive(Debug, Clone, Default)]
pub(super) struct Handling {
    pub(super) hit: bool,
    pub(super) forward: Option<Forward>,
    /// The status of the wrapped service's answer, if it is not the one that the client gets.
    pub(super) forward_status: Option<StatusCode>,
    /// Seconds that the response stays fresh; negative if it is stale.
    pub(super) ttl: Option<i64>,
    pub(super) is_stale: bool,
    /// Whether the response is being stored.
    pub(super) stored: bool,
    /// Whether it shares the request of another one.
    pub(super) collapsed: bool,
    /// Whether a stale response stands in for an error.
    pub(super) stands_in: bool,
    pub(super) detail: Option<&'static str>,
    pub(super) key: Option<String>,
}

impl Handling {
    pub(super) fn forwarded(why: Forward) -> Self {
        Self { forward: Some(why), ..Self::default() }
    }

    pub(super) fn because(mut self, detail: &'static str) -> Self {
        self.detail = Some(detail);
        self
    }

    /// The time for which a response is fresh, or since when it is stale.
    pub(super) fn with_ttl(mut self, left: Result<Duration, Duration>) -> Self {
        let seconds = |duration: Duration| i64::try_from(duration.as_secs()).unwrap_or(i64::MAX);
        self.is_stale = left.is_err();
        self.ttl = Some(left.map_or_else(|staleness| -seconds(staleness), seconds));
        self
    }

    /// Whether it says nothing but that the answer is a hit, and for how long.
    pub(super) fn is_plain_hit(&self) -> bool {
        self.hit && self.key.is_none()
    }

    /// What the statistics count.
    pub(super) fn counts(&self) -> impl Iterator<Item = Count> {
        let call = match self.forward {
            _ if self.hit => Some(Count::Hit),
            _ if self.collapsed => Some(Count::Coalesced),
            Some(Forward::UriMiss | Forward::VaryMiss) => Some(Count::NeverSeen),
            Some(Forward::Stale | Forward::Request) => Some(Count::Expired),
            Some(Forward::Bypass) => Some(Count::Uncached),
            Some(Forward::Method) | None => None,
        };
        let stale = (self.hit && self.is_stale).then_some(Count::Stale);
        let stands_in = self.stands_in.then_some(Count::StaleOnError);
        call.into_iter().chain(stale).chain(stands_in)
    }

    /// Appends the field. Members of caches nearer to the origin come first.
    pub(super) fn append_to(&self, headers: &mut HeaderMap) {
        let mut member = NAME.to_owned();
        if self.hit {
            member.push_str("; hit");
        }
        if let Some(forward) = self.forward {
            _ = write!(member, "; fwd={}", forward.token());
        }
        if let Some(status) = self.forward_status {
            _ = write!(member, "; fwd-status={}", status.as_u16());
        }
        if let Some(ttl) = self.ttl {
            _ = write!(member, "; ttl={ttl}");
        }
        for (flag, name) in [(self.stored, "stored"), (self.collapsed, "collapsed")] {
            if flag {
                _ = write!(member, "; {name}");
            }
        }
        if let Some(key) = &self.key {
            _ = write!(member, "; key=\"{}\"", escaped(key));
        }
        if let Some(detail) = self.detail {
            _ = write!(member, "; detail={detail}");
        }
        if let Ok(value) = HeaderValue::try_from(member) {
            headers.append(CACHE_STATUS, value);
        }
    }
}

/// The contents of a structured string, which is ASCII (RFC 9651, section 3.3.3). Other bytes are percent-encoded.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => escaped.extend(['\\', byte.into()]),
            0x20..=0x7e => escaped.push(byte.into()),
            _ => _ = write!(escaped, "%{byte:02X}"),
        }
    }
    escaped
}
