//! The installed caches, and the subscriber of spans. They are the process's own, so each case runs in a process by itself.

use std::{
    cell::RefCell,
    env,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    time::Duration,
};

use cache_request::{
    Cache, Clock, Config, ErrorKind, backend::MemoryBackend, cache_request, current, install, install_named, installed,
    named, scoped, scoped_sync, stats,
};
use cache_request_tests::logs;
use futures_lite::future::block_on;
use tracing::{
    Event, Instrument, Metadata, Subscriber, info, info_span,
    span::{Attributes, Id, Record},
};
use tracing_core::span::Current;

const CASE: &str = "CACHE_REQUEST_TESTS_CASE";
const CACHE_URL: &str = "CACHE_URL";

/// Runs `case`, which is the test of that name, in a process of its own. What that says on its standard error; in the process
/// itself, nothing.
fn alone(name: &str, url: Option<&str>, case: impl FnOnce()) -> Option<String> {
    if env::var(CASE).is_ok_and(|running| running == name) {
        case();
        return None;
    }
    let mut child = Command::new(env::current_exe().unwrap());
    child.args([name, "--exact", "--nocapture"]).env(CASE, name).env_remove(CACHE_URL);
    if let Some(url) = url {
        child.env(CACHE_URL, url);
    }
    let output = child.output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    assert!(text.contains("1 passed"), "no test is called {name}: {text}");
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

static RUNS: AtomicU32 = AtomicU32::new(0);

fn run() -> u32 {
    RUNS.fetch_add(1, SeqCst) + 1
}

const FIRST_LINE: u32 = line!() + 1;
#[cache_request]
fn first() -> u32 {
    run()
}

#[cache_request]
async fn later() -> u32 {
    run()
}

#[cache_request(cache = "sessions")]
fn session() -> u32 {
    run()
}

#[cache_request(cache = "sessions")]
async fn later_session() -> u32 {
    run()
}

#[test]
fn what_is_installed_remembers() {
    alone("what_is_installed_remembers", None, || {
        let cache = Cache::memory();
        install(cache.clone()).unwrap();
        assert_eq!([first(), first()], [1, 1]);
        assert_eq!([block_on(later()), block_on(later())], [2, 2]);
        assert_eq!((cache.stats().hits(), cache.stats().misses()), (2, 2));
        assert_eq!(stats().hits(), 2);
        assert_eq!(current().stats().hits(), 2);
    });
}

#[test]
fn what_is_installed_wins_over_the_environment() {
    alone("what_is_installed_wins_over_the_environment", Some("null://"), || {
        install(Cache::memory()).unwrap();
        assert_eq!([first(), first()], [1, 1]);
    });
}

#[test]
fn installing_twice_names_the_first_place() {
    alone("installing_twice_names_the_first_place", None, || {
        let place = format!("{}:{}", file!(), line!() + 1);
        install(Cache::memory()).unwrap();
        for _ in 0..2 {
            let error = install(Cache::null()).unwrap_err().to_string();
            assert!(error.contains(&place), "{error}");
        }
        assert_eq!([first(), first()], [1, 1]);

        let place = format!("{}:{}", file!(), line!() + 1);
        install_named("sessions", Cache::memory()).unwrap();
        let error = install_named("sessions", Cache::null()).unwrap_err().to_string();
        assert!(error.contains(&place) && error.contains("`sessions`"), "{error}");
        assert_eq!([session(), session()], [2, 2]);
        install_named("others", Cache::null()).unwrap();
        // No function can name it.
        let error = install_named("", Cache::null()).unwrap_err();
        assert_eq!((error.kind(), installed().len()), (ErrorKind::Config, 3), "{error}");
    });
}

#[test]
fn installing_too_late_names_the_function() {
    alone("installing_too_late_names_the_function", None, || {
        assert_eq!(first(), 1);
        let error = install(Cache::null()).unwrap_err().to_string();
        assert!(error.contains("global::first"), "{error}");
        assert!(error.contains(&format!("{}:{FIRST_LINE}", file!())), "{error}");
        assert_eq!(first(), 1);
    });
}

#[test]
fn installing_after_a_look_names_its_place() {
    alone("installing_after_a_look_names_its_place", None, || {
        let place = format!("{}:{}", file!(), line!() + 1);
        let _ = stats();
        let error = install(Cache::null()).unwrap_err().to_string();
        assert!(error.contains(&place), "{error}");
    });
}

#[test]
fn a_scope_is_no_use_of_the_default() {
    alone("a_scope_is_no_use_of_the_default", None, || {
        scoped_sync(&Cache::memory(), || {
            assert_eq!([first(), first()], [1, 1]);
            let _ = stats();
        });
        install(Cache::memory()).unwrap();
        assert_eq!([first(), first()], [2, 2]);
    });
}

#[test]
fn without_an_address_it_is_memory() {
    alone("without_an_address_it_is_memory", None, || {
        assert_eq!([first(), first()], [1, 1]);
        assert!(!current().is_disabled());
    });
}

#[test]
fn the_environment_may_say_memory() {
    alone("the_environment_may_say_memory", Some("memory://?max_entries=1"), || {
        assert_eq!([first(), first()], [1, 1]);
        for _ in 0..2 {
            block_on(later());
            first();
        }
        assert_eq!(current().stats().entries, 1);
    });
}

#[test]
fn the_environment_may_say_null() {
    alone("the_environment_may_say_null", Some("null://"), || {
        assert_eq!([first(), first()], [1, 2]);
        assert!(current().is_disabled());
    });
}

#[test]
fn an_address_that_cannot_be_used_caches_nothing() {
    alone("an_address_that_cannot_be_used_caches_nothing", Some("memory://?max_bytes=much"), || {
        assert_eq!([first(), first()], [1, 2]);
        assert_eq!([block_on(later()), block_on(later())], [3, 4]);
        assert!(current().is_disabled());
        assert_eq!(stats().function("first").unwrap().uncached, 2);
    });
}

#[test]
fn an_empty_address_is_none() {
    alone("an_empty_address_is_none", Some(" "), || {
        assert_eq!([first(), first()], [1, 1]);
        assert!(!current().is_disabled());
    });
}

#[test]
fn a_wrong_address_was_reported_nowhere_without_a_log() {
    let told = alone("a_wrong_address_was_reported_nowhere_without_a_log", Some("nowhere://"), || {
        assert_eq!([first(), first()], [1, 2]);
    });
    let Some(told) = told else { return };
    let [line] = told.lines().filter(|line| line.contains(CACHE_URL)).collect::<Vec<_>>()[..] else {
        panic!("not said once: {told}")
    };
    assert!(line.contains("unknown scheme `nowhere://`"), "{line}");
}

#[test]
fn a_wrong_address_is_told_to_the_log_alone() {
    let told = alone("a_wrong_address_is_told_to_the_log_alone", Some("nowhere://"), || {
        let (_, lines) = logs::of(first);
        let [line] = &lines[..] else { panic!("not one line: {lines:?}") };
        assert!(line.contains("CACHE_URL") && line.contains("`nowhere://`"), "{line}");
    });
    assert!(told.is_none_or(|told| !told.contains(CACHE_URL)));
}

#[test]
fn a_named_cache_remembers_once_it_is_installed() {
    alone("a_named_cache_remembers_once_it_is_installed", None, || {
        assert_eq!([session(), session()], [1, 2]);
        assert_eq!([block_on(later_session()), block_on(later_session())], [3, 4]);
        let error = session_cache().put(&0).unwrap_err().to_string();
        assert!(error.contains("`sessions`"), "{error}");
        assert_eq!(session_cache().peek(), None);
        let error = session_cache().key().unwrap_err().to_string();
        assert!(error.contains("`sessions`"), "{error}");
        assert!(block_on(later_session_cache().invalidate()).is_err() && later_session_cache().key().is_err());

        let sessions = Cache::memory();
        install_named("sessions", sessions.clone()).unwrap();
        assert_eq!([session(), session()], [5, 5]);
        assert_eq!([block_on(later_session()), block_on(later_session())], [6, 6]);
        assert_eq!(sessions.stats().hits(), 2);
        // It was no use of the default cache.
        install(Cache::memory()).unwrap();
        assert_eq!([first(), first()], [7, 7]);
        assert_eq!(sessions.stats().functions.len(), 2);
    });
}

#[test]
fn a_scope_stands_in_for_both() {
    alone("a_scope_stands_in_for_both", None, || {
        install(Cache::memory()).unwrap();
        install_named("sessions", Cache::memory()).unwrap();
        assert_eq!([first(), session()], [1, 2]);
        assert_eq!([block_on(later()), block_on(later_session())], [3, 4]);

        let scope = Cache::memory();
        scoped_sync(&scope, || assert_eq!([first(), session(), first(), session()], [5, 6, 5, 6]));
        block_on(scoped(&scope, async {
            assert_eq!([first(), session()], [5, 6]);
            assert_eq!([later().await, later_session().await], [7, 8]);
        }));
        assert_eq!(scope.stats().functions.len(), 4);

        let null = Cache::null();
        scoped_sync(&null, || assert_eq!([first(), session()], [9, 10]));
        assert_eq!([first(), session()], [1, 2]);
        assert_eq!([block_on(later()), block_on(later_session())], [3, 4]);
    });
}

#[test]
fn a_configuration_installs_all_its_caches() {
    alone("a_configuration_installs_all_its_caches", None, || {
        let config: Config = serde_json::from_str(r#"{ "url": "null://", "caches": { "sessions": {} } }"#).unwrap();
        let place = format!("{}:{}", file!(), line!() + 1);
        config.install().unwrap();
        assert_eq!([first(), first()], [1, 2]);
        assert_eq!([session(), session()], [3, 3]);
        let error = install_named("sessions", Cache::null()).unwrap_err().to_string();
        assert!(error.contains(&place), "{error}");
        let error = config.install().unwrap_err().to_string();
        assert!(error.contains(&place), "{error}");
    });
}

#[test]
fn a_wrong_configuration_installs_nothing() {
    alone("a_wrong_configuration_installs_nothing", None, || {
        let text = r#"{ "caches": { "good": {}, "sessions": { "url": "nowhere://" } } }"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let error = config.install().unwrap_err().to_string();
        assert!(error.contains("`sessions`") && error.contains("`nowhere://`"), "{error}");
        install(Cache::memory()).unwrap();
        install_named("good", Cache::memory()).unwrap();
        install_named("sessions", Cache::memory()).unwrap();
    });
}

/// Who logs may ask for the counters, and call remembering functions, in the midst of the first call.
#[test]
fn an_unusable_address_is_logged_when_the_cache_is_there() {
    struct Asks;
    impl Subscriber for Asks {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, _: &Event<'_>) {
            assert_eq!(stats().functions.len(), 0);
            assert_eq!(block_on(later()), 1);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }
    alone("an_unusable_address_is_logged_when_the_cache_is_there", Some("bogus://"), || {
        assert_eq!(tracing::subscriber::with_default(Asks, first), 2);
    });
}

#[test]
fn a_configuration_that_cannot_be_installed_installs_nothing() {
    alone("a_configuration_that_cannot_be_installed_installs_nothing", None, || {
        let place = format!("{}:{}", file!(), line!() + 1);
        install_named("sessions", Cache::memory()).unwrap();
        let text = r#"{ "caches": { "before": {}, "sessions": {}, "then": {} } }"#;
        let config: Config = serde_json::from_str(text).unwrap();
        let error = config.install().unwrap_err().to_string();
        assert!(error.contains("`sessions`") && error.contains(&place), "{error}");
        assert!(named("before").is_none() && named("then").is_none());

        let place = format!("{}:{}", file!(), line!() + 1);
        install(Cache::memory()).expect("the default one is not installed either");
        let config: Config = serde_json::from_str(r#"{ "caches": { "before": {} } }"#).unwrap();
        let error = config.install().unwrap_err().to_string();
        assert!(error.contains(&place), "{error}");
        assert!(named("before").is_none());
    });
}

#[test]
fn installed_caches_are_listed_in_the_order_of_their_names() {
    alone("installed_caches_are_listed_in_the_order_of_their_names", None, || {
        assert!(installed().is_empty());
        let names = || installed().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
        for name in ["sessions", "b", "pages", "a"] {
            install_named(name, Cache::memory()).unwrap();
        }
        let named = ["a", "b", "pages", "sessions"].map(|name| Some(name.to_owned()));
        assert_eq!(names(), named);

        // Scopes and the list itself install nothing.
        scoped_sync(&Cache::memory(), || assert_eq!(names(), named));
        let default = Cache::memory();
        install(default.clone()).expect("the list has installed no default cache");
        assert_eq!(names(), [&[None], &named[..]].concat());

        // They are the caches that the functions use.
        assert_eq!([first(), first(), session(), session()], [1, 1, 2, 2]);
        let hits: Vec<_> = installed().iter().map(|(_, cache)| cache.stats().hits()).collect();
        assert_eq!(hits, [1, 0, 0, 0, 1]);
    });
}

#[test]
fn a_default_cache_that_was_not_installed_is_listed_once_it_is_used() {
    alone("a_default_cache_that_was_not_installed_is_listed_once_it_is_used", None, || {
        assert!(installed().is_empty());
        first();
        let [(None, cache)] = &installed()[..] else { panic!("not the default cache alone") };
        assert_eq!(cache.stats().misses(), 1);
    });
}

/// Notes in which span the events of the bodies are.
#[derive(Clone, Default)]
struct Spans {
    all: Arc<Mutex<Vec<&'static Metadata<'static>>>>,
    events: Arc<Mutex<Vec<&'static str>>>,
}

thread_local!(static ENTERED: RefCell<Vec<Id>> = const { RefCell::new(Vec::new()) });

impl Spans {
    fn metadata(&self, id: &Id) -> &'static Metadata<'static> {
        self.all.lock().unwrap()[usize::try_from(id.into_u64()).unwrap() - 1]
    }

    fn innermost() -> Option<Id> {
        ENTERED.with_borrow(|entered| entered.last().cloned())
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("global")
    }

    fn new_span(&self, attributes: &Attributes<'_>) -> Id {
        let mut all = self.all.lock().unwrap();
        all.push(attributes.metadata());
        Id::from_u64(all.len().try_into().unwrap())
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {
        let span = Self::innermost().map_or("none", |id| self.metadata(&id).name());
        self.events.lock().unwrap().push(span);
    }

    fn enter(&self, id: &Id) {
        ENTERED.with_borrow_mut(|entered| entered.push(id.clone()));
    }

    fn exit(&self, _: &Id) {
        ENTERED.with_borrow_mut(|entered| _ = entered.pop());
    }

    fn current_span(&self) -> Current {
        Self::innermost().map_or_else(Current::none, |id| {
            let metadata = self.metadata(&id);
            Current::new(id, metadata)
        })
    }
}

#[test]
fn a_body_in_the_background_was_outside_the_span_of_its_caller() {
    #[cache_request(timeout = 10, stale = 60)]
    fn plain() -> u32 {
        info!("the body");
        run()
    }

    #[cache_request(timeout = 10, stale = 60)]
    async fn later() -> u32 {
        futures_lite::future::yield_now().await;
        info!("the body");
        run()
    }

    #[cache_request(timeout = 10, stale_if_error = "3h", stale_after = "2h")]
    async fn awaited() -> u32 {
        futures_lite::future::yield_now().await;
        info!("the body");
        run()
    }

    alone("a_body_in_the_background_was_outside_the_span_of_its_caller", None, || {
        let spans = Spans::default();
        tracing::subscriber::set_global_default(spans.clone()).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
        for on_tokio in [false, true] {
            let clock = Clock::mock();
            let backend = MemoryBackend::builder().clock(&clock).build().unwrap();
            let in_memory = Cache::builder().clock(&clock).build().unwrap();
            let in_backend = Cache::builder().clock(&clock).backend(backend).build().unwrap();
            for (name, cache) in [("memory", in_memory), ("backend", in_backend)] {
                let call = |span| {
                    let calls = async { (plain(), later().await, awaited().await) };
                    let calls = scoped(&cache, calls.instrument(span));
                    if on_tokio { runtime.block_on(calls) } else { block_on(calls) }
                };
                let made = call(info_span!("first"));
                clock.advance(Duration::from_secs(10));
                let (plain, later, _) = call(info_span!("second"));
                assert_eq!((plain, later), (made.0, made.1), "{name}, on tokio: {on_tokio}: the old values");
                cache.shutdown_sync();
                let events = std::mem::take(&mut *spans.events.lock().unwrap());
                assert_eq!(events, ["first", "first", "first", "second", "second", "second"], "{name}, {on_tokio}");
            }
        }
    });
}
