//! A small IVR in linear code, against the emulator: `cargo run --example ivr`.
//!
//! Somebody calls, hears a question, presses a key, hears the answer. Everything runs in this process;
//! nothing needs to be installed.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use serde_json::json;
use switchhook::app::dev::{self, Dev, DevOptions};
use switchhook::client::{Call, ConnectOutcome, Listen, PlayOutcome, Prompt, RecognizeOutcome};
use switchhook::emulator::{Action, OnRing, Phone, PhoneBook, Prompt as Heard, Step};
use switchhook::settings::{Given, Purpose, Settings};
use switchhook::wire::identifiers::Identifier;

const OUR_NUMBER: &str = "+18005550100";
const CALLER: &str = "+14255551212";

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
        ring(&dev).await?;
        let call = answered.next().await.ok_or("the service has stopped")?;
        serve(&call).await?;
        dev.stop().await;
        Ok(())
    })
}

/// The whole IVR, read from top to bottom.
async fn serve(call: &Call) -> Result<(), Box<dyn Error>> {
    if call.connected().await? != ConnectOutcome::Connected {
        return Ok(());
    }
    say("connected");
    let ended = call.ended().await?;
    let question = Prompt::say("Press one for opening hours, two for an agent.");
    let caller = Identifier::phone(CALLER);
    let heard = call.recognize(Listen::for_keys(caller, 1).after(question)).await?;
    let answer = match heard.outcome().within(Duration::from_secs(30)).await? {
        RecognizeOutcome::Dtmf(keys) => {
            say(&format!("the caller pressed {}", keys.digits()));
            "We are open from nine to five."
        }
        RecognizeOutcome::Failed { codes, .. } => {
            say(&format!("the caller pressed nothing ({codes})"));
            "Please call again."
        }
        RecognizeOutcome::Choice { .. }
        | RecognizeOutcome::Speech(_)
        | RecognizeOutcome::Canceled => "Goodbye.",
    };
    match call.play(Prompt::say(answer)).await?.outcome().await? {
        PlayOutcome::Completed => say("the answer was played"),
        PlayOutcome::Failed { codes, .. } => say(&format!("the answer failed ({codes})")),
        PlayOutcome::Canceled => say("the answer was cancelled"),
    }
    call.hang_up().await?;
    ended.outcome().await?;
    say("the call has ended");
    Ok(())
}

/// At the far end: somebody who presses 1 when asked.
fn phones() -> PhoneBook {
    let script = vec![Step {
        on_prompt: Some(Heard::Recognize),
        after: Duration::from_millis(500),
        action: Action::Press(vec!["one"]),
    }];
    let mut book = PhoneBook::default();
    let after = Duration::from_millis(200);
    book.set(&Identifier::phone(CALLER), Phone { on_ring: OnRing::Answer, after, script });
    book
}

async fn ring(dev: &Dev) -> Result<(), Box<dyn Error>> {
    let url = format!("{}/emulator/incoming-calls", dev.ready().emulator);
    let call = json!({"from": CALLER, "to": OUR_NUMBER});
    reqwest::Client::new().post(url).json(&call).send().await?.error_for_status()?;
    say("ringing");
    Ok(())
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}
