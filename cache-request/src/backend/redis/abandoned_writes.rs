//! Writes that nobody waits for any more, and that a server may still come to.
//!
//! Over one connection commands are done in their order, so that a later one is never overtaken. Over two they are not: a
//! `SET` that its caller gave up could be done after another connection's `UNLINK`, and bring back what was deleted. So
//! whoever writes first sees to it that nothing is under way over any other connection.
//!
//! A cluster's client has connections to the nodes that nobody else can see. But it sends what is asked about one slot in
//! order, over one of them, and what was given up before it was sent, or would have to be sent again, it drops. So all
//! writes to a cluster take the client of one runtime, the library's own. What remains is a connection that the client replaces
//! while its node has yet to read what was sent over it: the node has stood still for `server::ANSWER_LIMIT`, and somebody has
//! waited for as long; or the network between has ended it. Then it is the node's affair which of the two it reads first.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_lite::FutureExt;
use redis::{RedisError, RedisResult, cmd};

use super::{
    link::{Health, Live, PATIENCE},
    server::{Connection, Identity},
};
use crate::base::{
    sync::{Mutex, lock},
    timer::sleep,
};

/// The late writes of all connections of a backend.
#[derive(Default)]
pub(super) struct AbandonedWrites {
    /// How many connections have some: what everybody looks at.
    count: AtomicUsize,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    next: Number,
    abandoned_writes: Vec<AbandonedWrite>,
}

/// Orders late writes and what was asked after them.
type Number = u64;

/// A connection with late writes.
#[derive(Clone)]
struct AbandonedWrite {
    /// Of the last of them.
    number: Number,
    connection: Connection,
    health: Arc<Health>,
    identity: Option<Identity>,
}

impl AbandonedWrites {
    /// A write over this connection was given up.
    pub(super) fn note(&self, live: &Live) {
        let mut known = lock(&self.known);
        let number = known.next;
        known.next += 1;
        let (connection, identity) = (live.connection(), live.identity().cloned());
        let abandoned_writes = AbandonedWrite { number, connection, health: Arc::clone(live.health()), identity };
        match known.abandoned_writes.iter_mut().find(|known| Arc::ptr_eq(&known.health, live.health())) {
            Some(known) => *known = abandoned_writes,
            None => known.abandoned_writes.push(abandoned_writes),
        }
        self.count.store(known.abandoned_writes.len(), Ordering::Release);
    }

    /// What a connection is asked from now on comes after all that was noted before this.
    pub(super) fn now(&self) -> Number {
        lock(&self.known).next
    }

    /// The connection has answered something that it was asked at `asked` or later.
    pub(super) fn settle(&self, health: &Arc<Health>, asked: Number) {
        let mut known = lock(&self.known);
        known.abandoned_writes.retain(|abandoned_writes| {
            !Arc::ptr_eq(&abandoned_writes.health, health) || abandoned_writes.number >= asked
        });
        self.count.store(known.abandoned_writes.len(), Ordering::Release);
    }

    /// Waits until nothing is under way over any other connection than this one.
    pub(super) async fn wait(&self, live: &Live) -> RedisResult<()> {
        if self.count.load(Ordering::Acquire) == 0 {
            return Ok(());
        }
        let (asked, others) = {
            let known = lock(&self.known);
            let others = known
                .abandoned_writes
                .iter()
                .filter(|abandoned_writes| !Arc::ptr_eq(&abandoned_writes.health, live.health()));
            (known.next, others.cloned().collect::<Vec<_>>())
        };
        for mut abandoned_writes in others {
            if abandoned_writes.health.is_lost() || !abandoned_writes.answers().await {
                abandoned_writes.end(live).await?;
            }
            self.settle(&abandoned_writes.health, asked);
        }
        Ok(())
    }
}

impl AbandonedWrite {
    /// Whether the server answers soon. If it does not, the cause may also be a runtime that nobody drives at the moment:
    /// then the connection's task has yet to send what is late.
    async fn answers(&mut self) -> bool {
        let in_vain = async {
            sleep(PATIENCE).await;
            false
        };
        self.connection.answers().or(in_vain).await
    }

    /// Has the server drop a connection that we have dropped, with all that it has not read of it.
    async fn end(&self, live: &Live) -> RedisResult<()> {
        self.health.lose();
        let Some(Identity { number, address }) = &self.identity else { return Ok(()) };
        // By address, too: on another server, somebody else may have the number.
        let mut command = cmd("CLIENT");
        command.arg("KILL").arg("ID").arg(number).arg("ADDR").arg(address);
        let killed = live.connection().ask(&command).await;
        match killed {
            // Whoever may not is told so, and has to do without.
            Err(error) if is_refusal(&error) => Ok(()),
            killed => killed.map(drop),
        }
    }
}

/// Whether the server will never do it: the user may not, or it knows no such command. While it loads its data, or has lost its
/// master, it may do so later.
fn is_refusal(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOPERM" | "ERR"))
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    #[test]
    fn what_a_server_does_not_do_at_the_moment_it_does_not_refuse() {
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
