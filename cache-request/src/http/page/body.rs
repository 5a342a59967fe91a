//! Bodies of answers: stored bytes, a body that other requests read as well, or the body of the wrapped service.

#[cfg(all(test, shuttle))]
mod model;

use std::{
    collections::VecDeque,
    error::Error as StdError,
    fmt,
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, Waker},
};

use ::http::HeaderMap;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use super::super::wire::joined;
use crate::base::sync::{Mutex, lock};

/// The error of a body.
pub type BodyError = Box<dyn StdError + Send + Sync>;

/// The body of an answer from a [`CachePage`](super::CachePage).
///
/// It yields data frames of [`Bytes`], and the trailers of the wrapped service's body. It fails as that body fails.
pub struct PageBody(Kind);

enum Kind {
    /// No content, where the header may tell the length of another message.
    Nothing,
    /// Bytes that are complete.
    Whole(Option<Bytes>),
    Parts(VecDeque<Bytes>),
    Reader(Reader),
    Inner(Pin<Box<dyn Body<Data = Bytes, Error = BodyError> + Send>>),
}

impl PageBody {
    /// That of a 304. It tells no length, so that no layer or server writes a `Content-Length` of 0, which would be that of the page.
    pub(super) fn of_not_modified() -> Self {
        Self(Kind::Nothing)
    }

    pub(super) fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    pub(super) fn of(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes).filter(|bytes| !bytes.is_empty())))
    }

    /// Several pieces, one frame each.
    pub(super) fn of_parts(parts: impl IntoIterator<Item = Bytes>) -> Self {
        Self(Kind::Parts(parts.into_iter().filter(|part| !part.is_empty()).collect()))
    }

    pub(super) fn inner<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BodyError>,
    {
        Self(Kind::Inner(Box::pin(Errors(Box::pin(body)))))
    }

    /// A body that is read while it arrives. `None` if it is too large to be read from its beginning now.
    pub(super) fn reader(spool: &Arc<Spool>) -> Option<Self> {
        Some(Self(Kind::Reader(spool.reader()?)))
    }
}

impl Default for PageBody {
    /// An empty body.
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for PageBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PageBody").finish_non_exhaustive()
    }
}

impl Body for PageBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.0 {
            Kind::Nothing => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Kind::Parts(parts) => Poll::Ready(parts.pop_front().map(|part| Ok(Frame::data(part)))),
            Kind::Reader(reader) => reader.poll(context),
            Kind::Inner(body) => body.as_mut().poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Nothing => true,
            Kind::Whole(bytes) => bytes.is_none(),
            Kind::Parts(parts) => parts.is_empty(),
            Kind::Reader(_) => false,
            Kind::Inner(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Nothing => SizeHint::default(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Kind::Parts(parts) => SizeHint::with_exact(parts.iter().map(|part| part.len() as u64).sum()),
            Kind::Reader(reader) => reader.size_hint(),
            Kind::Inner(body) => body.size_hint(),
        }
    }
}

/// A body with boxed errors.
struct Errors<B>(Pin<Box<B>>);

impl<B: Body<Data = Bytes>> Body for Errors<B>
where
    B::Error: Into<BodyError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.0.as_mut().poll_frame(context).map(|frame| frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// A body that arrives and is read by several requests. Each reads it from its beginning.
///
/// It holds what has arrived, up to a limit. With more it *overflows*: no further request can begin to read it, and it takes more only
/// as fast as the slowest reader reads.
pub(super) struct Spool {
    hint: SizeHint,
    most: u64,
    state: Mutex<Arriving>,
}

#[derive(Default)]
struct Arriving {
    pieces: VecDeque<Piece>,
    /// How many pieces all readers have read, and that are gone.
    dropped: usize,
    /// Bytes of the pieces.
    held: u64,
    has_overflown: bool,
    end: Option<Result<(), Arc<str>>>,
    /// The next piece of each reader. `None` if the reader is gone.
    readers: Vec<Option<usize>>,
    waiting_readers: Vec<Waker>,
    waiting_writer: Option<Waker>,
}

#[derive(Clone)]
enum Piece {
    Data(Bytes),
    Trailers(HeaderMap),
}

impl Piece {
    fn len(&self) -> u64 {
        match self {
            Self::Data(data) => data.len() as u64,
            Self::Trailers(_) => 0,
        }
    }
}

impl Spool {
    /// A spool that holds `most` bytes.
    pub(super) fn new(hint: SizeHint, most: u64) -> Arc<Self> {
        Arc::new(Self { hint, most, state: Mutex::default() })
    }

    /// Adds what has arrived.
    pub(super) fn push(&self, frame: Frame<Bytes>) {
        let piece = match frame.into_data() {
            Ok(data) => Piece::Data(data),
            Err(frame) => match frame.into_trailers() {
                Ok(trailers) => Piece::Trailers(trailers),
                // There are no other frames.
                Err(_) => return,
            },
        };
        self.tell_readers(|arriving| {
            arriving.held += piece.len();
            arriving.has_overflown |= arriving.held > self.most;
            arriving.pieces.push_back(piece);
        });
    }

    /// No more comes: the body is complete, or has failed.
    pub(super) fn end(&self, end: Result<(), Arc<str>>) {
        self.tell_readers(|arriving| _ = arriving.end.get_or_insert(end));
    }

    fn tell_readers(&self, change: impl FnOnce(&mut Arriving)) {
        let wakers = {
            let mut arriving = lock(&self.state);
            change(&mut arriving);
            mem::take(&mut arriving.waiting_readers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until there is room for more. `false` if there is no reader left and the body cannot be stored.
    pub(super) async fn has_room(&self) -> bool {
        poll_fn(|context| {
            let mut arriving = lock(&self.state);
            if !arriving.has_overflown {
                return Poll::Ready(true);
            }
            arriving.drop_what_is_read();
            if arriving.readers.iter().all(Option::is_none) {
                return Poll::Ready(false);
            }
            if arriving.held <= self.most {
                return Poll::Ready(true);
            }
            arriving.waiting_writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Waits until no reader is left.
    pub(super) async fn until_unread(&self) {
        poll_fn(|context| {
            let mut arriving = lock(&self.state);
            if arriving.readers.iter().all(Option::is_none) {
                return Poll::Ready(());
            }
            arriving.waiting_writer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    /// Whether it is too large to be stored.
    pub(super) fn has_overflown(&self) -> bool {
        lock(&self.state).has_overflown
    }

    /// The whole body, if it has not overflown and has no trailers.
    pub(super) fn whole(&self) -> Option<Bytes> {
        let arriving = lock(&self.state);
        let data: Option<Vec<_>> = arriving
            .pieces
            .iter()
            .map(|piece| match piece {
                Piece::Data(data) => Some(data.clone()),
                Piece::Trailers(_) => None,
            })
            .collect();
        data.filter(|_| !arriving.has_overflown).map(joined)
    }

    /// `None` if the beginning may be gone.
    fn reader(self: &Arc<Self>) -> Option<Reader> {
        let mut arriving = lock(&self.state);
        if arriving.has_overflown {
            return None;
        }
        arriving.readers.push(Some(0));
        Some(Reader { spool: Arc::clone(self), number: arriving.readers.len() - 1, taken: 0 })
    }
}

impl Arriving {
    fn drop_what_is_read(&mut self) {
        let slowest = self.readers.iter().flatten().min().copied().unwrap_or(usize::MAX);
        while self.dropped < slowest
            && let Some(piece) = self.pieces.pop_front()
        {
            self.held -= piece.len();
            self.dropped += 1;
        }
    }
}

/// The place of one request in a [`Spool`].
struct Reader {
    spool: Arc<Spool>,
    number: usize,
    /// Bytes that it has read.
    taken: u64,
}

impl Reader {
    /// What is left of the body.
    fn size_hint(&self) -> SizeHint {
        let mut left = SizeHint::new();
        left.set_lower(self.spool.hint.lower().saturating_sub(self.taken));
        if let Some(most) = self.spool.hint.upper() {
            left.set_upper(most.saturating_sub(self.taken));
        }
        left
    }

    fn poll(&mut self, context: &Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut arriving = lock(&self.spool.state);
        let next = arriving.readers[self.number].unwrap_or_default();
        if let Some(piece) = arriving.pieces.get(next - arriving.dropped).cloned() {
            arriving.readers[self.number] = Some(next + 1);
            let writer = arriving.waiting_writer.take();
            drop(arriving);
            writer.into_iter().for_each(Waker::wake);
            self.taken += piece.len();
            return Poll::Ready(Some(Ok(match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })));
        }
        match &arriving.end {
            Some(Ok(())) => Poll::Ready(None),
            Some(Err(error)) => Poll::Ready(Some(Err(error.as_ref().into()))),
            None => {
                if !arriving.waiting_readers.iter().any(|known| known.will_wake(context.waker())) {
                    arriving.waiting_readers.push(context.waker().clone());
                }
                Poll::Pending
            }
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let mut arriving = lock(&self.spool.state);
        arriving.readers[self.number] = None;
        let writer = arriving.waiting_writer.take();
        drop(arriving);
        writer.into_iter().for_each(Waker::wake);
    }
}
