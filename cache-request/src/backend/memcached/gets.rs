//! Gets that are asked together: what many callers want of one server at the same time takes one round trip, and one system
//! call each way. A caller who is alone asks by itself, and waits for no other task.

use std::sync::Arc;

use memcache::exp::{Get, GetResult};
use tokio::{sync::oneshot, task::yield_now};

use super::fleet::{Failure, Fleet, Link};
use crate::{Error, line::Line};

/// How many rounds may be under way at a time. Each takes all who wait, so that few are enough; but a large value in one of them does
/// not keep everybody waiting.
const ROUNDS: usize = 4;

/// The most gets of one round.
const GETS: usize = 64;

/// Those who wait for one server.
pub(super) struct Gets(Line<Waiting>);

struct Waiting {
    get: Get,
    answer: oneshot::Sender<Result<GetResult, Failure>>,
}

impl Default for Gets {
    fn default() -> Self {
        Self(Line::new(ROUNDS))
    }
}

/// Gets one item of one server.
pub(super) async fn get(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize, get: Get) -> Result<GetResult, Failure> {
    fleet.is_there(server)?;
    let line = &link.gets(server).0;
    if line.begin_alone() {
        let _round = Round { fleet, link, server };
        return fleet.ask(link, server, async move |client| client.run(get).await).await;
    }
    let (answer, answered) = oneshot::channel();
    if line.join(Waiting { get, answer }) {
        gather(fleet, link, server);
    }
    let waiting = fleet.waiting(server);
    let outcome = answered.await;
    waiting.end();
    outcome.unwrap_or_else(|_| Err(Failure::Other(Error::backend("the runtime that asks memcached has ended"))))
}

/// A round of one, for a caller who is alone.
struct Round<'a> {
    fleet: &'a Arc<Fleet>,
    link: &'a Arc<Link>,
    server: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        if self.link.gets(self.server).0.end() {
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
            let round = self.line().begin(GETS);
            self.stage = Stage::Asks;
            self.ask(round).await;
            self.stage = if self.line().end() { Stage::Gathers } else { Stage::IsDone };
        }
    }

    fn line(&self) -> &Line<Waiting> {
        &self.link.gets(self.server).0
    }

    async fn ask(&self, round: Vec<Waiting>) {
        let wanted = round.into_iter().filter(|waiting| !waiting.answer.is_closed());
        let (gets, answers): (Vec<_>, Vec<_>) = wanted.map(|waiting| (waiting.get, waiting.answer)).unzip();
        if gets.is_empty() {
            return;
        }
        // Whoever has given up meanwhile needs no answer.
        match self.fleet.ask(&self.link, self.server, async move |client| client.run_many(gets).await).await {
            Ok(outcomes) => {
                for (answer, outcome) in answers.into_iter().zip(outcomes) {
                    let _ = answer.send(outcome.map_err(|error| self.fleet.failed(self.server, error)));
                }
            }
            Err(failure) => {
                for answer in answers {
                    let _ = answer.send(Err(failure.again()));
                }
            }
        }
    }
}

/// Of a task that has not come to its end, as its runtime has: nobody is left who would answer those who wait.
impl Drop for Gatherer {
    fn drop(&mut self) {
        if self.stage != Stage::IsDone {
            drop(self.line().give_up(self.stage == Stage::Asks));
        }
    }
}
