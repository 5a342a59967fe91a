//! Those who compete, and how they are measured.

use std::{future::ready, hint::black_box, sync::LazyLock, time::Duration, time::Instant};

use cache_request_benches::{bodies, quiet::Patience, rounds, samples::Samples};
use tokio::runtime::{Builder, Runtime};

use crate::Load;

/// About how long one measurement takes.
const SPAN: Duration = Duration::from_millis(80);

/// How many threads drive the tasks of all contenders, and their connections.
const WORKERS: usize = 2;

/// As how many tasks, one after the other, a lonely caller makes its gets. Whether a task runs on the thread that also drives its
/// connection is chance, and makes a threefold difference: so there are to be many chances in one measurement.
const CHANCES: usize = 64;

/// What all tasks run on, and all connections of async clients.
pub(crate) static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().expect("a runtime"));

/// The least that ours is to do for each get of a contender, in the order of the numbers of callers.
pub(crate) type Goals = &'static [f64];

/// One way to have a value that a server holds.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// By the bytes of a value.
    goals: fn(usize) -> Goals,
    run: Box<dyn Fn(Load) -> Duration>,
}

impl Contender {
    /// `run` puts the load on, and says how long that took.
    pub(crate) fn new(name: &'static str, run: impl Fn(Load) -> Duration + 'static) -> Self {
        Self { name, goals: |_| &[], run: Box::new(run) }
    }

    /// Each caller is a task of the runtime; `get` learns which caller asks, and for what.
    pub(crate) fn tasks<F>(name: &'static str, get: impl Fn(usize, u64) -> F + Copy + Send + 'static) -> Self
    where
        F: Future<Output: AsRef<[u8]> + Send> + Send,
    {
        Self::tasks_with(name, ready, move |caller, key| async move { (caller, get(caller, key).await) })
    }

    /// Each caller is a task that begins with something of its own, such as its handle of a connection, and gets it back from each `get`.
    pub(crate) fn tasks_with<O, B, F, V>(
        name: &'static str,
        begin: impl Fn(usize) -> B + Copy + Send + 'static,
        get: impl Fn(O, u64) -> F + Copy + Send + 'static,
    ) -> Self
    where
        O: Send,
        B: Future<Output = O> + Send,
        F: Future<Output = (O, V)> + Send,
        V: AsRef<[u8]> + Send,
    {
        let caller = move |load: Load, caller| async move {
            let mut own = begin(caller).await;
            for key in load.keys(caller) {
                let (again, value) = get(own, key).await;
                own = again;
                assert_eq!(black_box(value).as_ref().len(), load.bytes);
            }
        };
        Self::new(name, move |load| {
            let parts = if load.callers == 1 { CHANCES.min(load.each) } else { 1 };
            let part = Load { each: load.each / parts, ..load };
            RUNTIME.block_on(async {
                let start = Instant::now();
                for _ in 0..parts {
                    let running: Vec<_> = (0..part.callers).map(|nth| tokio::spawn(caller(part, nth))).collect();
                    for task in running {
                        task.await.expect("a caller does not panic");
                    }
                }
                start.elapsed().mul_f64(load.gets() as f64 / (parts * part.gets()) as f64)
            })
        })
    }

    /// Each caller is a thread.
    pub(crate) fn threads(name: &'static str, get: impl Fn(usize, u64) -> String + Sync + 'static) -> Self {
        Self::new(name, move |load| {
            let ask = |load: Load, caller| {
                for key in load.keys(caller) {
                    assert_eq!(black_box(get(caller, key)).len(), load.bytes);
                }
            };
            rounds::on_threads(load.callers, |caller| ask(Load { each: 1, ..load }, caller), |caller| ask(load, caller))
        })
    }

    /// With goals, by the bytes of a value.
    pub(crate) fn goals(self, goals: fn(usize) -> Goals) -> Self {
        Self { goals, ..self }
    }

    /// Asks for every value of a size once.
    pub(crate) fn ask_all(&self, bytes: usize) {
        (self.run)(Load::all(bytes));
    }

    /// Microseconds from one get's end to the next one's, of any caller; and how many gets had no answer in time, so that a
    /// body ran.
    fn micros(&self, load: Load) -> (f64, usize) {
        bodies::take();
        let took = (self.run)(load);
        (took.as_secs_f64() * 1e6 / load.gets() as f64, bodies::take())
    }
}

/// What one contender did, for each number of callers.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) goals: Goals,
    pub(crate) cells: Vec<Cell>,
}

/// What one contender did with one number of callers, one sample a round. Rounds in which a body ran are left out.
#[derive(Default, Clone)]
pub(crate) struct Cell {
    /// Microseconds from one get's end to the next one's, of any caller.
    pub(crate) micros: Samples,
    /// How many gets the first contender made in the same round, for each of these.
    pub(crate) ratio: Samples,
    /// How many gets had no answer in time.
    pub(crate) failed: usize,
}

/// Every contender with every number of callers, in turns.
pub(crate) fn measure(
    contenders: &[Contender],
    callers: &[usize],
    bytes: usize,
    rounds: usize,
    patience: &mut Patience,
) -> Vec<Row> {
    for contender in contenders {
        contender.ask_all(bytes);
    }
    let cells = callers.iter().map(|callers| {
        let loads: Vec<_> = contenders.iter().map(|contender| load(contender, *callers, bytes)).collect();
        let mut cells = vec![Cell::default(); contenders.len()];
        for round in 0..rounds {
            patience.wait();
            let mut outcomes = vec![(0.0, 0); contenders.len()];
            for turn in rounds::turns(round, contenders.len()) {
                outcomes[turn] = contenders[turn].micros(loads[turn]);
            }
            note(&mut cells, &outcomes);
        }
        cells
    });
    let mut rows: Vec<_> = contenders
        .iter()
        .map(|Contender { name, goals, .. }| Row { name, goals: goals(bytes), cells: Vec::new() })
        .collect();
    for column in cells {
        rows.iter_mut().zip(column).for_each(|(row, cell)| row.cells.push(cell));
    }
    rows
}

/// Adds one round to what is known of the contenders.
fn note(cells: &mut [Cell], outcomes: &[(f64, usize)]) {
    let (ours, our_failures) = outcomes[0];
    for (cell, (micros, failed)) in cells.iter_mut().zip(outcomes) {
        cell.failed += failed;
        if *failed == 0 {
            cell.micros.push(*micros);
            if our_failures == 0 {
                cell.ratio.push(micros / ours);
            }
        }
    }
}

/// As many gets as fill the time of a measurement.
fn load(contender: &Contender, callers: usize, bytes: usize) -> Load {
    let probe = Load { callers, each: (4096 / callers).max(4), bytes };
    let (micros, _) = contender.micros(probe);
    let gets = SPAN.as_secs_f64() * 1e6 / micros;
    Load { each: (gets as usize / callers).max(1), ..probe }
}
