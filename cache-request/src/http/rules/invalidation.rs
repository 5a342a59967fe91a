//! What an unsafe request invalidates (RFC 9111, section 4.4).

use ::http::{
    HeaderMap, Method, StatusCode, Uri,
    header::{CONTENT_LOCATION, LOCATION},
    uri::Authority,
};

/// The schemes of pages.
pub(crate) const SCHEMES: [&str; 2] = ["http", "https"];

/// Whether a method is safe (RFC 9110, section 9.2.1). An unknown one is not.
pub(crate) fn is_safe(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Whether a request changes what is stored: its method is unsafe, and the answer is no error.
pub(crate) fn invalidates(method: &Method, status: StatusCode) -> bool {
    !is_safe(method) && (status.is_success() || status.is_redirection())
}

/// The paths with queries that `Location` and `Content-Location` name, on the origin of the request only: others are not for this
/// response to invalidate.
///
/// The origin is told by its authority: behind a proxy that ends TLS, a request does not tell its scheme.
pub(crate) fn further_targets(authority: &Authority, path: &str, response: &HeaderMap) -> Vec<String> {
    let fields = [LOCATION, CONTENT_LOCATION];
    let lines = fields.iter().flat_map(|name| response.get_all(name));
    lines.filter_map(|line| resolve(authority, path, std::str::from_utf8(line.as_bytes()).ok()?)).collect()
}

/// Resolves a reference on the same origin (RFC 3986, section 5.2), without its fragment.
fn resolve(authority: &Authority, path: &str, reference: &str) -> Option<String> {
    let reference = reference.trim().split('#').next()?;
    if let Some(rest) = reference.strip_prefix("//") {
        return same_origin(&format!("http://{rest}"), authority);
    }
    let before_path = reference.split(['/', '?']).next()?;
    if before_path.contains(':') {
        return same_origin(reference, authority);
    }
    let base = path.split('?').next()?;
    let merged = match reference.chars().next() {
        None => return Some(path.to_owned()),
        Some('/') => reference.to_owned(),
        Some('?') => format!("{base}{reference}"),
        Some(_) => format!("{}/{reference}", base.rsplit_once('/').map_or("", |(folder, _)| folder)),
    };
    let (path, query) = match merged.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*merged, None),
    };
    let path = remove_dot_segments(path);
    Some(query.map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
}

fn same_origin(absolute: &str, authority: &Authority) -> Option<String> {
    let uri: Uri = absolute.parse().ok()?;
    let is_http = SCHEMES.iter().any(|scheme| uri.scheme_str() == Some(scheme));
    let is_same = is_http
        && without_default_port(uri.authority()?.as_str())
            .eq_ignore_ascii_case(without_default_port(authority.as_str()));
    let path = remove_dot_segments(uri.path());
    is_same.then(|| uri.query().map_or_else(|| path.clone(), |query| format!("{path}?{query}")))
}

/// The authority without a port that one of the schemes has by default.
fn without_default_port(authority: &str) -> &str {
    [":80", ":443"].iter().find_map(|port| authority.strip_suffix(port)).unwrap_or(authority)
}

/// RFC 3986, section 5.2.4, for a path that begins with a slash.
fn remove_dot_segments(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}
