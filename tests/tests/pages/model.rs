//! Random requests and responses, through the layer and through a slow model of RFC 9111 that keeps every response.
//!
//! The model shares no code with the layer. It says which stored responses may answer a request; whether the cache uses one of them is
//! its choice, but for the newest.

use std::{
    mem,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use cache_request::Clock;
use http::{Method, Response};
use proptest::{
    option,
    prelude::*,
    sample::select,
    test_runner::{Config, TestRunner},
};

use super::support::{Answer, Bench, Origin, Script, response};

/// Milliseconds since the epoch.
type Time = i64;

/// The directives of a response.
#[derive(Debug, Clone, Default)]
struct Control {
    max_age: Option<i64>,
    s_maxage: Option<i64>,
    flags: Vec<&'static str>,
}

impl Control {
    fn has(&self, flag: &str) -> bool {
        self.flags.contains(&flag)
    }

    fn text(&self) -> String {
        let numbers = [("max-age", self.max_age), ("s-maxage", self.s_maxage)];
        let numbers = numbers.iter().filter_map(|(name, seconds)| Some(format!("{name}={}", (*seconds)?)));
        numbers.chain(self.flags.iter().map(|&flag| flag.to_owned())).collect::<Vec<_>>().join(", ")
    }
}

/// What the origin does with a request, if it comes.
#[derive(Debug, Clone)]
struct Scripted {
    status: u16,
    control: Option<Control>,
    /// Seconds from now; `None` inside is no date.
    expires: Option<Option<i64>>,
    age: Option<i64>,
    date: Option<i64>,
    vary: Option<&'static str>,
    etag: Option<&'static str>,
    modified: Option<i64>,
    cookie: bool,
    /// It answers a conditional request with 304.
    not_modified: bool,
    /// Seconds that it takes.
    delay: u64,
    location: Option<&'static str>,
}

/// The one directive of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wish {
    None,
    NoCache,
    NoStore,
    OnlyIfCached,
    MaxAge(i64),
    MinFresh(i64),
    MaxStale(Option<i64>),
}

#[derive(Debug, Clone)]
struct Asked {
    method: Method,
    path: &'static str,
    wish: Wish,
    if_none_match: Option<&'static str>,
    /// Seconds from now.
    if_modified_since: Option<i64>,
    range: bool,
    authorization: bool,
    cookie: bool,
    x: Option<&'static str>,
    y: Option<&'static str>,
}

#[derive(Debug, Clone)]
struct Step {
    pause: u64,
    asked: Asked,
    scripted: Scripted,
}

fn control() -> impl Strategy<Value = Control> {
    let seconds = || select(vec![0, 1, 10, 60]);
    let flags = ["private", "no-store", "no-cache", "public", "must-revalidate", "proxy-revalidate"];
    let flags = proptest::sample::subsequence(flags.to_vec(), 0..=1);
    let max_age = option::weighted(0.8, seconds());
    (max_age, option::weighted(0.2, seconds()), prop_oneof![3 => Just(vec![]), 2 => flags])
        .prop_map(|(max_age, s_maxage, flags)| Control { max_age, s_maxage, flags })
}

fn scripted() -> impl Strategy<Value = Scripted> {
    let status = prop_oneof![8 => Just(200), 1 => select(vec![203, 301, 302, 404, 500])];
    let first = (
        status,
        option::weighted(0.8, control()),
        option::weighted(0.2, option::weighted(0.8, select(vec![-10, 0, 5, 30]))),
        option::weighted(0.2, select(vec![0, 3, 50])),
        option::weighted(0.7, select(vec![0, -5, -20, 5])),
        option::weighted(0.4, select(vec!["x", "y", "x, y", "Y,X", "*"])),
    );
    let second = (
        option::weighted(0.6, select(vec!["\"a\"", "\"b\"", "W/\"a\""])),
        option::weighted(0.4, select(vec![-10, -100, -1000])),
        any::<bool>(),
        any::<bool>(),
        select(vec![0, 0, 0, 2]),
        option::weighted(0.3, select(vec!["/a", "/b", "http://other.example/a"])),
    );
    (first, second).prop_map(
        |((status, control, expires, age, date, vary), (etag, modified, cookie, not_modified, delay, location))| {
            Scripted {
                status,
                control,
                expires,
                age,
                date,
                vary,
                etag,
                modified,
                cookie,
                not_modified,
                delay,
                location,
            }
        },
    )
}

fn asked() -> impl Strategy<Value = Asked> {
    let method = prop_oneof![12 => Just(Method::GET), 2 => Just(Method::HEAD), 1 => Just(Method::POST), 1 => Just(Method::OPTIONS)];
    let wish = prop_oneof![
        8 => Just(Wish::None),
        1 => Just(Wish::NoCache),
        1 => Just(Wish::NoStore),
        1 => Just(Wish::OnlyIfCached),
        1 => select(vec![0, 5, 30]).prop_map(Wish::MaxAge),
        1 => select(vec![0, 5, 30]).prop_map(Wish::MinFresh),
        1 => option::of(select(vec![0, 5, 30])).prop_map(Wish::MaxStale),
    ];
    let value = || option::of(select(vec!["1", "2"]));
    (
        (method, select(vec!["/a", "/b"]), wish),
        option::weighted(0.2, select(vec!["\"a\"", "\"b\"", "W/\"b\"", "*", "\"c\", \"a\""])),
        option::weighted(0.1, select(vec![-500, -5, 0])),
        prop::bool::weighted(0.1),
        prop::bool::weighted(0.15),
        any::<bool>(),
        (value(), value()),
    )
        .prop_map(
            |((method, path, wish), if_none_match, if_modified_since, range, authorization, cookie, (x, y))| Asked {
                method,
                path,
                wish,
                if_none_match,
                if_modified_since,
                range,
                authorization,
                cookie,
                x,
                y,
            },
        )
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = (select(vec![0, 0, 1, 4, 9, 30, 100]), asked(), scripted());
    prop::collection::vec(step.prop_map(|(pause, asked, scripted)| Step { pause, asked, scripted }), 1..12)
}

/// A response that the model keeps.
#[derive(Debug, Clone)]
struct Kept {
    id: usize,
    path: &'static str,
    x: Option<&'static str>,
    y: Option<&'static str>,
    authorization: bool,
    told: Told,
    requested: Time,
    received: Time,
}

/// What a response says, with dates in place of offsets.
#[derive(Debug, Clone)]
struct Told {
    status: u16,
    control: Option<Control>,
    expires: Option<Option<Time>>,
    age: Option<i64>,
    date: Option<Time>,
    vary: Option<&'static str>,
    etag: Option<&'static str>,
    modified: Option<Time>,
}

impl Told {
    fn of(scripted: &Scripted, now: Time) -> Self {
        let at = |seconds: i64| now + seconds * 1000;
        Self {
            status: scripted.status,
            control: scripted.control.clone(),
            expires: scripted.expires.map(|expires| expires.map(at)),
            age: scripted.age,
            date: scripted.date.map(at),
            vary: scripted.vary,
            etag: scripted.etag,
            modified: scripted.modified.map(at),
        }
    }

    fn fields(&self) -> Vec<(&'static str, String)> {
        let mut fields = Vec::new();
        let mut put = |name, value: Option<String>| fields.extend(value.map(|value| (name, value)));
        put("cache-control", self.control.as_ref().map(Control::text));
        put("expires", self.expires.map(|expires| expires.map_or("never".to_owned(), http_date)));
        put("age", self.age.map(|age| age.to_string()));
        put("date", self.date.map(http_date));
        put("vary", self.vary.map(str::to_owned));
        put("etag", self.etag.map(str::to_owned));
        put("last-modified", self.modified.map(http_date));
        fields
    }
}

fn http_date(time: Time) -> String {
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_millis(time.try_into().unwrap()))
}

impl Kept {
    fn control(&self) -> Control {
        self.told.control.clone().unwrap_or_default()
    }

    fn guessable(&self) -> bool {
        [200, 203, 204, 300, 301, 308, 404, 405, 410, 414, 501].contains(&self.told.status)
    }

    /// Section 3.
    fn may_be_stored(&self) -> bool {
        let control = self.control();
        let leave = control.has("public") || control.has("must-revalidate") || control.s_maxage.is_some();
        let says = control.has("public")
            || control.max_age.is_some()
            || control.s_maxage.is_some()
            || self.told.expires.is_some();
        !control.has("no-store")
            && !control.has("private")
            && self.told.vary != Some("*")
            && (leave || !self.authorization)
            && (says || self.guessable())
    }

    /// Section 4.1.
    fn is_for(&self, asked: &Asked) -> bool {
        let vary = self.told.vary.unwrap_or_default().to_lowercase();
        self.path == asked.path
            && (!vary.contains('x') || self.x == asked.x)
            && (!vary.contains('y') || self.y == asked.y)
    }

    fn date(&self) -> Time {
        self.told.date.unwrap_or(self.received)
    }

    /// Section 4.2.1.
    fn lifetime(&self) -> Time {
        let control = self.control();
        if let Some(seconds) = control.s_maxage.or(control.max_age) {
            return seconds * 1000;
        }
        if let Some(expires) = self.told.expires {
            return expires.map_or(0, |expires| expires - self.date()).max(0);
        }
        match self.told.modified {
            Some(modified) if self.guessable() || control.has("public") => ((self.date() - modified) / 10).max(0),
            _ => 0,
        }
    }

    /// Section 4.2.3.
    fn age(&self, now: Time) -> Time {
        let apparent = (self.received - self.date()).max(0);
        let corrected = self.told.age.unwrap_or(0) * 1000 + (self.received - self.requested);
        apparent.max(corrected) + (now - self.received)
    }

    /// Section 4, for a request that this response is for.
    fn may_be_reused(&self, wish: Wish, now: Time) -> bool {
        let (control, age, lifetime) = (self.control(), self.age(now), self.lifetime());
        let is_strict = control.has("must-revalidate") || control.has("proxy-revalidate") || control.s_maxage.is_some();
        let is_fresh = lifetime > age;
        if control.has("no-cache") {
            return false;
        }
        match wish {
            Wish::None | Wish::OnlyIfCached | Wish::NoStore => is_fresh,
            Wish::NoCache => false,
            Wish::MaxAge(seconds) => is_fresh && age <= seconds * 1000,
            Wish::MinFresh(seconds) => is_fresh && lifetime - age >= seconds * 1000,
            Wish::MaxStale(None) => is_fresh || !is_strict,
            Wish::MaxStale(Some(seconds)) => is_fresh || !is_strict && age - lifetime <= seconds * 1000,
        }
    }

    /// Whether the client has it, by its own conditions (RFC 9110, section 13.2.2).
    fn is_at_client(&self, asked: &Asked, now: Time) -> bool {
        if self.told.status != 200 {
            return false;
        }
        let opaque = |tag: &'static str| tag.trim_start_matches("W/");
        match (asked.if_none_match, asked.if_modified_since) {
            (Some("*"), _) => true,
            (Some(tags), _) => self.told.etag.is_some_and(|own| tags.split(", ").any(|tag| opaque(tag) == opaque(own))),
            (None, Some(since)) => self.told.modified.unwrap_or(self.date()) <= now + since * 1000,
            (None, None) => false,
        }
    }
}

#[derive(Default)]
struct Model {
    kept: Vec<Kept>,
    /// The newest response of each path, that the layer is expected to have.
    expected: Vec<(&'static str, usize)>,
}

fn body_of(id: usize) -> String {
    format!("response {id:04}")
}

/// What the origin did with the request of the present step.
#[derive(Debug, Clone)]
struct Exchange {
    requested: Time,
    received: Time,
    /// The condition that it had.
    tag: Option<String>,
    since: Option<String>,
    is_304: bool,
}

fn millis(time: SystemTime) -> Time {
    time.duration_since(UNIX_EPOCH).unwrap().as_millis().try_into().unwrap()
}

fn must(holds: bool, why: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(why()) }
}

async fn run(steps: &[Step]) -> Result<(), String> {
    let present: Arc<Mutex<Option<(usize, Scripted)>>> = Arc::default();
    let exchange: Arc<Mutex<Option<Exchange>>> = Arc::default();
    let clock_of_origin = Arc::new(Mutex::new(None::<cache_request::MockClock>));
    let origin = Origin::new({
        let (present, exchange, clock) = (Arc::clone(&present), Arc::clone(&exchange), Arc::clone(&clock_of_origin));
        move |parts, _| {
            let (id, scripted) = present.lock().unwrap().clone().unwrap();
            let clock = clock.lock().unwrap().clone().unwrap();
            let now = || millis(Clock::from(&clock).wall());
            let requested = now();
            clock.advance(Duration::from_secs(scripted.delay));
            let field = |name| parts.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            let (tag, since) = (field("if-none-match"), field("if-modified-since"));
            let is_conditional =
                [&Method::GET, &Method::HEAD].contains(&&parts.method) && (tag.is_some() || since.is_some());
            let is_304 = is_conditional && scripted.not_modified;
            *exchange.lock().unwrap() = Some(Exchange { requested, received: now(), tag: tag.clone(), since, is_304 });
            answer_of_origin(id, &scripted, is_304, tag.as_deref(), &parts.method, now())
        }
    });
    let bench = Bench::new(origin);
    *clock_of_origin.lock().unwrap() = Some(bench.clock.clone());
    let now = || millis(Clock::from(&bench.clock).wall());
    bench.clock.advance(Duration::from_millis((1000 - now() % 1000).try_into().unwrap()));
    let mut model = Model::default();
    for (id, step) in steps.iter().enumerate() {
        bench.advance(step.pause);
        *present.lock().unwrap() = Some((id, step.scripted.clone()));
        *exchange.lock().unwrap() = None;
        let asked_at = now();
        let answer = bench.send(request_of(&step.asked, asked_at)).await;
        let exchange = exchange.lock().unwrap().take();
        let why = |text: String| format!("step {id}: {text}\n{answer:#?}\n{exchange:?}\n{:#?}", model.kept);
        let checked = match &exchange {
            None => model.check_reused(&step.asked, &answer, asked_at),
            Some(exchange) => model.check_asked(id, step, &answer, exchange, asked_at, now()),
        };
        checked.map_err(why)?;
        if let Some(exchange) = exchange {
            model.learn(id, step, &answer, &exchange);
        }
    }
    Ok(())
}

fn answer_of_origin(
    id: usize,
    scripted: &Scripted,
    is_304: bool,
    tag: Option<&str>,
    method: &Method,
    now: Time,
) -> Response<Script> {
    let mut fields = Told::of(scripted, now).fields();
    let id_text = id.to_string();
    if is_304 {
        // It is about what was asked for.
        fields.retain(|(name, _)| !["etag", "last-modified"].contains(name));
        fields.extend(tag.filter(|tag| tag.matches('"').count() == 2).map(|tag| ("etag", tag.to_owned())));
    } else {
        // The response to a HEAD may update the fields of a stored one, whose body is of another response.
        fields.push((if method == Method::HEAD { "x-head-id" } else { "x-id" }, id_text));
    }
    if scripted.cookie {
        fields.push(("set-cookie", format!("of={id}")));
    }
    if let Some(location) = scripted.location.filter(|_| method == Method::POST) {
        fields.push(("location", location.to_owned()));
    }
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let has_body = !is_304 && method != Method::HEAD;
    response(
        if is_304 { 304 } else { scripted.status },
        &fields,
        Script::text(if has_body { body_of(id) } else { String::new() }),
    )
}

fn request_of(asked: &Asked, now: Time) -> http::Request<String> {
    let wish = match asked.wish {
        Wish::None => None,
        Wish::NoCache => Some("no-cache".to_owned()),
        Wish::NoStore => Some("no-store".to_owned()),
        Wish::OnlyIfCached => Some("only-if-cached".to_owned()),
        Wish::MaxAge(seconds) => Some(format!("max-age={seconds}")),
        Wish::MinFresh(seconds) => Some(format!("min-fresh={seconds}")),
        Wish::MaxStale(None) => Some("max-stale".to_owned()),
        Wish::MaxStale(Some(seconds)) => Some(format!("max-stale={seconds}")),
    };
    let text = |value: Option<&'static str>| value.map(str::to_owned);
    let fields = [
        ("cache-control", wish),
        ("if-none-match", text(asked.if_none_match)),
        ("if-modified-since", asked.if_modified_since.map(|since| http_date(now + since * 1000))),
        ("range", asked.range.then(|| "bytes=2-4".to_owned())),
        ("authorization", asked.authorization.then(|| "Bearer of alice".to_owned())),
        ("cookie", asked.cookie.then(|| "id=1".to_owned())),
        ("x", text(asked.x)),
        ("y", text(asked.y)),
    ];
    let fields: Vec<_> = fields.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
    super::support::request(asked.method.clone(), asked.path, &fields)
}

fn id_of(answer: &Answer) -> Option<usize> {
    answer.field("x-id").map(|id| id.parse().unwrap())
}

/// Checks the stored responses that an answer may be of, until one is right.
fn any_of<'a>(
    mut candidates: impl Iterator<Item = &'a Kept>,
    check: impl Fn(&Kept) -> Result<(), String>,
) -> Result<(), String> {
    let first = candidates.next().ok_or("of no stored response")?;
    check(first).or_else(|why| candidates.map(check).find(Result::is_ok).ok_or(why)?)
}

impl Model {
    /// The origin was not asked.
    fn check_reused(&self, asked: &Asked, answer: &Answer, now: Time) -> Result<(), String> {
        must([Method::GET, Method::HEAD].contains(&asked.method), || "it must be asked".to_owned())?;
        if answer.status == 504 {
            return must(asked.wish == Wish::OnlyIfCached, || "504".to_owned());
        }
        any_of(self.candidates(answer), |kept| {
            must(kept.may_be_stored(), || "it must not be stored".to_owned())?;
            must(kept.is_for(asked), || "it is for another request".to_owned())?;
            must(kept.may_be_reused(asked.wish, now), || "it must be validated".to_owned())?;
            must(!answer.headers.contains_key("set-cookie"), || "it sets a cookie".to_owned())?;
            Self::check_answer(kept, asked, answer, now, now)
        })
    }

    /// The stored response that an answer is of, as it came and as each HEAD may have updated it.
    fn candidates(&self, answer: &Answer) -> impl Iterator<Item = &Kept> {
        let id = id_of(answer);
        self.kept.iter().filter(move |kept| Some(kept.id) == id)
    }

    /// An answer from a stored response.
    fn check_answer(kept: &Kept, asked: &Asked, answer: &Answer, asked_at: Time, now: Time) -> Result<(), String> {
        let whole = body_of(kept.id);
        let (status, body) = if kept.is_at_client(asked, asked_at) {
            (304, "")
        } else if asked.method == Method::HEAD {
            (kept.told.status, "")
        } else if asked.range && kept.told.status == 200 {
            (206, &whole[2..5])
        } else {
            (kept.told.status, &*whole)
        };
        must((answer.status, answer.text()) == (status, body), || format!("not {status} with {body:?}"))?;
        let age = (kept.age(now) / 1000).to_string();
        must(answer.field("age") == Some(&age), || format!("the age is {age}"))?;
        must(answer.field("date") == Some(&http_date(kept.date())), || format!("the date is {}", kept.date()))?;
        for (name, value) in kept.told.fields().iter().filter(|(name, _)| !["age", "date"].contains(name)) {
            must(answer.field(name) == Some(value), || format!("{name} is {value}"))?;
        }
        Ok(())
    }

    /// The origin was asked.
    fn check_asked(
        &self,
        id: usize,
        step: &Step,
        answer: &Answer,
        exchange: &Exchange,
        asked_at: Time,
        now: Time,
    ) -> Result<(), String> {
        let asked = &step.asked;
        let is_page = [Method::GET, Method::HEAD].contains(&asked.method);
        must(!is_page || asked.wish != Wish::OnlyIfCached, || "it asked in spite of only-if-cached".to_owned())?;
        let expected = self.expected.iter().find(|(path, _)| *path == asked.path);
        let newest = expected.and_then(|(_, id)| self.kept.iter().find(|kept| kept.id == *id));
        if let Some(newest) = newest.filter(|_| is_page) {
            // One that is stale may be gone.
            let is_fresh = newest.lifetime() > newest.age(asked_at) && newest.may_be_reused(asked.wish, asked_at);
            must(!(is_fresh && newest.is_for(asked)), || format!("response {} is fresh", newest.id))?;
        }
        if exchange.is_304 && is_own(asked, exchange, asked_at) && answer.status == 304 && id_of(answer).is_none() {
            // The client's own condition went to the origin.
            return Ok(());
        }
        if exchange.is_304 {
            return any_of(self.candidates(answer), |kept| {
                must(kept.may_be_stored() && kept.is_for(asked), || "it validated the response of another".to_owned())?;
                must(exchange.tag.as_deref() == kept.told.etag, || "another tag".to_owned())?;
                must(exchange.since == kept.told.modified.map(http_date), || "another date".to_owned())?;
                let mut kept = kept.clone();
                kept.validate(step, exchange);
                must(answer.headers.contains_key("set-cookie") == step.scripted.cookie, || "cookies".to_owned())?;
                Self::check_answer(&kept, asked, answer, asked_at, now)
            });
        }
        let told = Told::of(&step.scripted, exchange.received);
        let own_id = if asked.method == Method::HEAD { "x-head-id" } else { "x-id" };
        must(answer.field(own_id) == Some(&id.to_string()), || "of another response".to_owned())?;
        for (name, value) in told.fields() {
            must(answer.field(name) == Some(&value), || format!("{name} is {value}"))?;
        }
        must(answer.headers.contains_key("set-cookie") == step.scripted.cookie, || "cookies".to_owned())?;
        let fresh = Kept::of(id, asked, told, exchange);
        if answer.status == 304 {
            return must(fresh.is_at_client(asked, asked_at), || "the client does not have it".to_owned());
        }
        let body = if asked.method == Method::HEAD { String::new() } else { body_of(id) };
        must(answer.status == step.scripted.status && answer.text() == body, || "not as the origin said".to_owned())
    }

    fn learn(&mut self, id: usize, step: &Step, answer: &Answer, exchange: &Exchange) {
        let asked = &step.asked;
        if asked.method == Method::POST && (200..400).contains(&step.scripted.status) {
            let changed = [Some(asked.path), step.scripted.location];
            self.kept.retain(|kept| !changed.contains(&Some(kept.path)));
            self.expected.retain(|(path, _)| !changed.contains(&Some(path)));
        }
        if asked.method == Method::HEAD {
            // What it says may make the cache drop the page.
            self.expected.retain(|(path, _)| *path != asked.path);
            self.learn_from_head(step, exchange);
        }
        if asked.method != Method::GET {
            return;
        }
        if exchange.is_304 {
            let id = id_of(answer);
            self.expected.retain(|(path, _)| *path != asked.path);
            for before in mem::take(&mut self.kept) {
                if Some(before.id) == id {
                    self.learn_from_304(before, step, exchange);
                } else {
                    self.kept.push(before);
                }
            }
            return;
        }
        let new = Kept::of(id, asked, Told::of(&step.scripted, exchange.received), exchange);
        if new.may_be_stored() && asked.wish != Wish::NoStore {
            self.expected.retain(|(path, _)| *path != asked.path);
            if !asked.range && new.lifetime() > new.age(exchange.received) {
                self.expected.push((asked.path, id));
            }
            self.kept.push(new);
        }
    }
}

impl Model {
    fn learn_from_304(&mut self, before: Kept, step: &Step, exchange: &Exchange) {
        let asked = &step.asked;
        let mut kept = before.clone();
        kept.validate(step, exchange);
        kept.authorization = asked.authorization;
        if kept.may_be_stored() {
            // One that is found by other fields now may be dropped.
            if kept.told.vary == before.told.vary {
                self.expected.push((asked.path, kept.id));
            }
            self.kept.push(kept);
        } else if asked.authorization {
            // It answers this request. That it was for this request only says nothing of what is stored.
            self.kept.push(before);
        }
    }

    /// The cache may update the response that it would have chosen, or leave it as it was.
    fn learn_from_head(&mut self, step: &Step, exchange: &Exchange) {
        let asked = &step.asked;
        if exchange.is_304 || step.scripted.status != 200 || asked.range || asked.wish == Wish::NoStore {
            return;
        }
        let told = Told::of(&step.scripted, exchange.received);
        let chosen = self.kept.iter().filter(|kept| kept.is_for(asked) && kept.is_same_as(&told));
        let updated: Vec<_> = chosen
            .map(|kept| {
                let mut kept = kept.clone();
                kept.validate(step, exchange);
                kept.told.etag = told.etag.or(kept.told.etag);
                kept.authorization = asked.authorization;
                kept
            })
            .filter(Kept::may_be_stored)
            .collect();
        self.kept.extend(updated);
    }
}

/// Whether the conditions of an exchange are those of the client.
fn is_own(asked: &Asked, exchange: &Exchange, asked_at: Time) -> bool {
    let since = asked.if_modified_since.map(|since| http_date(asked_at + since * 1000));
    exchange.tag.as_deref() == asked.if_none_match && exchange.since == since
}

impl Kept {
    fn of(id: usize, asked: &Asked, told: Told, exchange: &Exchange) -> Self {
        let Exchange { requested, received, .. } = *exchange;
        let Asked { path, x, y, authorization, .. } = *asked;
        Self { id, path, x, y, authorization, told, requested, received }
    }

    /// Section 4.3.5: whether the response to a HEAD has a validator of this one, and none of another.
    fn is_same_as(&self, head: &Told) -> bool {
        let is_weak = |tag: &str| tag.starts_with("W/");
        let opaque = |tag: &'static str| tag.trim_start_matches("W/");
        let has_tag = head.etag.is_none_or(|tag| {
            self.told.etag.is_some_and(|own| opaque(own) == opaque(tag) && (is_weak(tag) || !is_weak(own)))
        });
        let has_date = head.modified.is_none() || head.modified.map(http_date) == self.told.modified.map(http_date);
        self.told.status == 200 && has_tag && has_date && (head.etag.is_some() || head.modified.is_some())
    }

    /// Section 4.3.4, by the 304 of a step.
    fn validate(&mut self, step: &Step, exchange: &Exchange) {
        let new = Told::of(&step.scripted, exchange.received);
        let old = &mut self.told;
        old.control = new.control.or(old.control.take());
        old.expires = new.expires.or(old.expires);
        old.vary = new.vary.or(old.vary);
        // A new message without them is as old as it came.
        old.date = Some(new.date.unwrap_or(exchange.received));
        old.age = new.age;
        self.requested = exchange.requested;
        self.received = exchange.received;
        self.x = step.asked.x;
        self.y = step.asked.y;
    }
}

/// `PROPTEST_CASES` says how many sequences run.
#[test]
fn random_exchanges_are_answered_as_the_model_allows() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let mut config = Config { failure_persistence: None, ..Config::default() };
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 1500;
    }
    let outcome =
        TestRunner::new(config).run(&steps(), |steps| runtime.block_on(run(&steps)).map_err(TestCaseError::fail));
    if let Err(error) = outcome {
        panic!("{error}");
    }
}
