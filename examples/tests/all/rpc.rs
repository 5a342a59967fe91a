//! The JSON-RPC endpoint of `departures`, by the [specification](https://www.jsonrpc.org/specification).

use serde_json::{Value, json};

use crate::site::{Answer, Site};

#[test]
fn the_endpoint_keeps_to_the_specification() {
    let site = Site::start();
    a_call_has_a_result(&site);
    what_is_no_json_is_a_parse_error(&site);
    what_is_no_request_is_invalid(&site);
    an_unknown_method_is_not_found(&site);
    wrong_arguments_are_refused(&site);
    the_functions_own_errors_have_own_numbers(&site);
    an_id_comes_back_as_it_was(&site);
    a_notification_has_no_reply(&site);
    a_batch_has_a_reply_for_each_request_with_an_id(&site);
    a_call_is_cached_by_its_arguments_however_they_are_passed(&site);
    an_error_is_not_cached(&site);
}

#[test]
fn keys_have_module_function_and_arguments() {
    let redis = cache_request_tests::servers::redis::Redis::start(&[]);
    let site = Site::start_with(&redis.url());
    call(&site, "flights.delays", &json!({"day": 26, "origin": "ORD"}));
    call(&site, "routes.worst", &json!([5]));
    let mut keys: Vec<String> = redis.ask(&["KEYS", "*..rpc.*"]);
    keys.sort();
    let expected = ["departures..rpc.flights.delays?params=ORD,!,26", "departures..rpc.routes.worst?params=5,"];
    assert_eq!(keys, expected.map(|key| format!("cache-request:{key}")));
}

fn a_call_has_a_result(site: &Site) {
    assert_eq!(
        call(site, "airports.find", &json!(["ORD"]))["result"],
        json!({
            "iata": "ORD", "name": "Chicago O'Hare International", "city": "Chicago", "state": "IL",
            "latitude": 41.979595, "longitude": -87.90446417
        })
    );
    assert_eq!(call(site, "airports.punctuality", &json!(["ORD"]))["result"]["flights"], 27_692);
    assert_eq!(call(site, "airports.punctuality", &json!(["00M"]))["result"], Value::Null);
    let to = call(site, "airports.destinations", &json!({"limit": 3, "iata": "ORD"}));
    assert_eq!(to["result"].as_array().expect("routes").len(), 3);
    let worst = call(site, "routes.worst", &json!([7]));
    assert_eq!(worst["result"].as_array().expect("routes").len(), 7);
}

fn what_is_no_json_is_a_parse_error(site: &Site) {
    for body in ["", "hello", "{\"jsonrpc\": \"2.0\", \"method\"", "[{\"jsonrpc\": \"2.0\"}", "{}{}"] {
        assert_eq!(fault(&send(site, body)), (-32700, Value::Null), "{body}");
    }
    let deep = "[".repeat(10_000);
    assert_eq!(fault(&send(site, &deep)), (-32700, Value::Null), "it nests too deeply");
}

fn what_is_no_request_is_invalid(site: &Site) {
    for body in [
        json!([]),
        json!({}),
        json!(1),
        json!("airports.find"),
        json!(null),
        json!({"method": "airports.find", "params": ["JFK"], "id": 1}),
        json!({"jsonrpc": "1.0", "method": "airports.find", "params": ["JFK"], "id": 1}),
        json!({"jsonrpc": 2.0, "method": "airports.find", "params": ["JFK"], "id": 1}),
        json!({"jsonrpc": {"2.0": null}, "method": "airports.find", "params": ["JFK"], "id": 1}),
        json!({"jsonrpc": "2.0", "params": ["JFK"], "id": 1}),
        json!({"jsonrpc": "2.0", "method": 1, "params": "bar"}),
        json!({"jsonrpc": "2.0", "method": "airports.find", "params": "JFK", "id": 1}),
        json!({"jsonrpc": "2.0", "method": "airports.find", "params": null, "id": 1}),
        json!({"jsonrpc": "2.0", "method": "airports.find", "params": ["JFK"], "id": [1]}),
        json!({"jsonrpc": "2.0", "method": "airports.find", "params": ["JFK"], "id": true}),
    ] {
        assert_eq!(fault(&send(site, &body.to_string())), (-32600, Value::Null), "{body}");
    }
    // An array in a batch is no request with its members in order.
    let nested = send(site, &json!([["2.0", "airports.find", ["JFK"], 1]]).to_string()).json();
    assert_eq!(nested[0]["error"]["code"], -32600, "{nested}");
}

fn an_unknown_method_is_not_found(site: &Site) {
    for method in ["airports", "airports.", "airports.find.", "Airports.find", "find", "rpc.discover", ""] {
        assert_eq!(call(site, method, &json!(["JFK"]))["error"]["code"], -32601, "{method}");
    }
}

fn wrong_arguments_are_refused(site: &Site) {
    for (method, params) in [
        ("airports.find", json!([])),
        ("airports.find", json!({})),
        ("airports.find", json!([5])),
        ("airports.find", json!(["TOOLONG"])),
        ("airports.find", json!(["JFK", "ORD"])),
        ("airports.find", json!({"iata": "JFK", "more": 1})),
        ("airports.find", json!({"Iata": "JFK"})),
        ("airports.destinations", json!(["JFK"])),
        ("airports.destinations", json!(["JFK", 0])),
        ("airports.destinations", json!(["JFK", 201])),
        ("airports.destinations", json!(["JFK", "5"])),
        ("flights.delays", json!([null, null, 0])),
        ("flights.delays", json!([null, null, 32])),
        ("flights.delays", json!([null, null, 1.5])),
        ("flights.delays", json!({"day": 300})),
        ("routes.worst", json!([-1])),
    ] {
        let reply = call(site, method, &params);
        assert_eq!(reply["error"]["code"], -32602, "{method} {params}: {reply}");
    }
}

fn the_functions_own_errors_have_own_numbers(site: &Site) {
    let reply = call(site, "airports.find", &json!(["ZZZ"]));
    assert_eq!(reply["error"], json!({"code": 1, "message": "There is no airport ZZZ"}));
    assert_eq!(reply.get("result"), None, "a reply has a result or an error");
}

fn an_id_comes_back_as_it_was(site: &Site) {
    for id in [json!(7), json!("seven"), json!(""), json!(7.5), json!(null), json!(u64::MAX)] {
        let request = json!({"jsonrpc": "2.0", "method": "routes.worst", "params": [1], "id": id});
        let reply = send(site, &request.to_string()).json();
        assert_eq!(reply["id"], id);
        assert_eq!(reply["jsonrpc"], "2.0");
        assert!(reply.get("error").is_none() && reply["result"].is_array(), "{reply}");
    }
}

fn a_notification_has_no_reply(site: &Site) {
    for (method, params) in [("routes.worst", json!([1])), ("routes.worst", json!([])), ("nowhere", json!({}))] {
        let request = json!({"jsonrpc": "2.0", "method": method, "params": params});
        for body in [request.to_string(), json!([request, request]).to_string()] {
            let answer = send(site, &body);
            assert_eq!((answer.status, answer.body.as_str()), (204, ""), "{body}");
        }
    }
    let before = bodies_and_hits(site);
    send(site, &json!({"jsonrpc": "2.0", "method": "routes.worst", "params": [1]}).to_string());
    assert_eq!(bodies_and_hits(site), (before.0, before.1 + 1), "it is called all the same");
}

fn a_batch_has_a_reply_for_each_request_with_an_id(site: &Site) {
    let batch = json!([
        {"jsonrpc": "2.0", "method": "airports.find", "params": ["JFK"], "id": "1"},
        {"jsonrpc": "2.0", "method": "airports.find", "params": ["ORD"]},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        1,
        {"jsonrpc": "2.0", "method": "airports.find", "params": [5], "id": 9},
    ]);
    let replies = send(site, &batch.to_string()).json();
    let told: Vec<_> = replies
        .as_array()
        .expect("an array")
        .iter()
        .map(|reply| (reply["id"].clone(), reply["error"]["code"].as_i64()))
        .collect();
    let expected = [
        (json!("1"), None),
        (json!(null), Some(-32600)),
        (json!("5"), Some(-32601)),
        (json!(null), Some(-32600)),
        (json!(9), Some(-32602)),
    ];
    assert_eq!(told, expected);
}

fn a_call_is_cached_by_its_arguments_however_they_are_passed(site: &Site) {
    let before = bodies_and_hits(site);
    for params in [json!(["MSP"]), json!(["msp"]), json!({"iata": "MSP"}), json!({"iata": " msp "})] {
        assert_eq!(call(site, "airports.find", &params)["result"]["city"], "Minneapolis", "{params}");
    }
    for params in [json!([]), json!([null, null, null]), json!({}), json!({"day": null})] {
        let hours = call(site, "flights.delays", &params);
        assert_eq!(hours["result"].as_array().expect("hours").len(), 24, "{params}");
    }
    assert_eq!(bodies_and_hits(site), (before.0 + 2, before.1 + 6));
}

fn an_error_is_not_cached(site: &Site) {
    let before = bodies_and_hits(site);
    for _ in 0..2 {
        assert_eq!(call(site, "airports.find", &json!(["ZZZ"]))["error"]["code"], 1);
    }
    assert_eq!(bodies_and_hits(site), (before.0 + 2, before.1));
}

fn bodies_and_hits(site: &Site) -> (u64, u64) {
    let counters = site.function("rpc");
    let number = |name: &str| counters[name].as_u64().expect("a number");
    (number("bodies"), number("hits"))
}

/// What the site replies to a call.
fn call(site: &Site, method: &str, params: &Value) -> Value {
    let request = json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 1});
    send(site, &request.to_string()).json()
}

fn send(site: &Site, body: &str) -> Answer {
    site.ask("POST", "/rpc", "Content-Type: application/json\r\n", body)
}

/// The number of the error, and the `id`.
fn fault(answer: &Answer) -> (i64, Value) {
    let reply = answer.json();
    assert!(reply["error"]["message"].is_string() && reply.get("result").is_none(), "{reply}");
    (reply["error"]["code"].as_i64().expect("a number"), reply["id"].clone())
}
