//! Tags, as `engine/tagging` of the library has them: their records on the servers, and how they are invalidated.
//!
//! Every answer has two tags, which its arguments tell: one of its own, and one of its group. A tenth of the answers is in each group.

use std::mem;

use super::{
    Nanos, SECOND,
    model::Fleet,
    state::{Event, Flight, Script, Step, Value},
};

const GROUPS: u32 = 10;
/// The group whose share of the calls is nearest to a tenth.
pub(crate) const INVALIDATED: u32 = 3;

/// `ATTEMPTS` in `engine/tagging/invalidating.rs`.
const ATTEMPTS: u32 = 16;
/// `PAUSE` there.
const PAUSE: Nanos = SECOND / 2000;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Tag {
    Own(u32),
    Group(u32),
}

impl Tag {
    /// Where the servers keep its record. Keys have smaller numbers.
    fn place(self) -> u64 {
        match self {
            Self::Own(key) => 1 << 32 | u64::from(key),
            Self::Group(group) => 1 << 33 | u64::from(group),
        }
    }
}

/// The same of the latest invalidations of all tags.
const SEQUENCE: u64 = 1 << 34;

pub(crate) fn group(key: u32) -> u32 {
    key % GROUPS
}

/// Both tags of an answer.
fn tags_of(key: u32) -> [Tag; 2] {
    [Tag::Own(key), Tag::Group(group(key))]
}

/// The generations of an answer's tags. `None` for a tag without a record, and for all where answers have no tags.
pub(crate) type Noted = [Option<u64>; 2];

#[derive(Clone, Copy, PartialEq)]
enum TagStep {
    /// Of the sequence, to name the tag there.
    Claim,
    Store,
    /// Others change the sequence all the time.
    RemoveSequence,
    RemoveRecord,
}

#[derive(Clone, Copy)]
struct Invalidation {
    process: u32,
    tag: Tag,
    /// Whether it is that of the key itself, and not of another one that the key stands for.
    is_simulated: bool,
    step: TagStep,
    /// Those to name it that others were in the way of.
    attempts: u32,
    token: u64,
}

/// What the servers have of tags.
pub(crate) struct Tags {
    /// Empty where answers have no tags.
    own: Vec<Option<u64>>,
    groups: [Option<u64>; GROUPS as usize],
    /// When each group was invalidated.
    invalidated: [Nanos; GROUPS as usize],
    /// How often the near caches were told of each group.
    told: [u32; GROUPS as usize],
    /// Counts the generations.
    newest: u64,
    claim_of_sequence: Option<u64>,
    has_sequence: bool,
    invalidations: Vec<Invalidation>,
}

impl Tags {
    /// Those of so many keys.
    pub(crate) fn new(keys: usize) -> Self {
        Self {
            own: vec![None; keys],
            groups: Default::default(),
            invalidated: Default::default(),
            told: Default::default(),
            newest: 0,
            claim_of_sequence: None,
            has_sequence: false,
            invalidations: Vec::new(),
        }
    }

    pub(crate) fn are_used(&self) -> bool {
        !self.own.is_empty()
    }

    /// All tags have records.
    pub(crate) fn make_all(&mut self) {
        if self.are_used() {
            self.own.fill(Some(0));
            self.groups.fill(Some(0));
        }
    }

    pub(crate) fn noted(&self, key: u32) -> Noted {
        [self.own.get(key as usize).copied().flatten(), self.groups[group(key) as usize]]
    }

    pub(crate) fn group_was_told(&self, key: u32) -> u32 {
        self.told[group(key) as usize]
    }

    pub(crate) fn group_was_invalidated(&self, key: u32) -> Nanos {
        self.invalidated[group(key) as usize]
    }

    fn record(&mut self, tag: Tag) -> &mut Option<u64> {
        match tag {
            Tag::Own(key) => &mut self.own[key as usize],
            Tag::Group(group) => &mut self.groups[group as usize],
        }
    }
}

impl Fleet<'_> {
    /// Whether the servers' value of a key is fresh, and its tags are as they were.
    pub(crate) fn is_valid(&self, key: u32, value: &Value) -> bool {
        self.now < value.fresh_until && value.tags == self.tags.noted(key)
    }

    /// So many commands for what is in that place.
    fn about_tags(&mut self, place: u64, commands: f64, script: Script, gets: u32) {
        let server = self.server_of(place);
        self.count(server, commands, script, gets).of_tags += commands;
    }

    /// The records of an answer's tags are read beside its value, and once more after it was stored if others wait for it.
    pub(crate) fn read_records(&mut self, place: usize) {
        let Flight { key, step, is_joined, .. } = self.flights[place];
        if !self.tags.are_used() || (step == Step::Store && !is_joined) {
            return;
        }
        if step != Step::Store {
            self.flights[place].tags = self.tags.noted(key);
        }
        let weight = self.weight(key);
        if self.load.servers > 1 {
            tags_of(key).into_iter().for_each(|tag| self.about_tags(tag.place(), weight, Script::No, 1));
        } else if step == Step::Get {
            // One command for all that one server has.
            let second = self.out.second(self.now);
            (second.gets, second.mgets) = (second.gets - weight, second.mgets + weight);
        } else {
            self.about_tags(SEQUENCE, weight, Script::No, 0);
            self.out.second(self.now).mgets += weight;
        }
    }

    /// A body begins once all its tags have records.
    pub(crate) fn begin_tags(&mut self, place: usize, token: u64) {
        let Flight { key, tags, .. } = self.flights[place];
        let missing = tags_of(key).into_iter().zip(tags).find(|(_, record)| record.is_none());
        match missing.filter(|_| self.tags.are_used()) {
            Some((tag, _)) => {
                self.flights[place].fence = Some(token);
                self.send(place, Step::Add(tag));
            }
            None => self.begin_body(place, Some(token)),
        }
    }

    /// The server makes the record of a tag. If there is one by now, that is read.
    pub(crate) fn add_record(&mut self, place: usize, tag: Tag) {
        let weight = self.weight(self.flights[place].key);
        self.about_tags(tag.place(), weight, Script::No, 0);
        self.tags.newest += 1;
        let newest = self.tags.newest;
        let record = self.tags.record(tag);
        let is_new = record.is_none();
        let generation = *record.get_or_insert(newest);
        self.flights[place].tags[usize::from(matches!(tag, Tag::Group(_)))] = Some(generation);
        if is_new {
            self.told(weight);
            self.after_half_trip(Event::TagTold(tag));
        } else {
            let is_alone = u32::from(self.load.servers > 1);
            self.about_tags(tag.place(), weight, Script::No, is_alone);
            self.out.second(self.now).mgets += weight * f64::from(1 - is_alone);
        }
    }

    /// The server tells each near cache of so many changes.
    fn told(&mut self, changes: f64) {
        self.out.second(self.now).told += if self.load.near.is_some() { changes } else { 0.0 };
    }

    pub(crate) fn is_told_of(&mut self, tag: Tag) {
        match tag {
            Tag::Own(key) => self.records[key as usize].told += 1,
            Tag::Group(group) => self.tags.told[group as usize] += 1,
        }
        (0..self.near.len()).for_each(|process| self.remove_near(process, tag));
    }

    fn remove_near(&mut self, process: usize, tag: Tag) {
        let (near, weights) = (&mut self.near[process], &self.keys.weights);
        match tag {
            Tag::Own(key) => near.remove(key, weights),
            Tag::Group(number) => near.remove_all(weights, |key| group(key) == number),
        }
    }

    /// A process invalidates the tag of any one answer, popular or not.
    pub(crate) fn invalidate_one(&mut self, process: u32) {
        let key = self.keys.of_rank(1 + self.random.below(self.load.keys));
        let is_simulated = self.random.unit() * self.weight(key) < 1.0;
        self.invalidate(process, Tag::Own(key), is_simulated);
    }

    pub(crate) fn invalidate_group(&mut self) {
        self.invalidate(0, Tag::Group(INVALIDATED), true);
    }

    fn invalidate(&mut self, process: u32, tag: Tag, is_simulated: bool) {
        if is_simulated {
            self.remove_near(process as usize, tag);
        }
        let invalidation = Invalidation { process, tag, is_simulated, step: TagStep::Claim, attempts: 0, token: 0 };
        self.tags.invalidations.push(invalidation);
        self.after_half_trip(Event::TagSent(self.tags.invalidations.len() - 1));
    }

    pub(crate) fn tag_is_served(&mut self, number: usize) {
        let Invalidation { tag, step, is_simulated, token, .. } = self.tags.invalidations[number];
        let place = if step == TagStep::RemoveRecord { tag.place() } else { SEQUENCE };
        self.about_tags(place, 1.0, Script::Yes, if step == TagStep::Claim { 2 } else { 1 });
        match step {
            // It ends the claims of others.
            TagStep::Claim => {
                let token = self.random.next();
                self.tags.invalidations[number].token = token;
                self.tags.claim_of_sequence = Some(token);
                self.out.second(self.now).attempts += 1.0;
            }
            TagStep::Store if self.tags.claim_of_sequence != Some(token) => {
                self.tags.invalidations[number].attempts += 1;
            }
            TagStep::Store => {
                self.tags.claim_of_sequence = None;
                self.tags.invalidations[number].attempts = 0;
                self.tags.has_sequence = true;
                self.told(1.0);
            }
            TagStep::RemoveSequence => {
                self.tags.claim_of_sequence = None;
                if mem::take(&mut self.tags.has_sequence) {
                    self.told(1.0);
                }
            }
            TagStep::RemoveRecord => {
                self.out.second(self.now).invalidated_tags += 1.0;
                let record = self.tags.record(tag);
                let was_there = record.is_some();
                if is_simulated {
                    *record = None;
                    match tag {
                        Tag::Own(key) => self.records[key as usize].invalidated = self.now,
                        Tag::Group(group) => self.tags.invalidated[group as usize] = self.now,
                    }
                }
                if was_there {
                    self.told(1.0);
                }
                if was_there && is_simulated {
                    self.after_half_trip(Event::TagTold(tag));
                }
            }
        }
        self.after_half_trip(Event::TagHeard(number));
    }

    pub(crate) fn tag_is_heard(&mut self, number: usize) {
        let Invalidation { process, tag, step, is_simulated, attempts, .. } = self.tags.invalidations[number];
        let (next, pause) = match (step, attempts) {
            (TagStep::Claim, _) => (TagStep::Store, 0.0),
            (TagStep::Store, 0) | (TagStep::RemoveSequence, _) => (TagStep::RemoveRecord, 0.0),
            (TagStep::Store, ATTEMPTS) => (TagStep::RemoveSequence, 0.0),
            (TagStep::Store, attempts) => (TagStep::Claim, PAUSE as f64 * f64::from(attempts) * self.random.unit()),
            (TagStep::RemoveRecord, _) if is_simulated => return self.remove_near(process as usize, tag),
            (TagStep::RemoveRecord, _) => return,
        };
        self.tags.invalidations[number].step = next;
        self.at(self.now + pause as Nanos, Event::TagSends(number));
    }
}
