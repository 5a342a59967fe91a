//! Redis: one server, a cluster of six, and a master with a replica and three sentinels.

use std::{
    cell::Cell,
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

use crate::certificates::Certificates;

use super::{PATIENCE, Server, free_port, run, wait_until};

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

    /// How many connections there have been, also that of each [`ask`](Self::ask).
    ///
    /// # Panics
    ///
    /// If it does not say.
    #[must_use]
    pub fn connections_received(&self) -> u64 {
        let info: String = self.ask(&["INFO", "stats"]);
        let line = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
        line.expect("it counts them").trim().parse().expect("a number")
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
    let connection = Client::open(("127.0.0.1", port))?.get_connection_with_timeout(PATIENCE)?;
    connection.set_read_timeout(Some(PATIENCE))?;
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

/// The arguments of a server that also listens at a port for those who encrypt, and that encrypts what it tells its like.
#[must_use]
pub fn encrypted(certificates: &Certificates, port: u16) -> Vec<String> {
    let file = |path: PathBuf| path.display().to_string();
    let files = [file(certificates.certificate()), file(certificates.key()), file(certificates.authority())];
    let port = port.to_string();
    #[rustfmt::skip]
    let arguments = [
        "--tls-port", &port, "--tls-cert-file", &files[0], "--tls-key-file", &files[1], "--tls-ca-cert-file", &files[2],
        "--tls-auth-clients", "no", "--tls-replication", "yes",
    ];
    arguments.map(str::to_owned).into()
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
///
/// No master is taken for lost because the machine is slow: see [`replaces_soon`](Self::replaces_soon).
#[derive(Debug)]
pub struct Cluster {
    /// Its nodes.
    pub nodes: Vec<Redis>,
    /// Where clients find them.
    ports: Vec<u16>,
}

impl Cluster {
    /// Starts one, and waits until all of its nodes know it whole.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts six processes")]
    pub fn new() -> Self {
        Self::start(None)
    }

    /// Starts one whose nodes encrypt what they say to one another, and to clients.
    #[must_use]
    pub fn encrypted(certificates: &Certificates) -> Self {
        Self::start(Some(certificates))
    }

    fn start(certificates: Option<&Certificates>) -> Self {
        let (nodes, ports): (Vec<_>, Vec<_>) = (0..6).map(|_| Self::node(certificates)).unzip();
        let mut arguments = vec!["--cluster".to_owned(), "create".to_owned()];
        arguments.extend(ports.iter().map(|port| format!("127.0.0.1:{port}")));
        arguments.extend(["--cluster-replicas", "1", "--cluster-yes"].map(str::to_owned));
        if let Some(certificates) = certificates {
            let authority = certificates.authority().display().to_string();
            arguments.extend(["--tls".to_owned(), "--cacert".to_owned(), authority]);
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        run("redis-cli", &arguments, nodes[0].server.dir.path());
        let cluster = Self { nodes, ports };
        wait_until("the cluster is whole", || cluster.nodes.iter().all(|node| is_whole(node.server.port)));
        cluster.takes_for_lost_after("600000");
        cluster
    }

    /// From now on, a master that does not answer is replaced. To be called just before one is killed or stopped.
    pub fn replaces_soon(&self) {
        self.takes_for_lost_after("1500");
    }

    fn takes_for_lost_after(&self, milliseconds: &str) {
        for node in &self.nodes {
            node.ask::<()>(&["CONFIG", "SET", "cluster-node-timeout", milliseconds]);
        }
    }

    /// A node, and where clients find it.
    fn node(certificates: Option<&Certificates>) -> (Redis, u16) {
        let client_port = Cell::new(0);
        let start = |port: u16, dir: &Path| {
            let bus = free_port().to_string();
            #[rustfmt::skip]
            let more = [
                "--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "1500",
                "--cluster-config-file", "nodes.conf", "--cluster-require-full-coverage", "no",
            ];
            let mut arguments = options(port, dir, &more);
            client_port.set(port);
            if let Some(certificates) = certificates {
                client_port.set(free_port());
                arguments.extend(encrypted(certificates, client_port.get()));
                arguments.extend(["--tls-cluster", "yes"].map(str::to_owned));
            }
            arguments
        };
        let node = Redis { server: Server::start("redis-server", start, answers) };
        (node, client_port.get())
    }

    /// Adds a master that has no slots, and waits until all know it. It is the last of the nodes.
    pub fn add_master(&mut self) {
        let (node, port) = Self::node(None);
        let [new, known] = [port, self.ports[0]].map(|port| format!("127.0.0.1:{port}"));
        run("redis-cli", &["--cluster", "add-node", &new, &known], node.server.dir.path());
        self.nodes.push(node);
        self.ports.push(port);
        let all = format!("cluster_known_nodes:{}", self.nodes.len());
        let is_whole = |node: &Redis| {
            let info: String = node.ask(&["CLUSTER", "INFO"]);
            info.contains("cluster_state:ok") && info.contains(&all)
        };
        wait_until("all know it, and it them", || self.nodes.iter().all(is_whole));
    }

    /// Its address, of two of its nodes.
    #[must_use]
    pub fn url(&self) -> String {
        format!("redis-cluster://127.0.0.1:{},127.0.0.1:{}", self.ports[0], self.ports[4])
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
///
/// No server is taken for lost because the machine is slow: see [`replaces_soon`](Self::replaces_soon).
#[derive(Debug)]
pub struct Sentinels {
    /// The master as it began, and its replica.
    pub servers: [Redis; 2],
    /// The sentinels.
    pub sentinels: Vec<Server>,
    /// Where clients find those.
    ports: Vec<u16>,
}

impl Sentinels {
    /// Starts them, and waits until all know one another.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it starts five processes")]
    pub fn new() -> Self {
        Self::start(None)
    }

    /// Starts those that encrypt what they say to one another, and to clients.
    #[must_use]
    pub fn encrypted(certificates: &Certificates) -> Self {
        Self::start(Some(certificates))
    }

    fn start(certificates: Option<&Certificates>) -> Self {
        // Where it also listens, and its arguments for that.
        let place = || match certificates.map(|certificates| (certificates, free_port())) {
            Some((certificates, port)) => (Some(port), encrypted(certificates, port)),
            None => (None, Vec::new()),
        };
        let server = |more: &[&str]| {
            let (port, arguments) = place();
            let all: Vec<_> = arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
            let redis = Redis::start(&all);
            let port = port.unwrap_or(redis.server.port);
            (redis, port)
        };
        let (master, watched) = server(&[]);
        let (replica, _) = server(&["--replicaof", "127.0.0.1", &watched.to_string()]);
        wait_until("the replica follows", || {
            ask::<String>(master.server.port, &["INFO", "replication"]).is_ok_and(|info| info.contains("state=online"))
        });
        let (sentinels, ports) = (0..3)
            .map(|_| {
                let client_port = Cell::new(0);
                let start = |port: u16, dir: &Path| {
                    let (also, more) = place();
                    client_port.set(also.unwrap_or(port));
                    let configuration = format!(
                        "bind 127.0.0.1\nport {port}\nsentinel monitor main 127.0.0.1 {watched} 2\n\
                         sentinel down-after-milliseconds main 600000\nsentinel failover-timeout main 120000\n"
                    );
                    let file = dir.join("sentinel.conf");
                    std::fs::write(&file, configuration).expect("its configuration");
                    [file.display().to_string()].into_iter().chain(more).collect()
                };
                let sentinel = Server::start("redis-sentinel", start, answers);
                (sentinel, client_port.get())
            })
            .unzip();
        let sentinels = Self { sentinels, ports, servers: [master, replica] };
        wait_until("the sentinels know one another", || {
            sentinels.sentinels.iter().all(|sentinel| {
                let state = ask::<Vec<String>>(sentinel.port, &["SENTINEL", "MASTER", "main"]).unwrap_or_default();
                let is = |name: &str, value: &str| state.chunks(2).any(|pair| pair[0] == name && pair[1] == value);
                is("num-other-sentinels", "2") && is("num-slaves", "1") && is("flags", "master")
            })
        });
        sentinels
    }

    /// From now on, a master that does not answer is replaced. To be called just before it is killed or stopped.
    ///
    /// # Panics
    ///
    /// If a sentinel does not answer.
    pub fn replaces_soon(&self) {
        for sentinel in &self.sentinels {
            let command = ["SENTINEL", "SET", "main", "down-after-milliseconds", "1000", "failover-timeout", "5000"];
            ask::<()>(sentinel.port, &command).expect("it takes other settings");
        }
    }

    /// Tells one of them to put the replica in the place of the master, that is there still.
    pub fn replace_now(&self) {
        let command = ["SENTINEL", "FAILOVER", "main"];
        wait_until("the replica is fit", || ask::<()>(self.sentinels[0].port, &command).is_ok());
    }

    /// Their address.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.ports.iter().map(|port| format!("127.0.0.1:{port}")).collect();
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
