//! What a type's `Deserialize` asks for: its shape, as far as that can be told without a value.
//!
//! The type's own `Deserialize` is run on a [`Deserializer`] that notes what it is asked for, and that answers with the
//! simplest value that lets it go on. A run sees one variant of each enum, and ends where an answer is refused; so there are
//! several runs, each with other answers where the last one ended, until none is left to be tried.
//!
//! What a `Deserialize` finds out by looking at the data stays unseen: the insides of `flatten`, of untagged enums and of
//! those with their tag inside, and what is written by hand. Whatever it does, a panic included, ends the run there, and
//! does so in every process alike.
//!
//! A type that asks what the data is may take it for something else than what was written: it is doubtful, and so is one that
//! was not seen to its end.

use std::{
    any::type_name,
    collections::{HashMap, HashSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use serde::{
    Deserializer,
    de::{
        self, DeserializeOwned, DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess,
        Visitor,
    },
};

/// How deep, and how long, a type is followed. What lies beyond is taken to be alike.
const MOST_DEPTH: usize = 64;
const MOST_STEPS: usize = 1 << 16;
const MOST_RUNS: usize = 1 << 12;

/// Texts and bytes to try on a type that refuses empty ones.
const TEXTS: [&str; 14] = [
    "",
    "1",
    "127.0.0.1",
    "::1",
    "127.0.0.1:1",
    "[::1]:1",
    "00000000-0000-4000-8000-000000000000",
    "2000-01-01T00:00:00Z",
    "2000-01-01T00:00:00",
    "2000-01-01",
    "00:00:00",
    "1.0.0",
    "http://localhost/",
    "UTC",
];
const BYTES: [&[u8]; 2] = [&[], &[0; 16]];

/// Adds the shape of `V` to what `hasher` has seen, and says whether it is doubtful that a value comes back as it went.
pub(super) fn trace<V: DeserializeOwned>(hasher: &mut blake3::Hasher) -> bool {
    let mut notes = Notes {
        hasher,
        answers: HashMap::new(),
        within: Vec::new(),
        explored: HashSet::new(),
        steps: 0,
        more: true,
        changed: false,
        doubtful: false,
    };
    let mut ended = false;
    for _ in 0..MOST_RUNS {
        if !notes.more {
            break;
        }
        (notes.more, notes.changed) = (false, false);
        notes.within.clear();
        notes.explored.clear();
        let run = catch_unwind(AssertUnwindSafe(|| V::deserialize(Tracer { notes: &mut notes, depth: 0 }).is_ok()));
        ended = run.unwrap_or(false);
        notes.write(if ended { "end" } else { "stop" });
        notes.turn();
    }
    notes.doubtful || notes.more || !ended
}

struct Notes<'a> {
    hasher: &'a mut blake3::Hasher,
    answers: HashMap<Place, Answer>,
    /// The named types that this run is in the midst of.
    within: Vec<&'static str>,
    /// The enums of which this run has taken a variant whose turn it was, and how many turns they have.
    explored: HashSet<(Place, usize)>,
    steps: usize,
    /// There is something left to try in another run.
    more: bool,
    /// This run's failure has led to another answer already.
    changed: bool,
    /// Something asked what the data is, or was passed over without having been seen to its end.
    doubtful: bool,
}

/// A type, known by its visitor, what of it, and the named type it stands in, where that matters.
type Place = (&'static str, &'static str, &'static str);

#[derive(Default)]
struct Answer {
    /// Which one is next.
    next: usize,
    /// The first that was good.
    good: Option<usize>,
    /// Some were refused, perhaps for want of a good one further down.
    refused: bool,
}

impl Notes<'_> {
    fn write(&mut self, what: &str) {
        self.hasher.update(&(what.len() as u64).to_le_bytes()).update(what.as_bytes());
    }

    fn write_all(&mut self, names: &[&str]) {
        self.hasher.update(&(names.len() as u64).to_le_bytes());
        names.iter().for_each(|name| self.write(name));
    }

    /// Which of the `count` answers at `place` is due.
    fn due(&self, place: Place) -> usize {
        self.answers.get(&place).map_or(0, |answer| answer.next)
    }

    /// The answer at `place` was refused: the next run tries the next one, unless it has another one to try already.
    fn refused(&mut self, place: Place, count: usize) {
        let answer = self.answers.entry(place).or_default();
        if !self.changed && answer.next + 1 < count {
            answer.next += 1;
            (self.more, self.changed) = (true, true);
        }
    }

    /// What is at `place` was refused, and is left out from now on. Unless that is because it is the very type it stands in,
    /// nobody has seen all of it.
    fn left_out(&mut self, place: Place, why: Stop) {
        self.doubtful |= !self.changed && why == Stop::Refused;
        self.refused(place, 2);
    }

    /// Ends a run: it is the next variants' turn. If there is another answer to try, it is tried with the same ones first, for
    /// it may be their contents' wherever those stand.
    fn turn(&mut self) {
        if self.changed {
            return;
        }
        for (place, variants) in self.explored.drain() {
            let answer = self.answers.entry(place).or_default();
            answer.next += 1;
            let turns = if answer.refused { 2 } else { 1 };
            self.more |= answer.next < variants * turns;
        }
    }

    /// The named type that this run is in.
    fn innermost(&self) -> &'static str {
        self.within.last().copied().unwrap_or_default()
    }
}

/// The deserialiser that asks back.
struct Tracer<'a, 'n> {
    notes: &'a mut Notes<'n>,
    depth: usize,
}

impl<'n> Tracer<'_, 'n> {
    fn note(&mut self, what: &str) -> Result<(), Stop> {
        self.notes.steps += 1;
        self.notes.write(what);
        if self.depth < MOST_DEPTH && self.notes.steps < MOST_STEPS { Ok(()) } else { Err(Stop::Refused) }
    }

    fn inner(&mut self) -> Tracer<'_, 'n> {
        Tracer { notes: self.notes, depth: self.depth + 1 }
    }

    /// Gives the first of `count` answers that is not refused.
    fn attempt<V, T>(
        self,
        of: &'static str,
        count: usize,
        visit: impl FnOnce(usize) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let place = (type_name::<V>(), of, "");
        let result = visit(self.notes.due(place));
        if result.is_err() {
            self.notes.refused(place, count);
        }
        result
    }

    /// Gives an inside, unless it is refused: then none. A type that is refused within itself is not for that refused
    /// elsewhere.
    fn perhaps<V, T>(
        mut self,
        of: &'static str,
        visit: impl FnOnce(Tracer<'_, 'n>, bool) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let place = (type_name::<V>(), of, self.notes.innermost());
        let full = self.notes.due(place) == 0;
        let result = visit(self.inner(), full);
        if let (Err(why), true) = (&result, full) {
            self.notes.left_out(place, *why);
        }
        result
    }

    /// Goes into a type that may contain itself, though not twice.
    fn enter<V, T>(mut self, visit: impl FnOnce(Tracer<'_, 'n>) -> Result<T, Stop>) -> Result<T, Stop> {
        let name = type_name::<V>();
        if self.notes.within.contains(&name) {
            return Err(Stop::Within);
        }
        self.notes.within.push(name);
        let result = visit(self.inner());
        self.notes.within.pop();
        result
    }

    fn elements<'de, V: Visitor<'de>>(mut self, count: usize, visitor: V) -> Result<V::Value, Stop> {
        self.notes.hasher.update(&(count as u64).to_le_bytes());
        visitor.visit_seq(Elements { tracer: self.inner(), left: count })
    }

    fn fields<'de, V: Visitor<'de>>(mut self, fields: &'static [&'static str], visitor: V) -> Result<V::Value, Stop> {
        self.notes.write_all(fields);
        let of = type_name::<V>();
        let mut access = Fields { tracer: self.inner(), of, left: fields, given: None };
        let result = visitor.visit_map(&mut access);
        // A field whose value nobody asked for is one too many: another name of an earlier one.
        if let (Err(_), Some(field)) = (&result, access.given) {
            self.notes.refused((of, field, ""), 2);
        }
        result
    }
}

macro_rules! scalars {
    ($($method:ident: $visit:ident($($value:expr)?)),*) => {
        $(fn $method<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
            self.note(stringify!($method))?;
            visitor.$visit($($value)?)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_, '_> {
    type Error = Stop;

    scalars! {
        deserialize_ignored_any: visit_unit(), deserialize_unit: visit_unit(),
        deserialize_bool: visit_bool(true), deserialize_char: visit_char('1'),
        deserialize_i8: visit_i8(1), deserialize_i16: visit_i16(1), deserialize_i32: visit_i32(1),
        deserialize_i64: visit_i64(1), deserialize_i128: visit_i128(1),
        deserialize_u8: visit_u8(1), deserialize_u16: visit_u16(1), deserialize_u32: visit_u32(1),
        deserialize_u64: visit_u64(1), deserialize_u128: visit_u128(1),
        deserialize_f32: visit_f32(1.0), deserialize_f64: visit_f64(1.0), deserialize_identifier: visit_str("")
    }

    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("any")?;
        self.notes.doubtful = true;
        visitor.visit_unit()
    }

    fn deserialize_str<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("text")?;
        self.attempt::<V, _>("text", TEXTS.len(), |nth| visitor.visit_str(TEXTS[nth]))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_str(visitor)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("bytes")?;
        self.attempt::<V, _>("bytes", BYTES.len(), |nth| visitor.visit_bytes(BYTES[nth]))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Stop> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("option")?;
        self.perhaps::<V, _>(
            "option",
            |inner, full| if full { visitor.visit_some(inner) } else { visitor.visit_none() },
        )
    }

    fn deserialize_seq<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("seq")?;
        self.perhaps::<V, _>("seq", |inner, full| inner.elements(full.into(), visitor))
    }

    fn deserialize_map<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Stop> {
        self.note("map")?;
        self.perhaps::<V, _>("map", |inner, full| visitor.visit_map(Elements { tracer: inner, left: full.into() }))
    }

    fn deserialize_tuple<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.note("tuple")?;
        self.elements(len, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.note("unit struct")?;
        self.notes.write(name);
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Stop> {
        self.note("newtype")?;
        self.notes.write(name);
        self.enter::<V, _>(|inner| visitor.visit_newtype_struct(inner))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.note("tuple struct")?;
        self.notes.write(name);
        self.enter::<V, _>(|inner| inner.elements(len, visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.note("struct")?;
        self.notes.write(name);
        self.enter::<V, _>(|inner| inner.fields(fields, visitor))
    }

    /// Each run takes the next variant, and those that were refused once more when a good one is known. Within itself, an
    /// enum is that good one.
    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.note("enum")?;
        self.notes.write(name);
        self.notes.write_all(variants);
        let place = (type_name::<V>(), "variants", "");
        let nested = self.notes.within.contains(&place.0);
        let answer = self.notes.answers.entry(place).or_default();
        let due = answer.next;
        let turns = if answer.refused { 2 } else { 1 };
        let explores = !nested && due < variants.len() * turns;
        let variant = if explores { due % variants.len() } else { answer.good.ok_or(Stop::Within)? };

        let changed = self.notes.changed;
        self.notes.within.push(place.0);
        let result = visitor.visit_enum(Variant { tracer: self.inner(), name: variants[variant] });
        self.notes.within.pop();

        let changed = changed != self.notes.changed;
        // Its second turn, and still nobody has seen all of it.
        self.notes.doubtful |= result.is_err() && explores && !changed && due >= variants.len();
        let answer = self.notes.answers.entry(place).or_default();
        match result {
            Ok(_) => _ = answer.good.get_or_insert(variant),
            Err(_) => answer.refused = true,
        }
        if explores {
            self.notes.explored.insert((place, variants.len()));
        }
        result
    }

    /// As the codec's own is.
    fn is_human_readable(&self) -> bool {
        true
    }
}

/// So many elements, or entries.
struct Elements<'a, 'n> {
    tracer: Tracer<'a, 'n>,
    left: usize,
}

impl Elements<'_, '_> {
    fn next<'de, T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        seed.deserialize(self.tracer.inner()).map(Some)
    }
}

impl<'de> SeqAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Stop> {
        self.next(seed)
    }
}

impl<'de> MapAccess<'de> for Elements<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.next(seed)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        seed.deserialize(self.tracer.inner())
    }
}

/// The fields of a struct, but for those whose values were refused.
struct Fields<'a, 'n> {
    tracer: Tracer<'a, 'n>,
    of: &'static str,
    left: &'static [&'static str],
    /// The field whose value is to be asked for next.
    given: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_, '_> {
    type Error = Stop;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Stop> {
        self.given = None;
        while let [field, left @ ..] = self.left {
            self.left = left;
            if self.tracer.notes.due((self.of, field, "")) == 0 {
                self.given = Some(field);
                return seed.deserialize((*field).into_deserializer()).map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Stop> {
        let field = self.given.take().ok_or(Stop::Refused)?;
        self.tracer.notes.write(field);
        let result = seed.deserialize(self.tracer.inner());
        // What is within itself is known when its enum has its second turn.
        if let Err(why @ Stop::Refused) = result {
            self.tracer.notes.left_out((self.of, field, ""), why);
        }
        result
    }
}

struct Variant<'a, 'n> {
    tracer: Tracer<'a, 'n>,
    name: &'static str,
}

impl<'de, 'a, 'n> EnumAccess<'de> for Variant<'a, 'n> {
    type Error = Stop;
    type Variant = Tracer<'a, 'n>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), Stop> {
        self.tracer.notes.write(self.name);
        Ok((seed.deserialize(self.name.into_deserializer())?, self.tracer))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_, '_> {
    type Error = Stop;

    fn unit_variant(mut self) -> Result<(), Stop> {
        self.note("unit variant")
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(mut self, seed: T) -> Result<T::Value, Stop> {
        self.note("newtype variant")?;
        seed.deserialize(self.inner())
    }

    fn tuple_variant<V: Visitor<'de>>(mut self, len: usize, visitor: V) -> Result<V::Value, Stop> {
        self.note("tuple variant")?;
        self.elements(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        mut self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Stop> {
        self.note("struct variant")?;
        self.fields(fields, visitor)
    }
}

/// The run ends here. What a type says about it may differ from process to process, so it is not noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    /// The type stands within itself, and is being seen already.
    Within,
    /// The type takes no answer.
    Refused,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no more is known of the type's shape")
    }
}

impl std::error::Error for Stop {}

impl de::Error for Stop {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self::Refused
    }
}
