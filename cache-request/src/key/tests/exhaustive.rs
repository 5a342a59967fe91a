//! All small values at once: what random values seldom meet.

use std::collections::HashMap;

use super::{
    key,
    model::{Meaning, TEXTS, Value},
    text,
};

#[test]
fn no_two_small_values_share_a_key_unless_they_are_equal() {
    let few = [Value::U8(1), Value::Str("a".into()), Value::Str(String::new()), Value::None];
    let shallow = [few.to_vec(), around_one(&few), around_two(&few)].concat();
    let leaves = leaves();
    let values = [around_one(&leaves), leaves, around_one(&shallow), around_two(&shallow), maps(&few)].concat();
    assert!(values.len() > 20_000);

    let (mut by_words, mut by_text, mut by_meaning) = (HashMap::new(), HashMap::new(), HashMap::new());
    for value in &values {
        let (meaning, words, text) = (value.meaning(), key(value).words().to_vec(), text(value));
        let one: (&Vec<u64>, &Meaning, &String) = (&words, &meaning, &text);
        let by_words = by_words.entry(words.clone()).or_insert_with(|| (words.clone(), meaning.clone(), text.clone()));
        let by_text = by_text.entry(text.clone()).or_insert_with(|| by_words.clone());
        let by_meaning = by_meaning.entry(meaning.clone()).or_insert_with(|| by_words.clone());
        for (words, meaning, text) in [by_words, by_text, by_meaning] {
            assert_eq!(one, (&*words, &*meaning, &*text), "{value:?}");
        }
    }
}

/// Every kind of value without another in it, at the edges of its kind.
fn leaves() -> Vec<Value> {
    let mut leaves = vec![Value::Bool(false), Value::Bool(true), Value::None, Value::Unit, Value::UnitStruct];
    leaves.extend(TEXTS.map(|text| Value::Str(text.into())));
    leaves.extend(["a", "1", "\u{7}", "inf", "123456", "1234567"].map(|text| Value::Shown(text.into())));
    leaves.extend(["abcdef\0", "abcdefg\0", "abcdefgh", "\0\0"].map(|text| Value::Str(text.into())));
    leaves.extend(['a', '1', '\0'].map(Value::Char));
    leaves.extend([&[] as &[u8], &[0], &[0, 0], b"a", b"abcdef", b"abcdefgh"].map(|bytes| Value::Bytes(bytes.into())));
    leaves.extend([0, 1, i8::MIN, i8::MAX].map(Value::I8));
    leaves.extend([0, 1, u8::MAX].map(Value::U8));
    for n in [0, 7, 8, 55, 56, 57, 62, 63, 64, 65, 126] {
        for n in [(1_i128 << n) - 1, 1 << n, (1 << n) + 1, 1 - (1 << n), -(1 << n), -1 - (1 << n)] {
            leaves.push(Value::I128(n));
            leaves.extend(u128::try_from(n).map(Value::U128));
            leaves.extend(i64::try_from(n).map(Value::I64));
            leaves.extend(u64::try_from(n).map(Value::U64));
        }
    }
    leaves.extend([i128::MIN, i128::MAX].map(Value::I128));
    leaves.push(Value::U128(u128::MAX));
    leaves.extend([0.0, -0.0, 1.0, -1.0, 0.1, f32::INFINITY, f32::NEG_INFINITY].map(Value::F32));
    leaves.extend([0.0, -0.0, 1.0, -1.0, 0.1, f64::INFINITY, f64::NEG_INFINITY].map(Value::F64));
    leaves.extend([0x7f80_0001, 0x7fc0_0001, 0xff80_0001, 0xffc0_0001].map(|bits| Value::F32(f32::from_bits(bits))));
    leaves.extend([0x7ff0_0000_2000_0000, 0x7ff8_0000_2000_0000].map(|bits| Value::F64(f64::from_bits(bits))));
    leaves.extend(["", "V", "a"].map(Value::UnitVariant));
    leaves
}

/// Every kind of value with one of these in it.
fn around_one(values: &[Value]) -> Vec<Value> {
    let around = |value: &Value| {
        let mut all = around_some(std::slice::from_ref(value));
        all.extend([Value::Some(value.clone().into()), Value::Newtype(value.clone().into())]);
        all.extend(["", "V"].map(|name| Value::NewtypeVariant(name, value.clone().into())));
        all
    };
    values.iter().flat_map(around).collect()
}

/// Every kind of value with none or two of these in it.
fn around_two(values: &[Value]) -> Vec<Value> {
    let pairs = values.iter().flat_map(|a| values.iter().map(|b| [a.clone(), b.clone()]));
    let around = |pair: [Value; 2]| {
        let mut all = around_some(&pair);
        let [a, b] = pair;
        all.push(Value::Map(vec![(a, b)]));
        all
    };
    around_some(&[]).into_iter().chain([Value::Map(vec![])]).chain(pairs.flat_map(around)).collect()
}

fn around_some(values: &[Value]) -> Vec<Value> {
    let fields: Vec<_> = ["a", "V"].into_iter().zip(values.iter().cloned()).collect();
    vec![
        Value::Seq(values.to_vec()),
        Value::TupleVariant("V", values.to_vec()),
        Value::Struct(fields.clone()),
        Value::StructVariant("V", fields),
    ]
}

/// Maps of two and three entries, some of them with one key.
fn maps(values: &[Value]) -> Vec<Value> {
    let entry = |n: usize| (values[n % 3].clone(), values[n / 3 % 2].clone());
    let twos = (0..36).map(|n| vec![entry(n), entry(n / 6)]);
    let threes = (0..216).map(|n| vec![entry(n), entry(n / 6), entry(n / 36)]);
    twos.chain(threes).map(Value::Map).collect()
}
