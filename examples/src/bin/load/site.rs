//! The site, in a process of its own.

use std::{
    env::{self, consts::EXE_SUFFIX},
    fs,
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
    time::Duration,
};

use crate::{
    Error,
    connection::{Connection, post},
};

/// How often the clock of `/proc` ticks in a second. It is the same on all machines with Linux.
const TICKS: f64 = 100.0;

/// The running site. Dropping it ends it.
pub(crate) struct Site {
    /// Host and port.
    pub(crate) address: String,
    child: Child,
    /// Held open: a program may fail to print if its output is not read.
    output: BufReader<ChildStdout>,
}

impl Site {
    /// Starts the program that lies beside this one.
    pub(crate) fn start() -> Result<Self, Error> {
        let program = env::current_exe()?.with_file_name(format!("departures{EXE_SUFFIX}"));
        let mut child = Command::new(&program)
            .env("PORT", "0")
            .env("CACHE_URL", "memory://")
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}; cargo build makes it", program.display()))?;
        let output = BufReader::new(child.stdout.take().ok_or("the site has no output")?);
        let mut site = Self { address: String::new(), child, output };
        site.address = site.printed_address()?;
        Ok(site)
    }

    fn printed_address(&mut self) -> Result<String, Error> {
        let mut line = String::new();
        while self.output.read_line(&mut line)? > 0 {
            if let Some((address, _)) = line.strip_prefix("Open http://").and_then(|rest| rest.split_once('/')) {
                return Ok(address.to_owned());
            }
            line.clear();
        }
        Err("the site ended before it was open".into())
    }

    pub(crate) async fn connect(&self) -> Result<Connection, Error> {
        Connection::open(&self.address).await
    }

    /// Turns the site's cache off or on.
    pub(crate) async fn turn_cache(&self, on: bool) -> Result<(), Error> {
        let mut connection = self.connect().await?;
        let status = connection.ask(&post("/cache", &format!("on={on}"))).await?.status;
        if status == 303 {
            Ok(())
        } else {
            Err(format!("the cache cannot be turned off or on: status {status}").into())
        }
    }

    /// The time that the site has been running on a processor.
    pub(crate) fn cpu(&self) -> Result<Duration, Error> {
        cpu(&self.child.id().to_string())
    }

    /// The most memory that the site has had, in bytes.
    pub(crate) fn peak_memory(&self) -> Result<u64, Error> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB"));
        Ok(peak.ok_or("/proc has no VmHWM")?.parse::<u64>()? * 1024)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Neither matters if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The time that this program has been running on a processor.
pub(crate) fn own_cpu() -> Result<Duration, Error> {
    cpu("self")
}

/// See `man 5 proc_pid_stat`: fields 14 and 15. The second one is a name in parentheses, which may have spaces.
fn cpu(process: &str) -> Result<Duration, Error> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let (_, fields) = stat.rsplit_once(") ").ok_or("/proc has no such stat")?;
    let ticks = fields.split(' ').skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(Duration::from_secs_f64(ticks as f64 / TICKS))
}
