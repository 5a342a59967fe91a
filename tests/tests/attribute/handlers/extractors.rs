//! Extractors as arguments: what they hold is the key.

use std::{collections::HashMap, net::SocketAddr};

use axum::{
    Extension, Form, Json, Router,
    extract::{
        ConnectInfo, MatchedPath, OriginalUri, Path, Query, RawQuery, State,
        rejection::{PathRejection, QueryRejection},
    },
    routing::{get, post},
};
use axum_extra::{TypedHeader, headers::UserAgent};
use cache_request::cache_request;
use http::{Method, Uri};
use serde::{Deserialize, Serialize};

use super::{super::support::Count, Site};

#[derive(Clone)]
struct Db {
    name: &'static str,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Filter {
    from: Option<String>,
    #[serde(default)]
    page: u32,
}

static BODIES: Count = Count::new();

#[cache_request(timeout = 60)]
async fn flight(State(db): State<Db>, Path(id): Path<u32>, Query(filter): Query<Filter>) -> String {
    format!("{} {id} {filter:?} {}", db.name, BODIES.next())
}

#[test]
fn a_handler_is_keyed_by_path_and_query_and_not_by_its_state() {
    let site = Site::of(Router::new().route("/flight/{id}", get(flight)).with_state(Db { name: "db" }));
    let first = site.get("/flight/5?from=LAX");
    assert!(first.starts_with("db 5"));
    assert_eq!(site.get("/flight/5?from=LAX"), first);
    assert_eq!(site.get("/flight/5?page=0&from=LAX"), first);
    assert_ne!(site.get("/flight/6?from=LAX"), first);
    assert_ne!(site.get("/flight/5?from=JFK"), first);
    assert_ne!(site.get("/flight/5?from=LAX&page=1"), first);
}

#[test]
fn what_is_left_out_has_no_name_in_the_key() {
    let filter = Filter { from: None, page: 1 };
    let key = flight_cache(State(Db { name: "one" }), Path(5), Query(filter.clone())).key().unwrap();
    assert!(key.ends_with("flight?id=5&filter=(from=!,page=1)"), "{key}");
    let other = flight_cache(State(Db { name: "another" }), Path(5), Query(filter)).key().unwrap();
    assert_eq!(key, other);
}

#[cache_request]
#[expect(clippy::too_many_arguments, reason = "all at once")]
async fn whole(
    state: State<Db>,
    path: Path<(u32, String)>,
    query: Query<HashMap<String, String>>,
    method: Method,
    uri: Uri,
    original: OriginalUri,
    matched: MatchedPath,
    raw: RawQuery,
    agent: TypedHeader<UserAgent>,
) -> String {
    let Path((number, text)) = path;
    format!(
        "{} {number} {text} {} {method} {uri} {} {} {:?} {}",
        state.name,
        query.len(),
        original.0,
        matched.as_str(),
        raw.0,
        agent.as_str()
    )
}

#[test]
fn extractors_are_keyed_as_wholes_too() {
    let site = Site::of(Router::new().route("/{number}/{text}", get(whole)).with_state(Db { name: "db" }));
    let ask = |uri: &str, agent: &str| site.get_with(uri, "user-agent", agent);
    let first = ask("/1/a?x=1&y=2", "curl");
    assert!(first.starts_with("db 1 a 2 GET /1/a?x=1&y=2"), "{first}");
    assert_ne!(ask("/2/a?x=1&y=2", "curl"), first);
    assert_ne!(ask("/1/b?x=1&y=2", "curl"), first);
    assert_ne!(ask("/1/a?x=1&y=3", "curl"), first);
    assert_ne!(ask("/1/a?x=1&y=2", "Firefox"), first);
    assert_eq!(ask("/1/a?y=2&x=1", "curl"), first, "the order of the parameters split the cache");
    assert_ne!(ask("/1/a?x=1&x=2", "curl"), ask("/1/a?x=2&x=1", "curl"), "repeated names are in order");
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Search {
    words: Vec<String>,
}

#[cache_request]
async fn search(Json(search): Json<Search>) -> String {
    format!("{} {}", search.words.join(" "), BODIES.next())
}

#[cache_request]
async fn form(Form(filter): Form<Filter>) -> String {
    format!("{filter:?} {}", BODIES.next())
}

#[test]
fn a_request_s_body_is_keyed_by_its_content() {
    let site = Site::of(Router::new().route("/search", post(search)).route("/form", post(form)));
    let ask = |uri: &str, kind: &str, body: &'static str| {
        let request = super::get(uri).method("POST").header("content-type", kind).body(body.into()).unwrap();
        super::text(site.ask(request))
    };
    let json = |body| ask("/search", "application/json", body);
    let first = json(r#"{"words":["a","b"]}"#);
    assert_eq!(json(r#"{ "words": ["a", "b"] }"#), first);
    assert_ne!(json(r#"{"words":["a b"]}"#), first);
    let form = |body| ask("/form", "application/x-www-form-urlencoded", body);
    assert_eq!(form("from=LAX&page=2"), form("page=2&from=LAX"));
    assert_ne!(form("from=LAX&page=2"), form("from=LAX&page=3"));
}

#[cache_request]
async fn optional(path: Option<Path<u32>>, query: Result<Query<Filter>, QueryRejection>) -> String {
    match query {
        Ok(Query(filter)) => format!("{:?} {filter:?} {}", path.map(|Path(id)| id), BODIES.next()),
        Err(rejection) => format!("{rejection} {}", BODIES.next()),
    }
}

#[test]
fn a_rejected_request_is_answered_without_a_cache() {
    let site = Site::of(Router::new().route("/", get(optional)).route("/{id}", get(optional)));
    assert_eq!(site.get("/?page=1"), site.get("/?page=1"));
    assert_ne!(site.get("/?page=1"), site.get("/1?page=1"));
    assert_eq!(site.get("/1?page=1"), site.get("/1?page=1"));
    assert_ne!(site.get("/1?page=x"), site.get("/1?page=x"), "what a handler makes of a rejection was cached");
    let stats = site.cache.stats();
    let function = stats.functions.iter().find(|function| function.name.ends_with("optional")).unwrap();
    assert_eq!((function.uncached, function.faults.total()), (2, 0), "{function:?}");
}

#[cache_request]
async fn ignored_path(path: Result<Path<u32>, PathRejection>) -> String {
    format!("{} {}", path.is_ok(), BODIES.next())
}

#[test]
fn a_rejection_without_any_other_argument() {
    let site = Site::of(Router::new().route("/{id}", get(ignored_path)));
    assert_eq!(site.get("/1"), site.get("/1"));
    assert_ne!(site.get("/x"), site.get("/x"));
}

#[derive(Debug, Clone, Serialize)]
struct User {
    id: u32,
}

#[cache_request(skip(user, address), vary(user.id))]
async fn greeting(Extension(user): Extension<User>, ConnectInfo(address): ConnectInfo<SocketAddr>) -> String {
    format!("{} {address} {}", user.id, BODIES.next())
}

#[test]
fn a_part_of_an_extension_is_named_in_vary() {
    let site = Site::of(Router::new().route("/", get(greeting)));
    let ask = |id, port: u16| {
        let mut request = super::get("/").body(axum::body::Body::empty()).unwrap();
        request.extensions_mut().insert(User { id });
        request.extensions_mut().insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], port))));
        super::text(site.ask(request))
    };
    let first = ask(1, 80);
    assert_eq!(ask(1, 81), first);
    assert_ne!(ask(2, 80), first);
}

mod own {
    //! A program's own types of these names are its own.

    use cache_request::{Cache, cache_request, scoped_sync};
    use serde::Serialize;

    #[derive(Debug, Clone, Serialize)]
    struct State<T>(T);

    #[derive(Debug, Clone, Serialize)]
    struct Path<T>(T);

    #[cache_request]
    fn by_pattern(State(state): State<u32>, Path(path): Path<u32>) -> u32 {
        state * 10 + path
    }

    #[cache_request]
    fn as_whole(state: State<u32>, path: Path<u32>) -> u32 {
        state.0 * 10 + path.0
    }

    #[test]
    fn a_program_s_own_state_was_taken_for_axum_s() {
        scoped_sync(&Cache::memory(), || {
            for (state, path) in [(1, 1), (2, 1), (1, 2), (2, 2)] {
                assert_eq!(by_pattern(State(state), Path(path)), state * 10 + path);
                assert_eq!(as_whole(State(state), Path(path)), state * 10 + path);
            }
        });
    }
}

#[cache_request]
async fn last_of_a_name(uri: Uri) -> String {
    let Query(query) = Query::<HashMap<String, String>>::try_from_uri(&uri).expect("it is a query");
    query["x"].clone()
}

/// `%78` is `x`. So the two repeat one name, and their order counts.
#[test]
fn repeated_names_lost_their_order_where_one_was_encoded() {
    let site = Site::of(Router::new().route("/", get(last_of_a_name)));
    assert_eq!([site.get("/?x=1&%78=2"), site.get("/?%78=2&x=1")], ["2", "1"]);
}
