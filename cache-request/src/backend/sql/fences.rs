//! Claims of several keys, and fenced values.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{
    backend::{SqlBackend, corrupt, new_row, owned, same, too_large},
    claims,
    statement::{Outcome, Row},
};
use crate::{
    Error, ErrorKind,
    backend::{Backend, Claim, ClaimKind, Claimed, Fence, Item, Right},
};

impl SqlBackend {
    /// Splits a batch into parts without a key twice, as the places of their keys. Each part fits into one statement. A later part
    /// sees what an earlier one has done.
    pub(super) fn without_doubles<'k>(&self, keys: impl Iterator<Item = &'k str>) -> Vec<Vec<usize>> {
        let mut parts: Vec<Vec<usize>> = Vec::new();
        let mut times: HashMap<&str, usize> = HashMap::new();
        for (place, key) in keys.enumerate() {
            let part = times.entry(key).or_default();
            if parts.len() == *part {
                parts.push(Vec::new());
            }
            parts[*part].push(place);
            *part += 1;
        }
        let fitting =
            |part: Vec<usize>| part.chunks(self.statements().max_items()).map(<[_]>::to_vec).collect::<Vec<_>>();
        parts.into_iter().flat_map(fitting).collect()
    }

    /// Claims keys that differ from one another.
    pub(super) async fn claim_keys(&self, keys: Vec<&str>, claim: Claim) -> Vec<Result<Claimed, Error>> {
        match self.try_to_claim(&keys, claim).await {
            Ok(mut claimed) => {
                let lost = || Err(Error::backend(format!("the {} backend has lost a claim", self.name())));
                keys.iter().map(|key| claimed.remove(*key).unwrap_or_else(lost)).collect()
            }
            Err(error) => keys.iter().map(|_| Err(same(&error))).collect(),
        }
    }

    async fn try_to_claim(
        &self,
        keys: &[&str],
        claim: Claim,
    ) -> Result<HashMap<String, Result<Claimed, Error>>, Error> {
        let now = self.now();
        let decided = |outcome: Outcome| outcome.rows.into_iter().filter_map(|row| decide(row, claim));
        let looked = self.read(self.statements().look_or_claim(owned(keys), claim, now)).await?;
        let is_late = |row: &Row| row.numbers.get(1) == Some(&Some(claims::CLAIMED_LATE));
        let late: Vec<String> =
            looked.rows.iter().filter(|row| is_late(row)).filter_map(|row| row.key.clone()).collect();
        let mut claimed: HashMap<_, _> = decided(looked).collect();
        let free: Vec<&str> = keys.iter().copied().filter(|key| !claimed.contains_key(*key)).collect();
        if !free.is_empty() {
            let script = self.statements().claim(owned(&free), claim, now);
            claimed.extend(decided(self.write(free, script).await?));
        }
        if !late.is_empty() {
            for row in self.read(self.statements().get_many(late, now)).await?.rows {
                let Some(key) = row.key else { continue };
                // If that fails, the claim ends by itself.
                let release = self.statements().release(&key, claim.token.cast_signed());
                let _ = self.write([&*key], vec![release]).await;
                claimed.insert(key, Ok(Claimed { value: row.value, right: Right::None }));
            }
        }
        let corrupt: Vec<&str> = keys.iter().copied().filter(|key| matches!(claimed.get(*key), Some(Err(_)))).collect();
        if !corrupt.is_empty() {
            // The next claim finds nothing in the way. If it fails, that claim tries again.
            let _ =
                self.write(corrupt.iter().copied(), vec![self.statements().delete_many(owned(&corrupt), now)]).await;
        }
        Ok(claimed)
    }

    /// Stores values with fences. Their keys differ from one another.
    pub(super) async fn set_fenced_items(&self, items: Vec<(Item<'_>, Fence)>) -> Vec<Result<bool, Error>> {
        let mut outcomes: HashMap<&str, Result<bool, Error>> = HashMap::new();
        let (mut kept, mut removed) = (Vec::new(), Vec::new());
        for (item, fence) in &items {
            let is_kept = item.timeout != Some(Duration::ZERO) && too_large(item.value).is_none();
            (if is_kept { &mut kept } else { &mut removed }).push((*item, *fence));
        }
        for (item, fence) in removed {
            let stood = self.delete_fenced(item.key, fence).await;
            let outcome = match too_large(item.value) {
                Some(error) if matches!(stood, Ok(true)) => Err(error),
                _ => stood,
            };
            outcomes.insert(item.key, outcome);
        }
        kept.sort_unstable_by_key(|(item, _)| item.key);
        let mut parts = self.parts(kept, |(item, _)| item.value.len());
        while let Some(part) = parts.pop() {
            match self.set_fenced_part(&part).await {
                Ok(stored) => outcomes.extend(part.iter().map(|(item, _)| (item.key, Ok(stored.contains(item.key))))),
                // One value may be refused, and the others not.
                Err(error) if error.kind() == ErrorKind::TooLarge && part.len() > 1 => {
                    parts.extend(part.into_iter().map(|item| vec![item]));
                }
                Err(error) => outcomes.extend(part.iter().map(|(item, _)| (item.key, Err(same(&error))))),
            }
        }
        items.iter().filter_map(|(item, _)| outcomes.remove(item.key)).collect()
    }

    /// Returns the keys whose values were stored. If that fails, the older values are removed and the claims end, unless one of several
    /// values is refused.
    async fn set_fenced_part(&self, part: &[(Item<'_>, Fence)]) -> Result<HashSet<String>, Error> {
        let now = self.now();
        let keys: Vec<&str> = part.iter().map(|(item, _)| item.key).collect();
        let rows = part
            .iter()
            .map(|(item, fence)| (new_row(item.key, item.value, item.timeout), fence.get().cast_signed()))
            .collect();
        let fences = part.iter().map(|(_, fence)| Some(fence.get().cast_signed())).collect();
        let script = self.statements().set_fenced(rows, now);
        let on_failure = self.statements().delete_fenced(owned(&keys), fences, now);
        let stored = if part.len() == 1 {
            self.replace(keys, script, on_failure).await
        } else {
            let stored = self.write(keys.iter().copied(), script).await;
            if stored.as_ref().is_err_and(|error| error.kind() != ErrorKind::TooLarge) {
                // The first error tells more than that of the removal.
                let _ = self.write(keys, on_failure).await;
            }
            stored
        };
        Ok(stored?.rows.into_iter().filter_map(|row| row.key).collect())
    }

    /// Removes what is stored, if the claim stands, and ends it. Returns whether it stood.
    async fn delete_fenced(&self, key: &str, fence: Fence) -> Result<bool, Error> {
        let fences = vec![Some(fence.get().cast_signed())];
        let script = self.statements().delete_fenced(owned(&[key]), fences, self.now());
        Ok(!self.write([key], script).await?.rows.is_empty())
    }
}

/// The key and the outcome of its claim. `None` if nothing stands in the way of a claim that was not made yet.
fn decide(row: Row, claim: Claim) -> Option<(String, Result<Claimed, Error>)> {
    let (key, [found, state, fence, left]) = (row.key?, row.numbers.try_into().ok()?);
    let is_there = found == Some(1);
    let left = || Duration::from_millis(left.and_then(|left| u64::try_from(left).ok()).unwrap_or_default());
    let fence = fence.map(|fence| Fence::new(fence.cast_unsigned()));
    let right = match (state?, fence) {
        _ if is_there && claim.kind == ClaimKind::Missing => Right::None,
        (claims::CLAIMED | claims::CLAIMED_LATE, Some(fence)) => Right::Leased(fence),
        (claims::TAKEN, None) => Right::Refused(left()),
        (claims::TAKEN, Some(fence)) if claim.kind != ClaimKind::Anew => Right::Held(fence, left()),
        _ => return None,
    };
    // Whatever is there is replaced by what is made anew.
    let is_corrupt = is_there && row.value.is_none() && claim.kind != ClaimKind::Anew;
    let claimed =
        if is_corrupt { Err(corrupt()) } else { Ok(Claimed { value: row.value.filter(|_| is_there), right }) };
    Some((key, claimed))
}
