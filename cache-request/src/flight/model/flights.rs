//! The state machine by itself, in every order of its steps.

use super::{
    super::{Fence, FlightKey, Flights, Join, Landing, Lead, Shared},
    *,
};
use crate::{
    key::OwnedKey,
    shim::{Mutex, lock},
};

fn flight_key() -> FlightKey {
    FlightKey { function: 0, hash: 7, key: OwnedKey::from(&[7][..]) }
}

fn land(mut lead: Lead<'_>, share: impl FnOnce() -> Option<Shared>) {
    lead.land(share);
}

fn value(landing: &Landing) -> Option<u32> {
    match landing {
        Landing::Value(shared) => shared.downcast_ref().copied(),
        Landing::Nothing | Landing::Abandoned => None,
    }
}

#[test]
fn who_joins_is_woken() {
    exhaust(|| {
        let flights = Arc::new(Flights::default());
        let Join::Lead(lead) = flights.join(&flight_key()) else { unreachable!() };
        let joiner = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&flight_key()) {
                Join::Lead(lead) => land(lead, || unreachable!("nobody waits")),
                Join::Wait(wait) => assert_eq!(value(&future::block_on(wait)), Some(5)),
            }
        });
        land(lead, || Some(Arc::new(5_u32) as Shared));
        joiner.join().unwrap();
        assert!(flights.running.is_empty());
    });
}

/// Whatever a leader keeps, beside another thread that fences, heeds that as it does, and deletes: it is gone in the end.
fn assert_nothing_stays(
    heed: impl Fn(Fence) + Copy + Send + Sync + 'static,
    keep: impl Fn(&Lead<'_>, &Mutex<Option<u32>>) + Send + Sync + 'static,
) {
    exhaust(move || {
        let flights = Arc::new(Flights::default());
        let store = Arc::new(Mutex::new(None));
        let Join::Lead(lead) = flights.join(&flight_key()) else { unreachable!() };
        let invalidator = thread::spawn({
            let (flights, store) = (Arc::clone(&flights), Arc::clone(&store));
            move || {
                heed(flights.fence(&flight_key()));
                *lock(&store) = None;
            }
        });
        keep(&lead, &store);
        land(lead, || None);
        invalidator.join().unwrap();
        assert_eq!(*lock(&store), None);
        assert!(flights.running.is_empty());
    });
}

#[test]
fn what_is_fenced_is_not_kept() {
    assert_nothing_stays(drop, |lead, store| _ = lead.keep(|| *lock(store) = Some(5)));
}

#[test]
fn a_deletion_comes_after_what_was_on_its_way() {
    assert_nothing_stays(future::block_on, |lead, store| {
        if lead.begin_storing() {
            *lock(store) = Some(5);
        }
    });
}

#[test]
fn who_gives_up_is_followed_by_a_leader() {
    explore(|| {
        let flights = Arc::new(Flights::default());
        let lead = match flights.join(&flight_key()) {
            Join::Lead(lead) => lead,
            Join::Wait(_) => unreachable!(),
        };
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let flights = Arc::clone(&flights);
                thread::spawn(move || {
                    loop {
                        match flights.join(&flight_key()) {
                            Join::Lead(lead) => return land(lead, || Some(Arc::new(6_u32) as Shared)),
                            Join::Wait(wait) => flights.give_up_on(&flight_key(), &wait),
                        }
                    }
                })
            })
            .collect();
        let patient = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&flight_key()) {
                Join::Lead(lead) => land(lead, || Some(Arc::new(7_u32) as Shared)),
                Join::Wait(wait) => assert!(value(&future::block_on(wait)).is_some()),
            }
        });
        thread::yield_now();
        land(lead, || Some(Arc::new(5_u32) as Shared));
        for waiter in waiters {
            waiter.join().unwrap();
        }
        patient.join().unwrap();
        assert!(flights.running.is_empty());
    });
}
