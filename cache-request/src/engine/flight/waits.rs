//! Which body waits for which flight, so that no body waits for itself, directly or through others.

use std::collections::{HashMap, HashSet};

use crate::base::{
    context::Ancestors,
    sync::{Lazy, Mutex, lock},
};

/// The flights that each waiting body waits for, one entry per wait: a body may wait for several at a time.
type Waits = HashMap<u64, Vec<u64>>;

static WAITS: Lazy<Mutex<Waits>> = Lazy::new(|| Mutex::new(Waits::new()));

/// Records that a caller's ancestors wait for a flight, for as long as this value lives.
///
/// A caller outside any body records nothing and takes no lock.
pub(super) struct Waiting {
    flights: [u64; 2],
    ancestors: Ancestors,
}

/// Waiting would never end: the flight waits, directly or through others, for the body that asks.
#[derive(Debug)]
pub(super) struct Cycle;

impl Waiting {
    /// On two flights, or twice on one.
    pub(super) fn on(flights: [u64; 2], ancestors: Ancestors) -> Result<Self, Cycle> {
        if !ancestors.flights().is_empty() {
            // Checked and recorded under one lock: two bodies about to wait for one another must not both pass the check.
            let mut waits = lock(Lazy::force(&WAITS));
            if leads_back(&waits, different(&flights), &ancestors) {
                return Err(Cycle);
            }
            for body in ancestors.flights() {
                waits.entry(*body).or_default().extend(different(&flights));
            }
        }
        Ok(Self { flights, ancestors })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.ancestors.flights().is_empty() {
            return;
        }
        let mut waits = lock(Lazy::force(&WAITS));
        for body in self.ancestors.flights() {
            if let Some(flights) = waits.get_mut(body) {
                for own in different(&self.flights) {
                    if let Some(at) = flights.iter().position(|flight| flight == own) {
                        flights.swap_remove(at);
                    }
                }
                if flights.is_empty() {
                    waits.remove(body);
                }
            }
        }
    }
}

fn different(flights: &[u64; 2]) -> &[u64] {
    if flights[0] == flights[1] { &flights[..1] } else { flights }
}

fn leads_back(waits: &Waits, flights: &[u64], ancestors: &Ancestors) -> bool {
    let mut seen: HashSet<u64> = flights.iter().copied().collect();
    let mut next = flights.to_vec();
    while let Some(flight) = next.pop() {
        if ancestors.flights().contains(&flight) {
            return true;
        }
        next.extend(waits.get(&flight).into_iter().flatten().filter(|further| seen.insert(**further)));
    }
    false
}

#[cfg(all(test, shuttle))]
pub(super) fn no_waits() -> bool {
    lock(Lazy::force(&WAITS)).is_empty()
}
