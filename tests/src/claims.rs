//! Claims of keys, for tests of the backends that have them.

use std::{
    sync::atomic::{AtomicBool, Ordering::SeqCst},
    time::Duration,
};

use cache_request::backend::{Backend, Claim, ClaimKind, Fence, Right};
use futures_lite::future::block_on;

/// So long does a claim of a test last.
pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// All kinds of claims.
pub const KINDS: [ClaimKind; 3] = [ClaimKind::Missing, ClaimKind::Any, ClaimKind::Anew];

/// Claims a key, and returns what is stored there as well.
///
/// # Panics
///
/// If the backend fails.
pub fn claim(backend: &impl Backend, key: &str, kind: ClaimKind, token: u64) -> (Option<Vec<u8>>, Right) {
    let claimed = block_on(backend.claim(key, Claim { kind, token, lease: HOUR })).expect("it can be claimed");
    (claimed.value, claimed.right)
}

/// Set when this is dropped, as other threads wait for it even if an assertion fails.
pub struct Sets<'a>(pub &'a AtomicBool);

impl Drop for Sets<'_> {
    fn drop(&mut self) {
        self.0.store(true, SeqCst);
    }
}

/// What a process whose clock is an hour ahead has claimed or refused does not bind another one.
///
/// # Panics
///
/// If it does.
pub fn assert_no_claim_lasts_by_a_clock_ahead(reader: &impl Backend, ahead: &impl Backend) {
    claim(ahead, "key", ClaimKind::Missing, 1);
    block_on(ahead.invalidate("refused", HOUR)).expect("it can be invalidated");
    for key in ["key", "refused"] {
        assert_eq!(claim(reader, key, ClaimKind::Missing, 2).1, Right::Leased(Fence::new(2)), "{key}");
        let stored = block_on(reader.set_fenced(key, b"value", None, Fence::new(2)));
        assert!(stored.expect("it can be stored"), "{key}");
    }
}
