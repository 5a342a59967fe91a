//! Uses a table that other processes use: `sql sqlite|postgres <address> add|set|try|full <namespace> <count>`.

use std::time::Duration;

use cache_request::{
    Cache,
    backend::{Backend, SqlBackend},
    cache_request, scoped_sync,
};
use futures_lite::future::block_on;

#[cache_request(timeout = 60)]
fn large(number: u32) -> Vec<u32> {
    vec![number; 300_000]
}

pub(crate) fn main(arguments: &[&str]) {
    let &[kind, address, command, namespace, count] = arguments else { panic!("five arguments: {arguments:?}") };
    let address = if kind == "sqlite" { format!("sqlite://{address}") } else { address.to_owned() };
    let backend = SqlBackend::builder(&address)
        .namespace(namespace)
        .connect_limit(Duration::from_secs(60))
        .build()
        .expect("a backend");
    let count: u32 = count.parse().expect("a count");
    let own = std::process::id().to_string();
    block_on(async {
        match command {
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
                    let found = backend.get("set").await.expect("get").expect("no process deletes it");
                    assert!(found.len() == 5000 && found.iter().all(|byte| *byte == found[0]), "half a value");
                }
                println!("{count}");
            }
            // Prints the outcome of each call, as a user without permission to write.
            "try" => {
                let outcomes = (backend.set("key", b"value", None).await, backend.get("key").await);
                println!("{:?}", (outcomes.0.is_err(), outcomes.1.is_err()));
            }
            // Writes more than there is room for, and then what fits.
            "full" => {
                let cache = Cache::from_url(&format!("{address}?soft_limit=60s&connect_limit=60s")).expect("a cache");
                scoped_sync(&cache, || {
                    for number in 0..count {
                        assert_eq!(large(number), vec![number; 300_000]);
                    }
                });
                println!("bodies {}, {} faults", cache.stats().bodies(), cache.stats().faults());
                // Another file, which is not full yet.
                let backend = SqlBackend::builder(&format!("{address}.another"))
                    .connect_limit(Duration::from_secs(60))
                    .build()
                    .expect("a backend");
                backend.set("old", b"older", None).await.expect("set");
                backend.set("old", &vec![1; 5 << 20], None).await.expect_err("there is no room");
                assert_eq!(backend.get("old").await.expect("get"), None, "an older value is left");
                backend.set("old", b"newer", None).await.expect("set");
                assert_eq!(backend.get("old").await.expect("get").as_deref(), Some(&b"newer"[..]));
            }
            _ => panic!("unknown command {command}"),
        }
    });
}
