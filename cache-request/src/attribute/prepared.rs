//! One call whose cache and key are known, without its body: what both kinds of handle rest on.

use std::{borrow::Cow, future::poll_fn, mem, pin::pin, time::Duration};

use super::{
    site::{Resolved, Site},
    steps::{Answering, Steps, poll_run, steps},
};
use crate::{
    Error, ErrorKind,
    base::{
        block_on::block_on,
        panic::{PanicSafe, catch_unwind},
    },
    cache::without_function_tags,
    engine::{
        body::Body,
        call::Call,
        description::Instance,
        function::AnyFunction,
        looked::Looked,
        policy::Policy,
        run::{self, Ahead, Answered, Elsewhere, Run, Start},
        source::Source,
        value::ValueOf,
    },
    key::Key,
    stats::Count,
};

/// What a call is for.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// If a value is due to be replaced, that is done here.
    Answer,
    /// If a value is due to be replaced, the caller is told.
    AnswerNow,
    /// The body runs in any case.
    NewValue,
}

/// The answer of a call, whether it needed its body or not.
pub(super) type Ended<R> = Result<Answered<R>, Answered<R>>;

pub(super) fn either<R>(ended: Ended<R>) -> Answered<R> {
    match ended {
        Ok(answered) | Err(answered) => answered,
    }
}

/// The same, for the expansion.
pub fn answer<R>(ended: Ended<R>) -> R {
    either(ended).answer
}

/// The answer, and whether it is for the caller to replace the value.
pub fn answer_now<R>(ended: Ended<R>) -> (R, bool) {
    let Answered { answer, is_due, .. } = either(ended);
    (answer, is_due)
}

/// The answer of a body that replaces the value `found` in memory, or that value, and where it comes from.
pub(super) fn or_found<R>(replaced: Result<Answered<R>, Elsewhere>, found: R) -> (R, Source) {
    replaced.map_or((found, Source::Memory), |Answered { answer, source, .. }| (answer, source))
}

/// What both kinds of handle know about their call.
pub(super) struct Prepared<R, V> {
    pub(super) site: &'static Site,
    pub(super) policy: Policy<R, V>,
    pub(super) key: Key,
    target: Option<Resolved>,
    /// Whether the caller is a thread that waits for the answer and does nothing else.
    blocks: bool,
}

impl<R, V: ValueOf<R>> Prepared<R, V> {
    pub(super) fn new(site: &'static Site, instance: Instance, policy: Policy<R, V>, key: Key, blocks: bool) -> Self {
        Self { site, policy, key, target: site.target::<V>(instance), blocks }
    }

    /// The call. `None` if its body is to run without a cache.
    pub(super) fn call(&self) -> Option<Call<'_, R, V>> {
        let target = self.target.as_deref()?;
        Call::of(target.cache.engine(), target.function::<V>()?, &self.policy, &self.key, self.blocks)
    }

    /// The answer, if memory holds it, and whether it is for the caller to replace the value.
    pub(super) fn hit(&self) -> Option<(R, bool)> {
        let target = self.target.as_deref()?;
        if self.policy.replaces() {
            target.hit_or_replace::<R, V>(&self.key)
        } else {
            Some((target.hit::<R, V>(&self.key)?, false))
        }
    }

    /// Counts a call that runs its body without a cache.
    #[cold]
    pub(super) fn uncached(&self) {
        let Some(target) = &self.target else { return };
        let Some(function) = target.function::<V>() else { return };
        function.counters.increment(Count::Uncached);
        if let Some(cause) = self.key.error().filter(|_| !self.key.is_bypassed()) {
            function.fault("no key could be made of the arguments", &Error::new(ErrorKind::Key, cause));
        }
    }

    /// The call, for operations that have no body to fall back on.
    pub(super) fn required(&self) -> Result<Call<'_, R, V>, Error> {
        self.call().ok_or_else(|| self.why_uncached())
    }

    pub(super) fn why_uncached(&self) -> Error {
        match (self.key.error(), self.site.description.cache) {
            (Some(cause), _) => Error::new(ErrorKind::Key, format!("no key could be made of the arguments: {cause}")),
            (None, Some(name)) if self.target.is_none() => {
                Error::new(ErrorKind::Config, format!("no cache named `{name}` is installed"))
            }
            (None, _) => Error::new(ErrorKind::Config, "this function is not cached here"),
        }
    }

    pub(super) fn key(&self) -> Result<String, Error> {
        let target = self.target.as_ref().filter(|_| self.key.error().is_none());
        let function = target.and_then(|target| target.function::<V>());
        let text = function.map(|function| function.key_text(&self.key));
        text.ok_or_else(|| self.why_uncached())
    }

    pub(super) async fn invalidate(&self, refuse: Duration) -> Result<bool, Error> {
        if self.is_disabled() {
            return Ok(false);
        }
        self.required()?.invalidate(refuse).await
    }

    pub(super) async fn invalidate_soft(&self) -> Result<bool, Error> {
        if self.is_disabled() {
            return Ok(false);
        }
        self.required()?.invalidate_soft().await
    }

    pub(super) async fn put(&self, value: Result<Option<Cow<'_, V>>, Error>) -> Result<(), Error> {
        match value? {
            Some(value) if !self.is_disabled() => self.required()?.put(&value).await,
            _ => Ok(()),
        }
    }

    pub(super) async fn peek(&self) -> Option<R> {
        self.call()?.peek().await
    }

    pub(super) async fn lookup(&self) -> Option<Looked<R>> {
        self.call()?.inspect().await
    }

    /// Begins the call.
    pub(super) fn begin(&self, wanted: Wanted) -> Start<'_, R, V, Ahead<'_, R, V>> {
        match (self.call(), wanted) {
            (Some(call), Wanted::Answer) => run::begin(call, true),
            (Some(call), Wanted::AnswerNow) => run::begin(call, false),
            (Some(call), Wanted::NewValue) => Start::Waits(run::begin_refresh(call)),
            (None, _) => Start::Runs(self.uncached_run()),
        }
    }

    pub(super) fn uncached_run(&self) -> Run<'_, R, V> {
        self.uncached();
        Run::UNCACHED
    }

    /// The steps of the call. A closure in a function that has the body's type would have it, too.
    pub(super) fn steps(&self, wanted: Wanted) -> impl Steps<R, Output = Ended<R>> {
        steps(move || self.begin(wanted), Ahead::over)
    }

    /// The whole call. The error is an answer that needed no body.
    pub(super) fn answer<B: Body<Answer = R> + Unpin>(
        &self,
        wanted: Wanted,
        body: B,
    ) -> Answering<impl Steps<R, Output = Ended<R>>, B> {
        Answering::new(self.steps(wanted), body)
    }

    /// What the call finds that may be replaced in the background, or the answer of its body.
    ///
    /// A value in memory that may stand in is no hit, and the call would lead a flight if it were not found first.
    pub(super) fn find_awaited(&self) -> Option<Answered<R>> {
        self.call()?.find_awaited()
    }

    /// No body has begun to replace what was found, so no caller is to wait for it.
    pub(super) fn has_not_begun(&self, found: &Answered<R>) {
        if let Some(call) = self.call().filter(|_| found.is_due && found.is_awaited) {
            call.announced_has_ended();
        }
    }

    /// The answer that was found, or what there is once it was waited for a newer one. `None` if there is nothing by then.
    pub(super) async fn after_waiting(&self, found: Answered<R>) -> Option<R> {
        let Answered { answer, is_awaited, .. } = found;
        let Some(call) = self.call().filter(|_| is_awaited) else { return Some(answer) };
        drop(PanicSafe::new(answer));
        Some(call.after_waiting().await?.into_answer())
    }

    /// The steps of a call whose body replaces a value that may still be returned.
    pub(super) fn steps_of_replacement(&self) -> impl Steps<R, Output = Result<Answered<R>, Elsewhere>> {
        let begin = || self.call().map_or_else(|| Start::Runs(self.uncached_run()), Start::Waits);
        steps(begin, run::begin_replacement)
    }

    /// The whole of such a call.
    pub(super) fn replace<B: Body<Answer = R> + Unpin>(
        &self,
        body: B,
    ) -> Answering<impl Steps<R, Output = Result<Answered<R>, Elsewhere>>, B> {
        Answering::new(self.steps_of_replacement(), body)
    }

    /// The same in the background.
    pub(super) async fn replace_in_background(&self, body: impl Body<Answer = R> + Unpin) {
        let ended = catch_unwind(self.replace(body)).await;
        let has_failed = match &ended {
            Ok(Ok(answered)) => answered.source == Source::StandIn || self.policy.has_failed(&answered.answer),
            Ok(Err(_elsewhere)) => false,
            Err(_panic) => true,
        };
        let Some(call) = self.call() else { return };
        if !matches!(ended, Ok(Err(Elsewhere::UnderWay))) {
            call.announced_has_ended();
        }
        if has_failed {
            call.refresh_has_failed();
        }
    }

    pub(super) async fn invalidate_function(&self) -> Result<(), Error> {
        let function = self.target.as_ref().and_then(|target| Some((target, target.function::<V>()?)));
        let Some((target, function)) = function else { return Err(self.why_uncached()) };
        let engine = target.cache.engine();
        let is_in_memory = function.clear_in_memory(engine);
        if engine.function_tags {
            return engine.invalidate_all_of(function.tag).await;
        }
        if is_in_memory { Ok(()) } else { Err(without_function_tags()) }
    }

    /// The whole call of a plain function: the same steps, one after the other.
    #[inline(never)]
    pub(super) fn answer_on_this_thread(&self, wanted: Wanted, body: &mut dyn Body<Answer = R>) -> Answered<R> {
        let mut start = self.begin(wanted);
        loop {
            start = match start {
                Start::Runs(ref mut run) => return run_on_this_thread(run, body),
                Start::Waits(ahead) => match wait_for(ahead.over()) {
                    Ok(run) => Start::Runs(run),
                    Err(answered) => return answered,
                },
            };
        }
    }

    /// Whether the cache keeps nothing, so that there is nothing to invalidate.
    pub(super) fn is_disabled(&self) -> bool {
        self.target.as_ref().is_some_and(|target| target.cache.is_disabled())
    }
}

fn run_on_this_thread<R, V: ValueOf<R>>(run: &mut Run<'_, R, V>, body: &mut dyn Body<Answer = R>) -> Answered<R> {
    let mut around = run.around();
    match block_on(poll_fn(|context| poll_run(run, &mut around, context, body))) {
        Ok(answered) => answered,
        Err(value) => {
            let source = run.source();
            let run = mem::replace(run, Run::UNCACHED);
            Answered::new(wait_for(run.store_and_return(value)), source)
        }
    }
}

/// Drives `future` on this thread. Not inlined, so that a large one takes no room on the stack while the body runs.
#[inline(never)]
fn wait_for<F: Future>(future: F) -> F::Output {
    block_on(pin!(future))
}
