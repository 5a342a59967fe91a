//! A connection to one server that all callers share, and the task that drives it.
//!
//! The client's task writes all queued commands when it runs, and tokio runs a task that was just woken before tasks that were ready
//! earlier. So when many callers are ready at once, the command of the first one would be written alone, with a system call and a packet of
//! its own. Our task yields once each time it is woken, and so writes the commands of all ready callers together.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    task::Poll,
};

use futures_util::future::select_ok;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, RedisResult,
    aio::{AsyncStream, MultiplexedConnection},
    io::tcp::{TcpSettings, socket2::SockRef},
};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
};

/// A connection to one server. It ends with the last of its clones.
#[derive(Clone)]
pub(super) struct Multiplexed {
    connection: MultiplexedConnection,
    /// Drives the connection. Empty for an encrypted one, which the client drives by itself.
    _driver: Arc<JoinSet<()>>,
}

impl Multiplexed {
    pub(super) async fn connect(client: &Client, config: AsyncConnectionConfig) -> RedisResult<Self> {
        if let Some((connection, driver)) = open(client, config.clone()).await? {
            let mut task = JoinSet::new();
            task.spawn(after_others(driver));
            return Ok(Self { connection, _driver: Arc::new(task) });
        }
        let connection = client.get_multiplexed_async_connection_with_config(&config).await?;
        Ok(Self { connection, _driver: Arc::default() })
    }

    /// A handle that sends commands. It works as long as a clone of `self` exists.
    pub(super) fn sender(&self) -> MultiplexedConnection {
        self.connection.clone()
    }
}

/// The future that writes and reads.
type Driver = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Connects without encryption. `None` if the address needs encryption.
async fn open(client: &Client, config: AsyncConnectionConfig) -> RedisResult<Option<(MultiplexedConnection, Driver)>> {
    let info = client.get_connection_info();
    let stream: Pin<Box<dyn AsyncStream + Send + Sync>> = match info.addr() {
        ConnectionAddr::Tcp(host, port) => Box::pin(tcp(host, *port, info.tcp_settings()).await?),
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => Box::pin(tokio::net::UnixStream::connect(path).await?),
        _ => return Ok(None),
    };
    let (connection, driver) = MultiplexedConnection::new_with_config(info.redis_settings(), stream, config).await?;
    Ok(Some((connection, Box::pin(driver))))
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

/// Runs `driver`, and each time it is woken lets all ready tasks run first.
async fn after_others(driver: impl Future<Output = ()>) {
    let mut driver = pin!(driver);
    let mut others_have_run = true;
    poll_fn(|context| {
        others_have_run = !others_have_run;
        if others_have_run {
            return driver.as_mut().poll(context);
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

#[cfg(test)]
mod tests {
    use tokio::{
        runtime::Builder,
        sync::{mpsc, oneshot},
    };

    use super::*;

    /// In a runtime with several threads, a task that was just woken runs before tasks that were ready earlier.
    #[test]
    fn all_ready_callers_are_served_at_once() {
        let runtime = Builder::new_multi_thread().worker_threads(1).build().unwrap();
        let rounds = runtime.block_on(async {
            let (ask, mut asked) = mpsc::unbounded_channel::<oneshot::Sender<()>>();
            let driver = tokio::spawn(async move {
                let mut rounds = 0;
                let serve = async {
                    let mut round = Vec::new();
                    while asked.recv_many(&mut round, usize::MAX).await > 0 {
                        rounds += 1;
                        round.drain(..).for_each(|answer| answer.send(()).unwrap());
                    }
                };
                after_others(serve).await;
                rounds
            });
            let asking = ask.clone();
            let caller = move || {
                let ask = asking.clone();
                async move {
                    for _ in 0..10 {
                        let (answer, answered) = oneshot::channel();
                        ask.send(answer).unwrap();
                        answered.await.unwrap();
                    }
                }
            };
            let all = async move { (0..100).map(|_| tokio::spawn(caller())).collect::<Vec<_>>() };
            let callers = tokio::spawn(all).await.unwrap();
            for caller in callers {
                caller.await.unwrap();
            }
            drop(ask);
            driver.await.unwrap()
        });
        assert!(rounds < 20, "{rounds} rounds for 1000 questions");
    }
}
