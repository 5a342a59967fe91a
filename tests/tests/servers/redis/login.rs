//! Users, passwords and certificates.

use std::time::Duration;

use cache_request::{
    Cache, ErrorKind,
    backend::{Backend, Claim, ClaimKind, Connect, Fence, RedisBackend, Right},
    cache_request, scoped_sync,
};
use cache_request_tests::{
    certificates::Certificates,
    logs,
    servers::{
        free_port,
        redis::{self, Redis},
    },
};
use futures_lite::future::block_on;

#[cache_request]
fn double(number: u32) -> u32 {
    number * 2
}

/// A server with a user that has only the permissions that a cache needs.
fn with_user() -> Redis {
    let redis = Redis::start(&[]);
    #[rustfmt::skip]
    redis.ask::<()>(&[
        "ACL", "SETUSER", "cache", "on", ">s@cr/t:1", "resetkeys", "~mine:*", "~:[{:]mine:*", "-@all", "+get", "+mget",
        "+set", "+pexpire", "+persist", "+exists", "+unlink", "+scan", "+evalsha", "+eval", "+pttl", "+select",
    ]);
    redis.ask::<()>(&["ACL", "SETUSER", "default", "resetpass", ">default-s3cret"]);
    redis
}

#[test]
fn a_user_of_few_rights_is_enough() {
    let redis = with_user();
    let port = redis.server.port;
    let url = format!("redis://cache:s%40cr%2Ft%3A1@127.0.0.1:{port}/2");
    let backend = RedisBackend::builder(&url).namespace("mine").connect(Connect::Now).build().unwrap();
    block_on(async {
        backend.set("key", b"value", None).await.unwrap();
        assert!(!backend.add("key", b"value", None).await.unwrap());
        assert!(backend.touch("key", None).await.unwrap());
        assert!(backend.touch("key", Some(Duration::from_secs(9))).await.unwrap());
        assert_eq!(backend.get_many(&["key"]).await[0].as_ref().unwrap().as_deref(), Some(&b"value"[..]));
        let claim = Claim { kind: ClaimKind::Any, token: 1, lease: Duration::from_secs(9) };
        let fence = Fence::new(1);
        for key in ["key", "k{e}y", "k}"] {
            assert_eq!(backend.claim(key, claim).await.unwrap().right, Right::Leased(fence));
            assert!(matches!(backend.claim(key, claim).await.unwrap().right, Right::Held(..)));
            assert!(backend.renew(key, fence, Duration::from_secs(9)).await.unwrap());
            assert!(backend.set_fenced(key, b"value", Some(Duration::from_secs(9)), fence).await.unwrap());
            backend.release(key, fence).await.unwrap();
            backend.claim(key, claim).await.unwrap();
            backend.release(key, fence).await.unwrap();
            assert!(backend.invalidate(key, Duration::from_secs(9)).await.unwrap());
            assert!(!backend.invalidate(key, Duration::from_secs(1)).await.unwrap());
        }
        backend.clear().await.unwrap();
        assert_eq!(backend.get("key").await.unwrap(), None);

        // A missing permission is an error and does not end the connection.
        let other = RedisBackend::builder(&url).namespace("yours").build().unwrap();
        for _ in 0..2 {
            let error = other.set("key", b"value", None).await.unwrap_err();
            assert!(error.to_string().contains("NOPERM"), "{error}");
        }
    });
}

#[test]
fn a_wrong_password_breaks_no_call_and_is_not_shown() {
    let redis = with_user();
    let port = redis.server.port;
    for login in ["cache:wr0ng-s3cret@", ":wr0ng-s3cret@", "unknown:wr0ng-s3cret@", ""] {
        let url = format!("redis://{login}127.0.0.1:{port}?soft_limit=60s");
        let cache = Cache::from_url(&url).unwrap();
        let ((), lines) = logs::of(|| {
            scoped_sync(&cache, || {
                assert_eq!(double(1), 2);
                assert_eq!(double(1), 2);
            });
        });
        assert_eq!(cache.stats().bodies(), 2);
        assert!(cache.stats().faults() >= 2, "{}", cache.stats());
        let told = format!("{lines:?} {cache:?}");
        assert!(!told.contains("s3cret"), "{told}");
        assert!(["WRONGPASS", "NOAUTH", "refuses"].iter().any(|word| told.contains(word)), "{login}: {told}");

        let error = Cache::from_url(&format!("{url}&connect=now&connect_limit=60s")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Backend);
        assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
    }
}

/// A server that knows neither `HELLO` nor `AUTH` quotes the command, and with it the password.
#[test]
fn what_a_server_quotes_is_not_shown() {
    let redis = Redis::start(&["--rename-command", "AUTH", "", "--rename-command", "HELLO", ""]);
    let url = format!("redis://user:s3cret@127.0.0.1:{}?connect=now&connect_limit=60s", redis.server.port);
    let error = Cache::from_url(&url).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");

    // Without a password it works as an older server, which knows only RESP2.
    let cache = Cache::from_url(&format!("{}?connect=now&connect_limit=60s&soft_limit=60s", redis.url())).unwrap();
    scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
    assert_eq!(cache.stats().hits(), 1);
}

#[test]
fn connections_are_encrypted_and_strangers_are_not_trusted() {
    let certificates = Certificates::new();
    let tls_port = free_port();
    let encrypted = redis::encrypted(&certificates, tls_port);
    let redis = Redis::start(&encrypted.iter().map(String::as_str).collect::<Vec<_>>());
    let authority = certificates.authority().display().to_string();
    for host in ["127.0.0.1", "localhost"] {
        let url =
            format!("rediss://{host}:{tls_port}/1?tls_ca={authority}&connect=now&connect_limit=60s&soft_limit=60s");
        let cache = Cache::from_url(&url).unwrap();
        scoped_sync(&cache, || assert_eq!([double(1), double(1)], [2, 2]));
        assert_eq!(cache.stats().hits(), if host == "localhost" { 2 } else { 1 });
    }
    assert_eq!(redis.ask::<String>(&["INFO", "keyspace"]).matches("db1:keys=1").count(), 1);

    let error = Cache::from_url(&format!("rediss://127.0.0.1:{tls_port}?connect=now&connect_limit=60s")).unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");
    let error = Cache::from_url("rediss://h?tls_ca=/nowhere").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Config);
}
