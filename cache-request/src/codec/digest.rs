//! A hash of the serde calls that a value makes. Two values have different digests if they differ in anything that serde sees:
//! `Some(None)` and `None`, `1_u8` and `1_u16`, a newtype and its inside, a skipped field and an absent one.
//!
//! The order of elements and entries does not count, as a `HashSet` changes its order when it is read back.
//!
//! The number is stored beside the value, so it is the same in all programs. It finds accidents, not attacks: a writer with access
//! to the backend can make two values with one digest.

use std::cell::Cell;

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};
use xxhash_rust::xxh3::xxh3_64;

use super::message_pack::Fault;

/// The digest of `value`, and whether it would be another one with all of the [texts](Texts).
///
/// A type that asks whether its form is to be readable is looked at in both forms: an address reads like a text, and an instant
/// with its time zone may be like one without.
pub(super) fn of<V: Serialize + ?Sized>(value: &V, texts: Texts) -> Result<(u64, bool), Fault> {
    let (asked, cut) = (Cell::new(false), Cell::new(false));
    let digest = |readable| value.serialize(Digest { texts, readable, asked: &asked, cut: &cut });
    let mut number = digest(true)?;
    if asked.get() {
        // Some types have only the readable form.
        number = mix(number, digest(false).unwrap_or_default());
    }
    Ok((number, cut.get()))
}

/// The digest of two values that show the same; `None` if they do not.
pub(super) fn of_both<V: Serialize>(one: &V, other: &V) -> Result<Option<u64>, Fault> {
    let (digest, cut) = of(one, Texts::Short)?;
    let alike =
        digest == of(other, Texts::Short)?.0 && (!cut || of(one, Texts::Whole)?.0 == of(other, Texts::Whole)?.0);
    Ok(alike.then_some(digest))
}

/// Which texts and bytes are looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Texts {
    /// Of a long one the length is enough for what is stored: a checksum covers the rest.
    Short,
    Whole,
}

/// Bytes of a text that is not long.
const SHORT: usize = 64;

#[derive(Clone, Copy)]
struct Digest<'a> {
    texts: Texts,
    readable: bool,
    /// Something has asked whether the form is readable.
    asked: &'a Cell<bool>,
    /// A text was long.
    cut: &'a Cell<bool>,
}

/// What serde tells apart. The numbers are stored.
#[derive(Clone, Copy)]
#[repr(u64)]
enum Kind {
    Bool = 1,
    I8 = 2,
    I16 = 3,
    I32 = 4,
    I64 = 5,
    I128 = 6,
    U8 = 7,
    U16 = 8,
    U32 = 9,
    U64 = 10,
    U128 = 11,
    F32 = 12,
    F64 = 13,
    Char = 14,
    Str = 15,
    Bytes = 16,
    None = 17,
    Some = 18,
    Unit = 19,
    UnitStruct = 20,
    UnitVariant = 21,
    Newtype = 22,
    NewtypeVariant = 23,
    Seq = 24,
    Tuple = 25,
    TupleStruct = 26,
    TupleVariant = 27,
    Map = 28,
    Struct = 29,
    StructVariant = 30,
    Skipped = 31,
}

/// Adds `part` to `state`: the two halves of a product.
#[inline]
pub(super) fn mix(state: u64, part: u64) -> u64 {
    let product = u128::from(state ^ 0x9e37_79b9_7f4a_7c15) * u128::from(part ^ 0xd1b5_4a32_d192_ed03);
    product as u64 ^ (product >> 64) as u64
}

#[inline]
fn name(name: &str) -> u64 {
    xxh3_64(name.as_bytes())
}

#[inline]
fn scalar(kind: Kind, value: u64) -> Result<u64, Fault> {
    Ok(mix(kind as u64, value))
}

impl<'a> Digest<'a> {
    fn text(self, kind: Kind, text: &[u8]) -> Result<u64, Fault> {
        if self.texts == Texts::Whole || text.len() <= SHORT {
            return scalar(kind, xxh3_64(text));
        }
        self.cut.set(true);
        scalar(kind, text.len() as u64)
    }

    fn gather(self, kind: Kind) -> Gather<'a> {
        Gather { digest: self, state: kind as u64, sum: 0, count: 0, key: 0 }
    }

    fn named(self, kind: Kind, of: &str) -> Gather<'a> {
        let mut gather = self.gather(kind);
        gather.add(name(of));
        gather
    }

    fn variant(self, kind: Kind, of: &str, index: u32, variant: &str) -> Gather<'a> {
        let mut gather = self.named(kind, of);
        gather.add(index.into());
        gather.add(name(variant));
        gather
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty = $kind:ident |$value:ident| $number:expr),* $(,)?) => {
        $(#[inline] fn $method(self, $value: $type) -> Result<u64, Fault> {
            scalar(Kind::$kind, $number)
        })*
    };
}

impl<'a> Serializer for Digest<'a> {
    type Ok = u64;
    type Error = Fault;
    type SerializeSeq = Gather<'a>;
    type SerializeTuple = Gather<'a>;
    type SerializeTupleStruct = Gather<'a>;
    type SerializeTupleVariant = Gather<'a>;
    type SerializeMap = Gather<'a>;
    type SerializeStruct = Gather<'a>;
    type SerializeStructVariant = Gather<'a>;

    scalars!(
        serialize_bool: bool = Bool |value| value.into(),
        serialize_i8: i8 = I8 |value| i64::from(value).cast_unsigned(),
        serialize_i16: i16 = I16 |value| i64::from(value).cast_unsigned(),
        serialize_i32: i32 = I32 |value| i64::from(value).cast_unsigned(),
        serialize_i64: i64 = I64 |value| value.cast_unsigned(),
        serialize_u8: u8 = U8 |value| value.into(),
        serialize_u16: u16 = U16 |value| value.into(),
        serialize_u32: u32 = U32 |value| value.into(),
        serialize_u64: u64 = U64 |value| value,
        serialize_f32: f32 = F32 |value| value.to_bits().into(),
        serialize_f64: f64 = F64 |value| value.to_bits(),
        serialize_char: char = Char |value| u32::from(value).into(),
        serialize_i128: i128 = I128 |value| mix(value as u64, (value >> 64) as u64),
        serialize_u128: u128 = U128 |value| mix(value as u64, (value >> 64) as u64),
    );

    fn serialize_str(self, value: &str) -> Result<u64, Fault> {
        self.text(Kind::Str, value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<u64, Fault> {
        self.text(Kind::Bytes, value)
    }

    fn serialize_none(self) -> Result<u64, Fault> {
        Ok(Kind::None as u64)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, Fault> {
        Ok(mix(Kind::Some as u64, value.serialize(self)?))
    }

    fn serialize_unit(self) -> Result<u64, Fault> {
        Ok(Kind::Unit as u64)
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<u64, Fault> {
        Ok(self.named(Kind::UnitStruct, name).end())
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<u64, Fault> {
        Ok(self.variant(Kind::UnitVariant, name, index, variant).end())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<u64, Fault> {
        let mut gather = self.named(Kind::Newtype, name);
        gather.add(value.serialize(self)?);
        Ok(gather.end())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<u64, Fault> {
        let mut gather = self.variant(Kind::NewtypeVariant, name, index, variant);
        gather.add(value.serialize(self)?);
        Ok(gather.end())
    }

    // That a sequence knows its length beforehand, is not part of it.
    fn serialize_seq(self, _: Option<usize>) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(Kind::Seq))
    }

    fn serialize_tuple(self, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(Kind::Tuple))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.named(Kind::TupleStruct, name))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Gather<'a>, Fault> {
        Ok(self.variant(Kind::TupleVariant, name, index, variant))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(Kind::Map))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.named(Kind::Struct, name))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Gather<'a>, Fault> {
        Ok(self.variant(Kind::StructVariant, name, index, variant))
    }

    fn is_human_readable(&self) -> bool {
        self.asked.set(true);
        self.readable
    }
}

/// What consists of several values.
struct Gather<'a> {
    digest: Digest<'a>,
    /// What it is, and its parts in their order.
    state: u64,
    /// The parts that may stand anywhere.
    sum: u64,
    count: u64,
    key: u64,
}

impl Gather<'_> {
    fn add(&mut self, part: u64) {
        self.state = mix(self.state, part);
        self.count += 1;
    }

    /// A part that may stand anywhere.
    fn add_loose(&mut self, part: u64) {
        // Mixed once more, so that sums of similar parts differ.
        self.sum = self.sum.wrapping_add(mix(part, 0));
        self.count += 1;
    }

    fn end(self) -> u64 {
        mix(mix(self.state, self.sum), self.count)
    }
}

impl SerializeSeq for Gather<'_> {
    type Ok = u64;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        let value = value.serialize(self.digest)?;
        self.add_loose(value);
        Ok(())
    }

    fn end(self) -> Result<u64, Fault> {
        Ok(self.end())
    }
}

impl SerializeMap for Gather<'_> {
    type Ok = u64;
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.key = key.serialize(self.digest)?;
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        let value = value.serialize(self.digest)?;
        self.add_loose(mix(self.key, value));
        Ok(())
    }

    fn end(self) -> Result<u64, Fault> {
        Ok(self.end())
    }
}

macro_rules! in_order {
    ($($trait:ident::$method:ident),*) => {$(
        impl $trait for Gather<'_> {
            type Ok = u64;
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
                let value = value.serialize(self.digest)?;
                self.add(value);
                Ok(())
            }

            fn end(self) -> Result<u64, Fault> {
                Ok(self.end())
            }
        }
    )*};
}

in_order!(
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! by_name {
    ($($trait:ident),*) => {$(
        impl $trait for Gather<'_> {
            type Ok = u64;
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
                let value = value.serialize(self.digest)?;
                self.add(self::name(name));
                self.add(value);
                Ok(())
            }

            /// A field of a type that has got one more since is not one that is skipped.
            fn skip_field(&mut self, name: &'static str) -> Result<(), Fault> {
                self.add(self::name(name));
                self.add(Kind::Skipped as u64);
                Ok(())
            }

            fn end(self) -> Result<u64, Fault> {
                Ok(self.end())
            }
        }
    )*};
}

by_name!(SerializeStruct, SerializeStructVariant);
