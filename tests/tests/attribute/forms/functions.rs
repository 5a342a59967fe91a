//! Free functions: their generics, lifetimes, names, attributes and visibility.

use std::{borrow::Cow, collections::BTreeMap, fmt::Display};

use cache_request::{Source, cache_request};
use serde::{Serialize, de::DeserializeOwned};

#[cache_request]
fn no_arguments() -> u32 {
    7
}

#[test]
fn without_arguments() {
    assert_eq!([no_arguments(), no_arguments()], [7, 7]);
}

#[cache_request(timeout = 60)]
fn borrowed_arguments(
    text: &str,
    slice: &[u8],
    option: Option<&str>,
    cow: Cow<'_, str>,
    map: &BTreeMap<String, u8>,
    nested: &&str,
) -> String {
    format!("{text}{slice:?}{option:?}{cow}{map:?}{nested}")
}

#[test]
fn what_is_borrowed() {
    let map = BTreeMap::from([("k".to_owned(), 1)]);
    let call = || borrowed_arguments("a", &[1, 2], Some("b"), Cow::Borrowed("c"), &map, &"d");
    assert_eq!(call(), r#"a[1, 2]Some("b")c{"k": 1}d"#);
    assert_eq!(call(), call());
}

#[cache_request]
fn named_lifetimes<'a, 'b>(one: &'a str, other: &'b str) -> usize
where
    'b: 'a,
{
    let longest: &'a str = if one.len() > other.len() { one } else { other };
    longest.len()
}

#[test]
fn lifetimes() {
    let one = String::from("four");
    assert_eq!([named_lifetimes(&one, "three"), named_lifetimes(&one, "three")], [5, 5]);
}

#[derive(Debug, PartialEq)]
struct NoNumber<'a>(&'a str);

/// No `static` can name the answer.
#[cache_request]
fn borrowing_err<'a>(text: &'a str) -> Result<u32, NoNumber<'a>> {
    text.parse().map_err(|_| NoNumber(text))
}

#[test]
fn an_err_that_borrows() {
    let text = String::from("four");
    assert_eq!(borrowing_err(&text), Err(NoNumber("four")));
    assert_eq!([borrowing_err("4"), borrowing_err("4")], [Ok(4), Ok(4)]);
    assert_eq!(borrowing_err_cache("4").call_traced(), (Ok(4), Source::Memory));
}

#[cache_request]
fn generic<T, const N: usize>(items: &[T], more: Vec<T>) -> [usize; N]
where
    T: Display + Serialize + Clone,
    [usize; N]: DeserializeOwned + Serialize,
{
    [items.iter().chain(&more).map(|item| item.to_string().len()).sum(); N]
}

/// Nothing but the turbofish says what `T` is.
#[cache_request]
fn only_in_the_answer<T>(text: &str) -> Option<T>
where
    T: std::str::FromStr + Clone + Send + Sync + Serialize + DeserializeOwned + 'static,
{
    text.parse().ok()
}

#[cache_request]
fn nowhere<const N: usize>() -> usize {
    N
}

#[test]
fn generics() {
    assert_eq!([generic(&[1, 22], vec![333]), generic(&[1, 22], vec![333])], [[6, 6], [6, 6]]);
    assert_eq!(generic(&["a"], vec![]), [1]);
    assert_eq!(only_in_the_answer::<u8>("7"), Some(7));
    assert_eq!(only_in_the_answer::<String>("7"), Some("7".to_owned()));
    assert_eq!([nowhere::<3>(), nowhere::<4>(), nowhere::<3>()], [3, 4, 3]);
}

#[cache_request]
fn impl_argument(shown: impl Display + Serialize, call: &impl Serialize) -> String {
    let _ = call;
    shown.to_string()
}

#[cache_request(skip(call))]
fn callback<F>(call: F, id: u32) -> u32
where
    F: Fn(u32) -> u32,
{
    call(id)
}

#[test]
fn impl_arguments() {
    assert_eq!([impl_argument(1, &2), impl_argument(1, &2)], ["1", "1"]);
    assert_eq!(impl_argument("x", &2), "x");
    let two = 2;
    assert_eq!(callback(|id| id * two, 4), 8);
    assert_eq!(callback(|id| id * two, 4), 8);
}

#[cache_request]
fn r#match(r#type: u32, mut r#loop: u32) -> u32 {
    r#loop += r#type;
    r#loop
}

#[test]
fn raw_identifiers() {
    assert_eq!([r#match(1, 2), r#match(1, 2)], [3, 3]);
    assert_eq!(match_cache(1, 2).refresh(), 3);
}

/// Documented.
#[cache_request]
#[must_use]
#[inline]
#[allow(clippy::too_many_arguments)]
fn attributes(
    #[allow(unused)] a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    #[cfg(windows)]
    #[cfg(unix)]
    gone: u8,
    #[cfg(not(miri))] kept: u8,
    #[cfg(windows)]
    #[cfg(unix)]
    (gone_too, _): (u8, u8),
    #[cfg(not(miri))] (kept_too, _): (u8, u8),
) -> u64 {
    #[cfg(windows)]
    #[cfg(unix)]
    let _ = (gone, gone_too);
    [b, c, d, e, f, g, h, kept, kept_too].into_iter().map(u64::from).sum()
}

#[cfg(windows)]
#[cfg(unix)]
#[cache_request]
fn attributes() -> Nonsense {}

#[cache_request]
#[cfg(windows)]
#[cfg(unix)]
fn attributes() -> Nonsense {}

#[cache_request]
#[expect(unused_variables, clippy::needless_return)]
fn expectations(unused: u8) -> u8 {
    let unused_here = 1;
    return 2;
}

#[cache_request]
fn inner_attributes() -> u8 {
    #![allow(unused_variables)]
    let unused = 1;
    2
}

#[test]
fn attributes_stay() {
    assert_eq!(attributes(1, 1, 1, 1, 1, 1, 1, 1, 1, (1, 1)), 9);
    assert_eq!(attributes(1, 1, 1, 1, 1, 1, 1, 1, 1, (1, 1)), 9);
    assert_eq!([expectations(1), expectations(1), inner_attributes()], [2, 2, 2]);
}

mod inner {
    use super::cache_request;

    #[cache_request]
    pub(super) fn visible() -> u8 {
        hidden()
    }

    #[cache_request]
    fn hidden() -> u8 {
        3
    }
}

#[test]
fn visibility() {
    assert_eq!([inner::visible(), inner::visible()], [3, 3]);
    assert_eq!(inner::visible_cache().refresh(), 3);
}

#[test]
fn functions_in_functions() {
    #[cache_request]
    fn double(n: u32) -> u32 {
        #[cache_request]
        fn add(a: u32, b: u32) -> u32 {
            a + b
        }
        add(n, n)
    }
    assert_eq!([double(2), double(2), double(3)], [4, 4, 6]);
}

#[cache_request]
fn factorial(n: u64) -> u64 {
    if n < 2 { 1 } else { n * factorial(n - 1) }
}

#[test]
fn recursion() {
    assert_eq!([factorial(5), factorial(5)], [120, 120]);
}

/// The body's names are its own, whatever the expansion calls its own things.
const SITE: u8 = 5;

#[cache_request]
fn names(key: u8, policy: u8) -> u8 {
    let site = SITE;
    let body = 1;
    key + policy + site + body
}

#[test]
fn hygiene() {
    assert_eq!([names(1, 1), names(1, 1)], [8, 8]);
}

#[cache_request(handle = false)]
fn opaque(n: u32) -> impl PartialEq<u32> + std::fmt::Debug + Clone + 'static {
    n
}

#[cache_request(handle = false, when = |range| range.end > 1, local)]
fn iterator(n: u32) -> impl Iterator<Item = u32> {
    0..n
}

#[cache_request(handle = false)]
fn fallible_opaque(n: u32) -> Result<impl PartialEq<u32> + std::fmt::Debug, std::num::ParseIntError> {
    "1".parse::<u32>().map(|one| one + n)
}

#[test]
fn opaque_answers() {
    assert_eq!(opaque(1), 1);
    assert_eq!(opaque(1), 1);
    assert_eq!(iterator(3).sum::<u32>(), 3);
    assert_eq!(iterator(3).sum::<u32>(), 3);
    assert_eq!(fallible_opaque(1).unwrap(), 2);
    assert_eq!(fallible_opaque(1).unwrap(), 2);
}
