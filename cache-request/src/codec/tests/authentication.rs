//! A cache with a secret takes for its own what was stored with that secret under that key, and nothing else.

use proptest::prelude::*;

use super::envelope::{KEY, UNTIL, checksummed, hex, open, price, seal};
use crate::{
    ErrorKind,
    codec::{AUTHENTICATED, CHECKSUM, CODEC, EnvelopeOptions, MAC, START},
};

fn with(secret: &str, old: &[&str]) -> EnvelopeOptions {
    let mut envelope_options = EnvelopeOptions::default();
    envelope_options.secrets.set(secret.as_bytes());
    old.iter().for_each(|old| envelope_options.secrets.accept(old.as_bytes()));
    envelope_options
}

fn sealed(envelope_options: &EnvelopeOptions) -> Vec<u8> {
    seal(&price(), 1, KEY, UNTIL, envelope_options)
}

fn opened(bytes: &[u8], key: &str, envelope_options: &EnvelopeOptions) -> Result<bool, (ErrorKind, String)> {
    match open(bytes, 1, key, UNTIL - 1, envelope_options) {
        Ok(value) => Ok(value == Some(price())),
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

fn refused(bytes: &[u8], key: &str, envelope_options: &EnvelopeOptions) -> (ErrorKind, String) {
    opened(bytes, key, envelope_options).unwrap_err()
}

const FORGED: &str = "stored bytes refused: this cache's secret does not vouch for them, under this key";

#[test]
fn the_same_secret_opens() {
    let envelope_options = with("open sesame", &[]);
    let bytes = sealed(&envelope_options);
    assert_eq!(opened(&bytes, KEY, &envelope_options), Ok(true));
    assert_eq!(opened(&bytes, KEY, &with("open sesame", &["older"])), Ok(true));
    assert_eq!(open::<u8>(&bytes, 1, KEY, UNTIL, &envelope_options).unwrap(), None);
}

/// The bytes of format 2 that are authenticated. What changes the key that is derived from a secret, too, drops whatever
/// programs have stored.
#[test]
fn authenticated_bytes_are_pinned() {
    let bytes = sealed(&with("open sesame", &[]));
    assert_eq!(hex(&bytes[..START]), "63520221");
    assert_eq!(hex(&bytes[START..START + MAC]), "ac3ecf8c988e014ea73d53841d6e9ea2ea0ea9f9aaabbf0a6dc156af7b193ff0");
    let unsigned = sealed(&EnvelopeOptions::default());
    assert_eq!(bytes[START + MAC..], unsigned[START + CHECKSUM..]);
}

#[test]
fn what_another_secret_or_none_has_written_is_forged() {
    let envelope_options = with("open sesame", &[]);
    let forged = (ErrorKind::Forged, FORGED.to_owned());
    assert_eq!(refused(&sealed(&with("open, sesame", &[])), KEY, &envelope_options), forged);
    assert_eq!(refused(&sealed(&with("open, sesame", &["open sesame"])), KEY, &envelope_options), forged);
    let why = "stored bytes refused: they are not authenticated, and this cache has a secret".to_owned();
    assert_eq!(refused(&sealed(&EnvelopeOptions::default()), KEY, &envelope_options), (ErrorKind::Forged, why));
}

#[test]
fn without_a_secret_authenticated_bytes_are_refused() {
    let why = "stored bytes refused: they are authenticated with a secret, and this cache has none".to_owned();
    let bytes = sealed(&with("open sesame", &[]));
    assert_eq!(refused(&bytes, KEY, &EnvelopeOptions::default()), (ErrorKind::Corrupt, why.clone()));
    // An old one alone is none.
    let mut old = EnvelopeOptions::default();
    old.secrets.accept(b"open sesame");
    assert_eq!(refused(&bytes, KEY, &old), (ErrorKind::Corrupt, why));
}

/// Keys have function and version in them, so theirs are other keys as well.
#[test]
fn bytes_under_another_key_are_forged() {
    let envelope_options = with("open sesame", &[]);
    let bytes = sealed(&envelope_options);
    for key in ["shop..prices?item=6", "shop..prices@2?item=5", "shop..costs?item=5", "shop..prices?item=", ""] {
        assert_eq!(refused(&bytes, key, &envelope_options), (ErrorKind::Forged, FORGED.to_owned()), "{key}");
    }
    // A changed type is no forgery.
    let other_type = open::<u8>(&bytes, 2, KEY, 0, &envelope_options).unwrap_err();
    assert_eq!(other_type.kind(), ErrorKind::Corrupt);
}

#[test]
fn old_secrets_are_good_for_reading() {
    let before = sealed(&with("monday", &[]));
    let envelope_options = with("tuesday", &["sunday", "monday"]);
    assert_eq!(opened(&before, KEY, &envelope_options), Ok(true));
    let now = sealed(&envelope_options);
    assert_eq!(opened(&now, KEY, &with("tuesday", &[])), Ok(true));
    assert_eq!(refused(&now, KEY, &with("monday", &["sunday"])).0, ErrorKind::Forged);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let envelope_options = with("open sesame", &[]);
    let intact = sealed(&envelope_options);
    for bit in 0..intact.len() * 8 {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(
            matches!(refused(&bytes, KEY, &envelope_options).0, ErrorKind::Forged | ErrorKind::Corrupt),
            "bit {bit}"
        );
    }
    for len in 0..intact.len() {
        assert!(opened(&intact[..len], KEY, &envelope_options).is_err(), "{len} bytes");
    }
    // Another type, by a writer that knows the format but not the secret.
    let mut bytes = intact;
    bytes[START + MAC] ^= 1;
    assert_eq!(refused(&bytes, KEY, &envelope_options), (ErrorKind::Forged, FORGED.to_owned()));
}

/// An envelope that is made out to be an unauthenticated one, checksum and all.
#[test]
fn a_flag_taken_away_opens_nothing() {
    let envelope_options = with("open sesame", &[]);
    let mut bytes = sealed(&envelope_options);
    bytes[CODEC] &= !AUTHENTICATED;
    bytes.drain(START..START + MAC - CHECKSUM);
    checksummed(&mut bytes);
    assert_eq!(opened(&bytes, KEY, &EnvelopeOptions::default()), Ok(true));
    assert_eq!(refused(&bytes, KEY, &envelope_options).0, ErrorKind::Forged);
}

#[test]
fn nothing_shows_a_secret() {
    let envelope_options = with("open sesame", &["monday"]);
    let shown = format!("{envelope_options:?} {:?}", crate::Cache::builder().secret("open sesame"));
    assert!(shown.contains("secrets: in use"), "{shown}");
    for hidden in ["sesame", "monday", "current", "[", "111, 112"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_equal_secrets_and_keys_open(one in "[ab]{1,3}", other in "[ab]{1,3}", key in "[!-~]{0,3}", other_key in "[!-~]{0,3}") {
        let bytes = seal(&1_u8, 1, &key, UNTIL, &with(&one, &[]));
        let opened = open::<u8>(&bytes, 1, &other_key, 0, &with(&other, &[]));
        prop_assert_eq!(opened.is_ok(), one == other && key == other_key);
    }
}
