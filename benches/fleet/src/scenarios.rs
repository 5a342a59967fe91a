//! What `docs/at_scale.md` shows: tables, printed, and charts, written beside that page.

use std::{error::Error, fs, path::Path};

use super::{
    SECOND,
    load::{Load, MILLISECOND},
    model,
    outcome::{Outcome, Second},
    plot::{Chart, Line, grouped},
};

type Done = Result<(), Box<dyn Error>>;

pub(crate) fn all() -> Done {
    sizes()?;
    near_caches()?;
    deploys()?;
    waves()?;
    hot_keys();
    polling();
    lost_servers()?;
    tags()
}

fn write(name: &str, chart: &Chart<'_>) -> Done {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cache-request/docs").join(name);
    Ok(fs::write(path, chart.svg()?)?)
}

fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

fn head(title: &str, cells: &[&str]) {
    println!("\n{title}\n\n| {} |\n| --- |{}", cells.join(" | "), " ---: |".repeat(cells.len() - 1));
}

fn seconds(time: u64) -> String {
    let seconds = time as f64 / SECOND as f64;
    if time == 0 {
        "0".into()
    } else if seconds < 1.0 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.1} s")
    }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// Up to ten processes, no key has to stand for others.
fn steady(processes: usize) -> Load {
    let most = match processes {
        ..=10 => 1,
        11..=100 => 10,
        _ => 100,
    };
    Load { processes, most, warm: true, from: 240 * SECOND, until: 300 * SECOND, ..Load::default() }
}

fn of_time(name: &str, out: &Outcome, of: impl Fn(&Second) -> f64) -> Line {
    let seconds = &out.seconds[..out.seconds.len() - 1];
    Line { name: name.into(), points: (0..).map(f64::from).zip(seconds.iter().map(of)).collect() }
}

fn sizes() -> Done {
    head(
        "Steady traffic",
        &[
            "processes",
            "near hits",
            "commands/s per server",
            "busiest",
            "messages/s per process",
            "by key",
            "bodies/s",
            "extra",
            "oldest",
            "late",
            "entries",
            "pairs by key",
        ],
    );
    let names = ["calls", "commands", "messages, by prefix", "messages, by key"];
    let mut lines: Vec<_> = names.map(|name| Line { name: name.into(), points: Vec::new() }).into();
    for processes in [1, 10, 100, 1000] {
        let load = steady(processes);
        let out = model::run(&load);
        let of = |of: fn(&Second) -> f64| out.mean(of);
        let (told, by_key) = (of(|second| second.told), of(|second| second.told_by_key));
        row(&[
            grouped(processes as f64),
            percent(out.hits()),
            grouped(out.commands() / load.servers as f64),
            grouped(out.busiest()),
            grouped(told),
            grouped(by_key),
            grouped(of(|second| second.bodies)),
            grouped(of(|second| second.extra)),
            seconds(out.oldest),
            seconds(out.late),
            grouped(out.tracked),
            grouped(out.pairs),
        ]);
        let (servers, processes) = (load.servers as f64, processes as f64);
        let each = [load.rate * processes, out.commands(), told * processes, by_key * processes];
        for (line, count) in lines.iter_mut().zip(each) {
            line.points.push((processes, count / servers));
        }
    }
    write(
        "at_scale_size.svg",
        &Chart {
            title: "What one of twelve servers sees, by the number of processes",
            x: "processes",
            y: "in a second, for one of twelve servers",
            is_logarithmic: true,
            lines,
        },
    )
}

fn near_caches() -> Done {
    head("Near caches of 100 processes", &["entries", "near hits", "commands/s per server"]);
    let mut points = Vec::new();
    for entries in [5_000.0, 10_000.0, 25_000.0, 50_000.0, 100_000.0, 200_000.0] {
        let load = Load { near: Some(entries), ..steady(100) };
        let out = model::run(&load);
        row(&[grouped(entries), percent(out.hits()), grouped(out.commands() / load.servers as f64)]);
        points.push((entries, out.hits() * 100.0));
    }
    let load = Load { near: None, from: 10 * SECOND, until: 20 * SECOND, ..steady(100) };
    let out = model::run(&load);
    row(&["none".into(), "0".into(), grouped(out.commands() / load.servers as f64)]);
    write(
        "at_scale_near.svg",
        &Chart {
            title: "Calls that the near cache answers, by its size",
            x: "entries",
            y: "% of the calls, with a million keys",
            is_logarithmic: false,
            lines: vec![Line { name: "near hits".into(), points }],
        },
    )
}

/// Everything is cold, and all begin at once.
fn deploys() -> Done {
    head(
        "A deploy onto empty servers, the first 30 s",
        &[
            "processes",
            "leases",
            "bodies",
            "extra",
            "beside the minimum",
            "commands",
            "looks of waiting callers",
            "most commands/s of a server",
            "longest wait",
        ],
    );
    for (processes, leases) in [(10, true), (10, false), (100, true), (100, false), (1000, true), (1000, false)] {
        let load = Load { leases, warm: false, from: 0, until: 30 * SECOND, ..steady(processes) };
        let out = model::run(&load);
        let (bodies, extra) = (out.sum(|second| second.bodies), out.sum(|second| second.extra));
        row(&[
            grouped(processes as f64),
            leases.to_string(),
            grouped(bodies),
            grouped(extra),
            format!("{:.3}", bodies / (bodies - extra)),
            grouped(out.sum(|second| second.commands.iter().sum())),
            grouped(out.sum(|second| second.polls)),
            grouped(out.peak()),
            seconds(out.longest_wait),
        ]);
    }
    Ok(())
}

/// What was stored together expires together.
fn waves() -> Done {
    head(
        "100 processes, from 200 s to 700 s after such a deploy",
        &["attribute", "bodies/s", "most bodies in a second", "longest wait", "oldest answer"],
    );
    let load = Load { warm: false, from: 200 * SECOND, until: 700 * SECOND, ..steady(100) };
    let mut lines = Vec::new();
    for (name, load) in [
        ("timeout = 300", load.clone()),
        ("… jitter = 0.1", Load { jitter: 0.1, ..load.clone() }),
        ("… jitter = 0.5", Load { jitter: 0.5, ..load.clone() }),
        ("… early = 0.9", Load { early: 0.9, ..load.clone() }),
        ("… stale = 60", Load { stale: 60 * SECOND, ..load }),
    ] {
        let out = model::run(&load);
        let most = out.most(|second| second.bodies);
        let mean = out.mean(|second| second.bodies);
        row(&[format!("`{name}`"), grouped(mean), grouped(most), seconds(out.longest_wait), seconds(out.oldest)]);
        if lines.len() < 4 {
            lines.push(of_time(name, &out, |second| second.bodies.min(8000.0)));
        }
    }
    write(
        "at_scale_deploy.svg",
        &Chart {
            title: "Bodies after 100 processes begin on empty servers",
            x: "seconds since the deploy",
            y: "bodies in a second, of the whole fleet (cut at 8,000)",
            is_logarithmic: false,
            lines,
        },
    )
}

fn hot_keys() {
    head(
        "A hot key of half the traffic",
        &["processes", "near cache", "commands/s per server", "busiest", "share of it", "near hits"],
    );
    for (processes, has_near) in [(100, true), (100, false), (1000, true), (1000, false)] {
        let until = if has_near { 120 } else { 12 };
        let load = Load { hot: 0.5, from: (until - 10) * SECOND, until: until * SECOND, ..steady(processes) };
        let load = if has_near { load } else { Load { near: None, ..load } };
        let out = model::run(&load);
        let mean = out.commands() / load.servers as f64;
        row(&[
            grouped(processes as f64),
            has_near.to_string(),
            grouped(mean),
            grouped(out.busiest()),
            format!("{:.1}", out.busiest() / mean),
            percent(out.hits()),
        ]);
    }
}

/// One cold key that all processes ask for at once, and whose body takes long.
fn polling() {
    head(
        "One cold hot key",
        &["processes", "body", "longest pause", "looks", "looks/s", "longest wait beyond the body"],
    );
    for processes in [10, 100, 1000] {
        for (body, pause) in [(50, 100), (1000, 100), (5000, 100), (5000, 250), (5000, 500), (5000, 1000)] {
            let load = Load {
                processes,
                keys: 1,
                hot: 1.0,
                writes: 0.0,
                body: body * MILLISECOND,
                pauses: [2 * MILLISECOND, pause * MILLISECOND],
                until: 9 * SECOND,
                ..Load::default()
            };
            let out = model::run(&load);
            let (polls, took) = (out.sum(|second| second.polls), out.bodies_took as f64 / SECOND as f64);
            row(&[
                grouped(processes as f64),
                seconds(out.bodies_took),
                seconds(pause * MILLISECOND),
                grouped(polls),
                grouped(polls / took),
                seconds(out.longest_wait.saturating_sub(out.bodies_took)),
            ]);
        }
    }
}

fn lost_servers() -> Done {
    head(
        "One server of twelve is lost for 15 s",
        &["processes", "", "commands/s per server", "busiest", "bodies/s", "extra"],
    );
    let mut lines = Vec::new();
    for processes in [10, 100, 1000] {
        let lost = (60 * SECOND, 75 * SECOND);
        let load = Load { lost: Some(lost), from: 0, until: 95 * SECOND, ..steady(processes) };
        let mut out = model::run(&load);
        let calls = load.rate * processes as f64;
        let of = |second: &Second| second.commands.iter().sum::<f64>() / calls * 100.0;
        lines.push(of_time(&format!("{} processes", grouped(processes as f64)), &out, of));
        for (when, from, until) in [("before", 50, 60), ("while it is lost", 60, 75), ("the next 15 s", 75, 90)] {
            out.count(from, until);
            let servers = load.servers as f64 - if from == 60 { 1.0 } else { 0.0 };
            row(&[
                grouped(processes as f64),
                when.into(),
                grouped(out.commands() / servers),
                grouped(out.busiest()),
                grouped(out.mean(|second| second.bodies)),
                grouped(out.mean(|second| second.extra)),
            ]);
        }
    }
    write(
        "at_scale_lost.svg",
        &Chart {
            title: "Commands while one server of twelve is lost",
            x: "seconds: lost at 60, its replica serves at 75",
            y: "commands for a hundred calls",
            is_logarithmic: false,
            lines,
        },
    )
}

/// A tag of a tenth of the answers is invalidated.
pub(crate) fn tags() -> Done {
    head(
        "A tag of 100,000 of a million answers is invalidated",
        &[
            "processes",
            "near caches",
            "",
            "near hits",
            "commands/s per server",
            "for tags",
            "busiest",
            "messages/s per process",
            "bodies/s",
            "extra",
            "late",
        ],
    );
    let mut lines = Vec::new();
    for (processes, has_near) in [1, 10, 100, 1000].into_iter().flat_map(|count| [(count, true), (count, false)]) {
        // Near caches have to be filled.
        let from = if has_near { 240 } else { 0 };
        let load = Load { from: from * SECOND, until: (from + 60) * SECOND, ..steady(processes) };
        let load = Load { tags: Some((from + 20) * SECOND), ..load };
        let load = if has_near { load } else { Load { near: None, until: 30 * SECOND, ..load } };
        let (mut out, from) = (model::run(&load), from as usize);
        if has_near && processes > 1 {
            let mut line = of_time(&format!("{} processes", grouped(processes as f64)), &out, |second| second.bodies);
            line.points = line.points[from..].iter().map(|(second, bodies)| (second - from as f64, *bodies)).collect();
            lines.push(line);
        }
        for (when, from, until) in [("before", from + 10, from + 20), ("the next 10 s", from + 20, from + 30)] {
            out.count(from, until);
            let of = |of: fn(&Second) -> f64| out.mean(of);
            row(&[
                grouped(processes as f64),
                has_near.to_string(),
                when.into(),
                percent(out.hits()),
                grouped(out.commands() / load.servers as f64),
                grouped(of(|second| second.of_tags) / load.servers as f64),
                grouped(out.busiest()),
                grouped(of(|second| second.told)),
                grouped(of(|second| second.bodies)),
                grouped(of(|second| second.extra)),
                seconds(out.late),
            ]);
        }
    }
    sequence();
    write(
        "at_scale_tags.svg",
        &Chart {
            title: "Bodies while a tag of a tenth of the answers is invalidated",
            x: "seconds: the tag is invalidated at 20",
            y: "bodies in a second, of the whole fleet",
            is_logarithmic: false,
            lines,
        },
    )
}

/// Many processes invalidate tags, and hardly anything else.
fn sequence() {
    head(
        "100 processes that invalidate tags",
        &["invalidations/s", "attempts to name one in the sequence", "commands/s of its server"],
    );
    for writes in [100.0, 300.0, 500.0, 600.0, 700.0, 800.0, 1000.0] {
        let load = Load { rate: 1.0, writes: writes / 100.0, near: None, from: 5 * SECOND, ..steady(100) };
        let out = model::run(&Load { tags: Some(load.until), until: 35 * SECOND, ..load });
        let attempts = out.sum(|second| second.attempts) / out.sum(|second| second.invalidated_tags);
        row(&[grouped(writes), format!("{attempts:.2}"), grouped(out.busiest())]);
    }
}
