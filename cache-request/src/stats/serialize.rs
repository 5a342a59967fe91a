//! `Serialize` for the statistics, as `derive` would write it. Nothing else in the library derives, so that it needs only
//! the traits of serde, and not the macros.

use serde::{Serialize, Serializer, ser::SerializeStruct};

use super::{BackendStats, BreakerState, BreakerStats, Faults, FunctionStats, Misses, NearCacheStats, Stats, Tracking};

/// All fields, by name. One that is left out does not compile.
macro_rules! serialize_fields {
    ($type:ident $(<$of:ident>)? { $($field:ident),* $(,)? }) => {
        impl$(<$of: Serialize>)? Serialize for $type$(<$of>)? {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let Self { $($field),* } = self;
                let mut fields = serializer.serialize_struct(stringify!($type), [$(stringify!($field)),*].len())?;
                $(fields.serialize_field(stringify!($field), $field)?;)*
                fields.end()
            }
        }
    };
}

#[cfg(feature = "report")]
pub(crate) use serialize_fields;

/// All variants, each by a name.
macro_rules! serialize_variants {
    ($type:ident { $($variant:ident: $name:literal),* $(,)? }) => {
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let name = match self { $(Self::$variant => $name),* };
                serializer.serialize_unit_variant(stringify!($type), *self as u32, name)
            }
        }
    };
}

serialize_fields!(Stats { functions, held_bytes, entries, backend });
serialize_fields!(BackendStats { name, reads, writes, under_way, near });
serialize_fields!(BreakerStats { state, opened });
serialize_fields!(NearCacheStats { tracking, changed, lost });
serialize_fields!(FunctionStats {
    name,
    hits,
    stale,
    misses,
    coalesced,
    lease_waits,
    outdated,
    stale_on_error,
    uncached,
    refreshes,
    refreshes_failed,
    refreshes_refused,
    unasked,
    bodies,
    body_time,
    entries,
    held_bytes,
    written_bytes,
    faults,
});
serialize_fields!(Misses { never_seen, expired, evicted, invalidated, undecodable, backend_fault });
serialize_fields!(Faults { timeout, unavailable, backend, codec, corrupt, forged, too_large, panic, key });
serialize_variants!(BreakerState { Closed: "closed", Open: "open", HalfOpen: "half_open" });
serialize_variants!(Tracking { ByTime: "by_time", Live: "live", Suspended: "suspended" });

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    #[test]
    fn fields_and_variants_have_the_names_that_derive_gives_them() {
        let near = NearCacheStats { tracking: Tracking::ByTime, changed: 1, lost: 2 };
        let reads = BreakerStats { state: BreakerState::HalfOpen, opened: 3 };
        let writes = BreakerStats { state: BreakerState::Closed, opened: 0 };
        let backend = BackendStats { name: "redis", reads, writes, under_way: 4, near: Some(near) };
        let stats =
            Stats { functions: vec![FunctionStats::default()], held_bytes: 5, entries: 6, backend: Some(backend) };
        assert_eq!(
            to_value(stats).unwrap(),
            json!({
                "functions": [{
                    "name": "", "hits": 0, "stale": 0, "coalesced": 0, "lease_waits": 0, "outdated": 0, "stale_on_error": 0, "uncached": 0, "refreshes": 0, "refreshes_failed": 0, "refreshes_refused": 0, "unasked": 0, "bodies": 0, "entries": 0, "held_bytes": 0, "written_bytes": 0,
                    "misses": {
                        "never_seen": 0, "expired": 0, "evicted": 0, "invalidated": 0, "undecodable": 0, "backend_fault": 0
                    },
                    "body_time": { "secs": 0, "nanos": 0 },
                    "faults": {
                        "timeout": 0, "unavailable": 0, "backend": 0, "codec": 0, "corrupt": 0, "forged": 0, "too_large": 0,
                        "panic": 0, "key": 0
                    }
                }],
                "held_bytes": 5,
                "entries": 6,
                "backend": {
                    "name": "redis", "under_way": 4,
                    "reads": { "state": "half_open", "opened": 3 }, "writes": { "state": "closed", "opened": 0 },
                    "near": { "tracking": "by_time", "changed": 1, "lost": 2 }
                }
            })
        );
        assert_eq!(to_value([BreakerState::Closed, BreakerState::Open]).unwrap(), json!(["closed", "open"]));
        assert_eq!(to_value([Tracking::Live, Tracking::Suspended]).unwrap(), json!(["live", "suspended"]));
    }
}
