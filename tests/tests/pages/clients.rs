//! `ClientScopeLayer`: a site that serves several clients.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
    task::{Context, Poll},
};

use bytes::Bytes;
use cache_request::{
    Cache, cache_request, client_scope, client_scope_sync,
    http::{CachePage, ClientScopeLayer, ClientScopedBody},
    scoped,
};
use http::{HeaderName, Method, Request, Response};
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use tower_layer::Layer as _;
use tower_service::Service;

use super::support::{Answer, Bench, FRESH, Origin, numbered, ok, request, settle};

/// How often it ran, over all clients.
#[cache_request(timeout = 60)]
async fn runs() -> usize {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    RUNS.fetch_add(1, Ordering::Relaxed)
}

/// A body that asks [`runs`] when it is read.
struct Asks {
    cache: Cache,
    is_read: bool,
}

impl Body for Asks {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_read {
            return Poll::Ready(None);
        }
        let cache = self.cache.clone();
        let asking = std::pin::pin!(scoped(&cache, runs()));
        asking.poll(context).map(|number| {
            self.is_read = true;
            Some(Ok(Frame::data(number.to_string().into())))
        })
    }
}

/// Answers with what [`runs`] says while the request is handled, in the field `runs`, and while the body is read.
#[derive(Clone)]
struct Asking(Cache);

impl Service<Request<String>> for Asking {
    type Response = Response<Asks>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Asks>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<String>) -> Self::Future {
        let cache = self.0.clone();
        Box::pin(async move {
            let number = scoped(&cache, runs()).await;
            let response = Response::builder().header("runs", number);
            Ok(response.body(Asks { cache, is_read: false }).unwrap())
        })
    }
}

/// What [`runs`] says in an answer: while it is made, and while its body is read.
async fn ask(layer: &ClientScopeLayer, cache: &Cache, target: &str, fields: &[(&str, &str)]) -> usize {
    let answer = layer.layer(Asking(cache.clone())).call(request(Method::GET, target, fields)).await.unwrap();
    let number: usize = answer.headers()["runs"].to_str().unwrap().parse().unwrap();
    // It is read in a task that knows nothing of the client, as a server does.
    let body: ClientScopedBody<Asks> = answer.into_body();
    let text = tokio::spawn(body.collect()).await.unwrap().unwrap().to_bytes();
    assert_eq!(text, number.to_string(), "the body is of the same client");
    number
}

/// Which of some requests have the same client: the number of the first such one, for each.
async fn clients(layer: ClientScopeLayer, requests: &[(&str, &[(&str, &str)])]) -> Vec<usize> {
    let cache = Cache::memory();
    let mut said: Vec<usize> = Vec::new();
    for (target, fields) in requests {
        said.push(ask(&layer, &cache, target, fields).await);
    }
    said.iter().map(|number| said.iter().position(|other| other == number).unwrap()).collect()
}

#[tokio::test]
async fn two_hosts_shared_values() {
    let requests: &[(&str, &[_])] = &[
        ("/", &[("host", "acme.example")]),
        ("/", &[("host", "other.example")]),
        ("/other", &[("host", "ACME.example:8080")]),
        ("http://acme.example/", &[("host", "acme.example")]),
        // These have no client: two hosts that differ, and one that is none.
        ("/", &[("host", "acme.example"), ("host", "other.example")]),
        ("http://acme.example/", &[("host", "other.example")]),
        ("/", &[("host", "a b")]),
    ];
    assert_eq!(clients(ClientScopeLayer::from_host(), requests).await, [0, 1, 0, 0, 4, 4, 4]);
}

#[tokio::test]
async fn clients_were_told_apart_by_half_a_header_field() {
    let requests: &[(&str, &[_])] = &[
        ("/", &[("x-client", "acme")]),
        ("/", &[("x-client", "Acme")]),
        ("/", &[("x-client", "acme"), ("x-client", "other")]),
        ("/", &[("x-client", "acme, other")]),
        ("/", &[]),
        ("/", &[("x-client", "")]),
        ("/", &[("x-client", "\u{fc}")]),
        ("/", &[("x-client", "%00%FC")]),
    ];
    let layer = ClientScopeLayer::from_header(HeaderName::from_static("x-client"));
    assert_eq!(clients(layer, requests).await, [0, 1, 2, 2, 4, 5, 6, 7]);
}

#[tokio::test]
async fn a_client_had_two_names_by_its_path() {
    let paths = ["/acme/a", "/%61cme/b", "/acme", "/other/acme", "/", "//acme", "/%FC", "/%00%FC"];
    let requests: Vec<(&str, &[_])> = paths.iter().map(|path| (*path, &[] as &[_])).collect();
    let layer = ClientScopeLayer::from_path_segment(0);
    assert_eq!(clients(layer, &requests).await, [0, 0, 0, 3, 4, 4, 6, 7]);
}

#[tokio::test]
async fn a_request_without_a_client_left_the_scope_around_the_layer() {
    let layer = ClientScopeLayer::from_fn(|request| request.uri.query().map(str::to_owned));
    let cache = Cache::memory();
    let acme = ask(&layer, &cache, "/?acme", &[]).await;
    let none = ask(&layer, &cache, "/", &[]).await;
    assert_ne!(acme, none);
    assert_eq!(client_scope("acme", ask(&layer, &cache, "/", &[])).await, acme);
    assert_ne!(client_scope("acme", ask(&layer, &cache, "/?other", &[])).await, acme);
    assert_eq!(ask(&layer, &cache, "/", &[]).await, none, "what was in force before is in force again");
}

#[tokio::test]
async fn clients_shared_a_page() {
    let origin = Origin::new(|_, number| ok(&[FRESH], format!("response {number}")));
    let layer = CachePage::new().name("clients");
    let bench = Bench::with(layer.clone(), origin);
    let mut site = ClientScopeLayer::from_header(HeaderName::from_static("x-client")).layer(bench.pages.clone());
    let mut get = async |client: &'static str| {
        let answer = site.call(request(Method::GET, "/", &[("x-client", client)])).await.unwrap();
        let text = answer.into_body().collect().await.unwrap().to_bytes();
        settle().await;
        String::from_utf8(text.to_vec()).unwrap()
    };
    for (client, text) in [("one", "response 0"), ("two", "response 1"), ("one", "response 0"), ("two", "response 1")] {
        assert_eq!(get(client).await, text, "{client}");
    }
    let pages = layer.cache(&bench.cache);
    let uri = "http://example.com/".parse().unwrap();
    assert!(!pages.purge(&uri).await.unwrap(), "outside of all clients there is no page");
    assert!(client_scope("one", pages.purge(&uri)).await.unwrap());
    assert_eq!((get("two").await, get("one").await), ("response 1".to_owned(), "response 2".to_owned()));
}

/// A path can have a NUL, percent-encoded.
#[tokio::test]
async fn two_clients_had_one_name_by_their_paths() {
    let bench = Bench::with(CachePage::new().name("nul").original_uri(|_| Some("/".parse().unwrap())), numbered(&[]));
    let mut site = ClientScopeLayer::from_path_segment(0).layer(bench.pages.clone());
    let mut texts = Vec::new();
    for path in ["/%FF", "/%00%25FF"] {
        let answer = site.call(request(Method::GET, path, &[])).await.unwrap();
        texts.push(answer.into_body().collect().await.unwrap().to_bytes());
        settle().await;
    }
    assert_ne!(texts[0], texts[1]);
}

/// The scope in which the service is called counts, as the future may be polled anywhere.
#[tokio::test]
async fn a_page_was_made_for_the_scope_that_its_future_is_polled_in() {
    let bench = Bench::new(numbered(&[]));
    let mut texts = Vec::new();
    for (called_by, polled_by) in [("one", "one"), ("two", "one"), ("one", "two")] {
        let mut pages = bench.pages.clone();
        let call = client_scope_sync(called_by, || pages.call(request(Method::GET, "/", &[])));
        let answer = client_scope(polled_by, call).await.unwrap();
        texts.push(Answer::of(answer).await.text().to_owned());
        settle().await;
    }
    assert_eq!(texts, ["response 0", "response 1", "response 0"]);
}

/// The page cache does not know the client inside of it.
#[tokio::test]
async fn the_page_of_a_client_inside_was_given_to_all() {
    let inside = ClientScopeLayer::from_header(HeaderName::from_static("x-client"));
    let cache = Cache::memory();
    let origin = Origin::new(|parts, _| ok(&[FRESH], format!("{:?}", parts.headers.get("x-client"))));
    let mut site = CachePage::new().cache(&cache).layer(inside.layer(origin));
    for client in ["one", "two"] {
        let answer = Answer::of(site.call(request(Method::GET, "/", &[("x-client", client)])).await.unwrap()).await;
        assert!(answer.text().contains(client) && answer.cache_status().ends_with("detail=client"), "{answer:?}");
    }
}
