//! The addresses of the site: each handler checks what a request asks for, then calls `queries.rs`.
//!
//! A `GET` shows a page. A `POST` to the same address invalidates what the page shows, and leads back to it.

use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode, Uri, header},
    middleware::map_response,
    response::{IntoResponse, Redirect, Response},
    routing::get,
};
use serde::Deserialize;
use tokio::try_join;

use crate::{
    cache,
    data::Db,
    pages,
    queries::{self, Iata},
    watch::watch,
};

const BUSIEST: u32 = 12;
const DESTINATIONS: u32 = 15;
const MOST_ROUTES: u32 = 200;

pub(crate) fn router(db: Db) -> Router {
    Router::new()
        .route("/", get(home).post(forget_home))
        .route("/airports", get(find_airport))
        .route("/airports/{iata}", get(airport).post(forget_airport))
        .route("/delays", get(delays).post(forget_delays))
        .route("/routes/worst", get(worst_routes).post(forget_worst_routes))
        .route("/stats", get(stats))
        .route("/stats.json", get(async || Json(cache::stats())))
        .fallback(async |uri: Uri| Refusal::NotFound(format!("There is no page {}.", uri.path())))
        .with_state(db)
        .layer(map_response(not_stored))
}

/// Browsers are to ask each time: the site has the cache.
async fn not_stored(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
    response
}

async fn home(State(db): State<Db>) -> Result<impl IntoResponse, Refusal> {
    let (month, airports) = try_join!(watch(queries::month(&db)), watch(queries::busiest_airports(&db, BUSIEST)))?;
    Ok(pages::home(&month, &airports))
}

async fn forget_home(State(db): State<Db>) -> Result<Redirect, Refusal> {
    cache::forget_home(&db, BUSIEST).await?;
    Ok(Redirect::to("/"))
}

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    iata: String,
}

/// Leads from the form with the airport's code to the airport's page.
async fn find_airport(wanted: Result<Query<Wanted>, QueryRejection>) -> Result<Redirect, Refusal> {
    let iata: Iata = wanted?.iata.parse().map_err(Refusal::BadRequest)?;
    Ok(Redirect::to(&pages::airport_address(&iata)))
}

async fn airport(State(db): State<Db>, Path(iata): Path<String>) -> Result<impl IntoResponse, Refusal> {
    let iata: Iata = iata.parse().map_err(Refusal::BadRequest)?;
    let airport = watch(queries::airport(&db, &iata)).await?;
    let (punctuality, destinations) =
        try_join!(watch(queries::punctuality(&db, &iata)), watch(queries::destinations(&db, &iata, DESTINATIONS)))?;
    Ok(pages::airport(&airport, &punctuality, &destinations))
}

async fn forget_airport(State(db): State<Db>, Path(iata): Path<String>) -> Result<Redirect, Refusal> {
    let iata: Iata = iata.parse().map_err(Refusal::BadRequest)?;
    cache::forget_airport(&db, &iata, DESTINATIONS).await?;
    Ok(Redirect::to(&pages::airport_address(&iata)))
}

/// Which delays to show. `None`, or an empty field of the form, is any.
pub(crate) struct Filter {
    pub(crate) origin: Option<Iata>,
    pub(crate) destination: Option<Iata>,
    pub(crate) day: Option<u8>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct DelaysQuery {
    origin: String,
    destination: String,
    day: String,
}

impl TryFrom<DelaysQuery> for Filter {
    type Error = Refusal;

    fn try_from(query: DelaysQuery) -> Result<Self, Refusal> {
        let day = match query.day.trim() {
            "" => None,
            day => Some(day.parse().ok().filter(|day| (1..=31).contains(day)).ok_or_else(|| {
                Refusal::BadRequest(format!("“{day}” is not a day of January, which has the days 1 to 31"))
            })?),
        };
        let code = |text: String| match text.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(Refusal::BadRequest),
        };
        Ok(Self { origin: code(query.origin)?, destination: code(query.destination)?, day })
    }
}

async fn delays(
    State(db): State<Db>,
    query: Result<Query<DelaysQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let filter = Filter::try_from(query?.0)?;
    for iata in filter.origin.iter().chain(&filter.destination) {
        queries::airport(&db, iata).await?;
    }
    let hours = queries::delays(&db, filter.origin.as_ref(), filter.destination.as_ref(), filter.day);
    Ok(pages::delays(&filter, &watch(hours).await?))
}

async fn forget_delays(
    State(db): State<Db>,
    query: Result<Query<DelaysQuery>, QueryRejection>,
) -> Result<Redirect, Refusal> {
    let filter = Filter::try_from(query?.0)?;
    cache::forget_delays(&db, &filter).await?;
    Ok(Redirect::to(&pages::delays_address(&filter)))
}

#[derive(Deserialize)]
struct WorstQuery {
    #[serde(default)]
    limit: String,
}

impl WorstQuery {
    fn limit(&self) -> Result<u32, Refusal> {
        match self.limit.trim() {
            "" => Ok(20),
            limit => limit.parse().ok().filter(|limit| (1..=MOST_ROUTES).contains(limit)).ok_or_else(|| {
                Refusal::BadRequest(format!("“{limit}” is not a number of routes, which is from 1 to {MOST_ROUTES}"))
            }),
        }
    }
}

async fn worst_routes(
    State(db): State<Db>,
    query: Result<Query<WorstQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let limit = query?.limit()?;
    Ok(pages::worst_routes(limit, &watch(queries::worst_routes(&db, limit)).await?))
}

async fn forget_worst_routes(
    State(db): State<Db>,
    query: Result<Query<WorstQuery>, QueryRejection>,
) -> Result<Redirect, Refusal> {
    let limit = query?.limit()?;
    cache::forget_worst_routes(&db, limit).await?;
    Ok(Redirect::to(&pages::worst_routes_address(limit)))
}

/// The counters: as a page, or as JSON if the request accepts that.
async fn stats(headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let stats = cache::stats();
    let page = if accept.contains("application/json") {
        Json(stats).into_response()
    } else {
        pages::stats(&stats.to_string()).into_response()
    };
    ([(header::VARY, "accept")], page).into_response()
}

/// Why a request gets no page, in words for its sender.
pub(crate) enum Refusal {
    BadRequest(String),
    NotFound(String),
    Fault,
}

impl From<queries::Error> for Refusal {
    fn from(error: queries::Error) -> Self {
        match error {
            queries::Error::UnknownAirport(iata) => Self::NotFound(format!("There is no airport {iata}.")),
            queries::Error::Database(fault) => {
                eprintln!("The database: {fault}");
                Self::Fault
            }
        }
    }
}

/// Only an invalidation fails like this: its caller has to know that the old answer may still be there.
impl From<cache_request::Error> for Refusal {
    fn from(error: cache_request::Error) -> Self {
        eprintln!("The cache: {error:#}");
        Self::Fault
    }
}

impl From<QueryRejection> for Refusal {
    fn from(rejection: QueryRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::BadRequest(words) => (StatusCode::BAD_REQUEST, words),
            Self::NotFound(words) => (StatusCode::NOT_FOUND, words),
            Self::Fault => (StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong on this side.".to_owned()),
        };
        (status, pages::refusal(status, &words)).into_response()
    }
}
