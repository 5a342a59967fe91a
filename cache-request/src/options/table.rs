//! The table of options. The page `docs/options.md` is rendered from it.

use std::time::Duration;

use super::{
    defaults,
    feature::{POSTGRES_TLS, REDIS_TLS, REPORT, ZSTD},
    kind::{
        self, BYTES, CONNECT as WHEN, COUNT, Connect, DIRECTORY_BYTES, DURATION, LEVEL, NUMBER, PASSWORD,
        SECRET as HIDDEN, SSL_MODE, SWITCH, SslMode, TEXT, THRESHOLD, VARIABLE,
    },
    option::{
        AnyOption, CacheOption,
        Fallback::{Is, IsText, Says},
        Of,
    },
    scheme::Choice,
};
use crate::Error;

/// All options, in the order of the documentation. Two schemes may have options of one name that differ.
pub(crate) static OPTIONS: [&dyn AnyOption; 42] = [
    &PREFIX,
    &WAIT_LIMIT,
    &MAX_LEADERS,
    &MAX_REFRESHES,
    &POLL_LIMIT,
    &FUNCTION_TAGS,
    &MEASURE,
    &MAX_BYTES,
    &MAX_ENTRIES,
    &LEASES,
    &LEASE,
    &SOFT_LIMIT,
    &MAX_CONCURRENT,
    &BREAKER_FAULTS,
    &BREAKER_PAUSE,
    &MAX_VALUE_BYTES,
    &COMPRESS_OVER,
    &COMPRESS_LEVEL,
    &SECRET,
    &SECRET_ENV,
    &SECRET_OLD,
    &SECRET_OLD_ENV,
    &NEAR_TIMEOUT,
    &NEAR_BYTES,
    &NEAR_ENTRIES,
    &FILE_MAX_BYTES,
    &FILE_MAX_ENTRIES,
    &NAMESPACE,
    &CONNECT,
    &CONNECT_LIMIT,
    &DB,
    &TLS,
    &TLS_CA,
    &SENTINEL_USER,
    &SENTINEL_PASSWORD,
    &TABLE,
    &SQL_MAX_CONNECTIONS,
    &CULL_EVERY,
    &SOCKET,
    &SSLMODE,
    &ANSWER_LIMIT,
    &MEMCACHED_MAX_CONNECTIONS,
];

pub(super) const MEMORY: &[&str] = &["memory"];
pub(super) const FILE: &[&str] = &["file"];
pub(super) const SQL: &[&str] = &["sqlite", "postgres", "postgresql"];
pub(super) const MEMCACHED: &[&str] = &["memcached"];
pub(super) const SERVERS: &[&str] = &[
    "redis",
    "rediss",
    "redis+unix",
    "redis-cluster",
    "redis-sentinel",
    "sqlite",
    "postgres",
    "postgresql",
    "memcached",
];
const REDIS_AND_SQL: &[&str] =
    &["redis", "rediss", "redis+unix", "redis-cluster", "redis-sentinel", "sqlite", "postgres", "postgresql"];

const KEEP_NOTHING: &str = "to keep nothing, write null://";
const NOTHING_IN_FRONT: &str = "to keep nothing in front of the backend, leave out `tiered+` and all `near_` options";

pub(crate) static PREFIX: CacheOption<String> = CacheOption::new(
    "prefix",
    Of::All,
    TEXT,
    Says("the crate of the function"),
    "The first part of all keys, where a function names no prefix of its own.",
);

pub(crate) static WAIT_LIMIT: CacheOption<Duration> = CacheOption::new(
    "wait_limit",
    Of::All,
    DURATION,
    Is(defaults::WAIT_LIMIT),
    "How long a caller waits for a body that another caller runs. Then it runs its own.",
)
.hint("a function whose callers never wait says `coalesce = false`");

pub(crate) static MAX_LEADERS: CacheOption<u64> = CacheOption::new(
    "max_leaders",
    Of::All,
    COUNT,
    Is(defaults::MAX_LEADERS),
    "How many callers of one key run their bodies at a time after failures, at most: one, then two, four and so on.",
)
.hint("with 1, one body follows another");

pub(crate) static MAX_REFRESHES: CacheOption<u64> = CacheOption::new(
    "max_refreshes",
    Of::All,
    COUNT,
    Is(defaults::MAX_REFRESHES),
    "How many bodies replace values in the background at a time, at most. Beyond that, values stay as they are for now.",
)
.hint("a function whose callers replace its values themselves says `foreground`");

pub(crate) static POLL_LIMIT: CacheOption<Duration> = CacheOption::new(
    "poll_limit",
    Of::All,
    DURATION,
    Is(defaults::POLL_LIMIT),
    "How long a running body that was woken may stay unpolled. Then one of the callers that wait runs its own.",
);

pub(crate) static MAX_BYTES: CacheOption<u64> = CacheOption::new(
    "max_bytes",
    Of::Schemes(MEMORY),
    BYTES,
    Is(defaults::MAX_BYTES),
    "How many bytes the cache may hold, its own overhead counted.",
)
.hint(KEEP_NOTHING);

pub(crate) static MAX_ENTRIES: CacheOption<u64> = CacheOption::new(
    "max_entries",
    Of::Schemes(MEMORY),
    COUNT,
    Says("any number"),
    "How many entries the cache may hold.",
)
.hint(KEEP_NOTHING);

pub(crate) static FUNCTION_TAGS: CacheOption<bool> = CacheOption::new(
    "function_tags",
    Of::All,
    SWITCH,
    Is(defaults::FUNCTION_TAGS),
    "Whether the values of a function, and those of a client, can be invalidated as a whole. Each look in a backend then asks for one or two \
     more keys.",
);

pub(crate) static MEASURE: CacheOption<bool> = CacheOption::new(
    "measure",
    Of::All,
    SWITCH,
    Is(defaults::MEASURE),
    "Whether calls are measured, for `Cache::report`. Needs the feature `report`.",
)
.needs(&REPORT, |measure| *measure);

pub(crate) static LEASES: CacheOption<bool> = CacheOption::new(
    "leases",
    Of::Backends,
    SWITCH,
    Is(defaults::LEASES),
    "Whether a caller waits for a body that another process runs for the same key.",
);

pub(crate) static LEASE: CacheOption<Duration> = CacheOption::new(
    "lease",
    Of::Backends,
    DURATION,
    Is(defaults::LEASE),
    "How long a process that runs a body may be silent until another one takes over.",
)
.hint("for a body in each process, write `leases=false`");

pub(crate) static SOFT_LIMIT: CacheOption<Duration> = CacheOption::new(
    "soft_limit",
    Of::Backends,
    DURATION,
    Is(defaults::SOFT_LIMIT),
    "How long a call waits for the backend in all. Then it goes on without. Clearing may take 100 times as long.",
);

pub(crate) static MAX_CONCURRENT: CacheOption<u64> = CacheOption::new(
    "max_concurrent",
    Of::Backends,
    COUNT,
    Is(defaults::MAX_CONCURRENT),
    "How many operations of the backend may be under way at a time. A call beyond that goes on without.",
);

pub(crate) static BREAKER_FAULTS: CacheOption<u64> = CacheOption::new(
    "breaker_faults",
    Of::Backends,
    COUNT,
    Is(defaults::BREAKER_FAULTS),
    "After how many faults in a row the circuit breaker opens: calls go on without the backend.",
);

pub(crate) static BREAKER_PAUSE: CacheOption<Duration> = CacheOption::new(
    "breaker_pause",
    Of::Backends,
    DURATION,
    Is(defaults::BREAKER_PAUSE),
    "How long the circuit breaker stays open. Then one call at a time tries, until one succeeds.",
);

pub(crate) static MAX_VALUE_BYTES: CacheOption<u64> = CacheOption::new(
    "max_value_bytes",
    Of::Backends,
    BYTES,
    Is(defaults::MAX_VALUE_BYTES),
    "How large an encoded value may be. A larger one is neither stored nor unpacked.",
);

pub(crate) static COMPRESS_OVER: CacheOption<u64> = CacheOption::new(
    "compress_over",
    Of::Backends,
    THRESHOLD,
    Says("nothing is compressed"),
    "Encoded values of more bytes are compressed, if that makes them smaller. Needs the feature `zstd`.",
)
.needs(&ZSTD, |_| true);

pub(crate) static COMPRESS_LEVEL: CacheOption<i32> = CacheOption::new(
    "compress_level",
    Of::Backends,
    LEVEL,
    Is(defaults::COMPRESS_LEVEL),
    "How hard to compress, from -7 (fast) to 22 (small). Needs the feature `zstd`.",
)
.needs(&ZSTD, |_| true);

pub(crate) static SECRET: CacheOption<Vec<u8>> = CacheOption::new(
    "secret",
    Of::Backends,
    HIDDEN,
    Says("nothing is authenticated"),
    "Authenticates what is stored: bytes that a cache without this secret has stored are misses.",
);

pub(crate) static SECRET_ENV: CacheOption<String> = CacheOption::new(
    "secret_env",
    Of::Backends,
    VARIABLE,
    Says("–"),
    "The environment variable that holds the secret, in place of `secret`. A builder has no such method.",
);

pub(crate) static SECRET_OLD: CacheOption<Vec<u8>> = CacheOption::new(
    "secret_old",
    Of::Backends,
    HIDDEN,
    Says("none"),
    "Another secret that stored bytes may have, beside `secret`, while secrets are changed.",
);

pub(crate) static SECRET_OLD_ENV: CacheOption<String> = CacheOption::new(
    "secret_old_env",
    Of::Backends,
    VARIABLE,
    Says("–"),
    "The environment variable that holds the old secret, in place of `secret_old`. A builder has no such method.",
);

pub(crate) static NEAR_TIMEOUT: CacheOption<Duration> = CacheOption::new(
    "near_timeout",
    Of::Near,
    DURATION,
    Is(defaults::NEAR_TIMEOUT),
    "How long a value may stay in front of the backend.",
)
.hint(NOTHING_IN_FRONT);

pub(crate) static NEAR_BYTES: CacheOption<u64> = CacheOption::new(
    "near_bytes",
    Of::Near,
    BYTES,
    Is(defaults::NEAR_BYTES),
    "How many bytes may be held in front of the backend, those of `local` functions counted.",
)
.hint(NOTHING_IN_FRONT);

pub(crate) static NEAR_ENTRIES: CacheOption<u64> = CacheOption::new(
    "near_entries",
    Of::Near,
    COUNT,
    Says("any number"),
    "How many entries may be held in front of the backend, those of `local` functions counted.",
)
.hint(NOTHING_IN_FRONT);

pub(crate) static FILE_MAX_BYTES: CacheOption<u64> = CacheOption::new(
    "max_bytes",
    Of::Schemes(FILE),
    DIRECTORY_BYTES,
    Is(defaults::FILE_MAX_BYTES),
    "How many bytes the directory may hold, in whole blocks of 4096 bytes.",
)
.hint(KEEP_NOTHING);

pub(crate) static FILE_MAX_ENTRIES: CacheOption<u64> = CacheOption::new(
    "max_entries",
    Of::Schemes(FILE),
    COUNT,
    Says("any number"),
    "How many files the directory may hold.",
)
.hint(KEEP_NOTHING);

pub(crate) static NAMESPACE: CacheOption<String> = CacheOption::new(
    "namespace",
    Of::Schemes(SERVERS),
    kind::NAMESPACE,
    IsText(defaults::NAMESPACE),
    "Keeps caches on one server apart: keys begin with it, or it is a column.",
);

pub(crate) static CONNECT: CacheOption<Connect> = CacheOption::new(
    "connect",
    Of::Schemes(SERVERS),
    WHEN,
    Is(Connect::Lazy),
    "`now`: connects when the cache is made, which fails if the server cannot be reached. `lazy`: connects when the first \
     call needs it.",
);

pub(crate) static CONNECT_LIMIT: CacheOption<Duration> = CacheOption::new(
    "connect_limit",
    Of::Schemes(REDIS_AND_SQL),
    DURATION,
    Is(defaults::CONNECT_LIMIT),
    "How long one attempt to connect may take.",
);

pub(crate) static DB: CacheOption<u32> = CacheOption::new(
    "db",
    Of::Schemes(&["redis", "rediss", "redis+unix", "redis-sentinel"]),
    NUMBER,
    Is(0),
    "The number of the database, where the path does not name it.",
);

pub(crate) static TLS: CacheOption<bool> = CacheOption::new(
    "tls",
    Of::Schemes(&["redis-cluster", "redis-sentinel"]),
    SWITCH,
    Is(false),
    "Whether connections are encrypted. Needs the feature `redis-tls`.",
)
.needs(&REDIS_TLS, |tls| *tls);

pub(crate) static TLS_CA: CacheOption<String> = CacheOption::new(
    "tls_ca",
    Of::Schemes(&["rediss", "redis-cluster", "redis-sentinel"]),
    TEXT,
    Says("the authorities that the system trusts"),
    "A file: the certificate of the authority to trust, in PEM format. Needs the feature `redis-tls`.",
)
.needs(&REDIS_TLS, |_| true);

pub(crate) static SENTINEL_USER: CacheOption<String> = CacheOption::new(
    "sentinel_user",
    Of::Schemes(&["redis-sentinel"]),
    TEXT,
    Says("none"),
    "The user at the sentinels. Needs a `sentinel_password`.",
);

pub(crate) static SENTINEL_PASSWORD: CacheOption<String> = CacheOption::new(
    "sentinel_password",
    Of::Schemes(&["redis-sentinel"]),
    PASSWORD,
    Says("none"),
    "The password at the sentinels. That of the master is in the address.",
);

pub(crate) static TABLE: CacheOption<String> =
    CacheOption::new("table", Of::Schemes(SQL), kind::TABLE, IsText(defaults::TABLE), "The name of the table.");

pub(crate) static SQL_MAX_CONNECTIONS: CacheOption<u64> = CacheOption::new(
    "max_connections",
    Of::Schemes(SQL),
    COUNT,
    Is(defaults::SQL_MAX_CONNECTIONS),
    "How many connections there may be. A SQLite file has one more, which writes.",
);

pub(crate) static CULL_EVERY: CacheOption<Duration> = CacheOption::new(
    "cull_every",
    Of::Schemes(SQL),
    DURATION,
    Is(defaults::CULL_EVERY),
    "How often expired rows are removed.",
);

pub(crate) static SOCKET: CacheOption<String> = CacheOption::new(
    "socket",
    Of::Schemes(&["postgres", "postgresql"]),
    TEXT,
    Says("–"),
    "The directory of the server's socket, in place of a host.",
);

pub(crate) static SSLMODE: CacheOption<SslMode> = CacheOption::new(
    "sslmode",
    Of::Schemes(&["postgres", "postgresql"]),
    SSL_MODE,
    Says("the variable `PGSSLMODE`, else `prefer`"),
    "Whether connections are encrypted. `require` and the stricter ones need the feature `postgres-tls`. The variable \
     `PGSSLROOTCERT` names the file of an authority to trust.",
)
.needs(&POSTGRES_TLS, |mode| mode.is_strict());

pub(crate) static ANSWER_LIMIT: CacheOption<Duration> = CacheOption::new(
    "answer_limit",
    Of::Schemes(MEMCACHED),
    DURATION,
    Says("0.8 of `soft_limit`"),
    "How long a server may take to answer or to connect. Then it counts as lost, until it answers again.",
);

pub(crate) static MEMCACHED_MAX_CONNECTIONS: CacheOption<u64> = CacheOption::new(
    "max_connections",
    Of::Schemes(MEMCACHED),
    COUNT,
    Is(defaults::MEMCACHED_MAX_CONNECTIONS),
    "How many connections one runtime may have to each server.",
);

/// The options that an address of this choice may have.
pub(crate) fn of(choice: Choice) -> impl Iterator<Item = &'static dyn AnyOption> {
    OPTIONS.into_iter().filter(move |option| option.of().has(choice))
}

/// The option of that name that an address of this choice may have.
///
/// # Errors
///
/// If there is none. The error names the options that there are, and the schemes that have this one. It shows no name if
/// that `is_hidden`.
pub(crate) fn find(choice: Choice, name: &str, is_hidden: bool) -> Result<&'static dyn AnyOption, Error> {
    if let Some(option) = of(choice).find(|option| option.name() == name) {
        return Ok(option);
    }
    let others: Vec<_> =
        OPTIONS.iter().filter(|option| option.name() == name).map(|option| option.of().describe()).collect();
    let wrong = match &others[..] {
        _ if is_hidden => format!("unknown option of {choice}"),
        [] => format!("unknown option `{name}` of {choice}"),
        others => format!("option `{name}` is one of {}, not of {choice}", others.join(" and ")),
    };
    let mut known: Vec<_> = of(choice).map(AnyOption::name).collect();
    known.sort_unstable();
    Err(Error::config(format!("{wrong}: there is {}", known.join(", "))))
}

/// The option of that name, whichever schemes have it.
pub(crate) fn named(name: &str) -> Option<&'static dyn AnyOption> {
    OPTIONS.into_iter().find(|option| option.name() == name)
}
