//! The addresses of the site: each handler checks what a request asks for, then calls `queries.rs`.
//!
//! A `GET` shows a page. A `POST` to the same address invalidates what the page shows, and leads back to it.
//! The cache invalidates the page itself, as HTTP has it: a `POST` that succeeds changes what is at its address.

use std::str::FromStr;

use axum::{
    Form, Json, Router,
    extract::{
        FromRef, Path, Query, Request, State,
        rejection::{FormRejection, QueryRejection},
    },
    http::{HeaderMap, HeaderValue, StatusCode, Uri, header},
    middleware::{from_fn_with_state, map_request, map_response},
    response::{IntoResponse, Redirect, Response},
    routing::{get, post},
};
use cache_request::http::CachePage;
use serde::Deserialize;
use serde_json::json;
use tokio::try_join;

use crate::{
    arguments::{Day, Iata, Limit},
    cache,
    data::Db,
    journal::{self, Journal},
    pages, queries, rpc,
    switch::{self, Switch},
};

pub(crate) const BUSIEST: Limit = Limit::of(12);
pub(crate) const DESTINATIONS: Limit = Limit::of(15);
const ROUTES: Limit = Limit::of(20);
/// In characters.
pub(crate) const LONGEST_NAME: usize = 60;

#[derive(Clone)]
struct Site {
    db: Db,
    pages: CachePage,
    journal: Journal,
    switch: Switch,
}

impl FromRef<Site> for Db {
    fn from_ref(site: &Site) -> Self {
        site.db.clone()
    }
}

/// A layer is around those above it. What comes after them all is not for the cache of pages.
pub(crate) fn router(db: Db) -> Router {
    let site = Site { pages: cache::pages(&db), journal: Journal::default(), switch: Switch::default(), db };
    Router::new()
        .route("/", get(home).post(forget_home))
        .route("/airports", get(find_airport))
        .route("/airports/{iata}", get(airport).post(forget_airport))
        .route("/airports/{iata}/name", post(rename_airport))
        .route("/delays", get(delays).post(forget_delays))
        .route("/routes/worst", get(worst_routes).post(forget_worst_routes))
        .fallback(async |uri: Uri| Refusal::NotFound(format!("There is no page {}.", uri.path())))
        .layer(site.pages.clone())
        .layer(map_request(under_one_host))
        .layer(map_response(asked_for_each_time))
        .layer(from_fn_with_state(site.journal.clone(), journal::note))
        .route("/rpc", post(rpc::endpoint))
        .route("/stats", get(stats))
        .route("/stats.json", get(async |State(site): State<Site>| not_stored(json(&site))))
        .layer(from_fn_with_state(site.switch.clone(), switch::obey))
        .route("/cache", post(turn_cache))
        .with_state(site)
}

/// Pages are cached once, under whatever name the site was asked, so that a purge finds them.
async fn under_one_host(mut request: Request) -> Request {
    request.headers_mut().insert(header::HOST, HeaderValue::from_static(cache::HOST));
    request
}

/// A purge does not reach browsers. They keep what the site keeps, but ask each time, and get 304 for a page that they have.
async fn asked_for_each_time(mut response: Response) -> Response {
    let headers = response.headers_mut();
    if headers.get(header::CACHE_CONTROL).is_some_and(|control| control != "no-store") {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.remove(header::EXPIRES);
    }
    response
}

/// Leads to the one address of a page if it was asked for under another one, which a purge would not find.
fn only_at(address: &str, is_there: bool) -> Result<(), Refusal> {
    if is_there { Ok(()) } else { Err(Refusal::Elsewhere(address.to_owned())) }
}

async fn home(State(db): State<Db>, uri: Uri) -> Result<impl IntoResponse, Refusal> {
    only_at("/", uri.query().is_none())?;
    let (month, airports) = try_join!(queries::month(&db), queries::busiest_airports(&db, BUSIEST))?;
    Ok(pages::home(&month, &airports))
}

async fn forget_home(State(db): State<Db>) -> Result<Redirect, Refusal> {
    cache::forget_home(&db).await?;
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

async fn airport(State(db): State<Db>, Path(code): Path<String>, uri: Uri) -> Result<impl IntoResponse, Refusal> {
    let iata: Iata = code.parse().map_err(Refusal::BadRequest)?;
    only_at(&pages::airport_address(&iata), code == iata.to_string() && uri.query().is_none())?;
    let airport = queries::airport(&db, &iata).await?;
    let (punctuality, destinations) =
        try_join!(queries::punctuality(&db, &iata), queries::destinations(&db, &iata, DESTINATIONS))?;
    Ok(pages::airport(&airport, punctuality.as_ref(), &destinations))
}

async fn forget_airport(State(db): State<Db>, Path(iata): Path<String>) -> Result<Redirect, Refusal> {
    let iata: Iata = iata.parse().map_err(Refusal::BadRequest)?;
    cache::forget_airport(&db, &iata).await?;
    Ok(Redirect::to(&pages::airport_address(&iata)))
}

#[derive(Deserialize)]
struct Names {
    name: String,
    city: String,
}

/// Gives an airport another name and city, and leads to its page, which shows them.
async fn rename_airport(
    State(site): State<Site>,
    Path(iata): Path<String>,
    headers: HeaderMap,
    names: Result<Form<Names>, FormRejection>,
) -> Result<Redirect, Refusal> {
    from_this_site(&headers)?;
    let iata: Iata = iata.parse().map_err(Refusal::BadRequest)?;
    let Form(Names { name, city }) = names?;
    let (name, city) = (checked_name(&name)?, checked_name(&city)?);
    let page = pages::airport_address(&iata);
    // In a task, as it is dropped here if the browser leaves: a change whose old answers stay would show them on.
    let change = tokio::spawn(async move {
        if !site.db.rename_airport(&iata, name, city).await? {
            return Err(queries::Error::UnknownAirport(iata).into());
        }
        cache::forget_names(&site.db, &site.pages, &iata).await.map_err(Refusal::from)
    });
    change.await.map_err(|_| Refusal::Fault)??;
    Ok(Redirect::to(&page))
}

/// Refuses a form that is on a page of another site. Browsers say where it is.
fn from_this_site(headers: &HeaderMap) -> Result<(), Refusal> {
    match headers.get("sec-fetch-site") {
        Some(origin) if origin != "same-origin" => Err(Refusal::Forbidden),
        _ => Ok(()),
    }
}

fn checked_name(text: &str) -> Result<String, Refusal> {
    let name = text.trim();
    if (1..=LONGEST_NAME).contains(&name.chars().count()) && !name.contains(char::is_control) {
        Ok(name.to_owned())
    } else {
        Err(Refusal::BadRequest(format!("A name has from 1 to {LONGEST_NAME} characters, in one line.")))
    }
}

/// Which delays to show. `None`, or an empty field of the form, is any.
pub(crate) struct Filter {
    pub(crate) origin: Option<Iata>,
    pub(crate) destination: Option<Iata>,
    pub(crate) day: Option<Day>,
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
        Ok(Self { origin: given(&query.origin)?, destination: given(&query.destination)?, day: given(&query.day)? })
    }
}

/// What a field of a form holds, unless it is empty.
fn given<T: FromStr<Err = String>>(field: &str) -> Result<Option<T>, Refusal> {
    if field.trim().is_empty() { Ok(None) } else { field.parse().map(Some).map_err(Refusal::BadRequest) }
}

async fn delays(
    State(db): State<Db>,
    query: Result<Query<DelaysQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let filter = Filter::try_from(query?.0)?;
    for iata in filter.origin.iter().chain(&filter.destination) {
        queries::airport(&db, iata).await?;
    }
    let hours = queries::delays(&db, filter.origin.as_ref(), filter.destination.as_ref(), filter.day).await?;
    Ok(pages::delays(&filter, &hours))
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
    fn limit(&self) -> Result<Limit, Refusal> {
        Ok(given(&self.limit)?.unwrap_or(ROUTES))
    }
}

async fn worst_routes(
    State(db): State<Db>,
    query: Result<Query<WorstQuery>, QueryRejection>,
) -> Result<impl IntoResponse, Refusal> {
    let limit = query?.limit()?;
    Ok(pages::worst_routes(limit, &queries::worst_routes(&db, limit).await?))
}

async fn forget_worst_routes(
    State(db): State<Db>,
    query: Result<Query<WorstQuery>, QueryRejection>,
) -> Result<Redirect, Refusal> {
    let limit = query?.limit()?;
    cache::forget_worst_routes(&db, limit).await?;
    Ok(Redirect::to(&pages::worst_routes_address(limit)))
}

/// The last requests and the counters: as a page, or as JSON if the request accepts that.
async fn stats(State(site): State<Site>, headers: HeaderMap) -> Response {
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accept.contains("application/json") {
        not_stored(json(&site))
    } else {
        not_stored(pages::stats(site.switch.is_on(), &site.journal.entries(), &cache::stats().to_string()))
    }
}

fn json(site: &Site) -> impl IntoResponse {
    Json(json!({ "requests": site.journal.entries(), "cache": cache::stats() }))
}

#[derive(Deserialize)]
struct Turn {
    on: bool,
}

/// Turns the cache off or on, and leads to the page that says which it is.
async fn turn_cache(
    State(site): State<Site>,
    headers: HeaderMap,
    turn: Result<Form<Turn>, FormRejection>,
) -> Result<Redirect, Refusal> {
    from_this_site(&headers)?;
    site.switch.turn(turn?.on);
    Ok(Redirect::to("/stats"))
}

fn not_stored(response: impl IntoResponse) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], response).into_response()
}

/// Why a request gets no page, in words for its sender.
pub(crate) enum Refusal {
    /// It is at another address.
    Elsewhere(String),
    BadRequest(String),
    /// The form is on a page of another site.
    Forbidden,
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

impl From<FormRejection> for Refusal {
    fn from(rejection: FormRejection) -> Self {
        Self::BadRequest(rejection.body_text())
    }
}

impl From<rusqlite::Error> for Refusal {
    fn from(fault: rusqlite::Error) -> Self {
        queries::Error::from(fault).into()
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (status, words) = match self {
            Self::Elsewhere(address) => return Redirect::permanent(&address).into_response(),
            Self::Forbidden => (StatusCode::FORBIDDEN, "This form is for pages of this site.".to_owned()),
            Self::BadRequest(words) => (StatusCode::BAD_REQUEST, words),
            Self::NotFound(words) => (StatusCode::NOT_FOUND, words),
            Self::Fault => (StatusCode::INTERNAL_SERVER_ERROR, "Something is wrong on this side.".to_owned()),
        };
        (status, pages::refusal(status, &words)).into_response()
    }
}
