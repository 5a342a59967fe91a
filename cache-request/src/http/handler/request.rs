//! The types of `http` as arguments.

use ::http::{HeaderMap, HeaderValue, Method, Request, Uri, request::Parts, uri::Authority};

use urlencoding::decode_binary;

use super::super::rules::fields::cookies;
use crate::{
    attribute::part::{
        extractor::{Extractor, LeftOut},
        headers::{HasHeaders, HeaderFields, Rest, Whole},
    },
    key::KeyBuilder,
};

impl Extractor for Method {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.part(self.as_str());
    }
}

impl Extractor for Uri {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.sequence(|key| {
            key.part(&self.scheme_str());
            key.part(&self.authority().map(Authority::as_str));
            key.part(self.path());
            add_query(self.query(), key);
        });
    }
}

/// Adds a query, sorted by names, so that the order of the parameters does not split the cache. Repeated names keep their order.
pub(super) fn add_query(query: Option<&str>, key: &mut KeyBuilder<'_>) {
    let sorted = query.map(|query| {
        let mut pairs: Vec<&str> = query.split('&').collect();
        // `%78` is `x`.
        pairs.sort_by_key(|pair| decode_binary(pair.split('=').next().unwrap_or_default().as_bytes()));
        pairs
    });
    key.part(&sorted);
}

impl HeaderFields for HeaderMap {
    fn lines(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.get_all(name).iter().map(HeaderValue::as_bytes)
    }

    fn cookies<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        // Frameworks decode names: `sess%69on` is `session`.
        let is_named = move |found: &[u8]| found == name.as_bytes() || *decode_binary(found) == *name.as_bytes();
        cookies(self).filter(move |(found, _)| is_named(found)).map(|(_, value)| value)
    }
}

impl HasHeaders for HeaderMap {
    type Fields = Self;
    type Rest<'a> = FieldsOnly;

    fn headers(&self) -> &Self {
        self
    }

    fn rest(&self) -> FieldsOnly {
        FieldsOnly
    }
}

impl HasHeaders for Parts {
    type Fields = HeaderMap;
    type Rest<'a> = Target<'a>;

    fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    fn rest(&self) -> Target<'_> {
        Target(self)
    }
}

impl<B> HasHeaders for Request<B> {
    type Fields = HeaderMap;
    type Rest<'a>
        = Whole<'a, Self>
    where
        B: 'a;

    fn headers(&self) -> &HeaderMap {
        self.headers()
    }

    /// It has a body, so the attribute has to say that it is left out.
    fn rest(&self) -> Whole<'_, Self> {
        Whole(self)
    }
}

/// In place of header fields of which only some are in the key.
#[derive(Debug)]
pub struct FieldsOnly;

impl LeftOut for FieldsOnly {}

impl Rest for FieldsOnly {
    type Part = Self;

    fn __cache_request_rest(&self) -> &Self {
        self
    }
}

/// Method and URI of a request.
#[derive(Debug)]
pub struct Target<'a>(&'a Parts);

impl Extractor for Target<'_> {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.sequence(|key| {
            self.0.method.add_to(key);
            self.0.uri.add_to(key);
        });
    }
}

impl Rest for Target<'_> {
    type Part = Self;

    fn __cache_request_rest(&self) -> &Self {
        self
    }
}
