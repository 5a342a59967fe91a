//! How header fields and bodies are stored.

use ::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};

/// The lines of header fields, in order.
pub(super) type Fields = Vec<(String, Blob)>;

/// The bytes of a body's pieces. A single piece is not copied.
pub(super) fn joined(pieces: Vec<Bytes>) -> Bytes {
    match <[Bytes; 1]>::try_from(pieces) {
        Ok([piece]) => piece,
        Err(pieces) => pieces.concat().into(),
    }
}

/// Header fields, to be stored.
pub(super) fn fields(headers: &HeaderMap) -> Vec<(&str, Octets<'_>)> {
    headers.iter().map(|(name, value)| (name.as_str(), Octets(value.as_bytes()))).collect()
}

/// Header fields that were stored.
///
/// # Errors
///
/// If a name or a value is none.
pub(super) fn read_fields<E: de::Error>(fields: Fields) -> Result<HeaderMap, E> {
    let mut headers = HeaderMap::with_capacity(fields.len());
    for (name, value) in fields {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(E::custom)?;
        headers.append(name, HeaderValue::from_bytes(&value.0).map_err(E::custom)?);
    }
    Ok(headers)
}

/// Bytes that serde shows as bytes, and not as a sequence of numbers.
pub(super) struct Blob(pub(super) Vec<u8>);

/// The same, borrowed.
pub(super) struct Octets<'a>(pub(super) &'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

impl Serialize for Blob {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Octets(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Blob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;

        impl Visitor<'_> for Bytes {
            type Value = Blob;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Blob, E> {
                Ok(Blob(bytes.to_vec()))
            }

            fn visit_byte_buf<E: de::Error>(self, bytes: Vec<u8>) -> Result<Blob, E> {
                Ok(Blob(bytes))
            }
        }

        deserializer.deserialize_bytes(Bytes)
    }
}
