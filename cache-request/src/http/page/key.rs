//! Which requests ask for the same page: scheme, host, path and query, and fields that may change what the origin makes of them.

use std::{
    borrow::Cow,
    fmt::{self, Write as _},
};

use ::http::{HeaderMap, header::HOST, request::Parts, uri::Authority};

use serde::Serialize;

use super::super::rules::lists::trim;
use crate::key::Key;

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

/// Fields with which proxies and frameworks override the target of a request. A page that was made from one of them is no page for
/// requests without it.
const OVERRIDES: [&str; 9] = [
    FORWARDED,
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-scheme",
    "x-forwarded-prefix",
    "x-original-url",
    "x-rewrite-url",
    "x-http-method-override",
    "x-method-override",
];

/// Those of them that name the method. In an unsafe request they change nothing of what its target is.
const METHOD_OVERRIDES: [&str; 2] = ["x-http-method-override", "x-method-override"];

/// The target of a request, as the key has it.
pub(super) struct Target {
    pub(super) scheme: String,
    pub(super) authority: Authority,
    pub(super) path_and_query: String,
    overrides: Vec<(&'static str, Vec<u8>)>,
}

impl Target {
    /// The target of a request, or `None` if it cannot be told: it has no host, or several that differ.
    pub(super) fn of(request: &Parts, rules: &QueryRules) -> Option<Self> {
        let uri = &request.uri;
        let mut hosts = request.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => Some(host.to_str().ok()?.parse::<Authority>().ok()?),
            (None, None) => None,
            _ => return None,
        };
        let authority = match (uri.authority(), host) {
            (Some(target), Some(host)) if *target != host => return None,
            (Some(target), _) => target.clone(),
            (None, Some(host)) => host,
            (None, None) => return None,
        };
        // A host with a password in front names a user.
        if authority.as_str().contains('@') {
            return None;
        }
        let scheme = uri.scheme_str().unwrap_or("http").to_ascii_lowercase();
        let path_and_query = rules.join(uri.path(), uri.query());
        let overrides = overrides(&request.headers);
        Some(Self { scheme, authority, path_and_query, overrides })
    }

    /// The same origin and overrides with another path.
    pub(super) fn with_path(&self, path_and_query: &str, rules: &QueryRules) -> Self {
        let path_and_query = match path_and_query.split_once('?') {
            Some((path, query)) => rules.join(path, Some(query)),
            None => rules.join(path_and_query, None),
        };
        Self {
            scheme: self.scheme.clone(),
            authority: self.authority.clone(),
            path_and_query,
            overrides: self.overrides.clone(),
        }
    }

    /// The page that an unsafe request changes.
    pub(super) fn of_change(mut self) -> Self {
        self.overrides.retain(|(name, _)| !METHOD_OVERRIDES.contains(name));
        self
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
            key.part(&self.authority.as_str().to_ascii_lowercase());
            key.part(&self.path_and_query);
            key.part(&self.overrides);
            key.part(variant);
        })
    }
}

fn overrides(headers: &HeaderMap) -> Vec<(&'static str, Vec<u8>)> {
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
    let pairs: Vec<_> = line.split(|&byte| byte == b',' || byte == b';').filter(names_target).map(trim).collect();
    pairs.join(&b';')
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

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.path_and_query)
    }
}

impl QueryRules {
    /// A path with the part of the query that counts. A query of which nothing counts is none.
    fn join(&self, path: &str, query: Option<&str>) -> String {
        let path = normalised(path);
        match query.map(|query| (query, self.apply(query))) {
            Some((query, counting)) if query.is_empty() || !counting.is_empty() => format!("{path}?{counting}"),
            _ => path.into_owned(),
        }
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
