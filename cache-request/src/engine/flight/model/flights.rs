//! The state machine by itself, in every order of its steps.

use std::sync::LazyLock;

use super::{
    super::{Caller, Fence, FlightKey, FlightLimits, Flights, Join, Leader, Memory, Outcome, Running, Shared},
    *,
};
use crate::{
    MockClock,
    base::{
        clock::NEVER,
        panic::PanicSafe,
        sync::{Mutex, lock},
    },
    store::{Lifetime, Limits, Put, RemovalCause, Table, tags::Stamps},
};

static KEY: LazyLock<Key> = LazyLock::new(|| key(7));

fn flight_key() -> FlightKey<'static> {
    FlightKey { function: 0, key: KEY.lookup() }
}

/// A caller that asks for no value.
fn caller() -> Caller<'static> {
    Caller { key: flight_key(), table: None, blocks: false, group: None }
}

fn flights() -> Flights {
    flights_at(&Clock::mock())
}

fn flights_at(clock: &MockClock) -> Flights {
    let limits = FlightLimits { max_leaders: 16, poll_limit: Duration::from_millis(500) };
    let memory = Memory::new(Limits { bytes: 1 << 20, entries: usize::MAX }, clock.into());
    Flights::new(limits, clock.into(), Arc::new(memory))
}

/// Flights, and where their values go.
struct Places {
    flights: Flights,
    table: Arc<Table<u32>>,
    backend: Mutex<Option<u32>>,
}

impl Places {
    fn at(clock: &MockClock) -> Arc<Self> {
        let flights = flights_at(clock);
        let table = flights.memory.table();
        Arc::new(Self { flights, table, backend: Mutex::new(None) })
    }

    /// A caller that asks for a value in memory, too.
    fn join(&self) -> Join<'_> {
        self.flights.join(&Caller { table: Some(&*self.table), ..caller() })
    }

    /// Lands with a value. Returns whether it was kept.
    fn land(&self, leader: &mut Leader<'_>, value: u32) -> bool {
        let land = |running: &mut Running| leader.land(running, KEY.words());
        let value = PanicSafe::new(value);
        let life = Lifetime::until(NEVER);
        matches!(
            self.flights.memory.put_if(&self.table, &KEY.lookup(), value, (life, Stamps::NONE), 0, land),
            Put::Stored
        )
    }

    fn in_memory(&self) -> Option<u32> {
        self.table.read(&KEY.lookup(), || 0, |value, _, _| *value)
    }
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
        let Join::Leader(leader) = flights.join(&caller()) else { unreachable!() };
        let joiner = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&caller()) {
                Join::Leader(leader) => complete(leader, || unreachable!("no caller waits")),
                Join::Waiter(wait) => assert_eq!(value(&future::block_on(wait)), Some(5)),
                Join::Reader => unreachable!("it asks for no value"),
            }
        });
        complete(leader, || Some(Arc::new(5_u32) as Shared));
        joiner.join().unwrap();
        assert!(flights.is_empty());
    });
}

/// Of two callers one leads, and the other one waits for its value or finds that.
#[test]
fn who_joins_when_a_value_lands_finds_it() {
    exhaust(|| {
        let places = Places::at(&Clock::mock());
        let Join::Leader(mut leader) = places.join() else { unreachable!() };
        let joiner = thread::spawn({
            let places = Arc::clone(&places);
            move || match places.join() {
                Join::Leader(_) => unreachable!("a second body runs"),
                Join::Waiter(wait) => assert_eq!(value(&future::block_on(wait)), Some(5)),
                Join::Reader => assert_eq!(places.in_memory(), Some(5)),
            }
        });
        assert!(places.land(&mut leader, 5));
        complete(leader, || Some(Arc::new(5_u32) as Shared));
        joiner.join().unwrap();
        assert!(places.flights.is_empty());
    });
}

/// Whatever a leader keeps, beside another thread that fences, heeds that as it does, and deletes: it is gone in the end.
fn assert_nothing_stays(
    heed: impl Fn(Fence) + Copy + Send + Sync + 'static,
    keep: impl Fn(&mut Leader<'_>, &Places) + Send + Sync + 'static,
) {
    exhaust(move || {
        let places = Places::at(&Clock::mock());
        let Join::Leader(mut leader) = places.join() else { unreachable!() };
        let invalidator = thread::spawn({
            let places = Arc::clone(&places);
            move || {
                heed(places.flights.fence(flight_key()));
                places.flights.memory.remove(&places.table, &KEY.lookup(), RemovalCause::Invalidated);
                *lock(&places.backend) = None;
            }
        });
        keep(&mut leader, &places);
        complete(leader, || None);
        invalidator.join().unwrap();
        assert_eq!((places.in_memory(), *lock(&places.backend)), (None, None));
        assert!(places.flights.is_empty());
    });
}

#[test]
fn what_is_fenced_is_not_kept() {
    assert_nothing_stays(drop, |leader, places| _ = places.land(leader, 5));
}

#[test]
fn a_deletion_comes_after_what_was_on_its_way() {
    assert_nothing_stays(future::block_on, |leader, places| {
        if leader.begin_storing() {
            *lock(&places.backend) = Some(5);
        }
    });
}

#[test]
fn who_gives_up_is_followed_by_a_leader() {
    explore(|| {
        let flights = Arc::new(flights());
        let leader = match flights.join(&caller()) {
            Join::Leader(leader) => leader,
            Join::Waiter(_) | Join::Reader => unreachable!(),
        };
        let waiters: Vec<_> = (0..2)
            .map(|_| {
                let flights = Arc::clone(&flights);
                thread::spawn(move || {
                    loop {
                        match flights.join(&caller()) {
                            Join::Leader(leader) => return complete(leader, || Some(Arc::new(6_u32) as Shared)),
                            Join::Waiter(wait) => flights.give_up_on(&wait),
                            Join::Reader => unreachable!("it asks for no value"),
                        }
                    }
                })
            })
            .collect();
        let patient = thread::spawn({
            let flights = Arc::clone(&flights);
            move || match flights.join(&caller()) {
                Join::Leader(leader) => complete(leader, || Some(Arc::new(7_u32) as Shared)),
                Join::Waiter(wait) => assert!(value(&future::block_on(wait)).is_some()),
                Join::Reader => unreachable!("it asks for no value"),
            }
        });
        thread::yield_now();
        complete(leader, || Some(Arc::new(5_u32) as Shared));
        for waiter in waiters {
            waiter.join().unwrap();
        }
        patient.join().unwrap();
        assert!(flights.is_empty());
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
                    let mut joined = flights.join(&caller());
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
                                Outcome::Room => joined = flights.join_again(&caller(), wait),
                                shared => return assert_eq!(value(&shared), Some(5)),
                            },
                            Join::Reader => unreachable!("it asks for no value"),
                        }
                    }
                })
            })
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        assert!(begun.load(SeqCst) <= 4, "a body began beside the value");
        assert!(flights.is_empty());
    });
}

/// A leader that was woken is not polled, and another one leads in its place. Then the first one comes back.
#[test]
fn a_leader_that_passes_its_lead_on_keeps_nothing() {
    explore(|| {
        let clock = Clock::mock();
        let places = Places::at(&clock);
        let Join::Leader(mut held) = places.join() else { unreachable!() };
        held.pulse().expect("no thread leads").wake();
        clock.advance(Duration::from_millis(500));
        let leaders = Arc::new(AtomicU32::new(0));
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let (places, leaders) = (Arc::clone(&places), Arc::clone(&leaders));
                thread::spawn(move || match places.join() {
                    Join::Leader(mut leader) => {
                        leaders.fetch_add(1, SeqCst);
                        assert!(places.land(&mut leader, 6));
                        complete(leader, || Some(Arc::new(6_u32) as Shared));
                    }
                    Join::Waiter(wait) => {
                        assert_eq!(value(&future::block_on(wait)), Some(6), "of the one in its place");
                    }
                    Join::Reader => assert_ne!(places.in_memory(), None),
                })
            })
            .collect();
        thread::yield_now();
        let passed_over = leaders.load(SeqCst) > 0;
        let kept = places.land(&mut held, 5);
        assert!(!(passed_over && kept), "it led no more, and kept its value");
        complete(held, || Some(Arc::new(6_u32) as Shared));
        for caller in callers {
            caller.join().unwrap();
        }
        assert!(leaders.load(SeqCst) > 0 || kept);
        assert!(places.in_memory().is_some());
        assert!(places.flights.is_empty());
    });
}
