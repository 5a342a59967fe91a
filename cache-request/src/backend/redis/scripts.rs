//! Scripts that the server runs, each in one step. They are sent by their hash, and with their text if the server does not know them.

use std::sync::OnceLock;

use redis::{Cmd, ServerErrorKind};

use super::{record::Record, wire::Stored};

/// What the record of a claim holds while values are refused. Otherwise it holds the number of the fence.
pub(super) const REFUSED: &[u8] = b"refused";

pub(super) static CLAIM: Script = Script::new(include_str!("scripts/claim.lua"));
pub(super) static STORE: Script = Script::new(include_str!("scripts/store.lua"));
pub(super) static REMOVE: Script = Script::new(include_str!("scripts/remove.lua"));
pub(super) static RENEW: Script = Script::new(include_str!("scripts/renew.lua"));
pub(super) static RELEASE: Script = Script::new(include_str!("scripts/release.lua"));
pub(super) static INVALIDATE: Script = Script::new(include_str!("scripts/invalidate.lua"));

/// A script in Lua.
pub(super) struct Script {
    text: &'static str,
    hash: OnceLock<String>,
}

/// How a script is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum By {
    Hash,
    /// The server remembers its hash.
    Text,
}

impl Script {
    const fn new(text: &'static str) -> Self {
        Self { text, hash: OnceLock::new() }
    }

    /// A command that runs it for a key. Its arguments, of about so many bytes, are still to be appended.
    pub(super) fn call(&self, by: By, key: Stored<'_>, bytes: usize) -> Cmd {
        let (name, script) = match by {
            By::Hash => ("EVALSHA", self.hash()),
            By::Text => ("EVAL", self.text),
        };
        let keys = 2 * (key.namespace.len() + key.key.len()) + 32;
        let mut command = Cmd::with_capacity(8, script.len() + keys + bytes);
        command.arg(name).arg(script).arg(2).arg(key).arg(Record(key));
        command
    }

    fn hash(&self) -> &str {
        self.hash.get_or_init(|| redis::Script::new(self.text).get_hash().to_owned())
    }
}

/// The server does not know a script by its hash: it was started since, or is another one.
pub(super) const UNKNOWN: ServerErrorKind = ServerErrorKind::NoScript;
