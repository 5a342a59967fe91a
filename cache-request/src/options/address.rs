//! How an address is divided and decoded. No error shows more of it than its scheme: the rest may hold a password.

use super::scheme::{Choice, SCHEMES, Scheme, Service};
use crate::Error;

/// The scheme and the rest. What has other characters than a scheme may be a password in the wrong place, and is none.
pub(crate) fn split(address: &str) -> Option<(&str, &str)> {
    let in_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    let parts = address.trim().split_once("://");
    parts.filter(|(scheme, _)| !scheme.is_empty() && scheme.chars().all(in_scheme))
}

/// What an address chooses, and the rest of it.
pub(crate) fn choose(address: &str) -> Result<(Choice, &str), Error> {
    let Some((scheme, rest)) = split(address) else {
        return Err(Error::config("an address begins with its scheme, such as memory:// or file:///var/cache/app"));
    };
    Ok((Choice::parse(&scheme.to_ascii_lowercase())?, rest))
}

/// Decodes a part of an address.
pub(crate) fn decode(choice: Choice, text: &str) -> Result<String, Error> {
    let is_byte = |two: &[u8]| two.iter().all(u8::is_ascii_hexdigit);
    let escapes = text.split('%').skip(1).all(|escape| escape.as_bytes().get(..2).is_some_and(is_byte));
    let decoded = urlencoding::decode(text).ok().filter(|_| escapes);
    decoded.map(Into::into).ok_or_else(|| {
        Error::config(format!("the {choice} address is percent-encoded wrongly: a `%` itself is written `%25`"))
    })
}

/// The scheme and the decoded rest of the address that the builder of a backend takes: it has no options.
pub(crate) fn of_backend(address: &str, services: &[Service]) -> Result<(&'static Scheme, String), Error> {
    let (choice, rest) = choose(address)?;
    if choice.is_tiered || !services.contains(&choice.scheme.service) {
        let known = SCHEMES.iter().filter(|scheme| services.contains(&scheme.service));
        let known: Vec<_> = known.map(|scheme| format!("{}://", scheme.name)).collect();
        return Err(Error::config(format!("{choice} is no scheme of this backend: there is {}", known.join(", "))));
    }
    if rest.contains('?') {
        return Err(Error::config(format!("the {choice} address of a builder has no options: they are its methods")));
    }
    Ok((choice.scheme, decode(choice, rest)?))
}
