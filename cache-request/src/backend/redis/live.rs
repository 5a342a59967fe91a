//! A connection that is up, and the calls over it.

use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, atomic::AtomicUsize},
};

use redis::{Cmd, ErrorKind, Pipeline, RedisError, RedisResult, ServerErrorKind, Value};

use super::{
    abandoned_writes::AbandonedWrites,
    health::{Health, Unanswered},
    server::{Connection, Identity},
    wire::Stored,
};

/// What all connections of a backend share.
pub(super) struct Shared {
    pub(super) abandoned_writes: AbandonedWrites,
    /// The largest value that the server is believed to take, in bytes.
    pub(super) largest: AtomicUsize,
}

/// A connection that is up, or was a moment ago.
pub(super) struct Live {
    pub(super) connection: Connection,
    pub(super) health: Arc<Health>,
    pub(super) behind_sentinels: bool,
    pub(super) identity: Option<Identity>,
    pub(super) shared: Arc<Shared>,
}

impl Live {
    pub(super) async fn get(&self, key: Stored<'_>) -> RedisResult<Value> {
        self.watched(pin!(self.connection.get(key))).await
    }

    /// Sends a command that changes nothing.
    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        self.watched(pin!(self.connection.ask(command))).await
    }

    /// As [`ask`](Self::ask), for all commands of a pipeline.
    pub(super) async fn ask_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        if pipeline.is_empty() {
            return Ok(Vec::new());
        }
        self.watched(pin!(self.connection.ask_all(pipeline))).await
    }

    /// Sends a command that writes, after the abandoned writes of other connections have ended.
    pub(super) async fn change(&self, command: &Cmd) -> RedisResult<Value> {
        self.wait_for_abandoned_writes().await?;
        let write = Write { live: self };
        let outcome = self.ask(command).await;
        write.end(&outcome);
        outcome
    }

    /// As [`change`](Self::change), for all commands of a pipeline.
    pub(super) async fn change_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        self.wait_for_abandoned_writes().await?;
        let write = Write { live: self };
        let outcome = self.ask_all(pipeline).await;
        write.end(&outcome);
        outcome
    }

    pub(super) async fn wait_for_abandoned_writes(&self) -> RedisResult<()> {
        self.shared.abandoned_writes.wait(&self.connection, &self.health).await
    }

    /// Awaits an answer, and notes if the connection is lost or the call is given up.
    pub(super) async fn watched<T>(&self, asked: Pin<&mut impl Future<Output = RedisResult<T>>>) -> RedisResult<T> {
        let unanswered = Unanswered::new(&self.health);
        let outcome = asked.await;
        unanswered.end();
        if let Err(error) = &outcome {
            if ends_connection(error) {
                self.health.excuse();
            }
            if self.is_lost_with(error) {
                self.health.lose();
            }
        }
        outcome
    }

    fn is_lost_with(&self, error: &RedisError) -> bool {
        if matches!(self.connection, Connection::Cluster(_)) {
            // The client replaces connections to lost nodes. This error means that the client's own task has ended.
            return error.is_io_error() && error.to_string().starts_with("redis_cluster: Unable to");
        }
        // The sentinels have made this master a replica of the new one.
        let replaced = self.behind_sentinels && is_read_only(error);
        error.is_unrecoverable_error() || error.is_io_error() || replaced || ends_connection(error)
    }
}

/// Whether the server closes the connection with this error, because of the command and not of a fault of its own.
fn ends_connection(error: &RedisError) -> bool {
    error.detail().is_some_and(|detail| detail.starts_with("Protocol error"))
}

/// Whether the server is a replica. Before version 7, the error of a script quotes that of its command.
fn is_read_only(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ReadOnly)
        || error.detail().is_some_and(|detail| detail.contains("-READONLY "))
}

/// A write without an answer. To drop it is to abandon the write, which the server may still execute.
struct Write<'a> {
    live: &'a Live,
}

impl Write<'_> {
    /// Without an answer, as the connection was lost, the write is abandoned as well.
    fn end<T>(self, outcome: &RedisResult<T>) {
        if outcome.as_ref().err().is_none_or(|error| error.code().is_some()) {
            mem::forget(self);
        }
    }
}

impl Drop for Write<'_> {
    fn drop(&mut self) {
        // The connections of a cluster's client are not known here.
        if matches!(self.live.connection, Connection::One(_)) {
            let Live { connection, health, identity, shared, .. } = self.live;
            shared.abandoned_writes.note(connection, health, identity.as_ref());
            health.doubt();
        }
    }
}

#[cfg(test)]
mod tests {
    use redis::parse_redis_value;

    #[test]
    fn a_replica_is_told_by_a_command_and_by_a_script() {
        for (answer, is_replica) in [
            ("READONLY You can't write against a read only replica.", true),
            ("READONLY You can't write against a read only replica. script: 2bab3b, on @user_script:12.", true),
            (
                "ERR Error running script (call to f_2bab3b): @user_script:12: @user_script: 12: \
                 -READONLY You can't write against a read only replica.",
                true,
            ),
            ("ERR Error running script (call to f_2bab3b): @user_script:12: WRONGTYPE Operation against a key", false),
            ("OOM command not allowed when used memory > 'maxmemory'.", false),
        ] {
            let answer = parse_redis_value(format!("-{answer}\r\n").as_bytes()).unwrap();
            let error = answer.extract_error().unwrap_err();
            assert_eq!(super::is_read_only(&error), is_replica, "{error}");
        }
    }
}
