//! Rule I9 in the table: redirects never lead back.
//!
//! An assignment leads to another when one of its steps redirects to a party whom the table's own
//! lookup gives to that other. Conditions are not weighed: a circle that only some callers could run
//! is refused too, because a caller in a circle is worse than a table that must be written plainly.

use std::collections::HashMap;

use super::{Action, Key, Table};

/// Where a walk stands with an assignment.
#[derive(Clone, Copy, PartialEq)]
enum Mark {
    /// On the path from the start to here.
    OnPath,
    /// No circle can be reached from it.
    Cleared,
}

/// One assignment on the path, and those to which it leads that are not yet walked.
struct Stop {
    key: Key,
    next: Vec<Key>,
}

/// The keys of a circle that can be reached from one of the starts.
pub(super) fn find_cycle<'a>(
    table: &Table,
    starts: impl IntoIterator<Item = &'a Key>,
) -> Option<Vec<Key>> {
    let mut marks = HashMap::new();
    starts.into_iter().find_map(|start| walk(table, start, &mut marks))
}

fn walk(table: &Table, start: &Key, marks: &mut HashMap<Key, Mark>) -> Option<Vec<Key>> {
    let next = led_to(table, start);
    // Nearly all assignments lead nowhere; they need no marks.
    if next.is_empty() || marks.contains_key(start) {
        return None;
    }
    marks.insert(start.clone(), Mark::OnPath);
    let mut path = vec![Stop { key: start.clone(), next }];
    while let Some(stop) = path.last_mut() {
        let Some(key) = stop.next.pop() else {
            marks.insert(stop.key.clone(), Mark::Cleared);
            path.pop();
            continue;
        };
        match marks.get(&key) {
            Some(Mark::Cleared) => {}
            Some(Mark::OnPath) => {
                let circle = path.iter().map(|stop| stop.key.clone());
                return Some(circle.skip_while(|passed| *passed != key).collect());
            }
            None => {
                marks.insert(key.clone(), Mark::OnPath);
                path.push(Stop { next: led_to(table, &key), key });
            }
        }
    }
    None
}

fn led_to(table: &Table, key: &Key) -> Vec<Key> {
    let steps = table.get(key).map(|assignment| assignment.steps.iter());
    let target = |step: &super::Step| match &step.action {
        Action::Redirect { target } => table.find(target).map(|(key, _)| key),
        Action::Answer(_) | Action::Reject { .. } | Action::Ignore => None,
    };
    steps.into_iter().flatten().filter_map(target).collect()
}
