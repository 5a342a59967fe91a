//! Connects to one server, a cluster, or the master that sentinels name.

use std::{collections::HashMap, sync::Arc, time::Duration};

use redis::{
    Client, Cmd, ConnectionAddr, ConnectionInfo, ErrorKind, FromRedisValue, IntoConnectionInfo, Pipeline,
    ProtocolVersion, RedisConnectionInfo, RedisError, RedisResult, Value,
    aio::ConnectionLike,
    cluster::{ClusterClient, ClusterClientBuilder},
    cluster_async::ClusterConnection,
    io::tcp::{TcpSettings, socket2::TcpKeepalive},
    sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType},
};

use super::{
    address::{Address, Login, Place},
    driver::Pushes,
    health::Health,
    multiplexed::Multiplexed,
    readers::Readers,
    tls::Tls,
    wire::Stored,
};

/// How long a server may take to answer `PING` before its connection is given up.
pub(super) const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// The most bytes that a cluster's client collects before it writes.
const GATHERED_BYTES: usize = 64 << 10;

/// The server or servers to connect to. It has no `Debug`, so that no password is shown.
#[derive(Clone)]
pub(super) struct Server {
    place: Place,
    tls: Option<Tls>,
    at: RedisConnectionInfo,
    sentinel_login: Login,
    readers: Arc<Readers>,
}

impl Server {
    pub(super) fn new(address: Address, sentinel_login: Login, tls: Option<Tls>) -> Self {
        let Address { login, place, database } = address;
        let at = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_db(database.unwrap_or(0))
            .set_lib_name("cache-request", env!("CARGO_PKG_VERSION"));
        Self { place, tls, at: with_login(at, &login), sentinel_login, readers: Arc::default() }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.place, Place::Cluster(_))
    }

    /// Address and login, if it is one server without encryption.
    pub(super) fn plain(&self) -> Option<ConnectionInfo> {
        let address = match &self.place {
            Place::Host(host, port) if self.tls.is_none() => ConnectionAddr::Tcp(host.clone(), *port),
            Place::Socket(path) => ConnectionAddr::Unix(path.clone()),
            Place::Host(..) | Place::Cluster(_) | Place::Sentinels { .. } => return None,
        };
        info(address, &self.at).ok()
    }

    pub(super) fn is_behind_sentinels(&self) -> bool {
        matches!(self.place, Place::Sentinels { .. })
    }

    pub(super) fn readers(&self) -> &Readers {
        &self.readers
    }

    pub(super) fn address(&self, host: &str, port: u16) -> RedisResult<ConnectionAddr> {
        address(host, port, self.tls.as_ref())
    }

    /// Connects to one of its servers. `pushes` is called for each push message; for that the server must speak RESP3.
    pub(super) async fn connect(
        &self,
        address: ConnectionAddr,
        health: &Arc<Health>,
        pushes: Option<Pushes>,
    ) -> RedisResult<Multiplexed> {
        Multiplexed::connect(&Client::open(info(address, &self.at)?)?, health, pushes).await
    }

    /// Connects to one of its sentinels.
    pub(super) async fn connect_to_sentinel(&self, address: ConnectionAddr) -> RedisResult<Multiplexed> {
        let at = with_login(RedisConnectionInfo::default().set_protocol(ProtocolVersion::RESP2), &self.sentinel_login);
        Multiplexed::connect(&Client::open(info(address, &at)?)?, &Arc::new(Health::new()), None).await
    }

    /// The text of an error, without passwords.
    pub(super) fn explain(&self, error: &RedisError) -> String {
        if error.kind() == ErrorKind::AuthenticationFailed {
            return "the server refuses the user or the password".to_owned();
        }
        let mut text = match (error.code(), error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            _ => error.to_string(),
        };
        // A server quotes a command that it does not know, which may be `AUTH` or `HELLO` with a password.
        if let Some(quoted) = text.find(", with args beginning with") {
            text.truncate(quoted);
        }
        for password in [self.at.password(), self.sentinel_login.password.as_deref()].into_iter().flatten() {
            if text.contains(password) {
                return format!("{:?}", error.kind());
            }
        }
        text
    }
}

/// Connects for one link.
pub(super) struct Connector {
    server: Server,
    /// It keeps connections to the sentinels.
    sentinels: Option<SentinelClient>,
}

impl Connector {
    pub(super) fn new(server: Server) -> Self {
        Self { server, sentinels: None }
    }

    pub(super) fn server(&self) -> &Server {
        &self.server
    }

    /// Tries to connect once. The caller limits the time.
    pub(super) async fn connect(&mut self, health: &Arc<Health>) -> RedisResult<Connection> {
        let outcome = self.try_to_connect(health).await;
        match outcome {
            Err(error) if self.server.at.protocol() != ProtocolVersion::RESP2 && speaks_only_resp2(&error) => {
                // An old server or a proxy. It gets RESP2 from now on.
                self.server.at = self.server.at.clone().set_protocol(ProtocolVersion::RESP2);
                self.sentinels = None;
                self.try_to_connect(health).await
            }
            outcome => outcome,
        }
    }

    async fn try_to_connect(&mut self, health: &Arc<Health>) -> RedisResult<Connection> {
        let Server { place, tls, at, sentinel_login, readers } = &self.server;
        match place {
            Place::Host(host, port) => {
                self.server.connect(self.server.address(host, *port)?, health, None).await.map(Connection::One)
            }
            Place::Socket(path) => {
                let address = ConnectionAddr::Unix(path.clone());
                self.server.connect(address, health, None).await.map(Connection::One)
            }
            Place::Cluster(hosts) => {
                let client = cluster(hosts, at, tls.as_ref())?;
                readers.note(None, health);
                client.get_async_connection().await.map(Connection::Cluster)
            }
            Place::Sentinels { hosts, master } => {
                let sentinels = match &mut self.sentinels {
                    Some(sentinels) => sentinels,
                    none => none.insert(sentinel(hosts, master, at, sentinel_login, tls.as_ref())?),
                };
                let client = sentinels.async_get_client().await?;
                readers.note(Some(client.get_connection_info().addr()), health);
                Multiplexed::connect(&client, health, None).await.map(Connection::One)
            }
        }
    }
}

fn cluster(hosts: &[(String, u16)], at: &RedisConnectionInfo, tls: Option<&Tls>) -> RedisResult<ClusterClient> {
    let nodes =
        hosts.iter().map(|(host, port)| info(address(host, *port, tls)?, at)).collect::<RedisResult<Vec<_>>>()?;
    let mut builder = ClusterClientBuilder::new(nodes)
        .use_protocol(at.protocol())
        .connection_timeout(ANSWER_LIMIT)
        .response_timeout(ANSWER_LIMIT)
        .overall_response_timeout(None)
        .tcp_settings(tcp())
        .write_backpressure_boundary(GATHERED_BYTES)
        // Redirections count as retries. The soft limit ends the wait of a call.
        .retries(4)
        .retry_wait_formula(10, 2)
        .min_retry_wait(5)
        .max_retry_wait(80);
    if let Some(tls) = tls {
        builder = tls.of_cluster(builder);
    }
    builder.build()
}

fn sentinel(
    hosts: &[(String, u16)],
    master: &str,
    at: &RedisConnectionInfo,
    login: &Login,
    tls: Option<&Tls>,
) -> RedisResult<SentinelClient> {
    let addresses = hosts.iter().map(|(host, port)| address(host, *port, tls)).collect::<RedisResult<Vec<_>>>()?;
    let mut builder = SentinelClientBuilder::new(addresses, master, SentinelServerType::Master)?
        .set_client_to_redis_db(at.db())
        .set_client_to_redis_protocol(at.protocol())
        .set_client_to_redis_tcp_settings(tcp())
        .set_client_to_sentinel_tcp_settings(tcp());
    if let Some(user) = at.username() {
        builder = builder.set_client_to_redis_username(user);
    }
    if let Some(password) = at.password() {
        builder = builder.set_client_to_redis_password(password);
    }
    if let Some(user) = &login.user {
        builder = builder.set_client_to_sentinel_username(user);
    }
    if let Some(password) = &login.password {
        builder = builder.set_client_to_sentinel_password(password);
    }
    if let Some(tls) = tls {
        builder = tls.of_sentinel(builder);
    }
    builder.build()
}

fn address(host: &str, port: u16, tls: Option<&Tls>) -> RedisResult<ConnectionAddr> {
    match tls {
        Some(tls) => tls.address(host, port),
        None => Ok(ConnectionAddr::Tcp(host.to_owned(), port)),
    }
}

fn info(address: ConnectionAddr, at: &RedisConnectionInfo) -> RedisResult<ConnectionInfo> {
    Ok(address.into_connection_info()?.set_redis_settings(at.clone()).set_tcp_settings(tcp()))
}

/// Sends each packet at once, and detects a peer that has vanished, even while the connection is unused.
fn tcp() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(Duration::from_secs(15));
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(Duration::from_secs(10));
    settings
}

fn with_login(mut at: RedisConnectionInfo, login: &Login) -> RedisConnectionInfo {
    if let Some(user) = &login.user {
        at = at.set_username(user);
    }
    if let Some(password) = &login.password {
        at = at.set_password(password);
    }
    at
}

/// Whether the server does not know `HELLO`. Some servers and proxies answer with errors of their own.
fn speaks_only_resp2(error: &RedisError) -> bool {
    error.kind() == ErrorKind::RESP3NotSupported || matches!(error.code(), Some("ERR" | "NOPROTO"))
}

/// What a server tells about itself and a new connection, as far as the user has the permission to ask.
#[derive(Default)]
pub(super) struct Greeting {
    pub(super) identity: Option<Identity>,
    /// The largest value that it takes, in bytes.
    pub(super) largest: Option<usize>,
}

/// How a server identifies a connection.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) number: String,
    pub(super) address: String,
}

/// A connection that all callers of one runtime share.
#[derive(Clone)]
pub(super) enum Connection {
    One(Multiplexed),
    Cluster(ClusterConnection),
}

impl Connection {
    pub(super) async fn get(&self, key: Stored<'_>) -> RedisResult<Value> {
        match self {
            Self::One(connection) => connection.get(key).await,
            Self::Cluster(_) => self.ask(&key.get()).await,
        }
    }

    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => connection.ask(command).await,
            Self::Cluster(connection) => command.query_async(&mut connection.clone()).await,
        }
    }

    /// One answer for each command of the pipeline, which may be an error. In a cluster, all commands must be about one slot.
    pub(super) async fn ask_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Self::One(connection) => connection.ask_all(pipeline).await,
            Self::Cluster(connection) => connection.clone().req_packed_commands(pipeline, 0, pipeline.len()).await,
        }
    }

    /// Asks the server about itself and this connection. A cluster is not asked.
    pub(super) async fn greet(&self) -> RedisResult<Greeting> {
        let Self::One(connection) = self else { return Ok(Greeting::default()) };
        let mut pipeline = Pipeline::with_capacity(2);
        pipeline.cmd("CLIENT").arg("INFO").cmd("CONFIG").arg("GET").arg("proto-max-bulk-len");
        let mut told = connection.ask_all(&pipeline).await?.into_iter();
        let mut next = || told.next().unwrap_or(Value::Nil);
        let about_us = String::from_redis_value(next()).unwrap_or_default();
        let limits = HashMap::<String, usize>::from_redis_value(next()).unwrap_or_default();
        let field = |name| about_us.split_whitespace().find_map(|field| field.strip_prefix(name)).map(str::to_owned);
        Ok(Greeting {
            identity: field("id=").zip(field("addr=")).map(|(number, address)| Identity { number, address }),
            largest: limits.into_values().next(),
        })
    }

    /// Whether the server answers `PING`, with `PONG` or with an error such as a missing permission.
    pub(super) async fn answers(&self) -> bool {
        match self {
            Self::One(connection) => match connection.ask(&redis::cmd("PING")).await {
                Ok(answer) => answer == Value::SimpleString("PONG".to_owned()),
                Err(error) => error.code().is_some(),
            },
            // The client watches the connections to the nodes by itself.
            Self::Cluster(_) => true,
        }
    }
}
