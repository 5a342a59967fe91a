//! One exchange with the wrapped service, whose response may be stored or may tell about a stored one.

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use ::http::{HeaderMap, Method, header::DATE};

use super::{
    super::rules::{
        conditions::update,
        freshness::{Control, Freshness, date_value},
        storable::storable,
        vary::Vary,
    },
    ask::Ask,
    entry::Page,
    head::LastHead,
    shelf::{Found, Stored, TagsSoFar},
    tags::each_tag,
};
use crate::{
    base::both::both,
    engine::{
        claiming::MadeElsewhere,
        flight::FenceCheck,
        this_call::{Frame, Framed, Said},
    },
};

/// When a request was sent on behalf of an [`Ask`], and when its response came.
pub(super) struct Exchange<'a> {
    ask: &'a Ask<'static>,
    /// The fields of the client's request.
    request: &'a HeaderMap,
    requested: SystemTime,
    pub(super) received: SystemTime,
    begun: Instant,
    /// The newest purge by prefix from before the request was sent.
    pub(super) last_purge: Option<u128>,
    /// `None` if the cache is disabled.
    making: Option<MadeElsewhere<'a>>,
    /// What has the tags. `None` for a layer that does not look at tags.
    said: Option<Arc<Said>>,
}

impl<'a> Exchange<'a> {
    /// Begins one. What is invalidated from now on is not stored.
    pub(super) async fn begin(ask: &'a Ask<'static>, request: &'a HeaderMap, said: Option<Arc<Said>>) -> Self {
        let purges = async {
            match &ask.purges {
                Some(key) => ask.shelf.newest_purge(key).await,
                None => None,
            }
        };
        let (making, last_purge) = both(ask.shelf.begin(&ask.key, ask.settings.purges_by_tag), purges).await;
        let now = ask.shelf.now();
        Self { ask, request, requested: now, received: now, begun: Instant::now(), last_purge, making, said }
    }

    /// Runs the service or reads its body. The response has the tags of what they use.
    pub(super) async fn around<T>(&self, work: impl Future<Output = T>) -> T {
        match &self.said {
            Some(said) => Framed::new(&mut Frame::noting_tags(said), work).await,
            None => work.await,
        }
    }

    /// The body that asks, if there is one, has used what the service has used.
    pub(super) fn pass_on(&self) {
        if let Some(said) = &self.said {
            said.pass_on();
        }
    }

    /// Takes the tags from the fields of a response.
    pub(super) fn take_tags(&self, headers: &HeaderMap) {
        if let Some(said) = &self.said {
            each_tag(headers, |tag| said.name_tag(tag));
        }
    }

    /// The tags of the response, also those that its body is yet to tell.
    pub(super) fn tags(&self) -> Option<TagsSoFar> {
        let (said, making) = self.said.as_ref().zip(self.making.as_ref())?;
        Some(TagsSoFar { said: Arc::clone(said), since: making.since })
    }

    /// The head of the response is there.
    pub(super) fn received(&mut self) {
        self.received = self.ask.shelf.now();
    }

    /// When the request was sent, and when its response came.
    pub(super) fn times(&self) -> [SystemTime; 2] {
        [self.requested, self.received]
    }

    /// Whether another process makes the page.
    pub(super) fn is_made_in_another_process(&self) -> bool {
        let Some(making) = &self.making else { return false };
        self.ask.shelf.is_made_in_another_process(&self.ask.key, making)
    }

    /// Whether the page was invalidated since it was asked for. `None` if the cache is disabled.
    pub(super) fn fence_check(&self) -> Option<FenceCheck> {
        self.making.as_ref().map(|making| making.leader.fence_check())
    }

    pub(super) async fn store(&mut self, page: Arc<Page>) {
        let said = self.said.as_deref();
        let Some(making) = &mut self.making else { return };
        let most_variants = self.ask.settings.most_variants;
        let place = self.ask.place(self.request);
        self.ask.shelf.store(&place, making, page, (self.begun.elapsed(), said), most_variants).await;
    }

    /// A stored page with the fields of a newer message about it (RFC 9111, section 3.2).
    pub(super) fn renewed(&self, page: &Page, new: &HeaderMap) -> Page {
        self.take_tags(new);
        let settings = &self.ask.settings;
        let mut headers = page.received_headers();
        update(&mut headers, new, &Control::of(new, &settings.targets).directives);
        let control = Control::of(&headers, &settings.targets);
        let freshness = settings.freshness(&control, page.status, &headers, self.times());
        self.with(page, headers, freshness, self.last_purge)
    }

    /// A stored page as it was, kept anew.
    pub(super) fn unchanged(&self, page: &Page) -> Page {
        self.with(page, page.received_headers(), page.freshness, page.last_purge)
    }

    fn with(&self, page: &Page, headers: HeaderMap, freshness: Freshness, last_purge: Option<u128>) -> Page {
        let kept_for = self.ask.settings.kept_for(&freshness, &headers, self.received);
        let (status, body) = (page.status, page.body.clone());
        let head = LastHead::default();
        let has_generated_etag = false;
        let renewed = Page { status, headers, body, freshness, kept_for, has_generated_etag, last_purge, head };
        match page.generated_etag() {
            Some(tag) => renewed.with_etag(tag.clone()),
            None => renewed,
        }
    }

    /// Stores what became of the page `before`, or removes that if it must not be used any more. An error is the reason why `page` is
    /// not stored.
    pub(super) async fn replace(&mut self, before: &Stored, page: &Arc<Page>) -> Result<(), &'static str> {
        if let Some(said) = &self.said {
            self.take_tags(&before.page.headers);
            said.name_tags_of(&before.stamps);
        }
        let control = Control::of(&page.headers, &self.ask.settings.targets);
        match storable(&Method::GET, self.request, &self.ask.directives, page.status, &page.headers, &control) {
            // It is found by other fields now, and must not be by those of before.
            Ok(()) if Vary::of(&page.headers) != Vary::of(&before.page.headers) => {
                self.remove().await;
                Err("vary")
            }
            Ok(()) => {
                self.store(Arc::clone(page)).await;
                Ok(())
            }
            Err(refusal) => {
                // What the response itself now forbids is not kept for others. What concerns this request only says nothing of it.
                if !refusal.is_of_request() {
                    self.remove().await;
                }
                Err(refusal.detail())
            }
        }
    }

    /// Whether the stored response to the client's request is still `page`.
    pub(super) async fn is_stored(&self, page: &Page) -> bool {
        match self.ask.shelf.find(&self.ask.place(self.request)).await {
            Found::Page(stored) => stored.page.headers == page.headers && stored.page.body == page.body,
            Found::NoVariant | Found::Nothing => false,
        }
    }

    /// Removes what is stored for the target.
    pub(super) async fn remove(&self) {
        self.ask.settings.try_invalidate(&self.ask.shelf, &self.ask.key).await;
    }
}

/// Adds when a response came, if it does not say when it was made (RFC 9110, section 6.6.1).
pub(super) fn add_date(headers: &mut HeaderMap, received: SystemTime) {
    if !headers.contains_key(DATE)
        && let Some(date) = date_value(received)
    {
        headers.insert(DATE, date);
    }
}
