//! The servers that have keys, each of which tells of changes over a connection of its own, and whether those are all.
//!
//! No change may be missed only as long as each server that a value may be read from, and none but those, is one of them. So
//! each of these is a doubt, for which nothing may be in front:
//!
//! - one of them does not answer;
//! - of a cluster, they do not all see the same: whose each slot is. Where a node was cut off from the others, or has yet to
//!   hear of a change, it answers for slots that are another one's;
//! - of a cluster, one of them is another node than it was taken for, or has no slots any more, or another one has some, or is
//!   being given its first, keys of which it may have already;
//! - the sentinels name another master, or different ones, or none of them answers. The master is not asked: one that was cut
//!   off from them takes itself for it.
//!
//! That one sentinel does not answer is none, as long as another one does. Before anything is in front, connections of calls that
//! may lead to other masters are ended (`readers`).

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
    health::Health,
    multiplexed::Multiplexed,
    sentinels::Sentinels,
    server::{ANSWER_LIMIT, Pushes, Server},
    topology::{self, Id, View, cluster_nodes, cluster_slots},
};

/// How connections are made that tell of changes.
pub(super) struct Tracker<'a> {
    pub(super) server: &'a Server,
    /// Of the keys to tell of.
    pub(super) prefix: &'a str,
    pub(super) pushes: Pushes,
    /// Hears of the loss of any of them.
    pub(super) health: Arc<Health>,
}

impl Tracker<'_> {
    async fn connect(&self, address: ConnectionAddr) -> RedisResult<Multiplexed> {
        let connection = self.server.connect(address, &self.health, Some(Arc::clone(&self.pushes))).await?;
        let mut command = cmd("CLIENT");
        // `BCAST`: the server need not remember who has read what.
        command.arg("TRACKING").arg("ON").arg("BCAST").arg("PREFIX").arg(self.prefix);
        command.query_async::<()>(&mut connection.sender()).await?;
        Ok(connection)
    }

    async fn connect_to(&self, host: &str, port: u16) -> RedisResult<Multiplexed> {
        self.connect(self.server.address(host, port)?).await
    }
}

/// Connections that tell of changes, to all servers that had keys when somebody was asked.
pub(super) enum Masters {
    One(Multiplexed),
    Cluster(BTreeMap<Id, Multiplexed>),
    Named { at: ConnectionAddr, connection: Multiplexed, sentinels: Sentinels },
}

impl Masters {
    /// `limit` is for all of it. Whoever calls this sees to that.
    pub(super) async fn connect(tracker: &Tracker<'_>, limit: Duration) -> RedisResult<Self> {
        match tracker.server.place() {
            Place::Host(host, port) => tracker.connect_to(host, *port).await.map(Self::One),
            Place::Socket(path) => tracker.connect(ConnectionAddr::Unix(path.clone())).await.map(Self::One),
            Place::Cluster(nodes) => {
                // So that there is time left if one of them says nothing.
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

    /// What speaks against it that they are all. Nobody is waited for longer than `limit`. If nothing does, none but these are
    /// read from.
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
            Some(_) => Err("another node of the cluster answers than was meant to"),
            None => Err("a node does not say what it knows of its cluster"),
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
    if views.iter().flat_map(|view| &view.heirs).any(|heir| !masters.contains(heir)) {
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
    match timeout(limit, question.query_async(&mut connection.sender())).await {
        Ok(answer) => answer.map_err(|error| server.explain(&error)),
        Err(_) => Err(format!("the server does not answer within {limit:?}")),
    }
}

/// All masters that any of these nodes knows, and where they are. One that is down knows nothing.
async fn find_masters(
    server: &Server,
    nodes: &[(String, u16)],
    limit: Duration,
) -> RedisResult<BTreeMap<Id, (String, u16)>> {
    let asked = nodes.iter().map(|(host, port)| {
        let answer = async move {
            let connection = server.connect(server.address(host, *port)?, &Arc::new(Health::new()), None).await?;
            topology::masters(cluster_slots().query_async(&mut connection.sender()).await?, host)
        };
        timeout(limit, answer)
    });
    let nobody = (ErrorKind::ClusterConnectionNotFound, "no node of the cluster answers");
    let mut all: RedisResult<BTreeMap<_, _>> = Err(RedisError::from(nobody));
    for answer in join_all(asked).await.into_iter().flatten() {
        match (&mut all, answer) {
            (Ok(masters), Ok(more)) => masters.extend(more),
            (Err(_), answer) => all = answer,
            (Ok(_), Err(_)) => {}
        }
    }
    all
}
