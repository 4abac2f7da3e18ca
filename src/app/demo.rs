//! A demonstration that keeps placing scripted calls: some are answered by a small IVR, some are
//! redirected or rejected by their number assignments, some are placed by us.

use std::sync::Arc;
use std::time::Duration;

use actix::Addr;
use futures_util::future::{AbortHandle, Abortable};
use serde::Deserialize;

use super::{Answered, App};
use crate::actors::routing::{DecisionRecord, Look, PutNumber, RoutingActor};
use crate::client::{
    AskError, Call, Client, ConnectOutcome, Listen, NewCall, PlayOutcome, Prompt, RecognizeOutcome,
    WaitError,
};
use crate::emulator::{Action, OnRing, Phone, PhoneBook, Prompt as Heard, Step};
use crate::ports::{Clock, sleep};
use crate::pure::routing::{Draft, Key};
use crate::wire::events::Participant;
use crate::wire::identifiers::Identifier;

/// Pause between two scripted calls.
const PAUSE: Duration = Duration::from_secs(2);
/// The IVR's number.
const IVR: &str = "+18005550100";
/// A number whose calls go to an agent.
const SALES: &str = "+18005550101";
/// A number that is always busy.
const CLOSED: &str = "+18005550102";
/// The agent.
const AGENT: &str =
    "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_00000022-4d1f-0c8d-3ef0-343a0d00a1b3";
/// Presses 1 in the menu.
const ANNA: &str = "+14255550001";
/// Says nothing.
const BEN: &str = "+14255550002";
/// Hangs up in the middle of the greeting.
const CLEO: &str = "+14255550003";
/// Is busy when we call.
const DORA: &str = "+14255550004";

/// Where the lines of the demonstration go. Told apart from the log, because they show the (invented)
/// numbers.
pub type Narrator = Arc<dyn Fn(&str) + Send + Sync>;

/// A running demonstration.
pub struct Demo {
    tasks: Vec<AbortHandle>,
}

/// The numbers of the demonstration, which belong to the emulated resource.
pub fn numbers() -> Vec<String> {
    [IVR, SALES, CLOSED].map(str::to_owned).into()
}

/// How the people of the demonstration behave.
pub fn phones() -> PhoneBook {
    let mut book = PhoneBook::default();
    let step = |on_prompt, after, action| Step { on_prompt, after, action };
    let second = Duration::from_secs(1);
    let keys = step(Some(Heard::Recognize), second, Action::Press(vec!["one"]));
    let leaves = step(Some(Heard::Play), second / 2, Action::HangUp);
    let person = |on_ring, script| Phone { on_ring, after: second, script };
    book.set(&Identifier::phone(ANNA), person(OnRing::Answer, vec![keys]));
    book.set(&Identifier::phone(BEN), person(OnRing::Answer, vec![]));
    book.set(&Identifier::phone(CLEO), person(OnRing::Answer, vec![leaves]));
    book.set(&Identifier::phone(DORA), person(OnRing::Busy, vec![]));
    book
}

impl Demo {
    /// Assigns the numbers and begins.
    pub(super) fn start(
        app: &App,
        emulator: String,
        http: reqwest::Client,
        clock: Arc<dyn Clock>,
        tell: Narrator,
    ) -> Self {
        let stage = Stage {
            client: app.client().clone(),
            routing: app.routing().clone(),
            http,
            emulator,
            clock,
            tell,
        };
        let ivr = answer_calls(app.answered(), stage.clone());
        let tasks = vec![spawn(ivr), spawn(async move { stage.play().await })];
        Self { tasks }
    }

    /// Places no more calls; those under way are hung up.
    pub(super) async fn stop(self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn spawn(task: impl Future<Output = ()> + 'static) -> AbortHandle {
    let (handle, registration) = AbortHandle::new_pair();
    let task = Abortable::new(task, registration);
    actix::spawn(async move {
        let _aborted = task.await;
    });
    handle
}

#[derive(Clone)]
struct Stage {
    client: Client,
    routing: Addr<RoutingActor>,
    http: reqwest::Client,
    emulator: String,
    clock: Arc<dyn Clock>,
    tell: Narrator,
}

/// Answer of the emulator to a ringing call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ringing {
    server_call_id: String,
}

impl Stage {
    fn tell(&self, line: &str) {
        (self.tell)(line);
    }

    async fn play(self) {
        if let Err(problem) = self.assign_numbers().await {
            return self.tell(&format!("the demonstration cannot begin: {problem}"));
        }
        for round in 0_u32.. {
            self.ring(ANNA, IVR).await;
            self.ring(&format!("+1425555{:04}", 1000 + round % 9000), SALES).await;
            self.ring("+16045550123", CLOSED).await;
            self.call(ANNA).await;
            self.ring("anonymous", IVR).await;
            self.ring(BEN, IVR).await;
            self.call(DORA).await;
            self.ring(CLEO, IVR).await;
        }
    }

    async fn assign_numbers(&self) -> Result<(), String> {
        let plans = [
            (
                IVR,
                serde_json::json!({"note": "the menu", "steps": [
                    {"when": {"caller": {"anonymous": true}},
                     "action": {"type": "reject", "reason": "forbidden"}},
                    {"action": {"type": "answer",
                                "cognitiveServicesEndpoint": "https://speech.example.com"}},
                ]}),
            ),
            (
                SALES,
                serde_json::json!({"note": "to the agent", "steps": [
                    {"action": {"type": "redirect", "target": AGENT}}]}),
            ),
            (
                CLOSED,
                serde_json::json!({"note": "nobody is in", "steps": [
                    {"action": {"type": "reject", "reason": "busy"}}]}),
            ),
            (
                AGENT,
                serde_json::json!({"note": "rings at the agent's own client", "steps": [
                    {"action": {"type": "ignore"}}]}),
            ),
        ];
        for (key, plan) in plans {
            let key = Key::parse(key).map_err(|error| error.to_string())?;
            let draft = Draft::parse(&plan).map_err(|error| error.to_string())?;
            let why = Some("the demonstration's numbers".into());
            let put = PutNumber { key, draft, if_match: None, who: "demo".into(), why };
            let written = self.routing.send(put).await.map_err(|error| error.to_string())?;
            written.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Somebody calls one of our numbers.
    async fn ring(&self, from: &str, to: &str) {
        let url = format!("{}/emulator/incoming-calls", self.emulator);
        let from_id = if from == "anonymous" { "4:anonymous" } else { from };
        let body = serde_json::json!({ "from": from_id, "to": to });
        let answer = self.http.post(url).json(&body).send().await;
        let ringing = match answer {
            Ok(answer) => answer.json::<Ringing>().await,
            Err(error) => Err(error),
        };
        match ringing {
            Ok(ringing) => {
                self.tell(&format!("{from} rings {to}"));
                self.tell_decision(from, to, &ringing.server_call_id).await;
            }
            Err(error) => self.tell(&format!("the emulator rang nobody: {error}")),
        }
        sleep(self.clock.as_ref(), PAUSE).await;
    }

    async fn tell_decision(&self, from: &str, to: &str, server_call: &str) {
        let until = self.clock.now() + Duration::from_secs(10);
        while self.clock.now() < until {
            if let Some(fate) = self.decision(server_call).await {
                return self.tell(&format!("{from} → {to}: {fate}"));
            }
            sleep(self.clock.as_ref(), Duration::from_millis(20)).await;
        }
        self.tell(&format!("{from} → {to}: nobody decided"));
    }

    async fn decision(&self, server_call: &str) -> Option<&'static str> {
        let is_this = |record: &DecisionRecord| {
            record.server_call_id.as_ref().is_some_and(|id| id.as_str() == server_call)
        };
        let view = self.routing.send(Look).await.ok()?;
        // The first of them: a redirect to the agent makes a second one under the same ids.
        let decisions = view.decisions.into_iter().rev();
        decisions.into_iter().find(is_this)?.fate.map(|fate| fate.label())
    }

    /// We call somebody, as a reminder service would.
    async fn call(&self, to: &str) {
        self.tell(&format!("we call {to}"));
        match self.remind(to).await {
            Ok(end) => self.tell(&format!("we call {to}: {end}")),
            Err(problem) => self.tell(&format!("we call {to}: {problem}")),
        }
        sleep(self.clock.as_ref(), PAUSE).await;
    }

    async fn remind(&self, to: &str) -> Result<String, Trouble> {
        let new = NewCall::to(Identifier::phone(to))
            .from_number(IVR)
            .speech("https://speech.example.com");
        let call = self.client.create_call(new).await?;
        match call.connected().within(Duration::from_secs(60)).await? {
            ConnectOutcome::Connected => {}
            ConnectOutcome::Failed(codes) | ConnectOutcome::Ended(codes) => {
                return Ok(format!("not reached ({codes})"));
            }
        }
        let said = call.play(Prompt::say("Your appointment is tomorrow at nine.")).await?;
        let said = said.outcome().await?;
        call.hang_up().await?;
        Ok(match said {
            PlayOutcome::Completed => "reminded".to_owned(),
            PlayOutcome::Failed { codes, .. } => format!("the reminder broke off ({codes})"),
            PlayOutcome::Canceled => "the reminder was cancelled".to_owned(),
        })
    }
}

/// Why a call of the demonstration went no further.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Ask(#[from] AskError),
    #[error(transparent)]
    Wait(#[from] WaitError),
}

async fn answer_calls(mut answered: Answered, stage: Stage) {
    while let Some(call) = answered.next().await {
        let stage = stage.clone();
        actix::spawn(async move {
            match menu(&call, &stage).await {
                Ok(()) => stage.tell("  menu: we hang up"),
                Err(Trouble::Wait(WaitError::CallEnded(_))) => {
                    stage.tell("  menu: the caller has hung up");
                }
                Err(trouble) => stage.tell(&format!("  menu: {trouble}")),
            }
        });
    }
}

/// The whole IVR, read from top to bottom.
async fn menu(call: &Call, stage: &Stage) -> Result<(), Trouble> {
    if !matches!(call.connected().await?, ConnectOutcome::Connected) {
        return Ok(());
    }
    stage.tell("  menu: connected, greeting");
    let greeting = call.play(Prompt::say("Welcome to Contoso.")).await?.outcome().await?;
    stage.tell(&format!("  menu: greeting {}", told(&greeting)));
    let Some(caller) = caller(call).await? else { return Ok(call.hang_up().await?) };
    let question = Prompt::say("Press one for opening hours, two for an agent.");
    let heard = call.recognize(Listen::for_keys(caller, 1).after(question)).await?;
    let answer = match heard.outcome().await? {
        RecognizeOutcome::Dtmf(keys) => {
            stage.tell(&format!("  menu: the caller pressed {}", keys.digits()));
            "We are open from nine to five."
        }
        RecognizeOutcome::Failed { codes, .. } => {
            stage.tell(&format!("  menu: the caller pressed nothing ({codes})"));
            "Please call again."
        }
        RecognizeOutcome::Choice { .. }
        | RecognizeOutcome::Speech(_)
        | RecognizeOutcome::Canceled => "Goodbye.",
    };
    let said = call.play(Prompt::say(answer)).await?.outcome().await?;
    stage.tell(&format!("  menu: answer {}", told(&said)));
    call.hang_up().await?;
    Ok(())
}

/// Who called: the first participant that is a telephone.
async fn caller(call: &Call) -> Result<Option<Identifier>, Trouble> {
    let is_phone = |participant: &Participant| participant.identifier.raw_id().number().is_some();
    let found = call.participants().await?.into_iter().find(is_phone);
    Ok(found.map(|participant| participant.identifier))
}

fn told(outcome: &PlayOutcome) -> &'static str {
    match outcome {
        PlayOutcome::Completed => "played",
        PlayOutcome::Failed { .. } => "failed",
        PlayOutcome::Canceled => "was cancelled",
    }
}
