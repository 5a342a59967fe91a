//! What a value says of itself to serde, in one number: two values are told apart if anything serde can tell differs, down to
//! `Some(None)` and `None`, `1_u8` and `1_u16`, a newtype and its inside.
//!
//! Elements and entries may come in any order, for a `HashSet` iterates anew after it was read.

use std::hash::{BuildHasher, Hash};

use foldhash::quality::RandomState;
use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

use super::message_pack::Fault;

/// Whether the two values say the same of themselves, in readable form and in the other one: an address reads like a text,
/// and an instant with its time zone may be like one without.
pub(super) fn alike<V: Serialize>(one: &V, other: &V) -> Result<bool, Fault> {
    let random = &RandomState::default();
    for readable in [false, true] {
        let digest = Digest { random, readable };
        if one.serialize(digest)? != other.serialize(digest)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Each value becomes the hash of its kind, its names and its contents' hashes.
#[derive(Clone, Copy)]
struct Digest<'a> {
    random: &'a RandomState,
    readable: bool,
}

impl<'a> Digest<'a> {
    fn of(self, parts: impl Hash) -> u64 {
        self.random.hash_one(parts)
    }

    fn gather(self, kind: impl Hash) -> Gather<'a> {
        Gather { digest: self, sum: self.of(kind), count: 0, key: 0 }
    }
}

macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, value: $type) -> Result<u64, Fault> {
            Ok(self.of((stringify!($type), value)))
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
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str, serialize_bytes: &[u8]
    );

    fn serialize_f32(self, value: f32) -> Result<u64, Fault> {
        Ok(self.of(("f32", value.to_bits())))
    }

    fn serialize_f64(self, value: f64) -> Result<u64, Fault> {
        Ok(self.of(("f64", value.to_bits())))
    }

    fn serialize_none(self) -> Result<u64, Fault> {
        Ok(self.of("none"))
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<u64, Fault> {
        Ok(self.of(("some", value.serialize(self)?)))
    }

    fn serialize_unit(self) -> Result<u64, Fault> {
        Ok(self.of("unit"))
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<u64, Fault> {
        Ok(self.of(("unit struct", name)))
    }

    fn serialize_unit_variant(self, name: &'static str, index: u32, variant: &'static str) -> Result<u64, Fault> {
        Ok(self.of(("unit variant", name, index, variant)))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Result<u64, Fault> {
        Ok(self.of(("newtype", name, value.serialize(self)?)))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<u64, Fault> {
        Ok(self.of(("newtype variant", name, index, variant, value.serialize(self)?)))
    }

    // That a sequence knows its length beforehand, is not part of it.
    fn serialize_seq(self, _: Option<usize>) -> Result<Gather<'a>, Fault> {
        Ok(self.gather("seq"))
    }

    fn serialize_tuple(self, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.gather("tuple"))
    }

    fn serialize_tuple_struct(self, name: &'static str, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(("tuple struct", name)))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(("tuple variant", name, index, variant)))
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Gather<'a>, Fault> {
        Ok(self.gather("map"))
    }

    fn serialize_struct(self, name: &'static str, _: usize) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(("struct", name)))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Gather<'a>, Fault> {
        Ok(self.gather(("struct variant", name, index, variant)))
    }

    fn is_human_readable(&self) -> bool {
        self.readable
    }
}

/// The sum of what the parts' hashes are, whatever their order.
struct Gather<'a> {
    digest: Digest<'a>,
    sum: u64,
    count: u64,
    key: u64,
}

impl Gather<'_> {
    /// A part that may stand anywhere.
    fn loose(&mut self, part: impl Hash) {
        self.sum = self.sum.wrapping_add(self.digest.of(part));
        self.count += 1;
    }

    fn end(self) -> u64 {
        self.digest.of((self.sum, self.count))
    }
}

impl SerializeSeq for Gather<'_> {
    type Ok = u64;
    type Error = Fault;

    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.loose(value.serialize(self.digest)?);
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
        self.loose((self.key, value));
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
                self.loose((self.count, value));
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
                self.loose((name, value));
                Ok(())
            }

            fn end(self) -> Result<u64, Fault> {
                Ok(self.end())
            }
        }
    )*};
}

by_name!(SerializeStruct, SerializeStructVariant);
