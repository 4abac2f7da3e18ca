//! Who waits for an event: by a long poll that is resumed by its cursor until it ends.

use std::rc::Rc;
use std::time::Duration;

use serde_json::{Value, json};

use super::ledger::{Outcome, WaitNote};
use super::world::{World, answer};

/// What somebody waits for who has asked for a prompt.
const TYPES: [&str; 2] = ["PlayCompleted", "PlayFailed"];
/// Connections that may break while the service lives.
const TRIES: u32 = 20;

/// Begins to wait, beside everything else.
pub fn begin(world: &Rc<World>, call: String, context: String, after: String, within_ms: u64) {
    let mut ledger = world.ledger.borrow_mut();
    let began_ms = world.now_ms();
    let types = TYPES.to_vec();
    let note = WaitNote { call, context, types, began_ms, within_ms, ended: None };
    let place = ledger.waits.len();
    ledger.waits.push(note.clone());
    drop(ledger);
    let world = Rc::clone(world);
    actix_web::rt::spawn(async move {
        let outcome = outcome(&world, &note, &after).await;
        let mut ledger = world.ledger.borrow_mut();
        let (ended, ended_ms) = (ledger.now(), world.now_ms());
        ledger.waits[place].ended = Some((outcome, ended, ended_ms));
    });
}

async fn outcome(world: &World, note: &WaitNote, after: &str) -> Outcome {
    let mut tries = 0;
    loop {
        let at = world.served().await;
        let left = (note.began_ms + note.within_ms).saturating_sub(world.now_ms());
        let body = json!({"types": note.types, "operationContext": note.context, "after": after,
            "timeoutMs": left});
        let url = format!("{}/v1/calls/{}/waits", at.private, note.call);
        let patience = Duration::from_millis(left) + super::world::PATIENCE;
        let answered = answer(world.post(url, &body).timeout(patience)).await;
        match answered {
            Some((200, told)) => return Outcome::Told(text(&told["event"]["id"])),
            Some((408, _)) => return Outcome::TimedOut,
            Some((410, problem)) if problem["code"] == "call_ended" => {
                let ending = &problem["ending"];
                return Outcome::CallEnded(ending["code"].clone(), ending["subCode"].clone());
            }
            Some((503, _)) if tries < TRIES => tries += 1,
            None if world.still_at(&at) && tries < TRIES => tries += 1,
            None if world.still_at(&at) => return Outcome::Other(0, "no answer".to_owned()),
            // It was killed.
            None => {}
            Some((status, problem)) => return Outcome::Other(status, text(&problem["code"])),
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
