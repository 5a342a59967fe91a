//! What backends share that tell a near cache of changes.

use std::{
    convert::Infallible,
    hash::{BuildHasher, RandomState},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use tokio::{sync::oneshot, task::spawn_blocking};

use super::changes::Changes;
use crate::Error;

/// Pauses between attempts to connect double from the first to the last of these.
const PAUSES: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(2)];

/// How long a near cache may be gone before that is noticed.
const EVERY: Duration = Duration::from_secs(1);

/// The pause after so many failures, shortened by up to half at random, so that processes do not connect all at once.
pub(super) fn pause(failures: u32) -> Duration {
    let [first, last] = PAUSES;
    let planned = first.saturating_mul(1 << (failures - 1).min(16)).min(last);
    let chance = RandomState::new().hash_one(failures) >> 32;
    planned - (planned / 2).mul_f64(chance as f64 / f64::from(u32::MAX))
}

/// An event that the near cache is told of.
pub(super) enum News {
    Begun,
    Changed(String),
    #[cfg(any(feature = "redis", feature = "postgres"))]
    AllChanged,
    Lost(Error),
}

/// Tells the near cache of events, in order, from a thread that may be blocked: to drop its entries runs destructors of the user's values,
/// which may wait for something that the library's own runtime drives.
#[derive(Clone)]
pub(super) struct Teller {
    news: mpsc::Sender<News>,
}

impl Teller {
    /// Begins the thread, which ends with the last teller or with the near cache. The future waits for the latter.
    pub(super) fn begin(changes: Changes) -> (Self, impl Future<Output = ()>) {
        let (news, heard) = mpsc::channel();
        let (listens, gone) = oneshot::channel::<Infallible>();
        drop(spawn_blocking(move || {
            let _listens = listens;
            while !changes.is_closed() {
                match heard.recv_timeout(EVERY) {
                    Ok(News::Begun) => changes.begin(),
                    Ok(News::Changed(key)) => changes.changed(&key),
                    #[cfg(any(feature = "redis", feature = "postgres"))]
                    Ok(News::AllChanged) => changes.all_changed(),
                    Ok(News::Lost(why)) => changes.lost(&why),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        }));
        let until_gone = async {
            let _ = gone.await;
        };
        (Self { news }, until_gone)
    }

    pub(super) fn tell(&self, news: News) {
        // It fails if the near cache is gone.
        let _ = self.news.send(news);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_are_not_alike() {
        for failures in 1..100 {
            let planned = PAUSES[0].saturating_mul(2_u32.saturating_pow(failures - 1)).min(PAUSES[1]);
            let pauses: Vec<_> = (0..20).map(|_| pause(failures)).collect();
            assert!(pauses.iter().all(|pause| (planned / 2..=planned).contains(pause)), "{failures}: {pauses:?}");
            assert!(pauses.iter().any(|pause| *pause != pauses[0]));
        }
    }
}
