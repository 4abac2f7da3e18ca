//! What happens inside one call stays there, faults of ours included; told without HTTP.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use switchhook::actors::{Calls, CallsConfig, Gone, WaitOutcome};
use switchhook::clock::ManualClock;
use switchhook::ports::{Alarm, Clock, Tick};
use switchhook::pure::call::{Heard, Identity, Phase, Wants};
use switchhook::storage::memory::MemoryJournal;
use switchhook::wire::events::{CallEvent, EventKind};
use switchhook::wire::identifiers::CallConnectionId;

const HOUR: Duration = Duration::from_secs(3600);

/// A clock that panics when it is next asked for the time, once it is told to: that is the first thing
/// a call's actor does with an event.
struct FragileClock {
    hands: Arc<ManualClock>,
    breaks: AtomicBool,
}

impl Clock for FragileClock {
    fn now(&self) -> Tick {
        assert!(!self.breaks.swap(false, Ordering::SeqCst), "a fault on purpose");
        self.hands.now()
    }
    fn wall(&self) -> Timestamp {
        self.hands.wall()
    }
    fn alarm(&self, at: Tick, ring: Box<dyn FnOnce() + Send>) -> Alarm {
        self.hands.alarm(at, ring)
    }
}

fn event(call: &str, id: &str, kind: &str) -> CallEvent {
    let json = format!(
        r#"{{"id":"{id}","source":"s","type":"Microsoft.Communication.{kind}","data":{{
            "callConnectionId":"{call}","serverCallId":"server-{call}",
            "correlationId":"correlation-{call}"}}}}"#
    );
    CallEvent::parse(&json).expect("an event")
}

struct House {
    clock: Arc<FragileClock>,
    calls: Calls,
}

impl House {
    fn new() -> Self {
        let hands = ManualClock::starting_now();
        let clock = Arc::new(FragileClock { hands, breaks: AtomicBool::new(false) });
        let config = CallsConfig { shards: 1, ..CallsConfig::default() };
        let journal = MemoryJournal::new(1 << 20, 1);
        let calls = Calls::start(&config, Arc::clone(&clock) as _, journal);
        Self { clock, calls }
    }

    async fn told(&self, call: &str, id: &str, kind: &str) {
        self.calls.deliver(vec![event(call, id, kind)]).await.expect("taken");
    }

    /// Lets the actor of a call that is known die of its next event.
    async fn break_call(&self, call: &str) {
        // A look is answered when everything before it has been handled.
        self.calls.look(&id(call)).await.expect("known");
        self.clock.breaks.store(true, Ordering::SeqCst);
        self.told(call, "poison", "PlayCompleted").await;
        until(async || !self.clock.breaks.load(Ordering::SeqCst)).await;
    }
}

/// Polls until it is so.
async fn until(so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < Duration::from_secs(10), "waited in vain");
        tokio::task::yield_now().await;
    }
}

fn id(text: &str) -> CallConnectionId {
    text.into()
}

fn kind_of(heard: &Heard) -> &EventKind {
    &heard.event.kind
}

#[actix_web::test]
async fn a_fault_in_one_call_ends_its_waits_as_lost_and_touches_no_other() {
    let house = House::new();
    let calls = &house.calls;
    for call in ["broken", "sound"] {
        house.told(call, "e1", "CallConnected").await;
    }
    let wants = || Wants::kinds(&[EventKind::RecognizeCompleted]);
    let lost = calls.wait(&id("broken"), wants(), HOUR, None).await.expect("stands");
    let kept = calls.wait(&id("sound"), wants(), HOUR, None).await.expect("stands");
    let mut deaf = calls.subscribe(&id("broken"), wants(), None).await.expect("listens");
    let mut hearing = calls.subscribe(&id("sound"), wants(), None).await.expect("listens");

    house.break_call("broken").await;
    assert_eq!(lost.outcome().await, WaitOutcome::Lost);
    assert_eq!(deaf.next().await, Err(Gone::Lost));
    until(async || calls.shards().await[0].live == 1).await;
    let shard = calls.shards().await.remove(0);
    assert_eq!((shard.live, shard.connected, shard.ended), (1, 1, 0));
    assert_eq!(shard.other_ids, 2, "nothing but the names of the sound call");
    assert_eq!(calls.find("server-broken").await, []);

    house.told("sound", "e2", "RecognizeCompleted").await;
    assert!(matches!(kept.outcome().await, WaitOutcome::Told(heard)
        if *kind_of(&heard) == EventKind::RecognizeCompleted));
    assert_eq!(kind_of(&hearing.next().await.expect("told")), &EventKind::RecognizeCompleted);

    // The next event opens the call anew, and its end is as tidy as any.
    house.told("broken", "e3", "RecognizeCompleted").await;
    let wait = calls.wait(&id("broken"), wants(), HOUR, None).await.expect("stands");
    assert!(matches!(wait.outcome().await, WaitOutcome::Told(_)));
    assert_eq!(calls.find("server-broken").await, [id("broken")]);
    let listed = calls.list(0, 10, None).await;
    assert_eq!(listed.len(), 2);
    for call in ["broken", "sound"] {
        house.told(call, "end", "CallDisconnected").await;
    }
    until(async || calls.shards().await[0].ended == 2).await;
    house.clock.hands.advance(Duration::from_secs(60));
    until(async || calls.shards().await[0].other_ids == 0).await;
    let shard = calls.shards().await.remove(0);
    assert_eq!((shard.live, shard.connected, shard.ended), (0, 0, 0));
    assert_eq!(house.clock.hands.alarms_set(), 0);
}

#[actix_web::test]
async fn a_call_that_dies_again_and_again_leaves_nothing_behind() {
    let house = House::new();
    for n in 0..50 {
        house.told("broken", &format!("e{n}"), "CallConnected").await;
        house.break_call("broken").await;
        until(async || house.calls.shards().await[0].live == 0).await;
    }
    let shard = house.calls.shards().await.remove(0);
    assert_eq!((shard.live, shard.connected, shard.other_ids), (0, 0, 0));
    assert_eq!(house.calls.list(0, 10, None).await, []);
    assert_eq!(house.clock.hands.alarms_set(), 0);
}

#[actix_web::test]
async fn an_array_of_more_events_than_an_actors_usual_mailbox_may_open_a_call() {
    let house = House::new();
    for call in 0..50 {
        let call = format!("call-{call}");
        let events = (0..200).map(|n| event(&call, &n.to_string(), "PlayStarted")).collect();
        house.calls.deliver(events).await.expect("there is room");
        let view = house.calls.look(&id(&call)).await.expect("known");
        assert_eq!(view.timeline.len(), 200);
    }
}

#[actix_web::test]
async fn a_claimed_call_is_found_by_its_other_ids_before_its_first_event() {
    let house = House::new();
    let identity = |server: &str| Identity {
        server_call: Some(server.into()),
        correlation: Some("correlation-one".into()),
    };
    house.calls.claim(&id("one"), identity("server-one")).await.expect("room");
    assert_eq!(house.calls.find("server-one").await, [id("one")]);
    assert_eq!(house.calls.find("correlation-one").await, [id("one")]);
    // The first id counts, in the index as in the call; a second claim adds nothing.
    house.calls.claim(&id("one"), identity("another")).await.expect("room");
    assert_eq!(house.calls.find("another").await, []);
    let view = house.calls.look(&id("one")).await.expect("known");
    assert_eq!(view.server_call_id, Some("server-one".into()));
    house.told("one", "end", "CallDisconnected").await;
    until(async || house.calls.shards().await[0].ended == 1).await;
    house.clock.hands.advance(Duration::from_secs(60));
    until(async || house.calls.shards().await[0].ended == 0).await;
    assert_eq!(house.calls.shards().await[0].other_ids, 0);
}

#[actix_web::test]
async fn calls_are_listed_by_how_far_they_have_come() {
    let house = House::new();
    house.told("connecting", "e1", "ParticipantsUpdated").await;
    house.told("connected", "e1", "CallConnected").await;
    house.told("failed", "e1", "CreateCallFailed").await;
    house.told("over", "e1", "CallDisconnected").await;
    // Failing later does not undo a connection.
    house.told("connected", "e2", "AnswerFailed").await;
    until(async || house.calls.shards().await[0].ended == 1).await;
    for (phase, call) in [
        (Phase::Connecting, "connecting"),
        (Phase::Connected, "connected"),
        (Phase::Failed, "failed"),
        (Phase::Disconnected, "over"),
    ] {
        let listed = house.calls.list(0, 10, Some(phase)).await;
        assert_eq!(listed.iter().map(|l| &l.id).collect::<Vec<_>>(), [&id(call)], "{phase:?}");
        assert_eq!(house.calls.look(&id(call)).await.expect("known").state, phase);
    }
}
