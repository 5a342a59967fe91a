//! Large values are stored compressed, and unpacked within bounds.

use super::envelope::{self, KEY, checksummed, facts, header};
use crate::{
    Error, ErrorKind,
    codec::{
        self, CHECKSUM, CODEC, COMPRESSED, EnvelopeOptions, FOREVER, START, TypeInfo,
        digest::{self, Texts},
    },
};

fn seal(value: &String, envelope_options: &EnvelopeOptions) -> Vec<u8> {
    envelope::seal(value, 1, KEY, FOREVER, envelope_options)
}

fn open(bytes: &[u8], envelope_options: &EnvelopeOptions) -> Result<String, Error> {
    envelope::open(bytes, 1, KEY, 0, envelope_options).map(Option::unwrap)
}

/// A compressed payload that claims to be `value`, with the checksum that belongs to it.
fn forged(value: &str, len: u64, compressed: &[u8]) -> Vec<u8> {
    let mut bytes = seal(&String::new(), &EnvelopeOptions::default());
    let digest = digest::mix(digest::of(value, Texts::Short).unwrap().0, 0);
    bytes.truncate(header(&facts(FOREVER)));
    bytes[CODEC] |= COMPRESSED;
    bytes[START + CHECKSUM + 8..][..8].copy_from_slice(&digest.to_le_bytes());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(compressed);
    checksummed(&mut bytes);
    bytes
}

fn refusal(bytes: &[u8]) -> String {
    let error = open(bytes, &EnvelopeOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    format!("{error:#}")
}

#[test]
fn a_value_larger_than_the_cache_takes_is_not_stored() {
    let envelope_options = EnvelopeOptions { max_value_bytes: 100, ..EnvelopeOptions::default() };
    assert_eq!(seal(&"x".repeat(98), &envelope_options).len(), header(&facts(FOREVER)) + 100);
    let (long, type_info) = ("x".repeat(99), TypeInfo { fingerprint: 1, name: "String" });
    let error = codec::seal(&long, type_info, KEY, &facts(FOREVER), &envelope_options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!(error.to_string(), "a value of 101 bytes, where at most 100 may be held");
}

#[cfg(not(feature = "zstd"))]
#[test]
fn a_reader_that_cannot_decompress_names_the_feature() {
    let why = "the stored value cannot be decompressed: enable the feature `zstd` of cache-request";
    assert_eq!(refusal(&forged("", 1000, b"whatever")), why);
}

#[cfg(feature = "zstd")]
mod enabled {
    use std::fmt::Write;

    use ::zstd::{bulk::Compressor, stream::raw::CParameter};
    use allocation_counter::measure;
    use proptest::prelude::*;

    use super::*;

    fn over(bytes: usize) -> EnvelopeOptions {
        EnvelopeOptions { compress_over: Some(bytes), ..EnvelopeOptions::default() }
    }

    fn compressed(bytes: &[u8]) -> bool {
        bytes[CODEC] & COMPRESSED != 0
    }

    #[test]
    fn what_is_larger_and_shrinks_is_compressed() {
        // With a header of three bytes, 1000 in all.
        let repetitive = "x".repeat(997);
        let packed = seal(&repetitive, &over(999));
        assert!(compressed(&packed) && packed.len() < 100, "{}", packed.len());
        assert_eq!(open(&packed, &EnvelopeOptions::default()).unwrap(), repetitive);

        assert!(!compressed(&seal(&repetitive, &over(1000))));
        assert!(!compressed(&seal(&repetitive, &EnvelopeOptions::default())));
        let random: String = (0..1000).map(|_| char::from(rand(0x20..0x7f))).collect();
        let packed = seal(&random[..20].to_owned(), &over(0));
        assert!(!compressed(&packed), "a frame of its own takes more than it saves");
    }

    /// A random character, which does not compress.
    fn rand(range: std::ops::Range<u8>) -> u8 {
        use std::hash::{BuildHasher, RandomState};
        let width = u64::from(range.end - range.start);
        range.start + u8::try_from(RandomState::new().hash_one(()) % width).unwrap()
    }

    #[test]
    fn the_level_counts_and_secrets_cover_what_is_compressed() {
        let mut text = String::new();
        for number in 0_u64..20_000 {
            write!(text, "{} ", number * number * 7919 % 65_521).unwrap();
        }
        let sizes = [-7, 3, 19].map(|level| {
            let mut envelope_options = EnvelopeOptions { compress_level: level, ..over(100) };
            envelope_options.secrets.set(b"open sesame");
            let packed = seal(&text, &envelope_options);
            assert!(compressed(&packed));
            assert_eq!(open(&packed, &envelope_options).unwrap(), text);
            assert_eq!(open(&packed, &EnvelopeOptions::default()).unwrap_err().kind(), ErrorKind::Corrupt);
            packed.len()
        });
        assert!(sizes.is_sorted_by(|faster, smaller| faster > smaller), "{sizes:?}");
    }

    fn frame(payload: &[u8], window: u32) -> Vec<u8> {
        let mut compressor = Compressor::new(3).unwrap();
        compressor.set_parameter(CParameter::WindowLog(window)).unwrap();
        compressor.compress(payload).unwrap()
    }

    /// What a text of `len` zeros is as a payload.
    fn zeros(len: u32) -> Vec<u8> {
        let mut payload = vec![0xdb];
        payload.extend_from_slice(&len.to_be_bytes());
        payload.resize(payload.len() + len as usize, 0);
        payload
    }

    /// The refusal, and the most that was allocated at any time.
    fn allocated(bytes: &[u8]) -> (String, u64) {
        let mut why = String::new();
        let allocated = measure(|| why = refusal(bytes)).bytes_max;
        (why, allocated)
    }

    #[test]
    fn a_length_beyond_the_limit_is_refused_at_once() {
        let bomb = frame(&zeros(64 << 20), 20);
        assert!(bomb.len() < 10_000, "{}", bomb.len());
        for len in [(64 << 20) + 1, u64::from(u32::MAX), u64::MAX] {
            let (why, allocated) = allocated(&forged("", len, &bomb));
            assert_eq!(why, "stored bytes refused: a larger value than this cache takes");
            assert!(allocated < 1000, "{allocated}");
        }
    }

    #[test]
    fn a_length_that_lies_costs_what_the_bytes_hold_or_what_they_claim_whichever_is_less() {
        let bomb = frame(&zeros(32 << 20), 20);
        let (why, used) = allocated(&forged("", 1 << 20, &bomb));
        assert_eq!(why, "the stored value cannot be decompressed: another length than declared");
        assert!(used < 5 << 20, "{used}");

        let small = frame(&zeros(1000), 20);
        let (why, used) = allocated(&forged("", 64 << 20, &small));
        assert_eq!(why, "the stored value cannot be decompressed: another length than declared");
        assert!(used < 1 << 14, "{used}");
    }

    /// The decompressor allocates the window itself, so this test cannot count it.
    #[test]
    fn a_window_beyond_a_mebibyte_is_refused() {
        let mut payload = zeros(4 << 20);
        let ours = frame(&payload, 20);
        let value = "\0".repeat(4 << 20);
        let bytes = forged(&value, payload.len() as u64, &ours);
        assert_eq!(open(&bytes, &EnvelopeOptions::default()).unwrap(), value);
        for window in [21, 22, 27] {
            let theirs = frame(&payload, window);
            let why = refusal(&forged(&value, payload.len() as u64, &theirs));
            assert!(why.starts_with("the stored value cannot be decompressed: "), "{why}");
        }
        payload.truncate(10);
        let why = refusal(&forged(&value, 10, &frame(&payload, 20)));
        assert!(why.ends_with(": it is cut off"), "{why}");
    }

    #[test]
    fn what_is_no_single_frame_is_refused() {
        let payload = zeros(1000);
        let len = payload.len() as u64;
        let good = frame(&payload, 20);
        let value = "\0".repeat(1000);
        assert_eq!(open(&forged(&value, len, &good), &EnvelopeOptions::default()).unwrap(), value);
        let nothing = frame(b"", 20);
        let followed = [b"\0", &good[..], &nothing].map(|more| [&good, more].concat());
        for bad in followed.iter().map(Vec::as_slice).chain([&good[..good.len() - 1], b"", b"garbage"]) {
            let why = refusal(&forged(&value, len, bad));
            assert!(why.starts_with("the stored value cannot be decompressed: "), "{why}");
        }
        for wrong in [len - 1, len + 1, 0] {
            let why = refusal(&forged(&value, wrong, &good));
            assert!(why.starts_with("the stored value cannot be decompressed: "), "{why}");
        }
        let mut cut = forged(&value, 0, b"");
        cut.truncate(header(&facts(FOREVER)) + 4);
        checksummed(&mut cut);
        assert_eq!(refusal(&cut), "stored bytes refused: cut off");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_was_compressed_opens(value in "[a-d]{0,20}|.{0,300}", times in 0_usize..200, over_bytes in 0_usize..3000) {
            let value = value.repeat(times);
            let packed = seal(&value, &over(over_bytes));
            prop_assert!(packed.len() <= seal(&value, &EnvelopeOptions::default()).len());
            prop_assert_eq!(open(&packed, &EnvelopeOptions::default()).unwrap(), value);
        }

        #[test]
        fn frames_of_garbage_are_refused(garbage in prop::collection::vec(any::<u8>(), 0..300), len in 0_u64..100_000) {
            let mut bytes = frame(&zeros(20), 20)[..5].to_vec();
            bytes.extend_from_slice(&garbage);
            let bytes = forged("", len, &bytes);
            let mut outcome = Ok(String::new());
            let allocated = measure(|| outcome = open(&bytes, &EnvelopeOptions::default())).bytes_max;
            prop_assert!(allocated <= 3 * len.max(1 << 12), "{} bytes", allocated);
        }
    }
}
