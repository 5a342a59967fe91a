//! Loads whose outcome is known.

use super::{SECOND, load::Load, model};

/// All calls are for one key, which nothing has.
fn one_cold_key(leases: bool) -> Load {
    Load { processes: 16, keys: 1, hot: 1.0, writes: 0.0, leases, until: 2 * SECOND, ..Load::default() }
}

#[test]
fn a_fleet_with_leases_ran_more_than_one_body() {
    let out = model::run(&one_cold_key(true));
    assert_eq!((out.sum(|second| second.bodies), out.sum(|second| second.extra)), (1.0, 0.0));
    assert!(out.sum(|second| second.polls) >= 15.0);
}

#[test]
fn a_fleet_without_leases_ran_no_body_in_each_process() {
    let out = model::run(&one_cold_key(false));
    assert_eq!((out.sum(|second| second.bodies), out.sum(|second| second.extra)), (16.0, 15.0));
}

#[test]
fn near_caches_did_not_keep_what_they_had_read() {
    let out = model::run(&Load { warm: true, timeout: 1_000_000 * SECOND, ..one_cold_key(true) });
    // Each process reads the value once.
    assert_eq!(out.sum(|second| second.commands[0]), 16.0);
    let with_writes = model::run(&Load { warm: true, writes: 0.0001, until: 20 * SECOND, ..one_cold_key(true) });
    let (told, invalidations) = (with_writes.sum(|second| second.told), 16.0 * 1000.0 * 20.0 * 0.0001);
    // One message for the end of a value, one for the next value.
    assert!((told / (2.0 * invalidations) - 1.0).abs() < 0.5, "{told} messages");
}

#[test]
fn a_key_did_not_stand_for_its_neighbours() {
    let whole = Load { processes: 4, keys: 100_000, most: 1, near: Some(5000.0), warm: true, ..Load::default() };
    let whole = Load { from: 20 * SECOND, until: 40 * SECOND, ..whole };
    for tags in [None, Some(30 * SECOND)] {
        let whole = Load { tags, ..whole.clone() };
        let (all, some) = (model::run(&whole), model::run(&Load { most: 20, ..whole }));
        for (what, all, some) in [
            ("hits", all.hits(), some.hits()),
            ("commands", all.commands(), some.commands()),
            ("messages", all.mean(|second| second.told), some.mean(|second| second.told)),
            ("bodies", all.mean(|second| second.bodies), some.mean(|second| second.bodies)),
        ] {
            assert!((some / all - 1.0).abs() < 0.07, "{what}: {all} of all keys, {some} of some, {tags:?}");
        }
    }
}

/// All answers are there, and a tag of a hundred of a thousand is invalidated after ten seconds.
fn an_invalidated_tag() -> Load {
    let load = Load { processes: 16, keys: 1000, most: 1, writes: 0.0, warm: true, ..Load::default() };
    Load { timeout: 1_000_000_000 * SECOND, tags: Some(10 * SECOND), ..load }
}

#[test]
fn an_invalidated_tag_did_not_cost_one_body_for_each_answer() {
    for near in [None, Some(1000.0)] {
        let out = model::run(&Load { near, ..an_invalidated_tag() });
        assert_eq!((out.sum(|second| second.bodies), out.sum(|second| second.extra)), (100.0, 0.0));
        // Half a round trip.
        assert!(out.late < SECOND / 3000, "{} ns after the invalidation", out.late);
        // That of the sequence, two of the record, which is removed and made, and those of the new answers.
        let told = if near.is_some() { 103.0 } else { 0.0 };
        assert_eq!(out.sum(|second| second.told), told);
    }
}

#[test]
fn the_records_of_two_tags_were_not_read_with_each_value() {
    let out = model::run(&Load { near: None, tags: Some(60 * SECOND), ..an_invalidated_tag() });
    let (commands, of_tags) = (out.sum(|second| second.commands.iter().sum()), out.sum(|second| second.of_tags));
    assert_eq!(of_tags * 1.5, commands);
}

#[test]
fn processes_that_invalidate_tags_at_once_did_not_hinder_one_another() {
    let attempts = |writes| {
        let out = model::run(&Load { writes, ..an_invalidated_tag() });
        out.sum(|second| second.attempts) / out.sum(|second| second.invalidated_tags)
    };
    let (few, many) = (attempts(0.001), attempts(0.1));
    assert!(few < 1.1 && many > 10.0, "{few} attempts of few, {many} of many");
}

#[test]
fn a_constant_of_the_library_had_changed() {
    let library = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache-request");
    for (file, text) in [
        ("src/engine/claiming.rs", "const MOST_FENCES: usize = 2;"),
        ("src/engine/claiming.rs", "PAUSES: [Duration; 2] = [Duration::from_millis(2), Duration::from_millis(100)];"),
        ("src/engine/function/looks.rs", "const IN_A_ROW: u8 = 32;"),
        ("src/engine/keeper.rs", "const RENEWALS: u32 = 3;"),
        ("src/engine/near_cache.rs", "const SHARDS: usize = 64;"),
        ("src/engine/tagging/invalidating.rs", "const ATTEMPTS: u32 = 16;"),
        ("src/engine/tagging/invalidating.rs", "const PAUSE: Duration = Duration::from_micros(500);"),
        ("src/engine/spans.rs", "const SPREAD: f64 = 0.25;"),
        ("src/store/shard.rs", "const SMALL_SHARE: usize = 20;"),
        ("src/store/table.rs", "MOST_VISITS: u8 = 3;"),
        ("docs/options.md", "| `lease` | duration | `3s` |"),
        ("docs/options.md", "| `wait_limit` | duration | `10s` |"),
    ] {
        let holds = std::fs::read_to_string(library.join(file)).expect("the library's text");
        assert!(holds.contains(text), "{file} has no `{text}`: the simulation follows what it has now");
    }
}
