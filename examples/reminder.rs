//! Reminds people of their appointments, at most two at a time: `cargo run --example reminder`.
//!
//! Everybody is called and asked to press 1. Who does not pick up, or presses nothing, is told in the
//! end. Everything runs in this process; nothing needs to be installed.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use switchhook::app::dev::{self, DevOptions};
use switchhook::client::{Client, ConnectOutcome, Listen, NewCall, Prompt, RecognizeOutcome};
use switchhook::emulator::{Action, OnRing, Phone, PhoneBook, Prompt as Heard, Step};
use switchhook::settings::{Given, Purpose, Settings};
use switchhook::wire::identifiers::Identifier;

const PATIENTS: [&str; 4] = ["+14255550001", "+14255550002", "+14255550003", "+14255550004"];
const AT_ONCE: usize = 2;

#[derive(Debug)]
enum Reminded {
    Confirmed,
    Silent,
    NotReached,
}

fn main() -> Result<(), Box<dyn Error>> {
    actix::System::new().block_on(async {
        let settings = Settings::load(&Given::default(), Purpose::Local)?;
        let options = DevOptions { ports_auto: true, phones: Some(phones()), ..Default::default() };
        let dev = dev::start(settings, options).await?;
        let client = dev.app().client();
        let reminding = stream::iter(PATIENTS)
            .map(|number| async move { (number, remind(client, number).await) })
            .buffered(AT_ONCE)
            .collect::<Vec<_>>();
        for (number, reminded) in reminding.await {
            say(&format!("{number}: {:?}", reminded?));
        }
        dev.stop().await;
        Ok(())
    })
}

/// One call, from top to bottom.
async fn remind(client: &Client, number: &str) -> Result<Reminded, Box<dyn Error>> {
    let patient = Identifier::phone(number);
    let call = NewCall::to(patient.clone())
        .from_number("+18005550100")
        .speech("https://speech.example.com");
    let call = client.create_call(call).await?;
    let ConnectOutcome::Connected = call.connected().within(Duration::from_secs(40)).await? else {
        return Ok(Reminded::NotReached);
    };
    let question = Prompt::say("You have an appointment tomorrow. Press one to confirm.");
    let heard = call.recognize(Listen::for_keys(patient, 1).after(question)).await?;
    let reminded = match heard.outcome().await? {
        RecognizeOutcome::Dtmf(keys) if keys.digits() == "1" => Reminded::Confirmed,
        _ => Reminded::Silent,
    };
    call.hang_up().await?;
    Ok(reminded)
}

/// At the far end: two who confirm, one who is busy, one who listens and says nothing.
fn phones() -> PhoneBook {
    let confirms = || {
        vec![Step {
            on_prompt: Some(Heard::Recognize),
            after: Duration::from_millis(100),
            action: Action::Press(vec!["one"]),
        }]
    };
    let after = Duration::from_millis(100);
    let mut book = PhoneBook::default();
    for number in [PATIENTS[0], PATIENTS[2]] {
        let phone = Phone { on_ring: OnRing::Answer, after, script: confirms() };
        book.set(&Identifier::phone(number), phone);
    }
    let busy = Phone { on_ring: OnRing::Busy, after, script: Vec::new() };
    book.set(&Identifier::phone(PATIENTS[1]), busy);
    book
}

fn say(line: &str) {
    let _closed = writeln!(std::io::stdout(), "{line}");
}
