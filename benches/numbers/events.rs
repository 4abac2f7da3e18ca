//! Events as Azure sends them, for as many calls as wanted.

use std::sync::Arc;

use switchhook::pure::call::Heard;
use switchhook::pure::time::Position;
use switchhook::wire::events::CallEvent;

/// The id of the `n`th call.
pub fn call_id(n: usize) -> String {
    format!("421f0b00-57ad-4a32-8ae4-{n:012x}")
}

/// The body of a callback: an array of one event, with ids of real length.
pub fn body(call: usize, event: usize, kind: &str, context: &str, members: &str) -> String {
    let call_id = call_id(call);
    format!(
        r#"[{{"id":"6a10f012-{event:04x}-4b6a-9d2f-{call:012x}","source":"calling/callConnections/{call_id}","type":"Microsoft.Communication.{kind}","data":{{"operationContext":"{context}","resultInformation":{{"code":200,"subCode":0,"message":"Action completed successfully."}}{members},"callConnectionId":"{call_id}","serverCallId":"aHR0cHM6Ly9hcGkuZXhhbXBsZS1wcm94eS50ZXN0L2FwaS92Mi9jcC9jb252LWV4YW1wbGUtMDEuY29udi5leGFtcGxlLnRlc3QvY29udi9RVzFoZW05dVUzZHBkR05vYUc5dmF3P2k9MTAtNjAtNC05MSZlPTYzODk5MzAz{call:012x}","correlationId":"5c7d4f52-6c0a-4d0e-9f0b-{call:012x}"}},"time":"2025-11-21T08:30:18.2222206+00:00","specversion":"1.0","datacontenttype":"application/json","subject":"calling/callConnections/{call_id}"}}]"#
    )
}

/// A roster of two, as members of `data`.
pub const ROSTER: &str = r#","sequenceNumber":1,"participants":[{"identifier":{"rawId":"4:+14255551212","kind":"phoneNumber","phoneNumber":{"value":"+14255551212"}},"isMuted":false,"isOnHold":false},{"identifier":{"rawId":"8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_00000022-4d1f-0c8d-3ef0-343a0d00a1b3","kind":"communicationUser","communicationUser":{"id":"8:acs:b9614373-fd0b-480c-8fd2-cb58b70eab9f_00000022-4d1f-0c8d-3ef0-343a0d00a1b3"}},"isMuted":false,"isOnHold":false}]"#;

/// One event, read as the webhook reads it.
pub fn event(call: usize, event: usize, kind: &str, context: &str, members: &str) -> CallEvent {
    let body = body(call, event, kind, context, members);
    CallEvent::parse(&body[1..body.len() - 1]).expect("a good event")
}

/// … with a place in the journal.
pub fn heard(call: usize, number: usize, kind: &str, context: &str) -> Heard {
    let event = Arc::new(event(call, number, kind, context, ""));
    Heard { position: Position(number as u64 + 1), received_ms: 0, event }
}
