//! Transfers: who may go where, what the target sees, and what is left when it fails.

use super::*;
use crate::emulator::call_config::VoipToTelephone;

const OTHER: &str = "+16045550123";
const USER: &str = "8:acs:r_user";

fn transfer(target: &str) -> Value {
    json!({ "targetParticipant": identifier(target), "operationContext": "transfer-1" })
}

fn declines(who: &str) -> String {
    let key = if who.starts_with('+') { "number" } else { "rawId" };
    format!("[[phone]]\n{key} = \"{who}\"\nonRing = \"decline\"")
}

#[test]
fn the_target_sees_the_transferee_and_the_headers() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let mut body = transfer(AGENT);
    body["customCallingContext"] = json!({ "voipHeaders": { "crm-id": "7" }, "sipHeaders": {} });
    body["operationCallbackUri"] = json!("http://127.0.0.1:9/transfers");
    theatre.on(Operation::TransferToParticipant, &call, body);
    let ringing = theatre.grid[0]["data"].clone();
    assert_eq!(ringing["from"]["rawId"], format!("4:{CALLER}"));
    assert_eq!(ringing["customContext"]["voipHeaders"]["crm-id"], "7");
    theatre.pass(1_050);
    let urls: Vec<_> = theatre.posted.iter().map(|(_, url, _)| url.clone()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9/transfers", CALLBACK]);
    theatre.check_told(&["CallTransferAccepted 200/0", "CallDisconnected 0/7015"]);
}

#[test]
fn a_user_is_transferred_to_a_telephone_as_configured() {
    for (allowed, number, expected) in [
        (VoipToTelephone::WithNumber, true, 202),
        (VoipToTelephone::WithNumber, false, 400),
        (VoipToTelephone::Supported, false, 202),
        (VoipToTelephone::Refused, true, 400),
    ] {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.calls.voip_to_telephone_transfer = allowed;
        });
        let call = theatre.in_call(&[USER]);
        let mut body = transfer(OTHER);
        if number {
            body["sourceCallerIdNumber"] = json!({ "value": OURS, "isAnonymous": false });
        }
        let place = Place::Call(call.as_str().into());
        let (status, _) = theatre.ask(Operation::TransferToParticipant, place, &body);
        assert_eq!(status, expected, "{allowed:?} {number}");
        if (allowed, status) == (VoipToTelephone::WithNumber, 202) {
            let calls = theatre.world.view()["calls"].clone();
            let ring = calls.as_array().unwrap().iter().find(|call| call["ringing"] != json!([]));
            let from = &ring.expect("a ring")["ringing"][0]["from"];
            assert_eq!(from["rawId"], format!("4:{OURS}"));
        }
    }
}

#[test]
fn a_telephone_is_transferred_to_a_telephone_without_a_number() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::TransferToParticipant, &call, transfer(OTHER));
    theatre.pass(1_050);
    theatre.check_told(&["CallTransferAccepted 200/0", "CallDisconnected 0/7015"]);
}

#[test]
fn a_failed_transfer_between_telephones_may_take_the_call_along() {
    for survives in [true, false] {
        let mut theatre = Theatre::new(|config| {
            phones(&declines(OTHER))(config);
            config.behaviour.calls.failed_transfer_leaves_telephone_call = survives;
        });
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::TransferToParticipant, &call, transfer(OTHER));
        theatre.pass(1_000);
        let told: &[_] = if survives {
            &["CallTransferFailed 603/0"]
        } else {
            &["CallTransferFailed 603/0", "CallDisconnected 0/560000"]
        };
        theatre.check_told(told);
        if survives {
            theatre.on(Operation::Play, &call, play("still there"));
        }
    }
}

#[test]
fn an_unanswered_transfer_fails_after_a_minute_and_the_call_goes_on() {
    let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"noAnswer\"");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::TransferToParticipant, &call, transfer(AGENT));
    theatre.pass(59_999);
    theatre.check_told(&[]);
    theatre.pass(1);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "transfer-1");
    theatre.check_told(&["CallTransferFailed 487/10004"]);
    theatre.on(Operation::TransferToParticipant, &call, transfer("8:acs:r_else"));
    theatre.pass(1_050);
    theatre.check_told(&["CallTransferAccepted 200/0", "CallDisconnected 0/7015"]);
}

#[test]
fn a_transferee_who_hangs_up_ends_the_transfer_and_the_call() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::TransferToParticipant, &call, transfer(AGENT));
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["CallTransferFailed 487/540487", "CallDisconnected 0/560000"]);
    theatre.pass(100_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn who_cannot_be_transferred_is_refused() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, USER]);
    let own = theatre.world.connections[&CallConnectionId::new(call.as_str())].identity.clone();
    let named = |transferee: Value| {
        let mut body = transfer(AGENT);
        body["transferee"] = transferee;
        body
    };
    let unknown_kind = json!({ "targetParticipant": { "rawId": "99:stranger" } });
    let mut bad_number = named(identifier(USER));
    bad_number["sourceCallerIdNumber"] = json!({ "value": "425" });
    let mut bad_headers = named(identifier(USER));
    bad_headers["customCallingContext"] = json!({ "sipHeaders": { "Queue": "billing" } });
    for (body, status, code) in [
        (transfer(AGENT), 400, "8523"),
        (named(json!(own)), 400, "8523"),
        (named(identifier(AGENT)), 404, "8522"),
        (unknown_kind, 400, "8523"),
        (bad_number, 400, "8523"),
        (bad_headers, 400, "8523"),
    ] {
        let refused = theatre.refused(Operation::TransferToParticipant, &call, body.clone());
        assert_eq!(refused, (status, code.to_owned()), "{body}");
    }
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "connected");
    theatre.pass(100_000);
    theatre.check_told(&[]);
}

#[test]
fn a_script_goes_on_after_a_transfer() {
    let book =
        format!("[[phone]]\nnumber = \"{CALLER}\"\nscript = [{{ afterMs = 9000, hangup = true }}]");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::TransferToParticipant, &call, transfer(AGENT));
    theatre.pass(1_000 + 8_999);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
    theatre.pass(1);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}
