//! What tags cost a hit: functions of one number, which return it, so that nothing else costs much.

use std::hint::black_box;

use cache_request::cache_request;
use cache_request_benches::{quiet::Patience, rounds, samples::Samples, table::Table};

use crate::{DRAWS, contender::Contender, measure};

/// The most nanoseconds of a further tag.
const GOAL: f64 = 5.0;

#[cache_request(timeout = 300)]
fn untagged(number: u64) -> u64 {
    number
}

#[cache_request(timeout = 300, tags("number:{number}"))]
fn tagged(number: u64) -> u64 {
    number
}

#[cache_request(timeout = 300, tags("number:{number}", "double:{number}", "numbers", "even"))]
fn much_tagged(number: u64) -> u64 {
    number
}

fn contender(name: &'static str, call: fn(u64) -> u64) -> Contender {
    Contender::new(name, move |keys| {
        for key in keys {
            black_box(call(black_box(u64::from(*key))));
        }
    })
}

/// Prints a table of all draws.
pub(crate) fn run(rounds: usize, patience: &mut Patience) {
    let contenders = [contender("no tags", untagged), contender("one", tagged), contender("four", much_tagged)];
    let mut table =
        Table::new(["", "no tags, ns", "one tag, ns", "four tags, ns", "ns of the first", "ns of a further one"]);
    let mut is_empty = true;
    for (draw, keys) in DRAWS {
        if rounds::chosen(&format!("fn(u64) -> u64, tags; {draw}")) {
            let cells = measure(&contenders, keys, rounds, patience);
            let nanos = [0, 1, 2].map(|number| &cells[number].nanos[0]);
            let [none, one, four] = nanos.map(Samples::median);
            let added = [one - none, (four - one) / 3.0];
            let added = added.map(|nanos| format!("{nanos:.1}{}", if nanos > GOAL { " ✗" } else { "" }));
            table.row([draw.to_owned()].into_iter().chain(nanos.map(|nanos| format!("{nanos:.1}"))).chain(added));
            is_empty = false;
        }
    }
    if !is_empty {
        println!("\nfn(u64) -> u64, tags (goal: at most {GOAL} ns for each)\n\n{table}");
    }
}
