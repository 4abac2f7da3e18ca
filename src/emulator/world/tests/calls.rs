//! Calls: placed, answered, transferred, ended.

use super::*;

#[test]
fn a_placed_call_connects_and_lists_who_is_there() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.create(&[CALLER]);
    theatre.pass(999);
    theatre.check_told(&[]);
    theatre.pass(1);
    let event = theatre.posted[0].2.clone();
    let place = format!("calling/callConnections/{call}");
    assert_eq!((&event["source"], &event["subject"]), (&json!(place), &json!(place)));
    assert_eq!(event["time"], "2025-11-21T08:30:01.1234567+00:00");
    assert_eq!(event["data"]["operationContext"], "create-1");
    assert!(event["data"].get("resultInformation").is_none());
    let roster = theatre.posted[1].2["data"].clone();
    assert_eq!(roster["sequenceNumber"], 1);
    assert_eq!(roster["participants"].as_array().map(Vec::len), Some(1));
    assert_eq!(roster["participants"][0]["identifier"]["rawId"], format!("4:{CALLER}"));
    assert!(roster.get("operationContext").is_none());
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "connected");
}

#[test]
fn a_placed_call_that_fails_says_why() {
    #[track_caller]
    fn check(on_ring: &str, target: &str, told_at: u64, codes: &str) {
        let key = if target.starts_with('+') { "number" } else { "rawId" };
        let book = format!("[[phone]]\n{key} = \"{target}\"\nonRing = \"{on_ring}\"");
        let mut theatre = Theatre::new(phones(&book));
        let call = theatre.create(&[target]);
        theatre.pass(told_at - 1);
        theatre.check_told(&[]);
        theatre.pass(1);
        let failed = format!("CreateCallFailed {codes}");
        theatre.check_told(&[&failed, &format!("CallDisconnected {codes}")]);
        let gone = theatre.refused(Operation::GetCall, &call, Value::Null);
        assert_eq!(gone, (404, "8522".to_owned()));
        theatre.pass(600_000);
        theatre.check_told(&[]);
    }
    check("busy", CALLER, 1000, "486/560486");
    check("busy", AGENT, 1000, "486/0");
    check("decline", CALLER, 1000, "603/0");
    check("unreachable", CALLER, 1000, "480/560480");
    check("noAnswer", CALLER, 115_000, "487/10004");
    check("noAnswer", AGENT, 85_000, "487/10004");
    check("manual", AGENT, 85_000, "487/10004");
}

#[test]
fn an_unanswered_call_may_end_silently() {
    let book = format!("[[phone]]\nnumber = \"{CALLER}\"\nonRing = \"noAnswer\"");
    let mut theatre = Theatre::new(|config| {
        phones(&book)(config);
        config.behaviour.unanswered_create = Unanswered::Silent;
    });
    let call = theatre.create(&[CALLER]);
    theatre.pass(200_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.refused(Operation::GetCall, &call, Value::Null).0, 404);
}

#[test]
fn in_a_group_call_answerers_join_one_by_one() {
    let book = format!("[[phone]]\nnumber = \"{CALLER}\"\nafterMs = 3000");
    let mut theatre = Theatre::new(phones(&book));
    theatre.create(&[CALLER, "+16045550123"]);
    theatre.pass(1000);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    theatre.pass(2000);
    let participants = &theatre.posted[0].2["data"]["participants"];
    assert_eq!(participants.as_array().map(Vec::len), Some(2));
    theatre.check_told(&["ParticipantsUpdated"]);
}

#[test]
fn an_incoming_call_rings_is_answered_and_ends_when_the_caller_leaves() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, server) = theatre.ring(CALLER, OURS);
    let event = theatre.grid[0].clone();
    assert_eq!(event["eventType"], "Microsoft.Communication.IncomingCall");
    assert_eq!(event["subject"], format!("/caller/4:{CALLER}/recipient/4:{OURS}"));
    assert_eq!(event["data"]["incomingCallContext"], ticket);
    assert_eq!(event["data"]["serverCallId"], server);
    let call = theatre.answer(&ticket);
    theatre.pass(49);
    theatre.check_told(&[]);
    theatre.pass(1);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["answeredFor"]["value"], OURS);
    assert_eq!(properties["source"]["rawId"], format!("4:{CALLER}"));
    theatre.far(&call, CALLER, Deed::HangUp);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "answer-1");
    theatre.check_told(&["CallDisconnected 0/560000"]);
}

#[test]
fn a_ticket_is_good_once_and_for_thirty_seconds() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let reject = |ticket: &str| json!({ "incomingCallContext": ticket });
    theatre.pass(29_999);
    let (status, _) = theatre.ask(Operation::RejectCall, Place::Nowhere, &reject(&ticket));
    assert_eq!(status, 204);
    let gone = (404, "8522".to_owned());
    assert_eq!(theatre.refused(Operation::RejectCall, "", reject(&ticket)), gone);
    let (late, _) = theatre.ring(CALLER, OURS);
    theatre.pass(30_000);
    assert_eq!(theatre.refused(Operation::RejectCall, "", reject(&late)), gone);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]), "nothing is left");
}

#[test]
fn a_redirect_to_an_own_identity_rings_again() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, server) = theatre.ring(CALLER, OURS);
    let body = json!({ "incomingCallContext": ticket, "target": identifier(AGENT) });
    let (status, _) = theatre.ask(Operation::RedirectCall, Place::Nowhere, &body);
    assert_eq!(status, 204);
    let second = theatre.grid[1]["data"].clone();
    assert_eq!(second["to"]["rawId"], AGENT);
    assert_eq!(second["from"]["rawId"], format!("4:{CALLER}"));
    assert_eq!(second["serverCallId"], server);
    assert_ne!(second["incomingCallContext"], ticket);
    theatre.pass(1000);
    let seen = theatre.world.view();
    assert_eq!(seen["calls"][0]["participants"].as_array().map(Vec::len), Some(2));
    theatre.check_told(&[]);
    let refused = theatre.refused(
        Operation::AnswerCall,
        "",
        json!({ "incomingCallContext": second["incomingCallContext"], "callbackUri": CALLBACK }),
    );
    assert_eq!(refused.0, 404, "the agent's phone was first");
}

#[test]
fn a_voip_call_is_not_redirected_to_a_telephone_and_keeps_ringing() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(AGENT, OURS);
    let body = json!({ "incomingCallContext": ticket, "target": identifier(CALLER) });
    assert_eq!(theatre.refused(Operation::RedirectCall, "", body).0, 400);
    theatre.answer(&ticket);
}

#[test]
fn a_caller_who_gives_up_before_the_leg_is_up_makes_the_answer_fail() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let call = theatre.answer(&ticket);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["AnswerFailed 404/8522", "CallDisconnected 404/8522"]);
    theatre.pass(60_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn hanging_up_ends_a_call_of_two_and_leaves_a_group() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));

    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    let left = theatre.world.view()["calls"][0]["participants"].clone();
    assert_eq!(left.as_array().map(Vec::len), Some(2), "the others talk on");
}

#[test]
fn terminating_ends_a_group_for_everyone() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.on(Operation::TerminateCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/4097"]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn someone_leaving_a_group_changes_its_roster_and_the_last_one_ends_it() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.far(&call, AGENT, Deed::HangUp);
    theatre.check_told(&["CallDisconnected 0/7000"]);
}

#[test]
fn participants_are_invited_and_removed() {
    let book = "[[phone]]\nnumber = \"+16045550123\"\nonRing = \"decline\"";
    let mut theatre = Theatre::new(phones(book));
    let call = theatre.in_call(&[CALLER]);
    let add = |who: &str| {
        json!({
            "participantToAdd": identifier(who), "operationContext": "add-1",
            "sourceCallerIdNumber": { "value": OURS }, "invitationTimeoutInSeconds": 20,
        })
    };
    let answer = theatre.on(Operation::AddParticipant, &call, add(AGENT));
    assert!(answer["invitationId"].is_string());
    assert_eq!(answer["participant"]["identifier"]["rawId"], AGENT);
    theatre.pass(1000);
    assert_eq!(theatre.posted[0].2["data"]["participant"]["rawId"], AGENT);
    assert_eq!(theatre.posted[0].2["data"]["operationContext"], "add-1");
    theatre.check_told(&["AddParticipantSucceeded 200/0", "ParticipantsUpdated"]);
    let twice = theatre.refused(Operation::AddParticipant, &call, add(AGENT));
    assert_eq!(twice, (409, "8519".to_owned()));

    theatre.on(Operation::AddParticipant, &call, add("+16045550123"));
    theatre.pass(1000);
    theatre.check_told(&["AddParticipantFailed 603/0"]);

    let remove = json!({ "participantToRemove": identifier(AGENT), "operationContext": "rm-1" });
    theatre.on(Operation::RemoveParticipant, &call, remove.clone());
    theatre.check_told(&["RemoveParticipantSucceeded 200/0", "ParticipantsUpdated"]);
    assert_eq!(theatre.refused(Operation::RemoveParticipant, &call, remove).0, 404);
}

#[test]
fn an_invitation_rings_as_long_as_it_says() {
    let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"noAnswer\"");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    let add = json!({ "participantToAdd": identifier(AGENT), "invitationTimeoutInSeconds": 7 });
    theatre.on(Operation::AddParticipant, &call, add);
    theatre.pass(6_999);
    theatre.check_told(&[]);
    theatre.pass(1);
    assert!(theatre.posted[0].2["data"].get("operationContext").is_none());
    theatre.check_told(&["AddParticipantFailed 487/10004"]);
}

#[test]
fn a_transfer_takes_the_application_out_of_a_call_of_two() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let body = json!({ "targetParticipant": identifier(AGENT), "operationContext": "move-1" });
    let answer = theatre.on(Operation::TransferToParticipant, &call, body);
    assert_eq!(answer["operationContext"], "move-1");
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "transferring");
    theatre.pass(1000);
    let accepted = theatre.posted[0].2["data"].clone();
    assert_eq!(accepted["transferTarget"]["rawId"], AGENT);
    assert_eq!(accepted["transferee"]["rawId"], format!("4:{CALLER}"));
    theatre.check_told(&["CallTransferAccepted 200/0"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "transferAccepted");
    let again = json!({ "targetParticipant": identifier(AGENT) });
    let refused = theatre.refused(Operation::TransferToParticipant, &call, again);
    assert_eq!(refused, (400, "8501".to_owned()));
    theatre.pass(50);
    theatre.check_told(&["CallDisconnected 0/7015"]);
    let seen = theatre.world.view();
    assert_eq!(seen["calls"][0]["participants"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_failed_transfer_leaves_the_call_as_it_was() {
    let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"decline\"");
    let mut theatre = Theatre::new(phones(&book));
    let call = theatre.in_call(&[CALLER]);
    let body = json!({ "targetParticipant": identifier(AGENT) });
    theatre.on(Operation::TransferToParticipant, &call, body.clone());
    let second = theatre.refused(Operation::TransferToParticipant, &call, body);
    assert_eq!(second, (400, "8501".to_owned()));
    theatre.pass(1000);
    theatre.check_told(&["CallTransferFailed 603/0"]);
    let properties = theatre.on(Operation::GetCall, &call, Value::Null);
    assert_eq!(properties["callConnectionState"], "connected");
}

#[test]
fn in_a_group_the_transferee_is_named_and_the_others_stay() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, "8:acs:r_other"]);
    let body = json!({ "targetParticipant": identifier(AGENT) });
    assert_eq!(theatre.refused(Operation::TransferToParticipant, &call, body).0, 400);
    let body = json!({ "targetParticipant": identifier(AGENT), "transferee": identifier(CALLER) });
    theatre.on(Operation::TransferToParticipant, &call, body);
    theatre.pass(1000);
    theatre.check_told(&["CallTransferAccepted 200/0", "ParticipantsUpdated"]);
}

#[test]
fn two_applications_in_one_call_each_see_the_other() {
    let mut theatre = Theatre::new(|config| {
        config.default_phone.after = Duration::from_secs(20);
    });
    theatre.create(&[AGENT]);
    let ticket = theatre.grid[0]["data"]["incomingCallContext"].clone();
    let second = theatre.answer(ticket.as_str().expect("a ticket"));
    theatre.pass(50);
    theatre.check_told(&[
        "CallConnected",
        "CallConnected",
        "ParticipantsUpdated",
        "ParticipantsUpdated",
    ]);
    theatre.on(Operation::HangUpCall, &second, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0", "CallDisconnected 0/7000"]);
}

#[test]
fn the_far_end_does_not_talk_for_ever_without_an_application() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let body = json!({ "targetParticipant": identifier(AGENT) });
    theatre.on(Operation::TransferToParticipant, &call, body);
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let body = json!({ "incomingCallContext": ticket, "target": identifier(AGENT) });
    theatre.ask(Operation::RedirectCall, Place::Nowhere, &body);
    theatre.pass(1_000 + 59_999);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(2));
    theatre.pass(1);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn telephones_that_the_application_joined_part_when_it_leaves() {
    for parted in [true, false] {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.pstn_parties_drop_when_app_leaves = parted;
        });
        let call = theatre.in_call(&[CALLER, "+16045550123"]);
        theatre.on(Operation::HangUpCall, &call, Value::Null);
        assert_eq!(theatre.world.view()["calls"] == json!([]), parted);
    }
}

#[test]
fn a_roster_may_list_the_application_itself() {
    let mut theatre = Theatre::new(|config| config.behaviour.roster_includes_app = true);
    let call = theatre.in_call(&[CALLER]);
    let roster = theatre.on(Operation::GetParticipants, &call, Value::Null);
    assert_eq!(roster["value"].as_array().map(Vec::len), Some(2));
}

#[test]
fn the_order_of_a_failed_set_up_can_be_turned_round() {
    let book = format!("[[phone]]\nnumber = \"{CALLER}\"\nonRing = \"decline\"");
    let mut theatre = Theatre::new(|config| {
        phones(&book)(config);
        config.behaviour.create_failed_first = false;
    });
    theatre.create(&[CALLER]);
    theatre.pass(1_000);
    theatre.check_told(&["CallDisconnected 603/0", "CreateCallFailed 603/0"]);
}

#[test]
fn hanging_up_while_it_rings_gives_the_call_up() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.create(&[CALLER]);
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 487/540487"]);
    theatre.pass(200_000);
    theatre.check_told(&[]);
    assert_eq!(theatre.world.view()["calls"], json!([]));
}

#[test]
fn an_application_that_hangs_up_before_it_is_up_has_declined() {
    let mut theatre = Theatre::new(|config| {
        config.default_phone.after = Duration::from_secs(20);
    });
    let first = theatre.create(&[AGENT]);
    let ticket = theatre.grid[0]["data"]["incomingCallContext"].clone();
    let second = theatre.answer(ticket.as_str().expect("a ticket"));
    theatre.on(Operation::HangUpCall, &second, Value::Null);
    theatre.check_told(&[
        "CallDisconnected 487/540487",
        "CreateCallFailed 603/0",
        "CallDisconnected 603/0",
    ]);
    assert_eq!(theatre.refused(Operation::GetCall, &first, Value::Null).0, 404);
}

#[test]
fn the_caller_of_an_incoming_call_follows_its_script() {
    let book =
        format!("[[phone]]\nnumber = \"{CALLER}\"\nscript = [{{ afterMs = 700, hangup = true }}]");
    let mut theatre = Theatre::new(phones(&book));
    let (ticket, _) = theatre.ring(CALLER, OURS);
    theatre.pass(5_000);
    theatre.answer(&ticket);
    theatre.pass(50 + 699);
    theatre.check_told(&["CallConnected", "ParticipantsUpdated"]);
    theatre.pass(1);
    theatre.check_told(&["CallDisconnected 0/560000"]);
}
