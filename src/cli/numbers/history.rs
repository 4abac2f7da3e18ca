//! `switchhook numbers history` and `rollback`: what was changed, and how it is taken back.

use reqwest::Method;
use serde_json::{Value, json};

use super::super::exit::Done;
use super::super::remote::Remote;
use super::super::screen::Screen;
use super::super::table::Table;
use super::super::values::{cell, list as elements, text};
use super::step;

/// Changes asked for at a time.
const PAGE: usize = 100;

pub(super) async fn list(
    remote: &Remote,
    screen: Screen,
    limit: usize,
    before: Option<u64>,
) -> Done {
    let mut table = Table::new(&["VERSION", "AT", "WHO", "WHAT", "KEY", "BEFORE", "AFTER", "WHY"]);
    let (mut left, mut before) = (limit, before);
    while left > 0 {
        let mut query = vec![("limit", left.min(PAGE) as u64)];
        query.extend(before.map(|before| ("before", before)));
        let request = remote.request(Method::GET, "/v1/numbers/history").query(&query);
        let page = remote.json(request).await?;
        let changes = elements(&page, "/changes");
        for change in changes {
            if screen.is_json() {
                screen.object(change)?;
            } else {
                rows(change).into_iter().for_each(|row| table.row(row));
            }
        }
        left = left.saturating_sub(changes.len());
        before = page.get("next").and_then(Value::as_u64);
        if before.is_none() || changes.is_empty() {
            break;
        }
    }
    if screen.is_json() {
        return Ok(());
    }
    screen.line(if table.is_empty() { "nothing was changed".to_owned() } else { table.text() })
}

/// A line for each key; what they share stands in the first one.
fn rows(change: &Value) -> Vec<Vec<String>> {
    let keys = elements(change, "/keys");
    let head = |index: usize| match index {
        0 => ["/version", "/at", "/who"].map(|pointer| cell(change, pointer)),
        _ => Default::default(),
    };
    let row = |(index, key): (usize, &Value)| {
        let mut row = head(index).to_vec();
        let what = if index == 0 { what(change) } else { String::new() };
        let why = if index == 0 { cell(change, "/why") } else { String::new() };
        row.extend([what, cell(key, "/key"), plan(key, "/before"), plan(key, "/after"), why]);
        row
    };
    let mut rows: Vec<_> = keys.iter().enumerate().map(row).collect();
    let count = change.get("keyCount").and_then(Value::as_u64).unwrap_or_default();
    let hidden = count.saturating_sub(keys.len() as u64);
    if hidden > 0 {
        let mut more = vec![String::new(); 8];
        more[4] = format!("and {hidden} more");
        rows.push(more);
    }
    rows
}

fn what(change: &Value) -> String {
    match text(change, "/what") {
        "rolledBack" => format!("rolled back to {}", cell(change, "/to")),
        "put" => "set".to_owned(),
        "dropped" => "removed".to_owned(),
        "" => "-".to_owned(),
        other => other.to_owned(),
    }
}

fn plan(key: &Value, pointer: &str) -> String {
    let Some(assignment) = key.pointer(pointer).filter(|it| !it.is_null()) else {
        return "-".to_owned();
    };
    elements(assignment, "/steps").iter().map(step).collect::<Vec<_>>().join("; else ")
}

pub(super) async fn roll_back(
    remote: &Remote,
    screen: Screen,
    version: u64,
    why: &str,
    if_version: Option<u64>,
) -> Done {
    let request = remote.request(Method::POST, "/v1/numbers:rollback");
    let request = match if_version {
        Some(seen) => request.header("if-match", format!("\"{seen}\"")),
        None => request,
    };
    let done = remote.json(request.json(&json!({ "version": version, "why": why }))).await?;
    screen.answer(&done, || {
        let (to, new) = (cell(&done, "/to"), cell(&done, "/version"));
        format!("rolled back to {to}, {} changed; now version {new}", keys(&done))
    })
}

fn keys(done: &Value) -> String {
    match cell(done, "/keyCount").as_str() {
        "1" => "1 key".to_owned(),
        count => format!("{count} keys"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_of_many_keys_says_once_who_and_why() {
        let ignore = json!({"steps": [{"action": {"type": "ignore"}}], "version": 2});
        let change = json!({"version": 7, "at": "2025-11-21T08:30:00Z", "what": "rolledBack",
            "to": 2, "who": "desk", "why": "oops", "keyCount": 3, "keys": [
                {"key": "+1", "before": null, "after": ignore},
                {"key": "+2", "before": ignore, "after": null}]});
        let rows = rows(&change);
        assert_eq!(rows[0][3..], ["rolled back to 2", "+1", "-", "ignore", "oops"]);
        assert_eq!(rows[1], ["", "", "", "", "+2", "ignore", "-", ""]);
        assert_eq!(rows[2][4], "and 1 more");
    }
}
