//! The extractors of axum-extra.

use ::axum_extra::{
    TypedHeader,
    extract::{Form, Query},
    headers::Header,
};
use ::http::HeaderValue;

use crate::{
    attribute::part::extractor::{Extractor, Whole},
    key::KeyBuilder,
};

by_content!(Form Query);

/// By the lines that the header would be written as.
impl<T: Header> Extractor for TypedHeader<T> {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        let mut lines: Vec<HeaderValue> = Vec::new();
        self.0.encode(&mut lines);
        key.sequence(|key| lines.iter().for_each(|line| key.part(&line.as_bytes())));
    }
}

impl<T> Whole for TypedHeader<T> {}
