//! Was this answer computed, or remembered?
//!
//! A function that remembers looks the same from outside either way; that is the point of it. But its body runs in
//! the caller's own task, so a flag of that task can tell: the database raises it when it is asked.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

tokio::task_local! {
    static COMPUTING: Cell<bool>;
}

/// An answer, and how it was come by.
pub(crate) struct Watched<T> {
    pub(crate) answer: T,
    pub(crate) computed: bool,
    pub(crate) took: Duration,
}

/// Awaits `query`, and watches whether it asks the database.
pub(crate) async fn watch<T, E>(query: impl Future<Output = Result<T, E>>) -> Result<Watched<T>, E> {
    COMPUTING
        .scope(Cell::new(false), async {
            let start = Instant::now();
            let answer = query.await?;
            Ok(Watched { answer, computed: COMPUTING.with(Cell::get), took: start.elapsed() })
        })
        .await
}

/// Says that the database is asked. Nothing happens where nobody watches.
pub(crate) fn computing() {
    let _ = COMPUTING.try_with(|flag| flag.set(true));
}
