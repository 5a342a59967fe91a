//! Values to bytes.

use std::fmt::{self, Write};

use serde::{
    Serialize, Serializer,
    ser::{
        SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple, SerializeTupleStruct,
        SerializeTupleVariant,
    },
};

use super::{Fault, MOST_DEPTH, NIL, SOME};

/// Appends `value` to `bytes`.
pub(in crate::codec) fn encode<V: Serialize>(value: &V, bytes: &mut Vec<u8>) -> Result<(), Fault> {
    value.serialize(&mut Encoder { bytes, depth: MOST_DEPTH })
}

struct Encoder<'a> {
    bytes: &'a mut Vec<u8>,
    /// How many more levels there may be.
    depth: usize,
}

/// What begins with its length.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Binary,
    Array,
    Map,
}

impl Kind {
    /// The byte before `len` elements, if they are so few that it is one byte.
    #[inline]
    fn short(self, len: usize) -> Option<u8> {
        let (fixed, least_too_many) = match self {
            Self::Text => (0xa0, 0x20),
            Self::Binary => return None,
            Self::Array => (0x90, 0x10),
            Self::Map => (0x80, 0x10),
        };
        u8::try_from(len).ok().filter(|len| *len < least_too_many).map(|len| fixed | len)
    }

    /// The bytes before `len` elements.
    fn header(self, len: usize) -> Result<Header, Fault> {
        if let Some(short) = self.short(len) {
            return Ok(Header::new(short, &[]));
        }
        let len = u32::try_from(len).map_err(|_| Fault::new("it is longer than four thousand million elements"))?;
        let codes = match self {
            Self::Text => [0xd9, 0xda, 0xdb],
            Self::Binary => [0xc4, 0xc5, 0xc6],
            Self::Array => [0, 0xdc, 0xdd],
            Self::Map => [0, 0xde, 0xdf],
        };
        Ok(match len {
            0..0x100 if codes[0] != 0 => Header::new(codes[0], &len.to_be_bytes()[3..]),
            0..0x1_0000 => Header::new(codes[1], &len.to_be_bytes()[2..]),
            _ => Header::new(codes[2], &len.to_be_bytes()),
        })
    }
}

#[derive(Clone, Copy)]
struct Header {
    bytes: [u8; 5],
    len: usize,
}

impl Header {
    fn new(code: u8, number: &[u8]) -> Self {
        let mut bytes = [code, 0, 0, 0, 0];
        bytes[1..=number.len()].copy_from_slice(number);
        Self { bytes, len: 1 + number.len() }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<'b> Encoder<'b> {
    #[inline]
    fn put(&mut self, code: u8, number: &[u8]) -> Result<(), Fault> {
        self.bytes.push(code);
        self.bytes.extend_from_slice(number);
        Ok(())
    }

    #[inline]
    fn put_header(&mut self, kind: Kind, len: usize) -> Result<(), Fault> {
        if let Some(short) = kind.short(len) {
            self.bytes.push(short);
            return Ok(());
        }
        self.bytes.extend_from_slice(kind.header(len)?.bytes());
        Ok(())
    }

    fn put_all(&mut self, kind: Kind, contents: &[u8]) -> Result<(), Fault> {
        self.put_header(kind, contents.len())?;
        self.bytes.extend_from_slice(contents);
        Ok(())
    }

    /// A variant that has contents is a map of its name to them.
    fn put_variant(&mut self, name: &str) -> Result<(), Fault> {
        self.put_header(Kind::Map, 1)?;
        self.put_all(Kind::Text, name.as_bytes())
    }

    /// Writes what is one level down.
    fn put_nested<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.depth = self.depth.checked_sub(1).ok_or_else(Fault::too_deep)?;
        let result = value.serialize(&mut *self);
        self.depth += 1;
        result
    }

    fn counted<'a>(&'a mut self, kind: Kind, claimed: usize) -> Result<Counted<'a, 'b>, Fault> {
        let start = self.bytes.len();
        self.put_header(kind, claimed)?;
        Ok(Counted { encoder: self, start, kind, claimed, count: 0 })
    }
}

impl<'a, 'b> Serializer for &'a mut Encoder<'b> {
    type Ok = ();
    type Error = Fault;
    type SerializeSeq = Counted<'a, 'b>;
    type SerializeTuple = Counted<'a, 'b>;
    type SerializeTupleStruct = Counted<'a, 'b>;
    type SerializeTupleVariant = Counted<'a, 'b>;
    type SerializeMap = Counted<'a, 'b>;
    type SerializeStruct = Counted<'a, 'b>;
    type SerializeStructVariant = Counted<'a, 'b>;

    fn serialize_bool(self, value: bool) -> Result<(), Fault> {
        self.put(if value { 0xc3 } else { 0xc2 }, &[])
    }

    fn serialize_i8(self, value: i8) -> Result<(), Fault> {
        self.serialize_i64(value.into())
    }

    fn serialize_i16(self, value: i16) -> Result<(), Fault> {
        self.serialize_i64(value.into())
    }

    fn serialize_i32(self, value: i32) -> Result<(), Fault> {
        self.serialize_i64(value.into())
    }

    fn serialize_i64(self, value: i64) -> Result<(), Fault> {
        if let Ok(value) = u64::try_from(value) {
            return self.serialize_u64(value);
        }
        let bytes = value.to_be_bytes();
        match value {
            -0x20.. => self.put(bytes[7], &[]),
            -0x80.. => self.put(0xd0, &bytes[7..]),
            -0x8000.. => self.put(0xd1, &bytes[6..]),
            -0x8000_0000.. => self.put(0xd2, &bytes[4..]),
            _ => self.put(0xd3, &bytes),
        }
    }

    /// What 64 bits cannot hold, is 16 bytes.
    fn serialize_i128(self, value: i128) -> Result<(), Fault> {
        match (u64::try_from(value), i64::try_from(value)) {
            (Ok(value), _) => self.serialize_u64(value),
            (_, Ok(value)) => self.serialize_i64(value),
            _ => self.serialize_bytes(&value.to_be_bytes()),
        }
    }

    fn serialize_u8(self, value: u8) -> Result<(), Fault> {
        self.serialize_u64(value.into())
    }

    fn serialize_u16(self, value: u16) -> Result<(), Fault> {
        self.serialize_u64(value.into())
    }

    fn serialize_u32(self, value: u32) -> Result<(), Fault> {
        self.serialize_u64(value.into())
    }

    fn serialize_u64(self, value: u64) -> Result<(), Fault> {
        let bytes = value.to_be_bytes();
        match value {
            0..0x80 => {
                self.bytes.push(bytes[7]);
                Ok(())
            }
            0x80..0x100 => self.put(0xcc, &bytes[7..]),
            0x100..0x1_0000 => self.put(0xcd, &bytes[6..]),
            0x1_0000..0x1_0000_0000 => self.put(0xce, &bytes[4..]),
            _ => self.put(0xcf, &bytes),
        }
    }

    fn serialize_u128(self, value: u128) -> Result<(), Fault> {
        match u64::try_from(value) {
            Ok(value) => self.serialize_u64(value),
            Err(_) => self.serialize_bytes(&value.to_be_bytes()),
        }
    }

    fn serialize_f32(self, value: f32) -> Result<(), Fault> {
        self.put(0xca, &value.to_bits().to_be_bytes())
    }

    fn serialize_f64(self, value: f64) -> Result<(), Fault> {
        self.put(0xcb, &value.to_bits().to_be_bytes())
    }

    fn serialize_char(self, value: char) -> Result<(), Fault> {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Result<(), Fault> {
        self.put_all(Kind::Text, value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Fault> {
        self.put_all(Kind::Binary, value)
    }

    fn serialize_none(self) -> Result<(), Fault> {
        self.serialize_unit()
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Fault> {
        let start = self.bytes.len();
        self.put_nested(value)?;
        if matches!(self.bytes.get(start), Some(&(NIL | SOME))) {
            self.bytes.insert(start, SOME);
        }
        Ok(())
    }

    fn serialize_unit(self) -> Result<(), Fault> {
        self.put(NIL, &[])
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Fault> {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Result<(), Fault> {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Fault> {
        self.put_nested(value)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<(), Fault> {
        self.put_variant(variant)?;
        self.put_nested(value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Counted<'a, 'b>, Fault> {
        self.counted(Kind::Array, len.unwrap_or(0))
    }

    fn serialize_tuple(self, len: usize) -> Result<Counted<'a, 'b>, Fault> {
        self.counted(Kind::Array, len)
    }

    fn serialize_tuple_struct(self, _: &'static str, len: usize) -> Result<Counted<'a, 'b>, Fault> {
        self.counted(Kind::Array, len)
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Counted<'a, 'b>, Fault> {
        self.put_variant(variant)?;
        self.counted(Kind::Array, len)
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Counted<'a, 'b>, Fault> {
        self.counted(Kind::Map, len.unwrap_or(0))
    }

    fn serialize_struct(self, _: &'static str, len: usize) -> Result<Counted<'a, 'b>, Fault> {
        self.counted(Kind::Map, len)
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Counted<'a, 'b>, Fault> {
        self.put_variant(variant)?;
        self.counted(Kind::Map, len)
    }

    fn collect_str<T: fmt::Display + ?Sized>(self, value: &T) -> Result<(), Fault> {
        let start = self.bytes.len();
        write!(Text(self.bytes), "{value}").map_err(|_| Fault::new("its text cannot be written"))?;
        let header = Kind::Text.header(self.bytes.len() - start)?;
        self.bytes.splice(start..start, header.bytes().iter().copied());
        Ok(())
    }
}

struct Text<'a>(&'a mut Vec<u8>);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Elements after a header that claims their number. Not all who write know it beforehand, nor do all tell the truth.
struct Counted<'a, 'b> {
    encoder: &'a mut Encoder<'b>,
    /// Where the header is.
    start: usize,
    kind: Kind,
    claimed: usize,
    count: usize,
}

impl Counted<'_, '_> {
    fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.count += 1;
        self.encoder.put_nested(value)
    }

    fn named<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
        self.encoder.put_all(Kind::Text, name.as_bytes())?;
        self.element(value)
    }

    fn close(self) -> Result<(), Fault> {
        if self.count != self.claimed {
            let claimed = self.start..self.start + self.kind.header(self.claimed)?.len;
            let header = self.kind.header(self.count)?;
            self.encoder.bytes.splice(claimed, header.bytes().iter().copied());
        }
        Ok(())
    }
}

macro_rules! elements {
    ($($trait:ident::$method:ident),*) => {$(
        impl $trait for Counted<'_, '_> {
            type Ok = ();
            type Error = Fault;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
                self.element(value)
            }

            fn end(self) -> Result<(), Fault> {
                self.close()
            }
        }
    )*};
}

elements!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field
);

macro_rules! fields {
    ($($trait:ident),*) => {$(
        impl $trait for Counted<'_, '_> {
            type Ok = ();
            type Error = Fault;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, name: &'static str, value: &T) -> Result<(), Fault> {
                self.named(name, value)
            }

            fn end(self) -> Result<(), Fault> {
                self.close()
            }
        }
    )*};
}

fields!(SerializeStruct, SerializeStructVariant);

impl SerializeMap for Counted<'_, '_> {
    type Ok = ();
    type Error = Fault;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Fault> {
        self.encoder.put_nested(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Fault> {
        self.element(value)
    }

    fn end(self) -> Result<(), Fault> {
        self.close()
    }
}
