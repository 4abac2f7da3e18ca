//! What happens in a simulation, step by step, and what must be true after each.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use switchhook::ports::Journal;
use switchhook::pure::call::{CallView, Input, Phase, WaitEnd, WaiterId, Wants};
use switchhook::pure::time::Position;
use switchhook::wire::events::EventKind;
use switchhook::wire::identifiers::CallConnectionId;

use super::super::disk::{Dice, SimDisk};
use super::azure::{Azure, Posting};
use super::service::{Answer, Kept, Service, moment};
use super::{Bug, Violation};

#[derive(Clone, Debug, Default)]
pub struct Summary {
    pub simulated_ms: u64,
    pub crashes: u64,
    pub acknowledged: u64,
    pub repeats: u64,
    pub told: u64,
    pub timed_out: u64,
    pub ended: u64,
    pub resumed: u64,
    pub rounds: u64,
    pub trace: u64,
}

impl Summary {
    pub fn add(&mut self, other: &Self) {
        self.simulated_ms += other.simulated_ms;
        self.crashes += other.crashes;
        self.acknowledged += other.acknowledged;
        self.repeats += other.repeats;
        self.told += other.told;
        self.timed_out += other.timed_out;
        self.ended += other.ended;
        self.resumed += other.resumed;
        self.rounds += other.rounds;
    }
}

/// A client that waits, and goes on by its cursor when its connection breaks.
struct Client {
    id: WaiterId,
    call: CallConnectionId,
    kind: EventKind,
    context: String,
    after: Position,
    until: u64,
}

pub struct World {
    dice: Dice,
    bug: Option<Bug>,
    now: u64,
    disk: SimDisk,
    service: Service,
    azure: Azure,
    /// Postings that are not answered yet.
    open: Vec<(Posting, Kept)>,
    /// Ids of events that were answered 200.
    acknowledged: BTreeSet<u64>,
    /// What was at a place that was acknowledged.
    places: BTreeMap<u64, u64>,
    given: Vec<(Vec<u64>, Vec<Position>)>,
    clients: Vec<Client>,
    asked: u64,
    /// A round under way: what it will cover, and when it is made.
    round: Option<(Position, u64)>,
    summary: Summary,
}

fn violation<T>(text: impl Into<String>) -> Result<T, Violation> {
    Err(text.into())
}

impl World {
    pub fn new(seed: u64, bug: Option<Bug>) -> Self {
        let disk = SimDisk::new();
        let service = Service::start(&disk, 0, bug).expect("a new disk");
        Self {
            dice: Dice::new(seed),
            bug,
            now: 0,
            disk,
            service,
            azure: Azure::default(),
            open: Vec::new(),
            acknowledged: BTreeSet::new(),
            places: BTreeMap::new(),
            given: Vec::new(),
            clients: Vec::new(),
            asked: 0,
            round: None,
            summary: Summary::default(),
        }
    }

    pub fn step(&mut self) -> Result<(), Violation> {
        match self.dice.below(100) {
            0..=24 => self.azure.happen(&mut self.dice, self.now),
            25..=49 => self.post(),
            50..=69 => self.commit(),
            70..=79 => self.wait(),
            80..=94 => self.pass(),
            95..=96 => self.begin_round(),
            _ => self.crash()?,
        }
        self.hear()?;
        self.check()
    }

    /// Nothing new happens; what is under way comes to its end.
    pub fn end(mut self) -> Result<Summary, Violation> {
        for _ in 0..200 {
            self.post();
            self.commit();
            self.pass();
            self.hear()?;
        }
        self.check()?;
        if let Some(client) = self.clients.iter().find(|client| client.until + 60_000 < self.now) {
            return violation(format!("wait {:?} never ended", client.id));
        }
        self.summary.simulated_ms = self.now;
        self.summary.repeats += self.service.repeats;
        self.summary.acknowledged = self.acknowledged.len() as u64;
        Ok(self.summary)
    }

    fn trace(&mut self, what: impl Hash) {
        let mut hasher = DefaultHasher::new();
        (self.summary.trace, self.now, what).hash(&mut hasher);
        self.summary.trace = hasher.finish();
    }

    fn post(&mut self) {
        let Some(posting) = self.azure.post(&mut self.dice, self.now) else { return };
        let jsons: Vec<_> =
            posting.events.iter().map(|id| self.azure.happened[id].json.clone()).collect();
        let (kept, positions) = self.service.receive(&jsons, self.now);
        self.trace(("post", &posting.events, positions.len()));
        self.given.push((posting.events.clone(), positions));
        if self.bug == Some(Bug::EarlyAck) {
            self.acknowledged.extend(&posting.events);
        }
        self.open.push((posting, kept));
    }

    fn commit(&mut self) {
        self.service.journal.commit_next();
        let mut again = Vec::new();
        let (now, acknowledged) = (self.now, &mut self.acknowledged);
        self.open.retain_mut(|(posting, kept)| match Service::answered(kept) {
            None => true,
            Some(Ok(())) => {
                acknowledged.extend(&posting.events);
                false
            }
            Some(Err(_)) => {
                again.push(posting.clone());
                false
            }
        });
        for posting in again {
            self.azure.again(posting, now);
        }
        let count = self.acknowledged.len();
        self.trace(("commit", count));
    }

    fn wait(&mut self) {
        if self.azure.live.is_empty() || self.clients.len() >= 12 {
            return;
        }
        let place = self.dice.below(self.azure.live.len() as u64) as usize;
        let call = CallConnectionId::new(self.azure.live[place].clone());
        let kinds = ["PlayCompleted", "RecognizeCompleted", "PlayFailed"];
        let kind = EventKind::parse(kinds[self.dice.below(3) as usize]);
        let context = ["a", "b", "c"][self.dice.below(3) as usize].to_owned();
        let after = self.service.calls.get(&call).map(|call| call.timeline().newest());
        let within = 1000 + self.dice.below(30_000);
        self.asked += 1;
        let (id, until) = (WaiterId(self.asked), self.now + within);
        let after = after.unwrap_or_default();
        let client = Client { id, call, kind, context, after, until };
        self.trace(("wait", self.asked));
        self.stand(&client);
        self.clients.push(client);
    }

    /// Puts up a wait that counts from the client's cursor, as the door does it.
    fn stand(&mut self, client: &Client) {
        let wants = Wants::kinds(std::slice::from_ref(&client.kind))
            .context(client.context.as_str().into());
        let within = Duration::from_millis(client.until.saturating_sub(self.now));
        let (id, asked) = (client.id, moment(self.now).tick);
        let wait = Input::Wait { id, wants, asked, within, from_backlog: false };
        self.service.drive(&client.call, wait, self.now);
    }

    fn pass(&mut self) {
        let most = if self.dice.chance(90) { 800 } else { 20_000 };
        self.now += 1 + self.dice.below(most);
        self.service.pass(self.now);
        if let Some((covers, due)) = self.round
            && due <= self.now
        {
            self.round = None;
            let mut kept = self.service.round(covers, self.now, self.bug);
            while self.service.journal.commit_next() {}
            self.summary.rounds += u64::from(Service::answered(&mut kept) == Some(Ok(())));
        }
        self.trace("pass");
    }

    fn begin_round(&mut self) {
        let newest = self.service.journal.state().borrow().newest;
        let backlog = self.service.limits.backlog_age.as_millis() as u64;
        self.round.get_or_insert((newest, self.now + backlog));
    }

    /// The power goes, now or in the middle of a commit, and comes back.
    fn crash(&mut self) -> Result<(), Violation> {
        if self.dice.chance(50) {
            self.disk.cut_after(1 + self.dice.below(12));
            self.commit();
        }
        let quiet = self.quiet_views();
        self.disk.cut();
        self.disk = self.disk.crash(self.dice.roll());
        self.summary.crashes += 1;
        self.summary.repeats += self.service.repeats;
        self.service = Service::start(&self.disk, self.now, self.bug)
            .map_err(|error| format!("the service does not start again: {error}"))?;
        self.trace(("crash", self.service.calls.len()));
        self.round = None;
        for (posting, _) in std::mem::take(&mut self.open) {
            // Nobody answered: it comes again, unless Azure gives up.
            if !self.dice.chance(10) {
                self.azure.again(posting, self.now);
            }
        }
        self.given.clear();
        self.compare(&quiet)?;
        let clients = std::mem::take(&mut self.clients);
        for client in clients {
            self.resume(client)?;
        }
        Ok(())
    }

    /// Calls of which nothing is under way: they must be the same after a restart.
    fn quiet_views(&self) -> Vec<(CallConnectionId, CallView)> {
        let busy: BTreeSet<_> = self
            .azure
            .happened
            .iter()
            .filter(|(id, _)| !self.acknowledged.contains(id))
            .map(|(_, happened)| happened.call.clone())
            .collect();
        if !self.open.is_empty() || self.service.journal.waiting() > 0 {
            return Vec::new();
        }
        let calls = self.service.calls.keys().filter(|id| !busy.contains(id.as_str()));
        calls.filter_map(|id| Some((id.clone(), self.service.view(id, self.now)?))).collect()
    }

    fn compare(&self, quiet: &[(CallConnectionId, CallView)]) -> Result<(), Violation> {
        for (id, before) in quiet {
            if before.timeline.is_empty() {
                continue;
            }
            let Some(after) = self.service.view(id, self.now) else {
                return violation(format!("{id} did not come back"));
            };
            let lines = |view: &CallView| -> Vec<_> {
                view.timeline.iter().map(|line| (line.position, line.entry.stale)).collect()
            };
            let state = |view: &CallView| (view.state, view.ending.clone(), lines(view));
            if state(&after) != state(before) {
                return violation(format!("{id} came back as another call"));
            }
        }
        Ok(())
    }

    /// The connection broke: the client reads on from its cursor and waits again.
    fn resume(&mut self, client: Client) -> Result<(), Violation> {
        self.summary.resumed += 1;
        let found = self.service.calls.get(&client.call).and_then(|call| {
            let wanted = |line: &&switchhook::pure::call::Entry| {
                line.kind == client.kind
                    && line.context.as_ref().is_some_and(|it| it.as_str() == client.context)
            };
            call.timeline().after(client.after).find(wanted).map(|line| line.sub_code)
        });
        match found {
            Some(sub_code) => self.told(&client, sub_code),
            None if client.until <= self.now => self.timed_out(&client),
            None => {
                self.stand(&client);
                self.clients.push(client);
                Ok(())
            }
        }
    }

    fn hear(&mut self) -> Result<(), Violation> {
        for (id, answer) in std::mem::take(&mut self.service.answers) {
            let Some(place) = self.clients.iter().position(|client| client.id == id) else {
                return violation(format!("{id:?} was answered twice"));
            };
            let client = self.clients.remove(place);
            match answer {
                Answer::Told(heard) => self.told(&client, heard.event.codes().1)?,
                Answer::Ended(WaitEnd::TimedOut(_)) => self.timed_out(&client)?,
                Answer::Ended(WaitEnd::CallEnded(_)) => {
                    self.summary.ended += 1;
                    if self.azure.live.iter().any(|live| live == client.call.as_str()) {
                        return violation(format!("{id:?}: {} has not ended", client.call));
                    }
                }
                Answer::Ended(other) => return violation(format!("{id:?} ended by {other:?}")),
            }
        }
        Ok(())
    }

    /// The sub code of an event is its id.
    fn told(&mut self, client: &Client, sub_code: Option<i32>) -> Result<(), Violation> {
        self.summary.told += 1;
        self.trace(("told", client.id.0, sub_code));
        let id = sub_code.and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
        let Some(happened) = self.azure.happened.get(&id) else {
            return violation(format!("{:?} was told what never happened", client.id));
        };
        let same = happened.call == client.call.as_str()
            && EventKind::parse(happened.kind) == client.kind
            && happened.context == client.context;
        if same { Ok(()) } else { violation(format!("{:?} was told of another's", client.id)) }
    }

    fn timed_out(&mut self, client: &Client) -> Result<(), Violation> {
        self.summary.timed_out += 1;
        if client.until > self.now {
            return violation(format!("{:?} timed out too early", client.id));
        }
        Ok(())
    }

    /// What must be true at any time.
    fn check(&mut self) -> Result<(), Violation> {
        for (events, positions) in &self.given {
            for (event, position) in events.iter().zip(positions) {
                if self.acknowledged.contains(event)
                    && *self.places.entry(position.0).or_insert(*event) != *event
                {
                    return violation(format!("place {} was given twice", position.0));
                }
            }
        }
        let mut lines: BTreeMap<u64, u64> = BTreeMap::new();
        for (id, call) in &self.service.calls {
            let mut last = Position(0);
            for line in call.timeline().entries() {
                let event = line.sub_code.and_then(|id| u64::try_from(id).ok()).unwrap_or_default();
                if line.position <= last {
                    return violation(format!("{id}: lines out of order"));
                }
                last = line.position;
                if self.azure.happened.get(&event).is_none_or(|it| it.call != id.as_str()) {
                    return violation(format!("event {event} stands under {id}"));
                }
                *lines.entry(event).or_default() += 1;
            }
            if call.phase() == Phase::Disconnected
                && call
                    .grace_ends(&self.service.limits)
                    .is_none_or(|end| end < moment(self.now).tick)
                && !call.is_over()
            {
                return violation(format!("{id} has ended and is not over"));
            }
        }
        for event in &self.acknowledged {
            let happened = &self.azure.happened[event];
            let id = CallConnectionId::new(happened.call.clone());
            let there = lines.get(event).copied().unwrap_or_default();
            if there > 1 {
                return violation(format!("event {event} stands {there} times"));
            }
            let live = self.azure.live.contains(&happened.call);
            if there == 0 && live {
                return violation(format!("acknowledged event {event} of {id} is lost"));
            }
        }
        Ok(())
    }
}
