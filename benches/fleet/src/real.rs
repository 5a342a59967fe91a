//! The same load for real: processes of this program on one Redis, whose commands, bodies and messages are counted.

use std::{
    env,
    error::Error,
    io::{self, BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    thread,
    time::{Duration, Instant},
};

use cache_request::{Cache, cache_request, install};

use super::{
    SECOND,
    load::{Load, MILLISECOND},
    model,
    random::{Keys, Random},
    tags,
};

const PROCESSES: usize = 8;
const TIMEOUT: u64 = 6;

/// The loads, by name.
fn load(name: &str) -> Load {
    let load =
        Load { processes: PROCESSES, servers: 1, most: 1, rate: 500.0, round_trip: MILLISECOND, ..Load::default() };
    let load = Load { timeout: TIMEOUT * SECOND, early: 0.9, near: Some(2000.0), ..load };
    match name {
        // Every process waits for bodies of the others.
        "cold" => Load { keys: 200, writes: 0.0, body: 1000 * MILLISECOND, until: 5 * SECOND, ..load },
        // Tags of single answers are invalidated, and that of a tenth of them.
        "tagged" => {
            let load = Load { keys: 20_000, writes: 0.02, body: 20 * MILLISECOND, until: 20 * SECOND, ..load };
            Load { tags: Some(10 * SECOND), early: 1.0, ..load }
        }
        // Values are evicted, expire, are replaced early and are invalidated.
        _ => Load { keys: 20_000, writes: 0.02, body: 20 * MILLISECOND, until: 20 * SECOND, ..load },
    }
}

/// What was counted.
const COUNTED: [&str; 7] = [
    "scripts",
    "`GET`s, also by scripts",
    "`MGET`s",
    "claims of claimed keys",
    "bodies",
    "messages to each process",
    "near hits",
];

#[cache_request(name = "fleet.answer", timeout = 6, early = 0.9, skip(bodies, took))]
async fn answer(key: u32, bodies: &Arc<AtomicU64>, took: Duration) -> u32 {
    bodies.fetch_add(1, SeqCst);
    tokio::time::sleep(took).await;
    key
}

#[cache_request(name = "fleet.tagged", timeout = 6, tags("answer:{key}", "group:{group}"), skip(bodies, took))]
async fn tagged(key: u32, group: u32, bodies: &Arc<AtomicU64>, took: Duration) -> u32 {
    bodies.fetch_add(1, SeqCst);
    tokio::time::sleep(took).await;
    key + group
}

/// Runs both, and prints what they have counted.
pub(crate) fn check() -> Result<(), Box<dyn Error>> {
    let mut is_near = true;
    for name in ["mixed", "cold", "tagged"] {
        let (load, real) = (load(name), real(name)?);
        let out = model::run(&load);
        let simulated = [
            out.sum(|second| second.scripts),
            out.sum(|second| second.gets),
            out.sum(|second| second.mgets),
            out.sum(|second| second.held),
            out.sum(|second| second.bodies),
            out.sum(|second| second.told),
            out.sum(|second| second.near_hits),
        ];
        println!(
            "\n| {name}, {PROCESSES} processes | real | simulated | simulated / real |\n| --- | ---: | ---: | ---: |"
        );
        for ((what, real), simulated) in COUNTED.iter().zip(real).zip(simulated) {
            if real + simulated == 0.0 {
                continue;
            }
            println!("| {what} | {real:.0} | {simulated:.0} | {:.2} |", simulated / real);
            // Of a few hundred, the milliseconds of a busy machine decide.
            is_near &= real < 1000.0 || (0.8..=1.2).contains(&(simulated / real));
        }
    }
    if is_near { Ok(()) } else { Err("the simulation is more than a fifth off".into()) }
}

/// A process that is ended when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A Redis for as long as it is needed.
pub(crate) struct Server {
    _running: Running,
    directory: tempfile::TempDir,
}

impl Server {
    pub(crate) fn start() -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let server = Command::new("redis-server")
            .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket", "redis.sock"])
            .current_dir(&directory)
            .stdout(Stdio::null())
            .spawn()?;
        Ok(Self { _running: Running(server), directory })
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.directory.path().join("redis.sock")
    }

    pub(crate) fn connection(&self) -> Result<redis::Connection, Box<dyn Error>> {
        let client = redis::Client::open(format!("redis+unix://{}?protocol=resp3", self.socket().display()))?;
        connected(&client)
    }

    /// A connection that is told of changes of what it has read.
    pub(crate) fn tracking(&self) -> Result<redis::Connection, Box<dyn Error>> {
        let mut connection = self.connection()?;
        redis::cmd("CLIENT").arg("TRACKING").arg("ON").exec(&mut connection)?;
        Ok(connection)
    }
}

fn real(name: &str) -> Result<[f64; 7], Box<dyn Error>> {
    let server = Server::start()?;
    let (socket, mut connection) = (server.socket(), server.connection()?);
    let mut children = (0..PROCESSES).map(|seed| child(&socket, name, seed)).collect::<Result<Vec<_>, _>>()?;
    redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut connection)?;
    for (child, _) in &mut children {
        child.0.stdin.as_mut().ok_or("no input")?.write_all(b"\n")?;
    }
    let (mut bodies, mut told, mut hits) = (0.0, 0.0, 0.0);
    for (_, output) in &mut children {
        let counts = line(output)?;
        let counts = counts.split(' ').map(str::parse).collect::<Result<Vec<f64>, _>>()?;
        let [of_bodies, of_told, of_hits, faults] = counts[..] else { return Err("four counts".into()) };
        if faults > 0.0 {
            return Err(format!("{faults} faults").into());
        }
        (bodies, told, hits) = (bodies + of_bodies, told + of_told / PROCESSES as f64, hits + of_hits);
    }
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut connection)?;
    let calls = |command: &str| {
        let start = format!("cmdstat_{command}:calls=");
        let count = stats.lines().find_map(|line| line.strip_prefix(&start)?.split(',').next()?.parse().ok());
        count.unwrap_or(0.0)
    };
    // Only such a claim asks how long the other one lasts.
    Ok([calls("evalsha"), calls("get"), calls("mget"), calls("pttl"), bodies, told, hits])
}

fn connected(client: &redis::Client) -> Result<redis::Connection, Box<dyn Error>> {
    let begun = Instant::now();
    loop {
        match client.get_connection() {
            Ok(connection) => return Ok(connection),
            Err(error) if begun.elapsed() > Duration::from_secs(20) => return Err(error.into()),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

type Output = BufReader<std::process::ChildStdout>;

fn child(socket: &Path, name: &str, seed: usize) -> Result<(Running, Output), Box<dyn Error>> {
    let options = "near_timeout=1h&near_entries=2000&soft_limit=20s&connect_limit=20s";
    let url = format!("tiered+redis+unix://{}?{options}", socket.display());
    let mut child = Command::new(env::current_exe()?)
        .args(["child", name, &url, &seed.to_string()])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(child.stdout.take().ok_or("no output")?);
    let running = Running(child);
    if line(&mut output)? != "ready" {
        return Err("a process does not start".into());
    }
    Ok((running, output))
}

fn line(output: &mut Output) -> io::Result<String> {
    let mut line = String::new();
    output.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

/// One of the processes. It makes its calls when they are due, however long others take.
pub(crate) fn process(name: &str, url: &str, seed: u64) -> Result<(), Box<dyn Error>> {
    let cache = Cache::from_url(url)?;
    install(cache.clone())?;
    let near = || cache.stats().backend.and_then(|backend| backend.near);
    while near().is_none_or(|near| format!("{:?}", near.tracking) != "Live") {
        thread::sleep(Duration::from_millis(10));
    }
    println!("ready");
    io::stdin().read_line(&mut String::new())?;
    let bodies = Arc::new(AtomicU64::new(0));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(calls(&load(name), &cache, seed, &bodies));
    let stats = cache.stats();
    let told = near().map_or(0, |near| near.changed);
    println!("{} {told} {} {}", bodies.load(SeqCst), NEAR_HITS.load(SeqCst), stats.faults());
    Ok(())
}

/// Calls that the near cache has answered.
static NEAR_HITS: AtomicU64 = AtomicU64::new(0);

async fn calls(load: &Load, cache: &Cache, seed: u64, bodies: &Arc<AtomicU64>) {
    let (keys, mut random) = (Keys::sampled(load.keys, load.hot, load.most), Random(seed + 1));
    let (begun, mut at, mut tasks) = (Instant::now(), 0.0, Vec::new());
    if let Some(invalidated) = load.tags.filter(|_| seed == 0) {
        let cache = cache.clone();
        tasks.push(tokio::spawn(async move {
            tokio::time::sleep(Duration::from_nanos(invalidated)).await;
            cache.invalidate_tag(&format!("group:{}", tags::INVALIDATED)).await.expect("the group is invalidated");
        }));
    }
    let until = load.until as f64 / SECOND as f64;
    loop {
        at += random.pause(load.rate * (1.0 + load.writes));
        if at >= until {
            break;
        }
        tokio::time::sleep_until((begun + Duration::from_secs_f64(at)).into()).await;
        let bodies = Arc::clone(bodies);
        let took = Duration::from_nanos(load.body).mul_f64(0.5 + random.unit());
        let (cache, has_tags) = (cache.clone(), load.tags.is_some());
        tasks.push(if random.unit() < load.writes / (1.0 + load.writes) {
            let key = random.below(keys.len()) as u32;
            tokio::spawn(async move {
                // What fails is counted.
                let _ = if has_tags {
                    cache.invalidate_tag(&format!("answer:{key}")).await
                } else {
                    answer_cache(key, &bodies, took).invalidate().await.map(drop)
                };
            })
        } else {
            let key = keys.draw(&mut random);
            tokio::spawn(async move {
                let (_, source) = if has_tags {
                    tagged_cache(key, tags::group(key), &bodies, took).call_traced().await
                } else {
                    answer_cache(key, &bodies, took).call_traced().await
                };
                NEAR_HITS.fetch_add(u64::from(source == cache_request::Source::Memory), SeqCst);
            })
        });
    }
    for task in tasks {
        task.await.expect("no call panics");
    }
}
