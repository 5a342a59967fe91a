//! Random exchanges, through the layer and through `http-cache-semantics`. Where the two disagree, a known difference says why.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cache_request::Clock;
use http::{HeaderMap, Method, Request};
use http_cache_semantics::{CacheOptions, CachePolicy};
use proptest::{
    option,
    prelude::*,
    sample::{select, subsequence},
    test_runner::{Config, TestRunner},
};

use super::support::{Bench, Origin, Script, fields_of, request, response};

/// When the first request comes.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}

/// A response to a first request, and a later request for the same page.
#[derive(Debug, Clone)]
struct Case {
    status: u16,
    control: Vec<&'static str>,
    /// In seconds from now, and how it is written.
    expires: Option<(i64, Form)>,
    /// Seconds from now.
    date: Option<i64>,
    age: Option<&'static str>,
    /// Seconds from now.
    modified: Option<i64>,
    vary: Option<&'static str>,
    sets_cookie: bool,
    authorized: bool,
    /// What the first request has in `Cache-Control`.
    first: Option<&'static str>,
    /// Seconds between the two.
    later: u64,
    /// What the second request has in `Cache-Control`, and whether it has `Pragma: no-cache`.
    second: Option<&'static str>,
    pragma: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Usual,
    Asctime,
    OtherZone,
    None,
}

impl Case {
    /// A response of 200, and a plain request after it.
    fn of(control: &[&'static str], later: u64) -> Self {
        Self {
            status: 200,
            control: control.to_vec(),
            expires: None,
            date: None,
            age: None,
            modified: None,
            vary: None,
            sets_cookie: false,
            authorized: false,
            first: None,
            later,
            second: None,
            pragma: false,
        }
    }

    fn asked(mut self, second: &'static str) -> Self {
        self.second = Some(second);
        self
    }

    fn has(&self, directive: &str) -> bool {
        self.control.iter().any(|known| known.split('=').next() == Some(directive))
    }

    /// Whether the other library finds two directives of one name, also inside a string.
    fn repeats(&self) -> bool {
        let names = self.control.iter().map(|directive| directive.split('=').next().unwrap_or_default());
        let mut names: Vec<_> = names.map(|name| if name == "ext" { "max-age" } else { name }).collect();
        names.sort_unstable();
        names.windows(2).any(|pair| pair[0] == pair[1])
    }

    fn allows_stale(&self) -> bool {
        self.second.is_some_and(|wish| wish.starts_with("max-stale"))
    }

    fn response(&self, now: SystemTime) -> HeaderMap {
        let at = |seconds: i64| match u64::try_from(seconds) {
            Ok(later) => now + Duration::from_secs(later),
            Err(_) => now - Duration::from_secs(seconds.unsigned_abs()),
        };
        let usual = |seconds| httpdate::fmt_http_date(at(seconds));
        let expires = |(seconds, form)| match form {
            Form::Usual => usual(seconds),
            Form::Asctime => asctime(&usual(seconds)),
            Form::OtherZone => usual(seconds).replace("GMT", "+0000"),
            Form::None => "0".to_owned(),
        };
        let control = (!self.control.is_empty()).then(|| self.control.join(", "));
        let fields = [
            ("cache-control", control),
            ("expires", self.expires.map(expires)),
            ("date", self.date.map(usual)),
            ("age", self.age.map(str::to_owned)),
            ("last-modified", self.modified.map(usual)),
            ("vary", self.vary.map(str::to_owned)),
            ("set-cookie", self.sets_cookie.then(|| "id=1".to_owned())),
            // Without a validator the layer keeps nothing that is stale.
            ("etag", Some("\"a\"".to_owned())),
        ];
        let fields: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        fields_of(&fields)
    }

    fn requests(&self) -> [Request<String>; 2] {
        let of = |fields: &[(&'static str, Option<&'static str>)]| {
            let fields: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, (*value)?))).collect();
            request(Method::GET, "/", &fields)
        };
        let credentials = self.authorized.then_some("Basic x");
        [
            of(&[("cache-control", self.first), ("authorization", credentials)]),
            of(&[("cache-control", self.second), ("pragma", self.pragma.then_some("no-cache"))]),
        ]
    }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in its oldest form.
fn asctime(usual: &str) -> String {
    let [day, number, month, year, time, _] = usual.split(' ').collect::<Vec<_>>()[..] else { panic!("{usual}") };
    format!("{} {month} {:>2} {time} {year}", day.trim_end_matches(','), number.trim_start_matches('0'))
}

/// Whether the layer answers the second request without asking.
async fn reuses(case: &Case) -> bool {
    let fields = std::sync::Arc::new(std::sync::Mutex::new(HeaderMap::new()));
    let (status, sent) = (case.status, std::sync::Arc::clone(&fields));
    let bench = Bench::new(Origin::new(move |_, _| {
        let mut response = response(status, &[], Script::text(""));
        *response.headers_mut() = sent.lock().unwrap().clone();
        response
    }));
    let begun = Clock::from(&bench.clock).wall();
    bench.clock.advance(now().duration_since(begun).unwrap());
    *fields.lock().unwrap() = case.response(now());
    let [first, second] = case.requests();
    bench.send(first).await;
    bench.advance(case.later);
    bench.send(second).await.is_hit()
}

/// Whether the other library does.
fn reuses_there(case: &Case) -> bool {
    let mut there = response(case.status, &[], Script::text(""));
    *there.headers_mut() = case.response(now());
    let [first, second] = case.requests();
    let policy = CachePolicy::new_options(&first, &there, now(), CacheOptions::default());
    let later = now() + Duration::from_secs(case.later);
    policy.is_storable() && policy.before_request(&second, later).satisfies_without_revalidation()
}

/// Why the other library decides otherwise.
struct Difference {
    /// Of RFC 9111, unless another is named.
    section: &'static str,
    why: &'static str,
    may_apply: fn(&Case) -> bool,
    /// A case that shows it.
    shown_by: fn() -> Case,
}

/// Where the other library reuses what must not be reused, or ought not to be.
const UNSAFE: [Difference; 14] = [
    Difference {
        section: "5.2",
        why: "directives in capitals are not known",
        may_apply: |case| case.control.iter().any(|directive| directive.starts_with(char::is_uppercase)),
        shown_by: || Case::of(&["No-Store", "max-age=60"], 5),
    },
    Difference {
        section: "5.2",
        why: "strings are split at their commas",
        may_apply: |case| case.has("ext"),
        shown_by: || Case::of(&["ext=\"a, max-age=60, b\""], 5),
    },
    Difference {
        section: "5.2",
        why: "what cannot be read is ignored, with the directive that it hides",
        may_apply: |case| case.has("private; max-age"),
        shown_by: || Case::of(&["private; max-age=5", "max-age=60"], 5),
    },
    Difference {
        section: "4.2.1",
        why: "of two lifetimes that differ the first counts",
        may_apply: Case::repeats,
        shown_by: || Case::of(&["max-age=60", "max-age=0"], 5),
    },
    Difference {
        section: "4.2.1",
        why: "s-maxage without seconds is ignored",
        may_apply: |case| case.has("s-maxage"),
        shown_by: || Case::of(&["s-maxage", "max-age=60"], 5),
    },
    Difference {
        section: "4.2.3",
        why: "the age that Date tells is ignored",
        may_apply: |case| case.date.is_some_and(i64::is_negative),
        shown_by: || Case { date: Some(-100), ..Case::of(&["max-age=60"], 5) },
    },
    Difference {
        section: "5.1",
        why: "an Age that is a list is ignored",
        may_apply: |case| case.age.is_some_and(|age| age.contains(',')),
        shown_by: || Case { age: Some("100, 0"), ..Case::of(&["max-age=60"], 5) },
    },
    Difference {
        section: "5.2.2.4",
        why: "max-stale lifts no-cache",
        may_apply: |case| case.allows_stale() && case.has("no-cache"),
        shown_by: || Case::of(&["max-age=60", "no-cache"], 5).asked("max-stale"),
    },
    Difference {
        section: "5.2.2.8",
        why: "max-stale lifts proxy-revalidate",
        may_apply: |case| case.allows_stale() && case.has("proxy-revalidate"),
        shown_by: || Case::of(&["max-age=10", "proxy-revalidate"], 50).asked("max-stale"),
    },
    Difference {
        section: "5.2.2.10",
        why: "max-stale lifts s-maxage",
        may_apply: |case| case.allows_stale() && case.has("s-maxage"),
        shown_by: || Case::of(&["s-maxage=10"], 50).asked("max-stale"),
    },
    Difference {
        section: "5.2.1.2",
        why: "a max-stale that cannot be read allows any staleness",
        may_apply: |case| case.second == Some("max-stale=x"),
        shown_by: || Case::of(&["max-age=10"], 50).asked("max-stale=x"),
    },
    Difference {
        section: "5.2.1",
        why: "a wish that cannot be read is none",
        may_apply: |case| matches!(case.second, Some("min-fresh=x" | "max-age=x")),
        shown_by: || Case::of(&["max-age=60"], 5).asked("min-fresh=x"),
    },
    Difference {
        section: "4.2",
        why: "dates in other zones are believed",
        may_apply: |case| matches!(case.expires, Some((_, Form::OtherZone))),
        shown_by: || Case { expires: Some((60, Form::OtherZone)), ..Case::of(&[], 5) },
    },
    Difference {
        section: "RFC 8246, 2",
        why: "immutable alone makes a response fresh for a day",
        may_apply: |case| case.has("immutable"),
        shown_by: || Case::of(&["immutable"], 5),
    },
];

/// Where it validates what may be reused.
const STRICTER: [Difference; 14] = [
    Difference {
        section: "RFC 5861, section 3",
        why: "a stale response is validated before it is used",
        may_apply: |case| case.has("stale-while-revalidate"),
        shown_by: || Case::of(&["max-age=10", "stale-while-revalidate=60"], 50),
    },
    Difference {
        section: "1.2.2",
        why: "too many seconds are none",
        may_apply: |case| case.has("max-age") && case.control.iter().any(|directive| directive.len() > 25),
        shown_by: || Case::of(&["max-age=99999999999999999999"], 5),
    },
    Difference {
        section: "3",
        why: "a status that it does not know is not stored",
        may_apply: |case| case.status == 500,
        shown_by: || Case { status: 500, ..Case::of(&["max-age=60"], 5) },
    },
    Difference {
        section: "4.2.1",
        why: "two values of a directive forbid stale answers",
        may_apply: |case| case.repeats() && case.allows_stale(),
        shown_by: || Case::of(&["max-age=10", "max-age=5"], 15).asked("max-stale"),
    },
    Difference {
        section: "4.2.2",
        why: "a heuristic lifetime has whole seconds",
        may_apply: |case| case.modified.is_some_and(|modified| (case.date.unwrap_or_default() - modified) % 10 != 0),
        shown_by: || Case { date: Some(-5), age: Some("5"), modified: Some(-100), ..Case::of(&[], 4) },
    },
    Difference {
        section: "5.2",
        why: "strings are split at their commas",
        may_apply: |case| case.has("ext"),
        shown_by: || Case { modified: Some(-1000), ..Case::of(&["ext=\"a, max-age=60, b\""], 70) },
    },
    Difference {
        section: "5.2",
        why: "directives in capitals are not known",
        may_apply: |case| case.has("Max-Age"),
        shown_by: || Case::of(&["Max-Age=60"], 5),
    },
    Difference {
        section: "5.2.2.3",
        why: "must-understand is not known",
        may_apply: |case| case.has("must-understand"),
        shown_by: || Case::of(&["must-understand", "no-store", "max-age=60"], 5),
    },
    Difference {
        section: "5.2.2.4, 5.2.2.7",
        why: "fields of no-cache and private are about the whole response",
        may_apply: |case| case.control.iter().any(|directive| directive.contains("=\"x\"")),
        shown_by: || Case::of(&["private=\"x\"", "max-age=60"], 5),
    },
    Difference {
        section: "5.2.2.8",
        why: "proxy-revalidate makes a response stale",
        may_apply: |case| case.has("proxy-revalidate"),
        shown_by: || Case::of(&["proxy-revalidate", "max-age=60"], 5),
    },
    Difference {
        section: "5.2.1.2",
        why: "max-stale ends a second early",
        may_apply: |case| case.second == Some("max-stale=5"),
        shown_by: || Case::of(&["max-age=10"], 15).asked("max-stale=5"),
    },
    Difference {
        section: "5.4",
        why: "Pragma counts beside Cache-Control",
        may_apply: |case| case.pragma && case.second.is_some(),
        shown_by: || Case { pragma: true, ..Case::of(&["max-age=60"], 5).asked("max-age=60") },
    },
    Difference {
        section: "7.3",
        why: "a response with Set-Cookie is stale, where the layer stores it without",
        may_apply: |case| case.sets_cookie,
        shown_by: || Case { sets_cookie: true, ..Case::of(&["max-age=60"], 5) },
    },
    Difference {
        section: "RFC 9110, 5.6.7",
        why: "dates in older forms are none",
        may_apply: |case| matches!(case.expires, Some((_, Form::Asctime))),
        shown_by: || Case { expires: Some((60, Form::Asctime)), ..Case::of(&[], 5) },
    },
];

fn cases() -> impl Strategy<Value = Case> {
    const DIRECTIVES: [&str; 26] = [
        "max-age=0",
        "max-age=10",
        "max-age=60",
        "max-age=\"60\"",
        "max-age=x",
        "max-age=99999999999999999999",
        "Max-Age=60",
        "s-maxage=10",
        "s-maxage=60",
        "s-maxage",
        "public",
        "private",
        "private=\"x\"",
        "private; max-age=5",
        "no-store",
        "No-Store",
        "no-cache",
        "no-cache=\"x\"",
        "must-revalidate",
        "proxy-revalidate",
        "must-understand",
        "immutable",
        "stale-while-revalidate=60",
        "stale-if-error=60",
        "no-transform",
        "ext=\"a, max-age=60, b\"",
    ];
    const WISHES: [&str; 11] = [
        "no-cache",
        "max-age=0",
        "max-age=5",
        "max-age=x",
        "min-fresh=5",
        "min-fresh=x",
        "max-stale",
        "max-stale=5",
        "max-stale=61",
        "max-stale=x",
        "no-transform",
    ];
    let usual = prop_oneof![2 => Just(vec!["max-age=10"]), 1 => Just(vec![]), 1 => Just(vec!["max-age=60"])];
    let control =
        (usual, subsequence(DIRECTIVES.to_vec(), 0..=2), any::<bool>()).prop_map(|(mut usual, more, before)| {
            if before {
                [more, usual].concat()
            } else {
                usual.extend(more);
                usual
            }
        });
    let form = prop_oneof![4 => Just(Form::Usual), 1 => Just(Form::Asctime), 1 => Just(Form::OtherZone), 1 => Just(Form::None)];
    let response = (
        prop_oneof![4 => Just(200), 1 => select(vec![203, 301, 302, 404, 410, 500, 501])],
        control,
        option::weighted(0.3, (select(vec![-10, 0, 5, 60]), form)),
        option::weighted(0.5, select(vec![-100, -5, 0])),
        option::weighted(0.2, select(vec!["0", "5", "100", "x", "100, 0"])),
        option::weighted(0.3, select(vec![-100, -1000])),
        option::weighted(0.2, select(vec!["x", "*", "accept, *"])),
    );
    let rest = (
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.1),
        option::weighted(0.1, select(vec!["no-store", "no-cache", "max-age=0"])),
        select(vec![0, 4, 5, 9, 10, 15, 59, 60, 65, 200]),
        option::weighted(0.5, select(WISHES.to_vec())),
        prop::bool::weighted(0.1),
    );
    (response, rest).prop_map(
        |(
            (status, control, expires, date, age, modified, vary),
            (sets_cookie, authorized, first, later, second, pragma),
        )| Case {
            status,
            control,
            expires,
            date,
            age,
            modified,
            vary,
            sets_cookie,
            authorized,
            first,
            later,
            second,
            pragma,
        },
    )
}

/// What speaks of each known difference: the layer's answer is the one that the list says.
fn check(case: &Case, here: bool, there: bool) -> Result<(), String> {
    let known = if here { &STRICTER[..] } else { &UNSAFE[..] };
    match here == there || known.iter().any(|difference| (difference.may_apply)(case)) {
        true => Ok(()),
        false => Err(format!("here {here}, there {there}: {case:#?}\n{:#?}", case.response(now()))),
    }
}

#[test]
fn another_library_decided_otherwise_for_no_known_reason() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 2500;
    }
    let outcome = TestRunner::new(config).run(&cases(), |case| {
        check(&case, runtime.block_on(reuses(&case)), reuses_there(&case)).map_err(TestCaseError::fail)
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
}

#[test]
fn a_known_difference_from_another_library_is_gone() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    for (differences, here) in [(&UNSAFE[..], false), (&STRICTER[..], true)] {
        for Difference { section, why, may_apply, shown_by } in differences {
            let case = shown_by();
            let found = (may_apply(&case), runtime.block_on(reuses(&case)), reuses_there(&case));
            assert_eq!(found, (true, here, !here), "{section}: {why}");
        }
    }
}
