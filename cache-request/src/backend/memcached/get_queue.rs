//! The gets that wait for one server, to be sent together.

use memcache::exp::{Get, GetResult};
use tokio::sync::oneshot;

use super::failure::Failure;
use crate::base::batcher::Batcher;

/// How many rounds to one server run at a time. Few, so that gets gather while these run; more than one, so that a large value delays
/// only its own round.
const ROUNDS: usize = 4;

/// The queue of one server.
pub(super) struct GetQueue(pub(super) Batcher<Queued>);

/// A get, and where its answer goes.
pub(super) struct Queued {
    pub(super) get: Get,
    pub(super) answer: oneshot::Sender<Result<GetResult, Failure>>,
}

impl Default for GetQueue {
    fn default() -> Self {
        Self(Batcher::new(ROUNDS))
    }
}
