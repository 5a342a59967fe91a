//! What the remembered functions return.

/// Bytes of a [`string`].
pub const STRING: usize = 200;

/// A string of [`STRING`] bytes, another one for each number.
#[must_use]
pub fn string(number: u64) -> String {
    format!("{number:0>STRING$}")
}

/// 25 numbers.
#[must_use]
pub fn numbers(start: u64) -> Vec<u64> {
    (start..start + 25).collect()
}
