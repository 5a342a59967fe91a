//! Bytes to values.

use std::{ptr, str};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, Error as _, MapAccess, SeqAccess, Unexpected,
        VariantAccess, Visitor, value::SeqDeserializer,
    },
    forward_to_deserialize_any,
};
use smallvec::SmallVec;
use xxhash_rust::xxh3::xxh3_64;

use super::{Fault, MOST_DEPTH, NIL, SOME};

/// The value that `bytes` are, all of them, and a hash of the names of all fields and variants of its types, whether or not they
/// are in the value. Types that the value has no part of are not met, and do not count.
pub(in crate::codec) fn decode<V: DeserializeOwned>(bytes: &[u8]) -> Result<(V, u64), Fault> {
    let mut decoder = Decoder { bytes, depth: MOST_DEPTH, names: Names::default() };
    let value = V::deserialize(&mut decoder)?;
    if decoder.bytes.is_empty() {
        Ok((value, decoder.names.hash()))
    } else {
        Err(Fault::new("something comes after the value"))
    }
}

struct Decoder<'de> {
    /// What is left.
    bytes: &'de [u8],
    /// How many more levels there may be.
    depth: usize,
    names: Names,
}

impl<'de> Decoder<'de> {
    fn peek(&self) -> Result<u8, Fault> {
        self.bytes.first().copied().ok_or_else(cut_off)
    }

    fn take(&mut self, len: usize) -> Result<&'de [u8], Fault> {
        let (taken, left) = self.bytes.split_at_checked(len).ok_or_else(cut_off)?;
        self.bytes = left;
        Ok(taken)
    }

    fn take_array<const LEN: usize>(&mut self) -> Result<[u8; LEN], Fault> {
        let (taken, left) = self.bytes.split_first_chunk().ok_or_else(cut_off)?;
        self.bytes = left;
        Ok(*taken)
    }

    /// A length or a number of one, two, four or eight bytes.
    fn take_number(&mut self, bytes: usize) -> Result<u64, Fault> {
        Ok(match bytes {
            1 => u8::from_be_bytes(self.take_array()?).into(),
            2 => u16::from_be_bytes(self.take_array()?).into(),
            4 => u32::from_be_bytes(self.take_array()?).into(),
            _ => u64::from_be_bytes(self.take_array()?),
        })
    }

    /// The length of a sequence whose elements take at least `least` bytes each. A length that the remaining bytes cannot hold is
    /// refused here, before memory is reserved for it.
    fn take_len(&mut self, bytes: usize, least: usize) -> Result<usize, Fault> {
        let len = usize::try_from(self.take_number(bytes)?).unwrap_or(usize::MAX);
        self.believe(len, least)
    }

    fn believe(&self, len: usize, least: usize) -> Result<usize, Fault> {
        if len <= self.bytes.len() / least { Ok(len) } else { Err(cut_off()) }
    }

    /// Reads what is one level down.
    fn nested<T>(&mut self, read: impl FnOnce(&mut Self) -> Result<T, Fault>) -> Result<T, Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        let result = read(self);
        self.depth += 1;
        result
    }

    fn text<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let text = str::from_utf8(self.take(len)?).map_err(Fault::custom)?;
        visitor.visit_borrowed_str(text)
    }

    fn array<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let mut elements = Elements { decoder: self, left: len };
        let value = visitor.visit_seq(&mut elements)?;
        if elements.left == 0 { Ok(value) } else { Err(Fault::invalid_length(len, &"fewer elements")) }
    }

    fn map<V: Visitor<'de>>(&mut self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        let mut elements = Elements { decoder: self, left: len };
        let value = visitor.visit_map(&mut elements)?;
        if elements.left == 0 { Ok(value) } else { Err(Fault::invalid_length(len, &"fewer entries")) }
    }

    /// The bytes of binary data, if that is next where something else is wanted.
    fn binary(&mut self) -> Result<Option<&'de [u8]>, Fault> {
        let bytes = match self.peek()? {
            code @ 0xc4..=0xc6 => 1 << (code - 0xc4),
            _ => return Ok(None),
        };
        self.take(1)?;
        let len = self.take_len(bytes, 1)?;
        self.take(len).map(Some)
    }

    /// As some types that are written as binary data are read.
    fn sequence<V: Visitor<'de>>(&mut self, visitor: V) -> Result<V::Value, Fault> {
        match self.binary()? {
            Some(bytes) => {
                let mut elements = SeqDeserializer::new(bytes.iter().copied());
                let value = visitor.visit_seq(&mut elements)?;
                elements.end().map(|()| value)
            }
            None => self.deserialize_any(visitor),
        }
    }
}

#[cold]
fn cut_off() -> Fault {
    Fault::new("it is cut off")
}

impl<'de> Deserializer<'de> for &mut Decoder<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        let [code] = self.take_array()?;
        match code {
            0..0x80 => visitor.visit_u64(code.into()),
            0x80..0x90 => {
                let len = self.believe((code & 0xf).into(), 2)?;
                self.map(len, visitor)
            }
            0x90..0xa0 => {
                let len = self.believe((code & 0xf).into(), 1)?;
                self.array(len, visitor)
            }
            0xa0..0xc0 => self.text((code & 0x1f).into(), visitor),
            NIL => visitor.visit_unit(),
            SOME => self.nested(|inner| visitor.visit_some(inner)),
            0xc2 | 0xc3 => visitor.visit_bool(code == 0xc3),
            0xc4..=0xc6 => {
                let len = self.take_len(1 << (code - 0xc4), 1)?;
                visitor.visit_borrowed_bytes(self.take(len)?)
            }
            0xca => visitor.visit_f32(f32::from_be_bytes(self.take_array()?)),
            0xcb => visitor.visit_f64(f64::from_be_bytes(self.take_array()?)),
            0xcc..=0xcf => visitor.visit_u64(self.take_number(1 << (code - 0xcc))?),
            0xd0 => visitor.visit_i64(i8::from_be_bytes(self.take_array()?).into()),
            0xd1 => visitor.visit_i64(i16::from_be_bytes(self.take_array()?).into()),
            0xd2 => visitor.visit_i64(i32::from_be_bytes(self.take_array()?).into()),
            0xd3 => visitor.visit_i64(i64::from_be_bytes(self.take_array()?)),
            0xd9..=0xdb => {
                let len = self.take_len(1 << (code - 0xd9), 1)?;
                self.text(len, visitor)
            }
            0xdc | 0xdd => {
                let len = self.take_len(2 << (code - 0xdc), 1)?;
                self.array(len, visitor)
            }
            0xde | 0xdf => {
                let len = self.take_len(2 << (code - 0xde), 2)?;
                self.map(len, visitor)
            }
            0xe0.. => visitor.visit_i64(i8::from_be_bytes([code]).into()),
            // Extensions, which this format does not use.
            0xc7..=0xc9 | 0xd4..=0xd8 => Err(Fault::new(format!("the byte {code:#x} begins no value"))),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.peek()? {
            NIL => {
                self.take(1)?;
                visitor.visit_none()
            }
            SOME => {
                self.take(1)?;
                self.nested(|inner| visitor.visit_some(inner))
            }
            _ => self.nested(|inner| visitor.visit_some(inner)),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Fault> {
        self.nested(|inner| visitor.visit_newtype_struct(inner))
    }

    /// A variant's name, or a map of the name to the contents.
    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.names.note(name, variants);
        match self.peek()? {
            0x81 => {
                self.take(1)?;
                visitor.visit_enum(Variant { decoder: self, has_contents: true })
            }
            0xa0..0xc0 | 0xd9..=0xdb => visitor.visit_enum(Variant { decoder: self, has_contents: false }),
            _ => Err(Fault::new("it is no variant of an enum")),
        }
    }

    fn deserialize_i128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.binary()? {
            Some(bytes) => visitor.visit_i128(i128::from_be_bytes(sixteen(bytes)?)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_u128<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.binary()? {
            Some(bytes) => visitor.visit_u128(u128::from_be_bytes(sixteen(bytes)?)),
            None => self.deserialize_any(visitor),
        }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.sequence(visitor)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.sequence(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.sequence(visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.names.note(name, fields);
        self.deserialize_map(visitor)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct map identifier ignored_any
    }
}

fn sixteen(bytes: &[u8]) -> Result<[u8; 16], Fault> {
    bytes.try_into().map_err(|_| Fault::invalid_length(bytes.len(), &"16 bytes"))
}

/// So many elements, or entries.
struct Elements<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    left: usize,
}

impl<'de> Elements<'_, 'de> {
    fn next<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        self.decoder.nested(|inner| seed.deserialize(inner)).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        self.next(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, 'de> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Fault> {
        self.decoder.nested(|inner| seed.deserialize(inner))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left)
    }
}

struct Variant<'a, 'de> {
    decoder: &'a mut Decoder<'de>,
    has_contents: bool,
}

impl<'de> Variant<'_, 'de> {
    fn contents(self, expected: &'static str) -> Result<Self, Fault> {
        if self.has_contents { Ok(self) } else { Err(de::Error::invalid_type(Unexpected::UnitVariant, &expected)) }
    }
}

impl<'de> EnumAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Fault> {
        Ok((seed.deserialize(&mut *self.decoder)?, self))
    }
}

impl<'de> VariantAccess<'de> for Variant<'_, 'de> {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        if self.has_contents { de::Deserialize::deserialize(&mut *self.decoder) } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.contents("newtype variant")?.decoder.nested(|inner| seed.deserialize(inner))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Fault> {
        self.contents("tuple variant")?.decoder.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Fault> {
        self.contents("struct variant")?.decoder.deserialize_struct("", fields, visitor)
    }
}

/// The fields and variants of the types that were met, each list once.
#[derive(Default)]
struct Names {
    /// Where a list is, and its hash, or zero if it is the same as another one.
    lists: SmallVec<[(Place, u64); 8]>,
}

/// Where a type's name and its list of names are.
type Place = (*const str, *const [&'static str]);

impl Names {
    /// Notes the fields or variants of a type.
    #[inline]
    fn note(&mut self, name: &'static str, list: &'static [&'static str]) {
        let place = (ptr::from_ref(name), ptr::from_ref(list));
        if !self.lists.iter().any(|(known, _)| *known == place) {
            self.add(place, name, list);
        }
    }

    fn add(&mut self, place: Place, name: &str, list: &[&str]) {
        let add = |hash: u64, name: &&str| (hash ^ xxh3_64(name.as_bytes())).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let hash = list.iter().fold(add(list.len() as u64, &name), add);
        let is_known = self.lists.iter().any(|(_, known)| *known == hash);
        self.lists.push((place, if is_known { 0 } else { hash }));
    }

    /// One number for all of them, in whatever order they were met.
    fn hash(&self) -> u64 {
        self.lists.iter().fold(0, |sum, (_, hash)| sum.wrapping_add(*hash))
    }
}
