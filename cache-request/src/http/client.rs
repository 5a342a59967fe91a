//! [`ClientScopeLayer`]: a client for each request.

use std::{
    borrow::Cow,
    fmt,
    pin::Pin,
    string::FromUtf8Error,
    sync::Arc,
    task::{Context, Poll, ready},
};

use ::http::{HeaderName, HeaderValue, Request, Response, request, uri::Authority};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower_layer::Layer;
use tower_service::Service;

use super::rules::authority::authority_of;
use crate::base::context::{Change, Scoped};

/// Names the client of a request.
type Client = dyn Fn(&request::Parts) -> Option<Arc<str>> + Send + Sync;

/// A tower layer that runs the wrapped service, and the body of its response, in a [`client_scope`](crate::client_scope): for a site
/// that serves several clients, each of which has cached values of its own.
///
/// A request without a client runs in the scope that is in force outside of the layer. Without any, it shares values with all other
/// requests that have no client.
///
/// A [`CachePage`](super::CachePage) keeps a client's pages apart if this layer is around it. In axum, that is the one that `Router::layer`
/// adds later. The other way round, the pages are not stored.
///
/// ```
/// # use cache_request::http::{CachePage, ClientScopeLayer};
/// # fn app<S, B>(service: S) -> impl Sized
/// # where
/// #     S: tower_service::Service<http::Request<B>, Response = http::Response<http_body_util::Full<bytes::Bytes>>>,
/// # {
/// use tower_layer::Layer as _;
///
/// let service = CachePage::new().layer(service);
/// ClientScopeLayer::from_host().layer(service)
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it wraps a service"]
pub struct ClientScopeLayer {
    client: Arc<Client>,
}

impl ClientScopeLayer {
    /// The client is the host that the request names, in lower case and without its port. A request without a host, or with several that
    /// differ, has no client.
    ///
    /// Senders of requests choose what they write as the host. Let the server answer known hosts only, or each name is one more client.
    pub fn from_host() -> Self {
        Self::from_fn(|request| {
            let authority: Authority = authority_of(request)?.parse().ok()?;
            Some(authority.host().to_ascii_lowercase())
        })
    }

    /// The client is the value of this header field. Several lines count as one, with commas between them. A request without the field has
    /// no client.
    ///
    /// Only for a field that a proxy sets in all requests, whatever the sender of the request writes.
    pub fn from_header(name: HeaderName) -> Self {
        Self::from_fn(move |request| {
            let lines: Vec<_> = request.headers.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
            (!lines.is_empty()).then(|| text(Cow::Owned(lines.join(&b", "[..]))))
        })
    }

    /// The client is a segment of the path that the layer sees, percent-decoded: of `/acme/pages`, segment 0 is `acme`. A request without
    /// the segment, or with an empty one, has no client.
    pub fn from_path_segment(index: usize) -> Self {
        Self::from_fn(move |request| {
            let path = request.uri.path();
            let segment = path.strip_prefix('/').unwrap_or(path).split('/').nth(index)?;
            (!segment.is_empty()).then(|| text(urlencoding::decode_binary(segment.as_bytes())))
        })
    }

    /// The client is what `client` returns. With `None`, the request has none. If it panics, the service does.
    pub fn from_fn<C: Into<Arc<str>>>(client: impl Fn(&request::Parts) -> Option<C> + Send + Sync + 'static) -> Self {
        Self { client: Arc::new(move |request| client(request).map(Into::into)) }
    }
}

impl fmt::Debug for ClientScopeLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScopeLayer").finish_non_exhaustive()
    }
}

impl<S> Layer<S> for ClientScopeLayer {
    type Service = ClientScoped<S>;

    fn layer(&self, service: S) -> ClientScoped<S> {
        ClientScoped { client: Arc::clone(&self.client), service }
    }
}

/// The name of a client by a part of a request: the part itself. One that is no text, or begins with NUL, is encoded after a NUL.
fn text(bytes: Cow<'_, [u8]>) -> String {
    match String::from_utf8(bytes.into_owned()) {
        Ok(text) if !text.starts_with('\0') => text,
        other => {
            let bytes = other.map_or_else(FromUtf8Error::into_bytes, String::into_bytes);
            format!("\0{}", urlencoding::encode_binary(&bytes))
        }
    }
}

/// A service whose requests have clients: what a [`ClientScopeLayer`] makes of it.
#[derive(Clone)]
pub struct ClientScoped<S> {
    client: Arc<Client>,
    service: S,
}

impl<S: fmt::Debug> fmt::Debug for ClientScoped<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScoped").field("service", &self.service).finish_non_exhaustive()
    }
}

impl<S, B, R> Service<Request<B>> for ClientScoped<S>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ClientScopedBody<R>>;
    type Error = S::Error;
    type Future = ClientScopedFuture<S::Future>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (parts, body) = request.into_parts();
        let scope = (self.client)(&parts).map_or_else(Change::here, Change::here_for);
        let request = Request::from_parts(parts, body);
        let future = scope.clone().around_sync(|| self.service.call(request));
        ClientScopedFuture { future: scope.clone().around(future), scope }
    }
}

/// Marks a response that was made for a client inside of it. A page cache around the layer does not know that client.
#[derive(Clone)]
pub(super) struct OfClient;

pin_project! {
    /// The answer of a [`ClientScoped`].
    #[must_use = "futures do nothing unless polled"]
    pub struct ClientScopedFuture<F> {
        #[pin]
        future: Scoped<F>,
        scope: Change,
    }
}

impl<F, R, E> Future for ClientScopedFuture<F>
where
    F: Future<Output = Result<Response<R>, E>>,
{
    type Output = Result<Response<ClientScopedBody<R>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.future.poll(context));
        Poll::Ready(answer.map(|mut answer| {
            answer.extensions_mut().insert(OfClient);
            answer.map(|body| ClientScopedBody { body: Some(body), scope: this.scope.clone() })
        }))
    }
}

impl<F> fmt::Debug for ClientScopedFuture<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScopedFuture").finish_non_exhaustive()
    }
}

pin_project! {
    /// The body of an answer of a [`ClientScoped`]. It is made for the client, as a stream may call cached functions.
    pub struct ClientScopedBody<B> {
        // `None` when it is dropped.
        #[pin]
        body: Option<B>,
        scope: Change,
    }

    impl<B> PinnedDrop for ClientScopedBody<B> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            this.scope.clone().around_sync(|| this.body.set(None));
        }
    }
}

impl<B: Body> Body for ClientScopedBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let this = self.project();
        match this.body.as_pin_mut() {
            Some(body) => this.scope.clone().around_sync(|| body.poll_frame(context)),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(B::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), B::size_hint)
    }
}

impl<B: Default> Default for ClientScopedBody<B> {
    /// A body that is made for no client. Layers that answer by themselves, such as timeouts, need it.
    fn default() -> Self {
        Self { body: Some(B::default()), scope: Change::here() }
    }
}

impl<B> fmt::Debug for ClientScopedBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientScopedBody").finish_non_exhaustive()
    }
}
