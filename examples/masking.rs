//! Number masking: a driver and a guest talk to each other and never learn the other's number:
//! `cargo run --example masking`.
//!
//! Whoever calls our number is connected with the other one, who sees only ours. Everything runs in this
//! process; nothing needs to be installed.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use serde_json::json;
use switchhook::app::dev::{self, Dev, DevOptions};
use switchhook::client::{AddOutcome, Call, ConnectOutcome, Prompt};
use switchhook::settings::{Given, Purpose, Settings};
use switchhook::wire::calling::AddParticipantRequest;
use switchhook::wire::identifiers::{Identifier, PhoneNumber};

const OUR_NUMBER: &str = "+18005550100";
const DRIVER: &str = "+14255550001";
const GUEST: &str = "+14255550002";

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(async {
        let settings = Settings::load(&Given::default(), Purpose::Local)?;
        let options = DevOptions { ports_auto: true, ..Default::default() };
        let dev = dev::start(settings, options).await?;
        let plan = json!({"steps": [{"action": {
            "type": "answer", "cognitiveServicesEndpoint": "https://speech.example.com"
        }}]});
        dev.app().assign(OUR_NUMBER, &plan).await?;
        let mut answered = dev.app().answered();
        ring(&dev, DRIVER).await?;
        let call = answered.next().await.ok_or("the service has stopped")?;
        connect(&call).await?;
        let ended = call.ended().await?;
        call.terminate().await?;
        ended.outcome().await?;
        say("the call has ended");
        dev.stop().await;
        Ok(())
    })
}

/// Who calls is connected with the other one.
async fn connect(call: &Call) -> Result<(), Box<dyn Error>> {
    if call.connected().within(Duration::from_secs(30)).await? != ConnectOutcome::Connected {
        return Ok(());
    }
    let everybody = call.participants().await?;
    let is_here = |number: &str| {
        let who = Identifier::phone(number);
        everybody.iter().any(|participant| participant.identifier == who)
    };
    let other = if is_here(DRIVER) { GUEST } else { DRIVER };
    let invitation = AddParticipantRequest {
        participant_to_add: Some(Identifier::phone(other)),
        source_caller_id_number: Some(PhoneNumber::new(OUR_NUMBER)),
        invitation_timeout_in_seconds: Some(30),
        ..AddParticipantRequest::default()
    };
    match call.add_participant(invitation).await?.outcome().await? {
        AddOutcome::Joined => say("driver and guest are connected"),
        AddOutcome::Failed(codes) => {
            say(&format!("the other one cannot be reached ({codes})"));
            let sorry = call.play(Prompt::say("Nobody answers. Please try again later.")).await?;
            let _played = sorry.outcome().await?;
        }
    }
    Ok(())
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
