//! What is known of an annotated function at compile time, and where its calls go.

use std::{
    any::{Any, TypeId},
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::{
    cache::Cache,
    function::{AnyFunction, Function},
    global,
    policy::Value,
    scope,
};

/// One annotated function, as its attribute describes it: a `static` in the expansion.
pub struct Site {
    pub(crate) module: &'static str,
    pub(crate) function: &'static str,
    pub(crate) file: &'static str,
    pub(crate) line: u32,
    /// The names of the key's parts, in order.
    pub(crate) parts: &'static [&'static str],
    /// The literal text before each placeholder of an own key, and after the last one.
    pub(crate) template: Option<&'static [&'static str]>,
    pub(crate) name: Option<&'static str>,
    pub(crate) version: Option<&'static str>,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) cache: Option<&'static str>,
    pub(crate) coalesce: bool,
    /// Where the calls of its first instance go, once that is settled. A generic function has more instances; those, and
    /// calls under another cache, look theirs up.
    settled: OnceLock<Target>,
}

impl Site {
    /// A function of `module`, whose key has the named parts.
    #[must_use]
    pub const fn new(
        module: &'static str,
        function: &'static str,
        parts: &'static [&'static str],
        file: &'static str,
        line: u32,
    ) -> Self {
        Self {
            module,
            function,
            file,
            line,
            parts,
            template: None,
            name: None,
            version: None,
            prefix: None,
            cache: None,
            coalesce: true,
            settled: OnceLock::new(),
        }
    }

    /// `key = "…"`: the literal pieces around the placeholders, one more than there are parts.
    #[must_use]
    pub const fn template(mut self, pieces: &'static [&'static str]) -> Self {
        self.template = Some(pieces);
        self
    }

    /// `name = "…"`: stands for module and function.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.name = Some(name);
        self
    }

    /// `version = …`.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.version = Some(version);
        self
    }

    /// `prefix = "…"`.
    #[must_use]
    pub const fn prefix(mut self, prefix: &'static str) -> Self {
        self.prefix = Some(prefix);
        self
    }

    /// `cache = "…"`.
    #[must_use]
    pub const fn cache(mut self, cache: &'static str) -> Self {
        self.cache = Some(cache);
        self
    }

    /// `coalesce = false`.
    #[must_use]
    pub const fn uncoalesced(mut self) -> Self {
        self.coalesce = false;
        self
    }

    /// Where a call goes whose body has the type `Body`; `None` if the cache it names is not installed.
    ///
    /// The body's type stands for all that the function is nested in or generic over, so that each instance of it keeps
    /// values of its own.
    #[inline]
    pub(crate) fn target<V: Value, Body>(&'static self, local: bool) -> Option<Resolved> {
        let body = typeid::of::<Body>();
        match self.settled.get() {
            Some(target) if target.body == body && !scope::is_scoped() => Some(Resolved::Settled(target)),
            _ => self.look_up::<V, Body>(body, local),
        }
    }

    #[cold]
    fn look_up<V: Value, Body>(&'static self, body: TypeId, local: bool) -> Option<Resolved> {
        let overriding = scope::cache();
        let installed = overriding.is_none();
        let cache = match (overriding, self.cache) {
            (Some(cache), _) => cache,
            (None, None) => global::default_cache(self),
            (None, Some(name)) => global::named_cache(name)?,
        };
        let function = cache.function::<V, Body>(self, body, local);
        let target = Target { body, cache, function };
        if installed && self.settled.get().is_none() {
            // Another thread may settle it at the same moment; then this call just keeps its own copy.
            let target = self.settled.get_or_init(|| target);
            if target.body == body {
                return Some(Resolved::Settled(target));
            }
            return self.look_up::<V, Body>(body, local);
        }
        Some(Resolved::LookedUp(Box::new(target)))
    }
}

/// Where the calls of one instance of a function go.
pub(crate) struct Target {
    body: TypeId,
    pub(crate) cache: Cache,
    function: Arc<dyn AnyFunction>,
}

impl Target {
    /// The function; `None` never happens, as a body's type fixes the value's.
    #[inline]
    pub(crate) fn function<V: Value>(&self) -> Option<&Function<V>> {
        (&*self.function as &dyn Any).downcast_ref()
    }
}

/// A [`Target`], borrowed from its site where that is possible.
pub(crate) enum Resolved {
    Settled(&'static Target),
    LookedUp(Box<Target>),
}

impl Deref for Resolved {
    type Target = Target;

    #[inline]
    fn deref(&self) -> &Target {
        match self {
            Self::Settled(target) => target,
            Self::LookedUp(target) => target,
        }
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{} ({}:{})", self.module, self.function, self.file, self.line)
    }
}
