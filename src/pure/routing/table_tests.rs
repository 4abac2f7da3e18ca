use proptest::prelude::*;
use serde_json::json;

use super::super::Action;
use super::*;

fn key(text: &str) -> Key {
    Key::parse(text).expect("a key")
}

fn party(text: &str) -> Party {
    Party::parse(text).expect("a party")
}

fn ignore() -> Draft {
    Draft::parse(&json!({"steps": [{"action": {"type": "ignore"}}]})).expect("a draft")
}

fn redirect(targets: &[&str]) -> Draft {
    let step = |target| json!({"action": {"type": "redirect", "target": target}});
    let steps: Vec<_> = targets.iter().map(step).collect();
    Draft::parse(&json!({"steps": steps})).expect("a draft")
}

/// A table written in this order.
fn table(entries: &[(&str, Draft)]) -> Table {
    entries.iter().fold(Table::default(), |table, (text, draft)| {
        table.put(&key(text), draft.clone(), None).expect("a write").0
    })
}

#[test]
fn i7_exact_goes_before_the_longest_prefix_before_the_star() {
    let table = table(&[
        ("*", ignore()),
        ("+1425*", ignore()),
        ("+1425555*", ignore()),
        ("+14255550100", ignore()),
        ("8:acs:r_u", ignore()),
    ]);
    for (callee, wanted) in [
        ("+14255550100", "+14255550100"),
        ("4:+14255550100_asserted", "+14255550100"),
        ("+142555501000", "+1425555*"),
        ("+14255560100", "+1425*"),
        ("+1425", "+1425*"),
        ("+142", "*"),
        ("8:acs:r_u", "8:acs:r_u"),
        ("8:acs:r_v", "*"),
    ] {
        let callee = Party::of_raw(&party(callee).raw_id());
        assert_eq!(table.find(&callee).map(|(key, _)| key.text()).as_deref(), Some(wanted));
    }
}

#[test]
fn i7_a_write_counts_the_version_and_checks_the_writers() {
    let (first, written) = Table::default().put(&key("+1425"), ignore(), Some(0)).unwrap();
    assert_eq!((first.version(), first.len(), written.version), (1, 1, 1));
    let (second, _) = first.put(&key("*"), ignore(), None).unwrap();
    let conflict = |current| WriteError::VersionConflict { current };
    assert_eq!(second.put(&key("+1425"), ignore(), Some(0)).unwrap_err(), conflict(1));
    assert_eq!(second.put(&key("+1425"), ignore(), Some(2)).unwrap_err(), conflict(1));
    assert_eq!(second.put(&key("+1426"), ignore(), Some(2)).unwrap_err(), conflict(0));
    let (third, written) = second.put(&key("+1425"), ignore(), Some(1)).unwrap();
    assert_eq!((third.version(), third.len(), written.version), (3, 2, 3));
    assert_eq!(third.without(&key("+1425"), Some(1)).unwrap_err(), conflict(3));
    assert_eq!(third.without(&key("+1426"), None).unwrap_err(), WriteError::NotFound);
    let fourth = third.without(&key("+1425"), Some(3)).unwrap();
    assert_eq!((fourth.version(), fourth.len()), (4, 1));
    assert_eq!((first.version(), first.len()), (1, 1), "an older table is not touched");
}

#[test]
fn i7_a_draft_that_names_another_key_is_refused() {
    let draft = Draft { key: Some(key("+1426")), ..ignore() };
    let error = Table::default().put(&key("+1425"), draft, None).unwrap_err();
    assert_eq!(error.code(), "other_key");
}

/// The keys of the circle that the last write would close.
#[track_caller]
fn circle(entries: &[(&str, Draft)], last: (&str, Draft), wanted: &[&str]) {
    let error = table(entries).put(&key(last.0), last.1, None).expect_err("a circle");
    let WriteError::Cycle { keys } = error else { panic!("{error}") };
    assert_eq!(keys.iter().map(Key::text).collect::<Vec<_>>(), wanted);
}

#[test]
fn i9_circles_in_the_table_are_refused_when_written() {
    circle(&[], ("+1425", redirect(&["+1425"])), &["+1425"]);
    circle(&[("+1", redirect(&["+2"]))], ("+2", redirect(&["+1"])), &["+2", "+1"]);
    circle(
        &[("+1", redirect(&["8:acs:a"])), ("8:acs:a", redirect(&["+3", "+4"]))],
        ("+4", redirect(&["+5", "+1"])),
        &["+4", "+1", "8:acs:a"],
    );
    // Two ways to the same end are no circle, and do not hide one.
    circle(
        &[
            ("+5", ignore()),
            ("+4", redirect(&["+5"])),
            ("+3", redirect(&["+4"])),
            ("+2", redirect(&["+4"])),
            ("+6", redirect(&["+1"])),
        ],
        ("+1", redirect(&["+6", "+2", "+3"])),
        &["+1", "+6"],
    );
    // Through prefixes and the star, by the table's own lookup.
    circle(&[], ("+1425*", redirect(&["+14255550100"])), &["+1425*"]);
    circle(&[("+7", redirect(&["+14255"]))], ("+1425*", redirect(&["+7"])), &["+1425*", "+7"]);
    circle(&[], ("*", redirect(&["8:acs:a"])), &["*"]);
    circle(&[("+1", redirect(&["8:acs:a"]))], ("*", redirect(&["+1"])), &["*", "+1"]);
}

#[test]
fn i9_a_target_with_an_assignment_of_its_own_closes_no_circle() {
    let table = table(&[
        ("8:acs:a", ignore()),
        ("*", redirect(&["8:acs:a"])),
        ("+1425*", redirect(&["+2065", "8:acs:a"])),
        ("+2065", redirect(&["8:acs:a"])),
    ]);
    assert_eq!(table.len(), 4);
}

#[test]
fn i9_dropping_an_assignment_may_not_close_a_circle_either() {
    let table = table(&[("8:acs:a", ignore()), ("*", redirect(&["8:acs:a"]))]);
    let error = table.without(&key("8:acs:a"), None).expect_err("a circle");
    assert_eq!(error, WriteError::Cycle { keys: vec![key("*")] });
    assert!(!error.to_string().contains("acs"), "{error}");
    assert!(table.without(&key("*"), None).is_ok());
}

#[test]
fn i9_circles_are_refused_when_a_table_is_loaded() {
    let entry = |text: &str, draft: Draft| {
        (key(text), Assignment { steps: draft.steps, version: 4, note: None })
    };
    let good = [entry("+1", redirect(&["+2"])), entry("+2", ignore())];
    let table = Table::load(0, good.clone()).expect("a table");
    assert_eq!((table.version(), table.len()), (4, 2));
    let alike = ["+3", "+4"].map(|text| entry(text, ignore()));
    let table = Table::load(0, alike).expect("a table");
    let plans: Vec<_> = table.iter().map(|(_, found)| Arc::as_ptr(&found.steps)).collect();
    assert_eq!(plans[0], plans[1], "equal plans are kept once");
    let twice = Table::load(9, [good[0].clone(), good[0].clone()]).unwrap_err();
    assert_eq!(twice, WriteError::Twice { key: key("+1") });
    let bad = [good[0].clone(), entry("+2", redirect(&["+1"]))];
    assert_eq!(Table::load(9, bad).unwrap_err().code(), "redirect_cycle");
}

/// Keys over few digits, so that they meet.
fn keys() -> impl Strategy<Value = Key> {
    prop_oneof![
        4 => "\\+[12][123]{0,5}".prop_map(|text| key(&text)),
        3 => "\\+([12][123]{0,4})?\\*".prop_map(|text| key(&text)),
        1 => "8:acs:[abc]".prop_map(|text| key(&text)),
        1 => Just(Key::Any),
    ]
}

fn callees() -> impl Strategy<Value = Party> {
    prop_oneof!["\\+[12][123]{0,6}", "8:acs:[abcd]"].prop_map(|text| party(&text))
}

/// The rule as people say it: of all keys that fit, the most specific.
fn naive<'a>(entries: &'a [Key], callee: &Party) -> Option<&'a Key> {
    let rank = |key: &&Key| match key {
        Key::Any => 0,
        Key::Prefix(digits) => 1 + digits.len(),
        Key::Exact(_) => 100,
    };
    entries.iter().filter(|key| key.fits(callee)).max_by_key(rank)
}

proptest! {
    #[test]
    fn i7_lookup_agrees_with_a_naive_scan(
        writes in proptest::collection::vec((keys(), any::<bool>()), 0..80), callees in
        proptest::collection::vec(callees(), 20),
    ) {
        let mut table = Table::default();
        let mut model: Vec<Key> = Vec::new();
        for (key, put) in writes {
            table = match table.put(&key, ignore(), None) {
                Ok((table, _)) if put => table,
                _ => table.without(&key, None).unwrap_or(table),
            };
            model.retain(|other| *other != key);
            if put {
                model.push(key);
            }
        }
        model.sort();
        prop_assert_eq!(table.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(), model.clone());
        prop_assert_eq!(table.len(), model.len());
        for callee in callees {
            let found = table.find(&callee).map(|(key, _)| key);
            prop_assert_eq!(found.as_ref(), naive(&model, &callee));
        }
    }

    #[test]
    fn i7_pages_give_every_assignment_once_and_in_order(
        many in 0_usize..1500, limit in 1_usize..300, loaded: bool,
    ) {
        let entries = (0..many).map(|n| key(&format!("+1{:04}", n * 7 % 1511)));
        let table = if loaded {
            let stored = |key| (key, Assignment { steps: ignore().steps, version: 1, note: None });
            Table::load(0, entries.map(stored)).unwrap()
        } else {
            entries.fold(Table::default(), |table, key| table.put(&key, ignore(), None).unwrap().0)
        };
        let mut seen: Vec<Key> = Vec::new();
        loop {
            let page = table.page(seen.last(), limit);
            prop_assert!(page.len() <= limit);
            if page.is_empty() {
                break;
            }
            seen.extend(page.into_iter().map(|numbered| numbered.key));
        }
        prop_assert_eq!(seen.len(), many);
        prop_assert!(seen.is_sorted());
        prop_assert!(table.chunks.iter().all(|chunk| (1..=CHUNK).contains(&chunk.len())));
        prop_assert!(seen.iter().all(|key| table.get(key).is_some()));
    }

    #[test]
    fn i9_no_table_that_was_written_has_a_circle(
        writes in proptest::collection::vec((keys(), callees(), any::<bool>()), 0..60),
    ) {
        let mut table = Table::default();
        for (key, target, put) in writes {
            let target = target.text();
            let written = if put {
                table.put(&key, redirect(&[&target]), None).map(|(table, _)| table)
            } else {
                table.without(&key, None)
            };
            table = written.unwrap_or(table);
        }
        for (start, _) in table.iter() {
            let mut key = start.clone();
            for _ in 0..=table.len() {
                let Some(Action::Redirect { target }) =
                    table.get(&key).map(|found| found.steps[0].action.clone()) else { break };
                let Some((next, _)) = table.find(&target) else { break };
                prop_assert_ne!(&next, start);
                key = next;
            }
        }
    }
}
