//! The values of options that are not given.
//!
//! [`Config`](crate::Config) says what each option means.

use std::time::Duration;

/// `max_bytes` of a cache in memory: 64 MiB.
pub const MAX_BYTES: u64 = 64 << 20;

/// `wait_limit`: 10 seconds.
pub const WAIT_LIMIT: Duration = Duration::from_secs(10);

/// `max_leaders`: 16 callers of one key.
pub const MAX_LEADERS: u64 = 16;

/// `max_refreshes`: 256 bodies.
pub const MAX_REFRESHES: u64 = 256;

/// `poll_limit`: 500 milliseconds.
pub const POLL_LIMIT: Duration = Duration::from_millis(500);

/// `function_tags`: a function in a backend, and a client, cannot be invalidated as a whole.
pub const FUNCTION_TAGS: bool = false;
/// `measure`: calls are counted, and not measured.
pub const MEASURE: bool = false;

/// `leases`: one body for all processes.
pub const LEASES: bool = true;

/// `lease`: 3 seconds.
pub const LEASE: Duration = Duration::from_secs(3);

/// `soft_limit`: 250 milliseconds.
pub const SOFT_LIMIT: Duration = Duration::from_millis(250);

/// `max_concurrent`: 4096 operations.
pub const MAX_CONCURRENT: u64 = 4096;

/// `breaker_faults`: 8 in a row.
pub const BREAKER_FAULTS: u64 = 8;

/// `breaker_pause`: one second.
pub const BREAKER_PAUSE: Duration = Duration::from_secs(1);

/// `max_value_bytes`: 64 MiB.
pub const MAX_VALUE_BYTES: u64 = 64 << 20;

/// `compress_level`: 3.
pub const COMPRESS_LEVEL: i32 = 3;

/// `near_timeout`: 5 seconds.
pub const NEAR_TIMEOUT: Duration = Duration::from_secs(5);

/// `near_bytes`: 64 MiB.
pub const NEAR_BYTES: u64 = 64 << 20;

/// `max_bytes` of a directory: 1 GiB.
pub const FILE_MAX_BYTES: u64 = 1 << 30;

/// `namespace`.
pub const NAMESPACE: &str = "cache-request";

/// `connect_limit`: one second.
pub const CONNECT_LIMIT: Duration = Duration::from_secs(1);

/// `table` of a database.
pub const TABLE: &str = "cache_request";

/// `max_connections` to a database: 8.
pub const SQL_MAX_CONNECTIONS: u64 = 8;

/// `cull_every`: one minute.
pub const CULL_EVERY: Duration = Duration::from_secs(60);

/// `answer_limit` of memcached: 200 milliseconds, which is less than a call waits.
pub const ANSWER_LIMIT: Duration = Duration::from_millis(200);

/// `max_connections` to each memcached: 32.
pub const MEMCACHED_MAX_CONNECTIONS: u64 = 32;
