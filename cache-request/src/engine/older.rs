//! What memory has beyond its timeout: for a body to build on, and to stand in for one that fails.

use std::sync::Arc;

use super::{
    Engine,
    call::Call,
    found::{Miss, StandIn},
    reading::is_past,
    tagging::noted::ids_of,
    this_call::Older,
    value::ValueOf,
};
use crate::{
    base::{
        clock::unix_millis,
        panic::{PanicSafe, catch_panic},
        sync::interleave,
    },
    codec::{Opened, tags_in},
    stats::Count,
    store::{Freshness, Seen},
};

impl<R, V: ValueOf<R>> Call<'_, R, V> {
    pub(super) fn has_stand_ins(&self) -> bool {
        !self.policy.spans().stale_if_error.is_zero()
    }

    /// A miss, with what memory has for the body to build on, and to stand in for it if it fails.
    pub(super) fn missed_in_memory(&self, cause: Count) -> Miss<V> {
        if !self.policy.has_spans() {
            return cause.into();
        }
        let older = if self.policy.spans().leave_older() { self.older_in_memory() } else { None };
        Miss { stand_in: self.stand_in_of_memory(), older, ..cause.into() }
    }

    /// The older value in memory, which is read only if the body asks for it.
    pub(super) fn older_in_memory(&self) -> Option<Box<Older>> {
        interleave();
        let look = |_: &V, freshness: Freshness<'_>, Seen { stamps, .. }: Seen<'_>| {
            let is_fresh = match freshness {
                Freshness::Fresh | Freshness::Early(_) => true,
                Freshness::Stale(_) | Freshness::StandIn(_) => false,
                Freshness::Expired => return None,
            };
            let tags =
                stamps.map_or_else(Box::default, |stamps| stamps.as_slice().iter().map(|stamp| stamp.tag.id).collect());
            Some((is_fresh, tags))
        };
        let (table, clock) = (&self.function.table, &self.engine.clock);
        let older = table.look_closely(&self.lookup(), clock.coarse(), look)??;
        Some(Older::in_memory(older, Arc::clone(table), self.lookup(), clock.clone()))
    }

    /// The older value in the bytes of a backend, which are decoded only if the body asks for it.
    pub(super) fn older_in_backend(&self, bytes: Vec<u8>) -> Option<Box<Older>> {
        let (backend, codec) = self.backend().zip(self.policy.codec())?;
        let (open, type_info, text) = (codec.open, self.function.type_info(), String::from(&*self.text(backend)));
        let Engine { clock, envelope, .. } = self.engine;
        let (clock, envelope, spans) = (clock.clone(), envelope.clone(), *self.policy.spans());
        let tags = ids_of(&tags_in(&bytes));
        Some(Older::made_by(tags, move || {
            let now = unix_millis(clock.wall());
            let Opened { value, facts } = catch_panic(|| open(&bytes, type_info, &text, now, &envelope))?.ok()??;
            (is_past(&facts, now) && spans.standing(&facts, now).is_some()).then_some(value)
        }))
    }

    fn stand_in_of_memory(&self) -> Option<Box<StandIn<V>>> {
        if !self.has_stand_ins() {
            return None;
        }
        interleave();
        let look = |value: &V, freshness: Freshness<'_>, Seen { moments, stamps }: Seen<'_>| {
            let until = match freshness {
                Freshness::Fresh => moments.fresh_until,
                older => older.error_until()?,
            };
            let value = Arc::new(PanicSafe::new(self.clone_of(value)?));
            Some(Box::new(StandIn { value, stamps: stamps.cloned().unwrap_or_default(), until }))
        };
        self.function.table.look_closely(&self.lookup(), self.engine.clock.coarse(), look)?
    }
}
