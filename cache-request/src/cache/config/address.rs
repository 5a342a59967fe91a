//! What an address says.

use super::given::Given;
use crate::{
    Error,
    options::{
        address::{choose, decode},
        scheme::Choice,
    },
};

/// `scheme://path?option=value&…`, decoded.
pub(super) struct Address {
    pub(super) choice: Choice,
    pub(super) path: String,
    pub(super) given: Given,
}

impl Address {
    /// Errors show only the scheme of the address and the names of options: the rest may hold a password.
    pub(super) fn parse(address: &str) -> Result<Self, Error> {
        let (choice, rest) = choose(address.trim())?;
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut given = Given::new(query.contains('@'));
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            given.add(&decode(choice, name)?, decode(choice, value)?)?;
        }
        Ok(Self { choice, path: decode(choice, path)?, given })
    }
}
