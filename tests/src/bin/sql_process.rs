//! One of several processes that use one table: `sql_process sqlite|postgres <address> add|set|get <namespace> <count>`.

use std::time::Duration;

use cache_request::backend::{Backend, SqlBackend};
use futures_lite::future::block_on;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [kind, address, command, namespace, count] = &arguments[..] else { panic!("five arguments: {arguments:?}") };
    let builder = if kind == "sqlite" { SqlBackend::sqlite(address) } else { SqlBackend::postgres(address) };
    let backend = builder.namespace(namespace).connect_limit(Duration::from_secs(20)).build().expect("a backend");
    let count: u32 = count.parse().expect("a count");
    let own = std::process::id().to_string();
    block_on(async {
        match &**command {
            // Prints how many were added, of those that all processes want to add.
            "add" => {
                let mut won = 0;
                for number in 0..count {
                    let added =
                        backend.add(&format!("add{number}"), own.as_bytes(), Some(Duration::from_secs(60))).await;
                    won += u32::from(added.expect("add"));
                }
                println!("{won}");
            }
            // Writes one key again and again, each time all of one letter, and looks for what is not.
            "set" => {
                for number in 0..count {
                    let value = vec![b'a' + (number % 26) as u8; 5000];
                    backend.set("set", &value, None).await.expect("set");
                    let found = backend.get("set").await.expect("get").expect("nobody deletes it");
                    assert!(found.len() == 5000 && found.iter().all(|byte| *byte == found[0]), "half a value");
                }
                println!("{count}");
            }
            // Says what each call comes to, as somebody who may not write.
            "try" => {
                let outcomes = (backend.set("key", b"value", None).await, backend.get("key").await);
                println!("{:?}", (outcomes.0.is_err(), outcomes.1.is_err()));
            }
            _ => panic!("unknown command {command}"),
        }
    });
}
