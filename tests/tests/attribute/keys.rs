//! The ready-made shapes of keys, as their callers see them.

use cache_request::keys::{self, KeyText};

#[test]
fn the_order_of_a_query_does_not_split_the_cache() {
    let a = keys::rest("/video", [("lang", "en"), ("hd", "1")]);
    let b = keys::rest("/video", vec![("hd".to_owned(), "1"), ("lang".to_owned(), "en")]);
    assert_eq!(a, b);
}

#[test]
fn repeated_names_in_a_query_are_all_kept() {
    let of = |query: &[(&str, &str)]| keys::rest("/video", query.iter().copied());
    assert_ne!(of(&[("tag", "a"), ("tag", "b")]), of(&[("tag", "a")]));
    assert_ne!(of(&[("tag", "a"), ("tag", "b")]), of(&[("tag", "b"), ("tag", "a")]));
    assert_eq!(of(&[("tag", "a"), ("x", ""), ("tag", "b")]), of(&[("x", ""), ("tag", "a"), ("tag", "b")]));
}

#[test]
fn a_query_cannot_pretend_to_be_another() {
    assert_ne!(keys::rest("/a", [("b", "1&c=2")]), keys::rest("/a", [("b", "1"), ("c", "2")]));
    assert_ne!(keys::rest("/a&params=b=1", [] as [(&str, &str); 0]), keys::rest("/a", [("b", "1")]));
    assert_ne!(keys::rest("/a", [("", "")]), keys::rest("/a", [] as [(&str, &str); 0]));
}

#[test]
fn remote_calls_differ_by_module_function_and_arguments() {
    assert_ne!(keys::rpc("a.b", "c", &()), keys::rpc("a", "b.c", &()));
    assert_ne!(keys::rpc("a", "b", &(1,)), keys::rpc("a", "b", &1));
    assert_ne!(keys::rpc("a", "b", &("x,y",)), keys::rpc("a", "b", &("x", "y")));
    assert_eq!(keys::rpc("a", "b", &("x", "y")), keys::rpc("a", "b", &["x", "y"]));
}

#[test]
fn an_own_text_is_whatever_displays_alike() {
    assert_eq!(KeyText::from("5"), KeyText::from(5_u8));
    assert_eq!(KeyText::from("a b"), KeyText::from(String::from("a b")));
    assert_ne!(KeyText::from("a b"), KeyText::from("a%20b"));
}
