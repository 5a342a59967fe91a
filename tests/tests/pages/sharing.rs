//! One request to the service for all that ask for the same page at the same time.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use cache_request::{Cache, Clock, http::CachePage};
use http::{Method, Response};
use http_body::{Body as _, SizeHint};
use http_body_util::BodyExt as _;
use tower_layer::Layer as _;
use tower_service::Service as _;

use super::support::{
    Answer, Bench, FRESH, Failed, Gate, Origin, Script, data, numbered, ok, request, response, settle,
};

const CLIENTS: usize = 10;

/// An origin whose responses wait at a gate.
fn gated(gate: &Gate, respond: impl Fn(usize) -> Result<Response<Script>, Failed> + Send + Sync + 'static) -> Origin {
    Origin::gated(gate, |_| true, move |_, number| respond(number))
}

fn get(fields: &[(&str, &str)]) -> http::Request<String> {
    request(Method::GET, "/", fields)
}

type Clients = Vec<tokio::task::JoinHandle<Result<Answer, Failed>>>;

async fn begin_all(bench: &Bench) -> Clients {
    let clients = (0..CLIENTS).map(|_| bench.begin(get(&[]))).collect();
    settle().await;
    clients
}

#[tokio::test]
async fn a_cold_page_is_asked_for_once() {
    let gate = Gate::closed();
    let bench = Bench::new(gated(&gate, |number| Ok(ok(&[FRESH, ("set-cookie", "own=1")], number.to_string()))));
    let clients = begin_all(&bench).await;
    assert_eq!(bench.origin.count(), 1);
    gate.open(CLIENTS);
    let mut cookies = 0;
    for client in clients {
        let answer = client.await.unwrap().unwrap();
        assert_eq!(answer.text(), "0");
        let is_leader = answer.headers.contains_key("set-cookie");
        assert_eq!(answer.cache_status().contains("collapsed"), !is_leader);
        cookies += usize::from(is_leader);
    }
    assert_eq!((bench.origin.count(), cookies), (1, 1), "a cookie is for the client whose request was made");
}

/// As one does that the service itself asks for while it makes the page.
#[tokio::test]
async fn a_request_waited_for_ever_for_a_page_that_is_not_made() {
    let gate = Gate::closed();
    let origin = Origin::gated(&gate, |number| number == 0, |_, number| Ok(ok(&[FRESH], number.to_string())));
    let cache = Cache::builder().wait_limit(Duration::from_millis(20)).build().unwrap();
    let pages = CachePage::new().cache(&cache).layer(origin);
    let ask = || {
        let mut pages = pages.clone();
        tokio::spawn(async move { Answer::of(pages.call(get(&[])).await.expect("an answer")).await })
    };
    let first = ask();
    settle().await;
    assert_eq!(ask().await.unwrap().text(), "1");
    gate.open(1);
    assert_eq!(first.await.unwrap().text(), "0");
}

#[tokio::test]
async fn a_stale_page_is_validated_once() {
    for validates in [true, false] {
        let gate = Gate::closed();
        let bench = Bench::new(gated(&gate, move |number| {
            let fields = [FRESH, ("etag", if validates { "\"a\"" } else { "\"b\"" })];
            let status = if number > 0 && validates { 304 } else { 200 };
            Ok(response(status, &fields, Script::text(if status == 304 { String::new() } else { number.to_string() })))
        }));
        gate.open(1);
        bench.get("/").await;
        bench.advance(61);
        let clients = begin_all(&bench).await;
        gate.open(CLIENTS);
        for client in clients {
            let answer = client.await.unwrap().unwrap();
            assert_eq!((answer.status, answer.text()), (200, if validates { "0" } else { "1" }));
        }
        assert_eq!(bench.origin.count(), 2, "{validates}");
    }
}

#[tokio::test]
async fn a_body_is_read_while_it_arrives() {
    let (sender, script) = Script::sent();
    let script = Mutex::new(Some(script));
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], script.lock().unwrap().take().unwrap())));
    let mut bodies = Vec::new();
    for piece in ["one ", "two "] {
        // The second client comes when the first piece has.
        bodies.push(bench.open(get(&[])).await.unwrap().into_body());
        sender.send(data(piece)).unwrap();
        settle().await;
    }
    for body in &mut bodies {
        for piece in ["one ", "two "] {
            assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), piece);
        }
    }
    sender.send(data("three")).unwrap();
    drop(sender);
    for body in bodies {
        assert_eq!(body.collect().await.unwrap().to_bytes(), "three");
    }
    settle().await;
    assert_eq!((bench.get("/").await.text(), bench.origin.count()), ("one two three", 1));
}

#[tokio::test]
async fn a_body_that_fails_fails_for_all_that_read_it() {
    let (sender, script) = Script::sent();
    let script = Mutex::new(Some(script));
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], script.lock().unwrap().take().unwrap())));
    let clients = begin_all(&bench).await;
    sender.send(data("half")).unwrap();
    sender.send(Err(Box::new(Failed))).unwrap();
    for client in clients {
        assert_eq!(client.await.unwrap().unwrap().body, Err(Failed.to_string()));
    }
}

#[tokio::test]
async fn clients_whose_response_turns_out_private_ask_at_once() {
    for control in ["private", "no-store", "max-age=0", "no-cache, max-age=60"] {
        let gate = Gate::closed();
        let bench = Bench::new(gated(&gate, move |number| Ok(ok(&[("cache-control", control)], number.to_string()))));
        let clients = begin_all(&bench).await;
        assert_eq!(bench.origin.count(), 1);
        gate.open(1);
        settle().await;
        // All of them are in the service, and none has an answer.
        assert_eq!(bench.origin.count(), CLIENTS, "{control}");
        gate.open(CLIENTS);
        let mut texts = Vec::new();
        for client in clients {
            texts.push(client.await.unwrap().unwrap().text().parse::<usize>().unwrap());
        }
        texts.sort_unstable();
        assert_eq!(texts, (0..CLIENTS).collect::<Vec<_>>(), "{control}: each has its own");
    }
}

#[tokio::test]
async fn clients_of_another_variant_ask_for_themselves() {
    let gate = Gate::closed();
    let waits = gate.clone();
    let bench = Bench::new(Origin::later(move |parts, _| {
        let waits = waits.clone();
        async move {
            waits.pass().await;
            let a = parts.headers["a"].to_str().unwrap().to_owned();
            Ok(ok(&[FRESH, ("vary", "a")], a))
        }
    }));
    let clients: Vec<_> = ["1", "2", "1", "2", "2"].into_iter().map(|a| (a, bench.begin(get(&[("a", a)])))).collect();
    settle().await;
    assert_eq!(bench.origin.count(), 1);
    gate.open(CLIENTS);
    for (a, client) in clients {
        assert_eq!(client.await.unwrap().unwrap().text(), a);
    }
    settle().await;
    for a in ["1", "2"] {
        assert!(bench.get_with("/", &[("a", a)]).await.is_hit(), "{a}");
    }
}

#[tokio::test]
async fn a_leader_whose_service_fails_or_panics_leaves_the_others_to_ask() {
    for panics in [false, true] {
        let gate = Gate::closed();
        let bench = Bench::new(gated(&gate, move |number| match number {
            0 if panics => panic!("the service panics, as it is told to"),
            0 => Err(Failed),
            _ => Ok(ok(&[FRESH], "whole")),
        }));
        let mut clients = begin_all(&bench).await.into_iter();
        assert_eq!(bench.origin.count(), 1);
        gate.open(1);
        settle().await;
        assert_eq!(bench.origin.count(), CLIENTS, "the others are in the service at once");
        gate.open(CLIENTS);
        match clients.next().unwrap().await {
            Ok(answer) => assert!(!panics && answer.unwrap_err() == Failed),
            Err(error) => assert!(panics && error.is_panic()),
        }
        for client in clients {
            assert_eq!(client.await.unwrap().unwrap().text(), "whole");
        }
        settle().await;
        assert!(bench.get("/").await.is_hit());
    }
}

#[tokio::test]
async fn a_fill_goes_on_without_the_client_that_began_it() {
    let gate = Gate::closed();
    let bench = Bench::new(gated(&gate, |number| Ok(ok(&[FRESH], number.to_string()))));
    let mut clients = begin_all(&bench).await.into_iter();
    clients.next().unwrap().abort();
    settle().await;
    gate.open(1);
    for client in clients {
        assert_eq!(client.await.unwrap().unwrap().text(), "0");
    }
    assert_eq!(bench.origin.count(), 1);
}

#[tokio::test]
async fn a_client_that_waits_and_leaves_stops_the_others() {
    let gate = Gate::closed();
    let bench = Bench::new(gated(&gate, |number| Ok(ok(&[FRESH], number.to_string()))));
    let mut clients = begin_all(&bench).await;
    clients.pop().unwrap().abort();
    gate.open(1);
    for client in clients {
        assert_eq!(client.await.unwrap().unwrap().text(), "0");
    }
}

#[tokio::test]
async fn requests_that_share_nothing_do_not_wait() {
    let asked = Arc::new(AtomicUsize::new(0));
    let gate = Gate::closed();
    let (count, waits) = (Arc::clone(&asked), gate.clone());
    let bench = Bench::new(Origin::later(move |_, number| {
        let (count, waits) = (Arc::clone(&count), waits.clone());
        async move {
            count.fetch_add(1, Relaxed);
            if number == 0 {
                waits.pass().await;
            }
            Ok(ok(&[FRESH], number.to_string()))
        }
    }));
    let leader = bench.begin(get(&[]));
    settle().await;
    for fields in [("cache-control", "no-store"), ("range", "bytes=0-0"), ("if-match", "\"a\"")] {
        bench.get_with("/", &[fields]).await;
    }
    bench.send(request(Method::HEAD, "/", &[])).await;
    assert_eq!(asked.load(Relaxed), 5);
    gate.open(1);
    assert_eq!(leader.await.unwrap().unwrap().text(), "0");
}

/// There is no task to go on with, so the client itself drives the service.
#[test]
fn without_a_runtime_a_large_body_blocks_for_ever() {
    let layer = CachePage::new().max_body(4);
    let origin =
        Origin::new(|_, _| response(200, &[FRESH], Script::frames([data("more "), data("than "), data("four")])));
    let bench = Bench::with(layer, origin);
    let answer = futures_lite::future::block_on(async {
        let open = async { Some(Answer::of(bench.open(get(&[])).await.unwrap()).await) };
        let limit = async {
            // Polled after it each time: it either goes on by itself, or never.
            for _ in 0..100 {
                futures_lite::future::yield_now().await;
            }
            None
        };
        futures_lite::future::or(open, limit).await
    });
    assert_eq!(answer.expect("it does not block").text(), "more than four");
}

#[tokio::test]
async fn the_length_of_an_arriving_body_stays_what_it_was() {
    let (sender, script) = Script::sent();
    let script = Mutex::new(Some(Script::Hinted(Box::new(script), SizeHint::with_exact(5))));
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], script.lock().unwrap().take().unwrap())));
    let mut body = bench.open(request(Method::GET, "/", &[])).await.unwrap().into_body();
    assert_eq!(body.size_hint().exact(), Some(5));
    sender.send(data("who")).unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(2));
    sender.send(data("le")).unwrap();
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(0));
}

/// Without the layer, the server sees the panic and closes the connection.
#[tokio::test]
async fn a_body_that_panics_left_its_readers_waiting_for_ever() {
    let frames = || {
        let mut number = 0;
        std::iter::from_fn(move || {
            number += 1;
            assert!(number < 2, "on purpose");
            Some(data("begin"))
        })
    };
    let bench = Bench::new(Origin::new(move |_, _| response(200, &[FRESH], Script::Made(Box::new(frames())))));
    let client = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    assert!(client.is_finished(), "the client still waits for a body that nothing makes any more");
}

/// A stream that is no `text/event-stream`, in site mode. It never ends by itself, and sends too little to be too large.
#[tokio::test]
async fn a_stream_without_an_end_went_on_for_ever_without_its_client() {
    let streams = Arc::new(Mutex::new(Vec::new()));
    let bench = Bench::with(CachePage::new().timeout(Duration::from_secs(60)), {
        let streams = Arc::clone(&streams);
        Origin::new(move |_, _| {
            let (sender, script) = Script::sent();
            streams.lock().unwrap().push(sender);
            response(200, &[("content-type", "application/x-ndjson")], script)
        })
    });
    for _ in 0..3 {
        drop(bench.open(request(Method::GET, "/", &[])).await.unwrap());
        bench.advance(3600);
        settle().await;
    }
    // What arrives could not be stored any more, as it is stale.
    for stream in &*streams.lock().unwrap() {
        _ = stream.send(data("{}\n"));
    }
    settle().await;
    let left = streams.lock().unwrap().iter().filter(|stream| !stream.is_closed()).count();
    assert_eq!(left, 0, "tasks that read a stream without a client");
}

/// A page whose body has begun to arrive when what is stored is cleared, and a request after that.
async fn after_a_clearing(clear: impl AsyncFn(&Bench)) -> Answer {
    let (sender, body) = Script::sent();
    let body = Mutex::new(Some(body));
    let origin = Origin::new(move |_, _| match body.lock().unwrap().take() {
        Some(body) => response(200, &[FRESH], body),
        None => ok(&[FRESH], "new"),
    });
    let bench = Bench::with(CachePage::new().name("cleared"), origin);
    let _first = bench.open(request(Method::GET, "/", &[])).await.unwrap();
    clear(&bench).await;
    let later = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    sender.send(data("old")).unwrap();
    drop(sender);
    later.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_request_after_a_clearing_shared_the_page_from_before() {
    let answer = after_a_clearing(async |bench: &Bench| bench.cache.clear().await.unwrap()).await;
    assert_eq!(answer.text(), "new");
}

#[tokio::test]
async fn a_request_after_a_purge_by_another_layer_of_the_name_shared_the_page_from_before() {
    let answer = after_a_clearing(async |bench: &Bench| {
        let beside = CachePage::new().name("cleared").cache(&bench.cache);
        beside.purge(&"http://example.com/".parse().unwrap()).await.unwrap();
    })
    .await;
    assert_eq!(answer.text(), "new");
}

/// Its first request never ends, and the second one has waited for it.
#[tokio::test]
async fn a_page_whose_first_request_hangs_was_lost_for_good() {
    let origin = Origin::later(|_, number| async move {
        if number == 0 {
            std::future::pending::<()>().await;
        }
        Ok(ok(&[FRESH], format!("response {number}")))
    });
    let cache = Cache::builder().wait_limit(Duration::from_millis(20)).build().unwrap();
    let pages = CachePage::new().cache(&cache).layer(origin.clone());
    let bench = Bench { clock: Clock::mock(), cache, origin, pages };
    let first = bench.begin(request(Method::GET, "/", &[]));
    settle().await;
    assert_eq!(bench.get("/").await.text(), "response 1", "it waits for a while");
    let hit = bench.get("/").await;
    assert_eq!((hit.text(), hit.is_hit(), first.is_finished()), ("response 1", true, false));
}

/// The inner one would wait for the outer one.
#[tokio::test]
async fn a_layer_inside_itself_waited_for_itself() {
    let cache = Cache::builder().wait_limit(Duration::MAX).build().unwrap();
    let layer = CachePage::new().cache(&cache);
    let mut pages = layer.layer(layer.layer(numbered(&[])));
    let answer = tokio::spawn(pages.call(request(Method::GET, "/", &[])));
    settle().await;
    assert!(answer.is_finished());
    assert_eq!(Answer::of(answer.await.unwrap().unwrap()).await.text(), "response 0");
}
