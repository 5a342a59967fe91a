//! The cache: where a program's annotated functions keep their values.

mod builder;
pub(crate) mod config;
pub(crate) mod installed;
pub(crate) mod scoped;
mod shared;

#[cfg(any(feature = "report", all(test, not(shuttle))))]
use std::time::Duration;
use std::{
    any::TypeId,
    fmt,
    sync::{Arc, RwLock},
};

use dashmap::{DashMap, Entry};

#[cfg(feature = "report")]
use crate::report::{FunctionReport, Report};

pub use self::builder::CacheBuilder;
use self::shared::{Kind, Shared, SharedName};
use crate::{
    Error, ErrorKind,
    base::{block_on::block_on, sync::unpoisoned},
    engine::{
        Engine, Place,
        description::{Description, Instance},
        function::{AnyFunction, Function, Name, Placement},
        tagging::{id_of_client, id_of_function},
        value::Value,
    },
    stats::Stats,
};

/// Where annotated functions keep their values. Clones share everything.
///
/// A program [`install`](crate::install)s one when it starts, or installs none and gets `memory://`.
#[derive(Clone)]
pub struct Cache(Arc<Inner>);

struct Inner {
    engine: Engine,
    prefix: Option<String>,
    functions: DashMap<TypeId, Arc<dyn AnyFunction>>,
    /// The start of each instance's keys on the backend.
    names: DashMap<String, TypeId>,
    /// The functions that have their entries in common with others.
    shared: DashMap<SharedName, Shared>,
    /// All functions, in the order of their first calls.
    listed: RwLock<Vec<Arc<dyn AnyFunction>>>,
}

impl Cache {
    fn new(engine: Engine, prefix: Option<String>) -> Self {
        Self(Arc::new(Inner {
            engine,
            prefix,
            functions: DashMap::default(),
            names: DashMap::default(),
            shared: DashMap::default(),
            listed: RwLock::default(),
        }))
    }

    /// The counters of this cache and of its functions, since the cache was made.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let engine = &self.0.engine;
        let listed = unpoisoned(self.0.listed.read());
        let functions = listed.iter().map(|function| function.stats()).collect();
        Stats::new(functions, engine.store.entries(), engine.store.bytes(), engine.backend_stats())
    }

    /// What the cache has saved, and for each function whether it is worth it. A cache that is made without
    /// [`measure`](CacheBuilder::measure) has only counters to tell.
    #[cfg(feature = "report")]
    #[must_use]
    pub fn report(&self) -> Report {
        let now = self.0.engine.clock.after(Duration::ZERO);
        let listed = unpoisoned(self.0.listed.read());
        Report::new(
            listed.iter().map(|function| FunctionReport::new(function.stats(), function.figures(now))).collect(),
        )
    }

    /// Removes all values, and keeps bodies that run at this moment from storing theirs.
    ///
    /// On a backend it removes all values of its namespace, those of other programs and prefixes included. For `file://`, that is
    /// the whole directory.
    ///
    /// # Errors
    ///
    /// If the backend fails. Values in memory are removed all the same.
    pub async fn clear(&self) -> Result<(), Error> {
        self.0.engine.clear().await
    }

    /// [`clear`](Self::clear) for code that is not async. It blocks the thread.
    ///
    /// # Errors
    ///
    /// If the backend fails. Values in memory are removed all the same.
    pub fn clear_sync(&self) -> Result<(), Error> {
        block_on(self.clear())
    }

    /// Invalidates all values that have this tag, of all functions: by the attribute's `tags(…)`, by [`tag`](crate::tag) in their bodies, or
    /// because they were made of values that have it. An answer that is being computed is returned to its callers, and is not kept.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`](crate::ErrorKind::Key) if it is no tag: one has 1 to 256 bytes, without spaces and control characters. Also if the
    /// backend could not be told. It may go on returning older values then.
    pub async fn invalidate_tag(&self, tag: &str) -> Result<(), Error> {
        self.0.engine.invalidate_tag(tag).await
    }

    /// [`invalidate_tag`](Self::invalidate_tag) for code that is not async. It blocks the thread.
    ///
    /// # Errors
    ///
    /// As of [`invalidate_tag`](Self::invalidate_tag).
    pub fn invalidate_tag_sync(&self, tag: &str) -> Result<(), Error> {
        block_on(self.invalidate_tag(tag))
    }

    /// Declares all values stale that have this tag: they are returned while new ones are made, where the function's `stale` allows that, and
    /// are gone otherwise. A backend without fences removes them.
    ///
    /// # Errors
    ///
    /// As of [`invalidate_tag`](Self::invalidate_tag).
    pub async fn invalidate_tag_soft(&self, tag: &str) -> Result<(), Error> {
        self.0.engine.invalidate_tag_soft(tag).await
    }

    /// [`invalidate_tag_soft`](Self::invalidate_tag_soft) for code that is not async. It blocks the thread.
    ///
    /// # Errors
    ///
    /// As of [`invalidate_tag`](Self::invalidate_tag).
    pub fn invalidate_tag_soft_sync(&self, tag: &str) -> Result<(), Error> {
        block_on(self.invalidate_tag_soft(tag))
    }

    /// Invalidates all values of a function, of all its arguments and clients: by its path as in [`stats`](Self::stats), such as
    /// `articles.find`, or its `name`. An answer that is being computed is returned to its callers, and is not kept. With
    /// [`function_tags`](CacheBuilder::function_tags), what was made of these values is invalidated as well.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if the cache has a backend, and not
    /// [`function_tags`](CacheBuilder::function_tags): what memory has is invalidated all the same. Also if the backend could not be told.
    pub async fn invalidate_function(&self, path: &str) -> Result<(), Error> {
        let engine = &self.0.engine;
        let listed = unpoisoned(self.0.listed.read()).clone();
        listed
            .iter()
            .filter(|function| function.path() == path)
            .for_each(|function| _ = function.clear_in_memory(engine));
        if engine.function_tags {
            return engine.invalidate_all_of(id_of_function(path)).await;
        }
        match engine.backend() {
            Some(_) => Err(without_function_tags()),
            None => Ok(()),
        }
    }

    /// [`invalidate_function`](Self::invalidate_function) for code that is not async. It blocks the thread.
    ///
    /// # Errors
    ///
    /// As of [`invalidate_function`](Self::invalidate_function).
    pub fn invalidate_function_sync(&self, path: &str) -> Result<(), Error> {
        block_on(self.invalidate_function(path))
    }

    /// Invalidates all values of a client ([`client_scope`](crate::client_scope)), of all functions.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) without [`function_tags`](CacheBuilder::function_tags). Also if the backend
    /// could not be told.
    pub async fn invalidate_client(&self, client: &str) -> Result<(), Error> {
        let engine = &self.0.engine;
        if !engine.function_tags {
            return Err(without_function_tags());
        }
        engine.invalidate_all_of(id_of_client(client.as_bytes())).await
    }

    /// [`invalidate_client`](Self::invalidate_client) for code that is not async. It blocks the thread.
    ///
    /// # Errors
    ///
    /// As of [`invalidate_client`](Self::invalidate_client).
    pub fn invalidate_client_sync(&self, client: &str) -> Result<(), Error> {
        block_on(self.invalidate_client(client))
    }

    /// Lets no more bodies begin in the background, and waits until those that run there have ended, so that a program can end in order.
    /// Calls go on; values that are due to be replaced stay as they are.
    pub async fn shutdown(&self) {
        self.0.engine.background.shut_down().await;
    }

    /// [`shutdown`](Self::shutdown) for code that is not async. It blocks the thread. A body that runs in a tokio runtime of a single thread
    /// only goes on while that is driven: await `shutdown` there.
    pub fn shutdown_sync(&self) {
        block_on(self.shutdown());
    }

    /// Whether this cache keeps nothing.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        matches!(self.0.engine.place, Place::Null)
    }

    #[inline]
    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    /// The same with other pauses of callers that wait for other processes.
    #[cfg(all(test, not(shuttle)))]
    pub(crate) fn with_pauses(mut self, pauses: [Duration; 2]) -> Self {
        Arc::get_mut(&mut self.0).expect("it is new").engine.leases.pauses = pauses;
        self
    }

    /// An instance of the described function.
    pub(crate) fn function<V: Value>(&self, description: &Description, instance: Instance) -> Arc<dyn AnyFunction> {
        if let Some(known) = self.0.functions.get(&instance.id) {
            return Arc::clone(&known);
        }
        let name = Name::of(description, instance, self.0.prefix.as_deref());
        match SharedName::of(description).zip(Kind::of::<V>(description)) {
            Some(shared) => self.shared::<V>(description, instance, name, shared),
            None => self.add::<V>(description, instance, name),
        }
    }

    /// A function that has its entries in common with others.
    fn shared<V: Value>(
        &self,
        description: &Description,
        instance: Instance,
        name: Name,
        (shared, kind): (SharedName, Kind),
    ) -> Arc<dyn AnyFunction> {
        let refused = |name: Name, cause: &str| {
            let function = Function::<V>::new(&self.0.engine, description, name, Placement::Nowhere);
            function.fault("this function runs uncached", &Error::config(cause));
            self.list(instance, Arc::new(function))
        };
        if name.is_generic() {
            return refused(name, "a generic function has entries of its own for each of its types: remove `share`");
        }
        let difference = match self.0.shared.entry(shared) {
            Entry::Occupied(first) => match first.get().differs(&kind) {
                None => return self.insert(instance, &first.get().function),
                Some(difference) => difference,
            },
            Entry::Vacant(vacant) => {
                let function = self.add::<V>(description, instance, name);
                vacant.insert(Shared::new(Arc::clone(&function), kind));
                return function;
            }
        };
        refused(name, &difference)
    }

    fn insert(&self, instance: Instance, function: &Arc<dyn AnyFunction>) -> Arc<dyn AnyFunction> {
        Arc::clone(self.0.functions.entry(instance.id).or_insert_with(|| Arc::clone(function)).value())
    }

    fn add<V: Value>(&self, description: &Description, instance: Instance, name: Name) -> Arc<dyn AnyFunction> {
        let placement = match &self.0.engine.place {
            Place::Null => Placement::Nowhere,
            Place::Memory => Placement::InMemory,
            Place::Backend(..) if description.local => Placement::InMemory,
            Place::Backend(..) if name.is_of_closure() => {
                tracing::warn!(
                    function = name.path(),
                    site = ?description,
                    "a closure is among the types of this function, so its values stay in this process's memory: take an `fn` or a \
                     `&dyn Fn` if all calls may share them"
                );
                Placement::InMemory
            }
            Place::Backend(..) => self.claim(&name, instance.id, description),
        };
        self.list(instance, Arc::new(Function::<V>::new(&self.0.engine, description, name, placement)))
    }

    /// Notes a function, unless another thread was faster.
    fn list(&self, instance: Instance, function: Arc<dyn AnyFunction>) -> Arc<dyn AnyFunction> {
        match self.0.functions.entry(instance.id) {
            Entry::Occupied(known) => Arc::clone(known.get()),
            Entry::Vacant(vacant) => {
                unpoisoned(self.0.listed.write()).push(Arc::clone(&function));
                vacant.insert(Arc::clone(&function));
                function
            }
        }
    }

    /// Claims the function's name on the backend. A second function of that name is not cached: it would read the first one's values.
    fn claim(&self, name: &Name, instance: TypeId, description: &Description) -> Placement {
        let holder = *self.0.names.entry(name.head().of_no_client()).or_insert(instance);
        if holder == instance {
            return Placement::InBackend;
        }
        tracing::error!(
            function = name.path(),
            site = ?description,
            "another function has this name already, so this one runs uncached: give it one of its own with `name = \"…\"`"
        );
        Placement::Nowhere
    }
}

/// Why a function or a client cannot be invalidated as a whole.
pub(crate) fn without_function_tags() -> Error {
    let message = "the values of a function in a backend, and those of a client, are invalidated as a whole only with the option \
                   `function_tags=true`; without it, clear the cache, or change the attribute's `version`";
    Error::new(ErrorKind::Unsupported, message)
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backend = match &self.0.engine.place {
            Place::Memory => "memory",
            Place::Null => "null",
            Place::Backend(backend, _) => backend.name(),
        };
        f.debug_struct("Cache")
            .field("backend", &backend)
            .field("entries", &self.0.engine.store.entries())
            .field("bytes", &self.0.engine.store.bytes())
            .finish_non_exhaustive()
    }
}
