//! What a request is for, where the layer sees another URI or scheme than the client asked for.

use cache_request::{Cache, Clock, http::CachePage};
use http::{HeaderName, Method, Request, Uri};
use tower_layer::Layer as _;

use super::support::{Bench, FRESH, Origin, Script, numbered, ok, request, response};

/// What a router leaves in a request whose prefix it takes from the path.
#[derive(Clone)]
struct OriginalUri(Uri);

/// A request for `/<nest><path>` as the layer gets it inside the nest.
fn nested(method: Method, nest: &str, path: &str) -> Request<String> {
    let mut request = request(method, path, &[]);
    request.extensions_mut().insert(OriginalUri(format!("{nest}{path}").parse().unwrap()));
    request
}

fn by_original_uri() -> CachePage {
    CachePage::new().original_uri(|request| request.extensions.get::<OriginalUri>().map(|uri| uri.0.clone()))
}

#[tokio::test]
async fn two_nests_share_a_page() {
    let bench = Bench::with(by_original_uri(), numbered(&[]));
    let get = |nest| bench.send(nested(Method::GET, nest, "/x"));
    assert_eq!(get("/a").await.text(), "response 0");
    assert_eq!(get("/b").await.text(), "response 1");
    assert_eq!(bench.get("/x").await.text(), "response 2");
    assert_eq!((get("/a").await.text(), get("/b").await.text()), ("response 0", "response 1"));
    assert!(bench.get("/a/x").await.is_hit(), "a page has one key, inside a nest and outside");
    assert_eq!(bench.origin.last().uri, "/x", "the service sees what it did without the layer");
}

/// RFC 9110, section 4.2.3.
#[tokio::test]
async fn a_default_port_was_another_host() {
    let bench = Bench::new(numbered(&[]));
    for [with, without] in
        [["http://a.example:80/", "http://a.example/"], ["https://a.example:443/", "https://a.example/"]]
    {
        let get = async |target: &str| {
            let authority = target.split('/').nth(2).unwrap();
            bench.get_with(target, &[("host", authority)]).await
        };
        get(with).await;
        assert!(get(without).await.is_hit(), "{with}");
    }
    assert!(!bench.get_with("/", &[("host", "a.example:443")]).await.is_hit(), "the port of another scheme");
}

/// RFC 9110, section 4.2.3.
#[tokio::test]
async fn an_empty_path_had_another_page_than_the_root() {
    for layer in [CachePage::new(), CachePage::new().sort_query()] {
        let bench = Bench::with(layer, numbered(&[]));
        assert_eq!(bench.get("/?a=1").await.text(), "response 0");
        for target in ["http://example.com?a=1", "http://example.com/?a=1", "http://EXAMPLE.com?%61=1"] {
            assert!(bench.get(target).await.is_hit(), "{target}");
        }
        assert_eq!(
            (bench.get("/").await.text(), bench.get("http://example.com").await.text()),
            ("response 1", "response 1")
        );
    }
}

#[tokio::test]
async fn a_change_inside_a_nest_leaves_its_page() {
    let bench = Bench::with(
        by_original_uri(),
        Origin::new(|parts, number| match parts.method {
            Method::POST => response(303, &[("location", "/a/list")], Script::text("")),
            _ => ok(&[("cache-control", "max-age=60")], number.to_string()),
        }),
    );
    for path in ["/x", "/list"] {
        bench.send(nested(Method::GET, "/a", path)).await;
        assert!(bench.send(nested(Method::GET, "/a", path)).await.is_hit(), "{path}");
    }
    bench.send(nested(Method::POST, "/a", "/x")).await;
    for path in ["/x", "/list"] {
        assert!(!bench.send(nested(Method::GET, "/a", path)).await.is_hit(), "{path}");
    }
}

#[tokio::test]
async fn the_route_of_a_site_is_part_of_a_path() {
    let layer = by_original_uri().timeout(std::time::Duration::from_secs(60)).route("/a/x", std::time::Duration::ZERO);
    let bench = Bench::with(layer, Origin::new(|_, _| ok(&[], "page")));
    for method in [Method::GET, Method::HEAD] {
        for range in [None, Some("bytes=0-1")] {
            let mut request = nested(method.clone(), "/a", "/x");
            request.headers_mut().extend(range.map(|range| (http::header::RANGE, range.parse().unwrap())));
            assert_eq!(bench.send(request).await.field("cache-control"), Some("no-store"), "{method} {range:?}");
        }
    }
}

#[tokio::test]
async fn a_panic_while_the_uri_is_told_breaks_the_request() {
    let bench = Bench::with(CachePage::new().original_uri(|_| panic!("on purpose")), numbered(&[]));
    for number in 0..2 {
        let answer = bench.get("/").await;
        assert_eq!(answer.text(), format!("response {number}"));
        assert!(answer.cache_status().ends_with("fwd=bypass; detail=target"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_proxy_that_ends_tls_hides_the_scheme() {
    for (trusts, field, is_apart) in [
        (true, "https", true),
        (true, "HTTPS", true),
        (true, "http", false),
        (true, "https, http", false),
        (false, "https", false),
    ] {
        let layer = CachePage::new().show_key(true);
        let layer = if trusts { layer.scheme_from(HeaderName::from_static("x-forwarded-proto")) } else { layer };
        let bench = Bench::with(layer, numbered(&[]));
        let answer = bench.get_with("/list", &[("x-forwarded-proto", field)]).await;
        let key = if is_apart { "https://example.com/list" } else { "http://example.com/list" };
        assert!(answer.cache_status().contains(key), "{trusts} {field}: {}", answer.cache_status());
    }
}

/// What tells the scheme of one request may be missing in another one. So a change concerns the page of both schemes.
#[tokio::test]
async fn a_change_left_the_page_of_the_other_scheme() {
    for location in ["/list", "http://example.com/list", "https://EXAMPLE.com/list", "//example.com/list"] {
        let bench = Bench::new(Origin::new(move |parts, number| match parts.method {
            Method::POST => response(303, &[("location", location)], Script::text("")),
            _ => ok(&[("cache-control", "max-age=60")], number.to_string()),
        }));
        for page in ["/list", "https://example.com/list", "/new", "https://example.com/new"] {
            bench.get(page).await;
            assert!(bench.get(page).await.is_hit(), "{page}");
            bench.post("/new").await;
            assert!(!bench.get(page).await.is_hit(), "{page} after {location}");
        }
    }
}

/// The body of a page with its number, from a router whose nested ones have one layer.
async fn from_routers(app: &axum::Router, uri: &str) -> String {
    use http_body_util::BodyExt as _;
    use tower_service::Service as _;
    let request = Request::builder().uri(uri).header("host", "example.org").body(axum::body::Body::empty()).unwrap();
    let response = app.clone().call(request).await.unwrap();
    String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
}

#[tokio::test]
async fn two_nested_routers_of_axum_shared_their_pages() {
    use axum::{Router, middleware::map_request, routing::get};
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    };

    let layer = CachePage::new().cache(&Cache::memory());
    let answers = Arc::new(AtomicUsize::new(0));
    let inner = || {
        let answers = Arc::clone(&answers);
        let handler =
            move || async move { ([("cache-control", "max-age=60")], answers.fetch_add(1, Relaxed).to_string()) };
        Router::new().route("/x", get(handler)).layer(layer.clone())
    };
    // Something rewrites the paths of this one, so the layer cannot know what the service answers for.
    let rewritten = inner().layer(map_request(async |mut request: axum::extract::Request| {
        *request.uri_mut() = Uri::from_static("/x");
        request
    }));
    let app = Router::new().nest("/a", inner()).nest("/b", inner()).nest("/c/y", rewritten);
    assert_eq!(from_routers(&app, "/a/x").await, "0");
    assert_eq!(from_routers(&app, "/b/x").await, "1");
    assert_eq!(from_routers(&app, "/a/x").await, "0");
    assert_eq!(from_routers(&app, "/b/x").await, "1");
    assert_eq!(from_routers(&app, "/c/y/x?1").await, "2");
    assert_eq!(from_routers(&app, "/c/y/x?1").await, "3");
}

/// Such as one function that wraps each router of a program.
#[tokio::test]
async fn two_layers_that_one_line_makes_shared_their_pages() {
    let cache = Cache::memory();
    let site = |origin: Origin| {
        let pages = CachePage::new().cache(&cache).layer(origin.clone());
        Bench { clock: Clock::mock(), cache: cache.clone(), origin, pages }
    };
    let public = site(Origin::new(|_, _| ok(&[FRESH], "public")));
    let admin = site(Origin::new(|_, _| ok(&[FRESH], "admin")));
    assert_eq!(admin.get("/").await.text(), "admin");
    assert_eq!(public.get("/").await.text(), "public");
}

/// With HTTP/1.1 over TLS a request tells no scheme, so `:443` stays in its host. With HTTP/2 it tells `https`, and the port goes.
#[tokio::test]
async fn a_change_by_a_host_with_the_port_of_https_left_the_page() {
    let (get, post) = (Method::GET, Method::POST);
    let bench = Bench::new(numbered(&[]));
    bench.get("https://example.com/").await;
    assert!(bench.get("https://example.com/").await.is_hit());
    bench.send(request(post, "/", &[("host", "example.com:443")])).await;
    let answer = bench.send(request(get, "https://example.com/", &[])).await;
    assert!(!answer.is_hit(), "{}", answer.cache_status());
}

/// The first proxy tells `https`, or only the second one does. A service that looks at the first one makes other links.
#[tokio::test]
async fn what_two_proxies_forwarded_was_taken_for_what_one_did() {
    let bench = Bench::new(numbered(&[]));
    bench.get_with("/", &[("forwarded", "host=a.example;proto=https")]).await;
    let answer = bench.get_with("/", &[("forwarded", "host=a.example, proto=https")]).await;
    assert!(!answer.is_hit(), "{}", answer.cache_status());
}

/// A router that compares paths as they come does not know `/%61bout`, and answers with another page.
#[tokio::test]
async fn a_path_in_another_form_made_the_page_of_the_normal_one() {
    let bench = Bench::new(Origin::new(|parts, _| ok(&[FRESH], parts.uri.path().to_owned())));
    for path in ["/%61bout", "/about%2Dus", "/%c3%bc"] {
        let answer = bench.get(path).await;
        assert_eq!((answer.text(), answer.is_hit()), (path, false));
        assert!(answer.cache_status().ends_with("detail=target"), "{path}: {}", answer.cache_status());
    }
    for path in ["/about", "/about-us", "/%C3%BC"] {
        assert_eq!(bench.get(path).await.text(), path);
        assert!(bench.get(path).await.is_hit(), "{path}");
    }
}
