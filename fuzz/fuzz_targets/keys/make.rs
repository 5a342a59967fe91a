//! Values out of the fuzzer's bytes, and others like them.

use arbitrary::{Result, Unstructured};

use crate::{
    Call, meaning,
    model::{Meaning, NAMES, TEXTS, Value},
    named_cache,
};

/// How deep values are nested, but for chains.
const DEEPEST: u32 = 5;

pub(crate) fn alike(a: &Call, b: &Call) -> bool {
    a.client == b.client && meaning(&a.arguments) == meaning(&b.arguments)
}

pub(crate) fn text(u: &mut Unstructured<'_>) -> Result<String> {
    if u.arbitrary()? { Ok((*u.choose(&TEXTS)?).to_owned()) } else { u.arbitrary() }
}

fn name(u: &mut Unstructured<'_>) -> Result<&'static str> {
    u.choose(&NAMES).copied()
}

fn some<T>(u: &mut Unstructured<'_>, mut one: impl FnMut(&mut Unstructured<'_>) -> Result<T>) -> Result<Vec<T>> {
    let mut all = Vec::new();
    while all.len() < 8 && u.ratio(2, 3)? {
        all.push(one(u)?);
    }
    Ok(all)
}

/// Any value.
pub(crate) fn value(u: &mut Unstructured<'_>, depth: u32) -> Result<Value> {
    let leaves = 17;
    let inner = |u: &mut Unstructured<'_>| value(u, depth + 1);
    let boxed = |u: &mut Unstructured<'_>| value(u, depth + 1).map(Box::new);
    let field = |u: &mut Unstructured<'_>| Ok((name(u)?, value(u, depth + 1)?));
    Ok(match u.int_in_range(0..=if depth < DEEPEST { leaves + 11 } else { leaves })? {
        0 => Value::Bool(u.arbitrary()?),
        1 => Value::I8(u.arbitrary()?),
        2 => Value::U8(u.arbitrary()?),
        3 => Value::I64(u.arbitrary()?),
        4 => Value::U64(u.arbitrary()?),
        5 => Value::I128(u.arbitrary()?),
        6 => Value::U128(u.arbitrary()?),
        7 => Value::F32(u.arbitrary()?),
        8 => Value::F64(u.arbitrary()?),
        9 => Value::Char(u.arbitrary()?),
        10 => Value::Str(text(u)?),
        11 => Value::Shown(text(u)?),
        12 => Value::Bytes(u.arbitrary()?),
        13 => Value::None,
        14 => Value::Unit,
        15 => Value::UnitStruct,
        16 => Value::UnitVariant(name(u)?),
        17 => Value::I128(1_i128 << u.int_in_range(0..=126)?),
        18 => Value::Some(boxed(u)?),
        19 => Value::Newtype(boxed(u)?),
        20 => Value::Seq(some(u, inner)?),
        21 => Value::Tuple(some(u, inner)?),
        22 => Value::TupleStruct(some(u, inner)?),
        23 => Value::Map(some(u, |u| Ok((inner(u)?, inner(u)?)))?),
        24 => Value::Struct(some(u, field)?),
        25 => Value::NewtypeVariant(name(u)?, boxed(u)?),
        26 => Value::TupleVariant(name(u)?, some(u, inner)?),
        27 => Value::StructVariant(name(u)?, some(u, field)?),
        // Deeper than is shown.
        _ => (0..u.int_in_range(0..=70)?).try_fold(inner(u)?, |value, _| {
            Ok(if u.arbitrary()? { Value::Seq(vec![value]) } else { Value::Some(value.into()) })
        })?,
    })
}

/// The same value, as another type shows it.
pub(crate) fn respelt(u: &mut Unstructured<'_>, value: &Value) -> Result<Value> {
    let all = |u: &mut Unstructured<'_>, values: &[Value]| {
        values.iter().map(|value| respelt(u, value)).collect::<Result<Vec<_>>>()
    };
    let fields = |u: &mut Unstructured<'_>, fields: &[(&'static str, Value)]| {
        fields.iter().map(|(name, value)| Ok((*name, respelt(u, value)?))).collect::<Result<Vec<_>>>()
    };
    let same = match value {
        Value::Bool(_) | Value::F64(_) | Value::Bytes(_) | Value::None | Value::Unit | Value::UnitVariant(_) => {
            value.clone()
        }
        Value::F32(v) if v.is_nan() => value.clone(),
        Value::F32(v) => Value::F64((*v).into()),
        Value::I8(_) | Value::U8(_) | Value::I64(_) | Value::U64(_) | Value::I128(_) | Value::U128(_) => {
            match value.meaning() {
                Meaning::Natural(n) => match (u8::try_from(n), i128::try_from(n), u.arbitrary()?) {
                    (Ok(n), _, true) => Value::U8(n),
                    (_, Ok(n), _) => Value::I128(n),
                    _ => Value::U128(n),
                },
                Meaning::Negative(n) => Value::I128(n),
                _ => value.clone(),
            }
        }
        Value::Char(v) => Value::Shown(v.to_string()),
        Value::Str(v) => Value::Shown(v.clone()),
        Value::Shown(v) => Value::Str(v.clone()),
        Value::UnitStruct => Value::Unit,
        Value::Some(v) => match v.meaning() {
            Meaning::None(_) => Value::Some(respelt(u, v)?.into()),
            _ => respelt(u, v)?,
        },
        Value::Newtype(v) => respelt(u, v)?,
        Value::Seq(v) => Value::Tuple(all(u, v)?),
        Value::Tuple(v) => Value::TupleStruct(all(u, v)?),
        Value::TupleStruct(v) => Value::Seq(all(u, v)?),
        Value::Map(entries) => {
            let mut entries = entries
                .iter()
                .map(|(key, value)| Ok((respelt(u, key)?, respelt(u, value)?)))
                .collect::<Result<Vec<_>>>()?;
            // In another order, but for those of one key.
            for at in 1..entries.len() {
                let other = u.int_in_range(0..=at - 1)?;
                let between = &entries[other..=at];
                if between[1..].iter().all(|(key, _)| key.meaning() != between[0].0.meaning())
                    && between[..between.len() - 1].iter().all(|(key, _)| key.meaning() != entries[at].0.meaning())
                {
                    entries.swap(other, at);
                }
            }
            Value::Map(entries)
        }
        Value::Struct(v) => Value::Struct(fields(u, v)?),
        Value::NewtypeVariant(name, v) => Value::NewtypeVariant(name, respelt(u, v)?.into()),
        Value::TupleVariant(name, v) => Value::TupleVariant(name, all(u, v)?),
        Value::StructVariant(name, v) => Value::StructVariant(name, fields(u, v)?),
    };
    Ok(match u.int_in_range(0..=3)? {
        0 => Value::Newtype(same.into()),
        1 if !matches!(same.meaning(), Meaning::None(_)) => Value::Some(same.into()),
        _ => same,
    })
}

/// The value, changed at one place: there stands another one, or the text that it reads as.
pub(crate) fn changed(u: &mut Unstructured<'_>, value: &Value) -> Result<Value> {
    let mut changed = value.clone();
    let mut place = &mut changed;
    loop {
        let children = children(place);
        if children.is_empty() || u.ratio(1, 3)? {
            break;
        }
        let nth = u.choose_index(children.len())?;
        // Looked up once more, as the loop would else borrow what it has left.
        place = self::children(place).swap_remove(nth);
    }
    *place = match u.int_in_range(0..=5)? {
        0 => Value::Some(place.clone().into()),
        1 => Value::Tuple(vec![place.clone()]),
        2 => Value::Str(shown(place)),
        3 => Value::Bytes(shown(place).into_bytes()),
        _ => self::value(u, 0)?,
    };
    Ok(changed)
}

/// What a value reads as, in a key.
fn shown(value: &Value) -> String {
    let key = named_cache(value, &Value::Unit).key().expect("a key");
    let argument = key.split_once("?a=").and_then(|(_, arguments)| arguments.strip_suffix("&b=*"));
    argument.unwrap_or_default().to_owned()
}

fn children(value: &mut Value) -> Vec<&mut Value> {
    match value {
        Value::Some(v) | Value::Newtype(v) | Value::NewtypeVariant(_, v) => vec![v],
        Value::Seq(v) | Value::Tuple(v) | Value::TupleStruct(v) | Value::TupleVariant(_, v) => v.iter_mut().collect(),
        Value::Map(v) => v.iter_mut().flat_map(|(key, value)| [key, value]).collect(),
        Value::Struct(v) | Value::StructVariant(_, v) => v.iter_mut().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    }
}
