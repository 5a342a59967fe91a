//! The example site `departures`, started and visited.
//!
//! What it should show is counted here anew, from the CSV file and without SQL.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout, Command, Stdio},
};

use cache_request_tests::servers::redis::Redis;
use flate2::read::GzDecoder;

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
    counters_are_shown_to_people_and_programs(&site);
    forgetting_leads_back(&site);
    answers_are_remembered_until_forgotten(&site);
    interrupt_ends_the_site(&mut site);
}

#[test]
fn without_a_cache_the_site_computes_and_is_the_same() {
    let site = Site::start_with("null://");
    for _ in 0..2 {
        let page = site.get("/airports/JFK").page();
        page.has("John F Kennedy Intl");
        assert_eq!((page.count(COMPUTED), page.count(REMEMBERED)), (3, 0));
    }
    site.ask("POST", "/airports/JFK", "").leads_to("/airports/JFK");
}

#[test]
fn a_site_that_is_started_again_finds_its_answers_on_redis() {
    let redis = Redis::shared();
    for counts in [(3, 0), (0, 3)] {
        let site = Site::start_with(&redis.url());
        let page = site.get("/airports/JFK").page();
        assert_eq!((page.count(COMPUTED), page.count(REMEMBERED)), counts);
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
    page.has("computed in ");
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
    assert_eq!(site.get("/airports/jfk").page().count("JFK · "), 1, "a code is the same in small letters");
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
        ("/routes/worst?limit=0", "is not a number of routes"),
        ("/routes/worst?limit=201", "is not a number of routes"),
        ("/routes/worst?limit=-1", "is not a number of routes"),
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
        assert_eq!(page.count("<script"), 0, "{path}");
        page.has("&lt;script&gt;");
    }
    assert_eq!(site.get("/%3Cscript%3E").refused(404).count("<script"), 0);
}

fn counters_are_shown_to_people_and_programs(site: &Site) {
    site.get("/stats").page().has("<pre");
    for answer in [site.get("/stats.json"), site.ask("GET", "/stats", "Accept: application/json\r\n")] {
        assert_eq!(answer.status, 200);
        assert!(answer.has_header("content-type: application/json"), "{}", answer.head);
        serde_json::from_str::<serde_json::Value>(&answer.body).expect("this is JSON");
    }
}

fn forgetting_leads_back(site: &Site) {
    for (path, back) in [
        ("/", "/"),
        ("/airports/jfk", "/airports/JFK"),
        ("/delays?origin=ORD&day=2", "/delays?origin=ORD&destination=&day=2"),
        ("/routes/worst", "/routes/worst?limit=20"),
    ] {
        site.ask("POST", path, "").leads_to(back);
    }
    site.ask("POST", "/airports/A", "").refused(400);
}

fn answers_are_remembered_until_forgotten(site: &Site) {
    for (path, other, answers) in [
        ("/airports/SLC", "/airports/SEA", 3),
        ("/delays?origin=SLC&day=3", "/delays?origin=SLC&day=30", 1),
        ("/routes/worst?limit=33", "/routes/worst?limit=34", 1),
    ] {
        let counts = |path| {
            let page = site.get(path).page();
            (page.count(COMPUTED), page.count(REMEMBERED))
        };
        assert_eq!(counts(path), (answers, 0), "{path} for the first time");
        assert_eq!(counts(path), (0, answers), "{path} again");
        assert_eq!(counts(other), (answers, 0), "{other} is something else");
        site.ask("POST", path, "");
        assert_eq!(counts(path), (answers, 0), "{path} after it was forgotten");
        assert_eq!(counts(path), (0, answers), "{path} once more");
        assert_eq!(counts(other), (0, answers), "{other} was not forgotten");
    }
    let json = site.get("/stats.json");
    let table = site.get("/stats").page();
    for function in ["airport", "punctuality", "destinations", "delays", "worst_routes", "busiest_airports", "month"] {
        table.has(function);
        assert!(json.body.contains(function), "{function} is not in {}", json.body);
    }
}

#[cfg(unix)]
fn interrupt_ends_the_site(site: &mut Site) {
    let sent = Command::new("kill").args(["-INT", &site.child.id().to_string()]).status().expect("kill can be run");
    assert!(sent.success());
    assert!(site.child.wait().expect("it is our child").success(), "Ctrl-C is a good end");
}

#[cfg(not(unix))]
fn interrupt_ends_the_site(_: &mut Site) {}

/// How the pages say of an answer that it was computed, and that it was not.
const COMPUTED: &str = ">computed in ";
const REMEMBERED: &str = ">from the cache in ";

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

/// The running site. Dropping it ends it.
struct Site {
    child: Child,
    address: String,
    /// Held open: a program may fail to print if its output is not read.
    _output: BufReader<ChildStdout>,
}

impl Site {
    fn start() -> Self {
        Self::start_with("memory://")
    }

    fn start_with(cache: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_departures"))
            .env("PORT", "0")
            .env("CACHE_URL", cache)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the site can be started");
        let mut output = BufReader::new(child.stdout.take().expect("it is piped"));
        let mut line = String::new();
        let address = loop {
            line.clear();
            assert_ne!(output.read_line(&mut line).expect("it prints text"), 0, "the site ended before it was open");
            if let Some(address) = line.strip_prefix("Open http://") {
                break address.split('/').next().expect("split gives one part at least").to_owned();
            }
        };
        Self { child, address, _output: output }
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    fn ask(&self, method: &str, path: &str, headers: &str) -> Answer {
        let mut stream = TcpStream::connect(&self.address).expect("the site is open");
        let request =
            format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n{headers}\r\n", self.address);
        stream.write_all(request.as_bytes()).expect("the site listens");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the site answers");
        let (head, body) = text.split_once("\r\n\r\n").expect("a head ends with an empty line");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        let answer = Answer { status, head: head.to_owned(), body: body.to_owned() };
        assert!(answer.has_header(&format!("content-length: {}", body.len())), "{head}");
        assert!(answer.has_header("cache-control: no-store"), "{head}");
        answer
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        // Neither matters if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn page(self) -> Page {
        self.refused(200)
    }

    fn refused(self, status: u16) -> Page {
        assert_eq!(self.status, status, "{}", self.body);
        assert!(self.has_header("content-type: text/html; charset=utf-8"), "{}", self.head);
        Page(self.body)
    }

    fn leads_to(&self, path: &str) {
        assert_eq!(self.status, 303, "{}", self.body);
        assert!(self.has_header(&format!("location: {path}")), "{}", self.head);
    }

    fn has_header(&self, header: &str) -> bool {
        self.head.lines().any(|line| line == header)
    }
}

struct Page(String);

impl Page {
    fn has(&self, text: &str) {
        assert!(self.0.contains(text), "{text} is not in {}", self.0);
    }

    fn count(&self, text: &str) -> usize {
        self.0.matches(text).count()
    }
}
