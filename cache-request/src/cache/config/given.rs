//! The options that an address or a configuration gives.

use std::collections::BTreeMap;

use crate::{
    Error,
    options::{CacheOption, feature, scheme::Choice, table::find},
};

/// Options by name, each to be taken once.
pub(super) struct Given {
    values: BTreeMap<String, String>,
    /// Whether errors show neither names nor values: an `@` behind the `?` of an address may be the end of a password that
    /// was not percent-encoded, and what looks like an option a part of it.
    is_hidden: bool,
}

impl Given {
    pub(super) fn new(is_hidden: bool) -> Self {
        Self { values: BTreeMap::new(), is_hidden }
    }

    /// Adds an option.
    ///
    /// # Errors
    ///
    /// If it is there already.
    pub(super) fn add(&mut self, name: &str, value: String) -> Result<(), Error> {
        match self.values.insert(name.to_owned(), value) {
            None => Ok(()),
            Some(_) if self.is_hidden => Err(Error::config("an option is given twice")),
            Some(_) => Err(Error::config(format!("option `{name}` is given twice"))),
        }
    }

    /// Checks the scheme and all options, before anything is opened.
    ///
    /// # Errors
    ///
    /// If the scheme does not have one of the options, a value is refused, or a feature is not compiled in.
    pub(super) fn check(&self, choice: Choice) -> Result<(), Error> {
        for name in self.values.keys() {
            find(choice, name, self.is_hidden)?;
        }
        let mut needed = Vec::new();
        for (name, value) in &self.values {
            let option = find(choice, name, self.is_hidden)?;
            if let Some(feature) = option.examine(value, self.is_hidden)? {
                needed.push((option.with((!self.is_hidden).then_some(value)), feature));
            }
        }
        // The scheme first, so that its error names all features at once.
        let features: Vec<_> = needed.iter().map(|(_, feature)| *feature).collect();
        choice.scheme.require(&features)?;
        needed.into_iter().try_for_each(|(option, feature)| feature::require(option, &[feature]))
    }

    /// Takes the value of an option, if it is given.
    pub(super) fn take<T>(&mut self, option: &CacheOption<T>) -> Result<Option<T>, Error> {
        self.values.remove(option.name).map(|value| option.read(&value, self.is_hidden)).transpose()
    }

    /// Calls `set` of a builder with the value of an option, if it is given.
    pub(super) fn set<B, T>(
        &mut self,
        builder: B,
        option: &CacheOption<T>,
        set: impl FnOnce(B, T) -> B,
    ) -> Result<B, Error> {
        Ok(match self.take(option)? {
            Some(value) => set(builder, value),
            None => builder,
        })
    }

    /// Takes a secret, given itself or in an environment variable. No error shows either.
    pub(super) fn secret(
        &mut self,
        option: &CacheOption<Vec<u8>>,
        variable: &CacheOption<String>,
    ) -> Result<Option<Vec<u8>>, Error> {
        match (self.take(option)?, self.take(variable)?) {
            (Some(_), Some(_)) => {
                Err(Error::config(format!("options `{}` and `{}` are both given", option.name, variable.name)))
            }
            (secret, None) => Ok(secret),
            (None, Some(named)) => match std::env::var_os(named) {
                Some(secret) if !secret.is_empty() => Ok(Some(secret.into_encoded_bytes())),
                found => {
                    let is = if found.is_some() { "empty" } else { "not set" };
                    Err(Error::config(format!("option `{}`: that environment variable is {is}", variable.name)))
                }
            },
        }
    }

    /// Whether all options have been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}
