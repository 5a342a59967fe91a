//! Answers that are cached as typed values, and become responses at each call.

use std::borrow::Cow;

use ::axum::{
    Json,
    response::{Html, Redirect},
};
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use bytes::Bytes;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error as _},
};

use super::{
    super::wire::{self, Blob, Fields, Octets},
    response::{may_be_kept, may_be_shared},
};
use crate::{
    Error,
    attribute::answer::Answer,
    engine::value::{Value, ValueOf},
};

/// Status and header fields of an answer, as far as its type has them.
type Head<'a> = (StatusCode, Option<Cow<'a, HeaderMap>>);

/// What an answer holds, besides what `serde` knows itself.
macro_rules! answers {
    ($(
        [$($generics:tt)*] $answer:ty => $value:ty,
        of: |$borrowed:ident| $of:expr,
        from: |$owned:pat_param| $from:expr,
        into: |$stored:pat_param| $into:expr,
        head: |$kept:ident| $head:expr;
    )*) => {$(
        impl<$($generics)*> ValueOf<$answer> for $value {
            fn of($borrowed: &$answer) -> Result<Option<Cow<'_, Self>>, Error> {
                Ok(Some($of))
            }

            fn from_answer($owned: $answer) -> Result<Self, $answer> {
                Ok($from)
            }

            fn into_answer(self) -> $answer {
                let $stored = self;
                $into
            }
        }

        impl<E, $($generics)*> ValueOf<Result<$answer, E>> for $value {
            fn of(answer: &Result<$answer, E>) -> Result<Option<Cow<'_, Self>>, Error> {
                answer.as_ref().map_or(Ok(None), |$borrowed| Ok(Some($of)))
            }

            fn from_answer(answer: Result<$answer, E>) -> Result<Self, Result<$answer, E>> {
                answer.map(|$owned| $from).map_err(Err)
            }

            fn has_failed(answer: &Result<$answer, E>) -> bool {
                answer.is_err()
            }

            fn into_answer(self) -> Result<$answer, E> {
                let $stored = self;
                Ok($into)
            }
        }

        impl<$($generics)*> Answer for $answer {
            type Value = $value;

            fn may_be_kept($kept: &$value, statuses: &'static [u16]) -> bool {
                let (status, _): Head<'_> = $head;
                may_be_kept(status, statuses)
            }

            fn may_be_shared($kept: &$value, fields: &'static [&'static str]) -> bool {
                let (status, headers): Head<'_> = $head;
                may_be_shared(status, &headers.unwrap_or_default(), fields)
            }

            fn has_failed($borrowed: &$answer) -> bool {
                let of: Cow<'_, $value> = $of;
                let $kept = &*of;
                let (status, _): Head<'_> = $head;
                status.is_server_error()
            }
        }
    )*};
}

answers! {
    [T: Value] Json<T> => T,
    of: |answer| Cow::Borrowed(&answer.0),
    from: |Json(value)| value,
    into: |value| Json(value),
    head: |_value| (StatusCode::OK, None);

    [T: Value] Html<T> => T,
    of: |answer| Cow::Borrowed(&answer.0),
    from: |Html(value)| value,
    into: |value| Html(value),
    head: |_value| (StatusCode::OK, None);

    [] Bytes => Shared,
    of: |answer| Cow::Owned(Shared(answer.clone())),
    from: |bytes| Shared(bytes),
    into: |Shared(bytes)| bytes,
    head: |_value| (StatusCode::OK, None);

    [] StatusCode => Status,
    of: |answer| Cow::Owned(Status(*answer)),
    from: |status| Status(status),
    into: |Status(status)| status,
    head: |value| (value.0, None);

    [] Redirect => (Status, String),
    of: |answer| Cow::Owned((Status(answer.status_code()), answer.location().to_owned())),
    from: |redirect| (Status(redirect.status_code()), redirect.location().to_owned()),
    into: |(Status(status), location)| match status {
        StatusCode::TEMPORARY_REDIRECT => Redirect::temporary(&location),
        StatusCode::PERMANENT_REDIRECT => Redirect::permanent(&location),
        _ => Redirect::to(&location),
    },
    head: |value| (value.0.0, None);

    [B: Content] (StatusCode, B) => (Status, B::Value),
    of: |answer| Cow::Owned((Status(answer.0), answer.1.value())),
    from: |(status, content)| (Status(status), content.into_value()),
    into: |(Status(status), content)| (status, B::from_value(content)),
    head: |value| (value.0.0, None);

    [B: Content] (HeaderMap, B) => (Headers, B::Value),
    of: |answer| Cow::Owned((Headers(answer.0.clone()), answer.1.value())),
    from: |(headers, content)| (Headers(headers), content.into_value()),
    into: |(Headers(headers), content)| (headers, B::from_value(content)),
    head: |value| (StatusCode::OK, Some(Cow::Borrowed(&value.0.0)));

    [K: FieldText, V: FieldText, const N: usize, B: Content] ([(K, V); N], B) => (Pairs<K, V, N>, B::Value),
    of: |answer| Cow::Owned((Pairs(answer.0.clone()), answer.1.value())),
    from: |(fields, content)| (Pairs(fields), content.into_value()),
    into: |(Pairs(fields), content)| (fields, B::from_value(content)),
    head: |value| (StatusCode::OK, Some(Cow::Owned(value.0.fields())));

    [B: Content] (StatusCode, HeaderMap, B) => (Status, Headers, B::Value),
    of: |answer| Cow::Owned((Status(answer.0), Headers(answer.1.clone()), answer.2.value())),
    from: |(status, headers, content)| (Status(status), Headers(headers), content.into_value()),
    into: |(Status(status), Headers(headers), content)| (status, headers, B::from_value(content)),
    head: |value| (value.0.0, Some(Cow::Borrowed(&value.1.0)));
}

/// What follows a status or header fields in an answer.
pub trait Content: Sized {
    /// What is cached of it.
    type Value: Value;
    /// A clone of the value.
    fn value(&self) -> Self::Value;
    /// The value.
    fn into_value(self) -> Self::Value;
    /// The content of a value.
    fn from_value(value: Self::Value) -> Self;
}

macro_rules! contents {
    ($([$($generics:tt)*] $content:ty => $value:ty, $into:expr, |$stored:pat_param| $from:expr;)*) => {$(
        impl<$($generics)*> Content for $content {
            type Value = $value;

            fn value(&self) -> $value {
                self.clone().into_value()
            }

            fn into_value(self) -> $value {
                $into(self)
            }

            fn from_value($stored: $value) -> Self {
                $from
            }
        }
    )*};
}

contents! {
    [] () => (), |()| (), |()| ();
    [] String => String, |text| text, |text| text;
    [] Vec<u8> => Shared, |bytes: Vec<u8>| Shared(bytes.into()), |Shared(bytes)| bytes.into();
    [] Bytes => Shared, Shared, |Shared(bytes)| bytes;
    [T: Value] Json<T> => T, |json: Json<T>| json.0, |value| Json(value);
    [T: Value] Html<T> => T, |html: Html<T>| html.0, |value| Html(value);
}

/// A status code, which `serde` does not know.
#[derive(Debug, Clone, Copy)]
pub struct Status(StatusCode);

/// Header fields.
#[derive(Debug, Clone)]
pub struct Headers(HeaderMap);

/// Header fields as pairs of texts.
#[derive(Debug, Clone)]
pub struct Pairs<K, V, const N: usize>([(K, V); N]);

/// The name or the value of a header field, as a text.
pub trait FieldText: Value + AsRef<str> + Serialize + DeserializeOwned {}

impl<T: Value + AsRef<str> + Serialize + DeserializeOwned> FieldText for T {}

impl<K: FieldText, V: FieldText, const N: usize> Pairs<K, V, N> {
    /// Those that are well-formed. With another one, axum makes an error of the response.
    fn fields(&self) -> HeaderMap {
        let field = |(name, value): &(K, V)| {
            Some((HeaderName::try_from(name.as_ref()).ok()?, HeaderValue::try_from(value.as_ref()).ok()?))
        };
        self.0.iter().filter_map(field).collect()
    }
}

/// Bytes that clones share.
#[derive(Debug, Clone)]
pub struct Shared(Bytes);

impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.as_u16().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Status {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        StatusCode::from_u16(u16::deserialize(deserializer)?).map(Self).map_err(D::Error::custom)
    }
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        wire::fields(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        wire::read_fields(Fields::deserialize(deserializer)?).map(Self)
    }
}

impl<K: FieldText, V: FieldText, const N: usize> Serialize for Pairs<K, V, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0[..].serialize(serializer)
    }
}

impl<'de, K: FieldText, V: FieldText, const N: usize> Deserialize<'de> for Pairs<K, V, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let pairs: Vec<(K, V)> = Deserialize::deserialize(deserializer)?;
        pairs.try_into().map(Self).map_err(|_| D::Error::custom("another number of header fields"))
    }
}

impl Serialize for Shared {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Octets(&self.0).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Shared {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Blob::deserialize(deserializer)?.0.into()))
    }
}
