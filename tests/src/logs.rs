//! What is logged while a test runs.

use std::{
    fmt::{Debug, Write},
    sync::{
        Arc, LazyLock, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Id, Record},
    subscriber::NoSubscriber,
};

/// Two subscribers that live as long as the process. With a single subscriber, `tracing` asks only that of the first thread at a
/// callsite whether its events are wanted, and a thread without one answers no for all threads. The first of these two wants
/// nothing, and no callsite is registered before both exist.
static ALWAYS: LazyLock<[Dispatch; 2]> =
    LazyLock::new(|| [Dispatch::new(NoSubscriber::default()), Dispatch::new(Collector::default())]);

/// Runs `code`, and returns what it logged on this thread: a line an event, `LEVEL message field=value …`.
pub fn of<T>(code: impl FnOnce() -> T) -> (T, Vec<String>) {
    LazyLock::force(&ALWAYS);
    let collector = Collector::default();
    let lines = Arc::clone(&collector.lines);
    let result = tracing::subscriber::with_default(collector, code);
    let lines = std::mem::take(&mut *lines.lock().expect("no test panics while it logs"));
    (result, lines)
}

/// Prints warnings and errors of this process from now on.
///
/// # Panics
///
/// If the process has another subscriber.
pub fn to_stderr() {
    let collector = Collector { prints: true, ..Collector::default() };
    tracing::subscriber::set_global_default(collector).expect("no other subscriber");
}

#[derive(Default)]
struct Collector {
    /// Or else collects them.
    prints: bool,
    lines: Arc<Mutex<Vec<String>>>,
    spans: AtomicU64,
}

impl Subscriber for Collector {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        !self.prints || *metadata.level() <= Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line { message: String::new(), fields: String::new() };
        event.record(&mut line);
        let line = format!("{} {}{}", event.metadata().level(), line.message, line.fields);
        if self.prints {
            eprintln!("{line}");
        } else {
            self.lines.lock().expect("no test panics while it logs").push(line);
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Line {
    message: String,
    fields: String,
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.record_debug(field, &format_args!("{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let written = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.fields, " {name}={value:?}"),
        };
        written.expect("a string takes all");
    }
}
