//! Functions that have their entries in common, by `share`.

use std::{
    any::{TypeId, type_name},
    fmt::Write,
    sync::Arc,
};

use crate::engine::{
    description::{Description, PartType},
    function::AnyFunction,
    value::Value,
};

/// The first function of a shared name. The others of that name are the same function, if they are like it.
pub(super) struct Shared {
    pub(super) function: Arc<dyn AnyFunction>,
    kind: Kind,
}

/// The name of entries that functions of one crate share.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct SharedName {
    name: &'static str,
    krate: &'static str,
    prefix: Option<&'static str>,
}

/// What functions have to agree on.
pub(super) struct Kind {
    types: &'static [PartType],
    rest: Rest,
}

#[derive(PartialEq, Eq)]
struct Rest {
    value: (TypeId, &'static str),
    names: &'static [&'static str],
    template: Option<&'static [&'static str]>,
    version: Option<&'static str>,
    local: bool,
}

impl SharedName {
    /// The name of the entries of a function, if it shares them.
    pub(super) fn of(description: &Description) -> Option<Self> {
        let krate = description.module.split("::").next().unwrap_or_default();
        Some(Self { name: description.share?.name, krate, prefix: description.prefix })
    }
}

impl Shared {
    pub(super) fn new(function: Arc<dyn AnyFunction>, kind: Kind) -> Self {
        Self { function, kind }
    }

    /// In what the two differ. None if they are alike.
    pub(super) fn differs(&self, other: &Kind) -> Option<String> {
        (!self.kind.agrees_with(other)).then(|| {
            let mut message = format!("its entries are those of another function, which has {}", self.kind.in_words());
            let _ = write!(message, ", and this one has {}", other.in_words());
            message
        })
    }
}

impl Kind {
    /// What is known of a function with values of type `V`. None if it shares nothing.
    pub(super) fn of<V: Value>(description: &Description) -> Option<Self> {
        let rest = Rest {
            value: (TypeId::of::<V>(), type_name::<V>()),
            names: description.parts.names,
            template: description.parts.template,
            version: description.version,
            local: description.local,
        };
        Some(Self { types: description.share?.types, rest })
    }

    fn agrees_with(&self, other: &Self) -> bool {
        let types = self.types.len() == other.types.len()
            && self.types.iter().zip(other.types).all(|(own, other)| own.agrees_with(other));
        types && self.rest == other.rest
    }

    fn in_words(&self) -> String {
        let Self { types, rest: Rest { value, names, version, local, .. } } = self;
        let parts: Vec<_> = names.iter().zip(*types).map(|(name, ty)| format!("{name}: {ty}")).collect();
        let (local, version) = (if *local { ", `local`" } else { "" }, version.unwrap_or("none"));
        format!("the key ({}), values of type `{}`{local} and version {version}", parts.join(", "), value.1)
    }
}
