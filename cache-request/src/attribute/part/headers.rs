//! `vary(header("…"))` and `vary(cookie("…"))`: finds the argument that has the request's header fields, by its type.

use serde::{Serialize, Serializer};

use crate::key::KeyBuilder;

/// The header fields of a request.
pub trait HeaderFields {
    /// The lines of a field, in order. `name` is in lower case.
    fn lines(&self, name: &str) -> impl Iterator<Item = &[u8]>;
    /// The values of all cookies of a name, in order.
    fn cookies<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]>;
}

/// An argument that has the header fields.
pub trait HasHeaders {
    /// What holds them.
    type Fields: HeaderFields;
    /// The header fields.
    fn headers(&self) -> &Self::Fields;
    /// What of the argument is in the key besides the fields that `vary` names.
    type Rest<'a>: Rest
    where
        Self: 'a;
    /// The same.
    fn rest(&self) -> Self::Rest<'_>;
}

/// What of an argument is in the key.
pub trait Rest {
    /// The type of the part.
    type Part: ?Sized;
    /// The part.
    fn __cache_request_rest(&self) -> &Self::Part;
}

/// An argument as a whole.
#[derive(Debug)]
pub struct Whole<'a, T: ?Sized>(pub(crate) &'a T);

impl<T: ?Sized> Rest for Whole<'_, T> {
    type Part = T;

    fn __cache_request_rest(&self) -> &T {
        self.0
    }
}

/// One argument.
#[derive(Debug)]
pub struct HeadersIn<'a, T: ?Sized>(&'a T);

impl<'a, T: ?Sized> HeadersIn<'a, T> {
    /// The argument `value`.
    #[inline(always)]
    pub const fn of(value: &'a T) -> Self {
        Self(value)
    }
}

/// Header fields that were found.
#[derive(Debug)]
pub struct Found<'a, F>(&'a F);

/// None of the arguments has the header fields.
#[derive(Debug)]
pub struct NoHeaders;

/// The argument has the header fields.
pub trait ArgumentHasHeaders<'a> {
    /// What holds them.
    type Fields: HeaderFields;
    /// The header fields.
    fn __cache_request_headers(&self) -> Found<'a, Self::Fields>;
    /// What is in the key in place of the argument.
    type Besides: Rest;
    /// The same.
    fn __cache_request_besides(&self) -> Self::Besides;
}

impl<'a, T: HasHeaders> ArgumentHasHeaders<'a> for &HeadersIn<'a, T> {
    type Besides = T::Rest<'a>;
    type Fields = T::Fields;

    fn __cache_request_headers(&self) -> Found<'a, T::Fields> {
        Found(self.0.headers())
    }

    fn __cache_request_besides(&self) -> T::Rest<'a> {
        self.0.rest()
    }
}

/// Any other argument.
pub trait ArgumentWithoutHeaders<'a> {
    /// The argument's type.
    type Argument: ?Sized;
    /// None.
    fn __cache_request_headers(&self) -> NoHeaders;
    /// The argument.
    fn __cache_request_besides(&self) -> Whole<'a, Self::Argument>;
}

impl<'a, T: ?Sized> ArgumentWithoutHeaders<'a> for HeadersIn<'a, T> {
    type Argument = T;

    fn __cache_request_headers(&self) -> NoHeaders {
        NoHeaders
    }

    fn __cache_request_besides(&self) -> Whole<'a, T> {
        Whole(self.0)
    }
}

impl NoHeaders {
    /// What `other` found.
    pub fn or<T>(self, other: T) -> T {
        other
    }

    /// No argument before this one has the header fields, so this is what is left of it.
    pub fn rest_or<T, A: ?Sized>(self, rest: T, _argument: &A) -> T {
        rest
    }
}

impl<F> Found<'_, F> {
    /// What was found first.
    #[must_use]
    pub fn or<T>(self, _: T) -> Self {
        self
    }

    /// The fields are of an argument before this one, so the whole of this one counts.
    pub fn rest_or<T, A: ?Sized>(self, _rest: T, argument: &A) -> Whole<'_, A> {
        Whole(argument)
    }
}

/// The header fields of the arguments.
#[diagnostic::on_unimplemented(
    message = "`header(…)` and `cookie(…)` need an argument that has the request's header fields",
    label = "no argument is a `HeaderMap`, a `request::Parts` or a `Request`",
    note = "add the argument `headers: HeaderMap`",
    note = "this needs the feature `http` of cache-request, or `axum`"
)]
pub trait RequestHeaders {
    /// Adds the value of a field.
    fn add_header(self, name: &str, key: &mut KeyBuilder<'_>);
    /// Adds the value of a cookie.
    fn add_cookie(self, name: &str, key: &mut KeyBuilder<'_>);
}

impl<F: HeaderFields> RequestHeaders for Found<'_, F> {
    /// Several lines are one value (RFC 9110, section 5.3).
    fn add_header(self, name: &str, key: &mut KeyBuilder<'_>) {
        let lines: Vec<&[u8]> = self.0.lines(name).collect();
        let value = (!lines.is_empty()).then(|| lines.join(&b", "[..]));
        key.part(&value.as_deref().map(Octets));
    }

    /// All cookies of this name count, in order: which one a program takes is not known (RFC 6265, section 5.4).
    fn add_cookie(self, name: &str, key: &mut KeyBuilder<'_>) {
        let values: Vec<_> = self.0.cookies(name).map(Octets).collect();
        match &values[..] {
            [] => key.part(&None::<()>),
            [value] => key.part(value),
            values => key.part(values),
        }
    }
}

/// A field's value: text where it is UTF-8, so that keys can be read.
struct Octets<'a>(&'a [u8]);

impl Serialize for Octets<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match str::from_utf8(self.0) {
            Ok(text) => serializer.serialize_str(text),
            Err(_) => serializer.serialize_bytes(self.0),
        }
    }
}

/// Adds a header field to the key.
pub fn add_header(headers: impl RequestHeaders, name: &str, key: &mut KeyBuilder<'_>) {
    headers.add_header(name, key);
}

/// Adds a cookie to the key.
pub fn add_cookie(headers: impl RequestHeaders, name: &str, key: &mut KeyBuilder<'_>) {
    headers.add_cookie(name, key);
}
