//! The button of `departures` that turns the cache off and on.

use serde_json::json;

use crate::site::{Answer, Site};

#[test]
fn the_cache_is_turned_off_and_on() {
    let site = Site::start();
    what_is_cached_is_computed_each_time_while_it_is_off(&site);
    changes_made_while_it_was_off_show_when_it_is_on(&site);
    forms_of_other_sites_and_wrong_ones_turn_nothing(&site);
}

fn what_is_cached_is_computed_each_time_while_it_is_off(site: &Site) {
    for path in ["/airports/PHX", "/airports/BOS", "/airports/SLC"] {
        assert!(!site.get(path).is_hit(), "{path} for the first time");
        assert!(site.get(path).is_hit(), "{path} again");
    }
    let page = site.get("/stats").refused(200);
    page.has("The cache is <b>on</b>.");
    page.has("name=\"on\" value=\"false\">Turn it off<");

    turn(site, "false").leads_to("/stats");
    let page = site.get("/stats").refused(200);
    page.has("The cache is <b>off</b>.");
    page.has("name=\"on\" value=\"true\">Turn it on<");
    for times in 1..=3 {
        assert!(!site.get("/airports/PHX").is_hit(), "the cache is off");
        for function in ["queries.airport", "queries.punctuality", "queries.destinations"] {
            assert_eq!(site.function(function)["uncached"], times, "{function} runs each time");
        }
    }
    for times in 1..=2 {
        find_phoenix(site);
        assert_eq!(site.function("rpc")["uncached"], times, "programs are answered without the cache as well");
    }
}

fn changes_made_while_it_was_off_show_when_it_is_on(site: &Site) {
    site.post("/airports/PHX/name", "name=Desert&city=Mesa").leads_to("/airports/PHX");
    site.get("/airports/PHX").page().has("PHX · Desert");
    site.post("/airports/SLC", "").leads_to("/airports/SLC");

    turn(site, "true").leads_to("/stats");
    for (path, hit) in [("/airports/PHX", false), ("/airports/SLC", false), ("/airports/BOS", true)] {
        assert_eq!(site.get(path).is_hit(), hit, "{path}");
        assert!(site.get(path).is_hit(), "{path} again");
    }
    site.get("/airports/PHX").page().has("PHX · Desert");
    assert_eq!(find_phoenix(site).json()["result"]["city"], "Mesa");
}

fn forms_of_other_sites_and_wrong_ones_turn_nothing(site: &Site) {
    let form = |origin: &str| {
        let headers = format!("Content-Type: application/x-www-form-urlencoded\r\nSec-Fetch-Site: {origin}\r\n");
        site.ask("POST", "/cache", &headers, "on=false")
    };
    for origin in ["cross-site", "same-site", "none"] {
        form(origin).refused(403).has("for pages of this site");
    }
    for wrong in ["", "on=", "on=maybe", "off=true", "on=false&on=true"] {
        site.post("/cache", wrong).refused(400);
    }
    assert_eq!(site.get("/cache?on=false").status, 405, "a link turns nothing");
    site.get("/stats").refused(200).has("The cache is <b>on</b>.");
    form("same-origin").leads_to("/stats");
    site.get("/stats").refused(200).has("The cache is <b>off</b>.");
}

fn turn(site: &Site, on: &str) -> Answer {
    site.post("/cache", &format!("on={on}"))
}

fn find_phoenix(site: &Site) -> Answer {
    let call = json!({"jsonrpc": "2.0", "method": "airports.find", "params": ["PHX"], "id": 1});
    site.ask("POST", "/rpc", "", &call.to_string())
}
