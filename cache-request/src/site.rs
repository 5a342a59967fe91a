//! What is known of an annotated function at compile time, and where its calls go.

use std::{
    any::{Any, TypeId, type_name},
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
    pub(crate) column: u32,
    /// The names of the key's parts, in order.
    pub(crate) parts: &'static [&'static str],
    /// The literal text before each placeholder of an own key, and after the last one.
    pub(crate) template: Option<&'static [&'static str]>,
    pub(crate) name: Option<&'static str>,
    pub(crate) version: Option<&'static str>,
    pub(crate) prefix: Option<&'static str>,
    pub(crate) cache: Option<&'static str>,
    /// It is known to stand in an `impl` or a trait. If it is not known, it may stand there all the same.
    pub(crate) associated: bool,
    pub(crate) local: bool,
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
            column: 0,
            parts,
            template: None,
            name: None,
            version: None,
            prefix: None,
            cache: None,
            associated: false,
            local: false,
            coalesce: true,
            settled: OnceLock::new(),
        }
    }

    /// The rest of its place: what tells two functions of one line apart.
    #[must_use]
    pub const fn column(mut self, column: u32) -> Self {
        self.column = column;
        self
    }

    /// The function stands in an `impl` or a trait.
    #[must_use]
    pub const fn associated(mut self) -> Self {
        self.associated = true;
        self
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

    /// `local`: no backend outside the process keeps the values.
    #[must_use]
    pub const fn local(mut self) -> Self {
        self.local = true;
        self
    }

    /// `coalesce = false`.
    #[must_use]
    pub const fn uncoalesced(mut self) -> Self {
        self.coalesce = false;
        self
    }

    /// Where the calls of `instance` go; `None` if the cache that is named is not installed, or the thread is ending.
    pub(crate) fn target<V: Value>(&'static self, instance: Instance) -> Option<Resolved> {
        self.settled_target(instance).map(Resolved::Settled).or_else(|| self.look_up::<V>(instance))
    }

    /// The same, if it is settled: no wrapper to take apart and to drop.
    #[inline]
    pub(crate) fn settled_target(&'static self, instance: Instance) -> Option<&'static Target> {
        self.settled.get().filter(|target| target.instance == instance.id && scope::is_straight())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn look_up<V: Value>(&'static self, instance: Instance) -> Option<Resolved> {
        if !scope::may_use_caches() {
            return None;
        }
        // The thread's first call finds what others have settled.
        if let Some(settled) = self.settled_target(instance) {
            return Some(Resolved::Settled(settled));
        }
        let overriding = scope::cache();
        let installed = overriding.is_none();
        let cache = match (overriding, self.cache) {
            (Some(cache), _) => cache,
            (None, None) => global::default_cache(self),
            (None, Some(name)) => global::named(name)?,
        };
        let function = cache.function::<V>(self, instance);
        let target = Target { instance: instance.id, cache, function };
        if !installed {
            return Some(Resolved::LookedUp(Box::new(target)));
        }
        // The first instance settles; the others of a generic function look theirs up each time.
        match self.settled.set(target) {
            Ok(()) => self.settled.get().map(Resolved::Settled),
            Err(target) => Some(Resolved::LookedUp(Box::new(target))),
        }
    }
}

/// One instance of an annotated function: itself, or what a generic one is for certain types.
///
/// It is known by the type of its companion, or of its body, which is another one for each `Self` and all type arguments.
#[derive(Debug, Clone, Copy)]
pub struct Instance {
    pub(crate) id: TypeId,
    /// What the compiler calls it.
    pub(crate) name: &'static str,
}

impl Instance {
    /// The instance that the type of `function` stands for.
    #[inline]
    pub fn of<F>(_: &F) -> Self {
        Self { id: typeid::of::<F>(), name: type_name::<F>() }
    }
}

/// Where the calls of one instance of a function go.
pub(crate) struct Target {
    instance: TypeId,
    pub(crate) cache: Cache,
    function: Arc<dyn AnyFunction>,
}

impl Target {
    /// The function; `None` never happens, as an instance has values of one type.
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
