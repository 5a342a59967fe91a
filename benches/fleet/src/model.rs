//! A fleet of processes with near caches, in front of servers: calls, round trips and bodies as events in simulated time.
//!
//! What the processes do is the library's way with Redis: the scripts of `backend/redis/scripts`, and `engine/{reading,claiming,spans}.rs`. What
//! they do about tags is in `tags.rs`.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use super::{
    Nanos, SECOND,
    load::Load,
    near::{Entry, Near},
    outcome::{Outcome, Second},
    random::{Keys, Random},
    state::{Answer, Claim, Event, Flight, Record, Script, Step, Value},
    tags::Tags,
};

/// `IN_A_ROW` in `engine/function/looks.rs`.
const MOSTLY_FINDS: u8 = 32;
/// `SPREAD` in `engine/spans.rs`.
const SPREAD: f64 = 0.25;
/// `MOST_FENCES` in `engine/claiming.rs`.
const MOST_FENCES: u8 = 2;
const WAIT_LIMIT: Nanos = 10 * SECOND;
const RETRY: Nanos = SECOND;
/// `SHARDS` in `engine/near_cache.rs`.
const SHARDS: f64 = 64.0;
const LOST_SERVER: usize = 1;

pub(crate) struct Fleet<'a> {
    pub(crate) load: &'a Load,
    pub(crate) keys: Keys,
    pub(crate) random: Random,
    pub(crate) now: Nanos,
    events: BinaryHeap<Reverse<(Nanos, u64, Event)>>,
    count: u64,
    pub(crate) records: Vec<Record>,
    pub(crate) near: Vec<Near>,
    is_open: Vec<bool>,
    found_in_a_row: Vec<u8>,
    pub(crate) flights: Vec<Flight>,
    free: Vec<usize>,
    under_way: HashMap<(u32, u32, bool), usize>,
    attempts: HashMap<(u32, u32), Nanos>,
    told: f64,
    pub(crate) tags: Tags,
    pub(crate) out: Outcome,
}

/// Simulates a load.
pub(crate) fn run(load: &Load) -> Outcome {
    let keys = Keys::sampled(load.keys, load.hot, load.most);
    let records = vec![Record { readers: vec![0; load.processes.div_ceil(64)], ..Record::default() }; keys.len()];
    let mut fleet = Fleet {
        load,
        random: Random(load.seed),
        now: 0,
        events: BinaryHeap::new(),
        count: 0,
        records,
        near: (0..load.processes).map(|_| Near::new(load.near.unwrap_or(0.0))).collect(),
        is_open: vec![load.near.is_some(); load.processes],
        found_in_a_row: vec![0; load.processes],
        flights: Vec::new(),
        free: Vec::new(),
        under_way: HashMap::new(),
        attempts: HashMap::new(),
        told: 0.0,
        tags: Tags::new(if load.tags.is_some() { keys.len() } else { 0 }),
        out: Outcome::new(load),
        keys,
    };
    fleet.go();
    fleet.out
}

impl Fleet<'_> {
    fn go(&mut self) {
        let load = self.load;
        let rate = load.rate * load.processes as f64 * self.keys.share;
        if load.warm {
            self.warm();
        }
        if let Some((from, _)) = load.lost {
            self.at(from, Event::Lost);
        }
        // Of the keys that are simulated. Those of tags are all simulated, as they meet at one record.
        let simulated = if load.tags.is_some() { 1.0 } else { self.keys.len() as f64 / load.keys as f64 };
        let writes = load.writes * load.rate * load.processes as f64 * simulated;
        if let Some(invalidated) = load.tags {
            self.at(invalidated, Event::InvalidatesGroup);
        }
        let moment = |time: f64| (time * SECOND as f64) as Nanos;
        let (mut call, mut write) = (self.random.pause(rate), self.random.pause(writes));
        loop {
            let next = moment(call.min(write));
            while let Some(Reverse((at, _, event))) = self.events.peek().copied()
                && at <= next.min(load.until)
            {
                self.events.pop();
                self.now = at;
                self.happen(event);
            }
            if next >= load.until {
                break;
            }
            self.now = next;
            let process = self.random.below(load.processes) as u32;
            if write < call {
                if load.tags.is_some() {
                    self.invalidate_one(process);
                } else {
                    let key = self.random.below(self.keys.len()) as u32;
                    self.after_half_trip(Event::Invalidates(process, key));
                }
                write += self.random.pause(writes);
            } else {
                let key = self.keys.draw(&mut self.random);
                self.call(process, key);
                call += self.random.pause(rate);
            }
        }
        for (record, weight) in self.records.iter().zip(&self.keys.weights) {
            let readers: u32 = record.readers.iter().map(|word| word.count_ones()).sum();
            self.out.pairs += f64::from(readers) * weight;
            self.out.tracked += if readers > 0 { *weight } else { 0.0 };
        }
    }

    /// The servers hold what they would after a long time.
    fn warm(&mut self) {
        self.tags.make_all();
        let calls = self.load.rate * self.load.processes as f64;
        for key in 0..self.keys.len() as u32 {
            let rate = calls * self.keys.share_of(key);
            let timeout = self.load.timeout as f64 / SECOND as f64;
            if self.random.unit() < timeout / (timeout + 1.0 / rate) {
                let left = self.random.unit() * self.load.timeout as f64;
                let tags = self.tags.noted(key);
                self.put(key, Value { made: 0, stored: 0, fresh_until: left as Nanos, tags });
            }
        }
    }

    pub(crate) fn at(&mut self, at: Nanos, event: Event) {
        self.count += 1;
        self.events.push(Reverse((at, self.count, event)));
    }

    pub(crate) fn after_half_trip(&mut self, event: Event) {
        let spread = 0.75 + self.random.unit() / 2.0;
        self.at(self.now + (self.load.round_trip as f64 / 2.0 * spread) as Nanos, event);
    }

    pub(crate) fn weight(&self, key: u32) -> f64 {
        self.keys.weights[key as usize]
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Sent(flight) => {
                self.flights[flight].answer = self.served(flight);
                self.after_half_trip(Event::Heard(flight));
            }
            Event::Heard(flight) => self.hear(flight),
            Event::Looks(flight) => self.look(flight),
            Event::BodyEnds(flight) => self.body_ends(flight),
            Event::Renews(flight) => self.renew(flight),
            Event::Told(key) => {
                self.records[key as usize].told += 1;
                self.told += self.weight(key);
                self.near.iter_mut().for_each(|near| near.remove(key, &self.keys.weights));
            }
            Event::Expires(key, version) => {
                let record = &mut self.records[key as usize];
                if record.version == version && record.value.take().is_some() {
                    self.changed(key);
                }
            }
            Event::Invalidates(process, key) => {
                if self.command(key, Script::Yes, 1) {
                    let now = self.now;
                    let record = &mut self.records[key as usize];
                    record.claim = None;
                    record.invalidated = now;
                    if record.value.take().is_some() {
                        self.changed(key);
                    }
                }
                self.after_half_trip(Event::Invalidated(process, key));
            }
            Event::Invalidated(process, key) => self.near[process as usize].remove(key, &self.keys.weights),
            Event::Lost => {
                self.is_open.fill(false);
                self.near.iter_mut().for_each(Near::clear);
                let back = self.load.lost.map_or(self.now, |(_, until)| until);
                for process in 0..self.load.processes as u32 {
                    let check = self.random.unit();
                    self.at(back + (check * SECOND as f64) as Nanos, Event::Opens(process));
                }
            }
            Event::Opens(process) => self.is_open[process as usize] = self.load.near.is_some(),
            Event::InvalidatesGroup => self.invalidate_group(),
            Event::TagSends(invalidation) => self.after_half_trip(Event::TagSent(invalidation)),
            Event::TagSent(invalidation) => self.tag_is_served(invalidation),
            Event::TagHeard(invalidation) => self.tag_is_heard(invalidation),
            Event::TagTold(tag) => self.is_told_of(tag),
        }
    }

    fn call(&mut self, process: u32, key: u32) {
        let (now, weight) = (self.now, self.weight(key));
        self.out.second(now).calls += weight;
        let due = match self.near[process as usize].get(key, now) {
            None => None,
            Some(entry) => {
                let is_due = entry.due <= now;
                let made = entry.made;
                if is_due {
                    entry.due = now + RETRY;
                }
                Some((made, is_due))
            }
        };
        if let Some((made, is_due)) = due {
            self.out.second(now).near_hits += weight;
            self.answered(key, made);
            if is_due {
                self.begin(process, key, true);
            }
        } else if let Some(flight) = self.under_way.get(&(process, key, false)) {
            self.flights[*flight].is_joined = true;
        } else {
            self.begin(process, key, false);
        }
    }

    /// A call has got a value whose body began then.
    fn answered(&mut self, key: u32, made: Nanos) {
        let late = |invalidated| if made < invalidated { self.now - invalidated } else { 0 };
        let late = self.invalidated(key).map(late).into_iter().max().unwrap_or(0);
        self.out.answered(self.now, made, late);
    }

    /// When the key, or its own tag, was invalidated, and when its group was.
    fn invalidated(&self, key: u32) -> [Nanos; 2] {
        [self.records[key as usize].invalidated, self.tags.group_was_invalidated(key)]
    }

    fn begin(&mut self, process: u32, key: u32, replaces: bool) {
        if self.under_way.contains_key(&(process, key, replaces)) {
            return;
        }
        let flight = Flight {
            process,
            key,
            replaces,
            begun: self.now,
            step: Step::Get,
            answer: Answer::Nothing,
            pause: self.load.pauses[0],
            fences: 0,
            fence: None,
            made: 0,
            body_ends: 0,
            told: (0, 0.0),
            seen: 0,
            tags: self.tags.noted(key),
            is_joined: false,
        };
        let place = if let Some(place) = self.free.pop() {
            self.flights[place] = flight;
            place
        } else {
            self.flights.push(flight);
            self.flights.len() - 1
        };
        self.under_way.insert((process, key, replaces), place);
        self.look(place);
    }

    fn end(&mut self, place: usize) {
        let flight = &self.flights[place];
        self.under_way.remove(&(flight.process, flight.key, flight.replaces));
        self.free.push(place);
    }

    fn look(&mut self, place: usize) {
        let Flight { process, key, .. } = self.flights[place];
        let mostly = self.found_in_a_row[process as usize] >= MOSTLY_FINDS;
        self.flights[place].told = (self.told_of(key), self.told);
        self.send(place, if mostly { Step::Get } else { Step::ClaimMissing });
    }

    /// How often the near caches were told of a change of the key or its tags.
    fn told_of(&self, key: u32) -> u32 {
        self.records[key as usize].told + self.tags.group_was_told(key)
    }

    pub(crate) fn send(&mut self, place: usize, step: Step) {
        self.flights[place].step = step;
        self.after_half_trip(Event::Sent(place));
    }

    /// A command at the server of `key`, which calls `GET` so often itself. Returns whether the server is there.
    fn command(&mut self, key: u32, script: Script, gets: u32) -> bool {
        let server = self.server_of(u64::from(key));
        let is_lost = self.load.lost.is_some_and(|(from, until)| (from..until).contains(&self.now));
        if is_lost && server == LOST_SERVER {
            return false;
        }
        self.count(server, self.weight(key), script, gets);
        true
    }

    /// So many commands at a server.
    pub(crate) fn count(&mut self, server: usize, commands: f64, script: Script, gets: u32) -> &mut Second {
        let second = self.out.second(self.now);
        second.commands[server] += commands;
        second.scripts += if script == Script::Yes { commands } else { 0.0 };
        second.gets += commands * f64::from(gets);
        second
    }

    pub(crate) fn server_of(&self, key: u64) -> usize {
        (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % self.load.servers
    }

    /// What the server does and answers.
    fn served(&mut self, place: usize) -> Answer {
        let Flight { process, key, step, fence, made, seen, tags, .. } = self.flights[place];
        if let Step::Add(tag) = step {
            self.add_record(place, tag);
            return Answer::Added;
        }
        let record = &self.records[key as usize];
        let (value, claim) = (record.value, record.claim.filter(|claim| claim.until > self.now));
        let gets = match step {
            Step::Add(_) => 0,
            Step::Get | Step::Store => 1,
            Step::ClaimMissing => 1 + u32::from(value.is_none()),
            Step::ClaimAny => 2,
        };
        if !self.command(key, if step == Step::Get { Script::No } else { Script::Yes }, gets) {
            return Answer::Failed;
        }
        if self.load.near.is_some() && step != Step::Store {
            self.records[key as usize].readers[process as usize / 64] |= 1 << (process % 64);
        }
        self.read_records(place);
        match (step, value) {
            (Step::Add(_), _) => Answer::Added,
            (Step::Store, _) => {
                if claim.is_some_and(|claim| Some(claim.token) == fence) {
                    self.records[key as usize].claim = None;
                    let jitter = 1.0 - self.load.jitter * self.random.unit();
                    let fresh_until = self.now + (self.load.timeout as f64 * jitter) as Nanos;
                    self.put(key, Value { made, stored: self.now, fresh_until, tags });
                    self.changed(key);
                }
                Answer::Stored
            }
            (Step::Get | Step::ClaimMissing, Some(value)) => Answer::Value(value),
            (Step::Get, None) => Answer::Nothing,
            // Another process has made it meanwhile, so the claim is given back.
            (Step::ClaimAny, Some(value)) if value.stored != seen => {
                if claim.is_none() {
                    self.command(key, Script::Yes, 1);
                } else {
                    let weight = self.weight(key);
                    self.out.second(self.now).held += weight;
                }
                Answer::Value(value)
            }
            (Step::ClaimMissing | Step::ClaimAny, _) => match claim {
                Some(claim) => {
                    let weight = self.weight(key);
                    self.out.second(self.now).held += weight;
                    Answer::Held(claim)
                }
                None => {
                    let token = self.random.next();
                    let claim = Claim { token, process, until: self.now + self.load.lease };
                    self.records[key as usize].claim = Some(claim);
                    Answer::Leased(token)
                }
            },
        }
    }

    fn put(&mut self, key: u32, value: Value) {
        let record = &mut self.records[key as usize];
        record.version += 1;
        record.value = Some(value);
        let event = Event::Expires(key, record.version);
        self.at(value.fresh_until + self.load.stale, event);
    }

    /// The server tells of a change.
    fn changed(&mut self, key: u32) {
        let (weight, processes) = (self.weight(key), self.load.processes as f64);
        let record = &mut self.records[key as usize];
        let readers: u32 = record.readers.iter().map(|word| word.count_ones()).sum();
        record.readers.fill(0);
        if self.load.near.is_some() {
            let second = self.out.second(self.now);
            second.told += weight;
            second.told_by_key += weight * f64::from(readers) / processes;
            self.after_half_trip(Event::Told(key));
        }
    }

    fn hear(&mut self, place: usize) {
        let Flight { process, key, replaces, answer, step, begun, .. } = self.flights[place];
        let found = &mut self.found_in_a_row[process as usize];
        match answer {
            // One of its tags was invalidated.
            Answer::Value(value) if value.tags != self.flights[place].tags => {
                self.flights[place].seen = value.stored;
                self.send(place, Step::ClaimAny);
            }
            Answer::Value(value) => {
                let is_due = self.now >= replaced_from(&value, self.load.early, &mut self.random);
                if replaces && is_due {
                    self.flights[place].seen = value.stored;
                    return self.send(place, Step::ClaimAny);
                }
                *found = (*found + 1).min(MOSTLY_FINDS);
                if !is_due {
                    self.keep_near(place, value);
                }
                if !replaces {
                    self.answered(key, value.made);
                    self.out.waited(begun, self.now, self.flights[place].fences > 0);
                }
                self.end(place);
                if is_due && self.attempts.get(&(process, key)).is_none_or(|until| *until <= self.now) {
                    self.attempts.insert((process, key), self.now + RETRY);
                    self.begin(process, key, true);
                }
            }
            Answer::Nothing => self.send(place, Step::ClaimMissing),
            Answer::Leased(token) => {
                *found = 0;
                self.begin_tags(place, token);
            }
            Answer::Added => self.begin_tags(place, self.flights[place].fence.unwrap_or(0)),
            Answer::Held(claim) if claim.process == process || (!self.load.leases && !replaces) => {
                *found = 0;
                self.begin_body(place, Some(claim.token));
            }
            Answer::Held(_) if replaces => {
                *found = 0;
                self.end(place);
            }
            Answer::Held(claim) => {
                *found = 0;
                let flight = &mut self.flights[place];
                if flight.fence != Some(claim.token) {
                    flight.fences += 1;
                    flight.fence = Some(claim.token);
                }
                if flight.fences > MOST_FENCES || self.now - begun >= WAIT_LIMIT {
                    return self.begin_body(place, Some(claim.token));
                }
                let pause = flight.pause as f64 * (0.5 + self.random.unit() / 2.0);
                flight.pause = (flight.pause * 2).min(self.load.pauses[1]);
                let weight = self.weight(key);
                self.out.second(self.now).polls += weight;
                self.at(self.now + pause as Nanos, Event::Looks(place));
            }
            Answer::Failed if step == Step::Store => self.end(place),
            Answer::Failed => self.begin_body(place, None),
            Answer::Stored => self.end(place),
        }
    }

    fn keep_near(&mut self, place: usize, value: Value) {
        let Flight { process, key, told, .. } = self.flights[place];
        if !self.is_open[process as usize] || self.told_of(key) != told.0 {
            return;
        }
        // A change of another key in the same shard of the index also keeps it out.
        let others = self.told - told.1;
        if self.random.unit() > (1.0 - 1.0 / SHARDS).powf(others) {
            return;
        }
        let ends = value.fresh_until + self.load.stale;
        let early = self.load.early;
        let due = if early < 1.0 { replaced_from(&value, early, &mut self.random) } else { value.fresh_until };
        let entry = Entry::new(value.made, due, ends);
        self.near[process as usize].put(key, entry, &self.keys.weights);
    }

    pub(crate) fn begin_body(&mut self, place: usize, fence: Option<u64>) {
        let (now, spread) = (self.now, 0.5 + self.random.unit());
        let ends = now + (self.load.body as f64 * spread) as Nanos;
        self.out.bodies_took = self.out.bodies_took.max(ends - now);
        let flight = &mut self.flights[place];
        (flight.made, flight.fence, flight.body_ends) = (now, fence, ends);
        let (key, replaces) = (flight.key, flight.replaces);
        let record = &self.records[key as usize];
        // One that began before an invalidation is of no use after it.
        let runs = record.running > 0 && self.invalidated(key).iter().all(|invalidated| *invalidated <= record.begun);
        let is_extra = runs || (!replaces && record.value.is_some_and(|value| self.is_valid(key, &value)));
        let record = &mut self.records[key as usize];
        (record.running, record.begun) = (record.running + 1, now);
        let weight = self.weight(key);
        let second = self.out.second(now);
        second.bodies += weight;
        second.extra += if is_extra { weight } else { 0.0 };
        self.at(ends, Event::BodyEnds(place));
        if fence.is_some() && now + self.load.lease / 3 < ends {
            self.at(now + self.load.lease / 3, Event::Renews(place));
        }
    }

    fn body_ends(&mut self, place: usize) {
        let Flight { key, fence, .. } = self.flights[place];
        self.records[key as usize].running -= 1;
        if fence.is_some() {
            self.send(place, Step::Store);
        } else {
            self.end(place);
        }
    }

    fn renew(&mut self, place: usize) {
        let Flight { key, fence, body_ends, .. } = self.flights[place];
        let until = self.now + self.load.lease;
        if self.command(key, Script::Yes, 1)
            && let Some(claim) = &mut self.records[key as usize].claim
            && Some(claim.token) == fence
        {
            claim.until = until;
        }
        let next = self.now + self.load.lease / 3;
        if next < body_ends {
            self.at(next, Event::Renews(place));
        }
    }
}

/// From when on a value is replaced early. Each look at it draws anew.
fn replaced_from(value: &Value, early: f64, random: &mut Random) -> Nanos {
    let share = early + (1.0 - early) * SPREAD * random.unit();
    value.stored + ((value.fresh_until - value.stored) as f64 * share) as Nanos
}
