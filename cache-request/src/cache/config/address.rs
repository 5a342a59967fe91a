//! What an address says.

use super::options::Options;
use crate::Error;

/// `scheme://path?option=value&…`.
pub(super) struct Address {
    pub(super) scheme: String,
    pub(super) path: String,
    pub(super) options: Options,
}

/// What an address is.
pub(super) const ADDRESS: &str = "an address, such as memory:// or file:///var/cache/app";

impl Address {
    /// Errors here show nothing of the address but its scheme: the rest may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, Error> {
        let Some((scheme, rest)) = split(url.trim()) else {
            return Err(Error::config("an address begins with its scheme, such as memory:// or file:///var/cache/app"));
        };
        let scheme = &*scheme.to_ascii_lowercase();
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut options = Options::new(query.contains('@'));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            options.give(&decode(scheme, name)?, decode(scheme, value)?)?;
        }
        Ok(Self { scheme: scheme.to_owned(), path: decode(scheme, path)?, options })
    }
}

/// The scheme and the rest. What cannot be a scheme may be a password in the wrong place, and is none.
pub(super) fn split(url: &str) -> Option<(&str, &str)> {
    let in_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    url.split_once("://").filter(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(in_scheme))
}

fn decode(scheme: &str, text: &str) -> Result<String, Error> {
    let is_byte = |two: &[u8]| two.iter().all(u8::is_ascii_hexdigit);
    let escapes = text.split('%').skip(1).all(|escape| escape.as_bytes().get(..2).is_some_and(is_byte));
    let decoded = urlencoding::decode(text).ok().filter(|_| escapes);
    decoded.map(Into::into).ok_or_else(|| {
        Error::config(format!("the `{scheme}://` address is percent-encoded wrongly: a `%` itself is written `%25`"))
    })
}
