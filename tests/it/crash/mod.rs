//! The real program is killed with signal 9 at random moments under load, started again, and held to
//! everything that it had acknowledged: events, waits, decisions, number assignments.
//!
//! Clients keep books (`ledger`), a pretended Azure counts what was done (`azure`), a judge compares
//! (`check`). The seed fixes what the clients do and when they are to be killed; how the machine
//! interleaves them it does not, so a seed repeats a failure often, not always.
//!
//! `SWITCHHOOK_CRASH_ROUNDS` is the number of kills (3 when it is not set), `SWITCHHOOK_CRASH_SEED` the
//! seed (another one each time when it is not set). A thousand kills:
//!
//! ```sh
//! SWITCHHOOK_CRASH_ROUNDS=1000 cargo test --test it crash::nothing
//! ```

mod azure;
mod check;
mod check_tests;
mod dice;
mod ledger;
mod others;
mod process;
mod senders;
mod sight;
mod waits;
mod world;

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use self::azure::Azure;
use self::check::{Violation, check};
use self::dice::Dice;
use self::ledger::End;
use self::others::{Clerk, Ringer, assign};
use self::process::{Addresses, Ended, Process, Told};
use self::senders::{Sender, samples};
use self::sight::Sight;
use self::world::{PATIENCE, Phase, World, answer, until};

/// Those who post mid-call events.
const SENDERS: usize = 4;
/// So many kills one folder sees; then a new one is begun.
const KILLS_OF_A_FOLDER: usize = 25;
/// How long ended calls are kept here: less than usual, so that some are forgotten on the way.
const TOMBSTONE_MS: u64 = 20_000;

/// A story: a folder, a service that is killed again and again, and those who use it.
struct Story<'a> {
    folder: &'a Path,
    world: Rc<World>,
    dice: Dice,
    /// What every service of the story is set to.
    settings: Vec<(&'static str, String)>,
    process: Process,
    /// What the services said before they were killed.
    said: Vec<String>,
    died: Option<String>,
    /// How long anything may take to come true.
    patience: Duration,
}

/// What is wrong after so many kills, and the last words of the service.
struct Failure {
    kills: usize,
    wrong: Vec<Violation>,
    said: Vec<String>,
}

impl<'a> Story<'a> {
    async fn begin(folder: &'a Path, seed: u64, settings: Vec<(&'static str, String)>) -> Self {
        let azure = Azure::start(seed).await;
        let world = World::new(Rc::clone(&azure));
        let mut dice = Dice::of(seed, "story");
        let process = start(folder, &azure, &settings, &mut dice);
        let said = Vec::new();
        let story =
            Self { folder, world, dice, settings, process, said, died: None, patience: PATIENCE };
        let at = story.ready().await.expect("the first start");
        assign(&story.world, &at).await;
        story.world.phase.send_replace(Phase::Working(at));
        story.engage(seed);
        story
    }

    /// Everybody begins.
    fn engage(&self, seed: u64) {
        let samples = Rc::new(samples());
        for name in 0..SENDERS {
            actix_web::rt::spawn(Sender::new(name, seed, &self.world, &samples).run());
        }
        actix_web::rt::spawn(Ringer::new(seed, &self.world).run());
        actix_web::rt::spawn(Clerk::new(seed, &self.world).run());
    }

    /// One kill, and everything that follows from it.
    async fn round(&mut self) -> Result<(), Vec<Violation>> {
        let acks = 40 + self.dice.below(160);
        let acks = usize::try_from(acks).unwrap_or(usize::MAX);
        let killed = tokio::time::timeout(3 * PATIENCE, self.world.after(acks)).await;
        if killed.is_err() {
            let ledger = self.world.ledger.borrow();
            let how = format!("only {} requests were acknowledged", ledger.acks);
            let mut wrong = check(&ledger, &check::Observed::default());
            wrong.push(Violation::Died { how });
            return Err(wrong);
        }
        self.kill();
        self.silence_somebody();
        let at = self.start_again().await?;
        self.judge(&at).await?;
        self.world.phase.send_replace(Phase::Working(at));
        Ok(())
    }

    /// Everybody ends what was begun; then one more kill.
    async fn end(&mut self) -> Result<(), Vec<Violation>> {
        let at = self.world.served().await;
        self.world.phase.send_replace(Phase::Finishing(at));
        let world = Rc::clone(&self.world);
        let clients = SENDERS + 2;
        let done = until(self.patience, || async { world.finished.get() == clients }).await;
        self.kill();
        let at = self.start_again().await?;
        self.judge(&at).await?;
        let stand = |wait: &&ledger::WaitNote| wait.ended.is_none();
        let ledger = self.world.ledger.borrow();
        let mut wrong: Vec<_> = ledger.waits.iter().filter(stand).map(still_stands).collect();
        if !done {
            let how = "not everybody could finish".to_owned();
            wrong.push(Violation::Died { how });
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    fn kill(&mut self) {
        self.world.phase.send_replace(Phase::Down);
        if let Ended::Itself(how) = self.process.kill() {
            self.died.get_or_insert(how);
        }
        self.said.extend(self.process.said());
    }

    /// A call ends while nobody is there to hear of it.
    fn silence_somebody(&mut self) {
        let mut ledger = self.world.ledger.borrow_mut();
        // Nothing of it may be on its way, or whether that comes before the end would be open.
        let quiet = ledger.calls.iter().filter(|(call, note)| {
            let arrived = ledger.events_of(call).all(|sent| sent.sends == sent.acks);
            note.end.is_none() && !note.events.is_empty() && arrived
        });
        let quiet: Vec<_> = quiet.map(|(call, _)| call.clone()).collect();
        let Some(call) = self.dice.pick(&quiet).filter(|_| self.dice.clone().chance(50)) else {
            return;
        };
        if let Some(note) = ledger.calls.get_mut(call) {
            note.end = Some((End::Silent, self.world.now_ms()));
        }
        self.world.azure.forget(call);
        self.world.silenced.borrow_mut().insert(call.clone());
    }

    /// Starts the service, now and then several times, because it is killed while it starts.
    async fn start_again(&mut self) -> Result<Addresses, Vec<Violation>> {
        while self.dice.chance(20) {
            self.process = self.start();
            let moment = Duration::from_millis(self.dice.below(120));
            let _too_late = tokio::time::timeout(moment, self.ready()).await;
            self.kill();
        }
        self.process = self.start();
        match self.ready().await {
            Some(at) => Ok(at),
            None => {
                self.kill();
                let how = self.died.clone().unwrap_or_else(|| "it did not become ready".to_owned());
                Err(vec![Violation::Died { how }])
            }
        }
    }

    fn start(&mut self) -> Process {
        start(self.folder, &self.world.azure, &self.settings, &mut self.dice)
    }

    /// Where the service is, once it is ready.
    async fn ready(&self) -> Option<Addresses> {
        let found = std::cell::RefCell::new(None);
        let ready = until(PATIENCE, || async {
            let known: Option<Addresses> = found.borrow().clone();
            let at = match known {
                Some(at) => at,
                None => match self.process.told() {
                    Told::Nothing => return false,
                    Told::LastWord => return true,
                    Told::Serves(at) => found.replace(Some(at.clone())).unwrap_or(at),
                },
            };
            let asked = self.world.get(format!("{}/readyz", at.private));
            matches!(answer(asked).await, Some((200, _)))
        });
        if !ready.await {
            return None;
        }
        found.into_inner()
    }

    async fn judge(&mut self, at: &Addresses) -> Result<(), Vec<Violation>> {
        self.world.phase.send_replace(Phase::Checking(at.clone()));
        let sight = Sight { world: &self.world, at, tombstone_ms: TOMBSTONE_MS };
        let mut observed = sight.settle(self.patience).await;
        sight.look(&mut observed).await;
        observed.panics =
            self.said.iter().chain(&self.process.said()).filter(panicked).cloned().collect();
        observed.died = self.died.clone();
        let wrong = check(&self.world.ledger.borrow(), &observed);
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

fn panicked(line: &&String) -> bool {
    line.contains("panicked at")
}

fn still_stands(wait: &ledger::WaitNote) -> Violation {
    let (call, context) = (wait.call.clone(), wait.context.clone());
    Violation::WaitStillStands { call, context }
}

/// Starts a service. Each has another habit of writing snapshots.
fn start(
    folder: &Path,
    azure: &Azure,
    settings: &[(&'static str, String)],
    dice: &mut Dice,
) -> Process {
    // A round of snapshots comes a backlog's time after it is due: with the default no service here
    // lives long enough to make one.
    let often = dice.chance(60);
    let (lines, backlog) = if often { ("30", "40") } else { ("50000", "5000") };
    let mut settings = settings.to_vec();
    settings.extend([
        ("SWITCHHOOK__STORE__SNAPSHOT_LINES", lines.to_owned()),
        ("SWITCHHOOK__CALLS__BACKLOG_MS", backlog.to_owned()),
        ("SWITCHHOOK__CALLS__TOMBSTONE_MS", TOMBSTONE_MS.to_string()),
        ("SWITCHHOOK__CALLS__SHARDS", "2".to_owned()),
        ("SWITCHHOOK__VERIFY__PER_SECOND", "500".to_owned()),
    ]);
    Process::start(folder, &azure.connection_string(), &settings)
}

/// Tells a story with so many kills on a new folder.
async fn tell(folder: &Path, seed: u64, kills: usize) -> Result<usize, Failure> {
    let mut story = Story::begin(folder, seed, Vec::new()).await;
    for round in 1..=kills {
        let done = if round < kills { story.round().await } else { story.end().await };
        if let Err(wrong) = done {
            story.kill();
            return Err(Failure { kills: round, wrong, said: story.said });
        }
    }
    let acks = story.world.ledger.borrow().acks;
    Ok(acks)
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

#[actix_web::test]
async fn nothing_acknowledged_is_lost_when_the_process_is_killed() {
    let rounds = usize::try_from(number("SWITCHHOOK_CRASH_ROUNDS").unwrap_or(3)).expect("a number");
    let any = || uuid::Uuid::new_v4().as_u64_pair().0 >> 32;
    let mut seed = number("SWITCHHOOK_CRASH_SEED").unwrap_or_else(any);
    let mut left = rounds;
    while left > 0 {
        let kills = left.min(KILLS_OF_A_FOLDER);
        let folder = tempfile::tempdir().expect("a folder");
        if let Err(failure) = tell(folder.path(), seed, kills).await {
            let Failure { kills: after, wrong, said } = failure;
            let kept = folder.keep();
            let last = said[said.len().saturating_sub(40)..].join("\n");
            panic!(
                "after {after} kills: {wrong:#?}\n\nthe last words of the service:\n{last}\n\n\
                 its data: {}\nonce more: SWITCHHOOK_CRASH_SEED={seed} SWITCHHOOK_CRASH_ROUNDS={kills} \
                 cargo test --test it crash::nothing",
                kept.display(),
            );
        }
        left -= kills;
        seed += 1;
    }
}

/// The control: what a store in memory loses must be found, or the test above proves nothing.
#[actix_web::test]
async fn a_store_in_memory_is_caught_losing_everything() {
    let folder = tempfile::tempdir().expect("a folder");
    let settings = vec![("SWITCHHOOK__STORE__EPHEMERAL", "true".to_owned())];
    let mut story = Story::begin(folder.path(), 7, settings).await;
    story.patience = Duration::from_secs(1);
    let wrong = story.round().await.expect_err("a store in memory forgets");
    let finds = |which: fn(&Violation) -> bool| wrong.iter().any(which);
    assert!(finds(|it| matches!(it, Violation::CallLost { .. })), "{wrong:#?}");
    assert!(
        finds(|it| matches!(it, Violation::EventInListSoOften { listed: 0, .. })),
        "{wrong:#?}"
    );
    assert!(finds(|it| matches!(it, Violation::NumberLost { .. })), "{wrong:#?}");
}
