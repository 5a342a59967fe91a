//! Shares a cache's directory with the test that starts it.
//!
//! - `write <directory> <max_bytes> <seed> <rounds>`: sets keys over and over, to values that can be told from halves
//!   and mixtures; prints a line once it has begun. Without rounds, until it is killed.
//! - `add <directory> <salt> <keys>`: prints a line, waits until its input ends, and adds all keys one after the other;
//!   prints the numbers of those that it did add.
//! - `touch <directory>`: touches the first four keys over and over; prints a line once it has begun.
//! - `once <directory> <bytes>`: sets one value and prints what became of it.
//! - `get <directory>`: gets that value and prints how long it is.
//! - `delete <directory>`: deletes that value and prints what became of it.

use std::{io, path::Path, time::Duration};

use cache_request::backend::{Backend, FileBackend};
use cache_request_tests::file_backend::{KEYS, key, value};
use futures_lite::future::block_on;

pub(crate) fn main(arguments: &[&str]) {
    match *arguments {
        ["write", directory, max_bytes, seed] => write(directory.as_ref(), number(max_bytes), number(seed), u64::MAX),
        ["write", directory, max_bytes, seed, rounds] => {
            write(directory.as_ref(), number(max_bytes), number(seed), number(rounds));
        }
        ["add", directory, salt, keys] => add(directory.as_ref(), number(salt), number(keys)),
        ["touch", directory] => touch(directory.as_ref()),
        ["once", directory, bytes] => {
            let backend = FileBackend::new(directory).expect("a backend opens on any disk");
            match block_on(backend.set("key", &vec![b'v'; number(bytes) as usize], None)) {
                Ok(()) => println!("ok"),
                Err(error) => println!("{error:?}"),
            }
        }
        ["get", directory] => {
            let backend = FileBackend::new(directory).expect("a backend opens on any disk");
            match block_on(backend.get("key")) {
                Ok(found) => println!("{} bytes", found.map_or(0, |found| found.len())),
                Err(error) => println!("{error:?}"),
            }
        }
        ["delete", directory] => {
            let backend = FileBackend::new(directory).expect("a backend opens on any disk");
            match block_on(backend.delete("key")) {
                Ok(was_there) => println!("{was_there}"),
                Err(error) => println!("{error:?}"),
            }
        }
        _ => panic!("unknown command {arguments:?}"),
    }
}

fn number(text: &str) -> u64 {
    text.parse().expect("a number")
}

fn write(directory: &Path, max_bytes: u64, seed: u64, rounds: u64) {
    let backend = FileBackend::builder(directory).max_bytes(max_bytes).build().expect("a backend");
    for round in 0..rounds {
        // Another order in each process.
        let number = round.wrapping_mul(7).wrapping_add(seed) % KEYS;
        block_on(backend.set(&key(number), &value(number, seed ^ round), None)).expect("set");
        if round % 50 == 49 {
            block_on(backend.delete(&key(number))).expect("delete");
        }
        if round == 0 {
            println!("begun");
        }
    }
}

fn add(directory: &Path, salt: u64, keys: u64) {
    let backend = FileBackend::new(directory).expect("a backend");
    println!("begun");
    io::copy(&mut io::stdin(), &mut io::sink()).expect("an input that ends");
    let mut won = String::new();
    for number in 0..keys {
        // Each reader removes what has expired. Of files left by a power cut it reports an error.
        let _ = block_on(backend.get(&key(number)));
        if block_on(backend.add(&key(number), &value(number, salt), None)).expect("add") {
            won += &format!("{number}\n");
        }
    }
    print!("{won}");
}

fn touch(directory: &Path) {
    let backend = FileBackend::new(directory).expect("a backend");
    for round in 0_u64.. {
        for number in 0..4 {
            let timeout = (round % 2 == 0).then_some(Duration::from_secs(3600));
            block_on(backend.touch(&key(number), timeout)).expect("touch");
        }
        if round == 0 {
            println!("begun");
        }
    }
}
