//! The extractors of axum.

use ::axum::{
    Extension, Form, Json,
    extract::{ConnectInfo, MatchedPath, OriginalUri, Path, Query, RawForm, RawPathParams, RawQuery, State},
};

use super::request::add_query;
use crate::{
    attribute::part::extractor::{Extractor, LeftOut, Whole},
    key::KeyBuilder,
};

by_content!(Form Json Path Query);

impl Extractor for OriginalUri {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        self.0.add_to(key);
    }
}

impl Extractor for MatchedPath {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.part(self.as_str());
    }
}

impl Extractor for RawPathParams {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        key.sequence(|key| self.iter().for_each(|pair| key.part(&pair)));
    }
}

impl Extractor for RawQuery {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        add_query(self.0.as_deref(), key);
    }
}

impl Whole for RawQuery {}

impl Extractor for RawForm {
    type Content = ();

    fn add_to(&self, key: &mut KeyBuilder<'_>) {
        match str::from_utf8(&self.0) {
            Ok(query) => add_query(Some(query), key),
            Err(_) => key.bypass(),
        }
    }
}

impl Whole for RawForm {}

/// The state of a program is the same in all calls.
impl<S> LeftOut for State<S> {}
impl<S> Whole for State<S> {}

// These may hold the user, so they are neither left out nor in a key: the compiler asks for `skip` or `vary`.
impl<T> Whole for Extension<T> {}
impl<T> Whole for ConnectInfo<T> {}
