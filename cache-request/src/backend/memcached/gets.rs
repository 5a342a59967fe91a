//! Gets that are asked together: what many callers want of one server at the same time takes one round trip, and one system
//! call each way. A caller who is alone asks by itself, and waits for no other task.

use std::{
    collections::VecDeque,
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use memcache::exp::{Get, GetResult};
use tokio::{sync::oneshot, task::yield_now};

use super::fleet::{Failure, Fleet, Link};
use crate::Error;

/// How many rounds may be under way at a time. Each takes all who wait, so that few are enough; but a large value in one of them does
/// not keep everybody waiting.
const ROUNDS: usize = 4;

/// The most gets of one round.
const GETS: usize = 64;

/// Those who wait for one server.
#[derive(Default)]
pub(super) struct Line(Mutex<State>);

#[derive(Default)]
struct State {
    waiting: VecDeque<Waiting>,
    /// There is a task that waits for others to come before it begins a round.
    gathers: bool,
    rounds: usize,
}

struct Waiting {
    get: Get,
    answer: oneshot::Sender<Result<GetResult, Failure>>,
}

impl Line {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Whether somebody is to gather who wait.
    fn is_to_gather(&mut self) -> bool {
        let is_to_gather = !self.gathers && self.rounds < ROUNDS && !self.waiting.is_empty();
        self.gathers |= is_to_gather;
        is_to_gather
    }
}

/// Gets one item of one server.
pub(super) async fn get(fleet: &Arc<Fleet>, link: &Arc<Link>, server: usize, get: Get) -> Result<GetResult, Failure> {
    fleet.is_there(server)?;
    match join(fleet, link, server, get) {
        Way::Alone(get, _round) => fleet.ask(link, server, async move |client| client.run(get).await).await,
        Way::Together(answered) => {
            let waiting = fleet.waiting(server);
            let outcome = answered.await;
            waiting.end();
            outcome.unwrap_or_else(|_| Err(Failure::Other(Error::backend("the runtime that asks memcached has ended"))))
        }
    }
}

enum Way<'a> {
    Alone(Get, Round<'a>),
    Together(oneshot::Receiver<Result<GetResult, Failure>>),
}

fn join<'a>(fleet: &'a Arc<Fleet>, link: &'a Arc<Link>, server: usize, get: Get) -> Way<'a> {
    let mut state = link.line(server).state();
    if state.rounds == 0 && !state.gathers {
        state.rounds += 1;
        return Way::Alone(get, Round { fleet, link, server });
    }
    let (answer, answered) = oneshot::channel();
    state.waiting.push_back(Waiting { get, answer });
    let is_to_gather = state.is_to_gather();
    drop(state);
    if is_to_gather {
        gather(fleet, link, server);
    }
    Way::Together(answered)
}

/// A round of one, for a caller who is alone.
struct Round<'a> {
    fleet: &'a Arc<Fleet>,
    link: &'a Arc<Link>,
    server: usize,
}

impl Drop for Round<'_> {
    fn drop(&mut self) {
        let mut state = self.link.line(self.server).state();
        state.rounds -= 1;
        if state.is_to_gather() {
            drop(state);
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
            let round = self.begin_round();
            self.ask(round).await;
            self.end_round();
        }
    }

    fn begin_round(&mut self) -> Vec<Waiting> {
        let mut state = self.link.line(self.server).state();
        state.gathers = false;
        state.rounds += 1;
        self.stage = Stage::Asks;
        let most = state.waiting.len().min(GETS);
        state.waiting.drain(..most).collect()
    }

    fn end_round(&mut self) {
        let mut state = self.link.line(self.server).state();
        state.rounds -= 1;
        self.stage = if state.is_to_gather() { Stage::Gathers } else { Stage::IsDone };
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
        let left = {
            let mut state = self.link.line(self.server).state();
            match self.stage {
                Stage::Gathers => state.gathers = false,
                Stage::Asks => state.rounds -= 1,
                Stage::IsDone => return,
            }
            mem::take(&mut state.waiting)
        };
        drop(left);
    }
}
