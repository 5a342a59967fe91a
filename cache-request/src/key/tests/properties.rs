//! The promise: equal meaning, equal words, equal text, in both directions.

use proptest::{prelude::*, sample::Index};
use serde::Serialize;

use super::{
    super::{KeyText, text::shorten},
    Key, key,
    model::{Meaning, Value},
    render,
    strategies::value,
    text,
};
use crate::{attribute::private::Site, key::keys};

fn is_clean(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'~')
}

/// A site with that many named parts, or with an own template.
fn site(pieces: &[&'static str]) -> Site {
    let site = Site::new("c", "f", &["a", "b", "c"], file!(), line!());
    if pieces.is_empty() { site } else { site.template(pieces.to_vec().leak()) }
}

fn key_of_all(values: &[Value]) -> Key {
    Key::build(|key| values.iter().for_each(|value| key.part(value)))
}

fn meanings(values: &[Value]) -> Vec<Meaning> {
    values.iter().map(Value::meaning).collect()
}

/// Checks every pair of `items` for: equal by `a` exactly if equal by `b`.
fn agree<T: std::fmt::Debug, A: PartialEq, B: PartialEq + std::fmt::Debug>(
    items: &[T],
    a: impl Fn(&T) -> A,
    b: impl Fn(&T) -> B,
) -> Result<(), TestCaseError> {
    let both: Vec<(A, B)> = items.iter().map(|item| (a(item), b(item))).collect();
    for (i, (a, b)) in both.iter().enumerate() {
        for (j, (other_a, other_b)) in both[..i].iter().enumerate() {
            prop_assert_eq!(a == other_a, b == other_b, "{:?} and {:?}: {:?} and {:?}", items[i], items[j], b, other_b);
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn values_share_words_and_text_exactly_if_they_are_equal(values in prop::collection::vec(value(), 40)) {
        agree(&values, Value::meaning, |value| key(value).words().to_vec())?;
        agree(&values, Value::meaning, text)?;
        prop_assert!(values.iter().all(|value| is_clean(&text(value))));
    }

    #[test]
    fn argument_lists_share_words_and_text_exactly_if_they_are_equal(
        lists in prop::collection::vec(prop::collection::vec(value(), 0..4), 30),
    ) {
        let site = site(&[]);
        agree(&lists, |list| meanings(list), |list| key_of_all(list).words().to_vec())?;
        agree(&lists, |list| meanings(list), |list| render(&site, key_of_all(list).words()))?;
    }

    #[test]
    fn values_in_a_template_do_not_run_together(
        pieces in prop::collection::vec(
            prop::sample::select(&["", "", "a", "1", ":", "-", ".", "%", "%20", " ", "~", "é", "a:", ",", "id=", "?&"][..]), 3,
        ),
        pairs in prop::collection::vec(prop::array::uniform2(value()), 30),
    ) {
        let site = site(&pieces);
        let text = |pair: &[Value; 2]| render(&site, key_of_all(pair).words());
        agree(&pairs, |pair| meanings(pair), text)?;
        prop_assert!(pairs.iter().all(|pair| is_clean(&text(pair))));
    }

    #[test]
    fn short_texts_in_a_template_do_not_run_together(
        pieces in prop::collection::vec(prop::sample::select(&["", "a", "aa", ":", "a:", ":a", ",", "%"][..]), 3),
        pairs in prop::collection::vec(prop::array::uniform2("[a:,%]{0,3}"), 30),
    ) {
        let site = site(&pieces);
        agree(&pairs, Clone::clone, |pair| {
            render(&site, Key::build(|key| pair.iter().for_each(|v| key.part(v))).words())
        })?;
    }

    #[test]
    fn the_order_of_a_map_does_not_matter(
        entries in prop::collection::vec((value(), value()), 0..30),
        swaps in prop::collection::vec(any::<(Index, Index)>(), 30),
    ) {
        let mut unique: Vec<(Value, Value)> = Vec::new();
        for entry in entries {
            if unique.iter().all(|other| other.0.meaning() != entry.0.meaning()) {
                unique.push(entry);
            }
        }
        let mut shuffled = unique.clone();
        if !unique.is_empty() {
            swaps.iter().for_each(|(a, b)| shuffled.swap(a.index(unique.len()), b.index(unique.len())));
        }
        let (a, b) = (Value::Map(unique), Value::Map(shuffled));
        prop_assert_eq!(text(&a), text(&b));
        let (a, b) = (key(&a), key(&b));
        prop_assert_eq!(a.words(), b.words());
        prop_assert_eq!(a.hash(), b.hash());
    }

    #[test]
    fn json_values_share_a_key_exactly_if_they_are_equal(values in prop::collection::vec(json(), 40)) {
        agree(&values, Clone::clone, |value| key(value).words().to_vec())?;
        agree(&values, Clone::clone, text)?;
    }

    #[test]
    fn different_clients_never_share_a_key(
        keys in prop::collection::vec((prop::option::of("[a.?]{0,2}|\\PC{0,9}"), prop::collection::vec(value(), 0..2)), 30),
    ) {
        let site = site(&[]);
        let build = |(client, values): &(Option<String>, Vec<Value>)| Key::build(|key| {
            client.iter().for_each(|client| key.client(client));
            values.iter().for_each(|value| key.part(value));
        });
        let meaning = |(client, values): &(Option<String>, Vec<Value>)| (client.clone(), meanings(values));
        agree(&keys, meaning, |key| build(key).words().to_vec())?;
        agree(&keys, meaning, |key| render(&site, build(key).words()))?;
    }

    #[test]
    fn any_words_at_all_have_a_clean_text(words in prop::collection::vec(word(), 0..40)) {
        let named = site(&[]);
        prop_assert!(is_clean(&render(&named, &words)));
        let own = site(&["a", "b", "c"]);
        prop_assert!(is_clean(&render(&own, &words)));
    }

    #[test]
    fn a_shortened_text_is_short_and_like_no_other(
        texts in prop::collection::hash_set("[a-c]{100,102}(%C3%A9){0,3}[a-c]{0,4}", 20),
        limit in 65..130_usize,
    ) {
        let texts: Vec<String> = texts.into_iter().collect();
        agree(&texts, Clone::clone, |text| shorten(text.clone(), limit))?;
        for text in &texts {
            let short = shorten(text.clone(), limit);
            prop_assert!(short.len() <= limit);
            prop_assert_eq!(short == *text, text.len() <= limit);
            prop_assert_eq!(short.contains('~'), text.len() > limit);
            prop_assert!(urlencoding::decode(&short).is_ok());
            prop_assert_eq!(shorten(text.clone(), 7).len(), 65);
        }
    }

    #[test]
    fn own_texts_stay_different(texts in prop::collection::vec("[a%20 ]{0,3}|[a%25~ é?&=]{0,4}|\\PC{0,20}|.{0,3}", 30)) {
        let site = site(&[]);
        let text = |text: &String| render(&site, Key::build(|key| key.own(text)).words());
        agree(&texts, Clone::clone, text)?;
        agree(&texts, Clone::clone, |text| KeyText::from(text.clone()))?;
        prop_assert!(texts.iter().all(|own| is_clean(&text(own))));
    }

    #[test]
    fn rest_requests_share_a_key_exactly_if_they_ask_the_same(
        requests in prop::collection::vec(
            ("[/a&=?]{0,2}", prop::collection::vec(("[ab=&]{0,1}", "[ab=&]{0,1}"), 0..4)), 60,
        ),
    ) {
        let same = |(path, query): &(String, Vec<(String, String)>)| {
            let mut query = query.clone();
            query.sort_by(|a, b| a.0.cmp(&b.0));
            (path.clone(), query)
        };
        agree(&requests, same, |(path, query)| keys::rest(path, query.iter().map(|(k, v)| (k, v))))?;
    }

    #[test]
    fn remote_calls_share_a_key_exactly_if_they_are_equal(
        calls in prop::collection::vec(("[a.?]{0,2}", "[a.?]{0,2}", value()), 60),
    ) {
        let site = site(&[]);
        let own = |(module, function, arguments): &(String, String, Value)| keys::rpc(module, function, arguments);
        let text = |call: &_| render(&site, Key::build(|key| key.own(own(call))).words());
        let meaning = |(module, function, arguments): &(String, String, Value)| {
            (module.clone(), function.clone(), arguments.meaning())
        };
        agree(&calls, meaning, own)?;
        agree(&calls, meaning, text)?;
        // Nor with a function of that path that takes `params`.
        for call in &calls {
            let text = text(call);
            let (_, params) = text.split_once("?params=").expect("a remote call");
            for (.., arguments) in &calls {
                prop_assert_ne!(params, super::text(arguments));
            }
        }
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        (-2..3_i64).prop_map(Into::into),
        prop::sample::select(&[0.0, 1.0, -1.5, 1e300][..]).prop_map(Into::into),
        "[a1,]{0,2}|null|true".prop_map(Into::into),
    ];
    leaf.prop_recursive(3, 10, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Into::into),
            prop::collection::hash_map("[a1:]{0,2}", inner, 0..3).prop_map(|map| map.into_iter().collect()),
        ]
    })
}

/// A word that is likely to mean something.
fn word() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        (0..26_u64, 0..20_u64).prop_map(|(tag, payload)| tag << 56 | payload),
        (0..26_u64, any::<u64>()).prop_map(|(tag, payload)| tag << 56 | payload >> 8),
    ]
}

#[test]
fn arguments_that_are_easily_confused() {
    #[track_caller]
    fn differ(a: &impl Serialize, b: &impl Serialize) {
        assert_ne!(text(a), text(b));
        assert_ne!(key(a).words(), key(b).words());
    }
    let parts = |a: &str, b: &str| key_of_all(&[Value::Str(a.into()), Value::Str(b.into())]).words().to_vec();
    assert_ne!(parts("ab", "c"), parts("a", "bc"));
    differ(&None::<&str>, &"");
    differ(&Some(""), &None::<&str>);
    differ(&Some(None::<u8>), &None::<Option<u8>>);
    differ(&["a", "b"], &["a,b"]);
    differ(&["1"], &[1]);
    differ(&(1,), &1);
    differ(&[[1], [2]].as_slice(), &[[1, 2]].as_slice());
    differ(&1.0, &1);
    differ(&0.0, &-0.0);
    differ(&"abcdef\0", &"abcdef");
    differ(&"\0", &"");
    differ(&true, &"true");
    differ(&(), &"*");
}
