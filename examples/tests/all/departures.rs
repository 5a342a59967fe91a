//! The example site `departures`, started and visited.
//!
//! What it should show is counted here anew, from the CSV file and without SQL.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader},
    net::TcpListener,
    process::Command,
};

use cache_request_tests::servers::redis::Redis;
use flate2::read::GzDecoder;
use serde_json::json;

use crate::site::Site;

#[test]
fn the_site_answers_rightly() {
    let flights = flights();
    let mut site = Site::start();
    home_counts_all_flights(&site, &flights);
    airport_page_agrees_with_the_file(&site, &flights);
    airport_without_flights_says_so(&site);
    delays_agree_with_the_file(&site, &flights);
    worst_routes_agree_with_the_file(&site, &flights);
    forms_lead_to_their_pages(&site);
    bad_input_is_refused_in_words(&site);
    what_a_client_sends_is_escaped(&site);
    reasons_are_shown_to_people_and_programs(&site);
    a_page_that_the_client_has_is_not_sent_again(&site);
    cookies_of_others_do_not_matter(&site);
    forgetting_leads_back(&site);
    answers_and_pages_are_remembered_until_forgotten(&site);
    interrupt_ends_the_site(&mut site);
}

#[test]
fn without_a_cache_the_site_computes_and_is_the_same() {
    let site = Site::start_with("null://");
    for times in 1..=2 {
        let answer = site.get("/airports/JFK");
        assert!(!answer.is_hit());
        answer.page().has("John F Kennedy Intl");
        assert_eq!(site.function("queries.airport")["uncached"], times);
    }
    site.post("/airports/JFK", "").leads_to("/airports/JFK");
    site.post("/airports/JFK/name", "name=Idlewild&city=Queens").leads_to("/airports/JFK");
    site.get("/airports/JFK").page().has("JFK · Idlewild");
}

#[test]
fn a_site_that_is_started_again_finds_its_answers_on_redis() {
    let redis = Redis::shared();
    for (bodies, hits) in [(1, 0), (0, 1)] {
        let site = Site::start_with(&redis.url());
        site.get("/airports/JFK").page();
        for function in ["queries.punctuality", "queries.destinations"] {
            let counters = site.function(function);
            assert_eq!((&counters["bodies"], &counters["hits"]), (&json!(bodies), &json!(hits)), "{counters}");
        }
    }
}

/// Built beside other packages, it has their features as well. What it has by itself, Cargo says.
#[test]
fn built_by_itself_the_site_has_every_backend() {
    let tree =
        ["tree", "--package", env!("CARGO_PKG_NAME"), "--edges", "normal", "--prefix", "none", "--format", "{p} {f}"];
    let run =
        Command::new(env!("CARGO")).args(tree).args(["--offline", "--locked"]).output().expect("Cargo can be run");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let tree = String::from_utf8(run.stdout).expect("it prints text");
    let library = tree.lines().find(|line| line.starts_with("cache-request ")).expect("the site uses the library");
    let features: Vec<_> = library.rsplit(' ').next().unwrap_or_default().split(',').collect();
    for feature in ["file", "memcached", "postgres", "postgres-tls", "redis", "redis-tls", "sqlite", "zstd"] {
        assert!(features.contains(&feature), "{feature} is missing in {features:?}");
    }
}

#[test]
fn a_wrong_cache_address_ends_the_site_at_start() {
    let run = Command::new(env!("CARGO_BIN_EXE_departures")).env("PORT", "0").env("CACHE_URL", "nowhere://").output();
    let run = run.expect("the site can be started");
    assert!(!run.status.success());
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(words.contains("memory"), "it says what there is: {words}");
    assert!(words.starts_with("CACHE_URL: "), "it says what is wrong: {words}");
}

#[test]
fn a_port_in_use_ends_the_site_at_start() {
    let taken = TcpListener::bind(("127.0.0.1", 0)).expect("there is a free port");
    let port = taken.local_addr().expect("it is bound").port().to_string();
    let run = Command::new(env!("CARGO_BIN_EXE_departures")).env("PORT", &port).env("CACHE_URL", "").output();
    let run = run.expect("the site can be started");
    assert!(!run.status.success());
    let words = String::from_utf8_lossy(&run.stderr);
    assert!(
        words.starts_with(&format!("port {port} ")) && words.contains("PORT=…"),
        "it says which, and what to do: {words}"
    );
}

fn home_counts_all_flights(site: &Site, flights: &[Flight]) {
    let page = site.get("/").page();
    assert_eq!(flights.len(), 508_239);
    page.has("<dt>flights</dt><dd>508,239</dd>");
    let mut origins = BTreeMap::<_, u32>::new();
    for flight in flights {
        *origins.entry(flight.origin.as_str()).or_default() += 1;
    }
    let busiest = origins.iter().max_by_key(|(_, flights)| **flights).expect("there are flights");
    assert_eq!(busiest, (&"ORD", &27_692));
    page.has("href=\"/airports/ORD\">ORD</a> Chicago</td><td class=\"number\">27,692</td>");
    for link in ["/delays", "/routes/worst?limit=20", "/stats", "/stats.json", "/airports/ZZZ"] {
        page.has(&format!("href=\"{link}\""));
    }
    page.has("US Bureau of Transportation Statistics");
    page.has("Data.gov");
}

fn airport_page_agrees_with_the_file(site: &Site, flights: &[Flight]) {
    for (iata, name) in [("JFK", "John F Kennedy Intl"), ("HNL", "Honolulu International")] {
        let page = site.get(&format!("/airports/{iata}")).page();
        page.has(&format!("{iata} · {name}"));

        let from: Vec<&Flight> = flights.iter().filter(|flight| flight.origin == iata).collect();
        let mut delays: Vec<i32> = from.iter().map(|flight| flight.delay).collect();
        delays.sort_unstable();
        let percentile = |tenths: usize| delays[(delays.len() * tenths).div_ceil(10) - 1];
        page.has(&format!("<dt>departures</dt><dd>{}</dd>", thousands(from.len())));
        page.has(&format!("<dt>on time</dt><dd>{}</dd>", on_time(&delays)));
        page.has(&format!("<dt>mean delay</dt><dd>{:.1} min</dd>", mean(&delays)));
        page.has(&format!("<dt>median</dt><dd>{} min</dd>", percentile(5)));
        page.has(&format!("<dt>9 of 10 within</dt><dd>{} min</dd>", percentile(9)));
        page.has(&format!("<dt>longest</dt><dd>{} min</dd>", delays[delays.len() - 1]));

        let mut destinations = BTreeMap::<_, Vec<i32>>::new();
        for flight in from {
            destinations.entry(&flight.destination).or_default().push(flight.delay);
        }
        let most = destinations.values().map(Vec::len).max().expect("there are flights");
        let (busiest, delays) = destinations.iter().find(|(_, delays)| delays.len() == most).expect("it was there");
        page.has(&format!(
            "href=\"/airports/{busiest}\">{busiest}</a></td><td class=\"number\">{}</td>",
            thousands(most)
        ));
        page.has(&format!("<td class=\"number\">{:.1} min</td>", mean(delays)));
    }
    site.get("/airports/jfk").leads_to("/airports/JFK");
}

fn airport_without_flights_says_so(site: &Site) {
    let page = site.get("/airports/00M").page();
    page.has("Thigpen");
    page.has("No airline reported a flight");
}

fn delays_agree_with_the_file(site: &Site, flights: &[Flight]) {
    let filters: [(&str, Filter); 4] = [
        ("", |_| true),
        ("day=26", |flight| flight.day == 26),
        ("origin=ord&destination=LGA", |flight| flight.origin == "ORD" && flight.destination == "LGA"),
        ("origin=&destination=SFO&day=1", |flight| flight.destination == "SFO" && flight.day == 1),
    ];
    for (query, matches) in filters {
        let page = site.get(&format!("/delays?{query}")).page();
        let mut hours = BTreeMap::<u8, Vec<i32>>::new();
        for flight in flights.iter().filter(|flight| matches(flight)) {
            hours.entry(flight.hour).or_default().push(flight.delay);
        }
        assert_eq!(page.count("<td class=\"code\">"), hours.len(), "{query}: a row for every hour");
        for (hour, delays) in hours {
            page.has(&format!(
                "<td class=\"code\">{hour:02}:00</td><td class=\"number\">{}</td><td class=\"number\">{}</td>",
                thousands(delays.len()),
                on_time(&delays)
            ));
            page.has(&format!("<span>{:.1} min</span>", mean(&delays)));
        }
    }
    site.get("/delays?origin=JFK&destination=JFK").page().has("There was no such flight.");
}

fn worst_routes_agree_with_the_file(site: &Site, flights: &[Flight]) {
    let mut routes = BTreeMap::<_, Vec<i32>>::new();
    for flight in flights {
        routes.entry((&flight.origin, &flight.destination)).or_default().push(flight.delay);
    }
    let mut routes: Vec<_> = routes.into_iter().filter(|(_, delays)| delays.len() >= 90).collect();
    routes.sort_by(|(_, a), (_, b)| mean(b).total_cmp(&mean(a)));

    let page = site.get("/routes/worst?limit=7").page();
    let mut from = 0;
    for ((origin, destination), delays) in &routes[..7] {
        let row = format!(
            "href=\"/airports/{origin}\">{origin}</a></td><td><a class=\"code\" \
             href=\"/airports/{destination}\">{destination}</a></td><td class=\"number\">{}</td>",
            thousands(delays.len())
        );
        from += page.0[from..].find(&row).unwrap_or_else(|| panic!("{row} is not where it should be in {}", page.0));
        let mean = format!("<td class=\"number\">{:.1} min</td>", mean(delays));
        assert!(page.0[from..].contains(&mean), "{mean} is not in {}", page.0);
    }
    assert_eq!(page.count(">hours</a>"), 7);
    assert_eq!(site.get("/routes/worst").page().count(">hours</a>"), 20);
}

fn forms_lead_to_their_pages(site: &Site) {
    site.get("/airports?iata=+bos").leads_to("/airports/BOS");
    site.get("/delays?origin=&destination=&day=").page().has("From anywhere to anywhere");
    site.get("/routes/worst?limit=").page().has("The 20 worst routes");
}

fn bad_input_is_refused_in_words(site: &Site) {
    for (path, words) in [
        ("/airports/A", "is not the code of an airport"),
        ("/airports/TOOLONG", "is not the code of an airport"),
        ("/airports?iata=", "is not the code of an airport"),
        ("/delays?origin=J-K", "is not the code of an airport"),
        ("/delays?day=0", "is not a day of January"),
        ("/delays?day=32", "is not a day of January"),
        ("/delays?day=first", "is not a day of January"),
        ("/delays?day=1&day=2", "duplicate field"),
        ("/routes/worst?limit=0", "is not a number of rows"),
        ("/routes/worst?limit=201", "is not a number of rows"),
        ("/routes/worst?limit=-1", "is not a number of rows"),
    ] {
        site.get(path).refused(400).has(words);
    }
    for (path, words) in [
        ("/airports/ZZZ", "There is no airport ZZZ."),
        ("/delays?origin=ZZZ", "There is no airport ZZZ."),
        ("/delays?origin=ORD&destination=ZZZ", "There is no airport ZZZ."),
        ("/nowhere", "There is no page /nowhere."),
    ] {
        site.get(path).refused(404).has(words);
    }
}

fn what_a_client_sends_is_escaped(site: &Site) {
    for path in [
        "/airports/%3Cscript%3Ealert(1)%3C%2Fscript%3E",
        "/airports?iata=%3Cscript%3E",
        "/delays?origin=%22%3E%3Cscript%3E",
        "/delays?day=%3Cscript%3E",
        "/routes/worst?limit=%3Cscript%3E",
    ] {
        let page = site.get(path).refused(400);
        assert_eq!(page.count("<script"), 1, "{path} has its own only");
        page.has("&lt;script&gt;");
    }
    let page = site.get("/%3Cscript%3E").refused(404);
    assert_eq!(page.count("<script"), 1);
}

fn reasons_are_shown_to_people_and_programs(site: &Site) {
    site.get("/delays?day=9");
    site.get("/delays?day=9");
    site.post("/delays?day=9", "");
    let expected = [
        ("POST", 303, "passed on, as it may change something", "cache-request; fwd=method"),
        ("GET", 200, "from the cache", "cache-request; hit; ttl="),
        ("GET", 200, "made, as nothing was stored", "cache-request; fwd=uri-miss; ttl="),
    ];
    let page = site.get("/stats").refused(200);
    page.has("<pre");
    for answer in [site.get("/stats.json"), site.ask("GET", "/stats", "Accept: application/json\r\n", "")] {
        assert!(answer.has_header("cache-control: no-store"), "{}", answer.head);
        let stats = answer.json();
        for (entry, (method, status, why, cache_status)) in
            stats["requests"].as_array().expect("a list").iter().zip(expected)
        {
            assert_eq!(entry["address"], "/delays?day=9");
            assert_eq!(
                (&entry["method"], &entry["status"], &entry["why"]),
                (&json!(method), &json!(status), &json!(why))
            );
            let told = entry["cache_status"].as_str().expect("text");
            assert!(told.starts_with(cache_status), "{told}");
            page.has(&format!("<td>{method} /delays?day=9</td><td class=\"number\">{status}</td>"));
            page.has(&format!("<td>{why}</td><td><code>{told}</code></td>"));
        }
    }
}

fn a_page_that_the_client_has_is_not_sent_again(site: &Site) {
    let page = site.get("/airports/MSP");
    let tag = page.header("etag").expect("it has a tag").to_owned();
    let again = site.ask("GET", "/airports/MSP", &format!("If-None-Match: {tag}\r\nCache-Control: max-age=0\r\n"), "");
    assert_eq!((again.status, again.body.as_str()), (304, ""));
    assert!(again.is_hit(), "a reload is answered by the cache");
    assert_eq!(again.header("etag"), Some(tag.as_str()));
    assert!(again.has_header("cache-control: no-cache"), "{}", again.head);
    let other = site.ask("GET", "/airports/MSP", "If-None-Match: \"0\"\r\n", "");
    assert_eq!((other.status, other.body), (200, page.body));
    // Made anew of the same data, it is the same page.
    site.post("/airports/MSP", "");
    let made = site.ask("GET", "/airports/MSP", &format!("If-None-Match: {tag}\r\n"), "");
    assert!(!made.is_hit());
    assert_eq!(made.status, 304);
}

fn cookies_of_others_do_not_matter(site: &Site) {
    site.get("/airports/DTW");
    assert!(site.ask("GET", "/airports/DTW", "Cookie: theme=dark; session=1\r\n", "").is_hit());
}

fn forgetting_leads_back(site: &Site) {
    for (path, back) in [
        ("/", "/"),
        ("/airports/jfk", "/airports/JFK"),
        ("/delays?origin=ORD&day=2", "/delays?origin=ORD&destination=&day=2"),
        ("/routes/worst", "/routes/worst?limit=20"),
    ] {
        site.post(path, "").leads_to(back);
    }
    site.post("/airports/A", "").refused(400);
}

fn answers_and_pages_are_remembered_until_forgotten(site: &Site) {
    for (path, other, answers) in [
        ("/airports/SLC", "/airports/SEA", 3),
        ("/delays?origin=SLC&day=3", "/delays?origin=SLC&day=30", 1),
        ("/routes/worst?limit=33", "/routes/worst?limit=34", 1),
    ] {
        // Whether the page is from the cache, and how many functions computed for it.
        let visit = |path| {
            let before = bodies(site);
            (site.get(path).is_hit(), bodies(site) - before)
        };
        assert_eq!(visit(path), (false, answers), "{path} for the first time");
        assert_eq!(visit(path), (true, 0), "{path} again");
        assert_eq!(visit(other), (false, answers), "{other} is something else");
        site.post(path, "");
        assert_eq!(visit(path), (false, answers), "{path} after it was forgotten");
        assert_eq!(visit(path), (true, 0), "{path} once more");
        assert_eq!(visit(other), (true, 0), "{other} was not forgotten");
    }
    let table = site.get("/stats").refused(200);
    for function in ["airport", "punctuality", "destinations", "delays", "worst_routes", "busiest_airports", "month"] {
        table.has(function);
    }
}

/// How many bodies of functions have run.
fn bodies(site: &Site) -> u64 {
    let stats = site.stats();
    let functions = stats["cache"]["functions"].as_array().expect("an array").iter();
    functions.filter(|function| function["name"] != "page").filter_map(|function| function["bodies"].as_u64()).sum()
}

#[cfg(unix)]
fn interrupt_ends_the_site(site: &mut Site) {
    let sent = Command::new("kill").args(["-INT", &site.child.id().to_string()]).status().expect("kill can be run");
    assert!(sent.success());
    assert!(site.child.wait().expect("it is our child").success(), "Ctrl-C is a good end");
}

#[cfg(not(unix))]
fn interrupt_ends_the_site(_: &mut Site) {}

type Filter = fn(&Flight) -> bool;

struct Flight {
    day: u8,
    hour: u8,
    delay: i32,
    origin: String,
    destination: String,
}

fn flights() -> Vec<Flight> {
    let file = File::open(concat!(env!("CARGO_MANIFEST_DIR"), "/data/flights-2001-01.csv.gz")).expect("it is there");
    let lines = BufReader::new(GzDecoder::new(file)).lines().skip(1);
    let flight = |line: String| {
        let [departure, delay, _, origin, destination]: [&str; 5] =
            line.split(',').collect::<Vec<_>>().try_into().expect("a flight has five fields");
        Flight {
            day: departure[8..10].parse().expect("a day"),
            hour: departure[11..13].parse().expect("an hour"),
            delay: delay.parse().expect("a delay"),
            origin: origin.to_owned(),
            destination: destination.to_owned(),
        }
    };
    lines.map(|line| flight(line.expect("it can be read"))).collect()
}

fn mean(delays: &[i32]) -> f64 {
    let sum: i64 = delays.iter().copied().map(i64::from).sum();
    sum as f64 / delays.len() as f64
}

fn on_time(delays: &[i32]) -> String {
    let punctual = delays.iter().filter(|delay| **delay < 15).count();
    format!("{:.1} %", punctual as f64 / delays.len() as f64 * 100.0)
}

fn thousands(number: usize) -> String {
    if number < 1000 { number.to_string() } else { format!("{},{:03}", number / 1000, number % 1000) }
}
