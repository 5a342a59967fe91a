//! Preferences of clients, reduced to what a service can offer (RFC 9110, sections 12.4 and 12.5).
//!
//! Clients name the same preferences in many ways. A service that gets them reduced answers the same as to the many, and a response
//! that varies by them has few variants.

use std::cmp::Reverse;

use ::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT_ENCODING, ACCEPT_LANGUAGE},
};

use super::lists::{is_token, members, trim};

const ANY: &str = "*";
/// No coding, which is always on offer.
const IDENTITY: &str = "identity";

/// One preference: a name in lower case, and its weight in thousandths.
type Preference = (String, u16);

/// Reduces `Accept-Language` to the languages on offer, which are tags in lower case.
///
/// A range that names none of them stands for the longest beginning of it that does (RFC 4647, section 3.4): `de-AT` for `de`. Without
/// any, the field goes. One that cannot be read stays.
pub(crate) fn reduce_languages(request: &mut HeaderMap, on_offer: &[String]) {
    let Some(mut wanted) = preferences(request, &ACCEPT_LANGUAGE) else { return };
    wanted.retain_mut(|(range, weight)| match known(range, on_offer) {
        // To refuse what a service does not have changes nothing, and a part of it is not refused.
        Some(known) if *weight > 0 || known.len() == range.len() => {
            range.truncate(known.len());
            true
        }
        _ => false,
    });
    // Services that have several of one weight take the first one, so their order counts.
    wanted.sort_by_key(|(_, weight)| Reverse(*weight));
    replace(request, ACCEPT_LANGUAGE, wanted);
}

/// The longest beginning of a language range, by whole subtags, that something on offer is or begins with.
fn known<'a>(range: &'a str, on_offer: &[String]) -> Option<&'a str> {
    if range == ANY {
        return Some(range);
    }
    let is_known = |start: &str| {
        on_offer.iter().any(|tag| tag.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('-')))
    };
    let starts = std::iter::successors(Some(range), |start| start.rsplit_once('-').map(|(start, _)| start));
    starts.into_iter().find(|start| is_known(start))
}

/// Reduces `Accept-Encoding` to the codings on offer, which are in lower case. Of one weight, the order is that of the offer.
///
/// A request that accepts none of them accepts `identity`. One without the field stays without it: it accepts all.
pub(crate) fn reduce_encodings(request: &mut HeaderMap, on_offer: &[String]) {
    let Some(mut wanted) = preferences(request, &ACCEPT_ENCODING) else { return };
    let place = |coding: &str| on_offer.iter().position(|offered| offered == coding);
    wanted.retain(|(coding, _)| place(coding).is_some() || [ANY, IDENTITY].contains(&coding.as_str()));
    wanted.sort_by_key(|(coding, weight)| (Reverse(*weight), place(coding).unwrap_or(usize::MAX), coding == ANY));
    if wanted.is_empty() {
        wanted.push((IDENTITY.to_owned(), 1000));
    }
    replace(request, ACCEPT_ENCODING, wanted);
}

/// The languages that a request prefers, in a form that is equal for equal preferences: tags are in lower case, as case means nothing in them, and
/// sorted, the heaviest first. Of one weight, their order means nothing (section 12.5.4). `None` if they cannot be read.
pub(crate) fn languages(request: &HeaderMap) -> Option<Vec<Vec<u8>>> {
    let mut wanted = preferences(request, &ACCEPT_LANGUAGE)?;
    wanted.sort_by(|(one, weight), (other, other_weight)| (Reverse(weight), one).cmp(&(Reverse(other_weight), other)));
    Some(wanted.into_iter().map(|(range, weight)| format!("{range};q={weight}").into_bytes()).collect())
}

/// What a field prefers. `None` if it is not there or cannot be read.
fn preferences(request: &HeaderMap, field: &HeaderName) -> Option<Vec<Preference>> {
    request.contains_key(field).then(|| members(request, field).map(preference).collect()).flatten()
}

fn preference(member: &[u8]) -> Option<Preference> {
    let mut parts = member.split(|&byte| byte == b';').map(trim);
    let name = parts.next().filter(|name| is_token(name))?;
    let weight = match (parts.next(), parts.next()) {
        (None, _) => 1000,
        (Some([b'q' | b'Q', b'=', weight @ ..]), None) => thousandths(weight)?,
        _ => return None,
    };
    Some((String::from_utf8(name.to_ascii_lowercase()).ok()?, weight))
}

/// A weight from 0 to 1, with three digits after the point at most (section 12.4.2).
fn thousandths(weight: &[u8]) -> Option<u16> {
    let (whole, digits) = match weight {
        [whole @ (b'0' | b'1')] => (whole, &[][..]),
        [whole @ (b'0' | b'1'), b'.', digits @ ..] if digits.len() <= 3 => (whole, digits),
        _ => return None,
    };
    let mut thousandths = u16::from(whole - b'0');
    for place in 0..3 {
        let digit = digits.get(place).copied().unwrap_or(b'0');
        thousandths = thousandths * 10 + u16::from(char::from(digit).to_digit(10)? as u8);
    }
    (thousandths <= 1000).then_some(thousandths)
}

/// Writes sorted preferences into a field. Only the order of their weights counts, so equal orders get equal weights.
fn replace(request: &mut HeaderMap, field: HeaderName, mut wanted: Vec<Preference>) {
    let mut seen = Vec::new();
    wanted.retain(|(name, _)| {
        !seen.contains(name) && {
            seen.push(name.clone());
            true
        }
    });
    let mut weights: Vec<_> = wanted.iter().map(|(_, weight)| *weight).filter(|weight| *weight > 0).collect();
    weights.dedup();
    let written = wanted.iter().map(|(name, weight)| match weights.iter().position(|known| known == weight) {
        None => format!("{name};q=0"),
        Some(0) => name.clone(),
        Some(rank) => format!("{name};q=0.{:03}", (weights.len() - rank) * 1000 / weights.len()),
    });
    let written: Vec<_> = written.collect();
    match HeaderValue::try_from(written.join(", ")) {
        Ok(value) if !written.is_empty() => _ = request.insert(field, value),
        _ => _ = request.remove(field),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduced(
        reduce: fn(&mut HeaderMap, &[String]),
        field: &HeaderName,
        on_offer: &[&str],
        sent: &[&str],
    ) -> Option<String> {
        let on_offer: Vec<_> = on_offer.iter().map(|name| (*name).to_owned()).collect();
        let mut request = HeaderMap::new();
        sent.iter().for_each(|line| _ = request.append(field, line.parse().unwrap()));
        reduce(&mut request, &on_offer);
        let lines: Vec<_> = request.get_all(field).iter().map(|line| line.to_str().unwrap()).collect();
        (!lines.is_empty()).then(|| lines.join(" + "))
    }

    #[test]
    fn languages() {
        let german = ["de", "de-at", "pt-br", "en"];
        for (sent, expected) in [
            (&["de"][..], Some("de")),
            (&["DE-at, de;q=0.7"], Some("de-at, de;q=0.500")),
            (&["de-CH,de;q=0.9,en-US;q=0.8,en;q=0.7,fr;q=0.1"], Some("de, en;q=0.500")),
            (&["de-CH-1996"], Some("de")),
            (&["fr, en;q=0.1"], Some("en")),
            (&["en;q=0.3", "de;q=0.5"], Some("de, en;q=0.500")),
            (&["en, de"], Some("en, de")),
            (&["de, en"], Some("de, en")),
            (&["pt"], Some("pt")),
            (&["pt-PT"], Some("pt")),
            (&["d, e"], None),
            (&["fr"], None),
            (&[""], None),
            (&[], None),
            (&["*"], Some("*")),
            (&["fr, *;q=0.5, en;q=0"], Some("*, en;q=0")),
            (&["de, de-AT;q=0, de-CH;q=0"], Some("de, de-at;q=0")),
            (&["en;q=0.1, en"], Some("en")),
            (&["de;q=1.000, en;q=0.999, pt-br;q=0.001"], Some("de, en;q=0.666, pt-br;q=0.333")),
            // What cannot be read may mean anything to the service.
            (&["de;q=2"], Some("de;q=2")),
            (&["de;q=0.1234"], Some("de;q=0.1234")),
            (&["de;q=1.001"], Some("de;q=1.001")),
            (&["de;q=.5"], Some("de;q=.5")),
            (&["de;level=1"], Some("de;level=1")),
            (&["de en"], Some("de en")),
        ] {
            assert_eq!(reduced(reduce_languages, &ACCEPT_LANGUAGE, &german, sent).as_deref(), expected, "{sent:?}");
        }
    }

    #[test]
    fn encodings() {
        for (sent, expected) in [
            (&["gzip, deflate, br, zstd"][..], Some("br, gzip")),
            (&["br, gzip"], Some("br, gzip")),
            (&["GZIP"], Some("gzip")),
            (&["gzip;q=1.0, br;q=0.5"], Some("gzip, br;q=0.500")),
            (&["deflate"], Some("identity")),
            (&[""], Some("identity")),
            (&[], None),
            (&["identity"], Some("identity")),
            (&["gzip, identity;q=0"], Some("gzip, identity;q=0")),
            (&["deflate, *;q=0"], Some("*;q=0")),
            (&["*"], Some("*")),
            (&["*, gzip"], Some("gzip, *")),
            (&["gzip;q=0"], Some("gzip;q=0")),
        ] {
            assert_eq!(
                reduced(reduce_encodings, &ACCEPT_ENCODING, &["br", "gzip"], sent).as_deref(),
                expected,
                "{sent:?}"
            );
        }
    }
}
