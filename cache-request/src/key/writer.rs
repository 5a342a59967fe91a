//! The serialiser that writes a value's words. The entries of a map are put in order.
//!
//! It must inline, so that a `u64` costs one push. Only this module writes words, in the canonical form that
//! [`key`](super) describes.

use std::fmt;

use serde::{
    Serialize, Serializer,
    ser::{self, Error as _},
};

use super::{
    pool::Pooled,
    tag::{PAYLOAD, Tag},
    words::Words,
};

/// How deep a value may be nested. Each level takes some of the caller's stack, so a list of linked nodes would overflow it.
const DEEPEST: u32 = 256;

/// Writes one value.
pub(super) struct Writer<'a> {
    words: &'a mut Words,
    /// How many values this one is in.
    depth: u32,
}

impl<'a> Writer<'a> {
    #[inline]
    pub(super) fn new(words: &'a mut Words) -> Self {
        Self { words, depth: 0 }
    }

    /// The depth of the values in this one.
    #[inline]
    fn deeper(&self) -> Result<u32, Unkeyable> {
        if self.depth < DEEPEST { Ok(self.depth + 1) } else { Err(Unkeyable::too_deep()) }
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
        let depth = self.deeper()?;
        self.words.push(tag.word());
        Ok(Elements { words: self.words, depth })
    }

    #[inline]
    fn begin_variant(self, tag: Tag, name: &str) -> Result<Elements<'a>, Unkeyable> {
        let depth = self.deeper()?;
        self.words.bytes(tag, name.as_bytes());
        Ok(Elements { words: self.words, depth })
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
        let (start, depth) = (self.words.len(), self.deeper()?);
        value.serialize(Writer { words: self.words, depth })?;
        count_some(self.words, start);
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
        let depth = self.deeper()?;
        self.words.push(Tag::Map.word());
        Ok(Entries { words: self.words, depth, marks: Pooled::take() })
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
        self.words.display(value).map_err(Unkeyable::custom)
    }
}

/// Makes the value at `start` that value's `Some`. `Some(x)` is written as `x`, and a `None` inside counts the `Some`s around it.
#[inline]
pub(super) fn count_some(words: &mut Words, start: usize) {
    if let Some(first) = words.as_mut_slice().get_mut(start)
        && Tag::of(*first) == Some(Tag::None)
    {
        *first += 1;
    }
}

/// The elements or fields of one value, up to their `End`.
pub(super) struct Elements<'a> {
    words: &'a mut Words,
    depth: u32,
}

impl Elements<'_> {
    #[inline]
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unkeyable> {
        value.serialize(Writer { words: self.words, depth: self.depth })
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unkeyable> {
        self.words.text(name);
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result<(), Unkeyable> {
        self.words.push(Tag::End.word());
        Ok(())
    }
}

/// The compound traits of `serde`, which differ only in the names of their methods.
macro_rules! elements {
    ($($compound:ident::$method:ident($($name:ident)?) => $write:ident;)*) => {$(
        impl ser::$compound for Elements<'_> {
            type Ok = ();
            type Error = Unkeyable;

            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Unkeyable> {
                self.$write($($name,)? value)
            }

            #[inline]
            fn end(self) -> Result<(), Unkeyable> {
                self.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element() => element;
    SerializeTuple::serialize_element() => element;
    SerializeTupleStruct::serialize_field() => element;
    SerializeTupleVariant::serialize_field() => element;
    SerializeStruct::serialize_field(name) => field;
    SerializeStructVariant::serialize_field(name) => field;
}

/// The entries of one map, sorted at its end.
pub(super) struct Entries<'a> {
    words: &'a mut Words,
    depth: u32,
    /// For each entry: the start of its key, the start of its value, and its end.
    marks: Pooled,
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unkeyable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unkeyable> {
        if !self.marks.len().is_multiple_of(3) {
            return Err(Unkeyable::custom("a map has a key without a value"));
        }
        self.marks.push(self.words.len() as u64);
        key.serialize(Writer { words: self.words, depth: self.depth })
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unkeyable> {
        if self.marks.len() % 3 != 1 {
            return Err(Unkeyable::custom("a map has a value without a key"));
        }
        self.marks.push(self.words.len() as u64);
        value.serialize(Writer { words: self.words, depth: self.depth })?;
        self.marks.push(self.words.len() as u64);
        Ok(())
    }

    fn end(mut self) -> Result<(), Unkeyable> {
        let (entries, unfinished) = self.marks.as_chunks_mut();
        if !unfinished.is_empty() {
            return Err(Unkeyable::custom("a map has a key without a value"));
        }
        sort_entries(self.words.as_mut_slice(), entries);
        self.words.push(Tag::End.word());
        Ok(())
    }
}

/// Sorts the entries at the end of `words` by the words of their keys. Entries with equal keys keep their order.
fn sort_entries(words: &mut [u64], entries: &mut [[u64; 3]]) {
    let Some(&[first, ..]) = entries.first() else { return };
    let key = |&[start, value, _]: &[u64; 3]| &words[start as usize..value as usize];
    if entries.is_sorted_by(|a, b| key(a) <= key(b)) {
        return;
    }
    // The unstable sort allocates nothing, and the start of each entry makes it stable.
    entries.sort_unstable_by(|a, b| (key(a), a).cmp(&(key(b), b)));
    let mut sorted = Pooled::take();
    for &[start, _, end] in &*entries {
        sorted.extend_from_slice(&words[start as usize..end as usize]);
    }
    words[first as usize..].copy_from_slice(&sorted);
}

/// Why a value has no words: the error of its `Serialize` impl.
#[derive(Debug)]
pub(super) struct Unkeyable(Box<str>);

impl Unkeyable {
    #[cold]
    fn too_deep() -> Self {
        Self(format!("a value is nested in more than {DEEPEST} others").into())
    }

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

/// Like `f64::from`, but every NaN keeps its bits, which the conversion may change.
#[inline]
fn widen(v: f32) -> f64 {
    if v.is_nan() {
        let bits = u64::from(v.to_bits());
        f64::from_bits((bits >> 31) << 63 | 0x7ff << 52 | (bits & 0x007f_ffff) << 29)
    } else {
        v.into()
    }
}
