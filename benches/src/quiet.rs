//! Waits for a moment at which the machine is otherwise idle.

use std::{
    hint::spin_loop,
    thread,
    time::{Duration, Instant},
};

use crate::rounds::on_threads;

/// Waits until two threads are as fast as one, as long as there is patience left.
#[derive(Debug)]
pub struct Patience {
    left: Duration,
}

/// Two threads that take longer than one by this factor do not have a core each.
const MOST: f64 = 1.15;

impl Patience {
    /// So much patience for the whole of a benchmark.
    #[must_use]
    pub fn new(left: Duration) -> Self {
        Self { left }
    }

    /// Returns at a quiet moment, or once there is no patience left.
    pub fn wait(&mut self) {
        while !self.left.is_zero() {
            let start = Instant::now();
            let alone = on_threads(1, |_| {}, |_| spin());
            let both = on_threads(2, |_| {}, |_| spin());
            if both.as_secs_f64() < alone.as_secs_f64() * MOST {
                return;
            }
            thread::sleep(Duration::from_millis(20));
            self.left = self.left.saturating_sub(start.elapsed());
        }
    }
}

fn spin() {
    for _ in 0..20_000 {
        spin_loop();
    }
}
