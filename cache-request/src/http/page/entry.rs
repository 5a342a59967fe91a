//! What is stored of pages: a response, or the list of the variants that a page has.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use ::http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{self, ETAG},
};
use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::{
    super::{
        rules::freshness::Freshness,
        wire::{self, Blob, Fields, Octets},
    },
    head::LastHead,
    purges::{Prefix, Purge, Purges},
};

/// What is stored under a key.
#[derive(Clone)]
pub(super) enum Entry {
    /// The response to all requests with this key.
    Page(Arc<Page>),
    /// The responses differ by fields of the request, and have keys of their own.
    Variants(Arc<Variants>),
    /// The purges by prefix of a layer.
    Purges(Arc<Purges>),
}

/// A stored response.
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    pub(super) freshness: Freshness,
    /// How long it is kept, counted from when it is stored: while it is fresh, and then to be validated.
    pub(super) kept_for: Duration,
    /// Whether its `ETag` is made here, so that the wrapped service does not know it.
    pub(super) has_generated_etag: bool,
    /// The newest purge by prefix from before it was asked for, if the layer looks at them.
    pub(super) last_purge: Option<u128>,
    /// Of its last hit.
    pub(super) head: LastHead,
}

impl Page {
    /// Its fields without what is generated here.
    pub(super) fn received_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        if self.has_generated_etag {
            headers.remove(ETAG);
        }
        headers
    }

    pub(super) fn generated_etag(&self) -> Option<&HeaderValue> {
        self.headers.get(ETAG).filter(|_| self.has_generated_etag)
    }

    /// Adds a generated `ETag`, if it has none.
    pub(super) fn with_etag(mut self, tag: HeaderValue) -> Self {
        if let header::Entry::Vacant(place) = self.headers.entry(ETAG) {
            place.insert(tag);
            self.has_generated_etag = true;
        }
        self
    }
}

/// The variants of a page, whose responses have a `Vary`.
#[derive(Clone, Default)]
pub(super) struct Variants {
    /// The `Vary` fields that its responses have had, the newest first. Each is sorted.
    pub(super) fields: VecDeque<Vec<HeaderName>>,
    /// The stored variants, the newest first.
    pub(super) stored: VecDeque<Variant>,
    pub(super) kept_for: Duration,
}

/// A stored variant, and the number in its key.
///
/// Each response gets a number of its own. One that comes too late, after an invalidation, is in no list and so is never found.
pub(super) type Variant = (Digest, u128);

/// A BLAKE3 hash of the selecting fields and their values in a request.
pub(super) type Digest = [u8; 32];

/// How many `Vary` fields of one page are remembered.
const MOST_FIELDS: usize = 4;

impl Variants {
    /// Adds a variant. Returns the numbers of those that it replaces, and of those that are too many now.
    pub(super) fn add(&mut self, fields: Vec<HeaderName>, variant: Variant, most: usize) -> Vec<u128> {
        self.fields.retain(|known| *known != fields);
        self.fields.push_front(fields);
        self.fields.truncate(MOST_FIELDS);
        let (replaced, mut stored): (VecDeque<_>, VecDeque<_>) =
            self.stored.drain(..).partition(|known| known.0 == variant.0);
        stored.push_front(variant);
        let oldest = stored.split_off(most.max(1).min(stored.len()));
        self.stored = stored;
        replaced.into_iter().chain(oldest).map(|(_, number)| number).collect()
    }
}

/// Bytes of an entry besides its body and headers, roughly.
const OVERHEAD: usize = 256;

impl Entry {
    pub(super) fn kept_for(&self) -> Duration {
        match self {
            Self::Page(page) => page.kept_for,
            Self::Variants(variants) => variants.kept_for,
            Self::Purges(_) => Duration::MAX,
        }
    }

    /// Bytes that it holds in memory.
    pub(super) fn weight(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Page(page) => {
                    let fields = page.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 64);
                    // Twice, as it keeps the header of its last hit as well.
                    page.body.len() + fields.sum::<usize>() * 2
                }
                Self::Variants(variants) => {
                    variants.stored.len() * size_of::<Variant>()
                        + variants.fields.iter().map(Vec::len).sum::<usize>() * 64
                }
                Self::Purges(purges) => {
                    let text = |prefix: &Prefix| prefix.0.as_ref().map_or(0, String::len) + prefix.1.len();
                    purges.0.iter().map(|(_, prefix)| size_of::<Purge>() + prefix.as_ref().map_or(0, text)).sum()
                }
            }
    }
}

type Stored = (u16, Fields, Blob, [u64; 6], u8, bool, Option<u128>);
type Listed = (Vec<Vec<String>>, Vec<Variant>, u64);

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Page(page) => {
                let (times, flags) = page.freshness.to_numbers();
                let [received, age, lifetime, revalidate, error] = times;
                let times = [received, age, lifetime, revalidate, error, millis(page.kept_for)];
                let (status, fields, body) = (page.status.as_u16(), wire::fields(&page.headers), Octets(&page.body));
                let stored = (status, fields, body, times, flags, page.has_generated_etag, page.last_purge);
                (Some(stored), None::<Listed>, None::<Vec<Purge>>).serialize(serializer)
            }
            Self::Variants(variants) => {
                let fields: Vec<Vec<_>> =
                    variants.fields.iter().map(|names| names.iter().map(HeaderName::as_str).collect()).collect();
                let listed = (fields, &variants.stored, millis(variants.kept_for));
                (None::<Stored>, Some(listed), None::<Vec<Purge>>).serialize(serializer)
            }
            Self::Purges(purges) => (None::<Stored>, None::<Listed>, Some(&purges.0)).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Entry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match <(Option<Stored>, Option<Listed>, Option<Vec<Purge>>)>::deserialize(deserializer)? {
            (Some((status, fields, body, times, flags, has_generated_etag, last_purge)), None, None) => {
                let headers = wire::read_fields(fields)?;
                let [received, age, lifetime, revalidate, error, kept_for] = times;
                Ok(Self::Page(Arc::new(Page {
                    status: StatusCode::from_u16(status).map_err(D::Error::custom)?,
                    headers,
                    body: body.0.into(),
                    freshness: Freshness::from_numbers([received, age, lifetime, revalidate, error], flags),
                    kept_for: Duration::from_millis(kept_for),
                    has_generated_etag,
                    last_purge,
                    head: LastHead::default(),
                })))
            }
            (None, None, Some(purges)) => Ok(Self::Purges(Arc::new(Purges(purges)))),
            (None, Some((fields, stored, kept_for)), None) => {
                let names = |names: Vec<String>| {
                    names.iter().map(|name| HeaderName::from_bytes(name.as_bytes())).collect::<Result<Vec<_>, _>>()
                };
                Ok(Self::Variants(Arc::new(Variants {
                    fields: fields.into_iter().map(names).collect::<Result<_, _>>().map_err(D::Error::custom)?,
                    stored: stored.into(),
                    kept_for: Duration::from_millis(kept_for),
                })))
            }
            _ => Err(D::Error::custom("neither a page nor variants nor purges")),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
