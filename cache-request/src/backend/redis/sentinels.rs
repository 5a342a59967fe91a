//! Asks the sentinels for the master.

use std::time::Duration;

use futures_util::future::{join_all, select_ok};
use redis::{ConnectionAddr, ErrorKind, FromRedisValue, RedisResult, cmd};
use tokio::time::timeout;

use super::{multiplexed::Multiplexed, server::Server};

/// The sentinels of one address, each with a connection of its own.
pub(super) struct Sentinels {
    sentinels: Vec<Sentinel>,
    /// The name under which they know the master.
    master: String,
}

struct Sentinel {
    address: ConnectionAddr,
    connection: Option<Multiplexed>,
}

impl Sentinels {
    pub(super) fn new(server: &Server, hosts: &[(String, u16)], master: &str) -> RedisResult<Self> {
        let sentinel = |(host, port): &(String, u16)| {
            server.address(host, *port).map(|address| Sentinel { address, connection: None })
        };
        let sentinels = hosts.iter().map(sentinel).collect::<RedisResult<_>>()?;
        Ok(Self { sentinels, master: master.to_owned() })
    }

    /// The address of the master, by the first sentinel that answers.
    pub(super) async fn first_named(&mut self, server: &Server) -> RedisResult<ConnectionAddr> {
        let Self { sentinels, master } = self;
        let asked = sentinels.iter_mut().map(|sentinel| Box::pin(sentinel.ask(server, master)));
        select_ok(asked).await.map(|(named, _)| named)
    }

    /// The address of the master, by all sentinels that answer within `limit`. Fails if none answers or they differ.
    pub(super) async fn all_named(&mut self, server: &Server, limit: Duration) -> Result<ConnectionAddr, String> {
        let Self { sentinels, master } = self;
        let asked = sentinels.iter_mut().map(|sentinel| timeout(limit, sentinel.ask(server, master)));
        let mut named = None;
        let mut why = format!("no sentinel answers within {limit:?}");
        for answer in join_all(asked).await {
            match answer {
                Ok(Ok(master)) if named.get_or_insert_with(|| master.clone()) != &master => {
                    return Err("the sentinels name different masters".to_owned());
                }
                Ok(Ok(_)) | Err(_) => {}
                Ok(Err(error)) => why = format!("no sentinel names the master: {}", server.explain(&error)),
            }
        }
        named.ok_or(why)
    }
}

impl Sentinel {
    async fn ask(&mut self, server: &Server, master: &str) -> RedisResult<ConnectionAddr> {
        let mut question = cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(master);
        let kept = match &self.connection {
            // It may be closed by now.
            Some(connection) => connection.ask(&question).await.ok(),
            None => None,
        };
        let named = match kept {
            Some(named) => named,
            None => {
                let connection = server.connect_to_sentinel(self.address.clone()).await?;
                self.connection.insert(connection).ask(&question).await?
            }
        };
        let named = Option::<(String, u16)>::from_redis_value(named)?;
        let unknown = (ErrorKind::MasterNameNotFoundBySentinel, "a sentinel knows no such master");
        let (host, port) = named.ok_or(unknown)?;
        server.address(&host, port)
    }
}
