//! `POST /rpc`: the queries for programs, by [JSON-RPC 2.0](https://www.jsonrpc.org/specification).
//!
//! ```text
//! curl http://127.0.0.1:3000/rpc -d '{"jsonrpc": "2.0", "method": "airports.find", "params": ["JFK"], "id": 1}'
//! ```
//!
//! A method is a module and a function. All go through [`call()`], which is cached by module, function and arguments.

use axum::{
    Json,
    body::Bytes,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use cache_request::{
    cache_request,
    keys::{self, KeyText},
};
use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    arguments::{Day, Iata, Limit},
    data::Db,
    queries,
};

/// A call of one function, with its arguments: they are checked, and it does not matter how they were passed.
pub(crate) enum Call {
    FindAirport(Iata),
    Punctuality(Iata),
    Destinations(Iata, Limit),
    Delays(Option<Iata>, Option<Iata>, Option<Day>),
    WorstRoutes(Limit),
}

impl Call {
    fn new(method: &str, params: Params) -> Result<Self, Fault> {
        Ok(match method {
            "airports.find" => params.read(["iata"]).map(|(iata,)| Self::FindAirport(iata))?,
            "airports.punctuality" => params.read(["iata"]).map(|(iata,)| Self::Punctuality(iata))?,
            "airports.destinations" => {
                params.read(["iata", "limit"]).map(|(iata, limit)| Self::Destinations(iata, limit))?
            }
            "flights.delays" => params
                .read(["origin", "destination", "day"])
                .map(|(origin, destination, day)| Self::Delays(origin, destination, day))?,
            "routes.worst" => params.read(["limit"]).map(|(limit,)| Self::WorstRoutes(limit))?,
            _ => return Err(Fault::new(METHOD_NOT_FOUND, format!("There is no method `{method}`"))),
        })
    }
}

/// Answers a call. An `Err` is not cached.
#[cache_request(timeout = 300, prefix = "departures", name = "rpc", key = key_of)]
pub(crate) async fn call(db: &Db, call: &Call) -> Result<Value, Fault> {
    match call {
        Call::FindAirport(iata) => answer(queries::airport(db, iata).await),
        Call::Punctuality(iata) => answer(queries::punctuality(db, iata).await),
        Call::Destinations(iata, limit) => answer(queries::destinations(db, iata, *limit).await),
        Call::Delays(origin, destination, day) => {
            answer(queries::delays(db, origin.as_ref(), destination.as_ref(), *day).await)
        }
        Call::WorstRoutes(limit) => answer(queries::worst_routes(db, *limit).await),
    }
}

/// The key, such as `departures..rpc.flights.delays?params=ORD,LGA,26`. That of an airport's name has the run as well, as in
/// `queries.rs`.
fn key_of(db: &Db, call: &Call) -> KeyText {
    match call {
        Call::FindAirport(iata) => keys::rpc("airports", "find", &(iata, db.run)),
        Call::Punctuality(iata) => keys::rpc("airports", "punctuality", &(iata,)),
        Call::Destinations(iata, limit) => keys::rpc("airports", "destinations", &(iata, limit)),
        Call::Delays(origin, destination, day) => keys::rpc("flights", "delays", &(origin, destination, day)),
        Call::WorstRoutes(limit) => keys::rpc("routes", "worst", &(limit,)),
    }
}

fn answer<T: Serialize>(found: Result<T, queries::Error>) -> Result<Value, Fault> {
    match found {
        Ok(found) => serde_json::to_value(found).map_err(|error| Fault::internal(&error)),
        Err(queries::Error::UnknownAirport(iata)) => {
            Err(Fault::new(UNKNOWN_AIRPORT, format!("There is no airport {iata}")))
        }
        Err(queries::Error::Database(fault)) => Err(Fault::internal(&fault)),
    }
}

/// Answers a request, or a batch of them.
pub(crate) async fn endpoint(State(db): State<Db>, body: Bytes) -> Response {
    match serde_json::from_slice(&body) {
        Err(error) => Json(reply(&Value::Null, Err(Fault::new(PARSE_ERROR, error.to_string())))).into_response(),
        Ok(Value::Array(batch)) if !batch.is_empty() => {
            let mut replies = Vec::new();
            for request in batch {
                replies.extend(handle(&db, request).await);
            }
            if replies.is_empty() { StatusCode::NO_CONTENT.into_response() } else { Json(replies).into_response() }
        }
        Ok(request) => match handle(&db, request).await {
            Some(reply) => Json(reply).into_response(),
            None => StatusCode::NO_CONTENT.into_response(),
        },
    }
}

/// The reply to one request. A notification, which is a request without an `id`, has none.
async fn handle(db: &Db, request: Value) -> Option<Value> {
    let Request { method, params, id, .. } = match Request::read(request) {
        Ok(request) => request,
        Err(fault) => return Some(reply(&Value::Null, Err(fault))),
    };
    let outcome = match Call::new(&method, params) {
        Ok(wanted) => call(db, &wanted).await,
        Err(fault) => Err(fault),
    };
    id.map(|id| reply(&id.0, outcome))
}

fn reply(id: &Value, outcome: Result<Value, Fault>) -> Value {
    match outcome {
        Ok(result) => json!({ "jsonrpc": "2.0", "result": result, "id": id }),
        Err(fault) => json!({ "jsonrpc": "2.0", "error": fault, "id": id }),
    }
}

#[derive(Deserialize)]
struct Request {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Params,
    #[serde(default, deserialize_with = "present")]
    id: Option<Id>,
}

impl Request {
    fn read(value: Value) -> Result<Self, Fault> {
        if !value.is_object() {
            return Err(Fault::new(INVALID_REQUEST, "A request is an object"));
        }
        match serde_json::from_value(value) {
            Ok(Self { jsonrpc, .. }) if jsonrpc != "2.0" => {
                Err(Fault::new(INVALID_REQUEST, "`jsonrpc` is not \"2.0\""))
            }
            request => request.map_err(|error| Fault::new(INVALID_REQUEST, error.to_string())),
        }
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Params {
    Positional(Vec<Value>),
    Named(Map<String, Value>),
}

/// Text, a number, or null.
#[derive(Deserialize)]
#[serde(try_from = "Value")]
struct Id(Value);

/// `null` is an `id` as well.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Id>, D::Error> {
    Id::deserialize(deserializer).map(Some)
}

impl TryFrom<Value> for Id {
    type Error = &'static str;

    fn try_from(id: Value) -> Result<Self, Self::Error> {
        match id {
            Value::String(_) | Value::Number(_) | Value::Null => Ok(Self(id)),
            _ => Err("an `id` is text, a number or null"),
        }
    }
}

impl Default for Params {
    fn default() -> Self {
        Self::Positional(Vec::new())
    }
}

impl Params {
    /// The arguments with these names, as a tuple. One that is missing is null.
    fn read<T: DeserializeOwned, const N: usize>(self, names: [&str; N]) -> Result<T, Fault> {
        let values = match self {
            Self::Positional(mut values) if values.len() <= N => {
                values.resize(N, Value::Null);
                values
            }
            Self::Named(mut values) if values.keys().all(|name| names.contains(&name.as_str())) => {
                names.map(|name| values.remove(name).unwrap_or_default()).into()
            }
            _ => return Err(Fault::new(INVALID_PARAMS, format!("The arguments are {}", names.join(", ")))),
        };
        serde_json::from_value(Value::Array(values)).map_err(|error| Fault::new(INVALID_PARAMS, error.to_string()))
    }
}

const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const METHOD_NOT_FOUND: i32 = -32601;
const INVALID_PARAMS: i32 = -32602;
const INTERNAL_ERROR: i32 = -32603;
/// The numbers outside -32768 to -32000 are the program's own.
const UNKNOWN_AIRPORT: i32 = 1;

/// Why a request has no result.
#[derive(Serialize)]
pub(crate) struct Fault {
    code: i32,
    message: String,
}

impl Fault {
    fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }

    /// What is wrong on this side is for the log.
    fn internal(fault: &dyn std::error::Error) -> Self {
        eprintln!("{fault}");
        Self::new(INTERNAL_ERROR, "Something is wrong on this side")
    }
}
