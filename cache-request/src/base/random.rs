//! Numbers that spread what would otherwise happen at one moment. Not for secrets.

use std::{
    hash::{BuildHasher, RandomState},
    process,
    sync::atomic::{AtomicU64, Ordering},
    time::SystemTime,
};

use super::process::PerProcess;

/// A number from zero up to, but not including, one.
pub(crate) fn unit() -> f64 {
    (number() >> 11) as f64 / (1_u64 << 53) as f64
}

/// A number of 64 bits.
///
/// Its generator is `SplitMix64` (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014), seeded once per
/// process.
pub(crate) fn number() -> u64 {
    const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
    static STATE: PerProcess<AtomicU64> = PerProcess::new();

    // A child's `RandomState` may be its parent's.
    let state = STATE.get(|| AtomicU64::new(RandomState::new().hash_one((process::id(), SystemTime::now()))));
    let mut mixed = state.fetch_add(GAMMA, Ordering::Relaxed);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spread_over_the_unit() {
        let mut tenths = [0; 10];
        for _ in 0..10_000 {
            let number = unit();
            assert!((0.0..1.0).contains(&number), "{number}");
            tenths[(number * 10.0) as usize] += 1;
        }
        assert!(tenths.iter().all(|tenth| (700..1300).contains(tenth)), "{tenths:?}");
    }
}
