//! The envelope.

use std::{any::type_name, collections::BTreeMap, time::Duration};

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    Error, ErrorKind,
    codec::{
        self, CHECKSUM, EnvelopeOptions, FOREVER, Facts, IDENTITY, START, TypeInfo, Writer,
        header::{Tag, put_number},
    },
};

pub(super) const KEY: &str = "shop..prices?item=5";
const FINGERPRINT: u64 = 0x0123_4567_89ab_cdef;
/// Where the first millisecond of 2025 is.
pub(super) const UNTIL: u64 = 1_735_689_600_000;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Price {
    item: u32,
    name: String,
    cents: Option<u64>,
    tags: Vec<Label>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Label {
    New,
    Rank(i16),
    Seen { by: String },
}

pub(super) fn price() -> Price {
    let tags = vec![Label::New, Label::Rank(-3), Label::Seen { by: "Ann".to_owned() }];
    Price { item: 5, name: "Käse".to_owned(), cents: Some(1_099), tags }
}

/// What was stored five minutes before it is no longer fresh, by a process that this one is not.
pub(super) fn facts(fresh_until: u64) -> Facts<'static> {
    Facts {
        stored: fresh_until.min(UNTIL) - 300_000,
        fresh_until,
        stale_until: fresh_until,
        stale_on_error_until: fresh_until,
        body: Duration::from_micros(12_345),
        generation: 0,
        tags: Vec::new(),
        writer: Writer { program: "shop", version: "0.1.0", process: 4711 },
    }
}

/// How many bytes stand before the payload, if there is no secret.
pub(super) fn header(facts: &Facts<'_>) -> usize {
    let mut bytes = Vec::new();
    facts.write(&mut bytes);
    START + CHECKSUM + IDENTITY + bytes.len()
}

pub(super) fn seal<V>(value: &V, fingerprint: u64, key: &str, until: u64, options: &EnvelopeOptions) -> Vec<u8>
where
    V: Serialize + DeserializeOwned,
{
    codec::seal(value, TypeInfo { fingerprint, name: type_name::<V>() }, key, &facts(until), options).unwrap()
}

pub(super) fn open<V>(
    bytes: &[u8],
    fingerprint: u64,
    key: &str,
    now: u64,
    options: &EnvelopeOptions,
) -> Result<Option<V>, Error>
where
    V: Serialize + DeserializeOwned,
{
    codec::open(bytes, TypeInfo { fingerprint, name: type_name::<V>() }, key, now, options)
        .map(|opened| opened.map(|opened| opened.value))
        .map_err(|refused| refused.error)
}

fn sealed() -> Vec<u8> {
    seal(&price(), FINGERPRINT, KEY, UNTIL, &EnvelopeOptions::default())
}

fn opened<V: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<Option<V>, ErrorKind> {
    open(bytes, FINGERPRINT, KEY, UNTIL - 1, &EnvelopeOptions::default()).map_err(|error| error.kind())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The bytes of format 2. A change here drops whatever programs have stored, and needs a new format version.
#[test]
fn stored_bytes_are_pinned() {
    let hex = hex(&sealed());
    let (header, payload) = hex.split_at(2 * header(&facts(UNTIL)));
    let (start, facts) = header.split_at(2 * (START + CHECKSUM + IDENTITY));
    assert_eq!(start, "635202012ea1439f937b6a4cefcdab8967452301d6da7d331274338c");
    assert_eq!(facts, "a0d093f9c132e0a7120000b9600000e7240473686f7005302e312e3000");
    let named = "84a46974656d05a46e616d65a54bc3a47365a563656e7473cd044ba4746167739";
    let tags = "3a34e657781a452616e6bfd81a45365656e81a26279a3416e6e";
    assert_eq!(payload, format!("{named}{tags}"));
    assert_eq!(opened(&sealed()), Ok(Some(price())));
}

/// All that is not in use yet takes a byte.
#[test]
fn an_envelope_is_small() {
    assert_eq!(header(&facts(UNTIL)), 57);
    // For ever.
    assert_eq!(header(&facts(FOREVER)), 64);
}

fn full(tags: Vec<Tag>) -> Facts<'static> {
    Facts {
        stale_until: UNTIL + 60_000,
        stale_on_error_until: FOREVER,
        generation: u64::MAX,
        tags,
        writer: Writer { program: "Größe", version: "", process: u32::MAX },
        ..facts(UNTIL)
    }
}

/// What the engine does not use yet.
#[test]
fn all_facts_are_pinned() {
    let mut bytes = Vec::new();
    full(vec![Tag { name: 1, generation: 2 }, Tag { name: u64::MAX, generation: 3 }]).write(&mut bytes);
    let times = "a0d093f9c132e0a712e0d403ff87da86becdffffff01b960ffffffffffffffffff01";
    let tags = "0201000000000000000200000000000000ffffffffffffffff0300000000000000";
    let writer = "ffffffff0f074772c3b6c39f650000";
    assert_eq!(hex(&bytes), format!("{times}{tags}{writer}"));
}

/// A writer of a later version has put something between the facts and the payload.
#[test]
fn sections_that_are_not_known_are_passed_over() {
    let mut bytes = sealed();
    let end = header(&facts(UNTIL)) - 1;
    assert_eq!(bytes[end], 0);
    bytes.splice(end..=end, [5, 1, 3, 0xff, 0xff, 0xff]);
    checksummed(&mut bytes);
    assert_eq!(opened(&bytes), Ok(Some(price())));
    // One that goes on behind the end is none.
    bytes[end] = 0x7f;
    bytes.truncate(end + 0x7f);
    checksummed(&mut bytes);
    assert_eq!(opened::<Price>(&bytes), Err(ErrorKind::Corrupt));
}

#[test]
fn a_value_is_fresh_up_to_its_millisecond() {
    let options = EnvelopeOptions::default();
    let at = |now| open::<Price>(&sealed(), FINGERPRINT, KEY, now, &options).unwrap();
    assert_eq!(at(UNTIL - 1), Some(price()));
    assert_eq!(at(UNTIL), None);
    let for_ever = seal(&1_u8, 0, KEY, FOREVER, &options);
    assert_eq!(open::<u8>(&for_ever, 0, KEY, u64::MAX - 1, &options).unwrap(), Some(1));
}

#[test]
fn every_flipped_bit_is_found() {
    let intact = sealed();
    for bit in 0..intact.len() * 8 {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(opened::<Price>(&bytes), Err(ErrorKind::Corrupt), "bit {bit}");
    }
}

#[test]
fn every_length_but_the_whole_is_found() {
    let mut bytes = sealed();
    for len in 0..bytes.len() {
        assert_eq!(opened::<Price>(&bytes[..len]), Err(ErrorKind::Corrupt), "{len} bytes");
    }
    bytes.push(0);
    assert_eq!(opened::<Price>(&bytes), Err(ErrorKind::Corrupt));
}

/// Changed bytes with a matching checksum.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = sealed();
    change(&mut bytes);
    checksummed(&mut bytes);
    bytes
}

/// Makes the checksum the right one.
pub(super) fn checksummed(bytes: &mut [u8]) {
    let (start, rest) = bytes.split_at_mut(START);
    let (checksum, rest) = rest.split_at_mut(CHECKSUM);
    checksum.copy_from_slice(&codec::checksum_of(KEY, start, rest));
}

fn refusal(bytes: &[u8], fingerprint: u64, key: &str) -> String {
    format!("{:#}", open::<Price>(bytes, fingerprint, key, 0, &EnvelopeOptions::default()).unwrap_err())
}

#[test]
fn what_is_refused_says_why() {
    let of = |bytes: &[u8]| refusal(bytes, FINGERPRINT, KEY);
    let (head, facts) = (header(&facts(UNTIL)), START + CHECKSUM + IDENTITY);
    assert_eq!(of(b""), "stored bytes refused: too short for an envelope");
    assert_eq!(of(&[b'x'; 100]), "stored bytes refused: no envelope");
    assert_eq!(of(&forged(|bytes| bytes[2] = 1)), "stored bytes refused: another format version");
    assert_eq!(of(&forged(|bytes| bytes[3] = 2)), "stored bytes refused: another codec");
    for length in START + CHECKSUM..head {
        assert_eq!(of(&forged(|bytes| bytes.truncate(length))), "stored bytes refused: cut off", "{length}");
    }
    // A time that 64 bits cannot hold.
    assert_eq!(of(&forged(|bytes| bytes[facts..].fill(0xff))), "stored bytes refused: cut off");
    let mut changed = sealed();
    changed[facts] ^= 1;
    assert_eq!(of(&changed), "stored bytes refused: wrong checksum");
    assert_eq!(refusal(&sealed(), FINGERPRINT, "shop..prices?item=6"), "stored bytes refused: wrong checksum");
    let writer = "program \"shop\" (process 4711, cache-request 0.1.0)";
    let other = format!("stored bytes refused: a value of another type or function, stored by {writer}");
    assert_eq!(refusal(&sealed(), FINGERPRINT ^ 1, KEY), other);
    let price = type_name::<Price>();
    let changed = format!("stored bytes refused: not a `{price}` as this program knows it, stored by {writer}");
    assert_eq!(of(&forged(|bytes| bytes[facts - 1] ^= 1)), changed);
    let undecodable = of(&forged(|bytes| bytes[head] = 0xc0));
    assert!(undecodable.starts_with(&format!("{changed}: invalid type")), "{undecodable}");
}

/// What the writer calls itself may be anything, and ends up in a log.
#[test]
fn a_writers_name_is_shown_escaped_and_has_a_length() {
    let writer = Writer { program: "\u{1b}[31m\nshop", version: "1\n", process: 1 };
    assert_eq!(writer.to_string(), "program \"\\u{1b}[31m\\nshop\" (process 1, cache-request 1\\n)");
    let read = |program: &str| {
        let mut bytes = Vec::new();
        Facts { writer: Writer { program, ..facts(UNTIL).writer }, ..facts(UNTIL) }.write(&mut bytes);
        Facts::read(&mut &bytes[..]).is_ok()
    };
    assert!(read(&"x".repeat(64)));
    assert!(!read(&"x".repeat(65)));
    let here = Writer::here();
    assert_eq!(here.process, std::process::id());
    assert!(here.program.starts_with("cache_request"), "{here}");
}

/// A length that the payload claims and does not have costs nothing before it is found out.
#[test]
fn a_length_that_lies_allocates_no_more_than_its_bytes() {
    // An array, a map, a text and bytes of four thousand million elements each.
    for lie in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let bytes = forged(|bytes| {
            bytes.truncate(header(&facts(UNTIL)));
            bytes.extend_from_slice(&[lie, 0xff, 0xff, 0xff, 0xff, 1, 1, 1]);
        });
        let check = |outcome: Result<(), ErrorKind>, allocated: u64| {
            assert_eq!(outcome, Err(ErrorKind::Corrupt), "{lie:x}");
            // Some for the words of the error, none for the value.
            assert!(allocated <= 1 << 10, "{lie:x}: {allocated} bytes");
        };
        let allocated = |open: &mut dyn FnMut()| allocation_counter::measure(open).bytes_max;
        macro_rules! opens {
            ($($value:ty),*) => {$({
                let mut outcome = Ok(());
                let bytes_max = allocated(&mut || outcome = opened::<$value>(&bytes).map(drop));
                check(outcome, bytes_max);
            })*};
        }
        opens!(Vec<u64>, Vec<String>, String, BTreeMap<u8, u8>, Price, Label, (u8, u8));
    }
}

fn label() -> impl Strategy<Value = Label> {
    prop_oneof![Just(Label::New), any::<i16>().prop_map(Label::Rank), ".{0,9}".prop_map(|by| Label::Seen { by })]
}

/// A bit of everything that serde knows.
type Nested =
    (BTreeMap<Vec<u8>, Option<(String, f32)>>, Vec<Result<i128, char>>, Option<Box<[Label]>>, (), [u64; 3], Unit);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

prop_compose! {
    fn nested()(
        map in proptest::collection::btree_map(vec(any::<u8>(), 0..4), any::<Option<(String, f32)>>(), 0..5),
        results in vec(any::<Result<i128, char>>(), 0..5),
        tags in proptest::option::of(vec(label(), 0..5)),
        numbers in any::<[u64; 3]>(),
    ) -> Nested {
        (map, results, tags.map(Vec::into_boxed_slice), (), numbers, Unit)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sealed_opens(value in nested(), fingerprint: u64, key in "[!-~]{0,300}", until in 1_u64..) {
        let options = EnvelopeOptions::default();
        let bytes = seal(&value, fingerprint, &key, until, &options);
        prop_assert_eq!(open(&bytes, fingerprint, &key, until - 1, &options).unwrap(), Some(value));
        prop_assert_eq!(open::<Nested>(&bytes, fingerprint, &key, until, &options).unwrap(), None);
    }

    #[test]
    fn facts_come_back(
        [stored, fresh, stale, on_error, body, generation] in any::<[u64; 6]>().prop_map(|all| all.map(|of| of >> (of % 64))),
        tags in vec(any::<(u64, u64)>(), 0..5),
        program in "\\PC{0,16}",
        process: u32,
        sections in vec(any::<u8>(), 0..200),
        payload: Vec<u8>,
    ) {
        let fresh_until = stored.saturating_add(fresh);
        let facts = Facts {
            stored,
            fresh_until,
            stale_until: fresh_until.saturating_add(stale),
            stale_on_error_until: fresh_until.saturating_add(on_error),
            body: Duration::from_micros(body),
            generation,
            tags: tags.into_iter().map(|(name, generation)| Tag { name, generation }).collect(),
            writer: Writer { program: &program, version: "0.1.0", process },
        };
        let mut bytes = Vec::new();
        facts.write(&mut bytes);
        prop_assert_eq!(bytes.pop(), Some(0));
        put_number(sections.len() as u64, &mut bytes);
        bytes.extend_from_slice(&sections);
        let facts_len = bytes.len();
        bytes.extend_from_slice(&payload);
        let mut left = &bytes[..];
        prop_assert_eq!(Facts::read(&mut left).ok(), Some(facts));
        prop_assert_eq!(left, &payload[..]);
        for len in 0..facts_len {
            prop_assert!(Facts::read(&mut &bytes[..len]).is_err());
        }
    }

    #[test]
    fn any_facts_are_read_or_refused(bytes in vec(any::<u8>(), 0..100)) {
        let allocated = allocation_counter::measure(|| _ = Facts::read(&mut &bytes[..]));
        prop_assert!(allocated.bytes_max <= bytes.len() as u64, "{} bytes", allocated.bytes_max);
    }

    #[test]
    fn garbage_is_refused(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(opened::<Price>(&bytes), Err(ErrorKind::Corrupt));
    }

    /// Also garbage that begins well.
    #[test]
    fn mangled_envelopes_are_refused(cuts in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6), grown in 0_usize..20) {
        let intact = sealed();
        let mut bytes = intact.clone();
        bytes.resize(bytes.len() + grown, 0);
        for (at, byte) in cuts {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        prop_assume!(bytes != intact);
        let mut outcome = Ok(None);
        let allocated = allocation_counter::measure(|| outcome = opened::<Price>(&bytes)).bytes_max;
        prop_assert_eq!(outcome, Err(ErrorKind::Corrupt));
        prop_assert!(allocated <= 4 * bytes.len() as u64, "{} bytes", allocated);
    }

    /// And what its checksum vouches for: never a panic, and never much memory.
    #[test]
    fn forged_payloads_are_decoded_or_refused(payload in vec(any::<u8>(), 0..200)) {
        let bytes = forged(|bytes| {
            bytes.truncate(header(&facts(UNTIL)));
            bytes.extend_from_slice(&payload);
        });
        let allocated = allocation_counter::measure(|| {
            for outcome in [opened::<Price>(&bytes).map(drop), opened::<Nested>(&bytes).map(drop)] {
                assert!(matches!(outcome, Ok(()) | Err(ErrorKind::Corrupt)));
            }
        });
        // As many elements as there are bytes, on each of three levels.
        prop_assert!(allocated.bytes_max <= 1 << 16, "{} bytes", allocated.bytes_max);
    }
}

/// What one version stores, the next one reads.
#[test]
fn a_checksum_is_that_of_all_parts_one_after_the_other() {
    let payload: Vec<u8> = (0..=u8::MAX).cycle().take(2 * codec::FEW_BYTES).collect();
    let start = [7; START];
    for length in 0..payload.len() {
        let key_len = (KEY.len() as u64).to_le_bytes();
        let joined = [&payload[..length], &start, KEY.as_bytes(), &key_len].concat();
        let expected = xxhash_rust::xxh3::xxh3_64(&joined).to_le_bytes();
        assert_eq!(codec::checksum_of(KEY, &start, &payload[..length]), expected, "{length}");
    }
}
