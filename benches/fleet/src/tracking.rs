//! What it costs a real Redis to tell near caches of changes: bytes for each key that it remembers, and processor time for each message.

use std::{
    error::Error,
    io::{self, Write},
    os::unix::net::UnixStream,
    thread::{self, JoinHandle},
};

use redis::{Connection, cmd, pipe};

use super::real::Server;

const KEYS: usize = 100_000;
const CLIENTS: usize = 16;
const WRITES: usize = 20_000;

type Fallible<T> = Result<T, Box<dyn Error>>;

pub(crate) fn measure() -> Fallible<()> {
    let server = Server::start()?;
    let mut control = server.connection()?;
    let before = number(&mut control, "used_memory:")?;
    let mut readers = (0..CLIENTS).map(|_| server.tracking()).collect::<Fallible<Vec<_>>>()?;
    read(&mut readers[..1])?;
    let one = number(&mut control, "used_memory:")?;
    read(&mut readers[1..])?;
    let all = number(&mut control, "used_memory:")?;
    let pair = (all - one) / (KEYS * (CLIENTS - 1)) as f64;
    println!(
        "by key: {:.0} bytes for a key, {pair:.0} for each process that has read it",
        (one - before) / KEYS as f64 - pair
    );
    drop(readers);

    let before = number(&mut control, "used_memory:")?;
    make_records(&mut control)?;
    let after = number(&mut control, "used_memory:")?;
    println!("a tag: {:.0} bytes for its record", (after - before) / KEYS as f64);

    let alone = write(&server, &mut control)?;
    let listeners = (0..CLIENTS).map(|_| listen(&server)).collect::<Fallible<Vec<_>>>()?;
    let told = write(&server, &mut control)?;
    drop(server);
    for listener in listeners {
        listener.join().map_err(|_| "a listener panics")??;
    }
    let microseconds = (told - alone) / (WRITES * CLIENTS) as f64 * 1e6;
    println!(
        "by prefix: {microseconds:.1} µs of the server's processor for a message; {:.1} µs for a write",
        alone / WRITES as f64 * 1e6
    );
    Ok(())
}

/// Reads what the server tells until its end.
fn listen(server: &Server) -> Fallible<JoinHandle<io::Result<u64>>> {
    let mut socket = UnixStream::connect(server.socket())?;
    socket.write_all(b"HELLO 3\r\nCLIENT TRACKING ON BCAST PREFIX cache\r\n")?;
    Ok(thread::spawn(move || io::copy(&mut socket, &mut io::sink())))
}

fn key(number: usize) -> String {
    format!("cache-request:program:users::{number:06}")
}

fn read(readers: &mut [Connection]) -> Fallible<()> {
    for reader in readers {
        for from in (0..KEYS).step_by(1000) {
            let mut gets = pipe();
            (from..from + 1000).for_each(|number| _ = gets.get(key(number)).ignore());
            gets.exec(reader)?;
        }
    }
    Ok(())
}

/// The records of so many tags, as `engine/tagging/records.rs` in the library has them.
fn make_records(control: &mut Connection) -> Fallible<()> {
    for from in (0..KEYS).step_by(1000) {
        let mut sets = pipe();
        for number in from..from + 1000 {
            let key = format!("cache-request:program.~tag.{number:016x}");
            sets.cmd("SET").arg(key).arg(&[1_u8; 33][..]).arg("PX").arg(86_400_000).ignore();
        }
        sets.exec(control)?;
    }
    Ok(())
}

/// Writes one key after the other. Returns the server's processor time in seconds.
fn write(server: &Server, control: &mut Connection) -> Fallible<f64> {
    let mut writer = server.connection()?;
    let mut time = || Fallible::Ok(number(control, "used_cpu_user:")? + number(control, "used_cpu_sys:")?);
    let before = time()?;
    (0..WRITES).try_for_each(|number| cmd("SET").arg(key(number)).arg("value").exec(&mut writer))?;
    Ok(time()? - before)
}

/// A number of `INFO`.
fn number(connection: &mut Connection, name: &str) -> Fallible<f64> {
    let info: String = cmd("INFO").query(connection)?;
    let number = info.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such number")?;
    Ok(number.trim().parse()?)
}
