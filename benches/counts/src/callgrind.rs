//! Counts of one case under callgrind: instructions, those that lock memory, calls of the allocator, and reads of clocks.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use rustix::time::ClockId;

use crate::{
    COLUMNS,
    cases::{COUNT, Case, MARKING_CLOCK},
    child,
};

/// What callgrind counted in one call.
pub(crate) struct Counted([f64; 5]);

impl Counted {
    pub(crate) fn with(self, lines_shared: Option<usize>) -> [Option<f64>; COLUMNS.len()] {
        let [instructions, allocations, locked, clock_reads, precise_reads] = self.0.map(Some);
        [instructions, allocations, locked, clock_reads, precise_reads, lines_shared.map(|lines| lines as f64)]
    }
}

/// Runs callgrind. It remembers where a program or library has instructions that lock memory.
#[derive(Default)]
pub(crate) struct Callgrind {
    locking: HashMap<String, HashSet<u64>>,
}

const ALLOCATE: [&str; 5] = ["malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc"];

impl Callgrind {
    pub(crate) fn count(&mut self, case: &Case) -> Counted {
        let valgrind = [
            "--quiet",
            "--trace-syscalls=yes",
            "--tool=callgrind",
            "--callgrind-out-file=/dev/stdout",
            "--dump-instr=yes",
            "--compress-strings=no",
            "--compress-pos=no",
            "--toggle-collect=*measured*",
        ];
        let output = child(&valgrind, COUNT, case).output().expect("valgrind can be run");
        let traced = String::from_utf8_lossy(&output.stderr);
        let said = || traced.lines().filter(|line| !line.starts_with("SYSCALL")).collect::<Vec<_>>().join("\n");
        assert!(output.status.success(), "{} fails: {}", case.name, said());
        let profile = Profile::read(&String::from_utf8_lossy(&output.stdout));
        let locked: u64 = profile.objects.iter().map(|(object, counts)| self.locked(object, counts)).sum();
        let [clock_reads, precise_reads] = clock_reads(&traced);
        let counts = [profile.instructions(), profile.calls_of(&ALLOCATE), locked, clock_reads, precise_reads];
        Counted(counts.map(|count| count as f64 / case.calls as f64))
    }

    fn locked(&mut self, object: &str, counts: &HashMap<u64, u64>) -> u64 {
        let locking = self.locking.entry(object.to_owned()).or_insert_with(|| locking_instructions(object));
        counts.iter().filter(|(address, _)| locking.contains(address)).map(|(_, count)| count).sum()
    }
}

/// How often the first thread reads a clock between the two reads of [`MARKING_CLOCK`], and how often one that is not coarse. Under
/// valgrind each read is a system call, which the trace shows with the number of its clock.
fn clock_reads(traced: &str) -> [u64; 2] {
    let of_first_thread = traced.lines().filter(|line| line.split(']').next().is_some_and(|ids| ids.ends_with(",1")));
    let clocks: Vec<u64> = of_first_thread
        .filter_map(|line| line.split_once("sys_clock_gettime(")?.1.split(',').next()?.trim().parse().ok())
        .collect();
    let parts: Vec<&[u64]> = clocks.split(|clock| *clock == MARKING_CLOCK as u64).collect();
    let [_, measured, _] = parts[..] else { panic!("{} marks in the trace, not two", parts.len() - 1) };
    let coarse = [ClockId::MonotonicCoarse as u64, ClockId::RealtimeCoarse as u64];
    [measured.len(), measured.iter().filter(|clock| !coarse.contains(clock)).count()].map(|reads| reads as u64)
}

/// What callgrind wrote, in the format that its manual describes.
#[derive(Default)]
struct Profile {
    /// For each program or library, how often the instruction at an address ran.
    objects: BTreeMap<String, HashMap<u64, u64>>,
    /// For each function that is called, its object and the address of its first instruction. How often it was called is what that
    /// ran: the format's own counts of calls include those made while nothing was to be counted.
    functions: BTreeMap<String, (String, u64)>,
}

impl Profile {
    fn read(text: &str) -> Self {
        let mut profile = Self::default();
        let (mut object, mut called, mut object_called) = (String::new(), String::new(), None);
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(name) = line.strip_prefix("ob=") {
                name.clone_into(&mut object);
            } else if let Some(name) = line.strip_prefix("cob=") {
                object_called = Some(name.to_owned());
            } else if let Some(name) = line.strip_prefix("cfn=") {
                name.clone_into(&mut called);
            } else if let Some(call) = line.strip_prefix("calls=") {
                let start = hex(call.split(' ').nth(1).unwrap_or_default());
                let object = object_called.take().unwrap_or_else(|| object.clone());
                profile.functions.insert(called.clone(), (object, start));
                // What the call cost is counted where it was spent.
                lines.next();
            } else if line.starts_with("0x") {
                let mut fields = line.split(' ');
                let address = hex(fields.next().unwrap_or_default());
                let count = fields.nth(1).and_then(|count| count.parse::<u64>().ok()).expect("a count");
                *profile.objects.entry(object.clone()).or_default().entry(address).or_default() += count;
            }
        }
        profile
    }

    fn instructions(&self) -> u64 {
        self.objects.values().flat_map(HashMap::values).sum()
    }

    fn calls_of(&self, functions: &[&str]) -> u64 {
        // Some have the version of the C library in their name.
        let is_one = |name: &str| functions.contains(&name.split('@').next().unwrap_or(name));
        let called = self.functions.iter().filter(|(name, _)| is_one(name));
        called.filter_map(|(_, (object, start))| self.objects.get(object)?.get(start)).sum()
    }
}

fn hex(address: &str) -> u64 {
    u64::from_str_radix(address.trim_start_matches("0x"), 16).expect("an address")
}

/// The addresses of the instructions that lock memory: those with the prefix, and each exchange with memory.
fn locking_instructions(object: &str) -> HashSet<u64> {
    let mut disassembly = Command::new("objdump");
    disassembly.args(["--disassemble", "--no-show-raw-insn", object]);
    let mut running = disassembly.stdout(Stdio::piped()).spawn().expect("objdump can be run");
    let lines = BufReader::new(running.stdout.take().expect("it is piped")).lines();
    let locking = lines.map_while(Result::ok).filter_map(|line| {
        let (address, instruction) = line.split_once(":\t")?;
        let locks = instruction.starts_with("lock ") || instruction.starts_with("xchg ") && instruction.contains('(');
        locks.then(|| hex(address.trim()))
    });
    let locking = locking.collect();
    assert!(running.wait().is_ok_and(|status| status.success()), "{object} cannot be disassembled");
    locking
}
