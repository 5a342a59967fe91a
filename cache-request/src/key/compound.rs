//! What values are made of: elements, fields, and the entries of maps, which are put in order.

use serde::{
    Serialize,
    ser::{self, Error as _},
};

use super::{
    pool::Pooled,
    tag::Tag,
    words::Words,
    writer::{Unkeyable, Writer},
};

/// The elements or fields of one value, up to their `End`.
pub(super) struct Elements<'a> {
    words: &'a mut Words,
}

impl<'a> Elements<'a> {
    #[inline]
    pub(super) fn new(words: &'a mut Words) -> Self {
        Self { words }
    }

    #[inline]
    pub(super) fn element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unkeyable> {
        value.serialize(Writer::new(self.words))
    }

    #[inline]
    fn field<T: Serialize + ?Sized>(&mut self, name: &str, value: &T) -> Result<(), Unkeyable> {
        self.words.text(name);
        self.element(value)
    }

    #[inline]
    fn end(self) -> Result<(), Unkeyable> {
        self.words.push(Tag::End.word());
        Ok(())
    }
}

/// One of `serde`'s traits for compound values: they differ in the names of their methods only.
macro_rules! elements {
    ($($compound:ident::$method:ident($($name:ident)?) => $write:ident;)*) => {$(
        impl ser::$compound for Elements<'_> {
            type Ok = ();
            type Error = Unkeyable;

            #[inline]
            fn $method<T: Serialize + ?Sized>(
                &mut self,
                $($name: &'static str,)?
                value: &T,
            ) -> Result<(), Unkeyable> {
                self.$write($($name,)? value)
            }

            #[inline]
            fn end(self) -> Result<(), Unkeyable> {
                self.end()
            }
        }
    )*};
}

elements! {
    SerializeSeq::serialize_element() => element;
    SerializeTuple::serialize_element() => element;
    SerializeTupleStruct::serialize_field() => element;
    SerializeTupleVariant::serialize_field() => element;
    SerializeStruct::serialize_field(name) => field;
    SerializeStructVariant::serialize_field(name) => field;
}

/// The entries of one map, which are sorted at its end.
pub(super) struct Entries<'a> {
    words: &'a mut Words,
    /// Of each entry: where its key begins, where its value begins, and where it ends.
    marks: Pooled,
}

impl<'a> Entries<'a> {
    #[inline]
    pub(super) fn new(words: &'a mut Words) -> Self {
        Self { words, marks: Pooled::take() }
    }
}

impl ser::SerializeMap for Entries<'_> {
    type Ok = ();
    type Error = Unkeyable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unkeyable> {
        if !self.marks.len().is_multiple_of(3) {
            return Err(Unkeyable::custom("a map has a key without a value"));
        }
        self.marks.push(self.words.len() as u64);
        key.serialize(Writer::new(self.words))
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unkeyable> {
        if self.marks.len() % 3 != 1 {
            return Err(Unkeyable::custom("a map has a value without a key"));
        }
        self.marks.push(self.words.len() as u64);
        value.serialize(Writer::new(self.words))?;
        self.marks.push(self.words.len() as u64);
        Ok(())
    }

    fn end(mut self) -> Result<(), Unkeyable> {
        let (entries, unfinished) = self.marks.as_chunks_mut();
        if !unfinished.is_empty() {
            return Err(Unkeyable::custom("a map has a key without a value"));
        }
        sort_entries(self.words.as_mut_slice(), entries);
        self.words.push(Tag::End.word());
        Ok(())
    }
}

/// Sorts the entries at the end of `words` by the words of their keys; those of one key stay in order.
fn sort_entries(words: &mut [u64], entries: &mut [[u64; 3]]) {
    let Some(&[first, ..]) = entries.first() else { return };
    let key = |&[start, value, _]: &[u64; 3]| &words[start as usize..value as usize];
    if entries.is_sorted_by(|a, b| key(a) <= key(b)) {
        return;
    }
    // The unstable sort allocates nothing; where the entry began makes it a stable one.
    entries.sort_unstable_by(|a, b| (key(a), a).cmp(&(key(b), b)));
    let mut sorted = Pooled::take();
    for &[start, _, end] in &*entries {
        sorted.extend_from_slice(&words[start as usize..end as usize]);
    }
    words[first as usize..].copy_from_slice(&sorted);
}
