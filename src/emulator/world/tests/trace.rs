//! What the trace says of a story, and how much of it is kept.

use super::*;

impl Theatre {
    /// Each entry of the trace in a few words.
    fn traced(&self) -> Vec<String> {
        let words = |entry: &Value| {
            ["what", "operation", "deed", "type", "status", "code", "outcome"]
                .iter()
                .filter_map(|member| match &entry[*member] {
                    Value::Null => None,
                    Value::String(text) => Some(text.clone()),
                    other => Some(other.to_string()),
                })
                .collect::<Vec<_>>()
                .join(" ")
        };
        self.world.trace_after(0, false).value.iter().map(words).collect()
    }
}

#[test]
fn a_story_is_traced_in_order() {
    let mut theatre = Theatre::new(|_| {});
    let call = theatre.create(&[CALLER]);
    theatre.pass(1000);
    theatre.refused(Operation::Play, &call, json!({}));
    theatre.far(&call, CALLER, Deed::Press(vec!["one"]));
    theatre.far(&call, CALLER, Deed::HangUp);
    theatre.pass(1000);
    assert_eq!(
        theatre.traced(),
        [
            "eventGrid Microsoft.EventGrid.SubscriptionValidationEvent 200 validated",
            "request CreateCall 201",
            "deed answer",
            "callback Microsoft.Communication.CallConnected 200 delivered",
            "callback Microsoft.Communication.ParticipantsUpdated 200 delivered",
            "request Play 400 8523",
            "deed press",
            "deed hangup",
            "callback Microsoft.Communication.CallDisconnected 200 delivered",
        ]
    );
    let all = theatre.world.trace_after(0, true);
    assert_eq!((all.next, all.lost), (9, 0));
    assert_eq!((&all.value[2]["sequence"], &all.value[2]["atMs"]), (&json!(3), &json!(1000)));
    assert_eq!(all.value[1]["callConnectionId"], json!(call));
    assert!(all.value[6]["serverCallId"].is_string());
    assert_eq!(all.value[3]["payload"], theatre.posted[0].2);
    let text = Value::Array(theatre.world.trace_after(0, false).value).to_string();
    assert!(!text.contains("payload") && !text.contains("one\"") && !text.contains(CALLER));
}

#[test]
fn a_reader_goes_on_where_it_was_and_a_stranger_begins_again() {
    let mut theatre = Theatre::new(|_| {});
    theatre.in_call(&[CALLER]);
    let rest = theatre.world.trace_after(4, false);
    assert_eq!((rest.value.len(), rest.next, rest.lost), (1, 5, 0));
    let nothing = theatre.world.trace_after(5, false);
    assert_eq!((nothing.value.len(), nothing.next, nothing.lost), (0, 5, 0));
    assert_eq!(theatre.world.trace_after(1000, false).value.len(), 5);
    theatre.world.reset(moment(theatre.now));
    let empty = theatre.world.trace_after(0, false);
    assert_eq!((empty.value.len(), empty.next, empty.lost), (0, 5, 0));
    theatre.create(&[CALLER]);
    assert_eq!(theatre.world.trace_after(5, false).value[0]["sequence"], 6);
}

#[test]
fn the_trace_forgets_its_oldest_entries_and_says_how_many() {
    for (entries, bytes, kept) in [(3, 1 << 20, 3), (100, 1000, 1), (0, 0, 0)] {
        let mut theatre = Theatre::new(|config| {
            config.limits.trace = entries;
            config.limits.trace_payload_bytes = bytes;
        });
        theatre.in_call(&[CALLER]);
        let seen = theatre.world.trace_after(0, false);
        assert_eq!((seen.value.len(), seen.next, seen.lost), (kept, 5, 5 - kept as u64));
        assert_eq!(theatre.world.trace_after(5, false).lost, 0);
    }
}
