//! [`CachePage`]: a shared HTTP cache as a tower layer.

mod answer;
mod ask;
mod body;
mod changes;
mod entry;
mod exchange;
mod failure;
mod fill;
mod filling;
mod future;
mod head;
mod key;
mod purges;
mod purging;
mod replacement;
mod respond;
mod settings;
mod shelf;
mod site;
mod status;
mod tags;

use std::{
    fmt, mem,
    panic::Location,
    sync::{Arc, LazyLock, OnceLock},
    task::{Context, Poll},
    time::Duration,
};

use ::http::{HeaderName, Request, Response, Uri, request};
use bytes::Bytes;
use dashmap::DashMap;
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

pub use self::{
    body::{BodyError, PageBody},
    future::PageFuture,
    site::PageTimeout,
};
use self::{
    key::{Target, TargetRules, key_of_purges},
    purges::prefix_of,
    settings::{Offers, Settings},
    site::Site,
};
use super::rules::freshness::Windows;
use crate::{Cache, Error, ErrorKind};

/// How long a stale page is kept to be validated.
const KEEP_STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long a stale page stands in for an error of the service that is no response.
const STALE_IF_DISCONNECTED: Duration = Duration::from_secs(60);
/// The largest body that is stored, in bytes.
const MAX_BODY: u64 = 8 << 20;
/// How many variants of a page are stored.
const MOST_VARIANTS: usize = 64;

/// A shared cache by RFC 9111, as a layer around any service of `http` requests.
///
/// Without further settings it stores what responses allow by their own header fields. [`timeout`](Self::timeout) adds site mode,
/// for pages that say nothing.
///
/// Pages are stored in the cache that is in force when a request comes: the [`scoped`](crate::scoped) one, that of
/// [`cache`](Self::cache), or the installed one.
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct CachePage {
    settings: Arc<Settings>,
}

impl CachePage {
    /// A cache that keeps to what responses say.
    ///
    /// Its name in keys is the place of this call in the source. If one place makes several layers, the second one's name has a number as
    /// well, and so on: two layers never share pages, unless they are clones or [`name`](Self::name) says so.
    #[track_caller]
    pub fn new() -> Self {
        Self {
            settings: Arc::new(Settings {
                name: name_of(Location::caller()),
                cache: None,
                site: Site::default(),
                targets: vec![HeaderName::from_static("cdn-cache-control")],
                offers: Offers::default(),
                addressing: TargetRules::default(),
                obeys_clients: true,
                keep_stale: KEEP_STALE,
                stale: Windows::default(),
                stale_if_disconnected: STALE_IF_DISCONNECTED,
                is_disconnected: Arc::default(),
                purges_by_prefix: false,
                purges_by_tag: false,
                max_body: MAX_BODY,
                most_variants: MOST_VARIANTS,
                shows_key: false,
                generates_etags: false,
                fills: Arc::default(),
                settled: OnceLock::new(),
            }),
        }
    }

    fn set(mut self, set: impl FnOnce(&mut Settings)) -> Self {
        let settings = Arc::make_mut(&mut self.settings);
        set(settings);
        settings.settled = OnceLock::new();
        self
    }

    /// The name in keys. Layers of one name share their pages, in all programs that use one backend.
    pub fn name(self, name: impl Into<String>) -> Self {
        self.set(|settings| settings.name = name.into())
    }

    /// The cache that holds the pages. Default: the installed one.
    pub fn cache(self, cache: &Cache) -> Self {
        self.set(|settings| settings.cache = Some(cache.clone()))
    }

    /// Site mode: successful responses without `Cache-Control` and `Expires` are kept for `timeout`, and requests with
    /// `Authorization` or a cookie share nothing. See [`session_cookies`](Self::session_cookies) and [`route`](Self::route).
    pub fn timeout(self, timeout: Duration) -> Self {
        self.set(|settings| settings.site.timeout = Some(timeout))
    }

    /// Site mode: only these cookies tell users apart. Requests with other cookies share pages. It has no effect without
    /// [`timeout`](Self::timeout).
    pub fn session_cookies<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.site.session_cookies = Some(names))
    }

    /// Site mode: the timeout of a path and all paths below it. With [`Duration::ZERO`] requests for them pass. `{name}` is any one segment, as
    /// in `/users/{id}`. The longest path counts. It has no effect without [`timeout`](Self::timeout).
    pub fn route(self, path: impl Into<String>, timeout: Duration) -> Self {
        self.set(|settings| settings.site.routes.push((path.into(), timeout)))
    }

    /// The targeted cache-control fields that address this cache (RFC 9213), the most specific one first. Default:
    /// `CDN-Cache-Control`.
    pub fn targets(self, fields: impl IntoIterator<Item = HeaderName>) -> Self {
        self.set(|settings| settings.targets = fields.into_iter().collect())
    }

    /// Parameters of a query are sorted by name in the key, so that their order does not count.
    pub fn sort_query(self) -> Self {
        self.set(|settings| settings.addressing.query.sorted = true)
    }

    /// Parameters that do not count, such as `gclid` or `utm_*`: a name that ends with `*` stands for all that begin with it. The
    /// wrapped service must ignore them.
    pub fn ignore_query<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names: Vec<_> = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.addressing.query.without.extend(names))
    }

    /// The only parameters that count. The wrapped service must ignore all others.
    pub fn only_query<T: Into<String>>(self, names: impl IntoIterator<Item = T>) -> Self {
        let names = names.into_iter().map(Into::into).collect();
        self.set(|settings| settings.addressing.query.only = Some(names))
    }

    /// The languages in which the wrapped service answers, as tags such as `de` or `pt-BR`. It gets `Accept-Language` with these alone, in
    /// the order that the client prefers: `de-AT, fr;q=0.9` is `de`, and a client that wants none of them sends no such field. A page
    /// that varies by language then has few variants. Name all languages, or clients miss the others.
    pub fn languages<T: AsRef<str>>(self, tags: impl IntoIterator<Item = T>) -> Self {
        let tags = tags.into_iter().map(|tag| tag.as_ref().to_ascii_lowercase()).collect();
        self.set(|settings| settings.offers.languages = Some(tags))
    }

    /// The content codings in which the wrapped service answers, such as `br` and `gzip`. It gets `Accept-Encoding` with these alone, in
    /// this order where the client prefers none. A page that varies by coding then has few variants.
    pub fn encodings<T: AsRef<str>>(self, codings: impl IntoIterator<Item = T>) -> Self {
        let codings = codings.into_iter().map(|coding| coding.as_ref().to_ascii_lowercase()).collect();
        self.set(|settings| settings.offers.encodings = Some(codings))
    }

    /// Names the URI that the client asked for, where the layer sees another one: inside `Router::nest`, axum has taken the prefix from
    /// the path. `None` leaves the request's own. What it does not name of scheme and host is the request's.
    ///
    /// Requests share a page by this URI, so it has to tell apart what the wrapped service tells apart. If it panics, the request passes.
    ///
    /// ```
    /// # use cache_request::http::CachePage;
    /// # #[derive(Clone)] struct OriginalUri(http::Uri);
    /// CachePage::new().original_uri(|request| request.extensions.get::<OriginalUri>().map(|uri| uri.0.clone()))
    /// # ;
    /// ```
    pub fn original_uri(self, uri: impl Fn(&request::Parts) -> Option<Uri> + Send + Sync + 'static) -> Self {
        self.set(|settings| settings.addressing.original_uri = Some(Arc::new(uri)))
    }

    /// The field in which a proxy names the scheme of the client's request, such as `x-forwarded-proto`. Only for a proxy that sets it
    /// in all requests, whatever the client sends. Default: none, and a request that names no scheme counts as `http`.
    pub fn scheme_from(self, field: HeaderName) -> Self {
        self.set(|settings| settings.addressing.scheme_from = Some(field))
    }

    /// Whether `Cache-Control` and `Pragma` of requests are obeyed. Default: yes. Without it, a client's reload does not reach the
    /// wrapped service.
    pub fn obey_clients(self, obey: bool) -> Self {
        self.set(|settings| settings.obeys_clients = obey)
    }

    /// How long a stale page with a validator is kept, to be validated. Default: one day.
    pub fn keep_stale(self, time: Duration) -> Self {
        self.set(|settings| settings.keep_stale = time)
    }

    /// For how long after it has become stale a page is still the answer, at once, while the wrapped service is asked for a new one in the
    /// background. It counts for pages without a `stale-while-revalidate` of their own. Default: none.
    ///
    /// Pages with `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache` or without a lifetime are never used so.
    pub fn stale(self, time: Duration) -> Self {
        self.set(|settings| settings.stale.while_revalidating = time)
    }

    /// For how long after it has become stale a page is the answer in place of a 500, 502, 503 or 504, or of an error or a panic of the wrapped
    /// service. It counts for pages without a `stale-if-error` of their own. Default: none.
    ///
    /// Pages with `must-revalidate`, `proxy-revalidate`, `s-maxage`, `no-cache` or without a lifetime are never used so.
    pub fn stale_if_error(self, time: Duration) -> Self {
        self.set(|settings| settings.stale.if_error = time)
    }

    /// For how long after it has become stale a page is the answer if the wrapped service returns an error in place of a response, whatever
    /// its `stale-if-error` is. Default: one minute, as RFC 9111 allows in section 4.2.4. With [`Duration::ZERO`] errors pass.
    pub fn stale_if_disconnected(self, time: Duration) -> Self {
        self.set(|settings| settings.stale_if_disconnected = time)
    }

    /// Whether [`purge_prefix`](Self::purge_prefix) works. Default: no. Then each look for a page also looks at the list of such purges,
    /// at the same time. All layers that share the pages have to have it.
    pub fn purge_by_prefix(self, does: bool) -> Self {
        self.set(|settings| settings.purges_by_prefix = does)
    }

    /// Whether pages have tags, and are gone when one is invalidated: [`Cache::invalidate_tag`]. Default: no.
    ///
    /// The tags are those of the response's `Surrogate-Key`, which spaces separate, and `Cache-Tag`, which commas separate, those that the wrapped
    /// service names by [`tag`](crate::tag), and those of the cached values that it uses. A page whose tags are none, see [`tag`](crate::tag),
    /// is not stored. The fields are sent to clients as well. All layers that share the pages should have it.
    pub fn purge_by_tag(self, does: bool) -> Self {
        self.set(|settings| settings.purges_by_tag = does)
    }

    /// The largest body that is stored, in bytes. Default: 8 MiB. Larger ones pass.
    pub fn max_body(self, bytes: u64) -> Self {
        self.set(|settings| settings.max_body = bytes)
    }

    /// How many variants of a page are stored, by its `Vary`. Default: 64. The oldest goes first.
    pub fn max_variants(self, variants: usize) -> Self {
        self.set(|settings| settings.most_variants = variants)
    }

    /// Whether pages without an `ETag` get one, made of their bytes, so that a client that has the page already gets 304. Default: no.
    ///
    /// The tags are weak: they stay right if a layer around this one compresses the page. A page whose body arrives piece by piece has its
    /// tag from its first hit on. Pages that are not stored get none.
    pub fn etags(self, generate: bool) -> Self {
        self.set(|settings| settings.generates_etags = generate)
    }

    /// Whether `Cache-Status` names the key. Default: no.
    pub fn show_key(self, show: bool) -> Self {
        self.set(|settings| settings.shows_key = show)
    }
}

impl CachePage {
    /// Removes what is stored for an absolute URI, with all variants, by `http` and by `https`. Returns whether there was anything. Pages that are being made at
    /// this moment are not stored.
    ///
    /// It removes them from the cache that is in force here, as of [`CachePage`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Key`] if the URI has no authority. Else if the backend fails.
    pub async fn purge(&self, uri: &Uri) -> Result<bool, Error> {
        let target = Target::of_uri(uri, &self.settings.addressing)
            .ok_or_else(|| Error::new(ErrorKind::Key, format!("`{uri}` names no host")))?;
        let shelf = self.settings.shelf();
        let mut was_there = false;
        for key in target.keys_of_all_schemes(&self.settings.name) {
            was_there |= self.settings.invalidate(&shelf, &key).await?;
        }
        Ok(was_there)
    }

    /// Removes all pages whose URI begins with `uri`, up to its query, with all variants, by `http` and by `https`: `https://example.com/articles/`. A URI
    /// without a host, such as `/articles/`, stands for all hosts. Pages that are being made at this moment are not stored.
    ///
    /// It takes one write, however many pages there are. The last 256 of these purges are remembered: pages from before are gone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unsupported`] without [`purge_by_prefix`](Self::purge_by_prefix). Else if the backend fails.
    pub async fn purge_prefix(&self, uri: &Uri) -> Result<(), Error> {
        if !self.settings.purges_by_prefix {
            return Err(Error::new(
                ErrorKind::Unsupported,
                "pages are purged by prefix only with `purge_by_prefix(true)`",
            ));
        }
        let shelf = self.settings.shelf();
        self.settings.fills.part_all();
        let prefix = prefix_of(uri, &self.settings.addressing);
        let purged = shelf.purge(&key_of_purges(&self.settings.name), prefix).await;
        // A fill that began meanwhile may have asked before.
        self.settings.fills.part_all();
        purged
    }
}

/// The name of one more layer that is made at a place in the source.
fn name_of(place: &'static Location<'static>) -> String {
    static MADE: LazyLock<DashMap<&Location<'_>, u64>> = LazyLock::new(DashMap::new);
    let mut made = MADE.entry(place).or_default();
    *made += 1;
    match *made {
        1 => place.to_string(),
        number => format!("{place}#{number}"),
    }
}

impl Default for CachePage {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CachePage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachePage").field("name", &self.settings.name).finish_non_exhaustive()
    }
}

impl<S> Layer<S> for CachePage {
    type Service = CachedPages<S>;

    fn layer(&self, service: S) -> CachedPages<S> {
        CachedPages { settings: Arc::clone(&self.settings), service }
    }
}

/// A service whose responses are cached: what a [`CachePage`] makes of it.
#[derive(Clone)]
pub struct CachedPages<S> {
    settings: Arc<Settings>,
    service: S,
}

impl<S: fmt::Debug> fmt::Debug for CachedPages<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CachedPages").field("service", &self.service).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for CachedPages<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Send + 'static,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BodyError>,
{
    type Response = Response<PageBody>;
    type Error = S::Error;
    type Future = PageFuture<S::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let ready = || {
            // The service that is ready goes, and its clone stays.
            let clone = self.service.clone();
            mem::replace(&mut self.service, clone)
        };
        answer::answer(&self.settings, ready, request)
    }
}
