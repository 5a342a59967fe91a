//! What the servers have, the calls that are under way, and what happens next.

use super::Nanos;

#[derive(Clone, Copy)]
pub(crate) struct Value {
    pub(crate) made: Nanos,
    pub(crate) stored: Nanos,
    pub(crate) fresh_until: Nanos,
}

/// The right to make a value.
#[derive(Clone, Copy)]
pub(crate) struct Claim {
    pub(crate) token: u64,
    pub(crate) process: u32,
    pub(crate) until: Nanos,
}

/// What the servers have of one key.
#[derive(Clone, Default)]
pub(crate) struct Record {
    pub(crate) value: Option<Value>,
    pub(crate) claim: Option<Claim>,
    /// Counts the values.
    pub(crate) version: u64,
    /// Bodies that run for it.
    pub(crate) running: u32,
    /// Changes that the near caches were told of.
    pub(crate) told: u32,
    pub(crate) invalidated: Nanos,
    /// The processes that have read it since it changed: whom a server would tell that remembers them.
    pub(crate) readers: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Get,
    ClaimMissing,
    ClaimAny,
    Store,
}

#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Value(Value),
    Nothing,
    Leased(u64),
    Held(Claim),
    Stored,
    Failed,
}

/// One call that goes to the servers, and those that wait for it.
pub(crate) struct Flight {
    pub(crate) process: u32,
    pub(crate) key: u32,
    pub(crate) replaces: bool,
    pub(crate) begun: Nanos,
    pub(crate) step: Step,
    pub(crate) answer: Answer,
    pub(crate) pause: Nanos,
    pub(crate) fences: u8,
    pub(crate) fence: Option<u64>,
    /// When its body began.
    pub(crate) made: Nanos,
    pub(crate) body_ends: Nanos,
    /// What was told before it looked: of its key, and of all.
    pub(crate) told: (u32, f64),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Event {
    Sent(usize),
    Heard(usize),
    Looks(usize),
    BodyEnds(usize),
    Renews(usize),
    Told(u32),
    Expires(u32, u64),
    Invalidates(u32, u32),
    Invalidated(u32, u32),
    Lost,
    Opens(u32),
}

/// Whether a command is a script.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Script {
    Yes,
    No,
}
