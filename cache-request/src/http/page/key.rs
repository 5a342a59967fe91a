//! Which requests ask for the same page: scheme, host, path and query, and fields that may change what the origin makes of them.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
    sync::Arc,
};

use ::http::{HeaderMap, HeaderName, Uri, request::Parts};
use serde::Serialize;

use super::super::rules::{authority::authority_of, invalidation::SCHEMES, lists::trim};
use crate::{base::panic::catch_panic, key::Key};

/// How the target of a request is told.
#[derive(Clone, Default)]
pub(super) struct TargetRules {
    pub(super) query: QueryRules,
    /// Names the URI that the client asked for, if the request's own is another one by now.
    pub(super) original_uri: Option<OriginalUri>,
    /// The field in which a proxy names the scheme.
    pub(super) scheme_from: Option<HeaderName>,
}

pub(super) type OriginalUri = Arc<dyn Fn(&Parts) -> Option<Uri> + Send + Sync>;

/// The URI that a request had when it came to axum's router, which strips the prefix of a nested one. Else two nested routers would
/// share their pages. `None` if something else has rewritten it: what the service then answers for is not known.
fn routed_from(request: &Parts) -> Option<&Uri> {
    let own = &request.uri;
    let Some(original) = router_s_uri(request).filter(|original| *original != own) else { return Some(own) };
    let is_below = own.path() == "/" || original.path().ends_with(own.path());
    (is_below && original.query() == own.query()).then_some(original)
}

#[cfg(feature = "axum")]
fn router_s_uri(request: &Parts) -> Option<&Uri> {
    request.extensions.get::<axum::extract::OriginalUri>().map(|uri| &uri.0)
}

#[cfg(not(feature = "axum"))]
fn router_s_uri(_: &Parts) -> Option<&Uri> {
    None
}

/// How a query becomes part of the key.
#[derive(Debug, Clone, Default)]
pub(super) struct QueryRules {
    /// Parameters are sorted by name. Those of one name keep their order.
    pub(super) sorted: bool,
    /// Only these parameters count.
    pub(super) only: Option<Vec<String>>,
    /// These do not count. A name that ends with `*` stands for all that begin with it.
    pub(super) without: Vec<String>,
}

const FORWARDED: &str = "forwarded";

/// Fields with which proxies and frameworks override the target of a request.
const OVERRIDES: [&str; 13] = [
    FORWARDED,
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-ssl",
    "x-host",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
];

/// The target of a request, in the form that is equal for equal targets.
pub(super) struct Target<'a> {
    pub(super) scheme: Cow<'a, str>,
    pub(super) authority: Cow<'a, str>,
    pub(super) path_and_query: Cow<'a, str>,
}

impl<'a> Target<'a> {
    /// The target of a request, or `None` if it cannot be told: it has no host, or several that differ.
    pub(super) fn of(request: &'a Parts, rules: &TargetRules) -> Option<Self> {
        let scheme = rules.scheme_from.as_ref().and_then(|field| proxied_scheme(&request.headers, field));
        let original = match &rules.original_uri {
            Some(original) => catch_panic(|| original(request))?,
            None => None,
        };
        match original {
            None => Self::new(routed_from(request)?, scheme, authority_of(request)?, &rules.query),
            Some(uri) => {
                let scheme = uri.scheme_str().or(scheme).or(request.uri.scheme_str());
                let authority = uri.authority().map_or_else(|| authority_of(request), |own| Some(own.as_str()))?;
                Target::new(&uri, scheme, authority, &rules.query).map(Target::into_owned)
            }
        }
    }

    /// The target that an absolute URI names.
    pub(super) fn of_uri(uri: &'a Uri, rules: &TargetRules) -> Option<Self> {
        Self::new(uri, None, uri.authority()?.as_str(), &rules.query)
    }

    /// The target that a URI names on an origin. `None` for its own scheme, or `http`.
    fn new(uri: &'a Uri, scheme: Option<&'a str>, authority: &'a str, rules: &QueryRules) -> Option<Self> {
        // One with a user's name and password is a user's own, and no host has other characters.
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:[]%".contains(&byte);
        if authority.is_empty() || !authority.bytes().all(is_host) {
            return None;
        }
        let scheme = scheme.or(uri.scheme_str()).map_or(Cow::Borrowed("http"), lower);
        let whole = uri.path_and_query()?.as_str();
        // Of two forms that are equal, a router may know only one. So only the normal one has a page.
        let path = whole.split('?').next()?;
        if normalised(path) != path {
            return None;
        }
        Some(Self {
            authority: lower(without_default_port(&scheme, authority)),
            scheme,
            path_and_query: rules.normalised(whole),
        })
    }

    /// The same origin with another path.
    pub(super) fn with_path<'b>(&'b self, path_and_query: &'b str, rules: &TargetRules) -> Target<'b> {
        Target {
            scheme: Cow::Borrowed(&self.scheme),
            authority: Cow::Borrowed(&self.authority),
            path_and_query: rules.query.normalised(path_and_query),
        }
    }

    /// The keys of its page with each scheme, to invalidate. Of one server, requests with HTTP/2 tell `https` and those with HTTP/1.1 tell
    /// nothing, or the port of it. So a change that comes by one changes the pages of the others.
    pub(super) fn keys_of_all_schemes(&self, layer: &str) -> Vec<Key> {
        let Host(host) = self.host();
        let is_default = host != self.authority || !has_port(host);
        let mut keys = Vec::new();
        for scheme in SCHEMES {
            let mut add = |authority: &str| {
                let (scheme, authority) = (Cow::Borrowed(scheme), Cow::Borrowed(authority));
                let path_and_query = Cow::Borrowed(&*self.path_and_query);
                keys.push(Target { scheme, authority, path_and_query }.key(layer));
            };
            add(host);
            if is_default {
                let foreign = if scheme == "http" { HTTPS_PORT } else { HTTP_PORT };
                add(&format!("{host}{foreign}"));
            }
        }
        keys
    }

    /// Its host, whichever scheme and default port it is asked for by.
    pub(super) fn host(&self) -> Host<'_> {
        Host::of(&self.authority)
    }

    pub(super) fn into_owned(self) -> Target<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        Target {
            scheme: owned(self.scheme),
            authority: owned(self.authority),
            path_and_query: owned(self.path_and_query),
        }
    }

    /// Its path, without the query.
    pub(super) fn path(&self) -> &str {
        self.path_and_query.split('?').next().unwrap_or_default()
    }

    /// The key of the page.
    pub(super) fn key(&self, layer: &str) -> Key {
        self.key_with(layer, &())
    }

    /// The key of a variant of the page.
    pub(super) fn variant(&self, layer: &str, number: u128) -> Key {
        self.key_with(layer, &number)
    }

    fn key_with<T: Serialize>(&self, layer: &str, variant: &T) -> Key {
        Key::build(|key| {
            key.part(layer);
            key.part(&self.scheme);
            key.part(&self.authority);
            key.part(&self.path_and_query);
            key.part(variant);
        })
    }
}

/// The key of a layer's purges by prefix. No page has an empty scheme.
pub(super) fn key_of_purges(layer: &str) -> Key {
    Target { scheme: "".into(), authority: "".into(), path_and_query: "".into() }.key_with(layer, &"purges")
}

/// A host, with its port if that is the default of no scheme.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Host<'a>(&'a str);

impl<'a> Host<'a> {
    /// The host of an authority in lower case.
    pub(super) fn of(authority: &'a str) -> Self {
        Self(SCHEMES.iter().fold(authority, |host, scheme| without_default_port(scheme, host)))
    }
}

/// The scheme that a proxy names in a field of its own.
fn proxied_scheme<'a>(headers: &'a HeaderMap, field: &HeaderName) -> Option<&'a str> {
    let mut lines = headers.get_all(field).iter();
    let (Some(line), None) = (lines.next(), lines.next()) else { return None };
    let is_known = |scheme: &&str| ["http", "https"].iter().any(|known| known.eq_ignore_ascii_case(scheme));
    line.to_str().ok().filter(is_known)
}

/// The authority without the port that the scheme has by default (RFC 9110, section 4.2.3).
fn without_default_port<'a>(scheme: &str, authority: &'a str) -> &'a str {
    let port = if scheme == "https" { HTTPS_PORT } else { HTTP_PORT };
    authority.strip_suffix(port).unwrap_or(authority)
}

const HTTP_PORT: &str = ":80";
const HTTPS_PORT: &str = ":443";

/// Whether an authority has a port. An IPv6 address has colons in its brackets.
fn has_port(authority: &str) -> bool {
    authority.rsplit(']').next().is_some_and(|rest| rest.contains(':'))
}

fn lower(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether anything overrides the target of a request.
pub(super) fn has_overrides(headers: &HeaderMap) -> bool {
    headers.keys().any(|name| OVERRIDES.contains(&name.as_str()))
}

/// What overrides the target of a request. A page that may have been made from it is for requests with the same overrides only.
pub(super) fn overrides(headers: &HeaderMap) -> Vec<(&'static str, Vec<u8>)> {
    // Few requests have any, and to look for each name takes long.
    if !has_overrides(headers) {
        return Vec::new();
    }
    let present = OVERRIDES.into_iter().filter(|name| headers.contains_key(*name));
    // No value has a line feed, so it separates lines.
    let lines = |name| {
        let lines = headers.get_all(name).iter().map(|line| match name {
            FORWARDED => host_and_proto(line.as_bytes()),
            _ => line.as_bytes().to_vec(),
        });
        lines.flat_map(|line| [line, b"\n".to_vec()].concat()).collect()
    };
    present.map(|name| (name, lines(name))).collect()
}

/// The parameters of a `Forwarded` line that name the target (RFC 7239). Its `for` names the client, and would part all clients.
fn host_and_proto(line: &[u8]) -> Vec<u8> {
    if line.contains(&b'"') {
        return line.to_vec();
    }
    let names_target = |pair: &&[u8]| {
        let name = pair.split(|&byte| byte == b'=').next().unwrap_or_default();
        [&b"host"[..], b"proto"].iter().any(|target| trim(name).eq_ignore_ascii_case(target))
    };
    // Each proxy adds an element of its own.
    let elements = line.split(|&byte| byte == b',').map(|element| {
        let pairs: Vec<_> = element.split(|&byte| byte == b';').filter(names_target).map(trim).collect();
        pairs.join(&b';')
    });
    elements.collect::<Vec<_>>().join(&b',')
}

/// Percent-encoding in its normal form: upper-case digits, and characters that need none decoded (RFC 3986, section 6.2.2).
fn normalised(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut normal = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        normal.push_str(&rest[..at]);
        let code = rest.as_bytes().get(at + 1..at + 3).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte = code.filter(|code| code.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match byte.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => normal.push(byte.into()),
            Some(byte) => _ = write!(normal, "%{byte:02X}"),
            None => {
                normal.push('%');
                rest = &rest[at + 1..];
                continue;
            }
        }
        rest = &rest[at + 3..];
    }
    normal.push_str(rest);
    Cow::Owned(normal)
}

impl fmt::Display for Target<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

impl QueryRules {
    /// A path with its query, in normal form and without the parameters that do not count.
    pub(super) fn normalised<'a>(&self, path_and_query: &'a str) -> Cow<'a, str> {
        match path_and_query.split_once('?') {
            // An empty path is `/` (RFC 9110, section 4.2.3).
            Some(("", _)) => Cow::Owned(self.normalised(&format!("/{path_and_query}")).into_owned()),
            Some((path, query)) if self.is_any() => Cow::Owned(self.join(path, query)),
            _ => normalised(path_and_query),
        }
    }

    fn is_any(&self) -> bool {
        self.sorted || self.only.is_some() || !self.without.is_empty()
    }

    /// A path with the part of the query that counts. A query of which nothing counts is none.
    fn join(&self, path: &str, query: &str) -> String {
        let (path, counting) = (normalised(path), self.apply(query));
        if query.is_empty() || !counting.is_empty() { format!("{path}?{counting}") } else { path.into_owned() }
    }

    fn apply(&self, query: &str) -> String {
        let counts = |parameter: &&str| {
            // Some services begin another parameter here, which may count.
            if parameter.contains(';') {
                return true;
            }
            let name = name_of(parameter);
            let is = |text: &str| text.as_bytes() == name;
            let chosen = self.only.as_ref().is_none_or(|only| only.iter().any(|text| is(text)));
            chosen && !self.without.iter().any(|dropped| stands_for(dropped, &name))
        };
        let mut parameters: Vec<_> = query.split('&').filter(counts).map(normalised).collect();
        if self.sorted {
            parameters.sort_by_key(|parameter| name_of(parameter));
        }
        parameters.join("&")
    }
}

/// The name of a parameter as a service decodes it.
fn name_of(parameter: &str) -> Vec<u8> {
    let name = parameter.split('=').next().unwrap_or_default();
    let mut bytes = name.as_bytes().iter();
    let mut decoded = Vec::with_capacity(name.len());
    while let Some(&byte) = bytes.next() {
        let digits = bytes.as_slice().first_chunk::<2>().and_then(|digits| std::str::from_utf8(digits).ok());
        let code = digits.filter(|digits| digits.bytes().all(|digit| digit.is_ascii_hexdigit()));
        decoded.push(match (byte, code.and_then(|code| u8::from_str_radix(code, 16).ok())) {
            (b'%', Some(code)) => {
                bytes.nth(1);
                code
            }
            (b'+', _) => b' ',
            (byte, _) => byte,
        });
    }
    decoded
}

fn stands_for(pattern: &str, name: &[u8]) -> bool {
    pattern.strip_suffix('*').map_or(pattern.as_bytes() == name, |start| name.starts_with(start.as_bytes()))
}
