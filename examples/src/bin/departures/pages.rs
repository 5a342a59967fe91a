//! The HTML. `maud` escapes everything that is put into it.
//!
//! Equal data makes equal pages: nothing in a page tells how or when it was made.

use axum::{
    http::StatusCode,
    response::{Html, IntoResponse, Response},
};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::{
    arguments::{Day, Iata, Limit},
    journal::Entry,
    queries::{Airport, Busy, ENOUGH_FLIGHTS, Hour, Month, Punctuality, Route},
    site::{Filter, LONGEST_NAME},
};

const STYLE: &str = include_str!("style.css");
const HOW: &str = include_str!("how.js");

pub(crate) struct Page(Markup);

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        Html(self.0.into_string()).into_response()
    }
}

pub(crate) fn airport_address(iata: &Iata) -> String {
    format!("/airports/{iata}")
}

/// Where the form with the name of an airport goes.
fn name_address(iata: &Iata) -> String {
    format!("/airports/{iata}/name")
}

pub(crate) fn worst_routes_address(limit: Limit) -> String {
    format!("/routes/worst?limit={limit}")
}

pub(crate) fn delays_address(filter: &Filter) -> String {
    let text = |code: &Option<Iata>| code.as_ref().map(Iata::to_string).unwrap_or_default();
    let day = filter.day.as_ref().map(Day::to_string).unwrap_or_default();
    format!("/delays?origin={}&destination={}&day={day}", text(&filter.origin), text(&filter.destination))
}

pub(crate) fn home(month: &Month, airports: &[Busy]) -> Page {
    let body = html! {
        section {
            h2 { "January 2001, in the air" }
            dl.facts {
                (fact("flights", &count(month.flights)))
                (fact("airports", &count(month.airports)))
                (fact("routes", &count(month.routes)))
                (fact("on time", &percent(month.on_time)))
            }
            p.note {
                "Every number on this site comes from an SQL query over all these flights, in a function that is cached. "
                "So are the pages. Load one twice: how it came stands at its foot, and "
                a href="/stats" { "why" } " stands beside the counters."
            }
        }
        div.columns {
            section {
                h2 { "An airport" }
                form.ask action="/airports" {
                    label { "Code" input name="iata" value="JFK" maxlength="4" required autocapitalize="characters"; }
                    button { "Show" }
                }
            }
            section {
                h2 { "Delays by the hour" }
                (delays_form(&Filter { origin: "ORD".parse().ok(), destination: "LGA".parse().ok(), day: None }))
            }
        }
        section {
            h2 { "The busiest airports" }
            div.scroll { table {
                thead { tr { th { "Airport" } th.number { "Departures" } th.number { "On time" } th {} } }
                tbody { @for airport in airports { tr {
                    td { (code(&airport.iata)) " " (airport.city) }
                    td.number { (count(airport.flights)) }
                    td.number { (percent(airport.on_time)) }
                    td.number { a href=(format!("/delays?origin={}", airport.iata)) { "hours" } }
                } } }
            } }
        }
        section {
            h2 { "More to click" }
            ul.links {
                li { a href=(worst_routes_address(Limit::of(20))) { "The 20 worst routes" } ", or " a href=(worst_routes_address(Limit::of(100))) { "100" } }
                li { a href="/delays" { "All delays by the hour" } ", or " a href="/delays?day=1" { "on New Year’s Day" } }
                li { a href="/delays?origin=SFO&destination=LAX&day=26" { "San Francisco to Los Angeles on the 26th" } }
                li { a href="/stats" { "The last requests and the counters" } ", also " a href="/stats.json" { "as JSON" } }
                li { "What is refused: " a href="/airports/ZZZ" { "an unknown airport" } ", "
                    a href="/delays?day=32" { "a day too many" } ", " a href="/routes/worst?limit=many" { "no number" } }
            }
        }
    };
    page("January 2001", Some("/"), &body)
}

pub(crate) fn airport(airport: &Airport, punctuality: Option<&Punctuality>, destinations: &[Route]) -> Page {
    let Airport { iata, name, city, state, latitude, longitude } = airport;
    let body = html! {
        section {
            h2 { (iata) " · " (name) }
            p { (city) ", " (state) " · " (degrees(*latitude, 'N', 'S')) ", " (degrees(*longitude, 'E', 'W')) }
        }
        section {
            h2 { "Departures" }
            @if let Some(found) = punctuality {
                dl.facts {
                    (fact("departures", &count(found.flights)))
                    (fact("on time", &percent(found.on_time)))
                    (fact("mean delay", &minutes(found.mean)))
                    (fact("median", &format!("{} min", found.median)))
                    (fact("9 of 10 within", &format!("{} min", found.ninth_decile)))
                    (fact("longest", &format!("{} min", found.longest)))
                }
                p.note { "On time is less than 15 minutes late. What is early counts as a negative delay."
                    " " a href=(format!("/delays?origin={iata}")) { "By the hour" } }
            } @else {
                p { "No airline reported a flight from here in January 2001." }
            }
        }
        @if !destinations.is_empty() {
            section {
                h2 { "Where they go" }
                (routes(destinations, false))
            }
        }
        section {
            h2 { "Another name" }
            form.ask method="post" action=(name_address(iata)) {
                label { "Name" input.long name="name" value=(name) maxlength=(LONGEST_NAME) required; }
                label { "City" input.long name="city" value=(city) maxlength=(LONGEST_NAME) required; }
                button #rename { "Rename" }
            }
            p.note { "The new name shows at once, here and on the first page. It lasts until the site ends." }
        }
    };
    page(&format!("{iata} {name}"), Some(&airport_address(iata)), &body)
}

pub(crate) fn delays(filter: &Filter, hours: &[Hour]) -> Page {
    let from = filter.origin.as_ref().map_or("anywhere".to_owned(), Iata::to_string);
    let to = filter.destination.as_ref().map_or("anywhere".to_owned(), Iata::to_string);
    let when = filter.day.map_or("in January 2001".to_owned(), |day| format!("on January {day}, 2001"));
    let title = format!("From {from} to {to} {when}");
    let flights: u32 = hours.iter().map(|hour| hour.flights).sum();
    let longest = hours.iter().map(|hour| hour.mean.abs()).fold(1.0, f64::max);
    let body = html! {
        section { (delays_form(filter)) }
        section {
            h2 { (title) }
            @if flights == 0 {
                p { "There was no such flight." }
            } @else {
                p { (count(flights)) " flights, by the hour of departure." }
                div.scroll { table {
                    thead { tr {
                        th { "Hour" } th.number { "Flights" } th.number { "On time" } th.wide { "Mean delay" }
                    } }
                    tbody { @for hour in hours { tr {
                        td.code { (format!("{:02}:00", hour.hour)) }
                        td.number { (count(hour.flights)) }
                        td.number { (percent(hour.on_time)) }
                        td.wide { (bar(hour.mean, longest)) }
                    } } }
                } }
            }
        }
    };
    page(&title, Some(&delays_address(filter)), &body)
}

pub(crate) fn worst_routes(limit: Limit, worst: &[Route]) -> Page {
    let body = html! {
        section {
            h2 { "The " (limit) " worst routes" }
            p { "By mean delay, of those with at least " (ENOUGH_FLIGHTS) " flights in the month." }
            form.ask action="/routes/worst" {
                label { "How many" input name="limit" value=(limit) inputmode="numeric"; }
                button { "Show" }
            }
            (routes(worst, true))
        }
    };
    page("The worst routes", Some(&worst_routes_address(limit)), &body)
}

pub(crate) fn stats(cache_is_on: bool, entries: &[Entry], counters: &str) -> Page {
    let body = html! {
        form.again method="post" action="/cache" {
            span { "The cache is " b { @if cache_is_on { "on" } @else { "off" } } "." }
            button #turn name="on" value=(!cache_is_on) { "Turn it " @if cache_is_on { "off" } @else { "on" } }
        }
        section {
            h1 { "The last requests" }
            div.scroll { table #requests {
                thead { tr {
                    th { "Request" } th.number { "Status" } th.number { "Took" } th { "The page was" } th { "Cache-Status" }
                } }
                tbody { @for entry in entries { tr {
                    td { (entry.method) " " (entry.address) }
                    td.number { (entry.status) }
                    td.number { (format!("{:.2} ms", entry.milliseconds)) }
                    td { (entry.why) }
                    td { code { (entry.cache_status) } }
                } } }
            } }
            p.note { "The status 304 tells a browser that it has the page already." }
        }
        section {
            h1 { "The functions, and why calls missed" }
            pre.scroll { (counters) }
            p.note {
                "The function " code { "page" } " stands for all pages. All of this " a href="/stats.json" { "as JSON" }
                ", also here for clients that accept only that."
            }
        }
    };
    page("Counters", None, &body)
}

pub(crate) fn refusal(status: StatusCode, words: &str) -> Page {
    let title = status.canonical_reason().unwrap_or("No page");
    let body = html! { section { h1 { (title) } p { (words) } p { a href="/" { "To the first page" } } } };
    page(title, None, &body)
}

/// The frame of every page. `address` is that of a page whose answers can be invalidated.
fn page(title: &str, address: Option<&str>, body: &Markup) -> Page {
    Page(html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) " · Departures" }
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                header { nav {
                    a.brand href="/" { "Departures" }
                    a href="/delays" { "Delays" }
                    a href="/routes/worst" { "Worst routes" }
                    a href="/stats" { "Counters" }
                } }
                main {
                    @if let Some(address) = address {
                        form.again method="post" action=(address) {
                            a.button href=(address) { "Load it again" }
                            button { "Forget it" }
                        }
                    }
                    (body)
                }
                footer {
                    p #how {}
                    "Flights: US Bureau of Transportation Statistics, on-time performance data of January 2001. "
                    "Airports: Data.gov. These pages, and the functions behind them, are cached with cache-request."
                }
                script { (PreEscaped(HOW)) }
            }
        }
    })
}

fn delays_form(filter: &Filter) -> Markup {
    html! {
        form.ask action="/delays" {
            label { "From" input name="origin" value=[&filter.origin] maxlength="4" placeholder="any"; }
            label { "To" input name="destination" value=[&filter.destination] maxlength="4" placeholder="any"; }
            label { "Day" input name="day" value=[filter.day] maxlength="2" placeholder="any" inputmode="numeric"; }
            button { "Show" }
        }
    }
}

fn routes(routes: &[Route], with_origin: bool) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                @if with_origin { th { "From" } }
                th { "To" } th.number { "Flights" } th.number.spare { "Miles" } th.number { "On time" }
                th.number { "Mean delay" } th {}
            } }
            tbody { @for route in routes { tr {
                @if with_origin { td { (code(&route.origin)) } }
                td { (code(&route.destination)) }
                td.number { (count(route.flights)) }
                td.number.spare { (count(route.distance)) }
                td.number { (percent(route.on_time)) }
                td.number { (minutes(route.mean)) }
                td.number { a href=(format!("/delays?origin={}&destination={}", route.origin, route.destination)) {
                    "hours"
                } }
            } } }
        } }
    }
}

fn bar(delay: f64, longest: f64) -> Markup {
    let width = delay.abs() / longest * 100.0;
    html! {
        div.bar {
            span.fill.early[delay < 0.0] style=(format!("width:calc((100% - 5.5rem) * {:.3})", width / 100.0)) {}
            span { (minutes(delay)) }
        }
    }
}

fn code(iata: &Iata) -> Markup {
    html! { a.code href=(airport_address(iata)) { (iata) } }
}

fn fact(name: &str, value: &str) -> Markup {
    html! { div { dt { (name) } dd { (value) } } }
}

fn minutes(delay: f64) -> String {
    format!("{delay:.1} min")
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

fn degrees(angle: f64, positive: char, negative: char) -> String {
    format!("{:.2}° {}", angle.abs(), if angle < 0.0 { negative } else { positive })
}

/// A number with its thousands separated.
fn count(number: u32) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
