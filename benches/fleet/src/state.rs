//! What the servers have, the calls that are under way, and what happens next.

use super::{
    Nanos,
    tags::{Noted, Tag},
};

#[derive(Clone, Copy)]
pub(crate) struct Value {
    pub(crate) made: Nanos,
    pub(crate) stored: Nanos,
    pub(crate) fresh_until: Nanos,
    /// The generations that its tags had before its body.
    pub(crate) tags: Noted,
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
    /// When the latest of them began.
    pub(crate) begun: Nanos,
    /// Changes that the near caches were told of.
    pub(crate) told: u32,
    /// When the key was invalidated, or its own tag.
    pub(crate) invalidated: Nanos,
    /// The processes that have read it since it changed: whom a server would tell that remembers them.
    pub(crate) readers: Vec<u64>,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Step {
    Get,
    ClaimMissing,
    ClaimAny,
    /// The record of a tag that has none.
    Add(Tag),
    Store,
}

#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Value(Value),
    Nothing,
    Leased(u64),
    Held(Claim),
    Added,
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
    /// When the value was stored that it has found, and that is no answer.
    pub(crate) seen: Nanos,
    /// The records of its tags when they were read.
    pub(crate) tags: Noted,
    /// Whether another call of the process waits for it.
    pub(crate) is_joined: bool,
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
    InvalidatesGroup,
    /// By the number of the invalidation.
    TagSends(usize),
    TagSent(usize),
    TagHeard(usize),
    TagTold(Tag),
}

/// Whether a command is a script.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Script {
    Yes,
    No,
}
