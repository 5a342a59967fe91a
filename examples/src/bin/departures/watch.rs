//! Tells whether an answer was computed or cached.
//!
//! A cached function looks the same to its caller either way. But its body runs in the caller's task, so a flag of that task
//! can tell: the database sets it when it is queried.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

tokio::task_local! {
    static COMPUTING: Cell<bool>;
}

/// An answer, whether it was computed, and how long that took.
pub(crate) struct Watched<T> {
    pub(crate) answer: T,
    pub(crate) computed: bool,
    pub(crate) took: Duration,
}

/// Awaits `query`, and notes whether it queries the database.
pub(crate) async fn watch<T, E>(query: impl Future<Output = Result<T, E>>) -> Result<Watched<T>, E> {
    COMPUTING
        .scope(Cell::new(false), async {
            let start = Instant::now();
            let answer = query.await?;
            Ok(Watched { answer, computed: COMPUTING.with(Cell::get), took: start.elapsed() })
        })
        .await
}

/// Notes that the database is queried. Outside [`watch`] it does nothing.
pub(crate) fn computing() {
    let _ = COMPUTING.try_with(|flag| flag.set(true));
}
