//! The state machine by itself, in every order of its steps.

use super::{
    super::{Fence, FlightKey, FlightLimits, Flights, Join, Leader, Outcome, Shared},
    *,
};
use crate::{
    MockClock,
    base::sync::{Mutex, lock},
    key::OwnedKey,
};

fn flight_key() -> FlightKey {
    FlightKey { function: 0, hash: 7, key: OwnedKey::from(&[7][..]) }
}

fn flights() -> Flights {
    flights_at(&Clock::mock())
}

fn flights_at(clock: &MockClock) -> Flights {
    Flights::new(FlightLimits { max_leaders: 16, poll_limit: Duration::from_millis(500) }, clock.into())
}

fn complete(mut leader: Leader<'_>, share: impl FnOnce() -> Option<Shared>) {
    leader.complete(share);
}

fn value(outcome: &Outcome) -> Option<u32> {
    match outcome {
        Outcome::Value(shared) => shared.downcast_ref().copied(),
        Outcome::Err(_) | Outcome::Nothing | Outcome::Room => None,
    }
}

#[test]
fn who_joins_is_woken() {
    exhaust(|| {
        let flights = Arc::new(flights());
        let Join::Leader(leader) = flights.join(&flight_key()) else { unreachable!() };
        let joiner = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&flight_key()) {
                Join::Leader(leader) => complete(leader, || unreachable!("no caller waits")),
                Join::Waiter(wait) => assert_eq!(value(&future::block_on(wait)), Some(5)),
            }
        });
        complete(leader, || Some(Arc::new(5_u32) as Shared));
        joiner.join().unwrap();
        assert!(flights.running.is_empty());
    });
}

/// Whatever a leader keeps, beside another thread that fences, heeds that as it does, and deletes: it is gone in the end.
fn assert_nothing_stays(
    heed: impl Fn(Fence) + Copy + Send + Sync + 'static,
    keep: impl Fn(&Leader<'_>, &Mutex<Option<u32>>) + Send + Sync + 'static,
) {
    exhaust(move || {
        let flights = Arc::new(flights());
        let store = Arc::new(Mutex::new(None));
        let Join::Leader(leader) = flights.join(&flight_key()) else { unreachable!() };
        let invalidator = thread::spawn({
            let (flights, store) = (Arc::clone(&flights), Arc::clone(&store));
            move || {
                heed(flights.fence(&flight_key()));
                *lock(&store) = None;
            }
        });
        keep(&leader, &store);
        complete(leader, || None);
        invalidator.join().unwrap();
        assert_eq!(*lock(&store), None);
        assert!(flights.running.is_empty());
    });
}

#[test]
fn what_is_fenced_is_not_kept() {
    assert_nothing_stays(drop, |leader, store| _ = leader.keep(|| *lock(store) = Some(5)));
}

#[test]
fn a_deletion_comes_after_what_was_on_its_way() {
    assert_nothing_stays(future::block_on, |leader, store| {
        if leader.begin_storing() {
            *lock(store) = Some(5);
        }
    });
}

#[test]
fn who_gives_up_is_followed_by_a_leader() {
    explore(|| {
        let flights = Arc::new(flights());
        let leader = match flights.join(&flight_key()) {
            Join::Leader(leader) => leader,
            Join::Waiter(_) => unreachable!(),
        };
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let flights = Arc::clone(&flights);
                thread::spawn(move || {
                    loop {
                        match flights.join(&flight_key()) {
                            Join::Leader(leader) => return complete(leader, || Some(Arc::new(6_u32) as Shared)),
                            Join::Waiter(wait) => flights.give_up_on(&wait),
                        }
                    }
                })
            })
            .collect();
        let patient = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&flight_key()) {
                Join::Leader(leader) => complete(leader, || Some(Arc::new(7_u32) as Shared)),
                Join::Waiter(wait) => assert!(value(&future::block_on(wait)).is_some()),
            }
        });
        thread::yield_now();
        complete(leader, || Some(Arc::new(5_u32) as Shared));
        for waiter in waiters {
            waiter.join().unwrap();
        }
        patient.join().unwrap();
        assert!(flights.running.is_empty());
    });
}

/// Two bodies fail and two run then, one of which has a value: it is for all the others, also for those who were about to lead.
#[test]
fn a_value_reaches_all_who_wait_when_it_comes() {
    explore(|| {
        let flights = Arc::new(flights());
        let (begun, waiting) = (Arc::new(AtomicU32::new(0)), Arc::new(AtomicU32::new(0)));
        let callers: Vec<_> = (0..6)
            .map(|_| {
                let (flights, begun, waiting) = (Arc::clone(&flights), Arc::clone(&begun), Arc::clone(&waiting));
                thread::spawn(move || {
                    let mut joined = flights.join(&flight_key());
                    if matches!(joined, Join::Waiter(_)) {
                        waiting.fetch_add(1, SeqCst);
                    }
                    loop {
                        match joined {
                            Join::Leader(mut leader) => {
                                while waiting.load(SeqCst) < 5 {
                                    thread::yield_now();
                                }
                                if begun.fetch_add(1, SeqCst) < 2 {
                                    return leader.fail(|| None);
                                }
                                return complete(leader, || Some(Arc::new(5_u32) as Shared));
                            }
                            Join::Waiter(mut wait) => match future::block_on(&mut wait) {
                                Outcome::Room => joined = flights.join_again(wait),
                                shared => return assert_eq!(value(&shared), Some(5)),
                            },
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        assert!(begun.load(SeqCst) <= 4, "a body began beside the value");
        assert!(flights.running.is_empty());
    });
}

/// A leader that was woken is not polled, and another one leads in its place. Then the first one comes back.
#[test]
fn a_leader_that_passes_its_lead_on_keeps_nothing() {
    explore(|| {
        let clock = Clock::mock();
        let flights = Arc::new(flights_at(&clock));
        let store = Arc::new(Mutex::new(None));
        let Join::Leader(held) = flights.join(&flight_key()) else { unreachable!() };
        held.flight.pulse.wake();
        clock.advance(Duration::from_millis(500));
        let leaders = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (flights, store, leaders) = (Arc::clone(&flights), Arc::clone(&store), Arc::clone(&leaders));
                thread::spawn(move || match flights.join(&flight_key()) {
                    Join::Leader(mut leader) => {
                        leaders.fetch_add(1, SeqCst);
                        drop(leader.overtake());
                        let kept = leader.keep(|| *lock(&store) = Some(6));
                        assert!(kept.is_some());
                        complete(leader, || Some(Arc::new(6_u32) as Shared));
                    }
                    Join::Waiter(wait) => {
                        assert_eq!(value(&future::block_on(wait)), Some(6), "of the one in its place")
                    }
                })
            })
            .collect();
        thread::yield_now();
        let passed_over = leaders.load(SeqCst) > 0;
        let kept = held.keep(|| *lock(&store) = Some(5));
        assert!(!(passed_over && kept.is_some()), "it led no more, and kept its value");
        complete(held, || Some(Arc::new(6_u32) as Shared));
        for caller in callers {
            caller.join().unwrap();
        }
        assert_ne!(leaders.load(SeqCst), 0);
        assert_eq!(*lock(&store), Some(6));
        assert!(flights.running.is_empty());
    });
}
