//! How the property tests come by values.

use proptest::prelude::*;

use super::model::{NAMES, TEXTS, Value};

fn leaf() -> impl Strategy<Value = Value> {
    let text =
        || prop_oneof![prop::sample::select(&TEXTS[..]).prop_map(str::to_owned), any::<String>(), "[ab(),:=]{0,9}"];
    let bits =
        prop::sample::select(&[1.0, 0.0, -0.0, 1e300, 0.1, f64::INFINITY, f64::NEG_INFINITY, f64::NAN, -f64::NAN][..]);
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        (-2..3_i8).prop_map(Value::I8),
        (0..3_u8).prop_map(Value::U8),
        prop_oneof![
            -3..3_i64,
            any::<i64>(),
            (50..58_u32).prop_map(|n| -(1_i64 << n)),
            (50..58_u32).prop_map(|n| !(1_i64 << n))
        ]
        .prop_map(Value::I64),
        prop_oneof![0..3_u64, any::<u64>(), (50..64_u32).prop_map(|n| 1 << n), (50..64_u32).prop_map(|n| (1 << n) - 1)]
            .prop_map(Value::U64),
        prop_oneof![-3..3_i128, any::<i128>(), any::<i64>().prop_map(i128::from), Just(i128::MIN)]
            .prop_map(Value::I128),
        prop_oneof![0..3_u128, any::<u128>(), any::<u64>().prop_map(u128::from), Just(1 << 64)].prop_map(Value::U128),
        prop_oneof![
            bits.clone().prop_map(|v| v as f32),
            any::<u32>().prop_map(f32::from_bits),
            Just(f32::from_bits(0x7f80_0001))
        ]
        .prop_map(Value::F32),
        prop_oneof![bits, any::<u64>().prop_map(f64::from_bits)].prop_map(Value::F64),
        prop_oneof![any::<char>(), Just('a'), Just('1')].prop_map(Value::Char),
        text().prop_map(Value::Str),
        text().prop_map(Value::Shown),
        prop::collection::vec(0..2_u8, 0..3).prop_map(Value::Bytes),
        any::<Vec<u8>>().prop_map(Value::Bytes),
        Just(Value::None),
        Just(Value::Unit),
        Just(Value::UnitStruct),
        prop::sample::select(&NAMES[..]).prop_map(Value::UnitVariant),
    ]
}

/// Any value; the smaller ones more often.
pub(super) fn value() -> impl Strategy<Value = Value> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let name = || prop::sample::select(&NAMES[..]);
        let boxed = inner.clone().prop_map(Box::new);
        let some = prop::collection::vec(inner.clone(), 0..4);
        let fields = prop::collection::vec((name(), inner.clone()), 0..3);
        prop_oneof![
            boxed.clone().prop_map(Value::Some),
            boxed.clone().prop_map(Value::Newtype),
            some.clone().prop_map(Value::Seq),
            some.clone().prop_map(Value::Tuple),
            some.clone().prop_map(Value::TupleStruct),
            prop::collection::vec((inner.clone(), inner), 0..4).prop_map(Value::Map),
            fields.clone().prop_map(Value::Struct),
            (name(), boxed).prop_map(|(name, value)| Value::NewtypeVariant(name, value)),
            (name(), some).prop_map(|(name, values)| Value::TupleVariant(name, values)),
            (name(), fields).prop_map(|(name, fields)| Value::StructVariant(name, fields)),
        ]
    })
}
