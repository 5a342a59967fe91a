//! One option.

use super::{
    feature::{self, Feature},
    kind::Kind,
    scheme::Choice,
};
use crate::Error;

/// An option: its name, what its value may be, and where it may be given.
pub(crate) struct CacheOption<T: 'static> {
    pub(crate) name: &'static str,
    pub(super) of: Of,
    pub(super) kind: Kind<T>,
    #[cfg_attr(not(test), allow(dead_code, reason = "a test compares the documentation with it"))]
    pub(super) default: Fallback<T>,
    #[cfg_attr(not(test), allow(dead_code, reason = "a test compares the documentation with it"))]
    pub(super) help: &'static str,
    /// What to do instead, where a value is refused.
    hint: Option<&'static str>,
    needs: Option<Needs<T>>,
}

/// The feature that a value needs.
struct Needs<T> {
    feature: &'static Feature,
    when: fn(&T) -> bool,
}

/// The schemes that have an option.
#[derive(Clone, Copy)]
pub(crate) enum Of {
    All,
    /// All that have a backend.
    Backends,
    /// All that have a backend, behind `tiered+`.
    Near,
    Schemes(&'static [&'static str]),
}

/// What holds if an option is not given.
#[cfg_attr(not(test), allow(dead_code, reason = "a test compares the documentation with it"))]
pub(crate) enum Fallback<T> {
    /// This value.
    Is(T),
    /// This text.
    IsText(&'static str),
    /// What these words say.
    Says(&'static str),
}

impl Of {
    pub(crate) fn has(self, choice: Choice) -> bool {
        match self {
            Self::All => true,
            Self::Backends => choice.scheme.has_backend(),
            Self::Near => choice.is_tiered,
            Self::Schemes(names) => names.contains(&choice.scheme.name),
        }
    }

    /// The schemes, for an error.
    pub(super) fn describe(self) -> String {
        match self {
            Self::All => "all schemes".to_owned(),
            Self::Backends => "all schemes with a backend".to_owned(),
            Self::Near => "`tiered+…`".to_owned(),
            Self::Schemes(names) => names.iter().map(|name| format!("`{name}://`")).collect::<Vec<_>>().join(", "),
        }
    }
}

impl<T> CacheOption<T> {
    pub(super) const fn new(
        name: &'static str,
        of: Of,
        kind: Kind<T>,
        default: Fallback<T>,
        help: &'static str,
    ) -> Self {
        Self { name, of, kind, default, help, hint: None, needs: None }
    }

    pub(super) const fn hint(mut self, hint: &'static str) -> Self {
        self.hint = Some(hint);
        self
    }

    /// It needs a feature where `when` says so.
    pub(super) const fn needs(mut self, feature: &'static Feature, when: fn(&T) -> bool) -> Self {
        self.needs = Some(Needs { feature, when });
        self
    }

    /// Reads a value. `is_hidden` keeps it out of the error.
    pub(crate) fn read(&self, text: &str, is_hidden: bool) -> Result<T, Error> {
        let shown = (!is_hidden).then_some(text);
        let value =
            (self.kind.parse)(text).ok_or_else(|| self.wrong(shown, &format!("expected {}", self.kind.expected)))?;
        match (self.kind.fault)(&value) {
            Some(fault) => Err(self.wrong(shown, &self.explain(fault))),
            None => Ok(value),
        }
    }

    /// Checks a value that a builder was given: all that [`read`](Self::read) checks, and the features.
    pub(crate) fn check(&self, value: &T) -> Result<(), Error> {
        let shown = || (self.kind.show)(value);
        if let Some(fault) = (self.kind.fault)(value) {
            return Err(self.wrong(Some(&shown()), &self.explain(fault)));
        }
        match self.needed(value) {
            Some(feature) => feature::require(self.with(Some(&shown())), &[feature]),
            None => Ok(()),
        }
    }

    /// The feature without which the value cannot be used.
    fn needed(&self, value: &T) -> Option<&'static Feature> {
        self.needs.as_ref().filter(|needs| (needs.when)(value)).map(|needs| needs.feature)
    }

    fn explain(&self, fault: &str) -> String {
        self.hint.map_or_else(|| fault.to_owned(), |hint| format!("{fault}; {hint}"))
    }

    fn wrong(&self, shown: Option<&str>, why: &str) -> Error {
        Error::config(format!("{}: {why}", self.with(shown)))
    }

    /// The option with its value, if that may be shown.
    fn with(&self, shown: Option<&str>) -> String {
        match shown.filter(|_| !self.kind.is_secret) {
            Some(value) => format!("option `{}`: `{value}`", self.name),
            None => format!("option `{}`", self.name),
        }
    }
}

/// An option whose type of value is left out.
pub(crate) trait AnyOption: Sync {
    fn name(&self) -> &'static str;
    fn of(&self) -> Of;
    /// What its value may be, for an error.
    fn expected(&self) -> &'static str;
    /// Checks a value as [`CacheOption::read`] does, and returns the feature that it needs.
    fn examine(&self, text: &str, is_hidden: bool) -> Result<Option<&'static Feature>, Error>;
    /// The option with its value, if that may be shown.
    fn with(&self, shown: Option<&str>) -> String;
    #[cfg(test)]
    fn row(&self) -> [String; 4];
}

impl<T: Sync> AnyOption for CacheOption<T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn of(&self) -> Of {
        self.of
    }

    fn expected(&self) -> &'static str {
        self.kind.expected
    }

    fn examine(&self, text: &str, is_hidden: bool) -> Result<Option<&'static Feature>, Error> {
        self.read(text, is_hidden).map(|value| self.needed(&value))
    }

    fn with(&self, shown: Option<&str>) -> String {
        self.with(shown)
    }

    #[cfg(test)]
    fn row(&self) -> [String; 4] {
        let default = match &self.default {
            Fallback::Is(value) => format!("`{}`", (self.kind.show)(value)),
            Fallback::IsText(text) => format!("`{text}`"),
            Fallback::Says(words) => (*words).to_owned(),
        };
        let value = self.kind.expected.split(", such as").next().unwrap_or_default().trim_start_matches("a ");
        [format!("`{}`", self.name), value.to_owned(), default, self.help.to_owned()]
    }
}
