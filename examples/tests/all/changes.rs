//! The form of `departures` that changes a record: all that shows it is fresh at once, and nothing else is made anew.

use cache_request_tests::servers::redis::Redis;
use serde_json::{Value, json};

use crate::site::Site;

/// All that shows the name or the city of an airport, and what does not.
const SHOWING: [&str; 2] = ["/", "/airports/PHX"];
const OTHERS: [&str; 3] = ["/airports/BOS", "/delays?origin=PHX", "/routes/worst?limit=5"];

#[test]
fn the_form_changes_what_it_should() {
    let site = Site::start();
    new_name_shows_at_once_and_leaves_other_pages_in_the_cache(&site);
    assert_eq!(site.function("queries.airport")["misses"]["invalidated"], 1, "the statistics know why");
    no_other_address_shows_an_old_name(&site);
    wrong_names_change_nothing(&site);
    form_of_another_site_changes_nothing(&site);
    what_a_form_sends_is_escaped(&site);
}

#[test]
fn a_new_name_shows_at_once_with_pages_and_answers_on_redis() {
    let redis = Redis::shared();
    let site = Site::start_with(&redis.url());
    new_name_shows_at_once_and_leaves_other_pages_in_the_cache(&site);
    let again = Site::start_with(&redis.url());
    again.get("/airports/PHX").page().has("PHX · Phoenix Sky Harbor International");
    again.get("/").page().has(">PHX</a> Phoenix<");
    assert_eq!(find(&again)["city"], "Phoenix", "a change is over when the process ends");
}

fn new_name_shows_at_once_and_leaves_other_pages_in_the_cache(site: &Site) {
    for path in SHOWING.iter().chain(&OTHERS) {
        assert!(!site.get(path).is_hit(), "{path} for the first time");
        assert!(site.get(path).is_hit(), "{path} again");
        assert!(site.ask("GET", path, "Host: localhost\r\n", "").is_hit(), "{path} under another name of the site");
    }
    assert_eq!(find(site)["city"], "Phoenix");

    site.post("/airports/phx/name", "name=+Desert+&city=Mesa+%26+Tempe").leads_to("/airports/PHX");
    for path in SHOWING {
        let answer = site.ask("GET", path, "Host: localhost\r\n", "");
        assert!(!answer.is_hit(), "{path} after the change, under another name of the site");
        assert!(site.get(path).is_hit(), "{path} again");
    }
    site.get("/airports/PHX").page().has("PHX · Desert");
    site.get("/airports/PHX").page().has("<p>Mesa &amp; Tempe, AZ");
    site.get("/").page().has(">PHX</a> Mesa &amp; Tempe<");
    assert_eq!((&find(site)["name"], &find(site)["city"]), (&json!("Desert"), &json!("Mesa & Tempe")));
    for path in OTHERS {
        assert!(site.get(path).is_hit(), "{path} does not show it");
    }
}

/// A purge finds a page under its one address.
fn no_other_address_shows_an_old_name(site: &Site) {
    for path in ["/airports/phx", "/airports/PHX?", "/airports/PHX?day=1", "/airports/%70HX", "/airports/%20PHX"] {
        site.get(path).leads_to("/airports/PHX");
        site.get(path).leads_to("/airports/PHX");
    }
    for path in ["/?", "/?day=1"] {
        site.get(path).leads_to("/");
    }
    // It is the same address by RFC 3986, and so is its key: it must not lead to itself.
    site.get("/airports/%50HX").page().has("PHX · Desert");
    site.get("/airports/PHX").page().has("PHX · Desert");
}

fn wrong_names_change_nothing(site: &Site) {
    let long = "x".repeat(61);
    for form in [
        "",
        "name=Desert",
        "name=&city=Mesa",
        "name=Desert&city=++",
        "name=a%0Ab&city=Mesa",
        "name=a&name=b&city=Mesa",
        &format!("name={long}&city=Mesa"),
        &format!("name=Desert&city={long}"),
    ] {
        site.post("/airports/LAX/name", form).refused(400);
    }
    site.post("/airports/A/name", "name=Desert&city=Mesa").refused(400).has("is not the code of an airport");
    site.post("/airports/ZZZ/name", "name=Desert&city=Mesa").refused(404).has("There is no airport ZZZ.");
    let json = site.ask("POST", "/airports/LAX/name", "Content-Type: application/json\r\n", "{}");
    json.refused(400).has("form");
    site.get("/airports/LAX").page().has("LAX · Los Angeles International");

    let longest = &long[1..];
    site.post("/airports/LAX/name", &format!("name={longest}&city=%C3%85s")).leads_to("/airports/LAX");
    site.get("/airports/LAX").page().has("<p>Ås, CA");
}

fn form_of_another_site_changes_nothing(site: &Site) {
    let form = |origin: &str| {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: {origin}\r\n");
        site.ask("POST", "/airports/ATL/name", &headers, "name=Desert&city=Mesa")
    };
    for origin in ["cross-site", "same-site", "none"] {
        form(origin).refused(403).has("for pages of this site");
    }
    site.get("/airports/ATL").page().has("ATL · William B Hartsfield-Atlanta Intl");
    form("same-origin").leads_to("/airports/ATL");
    site.get("/airports/ATL").page().has("ATL · Desert");
}

fn what_a_form_sends_is_escaped(site: &Site) {
    site.post("/airports/PHX/name", "name=%3Cscript%3E&city=%22%3E%3Cscript%3E").leads_to("/airports/PHX");
    for path in SHOWING {
        let page = site.get(path).page();
        assert_eq!(page.count("<script"), 1, "{path} has its own only");
        page.has("&lt;script&gt;");
    }
}

fn find(site: &Site) -> Value {
    let call = json!({"jsonrpc": "2.0", "method": "airports.find", "params": ["PHX"], "id": 1});
    site.ask("POST", "/rpc", "", &call.to_string()).json()["result"].clone()
}
