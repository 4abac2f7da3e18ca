use super::*;

const LIMITS: GuardLimits =
    GuardLimits { window: Duration::from_secs(60), max_hops: 3, max_repeats: 2, journeys: 10 };

fn party(text: &str) -> Party {
    Party::parse(text).expect("a party")
}

/// A leg by caller and callee; `call` stands for both call ids, 0 for none.
fn leg(caller: &str, callee: &str, call: u128) -> Leg {
    let calls = (call > 0).then_some(call).into_iter().collect();
    Leg { calls, ..Leg::new(party(caller), party(callee)) }
}

/// Asks, and follows when nothing speaks against it.
fn send(guard: &mut Guard, now: u64, leg: &Leg, target: &str) -> Option<Held> {
    let held = guard.verdict(Tick(now), leg, &party(target));
    if held.is_none() {
        guard.follow(Tick(now), leg, &party(target));
    }
    held
}

#[test]
fn i9_a_call_is_not_sent_to_the_party_who_rings() {
    let mut guard = Guard::new(LIMITS);
    assert_eq!(send(&mut guard, 0, &leg("+1", "+2", 0), "+2"), Some(Held::TargetIsCallee));
    assert!(guard.is_empty());
}

#[test]
fn i9_a_call_is_not_sent_back_even_when_its_ids_change() {
    let mut guard = Guard::new(LIMITS);
    assert_eq!(send(&mut guard, 0, &leg("+1", "+2", 7), "8:acs:a"), None);
    assert_eq!(send(&mut guard, 100, &leg("+1", "8:acs:a", 8), "+2"), Some(Held::TargetWasVisited));
    assert_eq!(send(&mut guard, 100, &leg("+1", "8:acs:a", 8), "+3"), None);
    let back = leg("+1", "+3", 0);
    for target in ["+2", "8:acs:a"] {
        assert_eq!(send(&mut guard, 200, &back, target), Some(Held::TargetWasVisited));
    }
    assert_eq!(send(&mut guard, 200, &leg("+9", "+3", 0), "+2"), None, "another caller's call");
}

#[test]
fn i9_a_call_is_known_by_its_ids_wherever_it_rings() {
    let mut guard = Guard::new(LIMITS);
    assert_eq!(send(&mut guard, 0, &leg("+1", "+2", 7), "8:acs:a"), None);
    let elsewhere = leg("+1", "+5", 7);
    assert_eq!(send(&mut guard, 1, &elsewhere, "8:acs:a"), Some(Held::TargetWasVisited));
}

#[test]
fn i9_of_two_calls_that_were_sent_to_the_same_party_the_newer_rings() {
    let mut guard = Guard::new(LIMITS);
    assert_eq!(send(&mut guard, 0, &leg("+1", "+2", 0), "8:acs:a"), None);
    assert_eq!(send(&mut guard, 1, &leg("+1", "+3", 0), "8:acs:a"), None);
    let rings = leg("+1", "8:acs:a", 0);
    assert_eq!(guard.verdict(Tick(2), &rings, &party("+3")), Some(Held::TargetWasVisited));
    assert_eq!(guard.verdict(Tick(2), &rings, &party("+2")), None);
}

#[test]
fn i9_a_call_that_took_over_the_id_of_another_keeps_it() {
    let mut guard = Guard::new(LIMITS);
    send(&mut guard, 0, &leg("+8", "+2", 8), "8:acs:a");
    send(&mut guard, 1, &leg("+1", "+2", 7), "8:acs:b");
    let both = Leg { calls: [7, 8].into_iter().collect(), ..leg("+1", "8:acs:b", 0) };
    assert_eq!(send(&mut guard, 50_000, &both, "8:acs:c"), None);
    guard.forget(Tick(60_500));
    let elsewhere = leg("+1", "+5", 8);
    let held = guard.verdict(Tick(60_500), &elsewhere, &party("8:acs:b"));
    assert_eq!(held, Some(Held::TargetWasVisited));
}

#[test]
fn i9_a_call_is_sent_on_at_most_max_hops_times() {
    let mut guard = Guard::new(LIMITS);
    for hop in 1..=3 {
        let (callee, target) = (format!("+{hop}"), format!("+{}", hop + 1));
        assert_eq!(send(&mut guard, hop, &leg("+9", &callee, 0), &target), None);
    }
    assert_eq!(send(&mut guard, 4, &leg("+9", "+4", 0), "+5"), Some(Held::TooManyHops));
}

#[test]
fn i9_the_same_caller_and_target_repeat_at_most_so_often_within_a_minute() {
    let mut guard = Guard::new(LIMITS);
    let again = || leg("+1", "+2", 0);
    assert_eq!(send(&mut guard, 0, &again(), "8:acs:a"), None);
    assert_eq!(send(&mut guard, 1_000, &again(), "8:acs:a"), None, "somebody dials again");
    assert_eq!(send(&mut guard, 59_999, &again(), "8:acs:a"), Some(Held::TooManyRepeats));
    assert_eq!(send(&mut guard, 60_000, &again(), "8:acs:a"), None, "a minute after the first");
    let hidden = || leg("4:anonymous", "+2", 0);
    for _ in 0..9 {
        assert_eq!(send(&mut guard, 60_000, &hidden(), "8:acs:a"), None, "hidden callers differ");
    }
}

#[test]
fn i9_a_redirect_that_failed_does_not_count() {
    let mut guard = Guard::new(LIMITS);
    let leg = leg("+1", "+2", 7);
    for now in 0..9 {
        assert_eq!(send(&mut guard, now, &leg, "8:acs:a"), None);
        guard.take_back(&leg, &party("8:acs:a"));
    }
    assert_eq!(send(&mut guard, 10, &leg, "8:acs:b"), None);
    assert_eq!(send(&mut guard, 11, &leg, "8:acs:a"), None);
}

#[test]
fn i9_what_the_guard_remembers_is_bounded_and_aged() {
    let mut guard = Guard::new(LIMITS);
    for call in 1..=200_u64 {
        let leg = leg(&format!("+1{call}"), "+2", u128::from(call));
        send(&mut guard, call, &leg, "8:acs:a");
        if call % 3 == 0 {
            guard.take_back(&leg, &party("8:acs:a"));
        }
        assert!(guard.len() <= LIMITS.journeys);
        assert!(guard.by_call.len() <= LIMITS.journeys && guard.by_end.len() <= LIMITS.journeys);
    }
    guard.forget(Tick(60_200));
    assert!(guard.is_empty() && guard.by_call.is_empty() && guard.by_end.is_empty());
    assert!(guard.repeats.is_empty() && guard.order.is_empty());
}

#[test]
fn i10_the_guard_knows_nothing_before_the_moment_asked_about() {
    let mut guard = Guard::new(LIMITS);
    assert_eq!(send(&mut guard, 1_000, &leg("+1", "+2", 7), "8:acs:a"), None);
    let back = leg("+1", "8:acs:a", 0);
    assert_eq!(guard.verdict(Tick(1_000), &back, &party("+2")), Some(Held::TargetWasVisited));
    assert_eq!(guard.verdict(Tick(999), &back, &party("+2")), None);
    assert_eq!(guard.verdict(Tick(61_000), &back, &party("+2")), None);
}
