//! Gets that are asked together: what many callers want of one server at the same time takes one round trip, and one system
//! call each way. A caller who is alone asks by itself, and waits for no other task.

use std::sync::Arc;

use memcache::exp::{Get, GetResult};
use tokio::{sync::oneshot, task::yield_now};

use super::fleet::{Failure, Fleet, Link};
use crate::{Error, base::batcher::Batcher};

/// How many rounds may be under way at a time: so few, that those who come meanwhile gather, and so many, that a large value in one of
/// them does not keep everybody waiting.
const ROUNDS: usize = 4;

/// The most gets of one round, which has to be over within the time that a server has to answer.
const MAX_GETS: usize = 16;

/// Those who wait for one server.
pub(super) struct GetBatch(Batcher<Queued>);

struct Queued {
    get: Get,
    answer: oneshot::Sender<Result<GetResult, Failure>>,
}

impl Default for GetBatch {
    fn default() -> Self {
        Self(Batcher::new(ROUNDS))
    }
}

/// Gets one item of one server.
pub(super) async fn get(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize, get: Get) -> Result<GetResult, Failure> {
    fleet.is_there(server)?;
    let batcher = &link.get_batch(server).0;
    if batcher.begin_alone() {
        let _round = Round { fleet, link, server };
        return fleet.ask(link, server, async move |client| client.run(get).await).await;
    }
    let (answer, answered) = oneshot::channel();
    if batcher.join(Queued { get, answer }) {
        gather(fleet, link, server);
    }
    let ended = |_| Err(Failure::Other(Error::backend("nobody is left who would ask memcached")));
    answered.await.unwrap_or_else(ended)
}

/// A round of one, for a caller who is alone.
struct Round<'a> {
    fleet: &'a Arc<Fleet>,
    link: &'a Arc<Link>,
    server: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if self.link.get_batch(self.server).0.end() {
            gather(self.fleet, self.link, self.server);
        }
    }
}

/// Begins a task for those who wait.
fn gather(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize) {
    let gatherer = Gatherer { fleet: Arc::clone(fleet), link: Arc::clone(link), server, stage: Stage::Gathers };
    link.runtime().spawn(gatherer.run());
}

/// The task of one round, and of the next ones while there are any.
struct Gatherer {
    fleet: Arc<Fleet>,
    link: Arc<Link>,
    server: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Gathers,
    Asks,
    IsDone,
}

impl Gatherer {
    async fn run(mut self) {
        while self.stage == Stage::Gathers {
            // So that all who are about to ask come first.
            yield_now().await;
            let (round, more) = self.batcher().begin(MAX_GETS);
            self.stage = Stage::Asks;
            if more {
                gather(&self.fleet, &self.link, self.server);
            }
            self.ask(round).await;
            self.stage = if self.batcher().end() { Stage::Gathers } else { Stage::IsDone };
        }
    }

    fn batcher(&self) -> &Batcher<Queued> {
        &self.link.get_batch(self.server).0
    }

    async fn ask(&self, round: Vec<Queued>) {
        let wanted = round.into_iter().filter(|queued| !queued.answer.is_closed());
        let (get_batch, answers): (Vec<_>, Vec<_>) = wanted.map(|queued| (queued.get, queued.answer)).unzip();
        if get_batch.is_empty() {
            return;
        }
        for (answer, outcome) in answers.into_iter().zip(self.fleet.exchange(&self.link, self.server, get_batch).await)
        {
            // Whoever has given up meanwhile needs none.
            let _ = answer.send(outcome);
        }
    }
}

/// Of a task that has not come to its end: the client has panicked, or the runtime is gone, and with it whoever would gather next.
impl Drop for Gatherer {
    fn drop(&mut self) {
        match self.stage {
            Stage::Gathers => drop(self.batcher().give_up()),
            Stage::Asks if self.batcher().end() => gather(&self.fleet, &self.link, self.server),
            Stage::Asks | Stage::IsDone => {}
        }
    }
}
