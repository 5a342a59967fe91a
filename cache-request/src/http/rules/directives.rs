//! Cache directives of requests and responses (RFC 9111, sections 5.2 and 5.4; RFC 5861; RFC 9213).

use std::time::Duration;

use ::http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CACHE_CONTROL, PRAGMA},
};

use super::{
    lists::{is_token, is_unterminated, members, split, unquote},
    structured::{Argument, dictionary},
};

/// The argument of a directive that takes seconds. `Err` if it is missing or no number, or if two arguments contradict.
pub(crate) type Seconds = Result<Duration, Malformed>;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The largest number of seconds that is told from larger ones (RFC 9111, section 1.2.2).
pub(crate) const MOST_SECONDS: u64 = 1 << 31;

/// What `no-cache` or `private` is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum About {
    /// The whole response.
    All,
    /// The named header fields.
    Fields(Vec<HeaderName>),
}

/// The directives of a message. Where lines contradict one another, the most restrictive counts (section 4.2.1).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Directives {
    pub(crate) no_store: bool,
    pub(crate) no_cache: Option<About>,
    pub(crate) private: Option<About>,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<Seconds>,
    pub(crate) s_maxage: Option<Seconds>,
    pub(crate) min_fresh: Option<Seconds>,
    pub(crate) max_stale: Option<MaxStale>,
    pub(crate) stale_while_revalidate: Option<Seconds>,
    pub(crate) stale_if_error: Option<Seconds>,
    /// Whether there is any directive at all, known or not.
    pub(crate) any: bool,
    /// A part of a field cannot be read. It may hide any directive, so the response is not stored, and a request is forwarded.
    pub(crate) is_malformed: bool,
}

/// How stale a response may be for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxStale {
    Any,
    AtMost(Duration),
}

/// The directives whose argument is a number of seconds.
const TAKES_SECONDS: [&str; 4] = ["max-age", "s-maxage", "stale-while-revalidate", "stale-if-error"];

/// The directives that allow more than none would.
const PERMISSIVE: [&str; 2] = ["public", "must-understand"];

impl Directives {
    /// The directives of a request. `Pragma: no-cache` counts if there is no `Cache-Control` (section 5.4).
    pub(crate) fn of_request(headers: &HeaderMap) -> Self {
        let mut directives = Self::parse(headers, &CACHE_CONTROL);
        directives.read_pragma(headers);
        directives
    }

    /// The directives of a response, from `Cache-Control`.
    pub(crate) fn of_response(headers: &HeaderMap) -> Self {
        let mut directives = Self::parse(headers, &CACHE_CONTROL);
        // The RFC gives it no meaning in responses. Servers that send it alone want their response not to be reused.
        directives.read_pragma(headers);
        directives
    }

    /// The directives of a targeted field (RFC 9213), or `None` if the field is missing, empty or malformed.
    pub(crate) fn of_target(headers: &HeaderMap, target: &HeaderName) -> Option<Self> {
        let mut lines = headers.get_all(target).iter().peekable();
        lines.peek()?;
        let mut directives = Self::default();
        for (name, argument) in dictionary(lines.map(HeaderValue::as_bytes))? {
            directives.any = true;
            let takes_seconds = TAKES_SECONDS.contains(&&*name);
            // A restrictive directive counts whatever its value is, and a permissive one only with the value that it should have.
            match argument {
                Argument::Integer(seconds) if takes_seconds => {
                    directives.add(name.as_bytes(), Some(seconds.to_string().as_bytes()));
                }
                _ if takes_seconds => directives.add(name.as_bytes(), None),
                Argument::Flag(false) => {}
                Argument::Text(fields) => directives.add(name.as_bytes(), Some(fields.as_bytes())),
                Argument::Integer(_) | Argument::Other if PERMISSIVE.contains(&&*name) => {}
                Argument::Flag(true) | Argument::Integer(_) | Argument::Other => directives.add(name.as_bytes(), None),
            }
        }
        directives.any.then_some(directives)
    }

    fn parse(headers: &HeaderMap, field: &HeaderName) -> Self {
        let mut directives = Self::default();
        for line in headers.get_all(field) {
            // A directive may hide in a string without an end.
            directives.is_malformed |= is_unterminated(line.as_bytes());
            for member in split(line.as_bytes()) {
                let (name, argument) = match member.iter().position(|&byte| byte == b'=') {
                    Some(at) => (&member[..at], Some(&member[at + 1..])),
                    None => (member, None),
                };
                if is_token(name) {
                    directives.add(&name.to_ascii_lowercase(), argument);
                } else {
                    directives.is_malformed = true;
                }
            }
        }
        directives
    }

    fn read_pragma(&mut self, headers: &HeaderMap) {
        if !self.any && members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache")) {
            self.no_cache = Some(About::All);
        }
    }

    /// Adds a directive whose name is in lower case.
    fn add(&mut self, name: &[u8], argument: Option<&[u8]>) {
        self.any = true;
        match name {
            b"no-store" => self.no_store = true,
            b"no-cache" => About::add(&mut self.no_cache, argument),
            b"private" => About::add(&mut self.private, argument),
            b"public" => self.public = true,
            b"must-revalidate" => self.must_revalidate = true,
            b"proxy-revalidate" => self.proxy_revalidate = true,
            b"must-understand" => self.must_understand = true,
            b"only-if-cached" => self.only_if_cached = true,
            b"max-age" => add_seconds(&mut self.max_age, argument),
            b"s-maxage" => add_seconds(&mut self.s_maxage, argument),
            b"min-fresh" => add_seconds(&mut self.min_fresh, argument),
            b"stale-while-revalidate" => add_seconds(&mut self.stale_while_revalidate, argument),
            b"stale-if-error" => add_seconds(&mut self.stale_if_error, argument),
            b"max-stale" => {
                let most = match argument.map(|argument| seconds(Some(argument))) {
                    None => MaxStale::Any,
                    Some(Ok(most)) => MaxStale::AtMost(most),
                    Some(Err(Malformed)) => MaxStale::AtMost(Duration::ZERO),
                };
                self.max_stale = Some(match self.max_stale {
                    Some(MaxStale::AtMost(known)) => match most {
                        MaxStale::AtMost(most) => MaxStale::AtMost(known.min(most)),
                        MaxStale::Any => MaxStale::AtMost(known),
                    },
                    Some(MaxStale::Any) | None => most,
                });
            }
            _ => {}
        }
    }
}

impl About {
    fn add(known: &mut Option<Self>, argument: Option<&[u8]>) {
        let new = argument.map_or(Self::All, Self::parse);
        *known = Some(match (known.take(), new) {
            (None, new) => new,
            (Some(Self::Fields(mut known)), Self::Fields(new)) => {
                known.extend(new);
                Self::Fields(known)
            }
            _ => Self::All,
        });
    }

    /// The named fields. An argument that names none is about the whole response.
    fn parse(argument: &[u8]) -> Self {
        let contents = unquote(argument);
        let contents = contents.as_deref().unwrap_or(argument);
        let fields: Result<Vec<_>, _> = split(contents).map(HeaderName::from_bytes).collect();
        fields.ok().filter(|fields| !fields.is_empty()).map_or(Self::All, Self::Fields)
    }

    /// Whether it is about the whole response.
    pub(crate) fn is_all(about: Option<&Self>) -> bool {
        about == Some(&Self::All)
    }

    /// The fields that it names.
    pub(crate) fn fields(about: Option<&Self>) -> &[HeaderName] {
        match about {
            Some(Self::Fields(fields)) => fields,
            Some(Self::All) | None => &[],
        }
    }
}

/// Adds seconds. Of two arguments that differ, neither is believed, and the response is stale (section 4.2.1).
fn add_seconds(known: &mut Option<Seconds>, argument: Option<&[u8]>) {
    let new = seconds(argument);
    *known = Some(match known {
        Some(known) if *known != new => Err(Malformed),
        Some(_) | None => new,
    });
}

/// A number of seconds, as a token or a quoted string (sections 1.2.2 and 5.2).
fn seconds(argument: Option<&[u8]>) -> Seconds {
    let argument = argument.ok_or(Malformed)?;
    match unquote(argument) {
        Some(contents) => delta_seconds(&contents),
        None => delta_seconds(argument),
    }
    .ok_or(Malformed)
}

/// Delta-seconds, at most [`MOST_SECONDS`] (section 1.2.2).
pub(crate) fn delta_seconds(digits: &[u8]) -> Option<Duration> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |number: u64, digit: &u8| (number * 10 + u64::from(digit - b'0')).min(MOST_SECONDS);
    Some(Duration::from_secs(digits.iter().fold(0, add)))
}
