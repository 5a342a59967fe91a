//! Whether a response may be stored (RFC 9111, section 3).

use ::http::{HeaderMap, Method, StatusCode, header::AUTHORIZATION};

use super::{
    directives::{About, Directives},
    freshness::{Control, is_heuristically_cacheable},
    vary::Vary,
};

/// Why a response is not stored. The text is the `detail` of `Cache-Status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Refusal {
    Method,
    Status,
    RequestNoStore,
    NoStore,
    Private,
    Authorization,
    VaryAny,
    Partial,
    NotCacheable,
}

impl Refusal {
    /// Whether it concerns one request, and says nothing of what is stored for others.
    pub(crate) fn is_of_request(self) -> bool {
        matches!(self, Self::Authorization | Self::RequestNoStore)
    }

    pub(crate) fn detail(self) -> &'static str {
        match self {
            Self::Method => "method",
            Self::Status => "status",
            Self::RequestNoStore => "request-no-store",
            Self::NoStore => "no-store",
            Self::Private => "private",
            Self::Authorization => "authorization",
            Self::VaryAny => "vary-any",
            Self::Partial => "partial",
            Self::NotCacheable => "no-freshness",
        }
    }
}

/// Statuses whose meaning for a cache this library implements: the final ones that RFC 9110 defines, but 206 and 304, which answer
/// other questions than the whole representation.
fn is_understood(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200..=205 | 300..=303 | 305 | 307 | 308 | 400..=417 | 421 | 422 | 426 | 500..=505)
}

/// Whether a shared cache may store the response to a request with this method, these header fields, and these directives that are obeyed.
pub(crate) fn storable(
    method: &Method,
    request: &HeaderMap,
    wishes: &Directives,
    status: StatusCode,
    response: &HeaderMap,
    control: &Control,
) -> Result<(), Refusal> {
    let directives = &control.directives;
    if method != Method::GET {
        return Err(Refusal::Method);
    }
    if status == StatusCode::PARTIAL_CONTENT {
        return Err(Refusal::Partial);
    }
    if status.is_informational() || status == StatusCode::NOT_MODIFIED {
        return Err(Refusal::Status);
    }
    if directives.must_understand && !is_understood(status) {
        return Err(Refusal::Status);
    }
    if wishes.no_store || wishes.is_malformed {
        return Err(Refusal::RequestNoStore);
    }
    if directives.is_malformed {
        return Err(Refusal::NoStore);
    }
    // With `must-understand`, a cache that understands the status ignores `no-store` (section 5.2.2.3).
    if directives.no_store && !directives.must_understand {
        return Err(Refusal::NoStore);
    }
    if About::is_all(directives.private.as_ref()) {
        return Err(Refusal::Private);
    }
    // Section 3.5.
    let shares_authorized =
        directives.public || directives.must_revalidate || matches!(directives.s_maxage, Some(Ok(_)));
    if request.contains_key(AUTHORIZATION) && !shares_authorized {
        return Err(Refusal::Authorization);
    }
    if Vary::of(response) == Vary::Any {
        return Err(Refusal::VaryAny);
    }
    let is_cacheable = directives.public
        || directives.max_age.is_some()
        || directives.s_maxage.is_some()
        || control.has_expires(response)
        || is_heuristically_cacheable(status);
    if is_cacheable { Ok(()) } else { Err(Refusal::NotCacheable) }
}
