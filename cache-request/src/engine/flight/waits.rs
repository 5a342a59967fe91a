//! Who is in the midst of which bodies, and which body waits for which: so that no body ever waits for itself.

use std::{collections::HashMap, sync::Arc};

use crate::base::{
    context::Ancestors,
    sync::{Lazy, Mutex, lock},
};

/// For each body that waits, the flights it waits for: one entry for each wait, as a body may wait for many at a time.
type Waits = HashMap<u64, Vec<u64>>;

static WAITS: Lazy<Mutex<Waits>> = Lazy::new(|| Mutex::new(Waits::new()));

/// Notes that the bodies of a ancestors wait for a flight, for as long as it lives.
///
/// A caller that is in no body notes nothing and takes no lock.
pub(super) struct Waiting {
    flight: u64,
    ancestors: Option<Arc<Ancestors>>,
}

/// Waiting would never end: the flight waits, by itself or through others, for the body that asks.
#[derive(Debug)]
pub(super) struct Cycle;

impl Waiting {
    pub(super) fn on(flight: u64, ancestors: Option<Arc<Ancestors>>) -> Result<Self, Cycle> {
        if let Some(ancestors) = &ancestors {
            // Look and note in one step, else two who are about to wait for one another would both see nothing.
            let mut waits = lock(Lazy::force(&WAITS));
            if leads_back(&waits, flight, ancestors) {
                return Err(Cycle);
            }
            for body in ancestors.flights() {
                waits.entry(body).or_default().push(flight);
            }
        }
        Ok(Self { flight, ancestors })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some(ancestors) = &self.ancestors else { return };
        let mut waits = lock(Lazy::force(&WAITS));
        for body in ancestors.flights() {
            if let Some(flights) = waits.get_mut(&body) {
                if let Some(at) = flights.iter().position(|flight| *flight == self.flight) {
                    flights.swap_remove(at);
                }
                if flights.is_empty() {
                    waits.remove(&body);
                }
            }
        }
    }
}

fn leads_back(waits: &Waits, flight: u64, ancestors: &Ancestors) -> bool {
    let mut seen = vec![flight];
    let mut next = 0;
    while let Some(flight) = seen.get(next).copied() {
        if ancestors.contains(flight) {
            return true;
        }
        for further in waits.get(&flight).into_iter().flatten() {
            if !seen.contains(further) {
                seen.push(*further);
            }
        }
        next += 1;
    }
    false
}

#[cfg(all(test, shuttle))]
pub(super) fn nobody_waits() -> bool {
    lock(Lazy::force(&WAITS)).is_empty()
}
