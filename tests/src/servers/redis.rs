//! Redis: one server, a cluster of six, and a master with a replica and three sentinels.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use cache_request::{backend::RedisBackend, conformance::Harness};
use redis::{Client, Connection, FromRedisValue, Value};

use super::{Server, free_port, run, wait_until};

/// One `redis-server`, that keeps nothing on the disk.
#[derive(Debug)]
pub struct Redis {
    /// Its process.
    pub server: Server,
}

impl Redis {
    /// Starts one with these arguments beside those that every one has.
    #[must_use]
    pub fn start(arguments: &[&str]) -> Self {
        Self { server: Server::start("redis-server", |port, dir| options(port, dir, arguments), answers) }
    }

    /// The one that all tests share that ask for it at the same time. It ends with the last of them.
    #[must_use]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Redis>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        shared.upgrade().unwrap_or_else(|| {
            let redis = Arc::new(Self::start(&[]));
            *shared = Arc::downgrade(&redis);
            redis
        })
    }

    /// Its address.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.server.port)
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.server.dir.path().join("socket")
    }

    /// What it answers to a command.
    ///
    /// # Panics
    ///
    /// If it answers with an error, or with something else.
    pub fn ask<T: FromRedisValue>(&self, command: &[&str]) -> T {
        ask(self.server.port, command).unwrap_or_else(|error| panic!("{command:?}: {error}"))
    }
}

/// What the server at this port answers to a command.
///
/// # Errors
///
/// If there is none, or it answers with an error or something else.
pub fn ask<T: FromRedisValue>(port: u16, command: &[&str]) -> redis::RedisResult<T> {
    let mut connection = connect(port)?;
    redis::cmd(command[0]).arg(&command[1..]).query(&mut connection)
}

fn connect(port: u16) -> redis::RedisResult<Connection> {
    let connection = Client::open(("127.0.0.1", port))?.get_connection_with_timeout(Duration::from_secs(2))?;
    connection.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(connection)
}

fn answers(port: u16, _: &Path) -> bool {
    // A password, a certificate or a lack of replicas are answers as well.
    match ask::<Value>(port, &["PING"]) {
        Ok(_) => true,
        Err(error) => error.code().is_some(),
    }
}

fn options(port: u16, dir: &Path, more: &[&str]) -> Vec<String> {
    let (port, socket) = (port.to_string(), dir.join("socket").display().to_string());
    #[rustfmt::skip]
    let fixed = [
        "--port", &port, "--bind", "127.0.0.1", "--unixsocket", &socket, "--save", "", "--appendonly", "no",
        "--repl-diskless-sync-delay", "0",
    ];
    fixed.iter().chain(more).map(ToString::to_string).collect()
}

/// A namespace for each test of the suite, at one address.
#[derive(Debug)]
pub struct Namespaces<S> {
    url: String,
    /// Kept while the suite runs.
    _servers: S,
}

impl<S> Namespaces<S> {
    /// Of these servers.
    #[must_use]
    pub fn new(servers: S, url: impl FnOnce(&S) -> String) -> Self {
        Self { url: url(&servers), _servers: servers }
    }
}

impl<S: Sync> Harness for Namespaces<S> {
    type Backend = RedisBackend;

    async fn backend(&self) -> RedisBackend {
        static NAMESPACE: AtomicU64 = AtomicU64::new(0);

        let namespace = format!("suite{}", NAMESPACE.fetch_add(1, Ordering::Relaxed));
        RedisBackend::builder(&self.url).namespace(namespace).build().expect("an address")
    }
}

/// A cluster of three masters, each with a replica.
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
}

impl Cluster {
    /// Starts one, and waits until all of its nodes know it whole.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts six processes")]
    pub fn new() -> Self {
        let nodes: Vec<_> = (0..6).map(|_| Self::node()).collect();
        let addresses: Vec<_> = nodes.iter().map(|node| format!("127.0.0.1:{}", node.server.port)).collect();
        let mut arguments = vec!["--cluster", "create"];
        arguments.extend(addresses.iter().map(String::as_str));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"]);
        run("redis-cli", &arguments, nodes[0].server.dir.path());
        let cluster = Self { nodes };
        wait_until("the cluster is whole", || cluster.nodes.iter().all(|node| is_whole(node.server.port)));
        cluster
    }

    fn node() -> Redis {
        let start = |port: u16, dir: &Path| {
            let bus = free_port().to_string();
            #[rustfmt::skip]
            let more = [
                "--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1500",
                "--cluster-config-file", "nodes.conf", "--cluster-require-full-coverage", "no",
            ];
            options(port, dir, &more)
        };
        Redis { server: Server::start("redis-server", start, answers) }
    }

    /// Its address, of two of its nodes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.nodes[0].server.port, self.nodes[4].server.port)
    }

    /// The places of the masters.
    #[must_use]
    pub fn masters(&self) -> Vec<usize> {
        let is_master = |node: &Redis| {
            ask::<Vec<Value>>(node.server.port, &["ROLE"])
                .is_ok_and(|role| role.first() == Some(&Value::BulkString(b"master".to_vec())))
        };
        (0..self.nodes.len()).filter(|place| is_master(&self.nodes[*place])).collect()
    }
}

fn is_whole(port: u16) -> bool {
    let info = ask::<String>(port, &["CLUSTER", "INFO"]).unwrap_or_default();
    let nodes = ask::<String>(port, &["CLUSTER", "NODES"]).unwrap_or_default();
    let role = ask::<Vec<Value>>(port, &["ROLE"]).unwrap_or_default();
    let linked = !matches!(role.first(), Some(Value::BulkString(role)) if role == b"slave")
        || matches!(role.get(3), Some(Value::BulkString(state)) if state == b"connected");
    info.contains("cluster_state:ok")
        && info.contains("cluster_known_nodes:6")
        && nodes.matches("slave").count() == 3
        && linked
}

/// A master, its replica, and three sentinels that watch over them.
#[derive(Debug)]
pub struct Sentinels {
    /// The master as it began, and its replica.
    pub servers: [Redis; 2],
    /// The sentinels.
    pub sentinels: Vec<Server>,
}

impl Sentinels {
    /// Starts them, and waits until all know one another.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts five processes")]
    pub fn new() -> Self {
        let master = Redis::start(&[]);
        let replica = Redis::start(&["--replicaof", "127.0.0.1", &master.server.port.to_string()]);
        let watched = master.server.port;
        wait_until("the replica follows", || {
            ask::<String>(watched, &["INFO", "replication"]).is_ok_and(|info| info.contains("state=online"))
        });
        let sentinels = (0..3).map(|_| {
            let start = |port: u16, dir: &Path| {
                let configuration = format!(
                    "bind 127.0.0.1\nport {port}\nsentinel monitor main 127.0.0.1 {watched} 2\n\
                     sentinel down-after-milliseconds main 1000\nsentinel failover-timeout main 5000\n"
                );
                let file = dir.join("sentinel.conf");
                std::fs::write(&file, configuration).expect("its configuration");
                vec![file.display().to_string()]
            };
            Server::start("redis-sentinel", start, answers)
        });
        let sentinels = Self { sentinels: sentinels.collect(), servers: [master, replica] };
        wait_until("the sentinels know one another", || {
            sentinels.sentinels.iter().all(|sentinel| {
                let state = ask::<Vec<String>>(sentinel.port, &["SENTINEL", "MASTER", "main"]).unwrap_or_default();
                let is = |name: &str, value: &str| state.chunks(2).any(|pair| pair[0] == name && pair[1] == value);
                is("num-other-sentinels", "2") && is("num-slaves", "1") && is("flags", "master")
            })
        });
        sentinels
    }

    /// Their address.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis-sentinel://{}/main", hosts.join(","))
    }

    /// The port of the master that the sentinels name.
    #[must_use]
    pub fn master(&self) -> u16 {
        let ask = |sentinel: &Server| {
            let command = ["SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"];
            ask::<(String, u16)>(sentinel.port, &command).ok().map(|(_, port)| port)
        };
        loop {
            if let Some(port) = self.sentinels.iter().find_map(ask) {
                return port;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}
