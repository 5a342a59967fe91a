//! A connection to one server that all callers share.

use std::{io, net::SocketAddr, sync::Arc};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionAddr, Pipeline, ProtocolVersion, PushInfo, PushKind,
    RedisConnectionInfo, RedisResult, Value,
    aio::{AsyncStream, MultiplexedConnection, SendError},
    io::tcp::{TcpSettings, socket2::SockRef},
};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
};

use super::{
    driver::{Driver, Pushes, Socket},
    health::Health,
    queue::{Commands, Queue},
    wire::Stored,
};

/// The most commands in the queue of an encrypted connection. Further callers wait.
const QUEUE: usize = 1024;

/// The most bytes that an encrypted connection collects before it writes.
const GATHERED_BYTES: usize = 64 << 10;

/// A connection to one server. It ends with the last of its clones.
#[derive(Clone)]
pub(super) enum Multiplexed {
    Plain {
        queue: Arc<Queue>,
        _driver: Arc<JoinSet<()>>,
    },
    /// The client encrypts, and drives it by itself.
    Encrypted(MultiplexedConnection),
}

impl Multiplexed {
    /// Connects. `health` is lost with the connection, and `pushes` is called for each push message: for that the server must speak RESP3.
    pub(super) async fn connect(client: &Client, health: &Arc<Health>, pushes: Option<Pushes>) -> RedisResult<Self> {
        if let Some(socket) = open(client).await? {
            let queue = Arc::default();
            let mut driver = JoinSet::new();
            driver.spawn(Driver::new(socket, Arc::clone(&queue), Arc::clone(health), pushes).run());
            return Ok(Self::Plain { queue, _driver: Arc::new(driver) });
        }
        let mut config = unlimited().set_pipeline_buffer_size(QUEUE).set_write_backpressure_boundary(GATHERED_BYTES);
        if client.get_connection_info().redis_settings().protocol() == ProtocolVersion::RESP3 {
            // The loss of an unused connection is noticed as well.
            let health = Arc::clone(health);
            config = config.set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    health.lose();
                }
                if let Some(pushes) = &pushes {
                    pushes(&push);
                }
                Ok::<_, SendError>(())
            });
        }
        client.get_multiplexed_async_connection_with_config(&config).await.map(Self::Encrypted)
    }

    pub(super) async fn get(&self, key: Stored<'_>) -> RedisResult<Value> {
        match self {
            Self::Plain { queue, .. } => queue.ask(1, |commands| key.write_get(commands.end())).await?.extract_error(),
            Self::Encrypted(_) => self.ask(&key.get()).await,
        }
    }

    pub(super) async fn ask(&self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::Plain { queue, .. } => queue.ask(1, append(command.get_packed_command())).await?,
            Self::Encrypted(connection) => connection.clone().send_packed_command(command).await?,
        }
        .extract_error()
    }

    /// One answer for each command of the pipeline, which may be an error.
    pub(super) async fn ask_all(&self, pipeline: &Pipeline) -> RedisResult<Vec<Value>> {
        let queue = match self {
            Self::Plain { queue, .. } => queue,
            Self::Encrypted(connection) => {
                return connection.clone().send_packed_commands(pipeline, 0, pipeline.len()).await;
            }
        };
        match pipeline.len() {
            0 => Ok(Vec::new()),
            1 => queue.ask(1, append(pipeline.get_packed_pipeline())).await.map(|answer| vec![answer]),
            several => match queue.ask(several, append(pipeline.get_packed_pipeline())).await? {
                Value::Array(answers) => Ok(answers),
                _ => Ok(Vec::new()),
            },
        }
    }
}

fn append(commands: Vec<u8>) -> impl FnOnce(&mut Commands) + Unpin {
    |all| all.append(commands)
}

/// The soft limit limits commands, and the caller limits the time to connect.
fn unlimited() -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None)
}

/// Connects and logs in without encryption. `None` if the address needs encryption.
async fn open(client: &Client) -> RedisResult<Option<Socket>> {
    let info = client.get_connection_info();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let socket = tcp(host, *port, info.tcp_settings()).await?.into_std()?;
            log_in(info.redis_settings(), TcpStream::from_std(socket.try_clone()?)?).await?;
            Ok(Some(Box::pin(TcpStream::from_std(socket)?)))
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            use tokio::net::UnixStream;

            let socket = UnixStream::connect(path).await?.into_std()?;
            log_in(info.redis_settings(), UnixStream::from_std(socket.try_clone()?)?).await?;
            Ok(Some(Box::pin(UnixStream::from_std(socket)?)))
        }
        _ => Ok(None),
    }
}

/// Sends the commands that a connection begins with. The client does that, with its own handle of the socket, which it closes.
async fn log_in(settings: &RedisConnectionInfo, socket: impl AsyncStream + Send + Unpin + 'static) -> RedisResult<()> {
    MultiplexedConnection::new_with_config(settings, socket, unlimited()).await.map(drop)
}

/// Connects to the first of the host's addresses that answers.
async fn tcp(host: &str, port: u16, settings: &TcpSettings) -> io::Result<TcpStream> {
    let addresses: Vec<SocketAddr> = lookup_host((host, port)).await?.collect();
    if addresses.is_empty() {
        return Err(io::Error::new(io::ErrorKind::NotFound, "the host has no address"));
    }
    let (stream, _) = select_ok(addresses.into_iter().map(|address| Box::pin(TcpStream::connect(address)))).await?;
    configure(&SockRef::from(&stream), settings)?;
    Ok(stream)
}

pub(super) fn configure(socket: &SockRef<'_>, settings: &TcpSettings) -> io::Result<()> {
    socket.set_tcp_nodelay(settings.nodelay())?;
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(())
}
