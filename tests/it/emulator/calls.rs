//! Operations on calls and participants through real HTTP: shapes of answers and of events.

use super::*;

const USER: &str = "8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_user";

fn user(id: &str) -> Value {
    json!({ "kind": "communicationUser", "rawId": id, "communicationUser": { "id": id } })
}

impl Caller {
    /// A call with a telephone and a user; its path.
    async fn group(&self, receiver: &mut Receiver) -> String {
        let body = json!({
            "targets": [{ "phoneNumber": { "value": PHONE, "isAnonymous": null } }, user(USER)],
            "sourceCallerIdNumber": { "value": OURS, "isAnonymous": false },
            "callbackUri": receiver.url("/calls"),
            "extra": { "ignored": true },
        });
        let (status, answer) = self.ask(Method::POST, "/calling/callConnections", body).await;
        assert_eq!(status, 201, "{answer}");
        receiver.expect(&["CallConnected", "ParticipantsUpdated", "ParticipantsUpdated"]).await;
        format!("/calling/callConnections/{}", answer["callConnectionId"].as_str().unwrap())
    }

    async fn properties(&self, call: &str) -> Value {
        let (status, answer) = self.ask(Method::GET, call, Value::Null).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }
}

#[actix_web::test]
async fn a_second_application_connects_and_both_hear_of_the_roster() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let call = caller.group(&mut receiver).await;
    let server = caller.properties(&call).await["serverCallId"].clone();
    let connect = json!({
        "callLocator": { "kind": "serverCallLocator", "serverCallId": server },
        "callbackUri": receiver.url("/second"), "operationContext": "connect-1",
        "callIntelligenceOptions": null,
    });
    let path = "/calling/callConnections:connect";
    let (status, answer) = caller.ask(Method::POST, path, connect).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["serverCallId"], server);
    let mut told = Vec::new();
    for _ in 0..3 {
        let received = receiver.next().await;
        let event = &received.body[0];
        let kind = event["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        if kind == "CallConnected" {
            check_same_shape(&received.body, &callback_sample("CallConnected.json"), "");
        }
        told.push((received.path, kind));
    }
    told.sort();
    let told: Vec<_> = told.iter().map(|(path, kind)| (path.as_str(), kind.as_str())).collect();
    assert_eq!(
        told,
        [
            ("/calls", "ParticipantsUpdated"),
            ("/second", "CallConnected"),
            ("/second", "ParticipantsUpdated"),
        ]
    );
    let unknown = json!({
        "callLocator": { "groupCallId": "29228d3e-040e-4656-a70e-890ab4e173e5" },
        "callbackUri": receiver.url("/third"),
    });
    let (status, _) = caller.ask(Method::POST, path, unknown).await;
    assert_eq!(status, 200);
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
}

#[actix_web::test]
async fn somebody_joins_a_room_by_hand() {
    let mut receiver = Receiver::start();
    let caller = Caller::start(config());
    let join = json!({ "who": USER, "roomId": "9944" });
    let (status, joined) = caller.own(Method::POST, "joins", join.clone()).await;
    assert_eq!(status, 201, "{joined}");
    check_error(&caller.own(Method::POST, "joins", join).await, 409, "8519");
    for bad in [json!({ "who": USER }), json!({ "who": "x", "roomId": "1" }), json!({})] {
        check_error(&caller.own(Method::POST, "joins", bad).await, 400, "8523");
    }
    let connect = json!({
        "callLocator": { "kind": "roomCallLocator", "roomId": "9944" },
        "callbackUri": receiver.url("/calls"),
    });
    let path = "/calling/callConnections:connect";
    let (_, answer) = caller.ask(Method::POST, path, connect).await;
    assert_eq!(answer["serverCallId"], joined["serverCallId"]);
    let roster = receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    assert_eq!(roster["participants"][0]["identifier"]["rawId"], USER);
    let (status, _) = caller.far(&joined, USER, "mute", Value::Null).await;
    assert_eq!(status, 204);
    let roster = receiver.expect(&["ParticipantsUpdated"]).await;
    assert_eq!(roster["participants"][0]["isMuted"], true);
    let (status, _) = caller.far(&joined, USER, "unmute", Value::Null).await;
    assert_eq!(status, 204);
    receiver.expect(&["ParticipantsUpdated"]).await;
}

#[actix_web::test]
async fn participants_are_muted_moved_and_invitations_withdrawn() {
    let mut receiver = Receiver::start();
    let mut config = config();
    let slow = switchhook::wire::identifiers::Identifier::parse("8:acs:r_slow");
    let phone = switchhook::emulator::Phone {
        on_ring: switchhook::emulator::OnRing::Manual,
        ..Default::default()
    };
    config.phones.set(&slow, phone);
    let caller = Caller::start(config);
    let call = caller.group(&mut receiver).await;
    let ask = |action: &str, body: Value| {
        let path = format!("{call}/participants:{action}");
        let caller = &caller;
        async move { caller.ask(Method::POST, &path, body).await }
    };

    let mute = json!({ "targetParticipants": [user(USER)], "operationContext": "mute-1" });
    let muted = ask("mute", mute).await;
    assert_eq!(muted, (200, json!({ "operationContext": "mute-1" })));
    receiver.expect(&["ParticipantsUpdated"]).await;

    let add = json!({ "participantToAdd": user("8:acs:r_slow"), "operationContext": "add-1" });
    let (status, invited) = ask("add", add).await;
    assert_eq!(status, 202, "{invited}");
    let cancel = json!({ "invitationId": invited["invitationId"], "operationContext": "cancel-1" });
    let (status, answer) = ask("cancelAddParticipant", cancel.clone()).await;
    assert_eq!((status, &answer), (202, &cancel));
    let withdrawn = receiver.next().await.body;
    check_same_shape(&withdrawn, &callback_sample("CancelAddParticipantSucceeded.json"), "");
    ask("cancelAddParticipant", cancel).await;
    let failed = receiver.next().await.body;
    check_same_shape(&failed, &callback_sample("CancelAddParticipantFailed.json"), "");

    let other = caller.create(&receiver, "+16045550123").await;
    receiver.expect(&["CallConnected", "ParticipantsUpdated"]).await;
    let from = other.rsplit('/').next().unwrap();
    let who = json!([{ "phoneNumber": { "value": "+16045550123" } }]);
    let body = json!({ "targetParticipants": who, "fromCall": from, "operationContext": "m-1" });
    let (status, answer) = ask("moveHere", body).await;
    assert_eq!((status, &answer["fromCall"]), (202, &json!(from)), "{answer}");
    assert_eq!(answer["operationContext"], "m-1");
    assert_eq!(answer["participants"][0]["identifier"]["rawId"], "4:+16045550123");
    let mut kinds = Vec::new();
    for _ in 0..4 {
        let body = receiver.next().await.body;
        let kind = body[0]["type"].as_str().unwrap().rsplit('.').next().unwrap().to_owned();
        if kind == "MoveParticipantSucceeded" {
            check_same_shape(&body, &callback_sample("MoveParticipantSucceeded.json"), "");
        }
        kinds.push(kind);
    }
    kinds.sort();
    let expected = [
        "CallDisconnected",
        "MoveParticipantSucceeded",
        "ParticipantsUpdated",
        "ParticipantsUpdated",
    ];
    assert_eq!(kinds, expected);
}
