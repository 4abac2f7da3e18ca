//! A call queue: callers hear music until the agent is free: `cargo run --example queue`.
//!
//! Three people call; one agent serves them, one after the other, in the order in which they came.
//! Everything runs in this process; nothing needs to be installed.

use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use switchhook::actors::Subscription;
use switchhook::app::dev::{self, Dev, DevOptions};
use switchhook::client::{AddOutcome, Call, ConnectOutcome, Prompt};
use switchhook::emulator::{Action, OnRing, Phone, PhoneBook, Step};
use switchhook::pure::call::Wants;
use switchhook::settings::{Given, Purpose, Settings};
use switchhook::wire::calling::AddParticipantRequest;
use switchhook::wire::events::{Detail, EventKind};
use switchhook::wire::identifiers::{Identifier, PhoneNumber};
use tokio::sync::Semaphore;

const OUR_NUMBER: &str = "+18005550100";
const AGENT: &str = "+14255550900";
const CALLERS: [&str; 3] = ["+14255550001", "+14255550002", "+14255550003"];

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(async {
        let settings = Settings::load(&Given::default(), Purpose::Local)?;
        let options = DevOptions { ports_auto: true, phones: Some(phones()), ..Default::default() };
        let dev = dev::start(settings, options).await?;
        let plan = json!({"steps": [{"action": {
            "type": "answer", "cognitiveServicesEndpoint": "https://speech.example.com"
        }}]});
        dev.app().assign(OUR_NUMBER, &plan).await?;
        let mut answered = dev.app().answered();
        // First come, first served: a semaphore is fair.
        let agents = Arc::new(Semaphore::new(1));
        let mut served = Vec::new();
        for caller in CALLERS {
            ring(&dev, caller).await?;
            let call = answered.next().await.ok_or("the service has stopped")?;
            say(&format!("{caller} waits"));
            let agents = Arc::clone(&agents);
            served.push(actix::spawn(async move {
                serve(&call, &agents).await.map_err(|error| error.to_string())
            }));
        }
        for (caller, served) in CALLERS.iter().zip(served) {
            say(&format!("{caller} {}", served.await??));
        }
        dev.stop().await;
        Ok(())
    })
}

/// One caller, from top to bottom.
async fn serve(call: &Call, agents: &Semaphore) -> Result<&'static str, Box<dyn Error>> {
    if call.connected().await? != ConnectOutcome::Connected {
        return Ok("has gone");
    }
    let music = call.play(Prompt::say("All agents are busy. La la la.").looping()).await?;
    let agent = agents.acquire().await?;
    // Whoever hears music hears nobody: it ends first. Somebody may have hung up meanwhile.
    let Ok(cancelling) = call.cancel_media().await else { return Ok("has gone") };
    cancelling.quiet_for(Duration::from_millis(200)).await?;
    drop(music);
    let mut roster = call.listen(Wants::kinds(&[EventKind::ParticipantsUpdated])).await?;
    let invitation = AddParticipantRequest {
        participant_to_add: Some(Identifier::phone(AGENT)),
        source_caller_id_number: Some(PhoneNumber::new(OUR_NUMBER)),
        ..AddParticipantRequest::default()
    };
    let told = match call.add_participant(invitation).await?.outcome().await? {
        AddOutcome::Joined => {
            until_somebody_leaves(&mut roster).await;
            "talked to the agent"
        }
        AddOutcome::Failed(_) => "was sent away",
    };
    // A call in which only one is left does not end by itself.
    call.terminate().await?;
    drop(agent);
    Ok(told)
}

/// They talk until one of them hangs up.
async fn until_somebody_leaves(roster: &mut Subscription) {
    let mut together = false;
    while let Ok(heard) = roster.next().await {
        let Detail::Roster { participants, .. } = &heard.event.detail else { continue };
        let is_here =
            |number: &str| participants.iter().any(|it| it.identifier == Identifier::phone(number));
        let both = is_here(AGENT) && CALLERS.into_iter().any(is_here);
        if together && !both {
            return;
        }
        together |= both;
    }
}

/// At the far end: callers who wait, and an agent who is soon done with each of them.
fn phones() -> PhoneBook {
    let mut book = PhoneBook::default();
    let after = Duration::from_millis(50);
    let leaves =
        vec![Step { on_prompt: None, after: Duration::from_millis(500), action: Action::HangUp }];
    let agent = Phone { on_ring: OnRing::Answer, after, script: leaves };
    book.set(&Identifier::phone(AGENT), agent);
    book
}

async fn ring(dev: &Dev, from: &str) -> Result<(), Box<dyn Error>> {
    let url = format!("{}/emulator/incoming-calls", dev.ready().emulator);
    let call = json!({"from": from, "to": OUR_NUMBER});
    reqwest::Client::new().post(url).json(&call).send().await?.error_for_status()?;
    Ok(())
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}
