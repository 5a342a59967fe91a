//! The serialiser that writes a value's words.
//!
//! It must inline: of a `u64`, a push remains. It owns the canonical form, see [`key`](super); nothing else writes words.

use std::fmt;

use serde::{Serialize, Serializer, ser};

use super::{
    compound::{Elements, Entries},
    tag::{PAYLOAD, Tag},
    words::Words,
};

/// Writes one value.
pub(super) struct Writer<'a> {
    words: &'a mut Words,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(words: &'a mut Words) -> Self {
        Self { words }
    }

    /// An integer that fits a word: one word if it fits a payload, and the same for every width.
    #[inline(always)]
    fn integer(self, small: Tag, wide: Tag, magnitude: u64) -> Result<(), Unkeyable> {
        if magnitude <= PAYLOAD {
            self.words.push(small.with(magnitude));
        } else {
            self.words.push(wide.with(1));
            self.words.push(magnitude);
        }
        Ok(())
    }

    #[inline]
    fn long_integer(self, small: Tag, wide: Tag, magnitude: u128) -> Result<(), Unkeyable> {
        match u64::try_from(magnitude) {
            Ok(magnitude) => self.integer(small, wide, magnitude),
            Err(_) => {
                self.words.push(wide.with(2));
                self.words.push(magnitude as u64);
                self.words.push((magnitude >> 64) as u64);
                Ok(())
            }
        }
    }

    #[inline]
    fn word(self, word: u64) -> Result<(), Unkeyable> {
        self.words.push(word);
        Ok(())
    }

    #[inline]
    fn begin(self, tag: Tag) -> Result<Elements<'a>, Unkeyable> {
        self.words.push(tag.word());
        Ok(Elements::new(self.words))
    }

    #[inline]
    fn begin_variant(self, tag: Tag, name: &str) -> Result<Elements<'a>, Unkeyable> {
        self.words.bytes(tag, name.as_bytes());
        Ok(Elements::new(self.words))
    }
}

impl<'a> Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unkeyable;
    type SerializeSeq = Elements<'a>;
    type SerializeTuple = Elements<'a>;
    type SerializeTupleStruct = Elements<'a>;
    type SerializeTupleVariant = Elements<'a>;
    type SerializeMap = Entries<'a>;
    type SerializeStruct = Elements<'a>;
    type SerializeStructVariant = Elements<'a>;

    #[inline]
    fn serialize_bool(self, v: bool) -> Result<(), Unkeyable> {
        self.word(if v { Tag::True } else { Tag::False }.word())
    }

    #[inline]
    fn serialize_i8(self, v: i8) -> Result<(), Unkeyable> {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i16(self, v: i16) -> Result<(), Unkeyable> {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i32(self, v: i32) -> Result<(), Unkeyable> {
        self.serialize_i64(v.into())
    }

    #[inline]
    fn serialize_i64(self, v: i64) -> Result<(), Unkeyable> {
        if v < 0 { self.integer(Tag::Negative, Tag::WideNegative, !v as u64) } else { self.serialize_u64(v as u64) }
    }

    #[inline]
    fn serialize_i128(self, v: i128) -> Result<(), Unkeyable> {
        if v < 0 {
            self.long_integer(Tag::Negative, Tag::WideNegative, !v as u128)
        } else {
            self.serialize_u128(v as u128)
        }
    }

    #[inline]
    fn serialize_u8(self, v: u8) -> Result<(), Unkeyable> {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u16(self, v: u16) -> Result<(), Unkeyable> {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u32(self, v: u32) -> Result<(), Unkeyable> {
        self.serialize_u64(v.into())
    }

    #[inline]
    fn serialize_u64(self, v: u64) -> Result<(), Unkeyable> {
        self.integer(Tag::Unsigned, Tag::WideUnsigned, v)
    }

    #[inline]
    fn serialize_u128(self, v: u128) -> Result<(), Unkeyable> {
        self.long_integer(Tag::Unsigned, Tag::WideUnsigned, v)
    }

    #[inline]
    fn serialize_f32(self, v: f32) -> Result<(), Unkeyable> {
        self.serialize_f64(widen(v))
    }

    #[inline]
    fn serialize_f64(self, v: f64) -> Result<(), Unkeyable> {
        self.words.push(Tag::Float.word());
        self.word(v.to_bits())
    }

    #[inline]
    fn serialize_char(self, v: char) -> Result<(), Unkeyable> {
        self.serialize_str(v.encode_utf8(&mut [0; 4]))
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<(), Unkeyable> {
        self.words.text(v);
        Ok(())
    }

    #[inline]
    fn serialize_bytes(self, v: &[u8]) -> Result<(), Unkeyable> {
        self.words.bytes(Tag::Bytes, v);
        Ok(())
    }

    #[inline]
    fn serialize_none(self) -> Result<(), Unkeyable> {
        self.word(Tag::None.word())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unkeyable> {
        let start = self.words.len();
        value.serialize(Writer::new(self.words))?;
        // `Some(x)` is written as `x`; a `None` within counts the `Some`s around it.
        let first = &mut self.words.as_mut_slice()[start];
        if Tag::of(*first) == Some(Tag::None) {
            *first += 1;
        }
        Ok(())
    }

    #[inline]
    fn serialize_unit(self) -> Result<(), Unkeyable> {
        self.word(Tag::Unit.word())
    }

    #[inline]
    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unkeyable> {
        self.serialize_unit()
    }

    #[inline]
    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Unkeyable> {
        self.words.bytes(Tag::UnitVariant, variant.as_bytes());
        Ok(())
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unkeyable> {
        value.serialize(self)
    }

    #[inline]
    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Unkeyable> {
        self.begin_variant(Tag::NewtypeVariant, variant)?.element(value)
    }

    #[inline]
    fn serialize_seq(self, _: Option<usize>) -> Result<Elements<'a>, Unkeyable> {
        self.begin(Tag::Seq)
    }

    #[inline]
    fn serialize_tuple(self, _: usize) -> Result<Elements<'a>, Unkeyable> {
        self.begin(Tag::Seq)
    }

    #[inline]
    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, Unkeyable> {
        self.begin(Tag::Seq)
    }

    #[inline]
    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'a>, Unkeyable> {
        self.begin_variant(Tag::TupleVariant, variant)
    }

    #[inline]
    fn serialize_map(self, _: Option<usize>) -> Result<Entries<'a>, Unkeyable> {
        self.words.push(Tag::Map.word());
        Ok(Entries::new(self.words))
    }

    #[inline]
    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Elements<'a>, Unkeyable> {
        self.begin(Tag::Struct)
    }

    #[inline]
    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Elements<'a>, Unkeyable> {
        self.begin_variant(Tag::StructVariant, variant)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Unkeyable> {
        self.words.display(value).map_err(ser::Error::custom)
    }
}

/// Why a value has no words: what its `Serialize` impl said.
#[derive(Debug)]
pub(super) struct Unkeyable(Box<str>);

impl Unkeyable {
    pub(super) fn message(self) -> Box<str> {
        self.0
    }
}

impl ser::Error for Unkeyable {
    #[cold]
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self(message.to_string().into())
    }
}

impl std::error::Error for Unkeyable {}

impl fmt::Display for Unkeyable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `f64::from`, but every NaN keeps its bits: the conversion may quiet it.
#[inline]
fn widen(v: f32) -> f64 {
    if v.is_nan() {
        let bits = u64::from(v.to_bits());
        f64::from_bits((bits >> 31) << 63 | 0x7ff << 52 | (bits & 0x007f_ffff) << 29)
    } else {
        v.into()
    }
}
