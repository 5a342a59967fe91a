//! The key of the record of a claim, on the server.

use std::io::Write;

use redis::{RedisWrite, ToRedisArgs};

use super::wire::Stored;

/// The key of the record of a claim, as an argument of a command. No value can be stored under it, as the namespace in front of the
/// first colon is never empty, so the near caches of the namespace are not told of it.
///
/// In a cluster, it is in the slot of the value's key, for scripts that use both
/// (<https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/#hash-tags>):
///
/// | the value's key | its record |
/// | --- | --- |
/// | has no `}` | `:{<key>}`: what is in braces decides on the slot |
/// | has a part in braces, which decides on the slot | `::<key>` |
/// | has another `}` | `::<key>` and two bytes, none of which is `}`, with which the whole has the checksum of the key |
#[derive(Clone, Copy)]
pub(super) struct Record<'a>(pub(super) Stored<'a>);

/// The pattern of the records of a namespace, without the namespace.
pub(super) const PATTERN: &str = ":[{:]";

impl ToRedisArgs for Record<'_> {
    fn write_redis_args<W: ?Sized + RedisWrite>(&self, out: &mut W) {
        let Stored { namespace, key } = self.0;
        // It writes to memory, which does not fail.
        let mut out = out.writer_for_next_arg();
        if namespace.contains('}') || key.contains('}') {
            let _ = out.write_all(&with_brace(format!("::{namespace}:{key}").into_bytes()));
        } else {
            for part in [":{", namespace, ":", key, "}"] {
                let _ = out.write_all(part.as_bytes());
            }
        }
    }
}

/// The record of a key with a `}`, which follows two colons.
#[cold]
fn with_brace(mut record: Vec<u8>) -> Vec<u8> {
    let key = &record[2..];
    if tag(key).is_some() {
        return record;
    }
    let (wanted, begun) = (checksum(key), checksum(&record));
    // Two bits of the checksum are not part of the slot.
    let ends = (0..4_u16).map(|bits| (rewound(wanted ^ (bits << 14)) ^ begun).to_be_bytes());
    record.extend(ends.into_iter().find(|end| !end.contains(&b'}')).expect("the four differ in both bytes"));
    record
}

/// The part of a key that decides on the slot, if it is not the whole: what is in the first braces, unless that is nothing.
fn tag(key: &[u8]) -> Option<&[u8]> {
    let start = key.iter().position(|byte| *byte == b'{')? + 1;
    let length = key[start..].iter().position(|byte| *byte == b'}')?;
    (length > 0).then(|| &key[start..start + length])
}

/// The polynomial of a cluster's checksum, CRC-16/XMODEM.
const POLYNOMIAL: u16 = 0x1021;

/// The checksum, whose last 14 bits are the number of the slot.
fn checksum(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |checksum, byte| {
        (0..8).fold(checksum ^ (u16::from(*byte) << 8), |bits, _| {
            if bits & 0x8000 == 0 { bits << 1 } else { (bits << 1) ^ POLYNOMIAL }
        })
    })
}

/// The two bytes whose checksum this is. After a beginning with a checksum of its own, that is added to them.
fn rewound(checksum: u16) -> u16 {
    (0..16).fold(checksum, |bits, _| if bits & 1 == 0 { bits >> 1 } else { ((bits ^ POLYNOMIAL) >> 1) | 0x8000 })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    fn record(namespace: &str, key: &str) -> Vec<u8> {
        Record(Stored { namespace, key }).to_redis_args().remove(0)
    }

    fn slot(key: &[u8]) -> u16 {
        checksum(tag(key).unwrap_or(key)) % 16384
    }

    /// The examples are those of the specification, and answers of a server to `CLUSTER KEYSLOT`.
    #[test]
    fn slots_are_those_of_a_cluster() {
        assert_eq!(checksum(b"123456789"), 0x31c3);
        for (key, expected) in
            [("foo", 12182), ("{user1000}.following", 3443), ("foo{}{bar}", 8363), ("foo{{bar}}zap", 4015), ("", 0)]
        {
            assert_eq!(slot(key.as_bytes()), expected, "{key}");
        }
        assert_eq!(rewound(checksum(b"ab")).to_be_bytes(), *b"ab");
    }

    #[test]
    fn records_of_all_kinds() {
        assert_eq!(record("cache", "shop..stock?article=7"), b":{cache:shop..stock?article=7}");
        assert_eq!(record("cache", "a{b"), b":{cache:a{b}");
        assert_eq!(record("cache", "a{b}c"), b"::cache:a{b}c");
        assert_eq!(record("{shop}", "key"), b"::{shop}:key");
        assert!(record("cache", "a}b").starts_with(b"::cache:a}b"));
    }

    /// Each beginning can follow another one in a checksum, and each needs other bytes at its end.
    #[test]
    fn two_bytes_lead_every_key_to_its_slot() {
        for number in 0..=u16::MAX {
            for key in [format!("}}{number:x}"), format!("{{}}{number:x}{{")] {
                let record = record("n", &key);
                assert_eq!(slot(&record), slot(format!("n:{key}").as_bytes()), "{key}");
                assert_eq!(record.len(), key.len() + 6, "{key}");
            }
        }
    }

    proptest! {
        #[test]
        fn a_record_is_in_the_slot_of_its_key_and_of_no_other_key(
            pairs in proptest::collection::vec(("[{}x~]{1,3}", "[{}:x~]{0,6}"), 2..30),
        ) {
            let (mut records, mut values) = (HashSet::new(), HashSet::new());
            for (namespace, key) in pairs.iter().collect::<HashSet<_>>() {
                let (record, value) = (record(namespace, key), format!("{namespace}:{key}").into_bytes());
                prop_assert_eq!(slot(&record), slot(&value));
                // What `clear` looks for.
                let begins = [format!(":{{{namespace}:"), format!("::{namespace}:")];
                prop_assert!(begins.iter().any(|begin| record.starts_with(begin.as_bytes())));
                prop_assert!(records.insert(record.clone()), "{} {}", namespace, key);
                values.insert(value);
            }
            prop_assert!(records.is_disjoint(&values));
        }
    }
}
