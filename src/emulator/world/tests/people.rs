//! Adding, cancelling, removing and muting, and the limits and refusals around them.

use super::*;
use crate::emulator::call_config::{EndedCall, Impossible, UsedTicket};

const OTHER: &str = "+16045550123";
const MANUAL: &str = "[[phone]]\nrawId = \"8:acs:r_slow\"\nonRing = \"manual\"";
const SLOW: &str = "8:acs:r_slow";

fn add(who: &str) -> Value {
    json!({
        "participantToAdd": identifier(who), "operationContext": "add-1",
        "sourceCallerIdNumber": { "value": OURS },
    })
}

fn mute(who: &[&str]) -> Value {
    let who: Vec<_> = who.iter().map(|one| identifier(one)).collect();
    json!({ "targetParticipants": who, "operationContext": "mute-1" })
}

impl Theatre {
    /// Raw ids of the roster.
    pub(super) fn participants_of(&mut self, call: &str) -> Vec<String> {
        let roster = self.on(Operation::GetParticipants, call, Value::Null);
        let roster = roster["value"].as_array().expect("a roster").iter();
        roster.map(|one| one["identifier"]["rawId"].as_str().expect("an id").to_owned()).collect()
    }
}

#[test]
fn muting_shows_in_the_roster_until_the_user_unmutes() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    let answer = theatre.on(Operation::MuteParticipants, &call, mute(&[AGENT]));
    assert_eq!(answer, json!({ "operationContext": "mute-1" }));
    let muted = |event: &Value| {
        let all = event["data"]["participants"].as_array().expect("a roster").clone();
        let agent = all.iter().find(|one| one["identifier"]["rawId"] == AGENT).cloned();
        agent.expect("the agent")["isMuted"].clone()
    };
    assert_eq!(muted(&theatre.posted[0].2), true);
    theatre.check_told(&["ParticipantsUpdated"]);
    let place = Place::Participant(call.as_str().into(), AGENT.into());
    let (_, one) = theatre.ask(Operation::GetParticipant, place, &Value::Null);
    assert_eq!((&one["isMuted"], &one["isOnHold"]), (&json!(true), &json!(false)));
    theatre.on(Operation::MuteParticipants, &call, mute(&[AGENT]));
    theatre.check_told(&[]);
    theatre.far(&call, AGENT, Deed::Unmute);
    assert_eq!(muted(&theatre.posted[0].2), false);
    theatre.check_told(&["ParticipantsUpdated"]);
    theatre.far(&call, AGENT, Deed::Mute);
    theatre.check_told(&["ParticipantsUpdated"]);
}

#[test]
fn only_users_who_are_there_are_muted() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER, AGENT]);
    for (body, status, code) in [
        (mute(&[]), 400, "8523"),
        (json!({}), 400, "8523"),
        (mute(&[AGENT, CALLER]), 400, "8523"),
        (mute(&["8:orgid:teams-user"]), 400, "8523"),
        (mute(&[AGENT, "8:acs:r_nobody"]), 404, "8522"),
    ] {
        let refused = theatre.refused(Operation::MuteParticipants, &call, body.clone());
        assert_eq!(refused, (status, code.to_owned()), "{body}");
    }
    theatre.check_told(&[]);
}

#[test]
fn a_pending_invitation_is_withdrawn() {
    for add_fails_too in [false, true] {
        let mut theatre = Theatre::new(|config| {
            phones(MANUAL)(config);
            config.behaviour.calls.cancelled_add_fails = add_fails_too;
        });
        let call = theatre.in_call(&[CALLER]);
        let invited = theatre.on(Operation::AddParticipant, &call, add(SLOW));
        let invitation = invited["invitationId"].clone();
        let cancel = json!({
            "invitationId": invitation, "operationContext": "cancel-1",
            "operationCallbackUri": "http://127.0.0.1:9/cancels",
        });
        let answer = theatre.on(Operation::CancelAddParticipant, &call, cancel.clone());
        assert_eq!(answer["invitationId"], invitation);
        assert_eq!(answer["operationContext"], "cancel-1");
        let (_, url, event) = theatre.posted[0].clone();
        assert_eq!(url, "http://127.0.0.1:9/cancels");
        assert_eq!(event["data"]["invitationId"], invitation);
        assert_eq!(event["data"]["operationContext"], "cancel-1");
        let told: &[_] = if add_fails_too {
            &["CancelAddParticipantSucceeded 200/0", "AddParticipantFailed 487/540487"]
        } else {
            &["CancelAddParticipantSucceeded 200/0"]
        };
        theatre.check_told(told);
        theatre.pass(200_000);
        theatre.check_told(&[]);
        theatre.on(Operation::CancelAddParticipant, &call, cancel);
        theatre.check_told(&["CancelAddParticipantFailed 404/8522"]);
    }
}

#[test]
fn an_invitation_that_was_answered_or_never_was_is_not_withdrawn() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let invited = theatre.on(Operation::AddParticipant, &call, add(AGENT));
    theatre.pass(1_000);
    theatre.told();
    for invitation in [invited["invitationId"].as_str().expect("an id"), "no-such-invitation"] {
        let cancel = json!({ "invitationId": invitation });
        theatre.on(Operation::CancelAddParticipant, &call, cancel);
        assert_eq!(theatre.posted[0].2["data"]["invitationId"], invitation);
        theatre.check_told(&["CancelAddParticipantFailed 404/8522"]);
    }
    for bad in [json!({}), json!({ "invitationId": "" })] {
        let refused = theatre.refused(Operation::CancelAddParticipant, &call, bad);
        assert_eq!(refused, (400, "8523".to_owned()));
    }
}

#[test]
fn somebody_who_is_there_or_invited_is_not_added_again() {
    for existing in [Impossible::Refused, Impossible::Failed] {
        let mut theatre = Theatre::new(|config| {
            phones(MANUAL)(config);
            config.behaviour.calls.add_existing = existing;
        });
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::AddParticipant, &call, add(SLOW));
        for who in [CALLER, SLOW] {
            if existing == Impossible::Refused {
                let refused = theatre.refused(Operation::AddParticipant, &call, add(who));
                assert_eq!(refused, (409, "8519".to_owned()));
                continue;
            }
            let answer = theatre.on(Operation::AddParticipant, &call, add(who));
            assert!(answer["invitationId"].is_string());
            theatre.check_told(&["AddParticipantFailed 409/8519"]);
        }
    }
}

#[test]
fn somebody_who_is_not_there_is_not_removed() {
    for missing in [Impossible::Refused, Impossible::Failed] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.remove_missing = missing);
        let call = theatre.in_call(&[CALLER]);
        let body = json!({
            "participantToRemove": identifier(AGENT), "operationContext": "remove-1",
        });
        if missing == Impossible::Refused {
            let refused = theatre.refused(Operation::RemoveParticipant, &call, body);
            assert_eq!(refused, (404, "8522".to_owned()));
            continue;
        }
        let answer = theatre.on(Operation::RemoveParticipant, &call, body);
        assert_eq!(answer["operationContext"], "remove-1");
        assert_eq!(theatre.posted[0].2["data"]["participant"]["rawId"], AGENT);
        theatre.check_told(&["RemoveParticipantFailed 404/8522"]);
    }
}

#[test]
fn removing_the_last_party_ends_the_call_and_operations_have_their_own_address() {
    let mut theatre = Theatre::new(|_| ());
    let call = theatre.in_call(&[CALLER]);
    let body = json!({
        "participantToRemove": identifier(CALLER),
        "operationCallbackUri": "http://127.0.0.1:9/removes",
    });
    theatre.on(Operation::RemoveParticipant, &call, body);
    let urls: Vec<_> = theatre.posted.iter().map(|(_, url, _)| url.clone()).collect();
    assert_eq!(urls, ["http://127.0.0.1:9/removes", CALLBACK]);
    theatre.check_told(&["RemoveParticipantSucceeded 200/0", "CallDisconnected 0/7000"]);
}

#[test]
fn headers_and_name_reach_the_invited_identity() {
    for spelling in ["userToUser", "user-To-User"] {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.calls.user_to_user = spelling.to_owned();
        });
        let call = theatre.in_call(&[CALLER]);
        let mut body = add(AGENT);
        body["sourceDisplayName"] = json!("Contoso");
        body["customCallingContext"] = json!({
            "sipHeaders": { "User-To-User": "616d;encoding=hex", "X-MS-Custom-Queue": "billing" },
            "voipHeaders": { "crm-id": "7" },
            "teamsPhoneCallDetails": null,
        });
        theatre.on(Operation::AddParticipant, &call, body);
        let data = theatre.grid[0]["data"].clone();
        assert_eq!(data["callerDisplayName"], "Contoso");
        let sip = &data["customContext"]["sipHeaders"];
        assert_eq!(sip, &json!({ spelling: "616d;encoding=hex", "X-MS-Custom-Queue": "billing" }));
        assert_eq!(data["customContext"]["voipHeaders"], json!({ "crm-id": "7" }));
    }
}

#[test]
fn an_invitation_without_headers_brings_no_context_and_telephones_see_no_name() {
    let mut theatre = Theatre::new(|config| config.numbers = vec![OTHER.to_owned()]);
    let call = theatre.in_call(&[CALLER]);
    let mut body = add(OTHER);
    body["sourceDisplayName"] = json!("Contoso");
    body["customCallingContext"] = json!({ "voipHeaders": {}, "sipHeaders": {} });
    theatre.on(Operation::AddParticipant, &call, body);
    let data = theatre.grid[0]["data"].clone();
    assert!(data.get("customContext").is_none());
    assert_eq!(data["callerDisplayName"], "");
    assert_eq!(data["from"]["rawId"], format!("4:{OURS}"));
    let create = json!({
        "targets": [identifier(OTHER), identifier(AGENT)], "callbackUri": CALLBACK,
        "sourceCallerIdNumber": { "value": OURS }, "sourceDisplayName": "Contoso",
    });
    theatre.ask(Operation::CreateCall, Place::Nowhere, &create);
    let shown = |event: &Value| event["data"]["callerDisplayName"].clone();
    let shown: Vec<_> = theatre.grid[1..].iter().map(shown).collect();
    assert_eq!(shown, ["", "Contoso"]);
}

#[test]
fn a_full_call_takes_nobody_invitations_included() {
    let mut theatre = Theatre::new(|config| {
        phones(MANUAL)(config);
        config.limits.participants = 3;
    });
    let call = theatre.in_call(&[CALLER]);
    theatre.on(Operation::AddParticipant, &call, add(SLOW));
    let refused = theatre.refused(Operation::AddParticipant, &call, add(AGENT));
    assert_eq!(refused, (400, "8523".to_owned()));
    let targets: Vec<_> = (0..3).map(|n| identifier(&format!("8:acs:r_{n}"))).collect();
    let create = json!({ "targets": targets, "callbackUri": CALLBACK });
    assert_eq!(theatre.refused(Operation::CreateCall, "", create).0, 400);
}

#[test]
fn a_number_may_be_kept_to_so_many_calls() {
    for (most, third) in [(None, 202), (Some(2), 429)] {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.calls.telephone_calls_per_number = most;
        });
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::AddParticipant, &call, add(OTHER));
        theatre.pass(1_000);
        let place = || Place::Call(call.as_str().into());
        let mut another = add("+16045550124");
        let (status, _) = theatre.ask(Operation::AddParticipant, place(), &another);
        assert_eq!(status, third);
        another["sourceCallerIdNumber"]["value"] = json!("+18005551213");
        another["participantToAdd"] = identifier("+16045550125");
        assert_eq!(theatre.ask(Operation::AddParticipant, place(), &another).0, 202);
        theatre.on(Operation::TerminateCall, &call, Value::Null);
        theatre.create(&[CALLER, OTHER]);
    }
}

#[test]
fn a_caller_id_may_have_to_be_a_number_of_the_resource() {
    for (must, numbers, expected) in
        [(false, vec![], 201), (true, vec![], 403), (true, vec![OURS.to_owned()], 201)]
    {
        let mut theatre = Theatre::new(|config| {
            config.behaviour.calls.caller_id_must_be_own = must;
            config.numbers = numbers;
        });
        let body = json!({
            "targets": [identifier(CALLER)], "callbackUri": CALLBACK,
            "sourceCallerIdNumber": { "value": OURS },
        });
        assert_eq!(theatre.ask(Operation::CreateCall, Place::Nowhere, &body).0, expected);
    }
}

#[test]
fn a_call_may_be_placed_for_a_teams_application() {
    let mut theatre = Theatre::new(|_| ());
    let mut body = json!({
        "targets": [identifier(AGENT)], "callbackUri": CALLBACK,
        "teamsAppSource": { "appId": "2d3c9a10", "cloud": "PUBLIC" },
    });
    let (status, answer) = theatre.ask(Operation::CreateCall, Place::Nowhere, &body);
    assert_eq!((status, &answer["source"]["rawId"]), (201, &json!("28:orgid:2d3c9a10")));
    assert_eq!(theatre.grid[0]["data"]["from"]["kind"], "microsoftTeamsApp");
    body["teamsAppSource"] = json!({ "cloud": "public" });
    assert_eq!(theatre.refused(Operation::CreateCall, "", body).0, 400);
}

#[test]
fn a_call_that_has_ended_is_refused_as_configured() {
    for (ended, status, code) in [
        (EndedCall::NotFound, 404, "8522"),
        (EndedCall::Code8501, 400, "8501"),
        (EndedCall::Code8528, 400, "8528"),
        (EndedCall::Code8585, 400, "8585"),
    ] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.ended_call = ended);
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::HangUpCall, &call, Value::Null);
        let refused = theatre.refused(Operation::Play, &call, play("late"));
        assert_eq!(refused, (status, code.to_owned()));
        let gone = (404, "8522".to_owned());
        assert_eq!(theatre.refused(Operation::GetCall, &call, Value::Null), gone);
        assert_eq!(theatre.refused(Operation::Play, "never-was", play("never")), gone);
    }
}

#[test]
fn a_ticket_that_was_used_is_refused_as_configured() {
    for (used, status, code) in [
        (UsedTicket::NotFound, 404, "8522"),
        (UsedTicket::WrongState, 400, "8501"),
        (UsedTicket::Conflict, 409, "8519"),
    ] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.used_ticket = used);
        let (ticket, _) = theatre.ring(CALLER, OURS);
        theatre.answer(&ticket);
        let body = json!({ "incomingCallContext": ticket, "target": identifier(AGENT) });
        let again = theatre.refused(Operation::RedirectCall, "", body.clone());
        assert_eq!(again, (status, code.to_owned()));
        let (late, _) = theatre.ring(CALLER, OURS);
        theatre.pass(30_000);
        let late = json!({ "incomingCallContext": late });
        let late = theatre.refused(Operation::RejectCall, "", late);
        assert_eq!(late, (404, "8522".to_owned()), "it rang out, nobody used it");
    }
}

#[test]
fn a_call_goes_to_a_teams_user_as_configured() {
    for (allowed, expected) in [(true, 204), (false, 400)] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.redirect_to_teams = allowed);
        let (ticket, _) = theatre.ring(CALLER, OURS);
        let teams = json!({ "microsoftTeamsUser": { "userId": "u", "cloud": "PUBLIC" } });
        let body = json!({ "incomingCallContext": ticket, "target": teams });
        let (status, _) = theatre.ask(Operation::RedirectCall, Place::Nowhere, &body);
        assert_eq!(status, expected);
    }
}

#[test]
fn a_rejected_call_tells_its_placer_why() {
    for (reason, codes) in [
        (json!(null), "603/0"),
        (json!("none"), "603/0"),
        (json!("Busy"), "486/0"),
        (json!("forbidden"), "403/0"),
    ] {
        let book = format!("[[phone]]\nrawId = \"{AGENT}\"\nonRing = \"manual\"");
        let mut theatre = Theatre::new(phones(&book));
        theatre.create(&[AGENT]);
        let ticket = theatre.grid[0]["data"]["incomingCallContext"].clone();
        let body = json!({ "incomingCallContext": ticket, "callRejectReason": reason });
        assert_eq!(theatre.ask(Operation::RejectCall, Place::Nowhere, &body).0, 204);
        theatre.check_told(&[
            &format!("CreateCallFailed {codes}"),
            &format!("CallDisconnected {codes}"),
        ]);
    }
}

#[test]
fn a_telephone_that_called_in_stays_when_only_one_was_dialled() {
    let mut theatre = Theatre::new(|_| ());
    let (ticket, _) = theatre.ring(CALLER, OURS);
    let call = theatre.answer(&ticket);
    theatre.pass(50);
    theatre.on(Operation::AddParticipant, &call, add(OTHER));
    theatre.pass(1_000);
    theatre.told();
    theatre.on(Operation::HangUpCall, &call, Value::Null);
    theatre.check_told(&["CallDisconnected 0/0"]);
    assert_eq!(theatre.world.view()["calls"].as_array().map(Vec::len), Some(1));
}

#[test]
fn a_telephone_that_declines_may_join_all_the_same() {
    for (joins, told) in [
        (false, &["AddParticipantFailed 603/0"][..]),
        (true, &["AddParticipantSucceeded 200/0", "ParticipantsUpdated"]),
    ] {
        let mut theatre = Theatre::new(|config| {
            phones(&format!("[[phone]]\nnumber = \"{OTHER}\"\nonRing = \"decline\""))(config);
            config.behaviour.calls.declined_telephone_joins = joins;
        });
        let call = theatre.in_call(&[CALLER]);
        theatre.on(Operation::AddParticipant, &call, add(OTHER));
        theatre.pass(1_000);
        theatre.check_told(told);
    }
}

#[test]
fn teams_users_are_called_when_their_tenant_lets_the_resource() {
    let teams = json!({ "microsoftTeamsUser": { "userId": "u", "cloud": "PUBLIC" } });
    for federated in [true, false] {
        let mut theatre = Theatre::new(|config| config.behaviour.calls.teams_federated = federated);
        let call = theatre.in_call(&[CALLER]);
        let (ticket, _) = theatre.ring(CALLER, OURS);
        let place = || Place::Call(call.as_str().into());
        for (operation, place, body) in [
            (
                Operation::CreateCall,
                Place::Nowhere,
                json!({ "targets": [teams], "callbackUri": CALLBACK }),
            ),
            (Operation::AddParticipant, place(), json!({ "participantToAdd": teams })),
            (
                Operation::TransferToParticipant,
                place(),
                json!({ "targetParticipant": teams, "transferee": identifier(CALLER) }),
            ),
            (
                Operation::RedirectCall,
                Place::Nowhere,
                json!({ "incomingCallContext": ticket, "target": teams }),
            ),
        ] {
            let (status, answer) = theatre.ask(operation, place, &body);
            let taken = operation.success().contains(&status);
            assert_eq!((taken, status == 403), (federated, !federated), "{operation:?} {answer}");
        }
    }
}

#[test]
fn a_call_with_nobody_but_a_withdrawn_invitation_ends() {
    let mut theatre = Theatre::new(phones(MANUAL));
    let call = theatre.in_call(&[CALLER]);
    let invited = theatre.on(Operation::AddParticipant, &call, add(SLOW));
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.check_told(&["ParticipantsUpdated"]);
    let cancel = json!({ "invitationId": invited["invitationId"] });
    theatre.on(Operation::CancelAddParticipant, &call, cancel);
    theatre.check_told(&["CancelAddParticipantSucceeded 200/0", "CallDisconnected 487/540487"]);
}
