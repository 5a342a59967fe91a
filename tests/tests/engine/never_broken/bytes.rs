//! A backend that returns anything but what was stored.

use std::time::Duration;

use cache_request::{Cache, CacheBuilder, Clock, MockClock, backend::Backend, cache_request, scoped, scoped_sync};
use cache_request_tests::{
    backends::{Bend, Bends, Bent},
    logs,
};
use futures_lite::future::block_on;

use super::{bodies, body_runs};

#[cache_request(name = "bytes")]
fn doubled(number: u64) -> Vec<u64> {
    body_runs();
    vec![number * 2; 3]
}

#[cache_request(name = "bytes-async")]
async fn tripled(number: u64) -> Result<Option<String>, u8> {
    body_runs();
    Ok(Some(format!("{}", number * 3)))
}

/// Calls both functions on a backend that finds `bytes`.
fn finds(bytes: &[u8], what: &str) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder().backend(backend.clone()).clock(clock).build().unwrap();
    backend.bend(Bends { get: Bend::Finds(bytes.to_vec()), ..Bends::default() });

    let (((answer, ran), other), lines) = logs::of(|| {
        let answer = scoped_sync(&cache, || bodies(|| doubled(21)));
        (answer, block_on(scoped(&cache, async { (tripled(14).await, cache.stats()) })))
    });
    assert_eq!((answer, ran), (vec![42; 3], 1), "{what}");
    assert_eq!(other.0, Ok(Some("42".to_owned())), "{what}");
    let stats = cache.stats();
    for name in ["bytes", "bytes-async"] {
        let function = stats.function(name).unwrap();
        assert_eq!((function.misses.undecodable, function.misses.total()), (1, 1), "{what}: {function:?}");
        assert_eq!((function.faults.total(), function.bodies, function.hits), (1, 1, 0), "{what}: {function:?}");
        let logged =
            format!("WARN cache fault: stored bytes cannot be used function={name} cause=stored bytes refused:");
        assert_eq!(lines.iter().filter(|line| line.starts_with(&logged)).count(), 1, "{what}: {lines:?}");
    }

    // What was found wrong is overwritten: as soon as the backend returns what it has, that is right.
    backend.bend(Bends::default());
    assert_eq!(scoped_sync(&cache, || bodies(|| doubled(21))), (vec![42; 3], 0), "{what}");
}

/// What `doubled(number)` has stored.
fn stored(number: u64) -> (String, Vec<u8>) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder().backend(backend.clone()).clock(clock).build().unwrap();
    scoped_sync(&cache, || {
        doubled(number);
        let key = doubled_cache(number).key().unwrap();
        let bytes = block_on(backend.get(&key)).unwrap().unwrap();
        (key, bytes)
    })
}

#[test]
fn garbage_is_a_miss() {
    finds(b"", "nothing");
    finds(b"\0", "a zero");
    finds(b"cR", "the first two bytes");
    finds(b"<html>502 Bad Gateway</html>                    ", "a page");
    finds(&[0; 38], "a header of zeros");
    finds(&[0xff; 1000], "ones");
    finds(&vec![0xc1; 64 << 20], "sixty-four mebibytes");
}

#[test]
fn stored_bytes_cut_short_at_any_length_are_a_miss() {
    let (_, bytes) = stored(21);
    for length in 0..bytes.len() {
        finds(&bytes[..length], &format!("{length} bytes"));
    }
    finds(&[&bytes[..], b"\0"].concat(), "one byte more");
    finds(&[&bytes[..], &bytes[..]].concat(), "twice");
}

#[test]
fn stored_bytes_with_any_bit_flipped_are_a_miss() {
    let (_, bytes) = stored(21);
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        finds(&flipped, &format!("bit {bit}"));
    }
}

/// A backend that mixes up its keys.
#[test]
fn bytes_of_another_key_are_a_miss() {
    finds(&stored(22).1, "another number's");
}

/// The same name in two versions of a program, and another function.
mod versions {
    use super::{body_runs, cache_request};

    #[cache_request(name = "replayed")]
    pub(super) fn first(number: u64) -> u64 {
        body_runs();
        number
    }

    #[cache_request(name = "replayed", version = 2)]
    pub(super) fn second(number: u64) -> u64 {
        body_runs();
        number + 1
    }

    #[cache_request(name = "another")]
    pub(super) fn another(number: u64) -> u64 {
        body_runs();
        number + 2
    }
}

/// Caches in one backend, with these secrets.
fn with_secrets<const COUNT: usize>(secrets: [Option<&str>; COUNT]) -> (Bent, [Cache; COUNT]) {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let caches = secrets.map(|secret| {
        let builder = Cache::builder().backend(backend.clone()).clock(clock.clone());
        secret.into_iter().fold(builder, CacheBuilder::secret).build().unwrap()
    });
    (backend, caches)
}

/// In a backend that others can write to, a cache with a secret takes nothing of theirs.
#[test]
fn what_others_have_written_is_a_miss() {
    let (_, [ours, none, theirs]) = with_secrets([Some("open sesame"), None, Some("sesame")]);
    for (other, cause) in [
        (&none, "they are not authenticated, and this cache has a secret"),
        (&theirs, "this cache's secret does not vouch for them, under this key"),
    ] {
        let before = ours.stats().function("bytes").map_or(0, |function| function.misses.undecodable);
        scoped_sync(other, || doubled_cache(21).put(&vec![13])).unwrap();
        let ((answer, ran), lines) = logs::of(|| scoped_sync(&ours, || bodies(|| doubled(21))));
        assert_eq!((answer, ran), (vec![42; 3], 1), "{cause}");
        let logged =
            format!("cache fault: stored bytes cannot be used function=bytes cause=stored bytes refused: {cause}");
        assert!(lines.iter().any(|line| line.contains(&logged)), "{lines:?}");
        assert_eq!(ours.stats().function("bytes").unwrap().misses.undecodable, before + 1);
        assert_eq!(scoped_sync(&ours, || bodies(|| doubled(21))), (vec![42; 3], 0), "{cause}");
    }
    // The other way round as well: what is authenticated is no bare answer.
    assert_eq!(scoped_sync(&none, || bodies(|| doubled(21))), (vec![42; 3], 1));
}

/// Our own bytes, too, are good for their own call only.
#[test]
fn what_is_replayed_under_another_key_is_a_miss() {
    use versions::{another, another_cache, first, first_cache, second, second_cache};
    let (backend, [ours]) = with_secrets([Some("open sesame")]);
    scoped_sync(&ours, || {
        assert_eq!(first(1), 1);
        let bytes = block_on(backend.get(&first_cache(1).key().unwrap())).unwrap().unwrap();
        for key in [first_cache(2).key(), second_cache(1).key(), another_cache(1).key()].map(Result::unwrap) {
            block_on(backend.set(&key, &bytes, None)).unwrap();
        }
        assert_eq!(bodies(|| [first(1), first(2), second(1), another(1)]), ([1, 2, 2, 3], 3));
        assert_eq!(bodies(|| [first(1), first(2), second(1), another(1)]), ([1, 2, 2, 3], 0));
    });
    let stats = ours.stats();
    let undecodable: u64 = stats.functions.iter().map(|function| function.misses.undecodable).sum();
    assert_eq!(undecodable, 3);
}

/// As the documentation says: an older answer of the same call is our own, as long as it is fresh.
#[test]
fn what_is_replayed_under_its_own_key_is_not_told_from_new() {
    let (backend, [ours]) = with_secrets([Some("open sesame")]);
    scoped_sync(&ours, || {
        let call = || doubled_cache(21);
        call().put(&vec![1]).unwrap();
        let older = block_on(backend.get(&call().key().unwrap())).unwrap().unwrap();
        call().put(&vec![2]).unwrap();
        block_on(backend.set(&call().key().unwrap(), &older, None)).unwrap();
        assert_eq!(call().peek(), Some(vec![1]));
    });
}

/// The backend's own error stands, and what was right before is not taken for wrong later.
#[test]
fn a_hit_after_garbage_is_a_hit() {
    let clock = Clock::mock();
    let backend = Bent::new(&clock);
    let cache = Cache::builder().backend(backend.clone()).clock(clock).build().unwrap();
    scoped_sync(&cache, || {
        let (key, _) = stored(21);
        block_on(backend.set(&key, b"garbage", None)).unwrap();
        assert_eq!(bodies(|| [doubled(21), doubled(21), doubled(21)]), ([vec![42; 3], vec![42; 3], vec![42; 3]], 1));
        assert_eq!(cache.stats().function("bytes").unwrap().hits, 2);
    });
}

/// Its timeout would end as much too late as the writer's clock is ahead.
#[test]
fn a_value_of_a_writer_whose_clock_was_ahead_was_fresh_for_too_long() {
    let (right, ahead) = (Clock::mock(), Clock::mock());
    ahead.advance(Duration::from_secs(60));
    let backend = Bent::new(&right);
    let on = |clock: &MockClock| Cache::builder().backend(backend.clone()).clock(clock).build().unwrap();
    let (reader, writer) = (on(&right), on(&ahead));
    let both = || {
        scoped_sync(&writer, || doubled_cache(21).put(&vec![1])).unwrap();
        scoped_sync(&reader, || bodies(|| doubled(21)))
    };
    assert_eq!(both(), (vec![1], 0), "clocks differ by a minute");
    ahead.advance(Duration::from_millis(1));
    assert_eq!(both(), (vec![42; 3], 1));
    assert_eq!(scoped_sync(&reader, || bodies(|| doubled(21))), (vec![42; 3], 0));
}
