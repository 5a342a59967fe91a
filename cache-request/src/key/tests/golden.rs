//! What keys look like. A change of any of these loses every value that a backend holds: raise the format's version.

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;

use super::{super::text as texts, Key, Site, name, render, text};
use crate::key::keys;

struct Bytes(&'static [u8]);

impl Serialize for Bytes {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

#[derive(Serialize)]
struct Unit;

#[derive(Serialize)]
struct Meters(f32);

#[derive(Serialize)]
struct Nothing {}

#[derive(Serialize)]
struct Query {
    page: u32,
    #[serde(rename = "sort by")]
    sort: Option<&'static str>,
    #[serde(skip)]
    _trace: u64,
}

#[derive(Serialize)]
enum Shape {
    Point,
    Circle(u32),
    Line((u32, u32), (u32, u32)),
    Pair((u32, u32)),
    Label {
        text: &'static str,
        size: u8,
    },
    Empty(),
    Blank {},
    One(
        u32,
        #[serde(skip)]
        #[allow(dead_code, reason = "never written, as is the point")]
        u32,
    ),
}

#[test]
fn values() {
    let query = || Query { page: 2, sort: None, _trace: 7 };
    let table: &[(&str, String)] = &[
        ("5", text(&5_u8)),
        ("18446744073709551615", text(&u64::MAX)),
        ("340282366920938463463374607431768211455", text(&u128::MAX)),
        ("-1", text(&-1_i8)),
        ("-9223372036854775808", text(&i64::MIN)),
        ("-170141183460469231731687303715884105728", text(&i128::MIN)),
        ("1.0", text(&1.0)),
        ("-0.0", text(&-0.0)),
        ("0.1", text(&0.1)),
        ("0.10000000149011612", text(&0.1_f32)),
        ("1e300", text(&1e300)),
        ("inf", text(&f64::INFINITY)),
        ("-inf", text(&f64::NEG_INFINITY)),
        ("nan:7ff8000000000000", text(&f64::NAN)),
        ("true", text(&true)),
        ("x", text(&'x')),
        ("LAX", text("LAX")),
        ("American%20Airlines%20%26%20Co.", text("American Airlines & Co.")),
        ("caf%C3%A9_%7E", text("café_~")),
        ("'", text("")),
        ("'5", text("5")),
        ("'-1e3", text("-1e3")),
        ("'inf", text("inf")),
        ("'false", text("false")),
        ("2026-01-01", text("2026-01-01")),
        ("$00ff", text(&Bytes(&[0, 255]))),
        ("$", text(&Bytes(&[]))),
        ("!", text(&None::<u8>)),
        ("!!", text(&Some(None::<u8>))),
        ("5", text(&Some(Some(5)))),
        ("*", text(&())),
        ("*", text(&Unit)),
        ("2.5", text(&Meters(2.5))),
        ("()", text(&[0; 0])),
        ("(1)", text(&[1])),
        ("(1,a,(b,!))", text(&(1, "a", ("b", None::<()>)))),
        ("(:)", text(&BTreeMap::<u8, u8>::new())),
        ("(b:2,aa:1)", text(&HashMap::from([("aa", 1), ("b", 2)]))),
        ("((1,2):(x:y))", text(&HashMap::from([((1, 2), HashMap::from([("x", "y")]))]))),
        ("(page=2,sort%20by=!)", text(&query())),
        ("(=)", text(&Nothing {})),
        ("@Point", text(&Shape::Point)),
        ("@Circle(3)", text(&Shape::Circle(3))),
        ("@Line((0,0),(1,2))", text(&Shape::Line((0, 0), (1, 2)))),
        ("@Pair((1,2))", text(&Shape::Pair((1, 2)))),
        ("@Label(text=a,size=9)", text(&Shape::Label { text: "a", size: 9 })),
        ("@Empty()", text(&Shape::Empty())),
        ("@Blank(=)", text(&Shape::Blank {})),
        ("@One(1,)", text(&Shape::One(1, 2))),
        ("(a:(1,2.5,%21),b:*)", text(&serde_json::json!({"b": null, "a": [1, 2.5, "!"]}))),
    ];
    for (expected, actual) in table {
        assert_eq!(actual, expected);
    }
}

#[test]
fn whole_keys() {
    const fn site(parts: &'static [&'static str]) -> Site {
        Site::new("departures::web::queries", "delays", parts, "lib.rs", 1)
    }
    let two = || site(&["origin", "carrier"]);
    let own = || site(&["id", "lang"]);
    let none: fn() -> Key = || Key::build(|_| {});
    let parts: fn() -> Key = || {
        Key::build(|key| {
            key.part("LAX");
            key.part(&None::<&str>);
        })
    };
    let of_acme: fn() -> Key = || {
        Key::build(|key| {
            key.client("acme.com");
            key.part("LAX");
            key.part(&Some("AA"));
        })
    };
    let rest: fn() -> Key = || {
        Key::build(|key| {
            key.client("acme");
            key.own(keys::rest("/video/5", [("lang", "en"), ("hd", "1"), ("tag", "b&c"), ("tag", "a")]));
        })
    };
    let rpc = |arguments: &dyn Fn() -> keys::KeyText| Key::build(|key| key.own(arguments()));

    let table: &[(&str, Site, Key)] = &[
        ("departures..web.queries.delays", two(), none()),
        ("departures..web.queries.delays?origin=LAX&carrier=!", two(), parts()),
        ("departures.acme%2Ecom.web.queries.delays?origin=LAX&carrier=AA", two(), of_acme()),
        ("departures.'.web.queries.delays", two(), Key::build(|key| key.client(""))),
        ("departures..web.queries.delays@2?origin=LAX&carrier=!", two().version("2"), parts()),
        ("flights..departures.web.queries.delays?origin=LAX&carrier=!", two().prefix("flights"), parts()),
        ("departures..late%2Eflights?origin=LAX&carrier=!", two().name("late.flights"), parts()),
        ("departures..web.queries.delays?origin=LAX&1=!", site(&["origin"]), parts()),
        ("departures..web.queries.delays?article:LAX:%21", own().template(&["article:", ":", ""]), parts()),
        ("departures..web.queries.delays?LAX,-%21", own().template(&["", "-", ""]), parts()),
        ("departures..web.queries.delays?LAX,%21%20km%25", own().template(&["", "", " km%"]), parts()),
        ("departures..web.queries.delays?my%20key%25", two(), Key::build(|key| key.own("my key%"))),
        ("departures..web.queries.delays?5", two(), Key::build(|key| key.own(5_u64))),
        ("webtv.acme.api?url=/video/5&params=hd=1&lang=en&tag=b%26c&tag=a", two().prefix("webtv").name("api"), rest()),
        (
            "myapp..gateway.users.find@3?params=Ann,5",
            two().prefix("myapp").name("gateway").version("3"),
            rpc(&|| keys::rpc("users", "find", &("Ann", 5))),
        ),
        (
            "myapp..gateway.a%2Eb.c?params=",
            two().prefix("myapp").name("gateway"),
            rpc(&|| keys::rpc("a.b", "c", &[0; 0])),
        ),
        ("myapp..gateway.a.b?params=1,", two().prefix("myapp").name("gateway"), rpc(&|| keys::rpc("a", "b", &[1]))),
        (
            "myapp..gateway.a.b?params=:(k:v)",
            two().prefix("myapp").name("gateway"),
            rpc(&|| keys::rpc("a", "b", &HashMap::from([("k", "v")]))),
        ),
    ];
    for (expected, site, key) in table {
        assert_eq!(key.error(), None);
        assert_eq!(render(site, key.words()), *expected);
    }

    let named = |site: &Site, compilers, prefix| {
        texts::render(&site.description.parts, name(site, compilers, prefix).head(), none().words())
    };
    let method = "departures::web::queries::Repo<u32>::delays_cache";
    assert_eq!(named(&two(), method, None), "departures..web.queries.Repo(u32).delays");
    let of_trait = "<departures::web::Repo as departures::Delays>::delays_cache";
    assert_eq!(named(&two(), of_trait, None), "departures..(departures.web.Repo%20as%20departures.Delays).delays");
    let generic = "departures::web::queries::delays_cache<u32>";
    assert_eq!(named(&two(), generic, None), "departures..web.queries.delays(u32)");

    let of_cache = |site: &Site| named(site, "departures::web::queries::delays_cache", Some("mine"));
    assert_eq!(of_cache(&two()), "mine..departures.web.queries.delays");
    assert_eq!(of_cache(&two().prefix("flights")), "flights..departures.web.queries.delays");
    assert_eq!(of_cache(&two().name("delays")), "mine..delays");
}

#[test]
fn a_long_key() {
    let site = Site::new("departures", "delays", &["origin"], "lib.rs", 1);
    let key = Key::build(|key| key.part(&"Los Angeles ".repeat(30)));
    let text = render(&site, key.words());
    assert_eq!(texts::shorten(text.clone(), 10_000), text);
    assert_eq!(
        texts::shorten(text, 120),
        "departures..delays?origin=Los%20Angeles%20Los%20Angeles~\
         d610373070323655068cfbb5caa2630bc6e8fcb82e539ffe724d86c23e10521c"
    );
}
