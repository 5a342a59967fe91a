//! Pages in a cache: find, store, invalidate.

use std::{
    any::Any,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use ::http::{HeaderMap, HeaderName};
use smallvec::SmallVec;

use super::super::rules::vary::{Vary, pieces};
use super::{
    entry::{Digest, Entry, Page, Variants},
    key::{Target, has_overrides, overrides},
    purges::Purges,
    status::Handling,
};
use crate::{
    Cache, Error,
    base::both::both,
    engine::{
        Engine,
        call::Call,
        claiming::MadeElsewhere,
        description::{Description, Instance},
        function::{AnyFunction, Function},
        policy::Policy,
        this_call::Said,
    },
    key::{Key, text::Parts},
    stats::Count,
    store::tags::Stamps,
};

static DESCRIPTION: Description = Description {
    module: "pages",
    function: "page",
    file: file!(),
    line: line!(),
    column: 0,
    parts: Parts { names: &["layer", "scheme", "host", "target", "variant"], template: None },
    share: None,
    name: Some("page"),
    version: None,
    prefix: None,
    cache: None,
    associated: false,
    local: false,
    coalesce: false,
    max_entries: usize::MAX,
};

static POLICY: LazyLock<Policy<Entry, Entry>> =
    LazyLock::new(|| Policy::whole().serialised().timeout_with(Entry::kept_for).weight(Entry::weight));

/// The shortest time between two attempts to replace one stored response.
const RETRY: Duration = Duration::from_secs(1);

/// The pages of one cache.
#[derive(Clone)]
pub(super) struct Shelf {
    cache: Cache,
    function: Arc<dyn AnyFunction>,
}

/// A request's page in the cache.
pub(super) struct Place<'a> {
    pub(super) layer: &'a str,
    pub(super) target: &'a Target<'a>,
    pub(super) key: &'a Key,
    /// The key of the layer's purges by prefix, if it has those.
    pub(super) purges: Option<&'a Key>,
    pub(super) request: &'a HeaderMap,
}

impl Place<'_> {
    /// The number of the newest variant that may answer the request. An older one does not stand in for it.
    fn newest(&self, variants: &Variants) -> Option<u128> {
        let own: SmallVec<[_; 1]> = variants.fields.iter().map(|fields| variant_of(self.request, fields)).collect();
        let newest = variants.stored.iter().find(|(variant, _)| own.contains(variant));
        newest.map(|(_, number)| *number)
    }

    /// What was found, unless a purge by prefix has taken it. Without the list of purges, all pages are gone.
    fn left(&self, found: Found, purges: Option<Entry>) -> Found {
        match (found, purges) {
            (Found::Page(stored), Some(Entry::Purges(purges))) if purges.spare(stored.page.last_purge, self.target) => {
                Found::Page(stored)
            }
            (Found::Page(_), _) => Found::Nothing,
            (found, _) => found,
        }
    }

    /// The key of a stored response.
    fn key_of(&self, stored: &Stored) -> Key {
        stored.variant.map_or_else(|| self.key.clone(), |number| self.variant(number))
    }

    fn variant(&self, number: u128) -> Key {
        self.target.variant(self.layer, number)
    }
}

/// A stored response, and the number of its variant if it is one.
pub(super) struct Stored {
    pub(super) page: Arc<Page>,
    /// Its tags.
    pub(super) stamps: Stamps,
    variant: Option<u128>,
}

/// The tags of a page that is being made: what was said so far, and the newest invalidation from before that.
pub(super) struct TagsSoFar {
    pub(super) said: Arc<Said>,
    pub(super) since: u64,
}

/// What was found for a request.
pub(super) enum Found {
    Page(Stored),
    /// There are variants of the page, but none for this request.
    NoVariant,
    Nothing,
}

impl Shelf {
    pub(super) fn of(cache: Cache) -> Self {
        fn page() {}
        let function = cache.function::<Entry>(&DESCRIPTION, Instance::of(&page));
        Self { cache, function }
    }

    pub(super) fn engine(&self) -> &Engine {
        self.cache.engine()
    }

    pub(super) fn now(&self) -> SystemTime {
        self.engine().clock.wall()
    }

    pub(super) fn count(&self, count: Count) {
        if let Some(function) = self.function() {
            function.counters.increment(count);
        }
    }

    /// Counts and traces how a request was handled.
    pub(super) fn record(&self, handling: &Handling) {
        handling.counts().for_each(|count| self.count(count));
        tracing::trace!(hit = handling.hit, forward = ?handling.forward, detail = handling.detail, "a page was asked for");
    }

    fn function(&self) -> Option<&Function<Entry>> {
        (&*self.function as &dyn Any).downcast_ref()
    }

    /// A call for `key`, unless the cache is disabled.
    pub(super) fn call<'a>(&'a self, key: &'a Key) -> Option<Call<'a, Entry, Entry>> {
        Call::of(self.engine(), self.function()?, &POLICY, key, false)
    }

    /// The stored response for a request, fresh or stale.
    pub(super) async fn find(&self, place: &Place<'_>) -> Found {
        let Some(key) = place.purges else { return self.find_any(place).await };
        let (found, purges) = both(self.find_any(place), self.look_up(key)).await;
        place.left(found, purges.map(|(purges, _)| purges))
    }

    /// [`find`](Self::find) in this process's memory only.
    pub(super) fn find_in_memory(&self, place: &Place<'_>) -> Found {
        let found = self.find_any_in_memory(place);
        match place.purges {
            Some(key) => place.left(found, self.look_up_in_memory(key).map(|(purges, _)| purges)),
            None => found,
        }
    }

    /// The purges by prefix that memory has.
    pub(super) fn purges_in_memory(&self, key: &Key) -> Option<Arc<Purges>> {
        match self.look_up_in_memory(key)?.0 {
            Entry::Purges(purges) => Some(purges),
            Entry::Page(_) | Entry::Variants(_) => None,
        }
    }

    /// What is stored for a request, purged by prefix or not.
    async fn find_any(&self, place: &Place<'_>) -> Found {
        let variants = match self.look_up(place.key).await {
            None | Some((Entry::Purges(_), _)) => return Found::Nothing,
            Some((Entry::Page(page), stamps)) if !has_overrides(place.request) => {
                return Found::Page(Stored { page, stamps, variant: None });
            }
            Some((Entry::Page(_), _)) => return Found::NoVariant,
            Some((Entry::Variants(variants), _)) => variants,
        };
        let Some(number) = place.newest(&variants) else { return Found::NoVariant };
        match self.look_up(&place.variant(number)).await {
            Some((Entry::Page(page), stamps)) => Found::Page(Stored { page, stamps, variant: Some(number) }),
            _ => Found::NoVariant,
        }
    }

    fn find_any_in_memory(&self, place: &Place<'_>) -> Found {
        let variants = match self.look_up_in_memory(place.key) {
            None | Some((Entry::Purges(_), _)) => return Found::Nothing,
            Some((Entry::Page(page), stamps)) if !has_overrides(place.request) => {
                return Found::Page(Stored { page, stamps, variant: None });
            }
            Some((Entry::Page(_), _)) => return Found::NoVariant,
            Some((Entry::Variants(variants), _)) => variants,
        };
        let Some(number) = place.newest(&variants) else { return Found::NoVariant };
        match self.look_up_in_memory(&place.variant(number)) {
            Some((Entry::Page(page), stamps)) => Found::Page(Stored { page, stamps, variant: Some(number) }),
            _ => Found::NoVariant,
        }
    }

    async fn look_up(&self, key: &Key) -> Option<(Entry, Stamps)> {
        self.call(key)?.find().await
    }

    fn look_up_in_memory(&self, key: &Key) -> Option<(Entry, Stamps)> {
        self.call(key)?.find_in_memory()
    }

    /// Whether it is for this request to have a stale response replaced. The next one may after [`RETRY`].
    pub(super) fn takes_replacement(&self, place: &Place<'_>, stored: &Stored) -> bool {
        self.call(&place.key_of(stored)).is_some_and(|call| call.takes_replacement(RETRY))
    }

    /// Notes that a stored response could not be replaced. For the time of [`RETRY`], the service is not asked again.
    pub(super) fn has_failed(&self, place: &Place<'_>, stored: &Stored) {
        if let Some(call) = self.call(&place.key_of(stored)) {
            call.has_failed(RETRY);
        }
    }

    /// Whether a stored response could not be replaced lately.
    pub(super) fn has_failed_lately(&self, place: &Place<'_>, stored: &Stored) -> bool {
        self.call(&place.key_of(stored)).is_some_and(|call| call.has_failed_lately())
    }

    /// Whether another process makes the page.
    pub(super) fn is_made_in_another_process(&self, key: &Key, making: &MadeElsewhere<'_>) -> bool {
        self.call(key).is_some_and(|call| call.is_made_in_another_process(making))
    }

    /// Begins to make a page. What is invalidated from now on is not stored. `None` if the cache is disabled.
    pub(super) async fn begin<'a>(&'a self, key: &'a Key, names_tags: bool) -> Option<MadeElsewhere<'a>> {
        self.call(key)?.begin_elsewhere(names_tags).await
    }

    /// Whether one of the tags that a page has so far was invalidated since it was asked for, by this process. Also if one is none.
    pub(super) fn were_invalidated(&self, key: &Key, TagsSoFar { said, since }: &TagsSoFar) -> bool {
        let Some(call) = self.call(key) else { return false };
        let stamps = call.stamps_said(said, *since);
        stamps.is_wrong() || stamps.were_invalidated_before(self.engine().tags.newest())
    }

    /// An answer has the tags of a stored page.
    pub(super) fn inherit(&self, said: &Said, stored: &Stored) {
        said.inherit(self.engine(), &stored.stamps);
    }

    /// Stores a page, unless its key was invalidated since `making` began.
    pub(super) async fn store(
        &self,
        place: &Place<'_>,
        making: &mut MadeElsewhere<'_>,
        page: Arc<Page>,
        (took, said): (Duration, Option<&Said>),
        most_variants: usize,
    ) {
        if let Err(error) = self.try_store(place, making, page, (took, said), most_variants).await {
            self.fault(&error);
        }
    }

    async fn try_store(
        &self,
        place: &Place<'_>,
        making: &mut MadeElsewhere<'_>,
        page: Arc<Page>,
        (took, said): (Duration, Option<&Said>),
        most_variants: usize,
    ) -> Result<(), Error> {
        let Some(call) = self.call(place.key) else { return Ok(()) };
        let Vary::Names(fields) = Vary::of(&page.headers) else { return Ok(()) };
        let is_for_all = fields.is_empty() && !has_overrides(place.request);
        if is_for_all && !matches!(call.peek_in_memory(), Some(Entry::Variants(_))) {
            return call.store_led(making, &Entry::Page(page), took, said).await;
        }
        // A list that is being removed must not come back. One that is read before its removal begins is refused by the fence.
        let known = if call.is_being_removed() { None } else { call.peek_in_backend().await };
        // A newer variant that is in the list by now must not be removed either.
        if making.leader.is_fenced() {
            return Ok(());
        }
        let mut variants = match known {
            Some(Entry::Variants(variants)) => Variants::clone(&variants),
            _ => Variants::default(),
        };
        variants.kept_for = variants.kept_for.max(page.kept_for);
        let number = new_number();
        if let Some(call) = self.call(&place.variant(number))
            && let Err(error) = call.put_beside(making, &Entry::Page(page), said).await
        {
            // An older variant does not stay in its place.
            self.invalidate(place.key).await?;
            return Err(error);
        }
        let variant = (variant_of(place.request, &fields), number);
        let removed = variants.add(fields, variant, most_variants);
        call.store_led(making, &Entry::Variants(Arc::new(variants)), took, None).await?;
        for number in removed {
            self.invalidate(&place.variant(number)).await?;
        }
        Ok(())
    }

    /// Removes what is stored for a target, with all its variants. Returns whether there was anything.
    pub(super) async fn invalidate(&self, key: &Key) -> Result<bool, Error> {
        match self.call(key) {
            Some(call) => call.invalidate(Duration::ZERO).await,
            None => Ok(false),
        }
    }

    pub(super) fn fault(&self, error: &Error) {
        if let Some(function) = self.function() {
            function.fault("a page could not be kept", error);
        }
    }
}

/// Identifies a variant, by the selecting fields, what the request has in them, and what overrides the request's target.
fn variant_of(request: &HeaderMap, fields: &[HeaderName]) -> Digest {
    let mut hasher = blake3::Hasher::new();
    let mut part = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    // No name is empty, so an empty part ends them.
    for name in fields {
        part(name.as_str().as_bytes());
        part(if request.contains_key(name) { b"is" } else { b"is not" });
        let pieces = pieces(request, name);
        part(&(pieces.len() as u64).to_le_bytes());
        pieces.iter().for_each(|piece| part(piece));
    }
    part(b"");
    for (name, value) in overrides(request) {
        part(name.as_bytes());
        part(&value);
    }
    hasher.finalize().into()
}

/// A number that no other process has made.
pub(super) fn new_number() -> u128 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let mut hasher = blake3::Hasher::new();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    hasher.update(&now.as_nanos().to_le_bytes());
    hasher.update(&std::process::id().to_le_bytes());
    hasher.update(&COUNTER.fetch_add(1, Ordering::Relaxed).to_le_bytes());
    hasher.update(&std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), 0).to_le_bytes());
    let hash: Digest = hasher.finalize().into();
    u128::from_le_bytes(*hash.first_chunk().unwrap_or(&[0; 16]))
}
