//! One annotated function in one cache: its table, its name, its counters.

mod looks;
mod nested;

use std::{
    any::{Any, TypeId, type_name},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use self::looks::Looks;
use super::{
    Engine,
    description::{Description, Instance, Share},
    tagging::id_of_function,
    wrong::Wrong,
};
use crate::{
    Error, ErrorKind,
    base::{
        clock::{Clock, Stopwatch, nanos},
        panic::catch_panic,
    },
    codec::TypeInfo,
    key::{
        Key, PooledText,
        text::{self, Head, Naming, Parts, Path},
    },
    stats::{Count, Counters, FunctionStats, measures::Measures},
    store::{Table, tags::TagId},
};
#[cfg(feature = "report")]
use crate::{base::clock::Nanos, stats::measures::Figures};

/// One annotated function in one cache. Each instance of a generic function, and each `Self` of a method, is a function
/// of its own.
pub(crate) struct Function<V> {
    pub(crate) table: Arc<Table<V>>,
    pub(crate) name: Name,
    pub(crate) placement: Placement,
    /// All its values may have it.
    pub(crate) tag: TagId,
    pub(crate) counters: Counters,
    /// What its calls take, if that is measured.
    pub(crate) measures: Option<Box<Measures>>,
    /// Concurrent callers of one key share one body.
    pub(crate) coalesce: bool,
    /// How looks in a backend have ended lately.
    pub(super) looks: Looks,
    /// Its bodies have had tags that were not known before they ran.
    pub(super) names_tags: AtomicBool,
    parts: Parts,
    type_info: OnceLock<TypeInfo>,
    /// It was logged that another program has stored values of this function.
    told_of_foreign: AtomicBool,
    /// The arguments of its attribute that are known to be out of their range.
    wrong: Wrong,
}

/// Where a function's values are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Placement {
    /// In this process's memory.
    InMemory,
    /// As bytes, in the cache's backend.
    InBackend,
    /// Nowhere: the cache is disabled, or another function has the same name on its backend.
    Nowhere,
}

impl<V: Send + Sync + 'static> Function<V> {
    pub(crate) fn new(engine: &Engine, description: &Description, name: Name, placement: Placement) -> Self {
        Self {
            table: engine.store.bounded_table(description.max_entries),
            tag: id_of_function(name.path()),
            name,
            placement,
            counters: Counters::default(),
            measures: Measures::new(
                engine.measure && placement != Placement::Nowhere,
                engine.clock.after(Duration::ZERO),
            ),
            coalesce: description.coalesce,
            looks: Looks::default(),
            names_tags: AtomicBool::new(false),
            parts: description.parts,
            type_info: OnceLock::new(),
            told_of_foreign: AtomicBool::new(false),
            wrong: Wrong::none(),
        }
    }
}

impl<V> Function<V> {
    /// What takes the time of a body that begins now. Of a value that is sent elsewhere, it is told.
    #[inline]
    pub(super) fn time_body(&self, clock: &Clock, is_told: bool) -> Stopwatch {
        let is_measured = || self.measures.as_ref().is_some_and(|measures| measures.measure_next_body());
        if is_told || is_measured() { Stopwatch::precise(clock) } else { Stopwatch::coarse() }
    }

    /// Counts a body that has ended, and made so many values. Returns the time that it took.
    #[inline]
    pub(super) fn body_ended(&self, began: &Stopwatch, clock: &Clock, values: usize) -> Duration {
        let took = began.elapsed(clock);
        self.counters.increment(Count::Bodies);
        self.counters.add(Count::BodyNanos, nanos(took));
        if let Some(measures) = self.measures.as_ref().filter(|_| began.is_precise()) {
            measures.body(took / u32::try_from(values.max(1)).unwrap_or(u32::MAX));
        }
        took
    }

    /// Counts a fault by its kind and logs it the first, second, fourth, eighth … time of each kind, so that a backend
    /// that is down does not flood the log.
    #[cold]
    pub(crate) fn fault(&self, what: &str, cause: &Error) {
        let kind = cause.kind();
        let count = self.counters.fault(kind);
        if count.is_power_of_two() {
            tracing::warn!(
                function = self.name.path(),
                cause = %format_args!("{cause:#}"),
                ?kind,
                count,
                "cache fault: {what}"
            );
        }
    }

    /// The text of `key`, as backends and logs see it.
    pub(crate) fn key_text(&self, key: &Key) -> String {
        text::render(&self.parts, self.name.head(), key.words())
    }

    /// The text of `key` under which a backend stores its value, cut to `max_bytes`.
    pub(crate) fn stored_text(&self, key: &Key, max_bytes: usize) -> PooledText {
        PooledText::of(|mut text| {
            text::write(&mut text, &self.parts, self.name.head(), key.words());
            text::shorten(text, max_bytes)
        })
    }

    /// What is known of the type of the function's values.
    pub(crate) fn type_info(&self) -> TypeInfo {
        *self.type_info.get_or_init(|| {
            let name = type_name::<V>();
            TypeInfo { fingerprint: self.name.fingerprint(name), name }
        })
    }

    /// Logs, once, that the backend holds values of this function that another program has stored, or another version of this one.
    #[cold]
    pub(crate) fn found_foreign(&self, cause: &Error) {
        if !self.told_of_foreign.swap(true, Relaxed) {
            tracing::warn!(
                function = self.name.path(),
                cause = %format_args!("{cause:#}"),
                "another program, or another version of this one, uses the same keys for other values: if it is another program, give \
                 each a `prefix` or a `namespace` of its own; if the function has changed, raise its `version`; if it has moved, pin it \
                 by a `name`"
            );
        }
    }

    /// Counts arguments of the attribute that are out of their range. Each is one fault, however many calls there are.
    #[cold]
    pub(crate) fn has_wrong_arguments(&self, wrong: &Wrong) {
        for argument in self.wrong.add_new(wrong) {
            self.fault("the attribute is wrong", &Error::config(argument.complaint()));
        }
    }

    /// Runs user code. A panic counts as a fault of the cache, and the call goes on.
    #[inline]
    pub(crate) fn guard<T>(&self, what: &str, code: impl FnOnce() -> T) -> Option<T> {
        let done = catch_panic(code);
        if done.is_none() {
            self.panicked(what);
        }
        done
    }

    #[cold]
    fn panicked(&self, what: &str) {
        self.fault("the user's code panicked", &Error::new(ErrorKind::Panic, what));
    }
}

/// A function without its value type.
pub(crate) trait AnyFunction: Any + Send + Sync {
    fn stats(&self) -> FunctionStats;
    /// What was measured until now, if anything is.
    #[cfg(feature = "report")]
    fn figures(&self, now: Nanos) -> Option<Figures>;
    fn path(&self) -> &str;
    /// Invalidates its values in memory. Returns whether they are there alone.
    fn clear_in_memory(&self, engine: &Engine) -> bool;
}

impl<V: Send + Sync + 'static> AnyFunction for Function<V> {
    fn stats(&self) -> FunctionStats {
        FunctionStats::read(self.name.path().to_owned(), &self.counters, self.table.entries(), self.table.bytes())
    }

    #[cfg(feature = "report")]
    fn figures(&self, now: Nanos) -> Option<Figures> {
        Some(self.measures.as_ref()?.read(self.table.bytes(), now))
    }

    fn path(&self) -> &str {
        self.name.path()
    }

    fn clear_in_memory(&self, engine: &Engine) -> bool {
        let is_there_alone = self.placement != Placement::InBackend;
        if is_there_alone {
            engine.clear_in_memory(&self.table);
        }
        is_there_alone
    }
}

/// The name of a function in the keys of one cache.
#[derive(Debug)]
pub(crate) struct Name {
    /// The crate, if it is not the prefix.
    krate: Option<String>,
    path: String,
    /// The user has chosen the path with `name = "…"`.
    chosen: bool,
    head: Head,
    /// The function's place in the source, if other functions may have the same path.
    place: Option<String>,
    /// A closure is among its types.
    of_closure: bool,
    /// It is that of several functions, by `share`: the types of the parts of their keys.
    shared: Option<String>,
    /// The function is one of several instances.
    generic: bool,
}

impl Name {
    /// The name of `instance` in a cache with `prefix`.
    pub(crate) fn of(description: &Description, instance: Instance, prefix: Option<&str>) -> Self {
        let krate = description.module.split("::").next().unwrap_or_default();
        let prefix = description.prefix.or(prefix);
        let own = own_path(description, instance.name);
        let path = path(&own);
        let generic = path.contains('(');
        let share = description.share.map(|share| share.name);
        let name = share.or(description.name);
        let chosen = name.is_some() && !generic;
        let nested = name.is_none() && nested::is_nested(&own, description.module, description.associated);
        let place = nested.then(|| place(description, instance.id));
        let of_closure = is_of_closure(&own);
        let path = match name {
            Some(name) if generic => format!("{name}({path})"),
            Some(name) => name.to_owned(),
            None => path,
        };
        let named = if chosen { Path::Name(&path) } else { Path::Segments(&path) };
        let beside = (prefix.is_some() && name.is_none()).then_some(krate);
        let naming =
            Naming { prefix: prefix.unwrap_or(krate), krate: beside, path: named, version: description.version };
        Self {
            krate: beside.map(str::to_owned),
            head: Head::of(&naming),
            path,
            chosen,
            place,
            of_closure,
            shared: description.share.map(|share| types_of(&share)),
            generic,
        }
    }

    /// Whether another instance may have this name, in this run or the next, and no `name` could tell them apart.
    pub(crate) fn is_of_closure(&self) -> bool {
        self.of_closure
    }

    /// Whether the function is one of several instances.
    pub(crate) fn is_generic(&self) -> bool {
        self.generic
    }

    /// Module and function.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    /// The text that its keys begin with.
    pub(crate) fn head(&self) -> &Head {
        &self.head
    }

    /// Identifies the function's values besides their key: their type's name, and what distinguishes the function from others
    /// whose keys may have the same text. A chosen name is one segment, like the path of a function in the crate's
    /// root, and a crate behind a prefix may have the name of a module.
    fn fingerprint(&self, of_type: &str) -> u64 {
        let Self { krate, chosen, place, shared, .. } = self;
        let mut hasher = blake3::Hasher::new();
        hasher.update(format!("{:?}", (of_type, krate, chosen, place)).as_bytes());
        if let Some(types) = shared {
            hasher.update(b"shared");
            hasher.update(types.as_bytes());
        }
        let mut fingerprint = [0; 8];
        hasher.finalize_xof().fill(&mut fingerprint);
        u64::from_le_bytes(fingerprint)
    }
}

/// The types of the parts of keys, as far as they are the same in all functions that share them.
fn types_of(share: &Share) -> String {
    let mut types = String::new();
    for part in share.types {
        types.push_str(part.words);
        let names = part.named.iter().flatten().map(|named| (named.name)());
        // One with arguments may be known in one function alone, as in another one these are borrowed.
        for name in names.filter(|name| !name.contains('<')) {
            types.push(' ');
            types.push_str(name);
        }
        types.push(';');
    }
    types
}

/// The place of a function, which distinguishes functions of one path. Everything that one macro call expands to has
/// one place, so the compiler's type id is added. It is the same in every run of one program.
fn place(description: &Description, id: TypeId) -> String {
    format!("{}:{}:{} {id:?}", description.file, description.line, description.column)
}

/// Whether one of the types in a path is a closure. The compiler calls all closures of a function by one name, and numbers them by their
/// order in the source, so nothing tells them apart in the next build.
fn is_of_closure(own: &str) -> bool {
    const CLOSURE: &str = "{{closure}}";
    // What goes on behind it is an item in the closure's body.
    own.match_indices(CLOSURE).any(|(at, _)| !own[at + CLOSURE.len()..].starts_with("::"))
}

/// The compiler's name for the function itself.
fn own_path(description: &Description, instance: &str) -> String {
    let mut own = instance;
    while let Some(outer) = own.strip_suffix("::{{closure}}") {
        own = outer;
    }
    without_companion(own, description.function)
}

/// Module and function, without the crate.
///
/// The compiler names an instance after everything that it is nested in: the `Self` type, the type arguments, outer
/// functions. These become part of the path, so that few functions share one.
fn path(own: &str) -> String {
    if own.starts_with('<') {
        return readable(own);
    }
    readable(own.split_once("::").map_or(own, |(_crate, path)| path))
}

/// Replaces the name of the function that holds the body, `__f_cache_body` or the companion `f_cache`, with the annotated one's.
/// Only the last segment can be the function, as modules and types may have names like a companion's.
fn without_companion(path: &str, function: &str) -> String {
    let function = function.trim_start_matches("r#");
    let stem = Some(function.trim_end_matches('_')).filter(|stem| !stem.is_empty()).unwrap_or(function);
    let (outer, own) = path.split_at(last_segment(path));
    let after = |name: &str| own.strip_prefix(name).filter(|rest| rest.is_empty() || rest.starts_with(['<', ':']));
    match after(&format!("__{stem}_cache_body")).or_else(|| after(&format!("{stem}_cache"))) {
        Some(rest) => format!("{outer}{function}{rest}"),
        None => path.to_owned(),
    }
}

/// The start of the last segment outside brackets.
fn last_segment(path: &str) -> usize {
    let bytes = path.as_bytes();
    let (mut depth, mut start) = (0_usize, 0);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            b'<' => depth += 1,
            // Not the arrow of a function type.
            b'>' if at == 0 || bytes[at - 1] != b'-' => depth = depth.saturating_sub(1),
            b':' if depth == 0 && path[..at].ends_with(':') && bytes.get(at + 1) != Some(&b'<') => start = at + 1,
            _ => {}
        }
    }
    start
}

/// Rust's notation, in characters that all backends' keys and consoles accept.
fn readable(path: &str) -> String {
    path.replace("r#", "").replace("::", ".").replace(", ", ",").replace('<', "(").replace('>', ")")
}
