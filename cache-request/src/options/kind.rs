//! The kinds of values that options have: how each is read from text, and which values are refused.

use std::time::Duration;

/// A kind of value.
pub(crate) struct Kind<T> {
    /// What is written for a value, for errors.
    pub(super) expected: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
    /// The value as text, which [`parse`](Self::parse) reads.
    pub(super) show: fn(&T) -> String,
    /// Why the value cannot be used, if it cannot.
    pub(super) fault: fn(&T) -> Option<&'static str>,
    /// Whether no error may show the value.
    pub(super) is_secret: bool,
}

/// A limit in bytes.
pub(crate) const BYTES: Kind<u64> = Kind {
    expected: "bytes, such as 1048576, 64MiB or 1GB",
    parse: parse_bytes,
    show: show_bytes,
    fault: |bytes| (*bytes == 0).then_some(ZERO),
    is_secret: false,
};

/// The limit of a directory, in which each file takes whole blocks of [`BLOCK`] bytes.
pub(crate) const DIRECTORY_BYTES: Kind<u64> = Kind {
    fault: |bytes| match bytes {
        0 => Some(ZERO),
        1..BLOCK => Some("a file takes 4096 bytes at least"),
        _ => None,
    },
    ..BYTES
};

/// A size in bytes beyond which something is done. It may be 0.
pub(crate) const THRESHOLD: Kind<u64> = Kind { fault: |_| None, ..BYTES };

/// A limit that is counted.
pub(crate) const COUNT: Kind<u64> = Kind {
    expected: "a number, such as 10000",
    parse: |text| text.parse().ok(),
    show: u64::to_string,
    fault: |count| (*count == 0).then_some(ZERO),
    is_secret: false,
};

/// A number that names something. It may be 0.
pub(crate) const NUMBER: Kind<u32> = Kind {
    expected: "a number, such as 2",
    parse: |text| text.parse().ok(),
    show: u32::to_string,
    fault: |_| None,
    is_secret: false,
};

/// A level of Zstandard.
pub(crate) const LEVEL: Kind<i32> = Kind {
    expected: "a level from -7 to 22",
    parse: |text| text.parse().ok(),
    show: i32::to_string,
    fault: |level| (!(-7..=22).contains(level)).then_some("expected a level from -7 to 22"),
    is_secret: false,
};

/// A time that something may take.
pub(crate) const DURATION: Kind<Duration> = Kind {
    expected: "a duration, such as 250ms, 10s, 1h 30m or 1day",
    parse: |text| humantime::parse_duration(text).ok(),
    show: |time| humantime::format_duration(*time).to_string(),
    fault: |time| time.is_zero().then_some(ZERO),
    is_secret: false,
};

/// Any text.
pub(crate) const TEXT: Kind<String> = Kind {
    expected: "a text",
    parse: |text| Some(text.to_owned()),
    show: String::clone,
    fault: |_| None,
    is_secret: false,
};

/// What keys begin with on a server. A colon ends it there, and memcached leaves room for a key behind 100 bytes.
pub(crate) const NAMESPACE: Kind<String> = Kind {
    fault: |text| {
        let is_fit =
            text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') && (1..=100).contains(&text.len());
        (!is_fit).then_some("a namespace is 1 to 100 characters of printable ASCII, without spaces and colons")
    },
    ..TEXT
};

/// The name of a table. PostgreSQL cuts names after 63 characters, and that of the index is longer by 8.
pub(crate) const TABLE: Kind<String> = Kind {
    fault: |name| {
        let is_name = (1..=55).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && !name.to_ascii_lowercase().starts_with("sqlite_");
        (!is_name).then_some(
            "a table's name is 1 to 55 ASCII letters, digits and underscores, and begins neither with a digit nor with sqlite_",
        )
    },
    ..TEXT
};

/// A text that no error shows.
pub(crate) const SECRET: Kind<Vec<u8>> = Kind {
    expected: "a text",
    parse: |text| Some(text.into()),
    show: |_| "…".to_owned(),
    fault: |secret| secret.is_empty().then_some("it is empty"),
    is_secret: true,
};

/// A password, which no error shows.
pub(crate) const PASSWORD: Kind<String> =
    Kind { fault: |password| password.is_empty().then_some("it is empty"), is_secret: true, ..TEXT };

/// The name of an environment variable. Errors do not show it: it may be the secret itself, in the wrong place.
pub(crate) const VARIABLE: Kind<String> = Kind { is_secret: true, ..TEXT };

/// Yes or no.
pub(crate) const SWITCH: Kind<bool> = Kind {
    expected: "`true` or `false`",
    parse: |text| text.parse().ok(),
    show: bool::to_string,
    fault: |_| None,
    is_secret: false,
};

pub(crate) const CONNECT: Kind<Connect> = Kind {
    expected: "`now` or `lazy`",
    parse: |text| find(&Connect::NAMES, text),
    show: |connect| name(&Connect::NAMES, connect),
    fault: |_| None,
    is_secret: false,
};

pub(crate) const SSL_MODE: Kind<SslMode> = Kind {
    expected: "`disable`, `allow`, `prefer`, `require`, `verify-ca` or `verify-full`",
    parse: |text| find(&SslMode::NAMES, text),
    show: |mode| name(&SslMode::NAMES, mode),
    fault: |_| None,
    is_secret: false,
};

/// What any value may be, in a configuration.
pub(crate) const ANY: &str = "a text or a number";

/// Why 0 is refused.
const ZERO: &str = "a limit is more than 0";

/// The size of a block of a disk, in bytes.
pub(crate) const BLOCK: u64 = 4096;

/// When a backend connects to its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(not(feature = "_connections"), allow(unreachable_pub, reason = "exported with the backends that connect"))]
pub enum Connect {
    /// When it is built, which fails if the server cannot be reached.
    Now,
    /// When the first call needs it. Memory in front of Redis connects when the cache is built, in the background.
    #[default]
    Lazy,
}

impl Connect {
    const NAMES: [(&str, Self); 2] = [("now", Self::Now), ("lazy", Self::Lazy)];
}

/// Whether connections to PostgreSQL are encrypted, by PostgreSQL's own names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "postgres"), allow(unreachable_pub, reason = "exported with the backend"))]
pub enum SslMode {
    /// Never encrypted.
    Disable,
    /// Encrypted if the server insists.
    Allow,
    /// Encrypted if the server can, and the feature `postgres-tls` is enabled.
    Prefer,
    /// Always encrypted. Needs the feature `postgres-tls`, as do the following.
    Require,
    /// Encrypted, and the server's certificate is signed by a trusted authority.
    VerifyCa,
    /// As [`VerifyCa`](Self::VerifyCa), and the certificate is that of the host.
    VerifyFull,
}

impl SslMode {
    const NAMES: [(&str, Self); 6] = [
        ("disable", Self::Disable),
        ("allow", Self::Allow),
        ("prefer", Self::Prefer),
        ("require", Self::Require),
        ("verify-ca", Self::VerifyCa),
        ("verify-full", Self::VerifyFull),
    ];

    /// Whether a connection that is not encrypted is refused.
    pub(super) fn is_strict(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }
}

/// A number as far as this machine can count.
pub(crate) fn saturating(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn find<T: Copy>(names: &[(&str, T)], text: &str) -> Option<T> {
    names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value)
}

fn name<T: PartialEq>(names: &[(&str, T)], value: &T) -> String {
    names.iter().find(|(_, named)| named == value).map_or_else(String::new, |(name, _)| (*name).to_owned())
}

const UNITS: [(&str, u64); 6] =
    [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000)];

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit.trim() {
        "" | "b" | "B" => 1,
        unit => UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?.1,
    };
    number.parse::<u64>().ok()?.checked_mul(unit)
}

fn show_bytes(bytes: &u64) -> String {
    match UNITS.iter().find(|(_, unit)| *bytes >= *unit && bytes.is_multiple_of(*unit)) {
        Some((name, unit)) => format!("{}{name}", bytes / unit),
        None => bytes.to_string(),
    }
}
