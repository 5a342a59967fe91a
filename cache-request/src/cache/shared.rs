//! Functions that have their entries in common, by `share`.

use std::{
    any::{TypeId, type_name},
    fmt::Write,
    sync::Arc,
};

use crate::engine::{
    description::{Description, Share},
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
#[derive(PartialEq, Eq)]
pub(super) struct Kind {
    value: (TypeId, &'static str),
    share: Share,
    names: &'static [&'static str],
    template: Option<&'static [&'static str]>,
    version: Option<&'static str>,
    local: bool,
}

impl Shared {
    pub(super) fn new(function: Arc<dyn AnyFunction>, kind: Kind) -> Self {
        Self { function, kind }
    }

    /// In what the two differ. None if they are alike.
    pub(super) fn differs(&self, other: &Kind) -> Option<String> {
        (self.kind != *other).then(|| {
            let mut message = format!("its entries are those of another function, which has {}", self.kind.in_words());
            let _ = write!(message, ", and this one has {}", other.in_words());
            message
        })
    }
}

impl Kind {
    /// What is known of a function with values of type `V`. None if it shares nothing.
    pub(super) fn of<V: Value>(description: &Description) -> Option<Self> {
        Some(Self {
            value: (TypeId::of::<V>(), type_name::<V>()),
            share: description.share?,
            names: description.parts.names,
            template: description.parts.template,
            version: description.version,
            local: description.local,
        })
    }

    /// What functions that share their entries have in common.
    pub(super) fn name(&self, description: &Description) -> SharedName {
        let krate = description.module.split("::").next().unwrap_or_default();
        SharedName { name: self.share.name, krate, prefix: description.prefix }
    }

    fn in_words(&self) -> String {
        let parts: Vec<_> = self.names.iter().zip(self.share.types).map(|(name, ty)| format!("{name}: {ty}")).collect();
        let (local, version) = (if self.local { ", `local`" } else { "" }, self.version.unwrap_or("none"));
        format!("the key ({}), values of type `{}`{local} and version {version}", parts.join(", "), self.value.1)
    }
}
