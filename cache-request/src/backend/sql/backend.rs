//! The backend: turns each operation into statements.

use std::{
    collections::{HashMap, HashSet},
    fmt,
    sync::Arc,
    time::Duration,
};

use super::{
    executor::{Executor, Operation},
    locks::KeyLocks,
    statement::{NewRow, Now, Outcome, Script, Statement, Statements, milliseconds},
    tracking,
};
use crate::{
    Error, ErrorKind,
    backend::{Backend, Changes, Claim, Claimed, Fence, Item},
};

/// The longest key. An index of PostgreSQL holds up to 2,700 bytes of namespace and key.
const MAX_KEY_BYTES: usize = 2048;

/// The largest value. Both databases limit a whole statement to somewhat less than 1 GB.
const MAX_VALUE_BYTES: usize = 512 << 20;

/// How many bytes of values one statement writes at most, unless it writes a single larger one.
const MAX_BATCH_BYTES: usize = 64 << 20;

/// A table in a SQLite file, or in a PostgreSQL database.
///
/// The table, its index and the table of claims are made if they do not exist. Several programs may share them; each sees only the rows of
/// its [namespace](crate::backend::SqlBackendBuilder::namespace). Expired rows are never returned, and are removed in the background,
/// once a minute. Nothing else limits the size of the table: a row without a timeout stays until it is deleted or cleared.
///
/// | column | |
/// | --- | --- |
/// | `namespace`, `key` | text, the primary key |
/// | `value` | bytes |
/// | `stored` | when the row was stored or last touched, in milliseconds since 1970 |
/// | `expires` | when it expires, in milliseconds since 1970; null for never |
///
/// A row of the second table, whose name ends with `_claims`, says that a value is being made, or that none is stored for a while
/// after an invalidation. It has the columns `fence`, `made` and `until`. A look that finds a value writes nothing.
///
/// Below a near cache, the table has triggers that tell of each row that is written or removed, and there is a table of near caches, whose
/// name ends with `_near`. A SQLite file also has a log of changes, whose name ends with `_changes`. They are made when the first
/// near cache is put in front of the table.
///
/// Timeouts are exact to the millisecond. In PostgreSQL they go by the server's clock, in SQLite by the machine's. A row that was
/// stored more than 5 seconds in the future, by a clock that was wrong, is a miss.
///
/// All statements run on threads of this library, so any executor will do, or none. If the database cannot be reached, calls fail
/// at once, and the next attempt to connect follows after 200 ms.
///
/// A SQLite file is in WAL mode: two more files lie beside it, and it must not be on a network file system. It is readable and
/// writable by its owner alone. It never shrinks; the room of removed rows is used again. If the disk is full or the file is damaged,
/// calls return errors and do not panic. A damaged file must be removed.
///
/// A forked child makes connections of its own to PostgreSQL. A SQLite file that was opened before the fork is an error in the
/// child, because SQLite's locks do not work across a fork; the child's functions then run uncached. Fork before the first call.
///
/// A PostgreSQL user who may not make tables needs those that exist, and the rights to `SELECT`, `INSERT`, `UPDATE` and `DELETE`:
///
/// ```sql
/// CREATE TABLE cache_request (
///     namespace TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
///     value BYTEA NOT NULL, stored BIGINT NOT NULL, expires BIGINT, PRIMARY KEY (namespace, key)
/// );
/// CREATE INDEX cache_request_expires ON cache_request (expires) WHERE expires IS NOT NULL;
/// CREATE TABLE cache_request_claims (
///     namespace TEXT COLLATE "C" NOT NULL, key TEXT COLLATE "C" NOT NULL,
///     fence BIGINT, made BIGINT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (namespace, key)
/// );
/// ```
///
/// For a near cache, a user who may make tables puts one in front of the table once, which makes what it needs. The other users need the
/// rights to `SELECT`, `INSERT`, `UPDATE` and `DELETE` for `cache_request_near`. Those who write without a near cache need none.
#[derive(Clone)]
pub struct SqlBackend {
    executor: Arc<Executor>,
}

impl SqlBackend {
    pub(super) fn of(executor: Executor) -> Self {
        Self { executor: Arc::new(executor) }
    }

    /// Connects, and checks the table.
    pub(super) async fn probe(&self) -> Result<(), Error> {
        self.read(self.statements().probe()).await.map(drop)
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.executor.database.statements
    }

    pub(super) fn now(&self) -> Now {
        self.executor.now()
    }

    pub(super) async fn read(&self, statement: Statement) -> Result<Outcome, Error> {
        self.executor.execute(Operation::Read(statement)).await
    }

    pub(super) async fn write<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        script: Script,
    ) -> Result<Outcome, Error> {
        let stripes = KeyLocks::stripes(keys);
        self.executor.execute(Operation::Write { stripes, script, on_failure: None }).await
    }

    /// Writes new values. If that fails, `on_failure` removes the older ones.
    pub(super) async fn replace<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k str>,
        script: Script,
        on_failure: Script,
    ) -> Result<Outcome, Error> {
        let stripes = KeyLocks::stripes(keys);
        self.executor.execute(Operation::Write { stripes, script, on_failure: Some(on_failure) }).await
    }

    /// Splits `items` so that no part is more than one statement may write.
    pub(super) fn parts<T: Copy>(&self, items: Vec<T>, bytes_of: impl Fn(T) -> usize) -> Vec<Vec<T>> {
        let mut items = items.into_iter().peekable();
        let mut parts = Vec::new();
        while items.peek().is_some() {
            let (mut part, mut bytes) = (Vec::new(), 0);
            while let Some(item) = items.next_if(|item| {
                part.is_empty()
                    || (part.len() < self.statements().max_items() && bytes + bytes_of(*item) <= MAX_BATCH_BYTES)
            }) {
                bytes += bytes_of(item);
                part.push(item);
            }
            parts.push(part);
        }
        parts
    }
}

impl Backend for SqlBackend {
    fn name(&self) -> &'static str {
        self.executor.database.engine.name()
    }

    fn max_key_bytes(&self) -> usize {
        MAX_KEY_BYTES
    }

    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let outcome = self.read(self.statements().get(key, self.now())).await?;
        outcome.rows.into_iter().next().map(|row| row.value.ok_or_else(corrupt)).transpose()
    }

    async fn set(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<(), Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await.map(drop);
        }
        if let Some(error) = too_large(value) {
            self.delete(key).await?;
            return Err(error);
        }
        let now = self.now();
        let statement = self.statements().set(new_row(key, value, timeout), now);
        self.replace([key], vec![statement], vec![self.statements().delete(key, now)]).await.map(drop)
    }

    async fn add(&self, key: &str, value: &[u8], timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return Ok(false);
        }
        if let Some(error) = too_large(value) {
            return Err(error);
        }
        let statement = self.statements().add(new_row(key, value, timeout), self.now());
        let outcome = self.write([key], vec![statement]).await?;
        Ok(outcome.affected > 0)
    }

    async fn touch(&self, key: &str, timeout: Option<Duration>) -> Result<bool, Error> {
        if timeout == Some(Duration::ZERO) {
            return self.delete(key).await;
        }
        let statement = self.statements().touch(key, milliseconds(timeout), self.now());
        let outcome = self.write([key], vec![statement]).await?;
        Ok(outcome.affected > 0)
    }

    async fn delete(&self, key: &str) -> Result<bool, Error> {
        let outcome = self.write([key], vec![self.statements().delete(key, self.now())]).await?;
        Ok(outcome.rows.iter().any(|row| row.key.is_some()))
    }

    async fn clear(&self) -> Result<(), Error> {
        self.executor.execute(Operation::Clear).await.map(drop)
    }

    fn has_fences(&self) -> bool {
        true
    }

    async fn claim(&self, key: &str, claim: Claim) -> Result<Claimed, Error> {
        self.claim_keys(vec![key], claim).await.remove(0)
    }

    async fn set_fenced(
        &self,
        key: &str,
        value: &[u8],
        timeout: Option<Duration>,
        fence: Fence,
    ) -> Result<bool, Error> {
        self.set_fenced_items(vec![(Item { key, value, timeout }, fence)]).await.remove(0)
    }

    async fn renew(&self, key: &str, fence: Fence, lease: Duration) -> Result<bool, Error> {
        let statement = self.statements().renew(key, fence.get().cast_signed(), lease, self.now());
        Ok(self.write([key], vec![statement]).await?.affected > 0)
    }

    async fn release(&self, key: &str, fence: Fence) -> Result<(), Error> {
        let statement = self.statements().release(key, fence.get().cast_signed());
        self.write([key], vec![statement]).await.map(drop)
    }

    async fn invalidate(&self, key: &str, refuse: Duration) -> Result<bool, Error> {
        let outcome = self.write([key], self.statements().invalidate(key, refuse, self.now())).await?;
        Ok(outcome.rows.iter().any(|row| row.key.is_some()))
    }

    fn track(&self, changes: Changes) -> bool {
        tracking::track(Arc::clone(&self.executor.database), changes);
        true
    }

    async fn get_many(&self, keys: &[&str]) -> Vec<Result<Option<Vec<u8>>, Error>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.statements().max_items()) {
            match self.read(self.statements().get_many(sorted(keys), self.now())).await {
                Ok(outcome) => {
                    let mut remaining: HashMap<&str, usize> = HashMap::new();
                    for key in keys {
                        *remaining.entry(key).or_default() += 1;
                    }
                    let mut found: HashMap<_, _> =
                        outcome.rows.into_iter().filter_map(|row| Some((row.key?, row.value))).collect();
                    outcomes.extend(keys.iter().map(|key| {
                        let times = remaining.entry(key).or_default();
                        *times -= 1;
                        // If a key is asked for several times, all but the last get a copy.
                        let value = if *times == 0 { found.remove(*key) } else { found.get(*key).cloned() };
                        value.map(|value| value.ok_or_else(corrupt)).transpose()
                    }));
                }
                Err(error) => outcomes.extend(keys.iter().map(|_| Err(same(&error)))),
            }
        }
        outcomes
    }

    async fn set_many(&self, items: &[Item<'_>]) -> Vec<Result<(), Error>> {
        let mut outcomes: Vec<_> = items.iter().map(|item| too_large(item.value).map_or(Ok(()), Err)).collect();
        // Of several items of one key, the last one counts.
        let last: HashMap<&str, usize> = items.iter().enumerate().map(|(place, item)| (item.key, place)).collect();
        let mut places: Vec<usize> = last.into_values().collect();
        places.sort_unstable_by_key(|place| items[*place].key);
        let (kept, removed): (Vec<_>, Vec<_>) = places
            .into_iter()
            .partition(|place| outcomes[*place].is_ok() && items[*place].timeout != Some(Duration::ZERO));
        let removed_keys: Vec<&str> = removed.iter().map(|place| items[*place].key).collect();
        for (place, outcome) in removed.into_iter().zip(self.delete_many(&removed_keys).await) {
            if let Err(error) = outcome {
                outcomes[place] = Err(error);
            }
        }
        for chunk in self.parts(kept, |place| items[place].value.len()) {
            let now = self.now();
            let keys: Vec<&str> = chunk.iter().map(|place| items[*place].key).collect();
            let rows = chunk.iter().map(|place| {
                let Item { key, value, timeout } = items[*place];
                new_row(key, value, timeout)
            });
            let statement = self.statements().set_many(rows.collect(), now);
            let on_failure = self.statements().delete_many(owned(&keys), now);
            let replaced = self.replace(keys.iter().copied(), vec![statement], vec![on_failure]).await;
            let Err(error) = replaced else { continue };
            // One value may be refused, and the others not.
            let one_is_refused = error.kind() == ErrorKind::TooLarge && chunk.len() > 1;
            for place in chunk {
                let Item { key, value, timeout } = items[place];
                outcomes[place] = if one_is_refused { self.set(key, value, timeout).await } else { Err(same(&error)) };
            }
        }
        outcomes
    }

    async fn delete_many(&self, keys: &[&str]) -> Vec<Result<bool, Error>> {
        let mut outcomes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(self.statements().max_items()) {
            let statement = self.statements().delete_many(sorted(keys), self.now());
            match self.write(keys.iter().copied(), vec![statement]).await {
                Ok(outcome) => {
                    let mut removed: HashSet<_> = outcome.rows.into_iter().filter_map(|row| row.key).collect();
                    outcomes.extend(keys.iter().map(|key| Ok(removed.remove(*key))));
                }
                Err(error) => outcomes.extend(keys.iter().map(|_| Err(same(&error)))),
            }
        }
        outcomes
    }

    async fn claim_many(&self, keys: &[&str], claim: Claim) -> Vec<Result<Claimed, Error>> {
        let mut outcomes: Vec<_> = keys.iter().map(|_| None).collect();
        for places in self.without_doubles(keys.iter().copied()) {
            let claimed = self.claim_keys(places.iter().map(|place| keys[*place]).collect(), claim).await;
            places.into_iter().zip(claimed).for_each(|(place, claimed)| outcomes[place] = Some(claimed));
        }
        outcomes.into_iter().flatten().collect()
    }

    async fn set_fenced_many(&self, items: &[(Item<'_>, Fence)]) -> Vec<Result<bool, Error>> {
        let mut outcomes: Vec<_> = items.iter().map(|_| None).collect();
        for places in self.without_doubles(items.iter().map(|(item, _)| item.key)) {
            let stored = self.set_fenced_items(places.iter().map(|place| items[*place]).collect()).await;
            places.into_iter().zip(stored).for_each(|(place, stored)| outcomes[place] = Some(stored));
        }
        outcomes.into_iter().flatten().collect()
    }
}

pub(super) fn new_row(key: &str, value: &[u8], timeout: Option<Duration>) -> NewRow {
    NewRow { key: key.to_owned(), value: value.to_vec(), timeout: milliseconds(timeout) }
}

pub(super) fn owned(keys: &[&str]) -> Vec<String> {
    keys.iter().copied().map(str::to_owned).collect()
}

fn sorted(keys: &[&str]) -> Vec<String> {
    let mut keys = owned(keys);
    keys.sort_unstable();
    keys.dedup();
    keys
}

pub(super) fn too_large(value: &[u8]) -> Option<Error> {
    (value.len() > MAX_VALUE_BYTES).then(|| Error::too_large(value.len(), MAX_VALUE_BYTES))
}

pub(super) fn corrupt() -> Error {
    Error::new(ErrorKind::Corrupt, "the stored row has columns of other types")
}

/// The same error, for another item of a batch.
pub(super) fn same(error: &Error) -> Error {
    Error::new(error.kind(), error.to_string())
}

impl fmt::Debug for SqlBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlBackend").field("engine", &self.name()).finish_non_exhaustive()
    }
}
