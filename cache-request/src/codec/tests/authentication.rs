//! A cache with a secret takes for its own what was stored with that secret under that key, and nothing else.

use proptest::prelude::*;

use super::envelope::{kind, price};
use crate::{
    ErrorKind,
    codec::{self, AUTHENTICATED, HEAD, MAC, Packing},
};

const KEY: &str = "shop..prices?item=5";
const UNTIL: u64 = 1_735_689_600_000;

fn with(secret: &str, old: &[&str]) -> Packing {
    let mut packing = Packing::default();
    packing.secrets.set(secret.as_bytes());
    old.iter().for_each(|old| packing.secrets.accept(old.as_bytes()));
    packing
}

fn sealed(packing: &Packing) -> Vec<u8> {
    codec::seal(&price(), kind(1), KEY, UNTIL, packing).unwrap()
}

fn opened(bytes: &[u8], key: &str, packing: &Packing) -> Result<bool, (ErrorKind, String)> {
    match codec::open(bytes, kind(1), key, UNTIL - 1, packing) {
        Ok(value) => Ok(value == Some(price())),
        Err(error) => Err((error.kind(), error.to_string())),
    }
}

fn refused(bytes: &[u8], key: &str, packing: &Packing) -> (ErrorKind, String) {
    opened(bytes, key, packing).unwrap_err()
}

const FORGED: &str = "stored bytes refused: this cache's secret does not vouch for them, under this key";

#[test]
fn the_same_secret_opens() {
    let packing = with("open sesame", &[]);
    let bytes = sealed(&packing);
    assert_eq!(opened(&bytes, KEY, &packing), Ok(true));
    assert_eq!(opened(&bytes, KEY, &with("open sesame", &["older"])), Ok(true));
    assert_eq!(codec::open::<u8>(&bytes, kind(1), KEY, UNTIL, &packing).unwrap(), None);
}

/// The bytes of format 1 that are authenticated. What changes the key that is derived from a secret, too, drops whatever
/// programs have stored.
#[test]
fn authenticated_bytes_are_pinned() {
    let bytes = sealed(&with("open sesame", &[]));
    let hex: String = bytes[..HEAD + MAC].iter().map(|byte| format!("{byte:02x}")).collect();
    let (head, mac) = hex.split_at(2 * HEAD);
    assert_eq!(head, "635201210100000000000000007c291f94010000007c291f940100000000");
    assert_eq!(mac, "f39c1fdf5f09e1b106daea764e884acfcb5445ebf56dbc8232686b1b0a1f97e1");
    let unsigned = codec::seal(&price(), kind(1), KEY, UNTIL, &Packing::default()).unwrap();
    assert_eq!(bytes[HEAD + MAC..], unsigned[HEAD + codec::CHECKSUM..]);
}

#[test]
fn what_another_secret_or_none_has_written_is_forged() {
    let packing = with("open sesame", &[]);
    let forged = (ErrorKind::Forged, FORGED.to_owned());
    assert_eq!(refused(&sealed(&with("open, sesame", &[])), KEY, &packing), forged);
    assert_eq!(refused(&sealed(&with("open, sesame", &["open sesame"])), KEY, &packing), forged);
    let why = "stored bytes refused: they are not authenticated, and this cache has a secret".to_owned();
    assert_eq!(refused(&sealed(&Packing::default()), KEY, &packing), (ErrorKind::Forged, why));
}

#[test]
fn without_a_secret_authenticated_bytes_are_refused() {
    let why = "stored bytes refused: they are authenticated with a secret, and this cache has none".to_owned();
    let bytes = sealed(&with("open sesame", &[]));
    assert_eq!(refused(&bytes, KEY, &Packing::default()), (ErrorKind::Corrupt, why.clone()));
    // An old one alone is none.
    let mut old = Packing::default();
    old.secrets.accept(b"open sesame");
    assert_eq!(refused(&bytes, KEY, &old), (ErrorKind::Corrupt, why));
}

/// Keys have function and version in them, so theirs are other keys as well.
#[test]
fn bytes_under_another_key_are_forged() {
    let packing = with("open sesame", &[]);
    let bytes = sealed(&packing);
    for key in ["shop..prices?item=6", "shop..prices@2?item=5", "shop..costs?item=5", "shop..prices?item=", ""] {
        assert_eq!(refused(&bytes, key, &packing), (ErrorKind::Forged, FORGED.to_owned()), "{key}");
    }
    // A type that has changed is nobody's forgery.
    let other_type = codec::open::<u8>(&bytes, kind(2), KEY, 0, &packing).unwrap_err();
    assert_eq!(other_type.kind(), ErrorKind::Corrupt);
}

#[test]
fn old_secrets_are_good_for_reading() {
    let before = sealed(&with("monday", &[]));
    let packing = with("tuesday", &["sunday", "monday"]);
    assert_eq!(opened(&before, KEY, &packing), Ok(true));
    let now = sealed(&packing);
    assert_eq!(opened(&now, KEY, &with("tuesday", &[])), Ok(true));
    assert_eq!(refused(&now, KEY, &with("monday", &["sunday"])).0, ErrorKind::Forged);
}

#[test]
fn every_flipped_bit_and_every_cut_is_found() {
    let packing = with("open sesame", &[]);
    let intact = sealed(&packing);
    for bit in 0..intact.len() * 8 {
        let mut bytes = intact.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(refused(&bytes, KEY, &packing).0, ErrorKind::Forged | ErrorKind::Corrupt), "bit {bit}");
    }
    for len in 0..intact.len() {
        assert!(opened(&intact[..len], KEY, &packing).is_err(), "{len} bytes");
    }
    // The time it is good for, by somebody who knows the format but not the secret.
    let mut bytes = intact;
    bytes[12..20].copy_from_slice(&codec::FOREVER.to_le_bytes());
    assert_eq!(refused(&bytes, KEY, &packing), (ErrorKind::Forged, FORGED.to_owned()));
}

/// An envelope that is made out to be an unauthenticated one, checksum and all.
#[test]
fn a_flag_taken_away_opens_nothing() {
    let packing = with("open sesame", &[]);
    let bytes = sealed(&packing);
    let mut head = bytes[..HEAD].to_vec();
    head[3] &= !AUTHENTICATED;
    let payload = &bytes[HEAD + MAC..];
    let checksum = codec::checksum_of(KEY, &head, payload);
    let bytes = [&head, &checksum[..], payload].concat();
    assert_eq!(opened(&bytes, KEY, &Packing::default()), Ok(true));
    assert_eq!(refused(&bytes, KEY, &packing).0, ErrorKind::Forged);
}

#[test]
fn nothing_shows_a_secret() {
    let packing = with("open sesame", &["monday"]);
    let shown = format!("{packing:?} {:?}", crate::Cache::builder().secret("open sesame"));
    assert!(shown.contains("secrets: in use"), "{shown}");
    for hidden in ["sesame", "monday", "current", "[", "111, 112"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
}

#[test]
#[should_panic(expected = "the secret of a cache is empty")]
fn an_empty_secret_is_none() {
    let _ = crate::Cache::builder().secret("");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn only_equal_secrets_and_keys_open(one in "[ab]{1,3}", other in "[ab]{1,3}", key in "[!-~]{0,3}", other_key in "[!-~]{0,3}") {
        let bytes = codec::seal(&1_u8, kind(1), &key, UNTIL, &with(&one, &[])).unwrap();
        let opened = codec::open::<u8>(&bytes, kind(1), &other_key, 0, &with(&other, &[]));
        prop_assert_eq!(opened.is_ok(), one == other && key == other_key);
    }
}
