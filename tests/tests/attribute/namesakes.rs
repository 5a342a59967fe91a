//! Functions that go by one name never see one another's answers, in one program or from its one run to the next.
//!
//! A run is a cache of its own on the backend that all runs share.

use std::cell::Cell;

use cache_request::{Cache, CacheBuilder, Clock, cache_request, scoped_sync};
use cache_request_edition_2021 as other;
use cache_request_tests::{backends::Bent, logs};

use crate::offers;

thread_local! {
    static BODIES: Cell<u32> = const { Cell::new(0) };
}

pub(crate) fn ran<T>(answer: T) -> T {
    BODIES.set(BODIES.get() + 1);
    answer
}

struct Program(Bent);

impl Program {
    fn new() -> Self {
        Self(Bent::new(&Clock::mock()))
    }

    /// What `code` returns in a run of the program, and how many bodies it ran.
    fn run<T>(&self, code: impl FnOnce() -> T) -> (T, u32) {
        self.run_with(|cache| cache, code)
    }

    fn run_with<T>(&self, set: fn(CacheBuilder) -> CacheBuilder, code: impl FnOnce() -> T) -> (T, u32) {
        let cache = set(Cache::builder().backend(self.0.clone())).build().unwrap();
        BODIES.set(0);
        (scoped_sync(&cache, code), BODIES.get())
    }
}

fn degrees(scale: &str, degrees: i32) -> String {
    match scale {
        "celsius" => {
            #[cache_request]
            fn show(degrees: i32) -> String {
                ran(format!("{degrees} °C"))
            }
            show(degrees)
        }
        _ => {
            #[cache_request(handle = false)]
            fn show(degrees: i32) -> String {
                ran(format!("{degrees} °F"))
            }
            show(degrees)
        }
    }
}

#[test]
fn two_inner_functions_of_one_path_exchanged_answers_from_run_to_run() {
    let program = Program::new();
    assert_eq!(program.run(|| degrees("celsius", 20)), ("20 °C".into(), 1));
    assert_eq!(program.run(|| degrees("celsius", 20)), ("20 °C".into(), 0), "it is remembered");
    assert_eq!(program.run(|| degrees("fahrenheit", 20)), ("20 °F".into(), 1));
    assert_eq!(program.run(|| degrees("fahrenheit", 20)), ("20 °F".into(), 0), "so is the other one, then");
    assert_eq!(program.run(|| degrees("celsius", 20)), ("20 °C".into(), 1));
    let both = || [degrees("fahrenheit", 20), degrees("celsius", 20), degrees("fahrenheit", 20)];
    assert_eq!(program.run(both).0, ["20 °F", "20 °C", "20 °F"]);
}

#[test]
fn inner_functions_that_one_macro_makes_stand_at_one_place() {
    macro_rules! scales {
        ($asked:expr, $($scale:literal $unit:literal),*) => {
            match $asked {
                $($scale => {
                    #[cache_request]
                    fn show(degrees: i32) -> String {
                        ran(format!("{degrees} {}", $unit))
                    }
                    show(20)
                })*
                _ => unreachable!(),
            }
        };
    }
    let show = |scale| scales!(scale, "celsius" "°C", "fahrenheit" "°F");
    let program = Program::new();
    assert_eq!(program.run(|| show("celsius")), ("20 °C".into(), 1));
    assert_eq!(program.run(|| show("celsius")), ("20 °C".into(), 0));
    assert_eq!(program.run(|| show("fahrenheit")), ("20 °F".into(), 1));
}

trait Unit {
    fn show(&self, degrees: i32) -> String;
}

#[test]
fn methods_of_two_inner_types_of_one_path() {
    fn show(celsius: bool) -> (String, String) {
        if celsius {
            struct Scale;
            impl Scale {
                #[cache_request(skip(self))]
                fn name(&self) -> String {
                    ran("Celsius".into())
                }
            }
            impl Unit for Scale {
                #[cache_request(skip(self), handle = false)]
                fn show(&self, degrees: i32) -> String {
                    ran(format!("{degrees} °C"))
                }
            }
            (Scale.name(), Scale.show(20))
        } else {
            struct Scale;
            impl Scale {
                #[cache_request(skip(self))]
                fn name(&self) -> String {
                    ran("Fahrenheit".into())
                }
            }
            impl Unit for Scale {
                #[cache_request(skip(self), handle = false)]
                fn show(&self, degrees: i32) -> String {
                    ran(format!("{degrees} °F"))
                }
            }
            (Scale.name(), Scale.show(20))
        }
    }
    let program = Program::new();
    let [celsius, fahrenheit] = [("Celsius", "20 °C"), ("Fahrenheit", "20 °F")].map(|(a, b)| (a.into(), b.into()));
    assert_eq!(program.run(|| show(true)), (celsius, 2));
    assert_eq!(program.run(|| show(false)), (fahrenheit, 2));
    assert_eq!(program.run(|| show(false)).1, 0);
}

trait Ask {
    fn ask(&self) -> u32;
}

impl<F: Fn() -> u32> Ask for F {
    #[cache_request(skip(self), handle = false)]
    fn ask(&self) -> u32 {
        ran(self())
    }
}

/// To the compiler, all closures of one function have one name.
#[test]
fn two_closures_of_one_function_exchanged_answers_from_run_to_run() {
    #[cache_request(skip(f))]
    fn generic<F: Fn() -> u32>(f: F) -> u32 {
        ran(f())
    }
    #[cache_request(skip(f), name = "chosen")]
    fn opaque(f: impl Fn() -> u32) -> u32 {
        ran(f())
    }
    #[cache_request(skip(f))]
    fn inside<F: Fn() -> u32>(f: &Option<Box<F>>) -> u32 {
        ran(f.as_ref().map_or(0, |f| f()))
    }
    let program = Program::new();
    let one = || [generic(|| 1), opaque(|| 1), inside(&Some(Box::new(|| 1))), (|| 1).ask()];
    let two = || [generic(|| 2), opaque(|| 2), inside(&Some(Box::new(|| 2))), (|| 2).ask()];
    assert_eq!(program.run(one), ([1; 4], 4));
    assert_eq!(program.run(two), ([2; 4], 4));
    let (answers, lines) = logs::of(|| program.run(|| [one(), two(), one(), two()]));
    assert_eq!(answers, ([[1; 4], [2; 4], [1; 4], [2; 4]], 8), "within one run, each has values of its own");
    let told = lines.iter().filter(|line| line.contains("a closure is among the types of this function"));
    assert_eq!(told.count(), 8, "{lines:#?}");
}

/// Here a value is found by the name alone, wherever the function stands.
#[test]
fn a_name_pins_the_values_of_an_inner_function() {
    fn before() -> u32 {
        #[cache_request(name = "pinned")]
        fn inner() -> u32 {
            ran(1)
        }
        inner()
    }
    fn after() -> u32 {
        #[cache_request(name = "pinned")]
        fn inner() -> u32 {
            ran(2)
        }
        inner()
    }
    let program = Program::new();
    assert_eq!(program.run(before), (1, 1));
    assert_eq!(program.run(after), (1, 0));
}

/// As in the other crate, where it says something else.
#[cache_request]
fn plain(text: &str, slice: &[u8], option: Option<&str>) -> String {
    ran(format!("mine: {text}{slice:?}{option:?}"))
}

#[test]
fn functions_of_two_crates_shared_keys_where_the_cache_had_a_prefix() {
    let program = Program::new();
    let mine = || plain("a", &[], None);
    let others = || other::plain("a", &[], None);
    let prefix: fn(CacheBuilder) -> CacheBuilder = |cache| cache.prefix("shop");
    for set in [prefix, |cache| cache] {
        assert_eq!(program.run_with(set, mine), ("mine: a[]None".into(), 1));
        assert_eq!(program.run_with(set, others).0, "a[]None");
        assert_eq!(program.run_with(set, mine), ("mine: a[]None".into(), 0));
    }
    let key = || (plain_cache("a", &[], None).key().unwrap(), other::plain_cache("a", &[], None).key().unwrap());
    let ((mine, others), _) = program.run_with(prefix, key);
    assert_eq!(mine, "shop..attribute.namesakes.plain?text=a&slice=()&option=!");
    assert_eq!(others, "shop..cache_request_edition_2021.plain?text=a&slice=()&option=!");
}

mod shop {
    #[cache_request::cache_request(name = "offers")]
    pub(crate) fn list() -> u32 {
        super::ran(2)
    }
}

/// The path of the one is a single segment, as the name of the other.
#[test]
fn a_chosen_name_was_taken_for_a_function_in_the_crate_s_root() {
    let program = Program::new();
    assert_eq!(program.run(|| (offers(), shop::list())), ((1, 2), 2));
    assert_eq!(program.run(shop::list), (2, 1));
    assert_eq!(program.run(offers), (1, 1));
}

/// What two programs of one crate name do on one server, or two versions of one program.
#[test]
fn a_program_that_stores_other_values_under_the_same_keys_went_unnoticed() {
    mod web {
        #[cache_request::cache_request(name = "total")]
        pub(crate) fn total(day: u32) -> u64 {
            super::ran(day.into())
        }
    }
    mod worker {
        #[cache_request::cache_request(name = "total")]
        pub(crate) fn total(day: u32) -> Option<u64> {
            super::ran(Some(day.into()))
        }
    }
    let program = Program::new();
    program.run(|| (web::total(1), web::total(2)));
    let (((_, ran), _), lines) = logs::of(|| (program.run(|| (worker::total(1), worker::total(2))), ()));
    assert_eq!(ran, 2);
    let foreign: Vec<_> = lines.iter().filter(|line| line.contains("uses the same keys for other values")).collect();
    let [line] = foreign[..] else { panic!("{lines:#?}") };
    assert!(line.starts_with("WARN another program, or another version of this one, "), "{line}");
    for part in ["`prefix`", "`namespace`", "`version`", "`name`", "function=total", "stored by program \""] {
        assert!(line.contains(part), "no {part} in {line}");
    }
    // And its own, if another one has taken their place.
    let (_, lines) = logs::of(|| program.run(|| (worker::total(1), worker::total(2))));
    assert_eq!(lines, [""; 0]);
}

/// Names of which one looks like another's companion, or like the function that holds its body.
mod alike {
    use super::ran;

    macro_rules! functions {
        ($($name:ident => $answer:literal, $companion:ident;)*) => {
            $(
                #[cache_request::cache_request]
                pub(super) fn $name() -> u32 {
                    ran($answer)
                }
            )*

            pub(super) struct Method;

            impl Method {
                $(
                    #[cache_request::cache_request(skip(self))]
                    pub(super) fn $name(&self) -> u32 {
                        ran($answer + 100)
                    }
                )*
            }

            pub(super) fn all() -> Vec<u32> {
                vec![$($name(), Method.$name()),*]
            }

            pub(super) fn keys() -> Vec<String> {
                let keys = [$($companion().key(), Method.$companion().key()),*];
                keys.into_iter().map(|key| key.unwrap()).collect()
            }
        };
    }

    functions! {
        f => 1, f_cache;
        __f => 2, __f_cache;
        ____f => 3, ____f_cache;
        __f_cache_body_ => 4, __f_cache_body_cache;
        f_body => 5, f_body_cache;
        __f_body => 6, __f_body_cache;
        __ => 7, ___cache;
        r#type => 8, type_cache;
        __type => 9, __type_cache;
        type_ns_ => 10, type_ns_cache;
    }
}

#[test]
fn a_function_s_companion_had_the_name_of_another_one_s_hidden_function() {
    let program = Program::new();
    let answers: Vec<u32> = (1..=10).flat_map(|answer| [answer, answer + 100]).collect();
    assert_eq!(program.run(alike::all), (answers.clone(), 20));
    assert_eq!(program.run(alike::all), (answers, 0));
    let (mut keys, _) = program.run(alike::keys);
    assert_eq!(
        keys[..4],
        [
            "attribute..namesakes.alike.f",
            "attribute..namesakes.alike.Method.f",
            "attribute..namesakes.alike.__f",
            "attribute..namesakes.alike.Method.__f",
        ]
    );
    assert_eq!(keys[14], "attribute..namesakes.alike.type");
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 20);
}
