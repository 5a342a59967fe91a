//! Batches gets: those of many callers to one server take one round trip, and one system call each way. A lone caller sends its get
//! at once, and waits for no other task.

use std::sync::Arc;

use memcache::exp::{Get, GetResult};
use tokio::{sync::oneshot, task::yield_now};

use super::{failure::Failure, fleet::Fleet, get_queue::Queued, link::Link};
use crate::{Error, base::batcher::Batcher};

/// The most gets of one round. All of them must be answered within the time that a server has for one answer.
const MAX_GETS: usize = 16;

/// Gets one item of one server.
pub(super) async fn get(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize, get: Get) -> Result<GetResult, Failure> {
    fleet.check(server)?;
    let batcher = &link.get_queue(server).0;
    if batcher.begin_alone() {
        let _round = Round { fleet, link, server };
        return fleet.ask(link, server, async move |client| client.run(get).await).await;
    }
    let (answer, answered) = oneshot::channel();
    if batcher.join(Queued { get, answer }) {
        gather(fleet, link, server);
    }
    let ended = |_| Err(Failure::Other(Error::backend("the runtime that would ask memcached has ended")));
    answered.await.unwrap_or_else(ended)
}

/// The round of a lone caller.
struct Round<'a> {
    fleet: &'a Arc<Fleet>,
    link: &'a Arc<Link>,
    server: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if self.link.get_queue(self.server).0.end() {
            gather(self.fleet, self.link, self.server);
        }
    }
}

/// Begins a task for the callers that wait.
fn gather(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize) {
    let gatherer = Gatherer { fleet: Arc::clone(fleet), link: Arc::clone(link), server, stage: Stage::Gathering };
    link.runtime().spawn(gatherer.run());
}

/// The task of one round, and of further rounds while callers wait.
struct Gatherer {
    fleet: Arc<Fleet>,
    link: Arc<Link>,
    server: usize,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Gathering,
    Asking,
    Done,
}

impl Gatherer {
    async fn run(mut self) {
        while self.stage == Stage::Gathering {
            // All callers that are ready join first.
            yield_now().await;
            let (round, more) = self.batcher().begin(MAX_GETS);
            self.stage = Stage::Asking;
            if more {
                gather(&self.fleet, &self.link, self.server);
            }
            self.ask(round).await;
            self.stage = if self.batcher().end() { Stage::Gathering } else { Stage::Done };
        }
    }

    fn batcher(&self) -> &Batcher<Queued> {
        &self.link.get_queue(self.server).0
    }

    async fn ask(&self, round: Vec<Queued>) {
        let open = round.into_iter().filter(|queued| !queued.answer.is_closed());
        let (gets, answers): (Vec<_>, Vec<_>) = open.map(|queued| (queued.get, queued.answer)).unzip();
        if gets.is_empty() {
            return;
        }
        for (answer, outcome) in answers.into_iter().zip(self.fleet.exchange(&self.link, self.server, gets).await) {
            // A caller that has given up drops its end.
            let _ = answer.send(outcome);
        }
    }
}

/// Passes on the gatherer's duty if its task ends early: the client panicked, or the runtime was dropped.
impl Drop for Gatherer {
    fn drop(&mut self) {
        match self.stage {
            Stage::Gathering => drop(self.batcher().give_up()),
            Stage::Asking if self.batcher().end() => gather(&self.fleet, &self.link, self.server),
            Stage::Asking | Stage::Done => {}
        }
    }
}
