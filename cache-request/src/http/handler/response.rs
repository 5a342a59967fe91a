//! Whole responses.

use std::{
    borrow::Cow,
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use ::axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use ::http::{
    HeaderMap, StatusCode,
    header::{SET_COOKIE, VARY},
};
use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::super::{
    page::PageTimeout,
    rules::{directives::Directives, lists::members},
    wire::{self, Blob, Fields, Octets},
};
use crate::{
    Error, ErrorKind,
    attribute::answer::{Answer, Completing, IntoAnswer},
    engine::value::ValueOf,
};

/// What is cached of a whole response, for `when`, `timeout_with` and `weight`. A clone shares the body.
#[derive(Debug, Clone)]
pub struct StoredResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    page_timeout: Option<PageTimeout>,
}

impl StoredResponse {
    /// The status code.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The header fields.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The complete body.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }
}

/// Marks a response whose body has been read to its end.
#[derive(Clone)]
struct Complete(Bytes);

impl ValueOf<Response> for StoredResponse {
    const READ_BY_AWAITING: bool = true;

    fn of(_: &Response) -> Result<Option<Cow<'_, Self>>, Error> {
        Err(unreadable())
    }

    fn from_answer(answer: Response) -> Result<Self, Response> {
        let Some(Complete(body)) = answer.extensions().get().cloned() else { return Err(answer) };
        let (head, _) = answer.into_parts();
        let page_timeout = head.extensions.get().copied();
        Ok(Self { status: head.status, headers: head.headers, body, page_timeout })
    }

    fn into_answer(self) -> Response {
        let mut response = Response::new(Body::from(self.body));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if let Some(timeout) = self.page_timeout {
            response.extensions_mut().insert(timeout);
        }
        response
    }
}

impl<E> ValueOf<Result<Response, E>> for StoredResponse {
    const READ_BY_AWAITING: bool = true;

    fn of(answer: &Result<Response, E>) -> Result<Option<Cow<'_, Self>>, Error> {
        if answer.is_ok() { Err(unreadable()) } else { Ok(None) }
    }

    fn from_answer(answer: Result<Response, E>) -> Result<Self, Result<Response, E>> {
        match answer {
            Ok(response) => Self::from_answer(response).map_err(Ok),
            Err(error) => Err(Err(error)),
        }
    }

    fn has_failed(answer: &Result<Response, E>) -> bool {
        answer.is_err()
    }

    fn into_answer(self) -> Result<Response, E> {
        Ok(self.into_answer())
    }
}

fn unreadable() -> Error {
    Error::new(
        ErrorKind::Config,
        "a response cannot be put, as its body can be read once only: call `refresh`, which runs the handler",
    )
}

impl Answer for Response {
    type Value = StoredResponse;

    fn may_be_kept(value: &StoredResponse, statuses: &'static [u16]) -> bool {
        may_be_kept(value.status, statuses)
    }

    fn may_be_shared(value: &StoredResponse, fields: &'static [&'static str]) -> bool {
        may_be_shared(value.status, &value.headers, fields)
    }

    fn has_failed(answer: &Self) -> bool {
        answer.status().is_server_error()
    }

    /// A body of unknown length, one that is too long, and an upgraded connection pass through.
    async fn complete(body: impl Future<Output = Self>, call: Completing) -> Self {
        let (mut head, mut body) = body.await.into_parts();
        // It may be of another cached handler whose response this one has changed.
        head.extensions.remove::<Complete>();
        let most = call.max_value_bytes::<StoredResponse>().map_or(0, |bytes| u64::try_from(bytes).unwrap_or(u64::MAX));
        let is_short = body.size_hint().exact().is_some_and(|length| length <= most);
        if !is_short || head.status == StatusCode::SWITCHING_PROTOCOLS {
            call.count_uncached::<StoredResponse>();
            return Response::from_parts(head, body);
        }
        match read(&mut body).await {
            Ok(bytes) => {
                head.extensions.insert(Complete(bytes.clone()));
                Response::from_parts(head, Body::from(bytes))
            }
            Err(read) => {
                call.count_uncached::<StoredResponse>();
                Response::from_parts(head, Body::new(Replayed { read, rest: body }))
            }
        }
    }
}

impl<R: IntoResponse> IntoAnswer for R {
    fn into_answer(self) -> Response {
        self.into_response()
    }
}

/// Whether a response with this status may be cached. Without status codes, those below 400 are.
pub(super) fn may_be_kept(status: StatusCode, statuses: &[u16]) -> bool {
    let by_default = (200..400).contains(&status.as_u16());
    if statuses.is_empty() { by_default } else { statuses.contains(&status.as_u16()) }
}

/// Statuses that answer a condition or a range of one request.
const OF_ONE_REQUEST: [StatusCode; 4] = [
    StatusCode::PARTIAL_CONTENT,
    StatusCode::NOT_MODIFIED,
    StatusCode::PRECONDITION_FAILED,
    StatusCode::RANGE_NOT_SATISFIABLE,
];

/// Whether a response may answer other requests with its key, which has these header fields: as far as its status and header fields say.
pub(super) fn may_be_shared(status: StatusCode, headers: &HeaderMap, fields: &[&str]) -> bool {
    let directives = Directives::of_response(headers);
    let is_keyed = |name: &[u8]| fields.iter().any(|field| field.as_bytes().eq_ignore_ascii_case(name));
    !OF_ONE_REQUEST.contains(&status)
        && !headers.contains_key(SET_COOKIE)
        && !directives.no_store
        && directives.no_cache.is_none()
        && directives.private.is_none()
        && members(headers, &VARY).all(is_keyed)
}

type Frames = VecDeque<Result<Frame<Bytes>, ::axum::Error>>;

/// The bytes of a body, or the frames that were read of one that fails or has trailers.
async fn read(body: &mut Body) -> Result<Bytes, Frames> {
    let mut frames = Frames::new();
    while let Some(frame) = body.frame().await {
        let is_data = frame.as_ref().is_ok_and(Frame::is_data);
        frames.push_back(frame);
        if !is_data {
            return Err(frames);
        }
    }
    Ok(wire::joined(frames.into_iter().filter_map(|frame| frame.ok()?.into_data().ok()).collect()))
}

/// A body of which the first frames have been read.
struct Replayed {
    read: Frames,
    rest: Body,
}

impl http_body::Body for Replayed {
    type Data = Bytes;
    type Error = ::axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, ::axum::Error>>> {
        match self.read.pop_front() {
            Some(frame) => Poll::Ready(Some(frame)),
            None => Pin::new(&mut self.rest).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let data = self.read.iter().filter_map(|frame| frame.as_ref().ok()?.data_ref());
        let read = data.map(|data| data.len() as u64).sum::<u64>();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(read.saturating_add(rest.lower()));
        if let Some(upper) = rest.upper() {
            hint.set_upper(read.saturating_add(upper));
        }
        hint
    }
}

impl Serialize for StoredResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let page_timeout = self.page_timeout.map(|timeout| timeout.0);
        (self.status.as_u16(), wire::fields(&self.headers), Octets(&self.body), page_timeout).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for StoredResponse {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (status, fields, body, page_timeout) = <(u16, Fields, Blob, Option<Duration>)>::deserialize(deserializer)?;
        Ok(Self {
            status: StatusCode::from_u16(status).map_err(D::Error::custom)?,
            headers: wire::read_fields(fields)?,
            body: body.0.into(),
            page_timeout: page_timeout.map(PageTimeout),
        })
    }
}
