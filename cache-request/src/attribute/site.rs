//! The `static` of an annotated function: its description, and where its calls go.

use std::{
    any::{Any, TypeId},
    fmt,
    ops::Deref,
    sync::{Arc, OnceLock},
};

use crate::{
    Error, ErrorKind,
    base::{context, panic::catch_panic},
    cache::{Cache, installed, scoped},
    engine::{
        background::Background,
        call,
        description::{Description, Instance, PartType, Share},
        function::{AnyFunction, Function},
        policy::Policy,
        value::{Value, ValueOf},
    },
    key::{Key, text::Parts},
    stats::Count,
};

/// One annotated function: a `static` in the expansion.
pub struct Site {
    pub(crate) description: Description,
    /// The target of its first instance, once that is settled. Further instances of a generic function, and calls under
    /// another cache, look theirs up each time.
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
        let description = Description {
            module,
            function,
            file,
            line,
            column: 0,
            parts: Parts { names: parts, template: None },
            name: None,
            share: None,
            version: None,
            prefix: None,
            cache: None,
            associated: false,
            local: false,
            coalesce: true,
            max_entries: usize::MAX,
        };
        Self { description, settled: OnceLock::new() }
    }

    /// The column, which distinguishes two functions of one line.
    #[must_use]
    pub const fn column(mut self, column: u32) -> Self {
        self.description.column = column;
        self
    }

    /// The function stands in an `impl` or a trait.
    #[must_use]
    pub const fn associated(mut self) -> Self {
        self.description.associated = true;
        self
    }

    /// `key = "…"`: the literal pieces around the placeholders, one more than there are parts.
    #[must_use]
    pub const fn template(mut self, pieces: &'static [&'static str]) -> Self {
        self.description.parts.template = Some(pieces);
        self
    }

    /// `name = "…"`: replaces module and function in the key.
    #[must_use]
    pub const fn name(mut self, name: &'static str) -> Self {
        self.description.name = Some(name);
        self
    }

    /// `share = "…"`: the function has its entries in common with others, whose keys have parts of the same names and `types`.
    #[must_use]
    pub const fn share(mut self, name: &'static str, types: &'static [PartType]) -> Self {
        self.description.share = Some(Share { name, types });
        self
    }

    /// `version = …`.
    #[must_use]
    pub const fn version(mut self, version: &'static str) -> Self {
        self.description.version = Some(version);
        self
    }

    /// `prefix = "…"`.
    #[must_use]
    pub const fn prefix(mut self, prefix: &'static str) -> Self {
        self.description.prefix = Some(prefix);
        self
    }

    /// `cache = "…"`.
    #[must_use]
    pub const fn cache(mut self, cache: &'static str) -> Self {
        self.description.cache = Some(cache);
        self
    }

    /// `local`: values stay in this process.
    #[must_use]
    pub const fn local(mut self) -> Self {
        self.description.local = true;
        self
    }

    /// `coalesce = false`.
    #[must_use]
    pub const fn uncoalesced(mut self) -> Self {
        self.description.coalesce = false;
        self
    }

    /// `max_entries = …`.
    ///
    /// # Panics
    ///
    /// If it is zero, which the compiler reports, as a site is a `static`.
    #[must_use]
    pub const fn max_entries(mut self, entries: usize) -> Self {
        assert!(entries > 0, "`max_entries` is zero: write `timeout = 0` for a function that keeps nothing");
        self.description.max_entries = entries;
        self
    }

    /// The target of `instance`. `None` if its named cache is not installed, or the thread is ending.
    pub(crate) fn target<V: Value>(&'static self, instance: Instance) -> Option<Resolved> {
        self.settled_target(instance).map(Resolved::Settled).or_else(|| self.look_up::<V>(instance))
    }

    /// The settled target, without a wrapper to take apart and drop.
    #[inline]
    pub(crate) fn settled_target(&'static self, instance: Instance) -> Option<&'static Target> {
        self.settled.get().filter(|target| target.instance == instance.id && context::is_on_fast_path())
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn look_up<V: Value>(&'static self, instance: Instance) -> Option<Resolved> {
        if !context::may_use_caches() {
            return None;
        }
        // A thread's first call finds what other threads have settled.
        if let Some(settled) = self.settled_target(instance) {
            return Some(Resolved::Settled(settled));
        }
        let overriding = scoped::cache();
        let installed = overriding.is_none();
        let cache = match (overriding, self.description.cache) {
            (Some(cache), _) => cache,
            (None, None) => installed::default_cache(&self.description),
            (None, Some(name)) => installed::named(name)?,
        };
        let function = cache.function::<V>(&self.description, instance);
        let target = Target { instance: instance.id, cache, function };
        if !installed {
            return Some(Resolved::LookedUp(Box::new(target)));
        }
        // The first instance settles its target. The others of a generic function look theirs up each time.
        match self.settled.set(target) {
            Ok(()) => self.settled.get().map(Resolved::Settled),
            Err(target) => Some(Resolved::LookedUp(Box::new(target))),
        }
    }
}

/// The cache that the calls of one instance use, and their function in it.
pub(crate) struct Target {
    instance: TypeId,
    pub(crate) cache: Cache,
    function: Arc<dyn AnyFunction>,
}

impl Target {
    /// The function. Never `None`, as all values of an instance have one type.
    #[inline]
    pub(crate) fn function<V: Value>(&self) -> Option<&Function<V>> {
        (&*self.function as &dyn Any).downcast_ref()
    }

    /// The answer, if memory holds it.
    #[inline]
    pub(crate) fn hit<R, V: ValueOf<R>>(&self, key: &Key) -> Option<R> {
        call::hit(self.cache.engine(), self.function::<V>()?, key)
    }
}

impl Target {
    /// The answer, if memory holds it, and whether it is for the caller to replace the value.
    #[inline]
    pub(crate) fn hit_or_replace<R, V: ValueOf<R>>(&self, key: &Key) -> Option<(R, bool)> {
        call::hit_or_replace(self.cache.engine(), self.function::<V>()?, key)
    }
}

impl<R, V: ValueOf<R>> Policy<R, V> {
    /// The answer, if memory holds it, and whether it is for the caller to replace the value.
    pub fn hit_or_replace(self, site: &'static Site, instance: Instance, key: &Key) -> Option<(R, bool)> {
        site.target::<V>(instance)?.hit_or_replace::<R, V>(key)
    }

    /// What begins a body in the background. The closure clones the arguments for it, which is the user's code.
    pub fn own<B: FnOnce() -> bool>(
        self,
        site: &'static Site,
        instance: Instance,
        own: impl FnOnce() -> B,
    ) -> Option<B> {
        let begin = catch_panic(own);
        if begin.is_none() {
            Self::argument_panicked(site, instance);
        }
        begin
    }

    /// Begins a body in the background. The closure may clone arguments and drop them. Returns whether the body has begun.
    pub fn begin(self, site: &'static Site, instance: Instance, begin: impl FnOnce() -> bool) -> bool {
        catch_panic(begin).unwrap_or_else(|| {
            Self::argument_panicked(site, instance);
            false
        })
    }

    #[cold]
    fn argument_panicked(site: &'static Site, instance: Instance) {
        if let Some(target) = site.target::<V>(instance)
            && let Some(function) = target.function::<V>()
        {
            let error = Error::new(ErrorKind::Panic, "an argument's `Clone` or destructor");
            function.fault("a body does not begin in the background", &error);
        }
    }

    /// Replaces a value in the background. Returns whether there is room for that.
    #[cold]
    pub fn in_background(
        self,
        site: &'static Site,
        instance: Instance,
        replacement: impl Future<Output = ()> + Send + 'static,
    ) -> bool {
        Self::refresh(site, instance, |background| background.spawn(replacement))
    }

    /// The same, for a plain function.
    #[cold]
    pub fn in_background_plain(
        self,
        site: &'static Site,
        instance: Instance,
        replacement: impl FnOnce() + Send + 'static,
    ) -> bool {
        Self::refresh(site, instance, |background| background.spawn_plain(replacement))
    }

    fn refresh(site: &'static Site, instance: Instance, begin: impl FnOnce(&Background) -> bool) -> bool {
        let Some(target) = site.target::<V>(instance) else { return false };
        let has_begun = begin(&target.cache.engine().background);
        if !has_begun && let Some(function) = target.function::<V>() {
            function.counters.increment(Count::RefreshesRefused);
        }
        has_begun
    }

    /// The answer, if memory holds it.
    #[inline]
    pub fn hit(self, site: &'static Site, instance: Instance, key: &Key) -> Option<R> {
        match site.settled_target(instance) {
            Some(target) => target.hit::<R, V>(key),
            None => Self::hit_elsewhere(site, instance, key),
        }
    }

    #[cold]
    #[inline(never)]
    fn hit_elsewhere(site: &'static Site, instance: Instance, key: &Key) -> Option<R> {
        site.look_up::<V>(instance)?.hit::<R, V>(key)
    }
}

/// The look-up of a function whose answers have a type that a `static` can name. It stands beside the [`Site`], and knows the function's
/// table by its type: a hit neither asks for the type of its values nor compares instances.
pub struct Direct<R> {
    settled: OnceLock<Box<dyn Hit<R>>>,
    find: fn(&Self, &'static Site, &Key) -> Option<R>,
    instance: fn() -> Instance,
}

impl<R> Direct<R> {
    /// The look-up of `function`. The first closure only tells the type of its values, and is never called.
    pub const fn new<V, F>(_: impl Fn() -> Policy<R, V> + Copy, _: &F) -> Self
    where
        V: ValueOf<R>,
    {
        Self { settled: OnceLock::new(), find: Self::find::<V>, instance: Instance::of_type::<F> }
    }

    /// The answer, if memory holds it.
    #[inline]
    pub fn hit(&self, site: &'static Site, key: &Key) -> Option<R> {
        match self.settled.get() {
            Some(settled) if context::is_on_fast_path() => settled.hit(key),
            _ => (self.find)(self, site, key),
        }
    }

    /// The same, where it is not settled, or not in force.
    #[cold]
    fn find<V: ValueOf<R>>(&self, site: &'static Site, key: &Key) -> Option<R> {
        let target = site.target::<V>((self.instance)())?;
        if let Resolved::Settled(target) = &target {
            let function = Arc::clone(&target.function) as Arc<dyn Any + Send + Sync>;
            if let Ok(function) = function.downcast() {
                self.settled.get_or_init(|| Box::new(Typed::<V> { cache: target.cache.clone(), function }));
            }
        }
        target.hit::<R, V>(key)
    }
}

/// A settled target, without the type of the values.
trait Hit<R>: Send + Sync {
    fn hit(&self, key: &Key) -> Option<R>;
}

/// A [`Target`] with the type of its values.
struct Typed<V> {
    cache: Cache,
    function: Arc<Function<V>>,
}

impl<R, V: ValueOf<R>> Hit<R> for Typed<V> {
    fn hit(&self, key: &Key) -> Option<R> {
        call::hit(self.cache.engine(), &self.function, key)
    }
}

/// A [`Target`], borrowed from its site where possible.
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

impl<R> fmt::Debug for Direct<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").finish_non_exhaustive()
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.description.fmt(f)
    }
}
