//! Keys and values that several processes write, and that a reader can judge.

/// How many keys there are.
pub const KEYS: u64 = 40;

/// One of them.
#[must_use]
pub fn key(number: u64) -> String {
    format!("file.backend.key?number={number}")
}

/// A value of this key: its number, a salt and its own length, again and again for 1 to 64 KiB.
#[must_use]
pub fn value(number: u64, salt: u64) -> Vec<u8> {
    let words = 43 + salt.wrapping_mul(0x9e37_79b9_7f4a_7c15) % 2700;
    let word = [number.to_le_bytes(), salt.to_le_bytes(), words.to_le_bytes()].concat();
    word.repeat(words as usize)
}

/// Whether it is a value of this key, whole and of one piece.
#[must_use]
pub fn is_whole(number: u64, found: &[u8]) -> bool {
    found
        .get(8..16)
        .and_then(|salt| salt.try_into().ok())
        .is_some_and(|salt| found == value(number, u64::from_le_bytes(salt)))
}
