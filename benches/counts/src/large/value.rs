//! A value of 20 MB: what a miss and a hit take beside a copy.

use std::{hint::black_box, sync::Arc};

use cache_request::cache_request;

use crate::{in_child, install_large_cache, median, now};

const BYTES: usize = 20_000_000;
const ROUNDS: u64 = 11;

fn make(byte: u8) -> Vec<u8> {
    vec![byte; BYTES]
}

#[cache_request(timeout = 300)]
fn bytes(key: u8) -> Vec<u8> {
    make(key)
}

#[cache_request(timeout = 300)]
fn text(key: u8) -> String {
    String::from_utf8(make(key)).expect("it is ASCII")
}

#[cache_request(timeout = 300)]
fn shared(key: u8) -> Arc<Vec<u8>> {
    make(key).into()
}

#[cache_request(timeout = 300, weight = |value| value.len())]
fn weighed(key: u8) -> Arc<Vec<u8>> {
    make(key).into()
}

type Call = fn(u8);

const CONTENDERS: [(&str, Call); 5] = [
    ("the body alone", |key| drop(black_box(make(key)))),
    ("Vec<u8>", |key| drop(black_box(bytes(key)))),
    ("String", |key| drop(black_box(text(key)))),
    ("Arc<Vec<u8>>", |key| drop(black_box(shared(key)))),
    ("Arc<Vec<u8>>, with a weight", |key| drop(black_box(weighed(key)))),
];

pub(crate) fn measure() {
    println!("A value of {BYTES} bytes, milliseconds, medians of {ROUNDS}\n");
    println!("| | first call | second call |\n| --- | ---: | ---: |");
    for (name, _) in CONTENDERS {
        let measured = in_child("value", name);
        let (first, second) = measured.split_at(ROUNDS as usize);
        println!("| {name} | {} | {} |", median(first.to_vec()), median(second.to_vec()));
    }
}

pub(crate) fn child(contender: &str) {
    install_large_cache();
    let (_, call) = CONTENDERS.into_iter().find(|(name, _)| *name == contender).expect("the parent knows the names");
    for _ in 0..2 {
        for key in 0..ROUNDS as u8 {
            let start = now();
            call(key);
            println!("{}", (now() - start).as_secs_f64() * 1e3);
        }
    }
}
