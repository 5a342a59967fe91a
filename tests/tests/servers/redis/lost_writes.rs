//! Writes whose answer is lost with their connection. The server may still have to execute them.

use std::{
    io::Write,
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

use cache_request::backend::{Backend, Fence, RedisBackend};
use cache_request_tests::servers::wait_until;
use futures_lite::future::block_on;
use redis::{FromRedisValue, Parser};

/// All commands that the server has received, by their first two words.
type Commands = Arc<Mutex<Vec<String>>>;

/// A server that sends no proper answer to a `SET` or a script, so that the client ends the connection. Returns its port.
fn start(commands: &Commands) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let commands = Arc::clone(commands);
    thread::spawn(move || {
        for client in listener.incoming().map_while(Result::ok) {
            let commands = Arc::clone(&commands);
            thread::spawn(move || serve(&client, &commands));
        }
    });
    port
}

fn serve(mut client: &TcpStream, commands: &Mutex<Vec<String>>) -> Option<()> {
    let mut parser = Parser::new();
    loop {
        let command = Vec::<String>::from_redis_value(parser.parse_value(client).ok()?).ok()?;
        commands.lock().unwrap().push(command[..command.len().min(2)].join(" "));
        let answer = match &*command.iter().map(String::as_str).collect::<Vec<_>>() {
            ["CLIENT", "INFO"] => "$18\r\nid=7 addr=[::1]:99\r\n",
            ["CLIENT", "KILL", "ID", "7", "ADDR", "[::1]:99"] => ":1\r\n",
            ["PING"] => "+PONG\r\n",
            ["UNLINK", _] => ":0\r\n",
            ["SET", ..] | ["EVALSHA", ..] => "?\r\n",
            _ => "-ERR unknown command\r\n",
        };
        client.write_all(answer.as_bytes()).ok()?;
    }
}

#[test]
fn a_write_that_was_lost_with_its_connection_came_after_a_deletion() {
    let commands = Commands::default();
    let backend = RedisBackend::new(&format!("redis://127.0.0.1:{}", start(&commands))).unwrap();
    block_on(backend.set("key", b"value", None)).unwrap_err();
    wait_until("there is another connection", || block_on(backend.delete("key")).is_ok());
    let commands = commands.lock().unwrap();
    let place = |command| commands.iter().position(|received| received.starts_with(command));
    let [set, killed, deleted] = ["SET", "CLIENT KILL", "UNLINK"].map(place);
    assert!(set < killed && killed < deleted, "{commands:?}");
}

/// Its fence keeps it from being stored after an invalidation, however late the server executes it.
#[test]
fn a_fenced_write_that_was_lost_with_its_connection_is_not_waited_for() {
    let commands = Commands::default();
    let backend = RedisBackend::new(&format!("redis://127.0.0.1:{}", start(&commands))).unwrap();
    block_on(async {
        backend.set_fenced("key", b"value", None, Fence::new(1)).await.unwrap_err();
        backend.invalidate("key", Duration::ZERO).await.unwrap_err();
    });
    wait_until("there is another connection", || block_on(backend.delete("key")).is_ok());
    let commands = commands.lock().unwrap();
    assert!(commands.iter().any(|received| received.starts_with("EVALSHA")), "{commands:?}");
    assert!(!commands.iter().any(|received| received.starts_with("CLIENT KILL")), "{commands:?}");
}
