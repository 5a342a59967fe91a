//! The tags of the words, and how to read them.

/// The top byte of a value's first word. The documentation of [`key`](super) has the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Tag {
    /// Zero, so that a small number is its own word.
    Unsigned,
    Negative,
    WideUnsigned,
    WideNegative,
    Float,
    False,
    True,
    Unit,
    None,
    ShortText,
    Text,
    Bytes,
    Seq,
    Struct,
    Map,
    End,
    UnitVariant,
    NewtypeVariant,
    TupleVariant,
    StructVariant,
    /// The client. If present, it is a key's first word.
    Client,
    /// Further path segments of an own key. Its text follows.
    OwnPath,
    /// The text of an own key. Nothing follows.
    OwnText,
    /// An argument that is not part of the key. Its name is in the function's list all the same.
    LeftOut,
}

/// The bits that a word's payload has.
const PAYLOAD_BITS: u32 = 56;

/// The largest payload.
pub(super) const PAYLOAD: u64 = (1 << PAYLOAD_BITS) - 1;

/// The most bytes of a text that is one word with its length and its tag.
pub(super) const SHORT_TEXT: usize = 6;

/// The bits of a payload below a short text's length.
const SHORT_TEXT_BITS: u32 = 8 * SHORT_TEXT as u32;

impl Tag {
    const ALL: [Self; 24] = [
        Self::Unsigned,
        Self::Negative,
        Self::WideUnsigned,
        Self::WideNegative,
        Self::Float,
        Self::False,
        Self::True,
        Self::Unit,
        Self::None,
        Self::ShortText,
        Self::Text,
        Self::Bytes,
        Self::Seq,
        Self::Struct,
        Self::Map,
        Self::End,
        Self::UnitVariant,
        Self::NewtypeVariant,
        Self::TupleVariant,
        Self::StructVariant,
        Self::Client,
        Self::OwnPath,
        Self::OwnText,
        Self::LeftOut,
    ];

    /// This tag over `payload`, which must be at most [`PAYLOAD`].
    #[inline]
    pub(super) const fn with(self, payload: u64) -> u64 {
        debug_assert!(payload <= PAYLOAD);
        (self as u64) << PAYLOAD_BITS | payload
    }

    /// This tag alone.
    #[inline]
    pub(super) const fn word(self) -> u64 {
        self.with(0)
    }

    /// A text of at most [`SHORT_TEXT`] bytes.
    #[inline]
    pub(super) const fn short_text(length: usize, bytes: u64) -> u64 {
        Self::ShortText.with((length as u64) << SHORT_TEXT_BITS | bytes)
    }

    /// The tag of `word`, if it has one.
    #[inline]
    pub(super) fn of(word: u64) -> Option<Self> {
        Self::ALL.get((word >> PAYLOAD_BITS) as usize).copied()
    }
}

/// Takes words off the front of a key.
///
/// Every method returns `None` for words that no key has, and never panics.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    words: &'a [u64],
}

impl<'a> Reader<'a> {
    pub(super) const fn new(words: &'a [u64]) -> Self {
        Self { words }
    }

    /// The words that have not been read yet.
    pub(super) const fn rest(&self) -> &'a [u64] {
        self.words
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    pub(super) fn word(&mut self) -> Option<u64> {
        let (&word, rest) = self.words.split_first()?;
        self.words = rest;
        Some(word)
    }

    /// The next value's tag and payload.
    pub(super) fn tagged(&mut self) -> Option<(Tag, u64)> {
        let word = self.word()?;
        Some((Tag::of(word)?, word & PAYLOAD))
    }

    /// Takes the next word if it has `tag`. Returns its payload.
    pub(super) fn take(&mut self, tag: Tag) -> Option<u64> {
        let mut ahead = *self;
        let (found, payload) = ahead.tagged()?;
        (found == tag).then(|| {
            *self = ahead;
            payload
        })
    }

    /// The bytes that a tagged length announces.
    pub(super) fn bytes(&mut self, length: u64) -> Option<Bytes<'a>> {
        let length = usize::try_from(length).ok()?;
        let (words, rest) = self.words.split_at_checked(length.div_ceil(8))?;
        self.words = rest;
        Some(Bytes { words, length })
    }

    /// The bytes after `tag`, if that comes next.
    pub(super) fn tagged_bytes(&mut self, tag: Tag) -> Option<Bytes<'a>> {
        let length = self.take(tag)?;
        self.bytes(length)
    }

    /// A text of any length, if that comes next.
    pub(super) fn text(&mut self) -> Option<Bytes<'a>> {
        let words = self.words.get(..1)?;
        match self.take(Tag::ShortText) {
            Some(payload) => {
                Some(Bytes { words, length: (payload >> SHORT_TEXT_BITS).min(SHORT_TEXT as u64) as usize })
            }
            None => self.tagged_bytes(Tag::Text),
        }
    }
}

/// Bytes, eight to a word.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    words: &'a [u64],
    length: usize,
}

impl<'a> Bytes<'a> {
    pub(super) fn is_empty(self) -> bool {
        self.length == 0
    }

    pub(super) fn iter(self) -> impl Iterator<Item = u8> + Clone + use<'a> {
        self.words.iter().flat_map(|word| word.to_le_bytes()).take(self.length)
    }
}

/// The client that the words name, if they name one.
pub(super) fn client_of(words: &[u64]) -> Option<Vec<u8>> {
    Some(Reader::new(words).tagged_bytes(Tag::Client)?.iter().collect())
}

/// The number of words at the front of a key that name its client.
pub(super) fn client_words(words: &[u64]) -> usize {
    let mut reader = Reader::new(words);
    match reader.tagged_bytes(Tag::Client) {
        Some(_) => words.len() - reader.rest().len(),
        None => 0,
    }
}
