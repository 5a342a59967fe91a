//! The envelope.

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    ErrorKind,
    codec::{self, EnvelopeOptions},
};

const KEY: &str = "shop..prices?item=5";
/// What stands before the payload, without tags and without a secret.
const HEADER: usize = codec::HEAD + codec::CHECKSUM;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Price {
    item: u32,
    name: String,
    cents: Option<u64>,
    tags: Vec<Tag>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Tag {
    New,
    Rank(i16),
    Seen { by: String },
}

pub(super) fn price() -> Price {
    let tags = vec![Tag::New, Tag::Rank(-3), Tag::Seen { by: "Ann".to_owned() }];
    Price { item: 5, name: "Käse".to_owned(), cents: Some(1_099), tags }
}

/// A type that is taken at its word.
pub(super) fn kind(fingerprint: u64) -> codec::Kind {
    codec::Kind { fingerprint, doubtful: false }
}

/// A value that is fresh up to the first millisecond of 2025.
fn sealed() -> Vec<u8> {
    codec::seal(&price(), kind(0x0123_4567_89ab_cdef), KEY, 1_735_689_600_000, &EnvelopeOptions::default()).unwrap()
}

fn open<V: DeserializeOwned>(bytes: &[u8]) -> Result<Option<V>, ErrorKind> {
    codec::open(bytes, kind(0x0123_4567_89ab_cdef), KEY, 1_735_689_599_999, &EnvelopeOptions::default())
        .map_err(|error| error.kind())
}

/// The bytes of format 1. A change here drops whatever programs have stored, and needs a new format version.
#[test]
fn stored_bytes_are_pinned() {
    let hex: String = sealed().iter().map(|byte| format!("{byte:02x}")).collect();
    let (header, payload) = hex.split_at(2 * HEADER);
    assert_eq!(header, "63520101efcdab8967452301007c291f94010000007c291f940100000000b040171f1364aee3");
    let named = "84a46974656d05a46e616d65a54bc3a47365a563656e7473cd044ba4746167739";
    let tags = "3a34e657781a452616e6bfd81a45365656e81a26279a3416e6e";
    assert_eq!(payload, format!("{named}{tags}"));
    assert_eq!(open(&sealed()), Ok(Some(price())));
}

#[test]
fn a_value_is_fresh_up_to_its_millisecond() {
    let open = |now| {
        codec::open::<Price>(&sealed(), kind(0x0123_4567_89ab_cdef), KEY, now, &EnvelopeOptions::default()).unwrap()
    };
    assert_eq!(open(1_735_689_599_999), Some(price()));
    assert_eq!(open(1_735_689_600_000), None);
    let for_ever = codec::seal(&1_u8, kind(0), KEY, codec::FOREVER, &EnvelopeOptions::default()).unwrap();
    assert_eq!(codec::open::<u8>(&for_ever, kind(0), KEY, u64::MAX - 1, &EnvelopeOptions::default()).unwrap(), Some(1));
}

#[test]
fn every_flipped_bit_is_found() {
    let intact = sealed();
    for bit in 0..intact.len() * 8 {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(open::<Price>(&bytes), Err(ErrorKind::Corrupt), "bit {bit}");
    }
}

#[test]
fn every_length_but_the_whole_is_found() {
    let mut bytes = sealed();
    for len in 0..bytes.len() {
        assert_eq!(open::<Price>(&bytes[..len]), Err(ErrorKind::Corrupt), "{len} bytes");
    }
    bytes.push(0);
    assert_eq!(open::<Price>(&bytes), Err(ErrorKind::Corrupt));
}

/// Bytes that were changed by somebody who knows the format: with the checksum that belongs to them.
fn forged(change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = sealed();
    change(&mut bytes);
    let checksum = codec::checksum_of(KEY, &bytes[..codec::HEAD], &bytes[HEADER..]);
    bytes[codec::HEAD..HEADER].copy_from_slice(&checksum);
    bytes
}

fn refusal(bytes: &[u8], fingerprint: u64, key: &str) -> String {
    let error = codec::open::<Price>(bytes, kind(fingerprint), key, 0, &EnvelopeOptions::default()).unwrap_err();
    format!("{error:#}")
}

#[test]
fn what_is_refused_says_why() {
    let fingerprint = 0x0123_4567_89ab_cdef;
    let of = |bytes: &[u8]| refusal(bytes, fingerprint, KEY);
    assert_eq!(of(b""), "stored bytes refused: too short for an envelope");
    assert_eq!(of(&[b'x'; 100]), "stored bytes refused: no envelope");
    assert_eq!(of(&forged(|bytes| bytes[2] = 2)), "stored bytes refused: another format version");
    assert_eq!(of(&forged(|bytes| bytes[3] = 2)), "stored bytes refused: another codec");
    assert_eq!(of(&forged(|bytes| bytes[28] = 1)), "stored bytes refused: wrong checksum");
    assert_eq!(of(&forged(|bytes| bytes[29] = 1)), "stored bytes refused: cut off");
    assert_eq!(refusal(&sealed(), fingerprint, "shop..prices?item=6"), "stored bytes refused: wrong checksum");
    assert_eq!(refusal(&sealed(), fingerprint ^ 1, KEY), "stored bytes refused: a value of another type");
    let undecodable = of(&forged(|bytes| bytes[HEADER] = 0xc0));
    assert!(undecodable.starts_with("the stored value does not decode: "), "{undecodable}");
}

/// A length that the payload claims and does not have costs nothing before it is found out.
#[test]
fn a_length_that_lies_allocates_no_more_than_its_bytes() {
    // An array, a map, a text and bytes of four thousand million elements each.
    for lie in [0xdd_u8, 0xdf, 0xdb, 0xc6] {
        let bytes = forged(|bytes| {
            bytes.truncate(HEADER);
            bytes.extend_from_slice(&[lie, 0xff, 0xff, 0xff, 0xff, 1, 1, 1]);
        });
        let check = |outcome: Result<(), ErrorKind>, allocated: u64| {
            assert_eq!(outcome, Err(ErrorKind::Corrupt), "{lie:x}");
            // Some for the words of the error, none for the value.
            assert!(allocated <= 1 << 9, "{lie:x}: {allocated} bytes");
        };
        let allocated = |open: &mut dyn FnMut()| allocation_counter::measure(open).bytes_max;
        macro_rules! opens {
            ($($value:ty),*) => {$({
                let mut outcome = Ok(());
                let bytes_max = allocated(&mut || outcome = open::<$value>(&bytes).map(drop));
                check(outcome, bytes_max);
            })*};
        }
        opens!(Vec<u64>, Vec<String>, String, BTreeMap<u8, u8>, Price, Tag, (u8, u8));
    }
}

fn tag() -> impl Strategy<Value = Tag> {
    prop_oneof![Just(Tag::New), any::<i16>().prop_map(Tag::Rank), ".{0,9}".prop_map(|by| Tag::Seen { by })]
}

/// A bit of everything that serde knows.
type Nested =
    (BTreeMap<Vec<u8>, Option<(String, f32)>>, Vec<Result<i128, char>>, Option<Box<[Tag]>>, (), [u64; 3], Unit);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Unit;

prop_compose! {
    fn nested()(
        map in proptest::collection::btree_map(vec(any::<u8>(), 0..4), any::<Option<(String, f32)>>(), 0..5),
        results in vec(any::<Result<i128, char>>(), 0..5),
        tags in proptest::option::of(vec(tag(), 0..5)),
        numbers in any::<[u64; 3]>(),
    ) -> Nested {
        (map, results, tags.map(Vec::into_boxed_slice), (), numbers, Unit)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_was_sealed_opens(value in nested(), fingerprint: u64, key in "[!-~]{0,300}", until in 1_u64..) {
        let bytes = codec::seal(&value, kind(fingerprint), &key, until, &EnvelopeOptions::default()).unwrap();
        prop_assert_eq!(codec::open(&bytes, kind(fingerprint), &key, until - 1, &EnvelopeOptions::default()).unwrap(), Some(value));
        prop_assert_eq!(codec::open::<Nested>(&bytes, kind(fingerprint), &key, until, &EnvelopeOptions::default()).unwrap(), None);
    }

    #[test]
    fn garbage_is_refused(bytes in vec(any::<u8>(), 0..400)) {
        prop_assert_eq!(open::<Price>(&bytes), Err(ErrorKind::Corrupt));
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
        let allocated = allocation_counter::measure(|| outcome = open::<Price>(&bytes)).bytes_max;
        prop_assert_eq!(outcome, Err(ErrorKind::Corrupt));
        prop_assert!(allocated <= 4 * bytes.len() as u64, "{} bytes", allocated);
    }

    /// And what its checksum vouches for: never a panic, and never much memory.
    #[test]
    fn forged_payloads_are_decoded_or_refused(payload in vec(any::<u8>(), 0..200)) {
        let bytes = forged(|bytes| {
            bytes.truncate(HEADER);
            bytes.extend_from_slice(&payload);
        });
        let allocated = allocation_counter::measure(|| {
            for outcome in [open::<Price>(&bytes).map(drop), open::<Nested>(&bytes).map(drop)] {
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
    let head = [7; codec::HEAD];
    for length in 0..payload.len() {
        let mut lengths = [0; 16];
        (lengths[0], lengths[8]) = (head.len() as u8, KEY.len() as u8);
        let joined = [&payload[..length], &head, KEY.as_bytes(), &lengths].concat();
        let expected = xxhash_rust::xxh3::xxh3_64(&joined).to_le_bytes();
        assert_eq!(codec::checksum_of(KEY, &head, &payload[..length]), expected, "{length}");
    }
}
