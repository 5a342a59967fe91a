//! Estimates how many bytes a value holds in memory, from its serialisation.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{
        self, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};

/// The bytes that `value` holds: its own size, and what its serialisation shows.
///
/// Fields inside the value itself are counted twice. Spare capacity and fields that serde skips are not counted.
/// `weight = |value| …` corrects this for a function.
///
/// [`UNKNOWN`] if nothing can be said: the value's `Serialize` fails, or it is nested deeper than [`MOST_DEPTH`], so that counting
/// might overflow the stack. No store is large enough for such a value.
pub(crate) fn memory_of<T: Serialize>(value: &T) -> usize {
    let mut bytes = size_of::<T>();
    let counted = value.serialize(Counter { bytes: &mut bytes, depth: 0 });
    if counted.is_ok() { bytes } else { UNKNOWN }
}

/// The weight of a value of which nothing can be said.
pub(crate) const UNKNOWN: usize = usize::MAX;

/// How deep values may be nested. Counting takes some hundred bytes of stack a level, and a few kilobytes in a debug build.
const MOST_DEPTH: usize = 256;

/// The header of a `String` or `Vec`: pointer, length, capacity.
const HEADER: usize = 3 * size_of::<usize>();

struct Counter<'a> {
    bytes: &'a mut usize,
    depth: usize,
}

/// An error of a value's own `Serialize`, or a value that is nested too deeply.
#[derive(Debug)]
struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value refused to be serialised")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

impl Counter<'_> {
    fn add(self, bytes: usize) -> Result<(), Refused> {
        *self.bytes = self.bytes.saturating_add(bytes);
        Ok(())
    }

    fn nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Refused> {
        let depth = self.depth + 1;
        if depth > MOST_DEPTH { Err(Refused) } else { value.serialize(Counter { bytes: self.bytes, depth }) }
    }
}

/// A scalar counts as its own size.
macro_rules! scalars {
    ($($method:ident: $type:ty),*) => {
        $(fn $method(self, _: $type) -> Result<(), Refused> {
            self.add(size_of::<$type>())
        })*
    };
}

/// A compound counts as a header and its contents.
macro_rules! compounds {
    ($($method:ident($($arg:ident: $type:ty),*)),*) => {
        $(fn $method(self, $($arg: $type),*) -> Result<Self, Refused> {
            *self.bytes = self.bytes.saturating_add(HEADER);
            Ok(self)
        })*
    };
}

impl Serializer for Counter<'_> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = Self;
    type SerializeTuple = Self;
    type SerializeTupleStruct = Self;
    type SerializeTupleVariant = Self;
    type SerializeMap = Self;
    type SerializeStruct = Self;
    type SerializeStructVariant = Self;

    scalars! {
        serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_f32: f32, serialize_f64: f64, serialize_char: char
    }

    compounds! {
        serialize_seq(_len: Option<usize>),
        serialize_tuple(_len: usize),
        serialize_tuple_struct(_name: &'static str, _len: usize),
        serialize_tuple_variant(_name: &'static str, _index: u32, _variant: &'static str, _len: usize),
        serialize_map(_len: Option<usize>),
        serialize_struct(_name: &'static str, _len: usize),
        serialize_struct_variant(_name: &'static str, _index: u32, _variant: &'static str, _len: usize)
    }

    fn serialize_str(self, value: &str) -> Result<(), Refused> {
        self.add(HEADER + value.len())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Refused> {
        self.add(HEADER + value.len())
    }

    fn serialize_none(self) -> Result<(), Refused> {
        self.add(size_of::<usize>())
    }

    fn serialize_some<T: Serialize + ?Sized>(mut self, value: &T) -> Result<(), Refused> {
        self.nested(value)
    }

    fn serialize_unit(self) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Refused> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, _: &'static str) -> Result<(), Refused> {
        self.add(size_of::<usize>())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(mut self, _: &'static str, value: &T) -> Result<(), Refused> {
        self.nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _: &'static str,
        _: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Refused> {
        self.nested(value)
    }
}

/// The seven compound traits differ only in the names of their methods.
macro_rules! count_elements {
    ($($kind:ident: $($method:ident($($key:ident: $key_type:ty)?))|*),*) => {
        $(impl $kind for Counter<'_> {
            type Ok = ();
            type Error = Refused;
            $(fn $method<T: Serialize + ?Sized>(&mut self, $($key: $key_type,)? value: &T) -> Result<(), Refused> {
                self.nested(value)
            })*
            fn end(self) -> Result<(), Refused> {
                Ok(())
            }
        })*
    };
}

count_elements! {
    SerializeSeq: serialize_element(),
    SerializeTuple: serialize_element(),
    SerializeTupleStruct: serialize_field(),
    SerializeTupleVariant: serialize_field(),
    SerializeMap: serialize_key() | serialize_value(),
    SerializeStruct: serialize_field(_key: &'static str),
    SerializeStructVariant: serialize_field(_key: &'static str)
}
