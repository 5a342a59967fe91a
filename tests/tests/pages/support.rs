//! A scripted service, and a [`CachePage`] around it on a mock clock.

use std::{
    collections::{HashMap, VecDeque},
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use cache_request::{
    Backend, Cache, Clock, Error, MockClock,
    http::{BodyError, CachePage, CachedPages, PageBody},
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, request::Parts};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::{Semaphore, mpsc};
use tower_layer::Layer;
use tower_service::Service;

/// The error of the scripted service.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the service has failed")
    }
}

impl std::error::Error for Failed {}

/// Lets through what waits at it, one for each time that it is opened.
#[derive(Clone)]
pub(super) struct Gate(Arc<Semaphore>);

impl Gate {
    pub(super) fn closed() -> Self {
        Self(Arc::new(Semaphore::new(0)))
    }

    pub(super) fn open(&self, times: usize) {
        self.0.add_permits(times);
    }

    pub(super) async fn pass(&self) {
        self.0.acquire().await.expect("it is never closed for good").forget();
    }
}

type Item = Result<Frame<Bytes>, BodyError>;

/// The body of a scripted response.
pub(super) enum Script {
    Fixed(VecDeque<Item>, SizeHint),
    /// Frames that are made when they are taken.
    Made(Box<dyn Iterator<Item = Item> + Send>),
    /// Polled as the test says.
    Polled(Box<dyn FnMut() -> Poll<Option<Item>> + Send>),
    /// What the test sends.
    Sent(mpsc::UnboundedReceiver<Item>),
    /// Another one that tells its length.
    Hinted(Box<Script>, SizeHint),
}

impl Script {
    pub(super) fn text(text: impl Into<Bytes>) -> Self {
        let text = text.into();
        let hint = SizeHint::with_exact(text.len() as u64);
        Self::Fixed([Ok(Frame::data(text))].into(), hint)
    }

    /// Frames of unknown length.
    pub(super) fn frames(frames: impl IntoIterator<Item = Item>) -> Self {
        Self::Fixed(frames.into_iter().collect(), SizeHint::default())
    }

    pub(super) fn sent() -> (mpsc::UnboundedSender<Item>, Self) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (sender, Self::Sent(receiver))
    }
}

pub(super) fn data(text: &'static str) -> Item {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

impl Body for Script {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Item>> {
        match &mut *self {
            Self::Fixed(frames, _) => Poll::Ready(frames.pop_front()),
            Self::Made(frames) => Poll::Ready(frames.next()),
            Self::Polled(poll) => poll(),
            Self::Sent(receiver) => receiver.poll_recv(context),
            Self::Hinted(script, _) => Pin::new(&mut **script).poll_frame(context),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Fixed(_, hint) | Self::Hinted(_, hint) => *hint,
            Self::Made(_) | Self::Polled(_) | Self::Sent(_) => SizeHint::default(),
        }
    }
}

type Answering = Pin<Box<dyn Future<Output = Result<Response<Script>, Failed>> + Send>>;

/// A service that answers from a closure, and keeps what it was asked.
#[derive(Clone)]
pub(super) struct Origin {
    respond: Arc<dyn Fn(Parts, usize) -> Answering + Send + Sync>,
    seen: Arc<Mutex<Vec<Parts>>>,
}

impl Origin {
    /// It answers at once. The closure gets the request, and the number of those before it.
    pub(super) fn new(respond: impl Fn(&Parts, usize) -> Response<Script> + Send + Sync + 'static) -> Self {
        Self::later(move |parts, number| {
            let response = respond(&parts, number);
            async { Ok(response) }
        })
    }

    pub(super) fn later<F>(respond: impl Fn(Parts, usize) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Response<Script>, Failed>> + Send + 'static,
    {
        Self { respond: Arc::new(move |parts, number| Box::pin(respond(parts, number))), seen: Arc::default() }
    }

    /// One where the requests that `waits` is true of, by their number, pass a gate before they are answered.
    pub(super) fn gated(
        gate: &Gate,
        waits: impl Fn(usize) -> bool + Send + Sync + 'static,
        respond: impl Fn(&Parts, usize) -> Result<Response<Script>, Failed> + Send + Sync + 'static,
    ) -> Self {
        let (gate, respond) = (gate.clone(), Arc::new(respond));
        Self::later(move |parts, number| {
            let (gate, respond, waits) = (gate.clone(), Arc::clone(&respond), waits(number));
            async move {
                if waits {
                    gate.pass().await;
                }
                respond(&parts, number)
            }
        })
    }

    /// How many requests have reached it.
    pub(super) fn count(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub(super) fn last(&self) -> Parts {
        self.seen.lock().unwrap().last().expect("a request has reached the service").clone()
    }
}

impl<B: Send + 'static> Service<Request<B>> for Origin {
    type Response = Response<Script>;
    type Error = Failed;
    type Future = Answering;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failed>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Answering {
        let (parts, _) = request.into_parts();
        let number = {
            let mut seen = self.seen.lock().unwrap();
            seen.push(parts.clone());
            seen.len() - 1
        };
        (self.respond)(parts, number)
    }
}

/// A response with these fields.
pub(super) fn response(status: u16, fields: &[(&str, &str)], body: Script) -> Response<Script> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).unwrap();
    *response.headers_mut() = fields_of(fields);
    response
}

/// A response of 200.
pub(super) fn ok(fields: &[(&str, &str)], text: impl Into<Bytes>) -> Response<Script> {
    response(200, fields, Script::text(text))
}

pub(super) const FRESH: (&str, &str) = ("cache-control", "max-age=60");

/// A service that numbers its responses. They are fresh for a minute, and have these fields as well.
pub(super) fn numbered(fields: &'static [(&'static str, &'static str)]) -> Origin {
    Origin::new(move |_, number| {
        let fields: Vec<_> = fields.iter().copied().chain([FRESH]).collect();
        ok(&fields, format!("response {number}"))
    })
}

pub(super) fn fields_of(fields: &[(&str, &str)]) -> HeaderMap {
    let fields = fields.iter().map(|(name, value)| {
        (HeaderName::try_from(*name).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    });
    let mut headers = HeaderMap::new();
    fields.for_each(|(name, value)| _ = headers.append(name, value));
    headers
}

pub(super) fn request(method: Method, target: &str, fields: &[(&str, &str)]) -> Request<String> {
    let mut request = Request::new(String::new());
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    *request.headers_mut() = fields_of(fields);
    if !request.headers().contains_key("host") {
        request.headers_mut().insert("host", HeaderValue::from_static("example.com"));
    }
    request
}

/// What a client gets.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    /// All of the body, or its error.
    pub(super) body: Result<String, String>,
    pub(super) trailers: Option<HeaderMap>,
}

impl Answer {
    pub(super) async fn of(response: Response<PageBody>) -> Self {
        let (head, body) = response.into_parts();
        let (body, trailers) = match body.collect().await {
            Ok(body) => {
                let trailers = body.trailers().cloned();
                (Ok(String::from_utf8(body.to_bytes().to_vec()).unwrap()), trailers)
            }
            Err(error) => (Err(error.to_string()), None),
        };
        Self { status: head.status.as_u16(), headers: head.headers, body, trailers }
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub(super) fn text(&self) -> &str {
        self.body.as_ref().expect("the body is complete")
    }

    /// What the layer says of it.
    pub(super) fn cache_status(&self) -> &str {
        self.headers.get_all("cache-status").iter().next_back().expect("the layer says what it did").to_str().unwrap()
    }

    pub(super) fn is_hit(&self) -> bool {
        self.cache_status().contains("; hit")
    }
}

/// A layer around a scripted service, with a cache in memory on a mock clock.
#[derive(Clone)]
pub(super) struct Bench {
    pub(super) clock: MockClock,
    pub(super) cache: Cache,
    pub(super) origin: Origin,
    pub(super) pages: CachedPages<Origin>,
}

impl Bench {
    pub(super) fn new(origin: Origin) -> Self {
        Self::with(CachePage::new(), origin)
    }

    pub(super) fn with(layer: CachePage, origin: Origin) -> Self {
        let clock = Clock::mock();
        let cache = Cache::builder().clock(&clock).build().unwrap();
        let pages = layer.cache(&cache).layer(origin.clone());
        Self { clock, cache, origin, pages }
    }

    /// Sends a request. The body of the response waits to be read.
    pub(super) async fn open(&self, request: Request<String>) -> Result<Response<PageBody>, Failed> {
        self.pages.clone().call(request).await
    }

    /// Sends a request and reads the answer. What is to be stored is stored after it.
    pub(super) async fn send(&self, request: Request<String>) -> Answer {
        let answer = Answer::of(self.open(request).await.expect("the service answers")).await;
        settle().await;
        answer
    }

    pub(super) async fn get(&self, target: &str) -> Answer {
        self.get_with(target, &[]).await
    }

    pub(super) async fn get_with(&self, target: &str, fields: &[(&str, &str)]) -> Answer {
        self.send(request(Method::GET, target, fields)).await
    }

    pub(super) async fn post(&self, target: &str) -> Answer {
        self.send(request(Method::POST, target, &[])).await
    }

    /// Begins to send a request in a task of its own.
    pub(super) fn begin(&self, request: Request<String>) -> tokio::task::JoinHandle<Result<Answer, Failed>> {
        let bench = self.clone();
        tokio::spawn(async move {
            match bench.open(request).await {
                Ok(response) => Ok(Answer::of(response).await),
                Err(error) => Err(error),
            }
        })
    }

    pub(super) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Keeps bytes, and has no fences.
#[derive(Default)]
pub(super) struct Plain(pub(super) Mutex<HashMap<String, Vec<u8>>>);

impl Backend for Plain {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        Ok(self.0.lock().unwrap().get(key).cloned())
    }

    async fn set(&self, key: &str, value: &[u8], _: Option<Duration>) -> Result<(), Error> {
        self.0.lock().unwrap().insert(key.to_owned(), value.to_owned());
        Ok(())
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        Ok(self.0.lock().unwrap().remove(key).is_some())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.lock().unwrap().clear();
        Ok(())
    }
}

/// Lets all other tasks of this runtime of one thread run until they wait for something that does not come by itself.
pub(super) async fn settle() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}
