//! Abandoned writes: the caller gave up or the connection was lost, and the server may still execute them.
//!
//! A server executes the commands of one connection in order, but not those of two connections. An abandoned `SET` could be executed after
//! an `UNLINK` that was sent later over another connection, and would bring back what was deleted. So before a connection writes, it makes
//! sure that no other connection has abandoned writes left: it waits until that connection has answered a later command, or has the
//! server close it.
//!
//! The connections of a cluster's client to its nodes are not visible here. The client sends the commands for one slot in order, over one
//! connection, and drops commands that were abandoned before it sent them or that it would have to send again. So all writes to a cluster
//! use the client of one runtime, the library's own. One case remains: the client replaces a connection whose node has not yet read all of
//! it, because the node stood still for `server::ANSWER_LIMIT` or the network ended the connection. Then the node may read the old
//! connection last.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_lite::FutureExt;
use redis::{RedisError, RedisResult, cmd};

use super::{
    health::{Health, PATIENCE},
    server::{Connection, Identity},
};
use crate::base::{
    sync::{Mutex, lock},
    timer::sleep,
};

/// The abandoned writes of all connections of a backend.
#[derive(Default)]
pub(super) struct AbandonedWrites {
    /// How many connections have some. Every write reads it.
    count: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: Number,
    connections: Vec<AbandonedWrite>,
}

/// Orders abandoned writes and later commands.
type Number = u64;

/// The last abandoned write of one connection.
#[derive(Clone)]
struct AbandonedWrite {
    number: Number,
    connection: Connection,
    health: Arc<Health>,
    identity: Option<Identity>,
}

impl AbandonedWrites {
    /// Notes a write that was abandoned over this connection.
    pub(super) fn note(&self, connection: &Connection, health: &Arc<Health>, identity: Option<&Identity>) {
        let mut known = lock(&self.known);
        let number = known.next;
        known.next += 1;
        let write = AbandonedWrite {
            number,
            connection: connection.clone(),
            health: Arc::clone(health),
            identity: identity.cloned(),
        };
        match known.connections.iter_mut().find(|known| Arc::ptr_eq(&known.health, health)) {
            Some(known) => *known = write,
            None => known.connections.push(write),
        }
        self.count.store(known.connections.len(), Ordering::Release);
    }

    /// The number of a command that is sent now: that of every write noted before is smaller.
    pub(super) fn now(&self) -> Number {
        lock(&self.known).next
    }

    /// Forgets the abandoned writes of a connection that has answered a command of number `asked`.
    pub(super) fn settle(&self, health: &Arc<Health>, asked: Number) {
        let mut known = lock(&self.known);
        known.connections.retain(|write| !Arc::ptr_eq(&write.health, health) || write.number >= asked);
        self.count.store(known.connections.len(), Ordering::Release);
    }

    /// Waits until no connection other than this one has abandoned writes.
    pub(super) async fn wait(&self, connection: &Connection, health: &Arc<Health>) -> RedisResult<()> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let (asked, others) = {
            let known = lock(&self.known);
            let others = known.connections.iter().filter(|write| !Arc::ptr_eq(&write.health, health));
            (known.next, others.cloned().collect::<Vec<_>>())
        };
        for write in others {
            if write.health.is_lost() || !write.answers().await {
                write.end(connection).await?;
            }
            self.settle(&write.health, asked);
        }
        Ok(())
    }
}

impl AbandonedWrite {
    /// Whether the server answers over the connection within [`PATIENCE`]. It may not because the connection's runtime is not driven
    /// at the moment, and then the write is not even sent.
    async fn answers(&self) -> bool {
        let too_late = async {
            sleep(PATIENCE).await;
            false
        };
        self.connection.answers().or(too_late).await
    }

    /// Gives up the connection, and has the server close it over `other`, with all commands that it has not read.
    async fn end(&self, other: &Connection) -> RedisResult<()> {
        self.health.lose();
        let Some(Identity { number, address }) = &self.identity else { return Ok(()) };
        // By address, too: on another server, another client may have the number.
        let mut command = cmd("CLIENT");
        command.arg("KILL").arg("ID").arg(number).arg("ADDR").arg(address);
        let killed = other.ask(&command).await;
        match killed {
            // Without the permission, the write may be executed late.
            Err(error) if is_refusal(&error) => Ok(()),
            killed => killed.map(drop),
        }
    }
}

/// Whether the server always refuses: the user lacks the permission, or there is no such command. Other errors, such as while it loads
/// its data, may pass.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOPERM" | "ERR"))
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    #[test]
    fn errors_that_may_pass_are_no_refusal() {
        for (answer, refuses) in [
            ("NOPERM User cache has no permissions to run the 'client|kill' command", true),
            ("ERR unknown command 'CLIENT', with args beginning with: 'KILL' ", true),
            ("LOADING Redis is loading the dataset in memory", false),
            ("MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.", false),
            ("BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.", false),
            ("NOAUTH Authentication required.", false),
        ] {
            let answer = parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
            let error = answer.extract_error().unwrap_err();
            assert_eq!(super::is_refusal(&error), refuses, "{error}");
        }
    }
}
