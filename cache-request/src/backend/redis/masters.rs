//! Connections to all masters, over which they tell of changes, and checks that these are all masters.
//!
//! A near cache misses no change only if values are read from exactly these masters. So it must be empty while a check fails:
//!
//! - a master does not answer;
//! - the nodes of a cluster do not agree on the owners of the slots. A node that is cut off, or has not yet heard of a change, answers for
//!   slots of another node;
//! - a node of a cluster is another one than before, has lost its slots, or is new to slots. A node that is being given its first slots may
//!   already have keys;
//! - the sentinels name another master, or different ones, or none of them answers. The master itself is not asked: if it is cut off, it
//!   still takes itself for the master.
//!
//! One sentinel that does not answer is no failure if another one does. Before the near cache is filled, connections of calls that may lead
//! to other masters are ended (see `readers`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use futures_lite::future::zip;
use futures_util::future::{join_all, try_join_all};
use redis::{Cmd, ConnectionAddr, ErrorKind, FromRedisValue, RedisError, RedisResult, cmd};
use tokio::time::timeout;

use super::{
    address::Place,
    driver::Pushes,
    health::Health,
    multiplexed::Multiplexed,
    sentinels::Sentinels,
    server::{ANSWER_LIMIT, Server},
    topology::{self, Id, View, cluster_nodes, cluster_slots},
};

/// How to make the connections that tell of changes.
pub(super) struct Tracker<'a> {
    pub(super) server: &'a Server,
    /// The first part of the keys to tell of.
    pub(super) prefix: &'a str,
    pub(super) pushes: Pushes,
    /// Is lost with any of the connections.
    pub(super) health: Arc<Health>,
}

impl Tracker<'_> {
    async fn connect(&self, address: ConnectionAddr) -> RedisResult<Multiplexed> {
        let connection = self.server.connect(address, &self.health, Some(Arc::clone(&self.pushes))).await?;
        let mut command = cmd("CLIENT");
        // With `BCAST`, the server need not remember which client has read which key.
        command.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(self.prefix);
        connection.ask(&command).await?;
        Ok(connection)
    }

    async fn connect_to(&self, host: &str, port: u16) -> RedisResult<Multiplexed> {
        self.connect(self.server.address(host, port)?).await
    }
}

/// Connections to all servers that were masters when they were made, over which those tell of changes.
pub(super) enum Masters {
    One(Multiplexed),
    Cluster(BTreeMap<Id, Multiplexed>),
    Named { at: ConnectionAddr, connection: Multiplexed, sentinels: Sentinels },
}

impl Masters {
    /// Connects to all masters. The caller enforces `limit` for all of it.
    pub(super) async fn connect(tracker: &Tracker<'_>, limit: Duration) -> RedisResult<Self> {
        match tracker.server.place() {
            Place::Host(host, port) => tracker.connect_to(host, *port).await.map(Self::One),
            Place::Socket(path) => tracker.connect(ConnectionAddr::Unix(path.clone())).await.map(Self::One),
            Place::Cluster(nodes) => {
                // Half the time at most, so that some is left if a node does not answer.
                let limit = ANSWER_LIMIT.min(limit / 2);
                let masters = find_masters(tracker.server, nodes, limit).await?;
                let connections = masters.into_iter().map(|(id, (host, port))| async move {
                    tracker.connect_to(&host, port).await.map(|connection| (id, connection))
                });
                Ok(Self::Cluster(try_join_all(connections).await?.into_iter().collect()))
            }
            Place::Sentinels { hosts, master } => {
                let mut sentinels = Sentinels::new(tracker.server, hosts, master)?;
                let at = sentinels.first_named(tracker.server).await?;
                let connection = tracker.connect(at.clone()).await?;
                Ok(Self::Named { at, connection, sentinels })
            }
        }
    }

    /// Checks that these are all masters, and if so ends connections of calls to others. Waits at most `limit` for each server.
    ///
    /// # Errors
    ///
    /// The reason why the near cache must be empty.
    pub(super) async fn check(&mut self, server: &Server, limit: Duration) -> Result<(), String> {
        match self {
            Self::One(connection) => ask(server, connection, cmd("PING"), limit).await,
            Self::Cluster(nodes) => check_nodes(server, nodes, limit).await,
            Self::Named { at, connection, sentinels } => {
                let answer = ask(server, connection, cmd("PING"), limit);
                let (answer, named) = zip(answer, sentinels.all_named(server, limit)).await;
                let () = answer?;
                if named? != *at {
                    return Err("the sentinels name another master".to_owned());
                }
                server.readers().keep_to(at);
                Ok(())
            }
        }
    }
}

async fn check_nodes(server: &Server, nodes: &BTreeMap<Id, Multiplexed>, limit: Duration) -> Result<(), String> {
    let asked = nodes.iter().map(|(id, connection)| async move {
        let answer: String = ask(server, connection, cluster_nodes(), limit).await?;
        match View::parse(&answer) {
            Some(view) if view.myself == *id => Ok(view),
            Some(_) => Err("another node of the cluster answers at a known address"),
            None => Err("a node gives no answer to `CLUSTER NODES`"),
        }
        .map_err(str::to_owned)
    });
    let views = try_join_all(asked).await?;
    let Some(first) = views.first() else { return Err("no node of the cluster has slots".to_owned()) };
    if views.iter().any(|view| view.owners != first.owners) {
        return Err("the cluster's nodes do not agree on who has which slots".to_owned());
    }
    let masters: BTreeSet<_> = first.owners.values().cloned().collect();
    if !masters.iter().eq(nodes.keys()) {
        return Err("the cluster has other masters now".to_owned());
    }
    if views.iter().flat_map(|view| &view.receivers).any(|receiver| !masters.contains(receiver)) {
        return Err("a node of the cluster is being given its first slots".to_owned());
    }
    server.readers().keep_to_all(masters);
    Ok(())
}

async fn ask<T: FromRedisValue>(
    server: &Server,
    connection: &Multiplexed,
    question: Cmd,
    limit: Duration,
) -> Result<T, String> {
    match timeout(limit, connection.ask(&question)).await {
        Ok(answer) => {
            answer.and_then(|answer| Ok(T::from_redis_value(answer)?)).map_err(|error| server.explain(&error))
        }
        Err(_) => Err(format!("the server does not answer within {limit:?}")),
    }
}

/// The addresses of all masters, by all of these nodes that answer.
async fn find_masters(
    server: &Server,
    nodes: &[(String, u16)],
    limit: Duration,
) -> RedisResult<BTreeMap<Id, (String, u16)>> {
    let asked = nodes.iter().map(|(host, port)| {
        let answer = async move {
            let connection = server.connect(server.address(host, *port)?, &Arc::new(Health::new()), None).await?;
            topology::masters(connection.ask(&cluster_slots()).await?, host)
        };
        timeout(limit, answer)
    });
    let unreachable = (ErrorKind::ClusterConnectionNotFound, "no node of the cluster answers");
    let mut all: RedisResult<BTreeMap<_, _>> = Err(RedisError::from(unreachable));
    for answer in join_all(asked).await.into_iter().flatten() {
        match (&mut all, answer) {
            (Ok(masters), Ok(more)) => masters.extend(more),
            (Err(_), answer) => all = answer,
            (Ok(_), Err(_)) => {}
        }
    }
    all
}
