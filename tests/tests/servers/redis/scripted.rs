//! A scripted server: it speaks as much RESP2 as the client needs, and answers each `GET` as the test says.

use std::{
    collections::HashMap,
    io::Write,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::Duration,
};

use redis::{FromRedisValue, Parser, io::tcp::socket2::SockRef};

/// What the server does with a `GET`.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    /// It answers what is stored, if anything is.
    Stored,
    /// It answers this.
    Bytes(&'static [u8]),
    /// It answers this and closes the connection, in one packet.
    BytesAndClose(&'static [u8]),
    /// It never answers.
    Nothing,
    /// It begins a value, and sends a byte of it now and then: for ten seconds, unless the client closes the connection.
    Trickle,
}

/// The connection that a `GET` came over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Over {
    /// One that the library's own threads drive, and that callers share.
    Shared,
    /// One of a caller that blocks its thread.
    Blocking,
}

/// The server. Its threads end with the connections.
#[derive(Debug)]
pub(super) struct Scripted {
    port: u16,
    seen: Arc<Mutex<Seen>>,
}

/// What the clients have sent.
#[derive(Debug, Default)]
struct Seen {
    gets: Vec<Over>,
    /// What they have stored with a fence.
    values: HashMap<String, Vec<u8>>,
}

impl Scripted {
    /// Starts the server. `reply` says how to answer a `GET`.
    pub(super) fn start(reply: impl Fn(Over) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (reply, seen) = (Arc::new(reply), Arc::default());
        let log = Arc::clone(&seen);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (reply, seen) = (Arc::clone(&reply), Arc::clone(&log));
                thread::spawn(move || serve(&client, &*reply, &seen));
            }
        });
        Self { port, seen }
    }

    pub(super) fn url(&self, options: &str) -> String {
        format!("redis://127.0.0.1:{}?{options}", self.port)
    }

    /// All received `GET`s, in order.
    pub(super) fn gets(&self) -> Vec<Over> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).gets.clone()
    }

    /// How many `GET`s came over such a connection.
    pub(super) fn count(&self, over: Over) -> usize {
        self.gets().into_iter().filter(|get| *get == over).count()
    }
}

fn serve(mut client: &TcpStream, reply: &impl Fn(Over) -> Reply, seen: &Mutex<Seen>) -> Option<()> {
    let (mut parser, mut over) = (Parser::new(), Over::Blocking);
    client.set_nodelay(true).ok()?;
    loop {
        let command = Vec::<Vec<u8>>::from_redis_value(parser.parse_value(client).ok()?).ok()?;
        let words: Vec<_> = command.iter().map(|word| str::from_utf8(word).unwrap_or_default()).collect();
        let stored = |key| match seen.lock().unwrap_or_else(PoisonError::into_inner).values.get(key) {
            Some(value) => [format!("${}\r\n", value.len()).as_bytes(), value, b"\r\n"].concat(),
            None => b"$-1\r\n".to_vec(),
        };
        let found;
        let answer: &[u8] = match words[..] {
            ["CLIENT", "SETINFO", ..] | ["SET", ..] => b"+OK\r\n",
            // The library's first commands over a shared connection.
            ["CLIENT", "INFO"] => {
                over = Over::Shared;
                b"-ERR unknown command\r\n"
            }
            ["PING"] => b"+PONG\r\n",
            ["UNLINK", ..] => b":0\r\n",
            // A claim, which always gets the lease.
            ["EVALSHA", _, "2", key, _, kind @ ("missing" | "any" | "anew"), ..] => {
                let value = stored(key);
                let is_alone = kind == "missing" && value != b"$-1\r\n";
                found = if is_alone { value } else { [b"*1\r\n", &*value].concat() };
                &found
            }
            ["EVALSHA", _, "2", key, _, _fence, _, _timeout] => {
                let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                seen.values.insert(key.to_owned(), command[6].clone());
                b":1\r\n"
            }
            // A claim is given back, or renewed.
            ["EVALSHA", ..] => b":1\r\n",
            ["GET", key] => {
                seen.lock().unwrap_or_else(PoisonError::into_inner).gets.push(over);
                match reply(over) {
                    Reply::Stored => {
                        found = stored(key);
                        &found
                    }
                    Reply::Bytes(bytes) => bytes,
                    Reply::BytesAndClose(bytes) => {
                        SockRef::from(client).set_tcp_cork(true).ok()?;
                        client.write_all(bytes).ok()?;
                        return client.shutdown(Shutdown::Both).ok();
                    }
                    Reply::Nothing => continue,
                    Reply::Trickle => {
                        client.write_all(b"$1000000\r\n").ok()?;
                        for _ in 0..1000 {
                            thread::sleep(Duration::from_millis(10));
                            client.write_all(b"x").ok()?;
                        }
                        return None;
                    }
                }
            }
            _ => b"-ERR unknown command\r\n",
        };
        client.write_all(answer).ok()?;
    }
}
