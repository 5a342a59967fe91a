//! A scripted server: it speaks as much RESP2 as the client needs, and answers each `GET` as the test says.

use std::{
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
    /// It has no such key.
    Nil,
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
    gets: Arc<Mutex<Vec<Over>>>,
}

impl Scripted {
    /// Starts the server. `reply` says how to answer a `GET`.
    pub(super) fn start(reply: impl Fn(Over) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (reply, gets) = (Arc::new(reply), Arc::default());
        let log = Arc::clone(&gets);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let (reply, gets) = (Arc::clone(&reply), Arc::clone(&log));
                thread::spawn(move || serve(&client, &*reply, &gets));
            }
        });
        Self { port, gets }
    }

    pub(super) fn url(&self, options: &str) -> String {
        format!("redis://127.0.0.1:{}?{options}", self.port)
    }

    /// All received `GET`s, in order.
    pub(super) fn gets(&self) -> Vec<Over> {
        self.gets.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many `GET`s came over such a connection.
    pub(super) fn count(&self, over: Over) -> usize {
        self.gets().into_iter().filter(|get| *get == over).count()
    }
}

fn serve(mut client: &TcpStream, reply: &impl Fn(Over) -> Reply, gets: &Mutex<Vec<Over>>) -> Option<()> {
    let (mut parser, mut over) = (Parser::new(), Over::Blocking);
    client.set_nodelay(true).ok()?;
    loop {
        let command = Vec::<Vec<u8>>::from_redis_value(parser.parse_value(client).ok()?).ok()?;
        let words: Vec<_> = command.iter().map(|word| str::from_utf8(word).unwrap_or_default()).collect();
        let answer: &[u8] = match words[..] {
            ["CLIENT", "SETINFO", ..] | ["SET", ..] => b"+OK\r\n",
            // The library's first commands over a shared connection.
            ["CLIENT", "INFO"] => {
                over = Over::Shared;
                b"-ERR unknown command\r\n"
            }
            ["PING"] => b"+PONG\r\n",
            ["UNLINK", ..] => b":0\r\n",
            ["GET", _] => {
                gets.lock().unwrap_or_else(PoisonError::into_inner).push(over);
                match reply(over) {
                    Reply::Nil => b"$-1\r\n",
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
