//! The SQL statements of claims: see [`Backend::claim`](crate::Backend::claim).
//!
//! A claim is a row of a second table, with its fence and its end. A row without a fence refuses claims. A row that is over counts as none.
//!
//! | column | |
//! | --- | --- |
//! | `namespace`, `key` | text, the primary key |
//! | `fence` | the fence; null while values are refused |
//! | `made` | when the row was written, in milliseconds since 1970 |
//! | `until` | when it is over, in milliseconds since 1970 |
//!
//! Whatever writes rows of both tables locks the claims first, then the values, each in the order of their keys. So no two statements
//! deadlock.

use std::time::Duration;

use super::{
    dialect::Column,
    statement::{Argument, BATCH, NewRow, Now, Script, Statement, Statements, UPDATE, milliseconds},
};
use crate::{
    backend::{Claim, ClaimKind},
    base::clock::CLOCK_TOLERANCE,
};

const KEY: Column = Column { array: 0, name: "key", arrays: "text[]" };
const FENCE: Column = Column { array: 1, name: "fence", arrays: "bigint[]" };
const VALUE: Column = Column { array: 2, name: "value", arrays: "bytea[]" };
const TIMEOUT: Column = Column { array: 3, name: "timeout", arrays: "bigint[]" };

/// The first parameter of an array, after the namespace and the time.
const ARRAYS: usize = 3;
/// The same in a claim, after the fence and the lease.
const KEYS: usize = 5;

/// The state of a key's claim, as a claim returns it.
pub(super) const FREE: i64 = 0;
/// An older claim stands, or values are refused.
pub(super) const TAKEN: i64 = 1;
/// The key was claimed by this statement.
pub(super) const CLAIMED: i64 = 2;
/// The same, but a value may have been stored after the statement has looked for one.
pub(super) const CLAIMED_LATE: i64 = 3;

/// Whether another transaction has begun to write since the statement began. It is asked for after the first row was written.
const OTHERS_WROTE: &str = "txid_current() > txid_snapshot_xmax(txid_current_snapshot())";

impl Statements {
    /// The condition that a claim is not over and was not made in the future. The time is parameter 2.
    fn stands(&self) -> String {
        let Self { claims, dialect, .. } = self;
        let (now, tolerance) = (dialect.now(2), CLOCK_TOLERANCE.as_millis());
        format!("({claims}.until > {now} AND {claims}.made <= {now} + {tolerance})")
    }

    /// What is known of the keys: `found` has the values, and `standing` the claims.
    fn known(&self, count: usize) -> String {
        let Self { table, claims, .. } = self;
        let (live, stands, one_of) = (self.is_live(), self.stands(), self.dialect.is_one_of(KEYS, count));
        format!(
            "found AS (SELECT key, value, expires FROM {table} WHERE namespace = $1 AND key {one_of} AND {live}), \
             standing AS (SELECT key, fence, until FROM {claims} WHERE namespace = $1 AND key {one_of} AND {stands})"
        )
    }

    /// Claims the keys that are free. A claim that another statement has made meanwhile stays: it is not in `standing`, but conflicts.
    fn claim_free(&self, count: usize, kind: ClaimKind) -> String {
        let Self { claims, dialect, .. } = self;
        let (now, items, stands) = (dialect.now(2), dialect.items(KEYS, count, &[KEY]), self.stands());
        let no_value = match kind {
            ClaimKind::Missing => "NOT EXISTS (SELECT 1 FROM found WHERE found.key = item.key) AND ",
            ClaimKind::Any | ClaimKind::Anew => "",
        };
        let (ends_older, keeps) = match kind {
            ClaimKind::Anew => (" AND standing.fence IS NULL", format!("{claims}.fence IS NULL AND {stands}")),
            ClaimKind::Missing | ClaimKind::Any => ("", stands),
        };
        let kept = |column| format!("{column} = CASE WHEN {keeps} THEN {claims}.{column} ELSE excluded.{column} END");
        format!(
            "INSERT INTO {claims} (namespace, key, fence, made, until) \
             SELECT $1, item.key, $3, {now}, {now} + $4 FROM {items} WHERE {no_value}\
             NOT EXISTS (SELECT 1 FROM standing WHERE standing.key = item.key{ends_older}){} \
             ON CONFLICT (namespace, key) DO UPDATE SET {}, {}, {}",
            dialect.order,
            kept("fence"),
            kept("made"),
            kept("until")
        )
    }

    /// A query of each key with its value and four numbers: whether there is a value, the state of the claim, its fence, and the time that
    /// is left of it.
    fn outcomes(&self, count: usize, joins: &str, state: &str, fence: &str, until: &str) -> String {
        let (items, now) = (self.dialect.items(KEYS, count, &[KEY]), self.dialect.now(2));
        format!(
            "SELECT item.key, found.value, found.expires, \
             CAST(CASE WHEN found.key IS NULL THEN 0 ELSE 1 END AS BIGINT), CAST({state} AS BIGINT), {fence}, {until} - {now} \
             FROM {items} LEFT JOIN found ON found.key = item.key LEFT JOIN standing ON standing.key = item.key{joins}"
        )
    }

    /// A statement that only reads: what is stored under the keys, and which claims there are.
    fn look(&self, keys: Vec<String>, claim: Claim, now: Now, state: &str) -> Statement {
        let count = keys.len();
        let outcomes = self.outcomes(count, "", state, "standing.fence", "standing.until");
        self.of_claim(format!("WITH {} {outcomes}", self.known(count)), keys, claim, now)
    }

    /// The first step of a claim, which writes nothing if no key is free. PostgreSQL needs no other: this statement claims as well. For
    /// SQLite it only reads, and the keys that are free are claimed by [`claim`](Self::claim).
    ///
    /// The values and claims that it looks at are those of the moment at which it begins. A claim that is made later is found all the
    /// same, as the rows conflict. If a claim is made later, and ends with a value before this one is made, neither is found. That
    /// takes another transaction that has begun to write in the meantime. If there was one, the state says so, and the caller looks again.
    pub(super) fn look_or_claim(&self, keys: Vec<String>, claim: Claim, now: Now) -> Statement {
        if !self.dialect.with_writes {
            let state = format!("CASE WHEN standing.key IS NULL THEN {FREE} ELSE {TAKEN} END");
            return self.look(keys, claim, now, &state);
        }
        let count = keys.len();
        let outcomes = self.outcomes(
            count,
            " LEFT JOIN made ON made.key = item.key",
            &format!(
                "CASE WHEN made.fence = $3 AND made.late THEN {CLAIMED_LATE} WHEN made.fence = $3 THEN {CLAIMED} \
                 WHEN made.key IS NULL AND standing.key IS NULL THEN {FREE} ELSE {TAKEN} END"
            ),
            "CASE WHEN made.key IS NULL THEN standing.fence ELSE made.fence END",
            "CASE WHEN made.key IS NULL THEN standing.until ELSE made.until END",
        );
        let (known, claim_free, claims) = (self.known(count), self.claim_free(count, claim.kind), &self.claims);
        let late = match (claim.kind, count) {
            (ClaimKind::Missing, 1) => OTHERS_WROTE,
            // All but the first row are written later.
            (ClaimKind::Missing, _) => "TRUE",
            (ClaimKind::Any | ClaimKind::Anew, _) => "FALSE",
        };
        let returning = format!("RETURNING {claims}.key, {claims}.fence, {claims}.until, {late} AS late");
        self.of_claim(format!("WITH {known}, made AS ({claim_free} {returning}) {outcomes}"), keys, claim, now)
    }

    /// Claims the keys that are free, and returns what is known of all of them, in one step. The keys must differ from one another.
    pub(super) fn claim(&self, keys: Vec<String>, claim: Claim, now: Now) -> Script {
        if self.dialect.with_writes {
            return vec![self.look_or_claim(keys, claim, now)];
        }
        let count = keys.len();
        let text = format!("WITH {} {}", self.known(count), self.claim_free(count, claim.kind));
        let claim_free = self.of_claim(text, keys.clone(), claim, now);
        let state = format!(
            "CASE WHEN standing.key IS NULL THEN {FREE} WHEN standing.fence = $3 THEN {CLAIMED} ELSE {TAKEN} END"
        );
        transaction([claim_free, self.look(keys, claim, now, &state)])
    }

    fn of_claim(&self, text: String, keys: Vec<String>, claim: Claim, now: Now) -> Statement {
        let Claim { token, lease, .. } = claim;
        let (fence, lease) = (Argument::Number(Some(token.cast_signed())), Argument::Number(Some(at_least_one(lease))));
        self.statement(text, [Argument::Number(now), fence, lease, Argument::Texts(keys)])
    }

    /// Locks the claims that stand with these fences as `held`, and ends them as `ended`.
    fn end_held(&self, count: usize) -> String {
        let Self { claims, dialect, .. } = self;
        let (items, stands) = (dialect.items(ARRAYS, count, &[KEY, FENCE]), self.stands());
        format!(
            "held AS (SELECT {claims}.key FROM {claims} JOIN {items} \
             ON item.key = {claims}.key AND item.fence = {claims}.fence \
             WHERE {claims}.namespace = $1 AND {stands} ORDER BY {claims}.key{lock} OF {claims}), \
             ended AS (DELETE FROM {claims} WHERE namespace = $1 AND key IN (SELECT key FROM held) RETURNING key)",
            lock = dialect.lock,
        )
    }

    /// Ends the claims that stand with these fences, and returns their keys.
    fn end(&self, keys: Vec<String>, fences: Vec<Option<i64>>, now: Now) -> Statement {
        let Self { claims, dialect, .. } = self;
        let (items, stands) = (dialect.items(ARRAYS, keys.len(), &[KEY, FENCE]), self.stands());
        let text = format!(
            "DELETE FROM {claims} WHERE namespace = $1 AND {stands} \
             AND (key, fence) IN (SELECT item.key, item.fence FROM {items}) RETURNING key"
        );
        self.statement(text, [Argument::Number(now), Argument::Texts(keys), Argument::Numbers(fences)])
    }

    /// Stores the values whose claims stand, ends those claims, and returns their keys. The keys must differ from one another.
    pub(super) fn set_fenced(&self, rows: Vec<(NewRow, i64)>, now: Now) -> Script {
        let Self { claims, dialect, .. } = self;
        let count = rows.len();
        let (mut keys, mut fences, mut values, mut timeouts) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (NewRow { key, value, timeout }, fence) in rows {
            keys.push(key);
            fences.push(Some(fence));
            values.push(value);
            timeouts.push(timeout);
        }
        let (time, items) = (dialect.now(2), dialect.items(ARRAYS, count, &[KEY, FENCE, VALUE, TIMEOUT]));
        let insert =
            format!("{} SELECT $1, item.key, item.value, {time}, {time} + item.timeout FROM {items}", self.insert());
        let arguments = |keys, fences| {
            [
                Argument::Number(now),
                Argument::Texts(keys),
                Argument::Numbers(fences),
                Argument::Blobs(values),
                Argument::Numbers(timeouts),
            ]
        };
        if dialect.with_writes {
            let (end_held, order) = (self.end_held(count), dialect.order);
            let text =
                format!("WITH {end_held} {insert} JOIN ended ON ended.key = item.key{order} {UPDATE} RETURNING key");
            return vec![self.statement(text, arguments(keys, fences))];
        }
        let stands = self.stands();
        let text = format!(
            "{insert} WHERE EXISTS (SELECT 1 FROM {claims} WHERE {claims}.namespace = $1 AND {claims}.key = item.key \
             AND {claims}.fence = item.fence AND {stands}) {UPDATE}"
        );
        let set = self.statement(text, arguments(keys.clone(), fences.clone()));
        transaction([set, self.end(keys, fences, now)])
    }

    /// Removes the values whose keys have claims that stand with these fences, ends those claims, and returns their keys.
    pub(super) fn delete_fenced(&self, keys: Vec<String>, fences: Vec<Option<i64>>, now: Now) -> Script {
        let Self { table, claims, dialect, .. } = self;
        let (count, lock) = (keys.len(), dialect.lock);
        let delete = |of: &str| {
            format!(
                "DELETE FROM {table} WHERE namespace = $1 AND key IN \
                 (SELECT key FROM {table} WHERE namespace = $1 AND key IN ({of}) ORDER BY key{lock})"
            )
        };
        let arguments = |keys, fences| [Argument::Number(now), Argument::Texts(keys), Argument::Numbers(fences)];
        if dialect.with_writes {
            let (end_held, delete) = (self.end_held(count), delete("SELECT key FROM ended"));
            let text = format!("WITH {end_held}, deleted AS ({delete}) SELECT key FROM ended");
            return vec![self.statement(text, arguments(keys, fences))];
        }
        let (items, stands) = (dialect.items(ARRAYS, count, &[KEY, FENCE]), self.stands());
        let text = delete(&format!(
            "SELECT {claims}.key FROM {claims} JOIN {items} ON item.key = {claims}.key AND item.fence = {claims}.fence \
             WHERE {claims}.namespace = $1 AND {stands}"
        ));
        let delete = self.statement(text, arguments(keys.clone(), fences.clone()));
        transaction([delete, self.end(keys, fences, now)])
    }

    pub(super) fn renew(&self, key: &str, fence: i64, lease: Duration, now: Now) -> Statement {
        let (claims, stands, time) = (&self.claims, self.stands(), self.dialect.now(2));
        self.statement(
            format!(
                "UPDATE {claims} SET made = {time}, until = {time} + $5 \
                 WHERE namespace = $1 AND key = $3 AND fence = $4 AND {stands}"
            ),
            [
                Argument::Number(now),
                Argument::Text(key.to_owned()),
                Argument::Number(Some(fence)),
                Argument::Number(Some(at_least_one(lease))),
            ],
        )
    }

    pub(super) fn release(&self, key: &str, fence: i64) -> Statement {
        self.statement(
            format!("DELETE FROM {} WHERE namespace = $1 AND key = $2 AND fence = $3", self.claims),
            [Argument::Text(key.to_owned()), Argument::Number(Some(fence))],
        )
    }

    /// Ends the claim of the key, refuses others for a while, and removes its value.
    ///
    /// With PostgreSQL, the claim is ended by a statement of its own. If [`set_fenced`](Self::set_fenced) has locked the claim already, that
    /// statement waits for it. The value that it stores is not visible to a statement that has begun before, so the value
    /// is removed by the next one. If `set_fenced` comes later, there is no claim. A claim that is made between the two statements is newer
    /// than the invalidation; its value may be removed as well, which is harmless. Nothing needs the two to be one transaction: the
    /// invalidation has not happened before both are done.
    pub(super) fn invalidate(&self, key: &str, refuse: Duration, now: Now) -> Script {
        let (end, delete) = (self.end_any(key, refuse, now), self.delete(key, now));
        if self.dialect.with_writes { vec![end, delete] } else { transaction([end, delete]) }
    }

    /// Ends the claim of the key. A refusal that is not over by then stays.
    fn end_any(&self, key: &str, refuse: Duration, now: Now) -> Statement {
        let (claims, stands, time) = (&self.claims, self.stands(), self.dialect.now(2));
        let refuses = format!("{claims}.fence IS NULL AND {stands}");
        if refuse.is_zero() {
            let text = format!("DELETE FROM {claims} WHERE namespace = $1 AND key = $3 AND NOT ({refuses})");
            return self.statement(text, [Argument::Number(now), Argument::Text(key.to_owned())]);
        }
        let text = format!(
            "INSERT INTO {claims} (namespace, key, fence, made, until) VALUES ($1, $3, NULL, {time}, {time} + $4) \
             ON CONFLICT (namespace, key) DO UPDATE SET fence = NULL, made = excluded.made, \
             until = CASE WHEN {refuses} AND {claims}.until > excluded.until THEN {claims}.until ELSE excluded.until END"
        );
        let refuse = Argument::Number(Some(at_least_one(refuse)));
        self.statement(text, [Argument::Number(now), Argument::Text(key.to_owned()), refuse])
    }

    /// Removes up to [`BATCH`] claims of all namespaces that are over, and skips those that another statement has locked.
    pub(super) fn cull_claims(&self, now: Now) -> Statement {
        let Self { claims, dialect, .. } = self;
        let (time, lock_unlocked) = (dialect.now(1), dialect.lock_unlocked);
        let text = format!(
            "DELETE FROM {claims} WHERE until <= {time} AND (namespace, key) IN \
             (SELECT namespace, key FROM {claims} WHERE until <= {time} LIMIT {BATCH}{lock_unlocked})"
        );
        Statement { text, arguments: vec![Argument::Number(now)] }
    }
}

/// Statements that take effect all at once, in a database that has one writer at a time.
fn transaction(statements: [Statement; 2]) -> Script {
    let plain = |text: &str| Statement { text: text.to_owned(), arguments: Vec::new() };
    let [first, second] = statements;
    vec![plain("BEGIN IMMEDIATE"), first, second, plain("COMMIT")]
}

/// A time in milliseconds, rounded up: none is too short to be seen.
fn at_least_one(time: Duration) -> i64 {
    milliseconds(Some(time)).unwrap_or_default().max(1)
}
