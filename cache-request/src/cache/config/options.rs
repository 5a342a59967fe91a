//! The options of a cache, as they were given, and what their values may be.

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use super::scheme::{NEAR_CACHES_HAVE, TIERED};
use crate::Error;

/// Options as they were given, each to be taken once.
pub(super) struct Options {
    given: BTreeMap<String, String>,
    /// Errors show no name and no value that was given: behind the `?` of the address stands an `@`, so that what looks like
    /// an option may be the end of a password.
    hidden: bool,
}

impl Options {
    /// None yet; errors are to show what is given, unless it is `hidden`.
    pub(super) fn new(hidden: bool) -> Self {
        Self { given: BTreeMap::new(), hidden }
    }

    /// The name of one that is not among those that `is_known`.
    pub(super) fn unknown(&self, is_known: impl Fn(&str) -> bool) -> Option<&str> {
        self.given.keys().map(String::as_str).find(|option| !is_known(option))
    }

    /// Whether errors are to show nothing that was given.
    pub(super) fn is_hidden(&self) -> bool {
        self.hidden
    }

    pub(super) fn give(&mut self, name: &str, value: String) -> Result<(), Error> {
        match self.given.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) if self.hidden => Err(Error::config("an option is given twice")),
            Some(_) => Err(Error::config(format!("option `{name}` is given twice"))),
        }
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.given.remove(name)
    }

    pub(super) fn take<T: FromStr<Err = Wrong>>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        let Some(value) = self.text(name) else { return Ok(None) };
        value.parse().map(Some).map_err(|wrong| {
            let wrong = match wrong {
                Wrong::Expected(what) => format!("expected {what}"),
                Wrong::Nothing if NEAR_CACHES_HAVE.contains(&name) => {
                    format!("nothing could be kept in front; to have none, leave out `{TIERED}`")
                }
                Wrong::Nothing => "nothing could be kept; to keep nothing, write null://".to_owned(),
            };
            Error::config(if self.hidden {
                format!("option `{name}` cannot have this value: {wrong}")
            } else {
                format!("option `{name}`: `{value}`: {wrong}")
            })
        })
    }

    /// As [`take`](Self::take), and leaves it for somebody else.
    #[cfg(feature = "memcached")]
    pub(super) fn look<T: FromStr<Err = Wrong>>(&mut self, name: &'static str) -> Result<Option<T>, Error> {
        let value = self.given.get(name).cloned();
        let looked = self.take(name);
        self.given.extend(value.map(|value| (name.to_owned(), value)));
        looked
    }
}

pub(super) const BYTES: &str = "bytes, such as 1048576, 64MiB or 1GB";
pub(super) const NUMBER: &str = "a number, such as 10000";
pub(super) const TRUTH: &str = "`true` or `false`";
pub(super) const CONNECT: &str = "`now` or `lazy`";
pub(super) const TIME: &str = "a time, such as 250ms, 10s or 1h 30m";
const TIME_THAT_ENDS: &str = "a time that ends, such as 250ms, 10s, 1h 30m or 1day";

/// Why a value cannot be meant.
pub(super) enum Wrong {
    /// It is nothing of this kind.
    Expected(&'static str),
    /// It is a limit of 0.
    Nothing,
}

/// `300`, `64KiB`, `1GB`.
pub(super) struct Bytes(pub(super) u64);

impl FromStr for Bytes {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(digits);
        let number: u64 = number.parse().map_err(|_| Wrong::Expected(BYTES))?;
        let unit: u64 = match unit.trim().to_ascii_lowercase().as_str() {
            "" | "b" => 1,
            "kb" => 1_000,
            "mb" => 1_000_000,
            "gb" => 1_000_000_000,
            "kib" => 1 << 10,
            "mib" => 1 << 20,
            "gib" => 1 << 30,
            _ => return Err(Wrong::Expected(BYTES)),
        };
        match number.checked_mul(unit).ok_or(Wrong::Expected(BYTES))? {
            0 => Err(Wrong::Nothing),
            bytes => Ok(Self(bytes)),
        }
    }
}

/// `10000`.
pub(super) struct Entries(pub(super) u64);

impl FromStr for Entries {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text.parse().map_err(|_| Wrong::Expected(NUMBER))? {
            0 => Err(Wrong::Nothing),
            entries => Ok(Self(entries)),
        }
    }
}

/// `250ms`, `10s`, `1h 30m`.
pub(super) struct Span(pub(super) Duration);

impl FromStr for Span {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "never" => Err(Wrong::Expected(TIME_THAT_ENDS)),
            text => humantime::parse_duration(text).map(Self).map_err(|_| Wrong::Expected(TIME)),
        }
    }
}

/// As [`Span`], but for 0.
pub(super) struct Lifetime(pub(super) Duration);

impl FromStr for Lifetime {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        let Span(time) = text.parse()?;
        if time.is_zero() { Err(Wrong::Nothing) } else { Ok(Self(time)) }
    }
}

/// `2`, of what begins with 0.
#[cfg(feature = "redis")]
pub(super) struct Number(pub(super) u32);

#[cfg(feature = "redis")]
impl FromStr for Number {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| Wrong::Expected(NUMBER))
    }
}

/// `true` or `false`.
#[cfg(feature = "redis")]
pub(super) struct Truth(pub(super) bool);

#[cfg(feature = "redis")]
impl FromStr for Truth {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        text.parse().map(Self).map_err(|_| Wrong::Expected(TRUTH))
    }
}

/// When a server is connected to.
#[cfg(feature = "_connections")]
#[derive(PartialEq, Eq)]
pub(super) enum Connect {
    Now,
    Lazy,
}

#[cfg(feature = "_connections")]
impl FromStr for Connect {
    type Err = Wrong;

    fn from_str(text: &str) -> Result<Self, Wrong> {
        match text {
            "now" => Ok(Self::Now),
            "lazy" => Ok(Self::Lazy),
            _ => Err(Wrong::Expected(CONNECT)),
        }
    }
}
