//! The tags of one value, as its function's attribute and its body name them.

use std::fmt::{self, Write};

use smallvec::SmallVec;

use crate::{Error, ErrorKind, base::panic::catch_panic, key::PooledText, store::tags::TagId};

/// How long a tag may be, in bytes.
pub(crate) const MOST_TAG_BYTES: usize = 256;
/// How many tags a value may have.
pub(crate) const MOST_TAGS: usize = 1000;

/// The tags of one value.
#[derive(Debug, Clone, Default)]
pub struct TagList {
    ids: SmallVec<[TagId; 2]>,
    /// The first thing that is wrong with them.
    wrong: Option<String>,
}

impl TagList {
    pub(crate) const NONE: Self = Self { ids: SmallVec::new_const(), wrong: None };

    /// The tags that `add` adds, which is the user's code.
    pub fn of(add: impl FnOnce(&mut Self)) -> Self {
        let mut list = Self::default();
        if catch_panic(|| add(&mut list)).is_none() {
            list.is_wrong(|| "making a tag panicked".to_owned());
        }
        list
    }

    /// Adds a tag. One that cannot be one keeps the value from being cached.
    pub fn add(&mut self, tag: fmt::Arguments<'_>) {
        match tag.as_str() {
            Some(tag) => self.add_name(tag),
            None => {
                let text = PooledText::of(|mut text| {
                    // A `String` takes all that is written.
                    let _ = text.write_fmt(tag);
                    text
                });
                self.add_name(&text);
            }
        }
    }

    pub(super) fn add_name(&mut self, name: &str) {
        match id_of(name) {
            Ok(id) => self.add_id(id),
            Err(wrong) => self.is_wrong(|| wrong),
        }
    }

    pub(super) fn append(&mut self, other: &Self) {
        other.ids.iter().for_each(|id| self.add_id(*id));
        if let Some(wrong) = &other.wrong {
            self.is_wrong(|| wrong.clone());
        }
    }

    pub(super) fn add_id(&mut self, id: TagId) {
        if self.ids.contains(&id) {
            return;
        }
        if self.ids.len() == MOST_TAGS {
            return self.is_wrong(|| format!("a value has more than {MOST_TAGS} tags"));
        }
        self.ids.push(id);
    }

    #[cold]
    fn is_wrong(&mut self, wrong: impl FnOnce() -> String) {
        self.wrong.get_or_insert_with(wrong);
    }

    /// Whether there are none, right or wrong.
    #[inline]
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.wrong.is_none()
    }

    /// The ids of the tags.
    pub(in crate::engine) fn ids(&self) -> Result<&[TagId], Error> {
        match &self.wrong {
            None => Ok(&self.ids),
            Some(wrong) => Err(Error::new(ErrorKind::Key, wrong.clone())),
        }
    }
}

/// The id of the tag that all values of a function have. No tag of a program has a zero byte.
pub(crate) fn id_of_function(path: &str) -> TagId {
    hash(&[b"function\0", path.as_bytes()])
}

/// The id of the tag that all values of a client have.
pub(crate) fn id_of_client(client: &[u8]) -> TagId {
    hash(&[b"client\0", client])
}

/// The id of a tag, or what is wrong with its name.
pub(crate) fn id_of(name: &str) -> Result<TagId, String> {
    if name.is_empty() {
        return Err("a tag is empty".to_owned());
    }
    if name.len() > MOST_TAG_BYTES {
        return Err(format!("a tag has {} bytes, and at most {MOST_TAG_BYTES} are allowed", name.len()));
    }
    if let Some(letter) = name.chars().find(|letter| letter.is_whitespace() || letter.is_control()) {
        return Err(format!("the tag {name:?} contains {letter:?}: a tag has no spaces and no control characters"));
    }
    Ok(hash(&[name.as_bytes()]))
}

fn hash(pieces: &[&[u8]]) -> TagId {
    let (mut hasher, mut id) = (blake3::Hasher::new(), [0; 8]);
    pieces.iter().for_each(|piece| _ = hasher.update(piece));
    hasher.finalize_xof().fill(&mut id);
    TagId(u64::from_le_bytes(id))
}
