//! `switchhook explain-code`: what the numbers on an event mean. Works without a service.

use serde_json::json;

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use crate::pure::codes::Codes;

#[derive(clap::Args)]
pub(super) struct Args {
    /// code/subCode as in 400/8510, or one of them
    codes: Codes,
}

pub(super) fn run(args: &Args, screen: Screen) -> Done {
    let codes = args.codes;
    let found = codes.explain().ok_or_else(|| {
        let text = format!("{codes} is not known here; look at the message of the event");
        Failure::new(Exit::NotFound, text)
    })?;
    let answer = json!({ "code": codes.code, "subCode": codes.sub_code,
        "meaning": found.meaning, "advice": found.advice });
    screen.answer(&answer, || match found.advice {
        "" => format!("{codes}: {}", found.meaning),
        advice => format!("{codes}: {}\n  {advice}", found.meaning),
    })
}
