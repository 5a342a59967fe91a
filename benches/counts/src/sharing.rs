//! Which cache lines move between two threads that hit the same key, by a trace of all accesses to memory.

use std::{
    collections::HashSet,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

use crate::{
    cases::{Case, SHARE},
    child,
};

/// The bytes of a cache line.
const LINE: u64 = 64;

/// The cache lines that one thread used.
#[derive(Default)]
struct Used {
    read: HashSet<u64>,
    written: HashSet<u64>,
}

/// How many cache lines one of two threads writes and the other one reads or writes, in hits on one key. Such a line moves from one
/// processor to the other with each hit, so as many threads are no faster than one. `None` if the case has no such hits.
pub(crate) fn lines_shared(case: &Case) -> Option<usize> {
    case.hot?;
    let mut tracing = child(&["--tool=lackey", "--basic-counts=no", "--trace-mem=yes"], SHARE, case);
    let mut running = tracing.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("valgrind can be run");
    let trace = BufReader::new(running.stderr.take().expect("it is piped"));
    let mut accesses = Vec::new();
    for line in trace.lines().map_while(Result::ok) {
        accesses.extend(Access::read(&line));
    }
    let mut printed = String::new();
    running.stdout.take().expect("it is piped").read_to_string(&mut printed).expect("it is text");
    assert!(running.wait().is_ok_and(|status| status.success()), "{} fails", case.name);
    let mark = u64::from_str_radix(printed.trim().trim_start_matches("0x"), 16).expect("the address of the mark");

    let marks: Vec<usize> =
        (0..accesses.len()).filter(|at| accesses[*at].writes && accesses[*at].address == mark).collect();
    let [first_start, first_end, second_start, second_end] = marks[..] else {
        panic!("{}: {} marks in the trace, not four", case.name, marks.len());
    };
    let first = Used::by(&accesses[first_start + 1..first_end]);
    let second = Used::by(&accesses[second_start + 1..second_end]);
    let moves = |line: &&u64| {
        let (one, other) = (first.written.contains(line), second.written.contains(line));
        one && (other || second.read.contains(line)) || other && first.read.contains(line)
    };
    Some(first.written.union(&second.written).filter(moves).count())
}

impl Used {
    fn by(accesses: &[Access]) -> Self {
        assert!(!accesses.is_empty(), "the trace shows what a hit does");
        let mut used = Self::default();
        for access in accesses {
            let lines = if access.writes { &mut used.written } else { &mut used.read };
            lines.extend(access.address / LINE..=(access.address + access.bytes - 1) / LINE);
        }
        used
    }
}

/// An access to memory.
struct Access {
    address: u64,
    bytes: u64,
    writes: bool,
}

impl Access {
    /// An access as lackey writes it: ` S 1ffeffe7e0,8`. `S` is a store, `L` a load, `M` both.
    fn read(line: &str) -> Option<Self> {
        let (kind, access) = line.trim_start().split_once(' ')?;
        let writes = match kind {
            "S" | "M" => true,
            "L" => false,
            _ => return None,
        };
        let (address, bytes) = access.trim().split_once(',')?;
        Some(Self { address: u64::from_str_radix(address, 16).ok()?, bytes: bytes.parse().ok()?, writes })
    }
}
