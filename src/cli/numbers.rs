//! `switchhook numbers`: who rings when somebody calls.

use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{ArgGroup, Subcommand};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use super::exit::{Done, Exit, Failure};
use super::remote::{Connection, Remote, segment};
use super::screen::Screen;
use super::table::Table;
use super::values::{cell, list, text};

mod history;

/// Assignments asked for at a time.
const PAGE: usize = 500;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All assignments in order of key
    List,
    /// One assignment
    Get {
        /// +14255551212, +1425*, 8:acs:… or *
        key: String,
    },
    /// Write an assignment, in place of the one that was there
    Set(Box<Set>),
    /// Take an assignment away
    Rm {
        /// The key
        key: String,
        #[command(flatten)]
        change: Change,
    },
    /// Changes, newest first: who, when, why, before and after
    History {
        /// At most so many changes
        #[arg(long, value_name = "N", default_value = "20",
            value_parser = clap::value_parser!(u32).range(1..))]
        limit: u32,
        /// Only changes before this version
        #[arg(long, value_name = "VERSION")]
        before: Option<u64>,
    },
    /// Make all assignments what they were after a version, in one change
    Rollback {
        /// The version, as the history shows it; 0 is before the first change
        version: u64,
        /// Why; kept in the record of changes
        #[arg(long, value_name = "TEXT")]
        why: String,
        /// Only if the newest version is still this one
        #[arg(long, value_name = "N")]
        if_version: Option<u64>,
    },
}

#[derive(clap::Args)]
#[command(group = ArgGroup::new("what").required(true))]
struct Set {
    /// +14255551212, +1425*, 8:acs:… or *
    key: String,
    /// A file with the assignment as JSON, or - for standard input
    #[arg(group = "what", value_name = "FILE")]
    file: Option<PathBuf>,
    /// Ring somebody else instead: a number or a raw id
    #[arg(long, group = "what", value_name = "TARGET")]
    redirect: Option<String>,
    /// Turn the caller away
    #[arg(long, group = "what", value_name = "HOW", value_parser = ["none", "busy", "forbidden"])]
    reject: Option<String>,
    /// Let the application take the call
    #[arg(long, group = "what")]
    answer: bool,
    /// Do nothing: somebody else takes the call, or it rings out
    #[arg(long, group = "what")]
    ignore: bool,
    /// A note for people, kept with the assignment
    #[arg(long, value_name = "TEXT", conflicts_with = "file")]
    note: Option<String>,
    #[command(flatten)]
    change: Change,
}

/// What goes with every change.
#[derive(clap::Args)]
struct Change {
    /// Why; kept in the record of changes
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Only if this version is still there; 0 means only if there is none
    #[arg(long, value_name = "N")]
    if_version: Option<u64>,
}

impl Change {
    fn on(&self, request: RequestBuilder) -> RequestBuilder {
        let request = match &self.why {
            Some(why) => request.header("x-switchhook-reason", why),
            None => request,
        };
        match self.if_version {
            None => request,
            Some(0) => request.header("if-none-match", "*"),
            Some(version) => request.header("if-match", format!("\"{version}\"")),
        }
    }
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let remote = Remote::new(args.connection)?;
    match args.command {
        Command::List => numbers(&remote, screen).await,
        Command::Get { key } => {
            let found = remote.get(&path(&key)).await?;
            screen.answer(&found, || in_depth(&found))
        }
        Command::Set(set) => {
            let body = set.body()?;
            let request = remote.request(Method::PUT, &path(&set.key)).json(&body);
            let written = remote.json(set.change.on(request)).await?;
            screen.answer(&written, || in_depth(&written))
        }
        Command::Rm { key, change } => {
            remote.send(change.on(remote.request(Method::DELETE, &path(&key)))).await?;
            screen.answer(&json!({ "key": key, "removed": true }), || format!("{key} removed"))
        }
        Command::History { limit, before } => {
            history::list(&remote, screen, limit as usize, before).await
        }
        Command::Rollback { version, why, if_version } => {
            history::roll_back(&remote, screen, version, &why, if_version).await
        }
    }
}

fn path(key: &str) -> String {
    format!("/v1/numbers/{}", segment(key))
}

async fn numbers(remote: &Remote, screen: Screen) -> Done {
    let mut table = Table::new(&["KEY", "VERSION", "WHAT HAPPENS", "NOTE"]);
    let mut after = None::<String>;
    loop {
        let mut query = vec![("limit", PAGE.to_string())];
        query.extend(after.take().map(|after| ("after", after)));
        let page = remote.json(remote.request(Method::GET, "/v1/numbers").query(&query)).await?;
        for number in list(&page, "/numbers") {
            if screen.is_json() {
                screen.object(number)?;
            } else {
                table.row(row(number));
            }
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => after = Some(next.to_owned()),
            None => break,
        }
    }
    if screen.is_json() {
        return Ok(());
    }
    screen.line(if table.is_empty() { "nothing is assigned".to_owned() } else { table.text() })
}

fn row(number: &Value) -> Vec<String> {
    let steps = list(number, "/steps").iter().map(step);
    let steps = steps.collect::<Vec<_>>().join("; else ");
    vec![cell(number, "/key"), cell(number, "/version"), steps, cell(number, "/note")]
}

fn in_depth(number: &Value) -> String {
    let mut lines = vec![format!("{}  version {}", cell(number, "/key"), cell(number, "/version"))];
    if number.get("note").is_some() {
        lines.push(format!("  note  {}", cell(number, "/note")));
    }
    for (index, json) in list(number, "/steps").iter().enumerate() {
        lines.push(format!("  {index}  {}", step(json)));
    }
    lines.join("\n")
}

fn step(step: &Value) -> String {
    let action = action(step.get("action").unwrap_or(&Value::Null));
    match step.pointer("/when/caller") {
        None => action,
        Some(callers) => format!("{action} (callers: {})", self::callers(callers)),
    }
}

fn callers(callers: &Value) -> String {
    let texts = |pointer: &str| list(callers, pointer).iter().filter_map(Value::as_str);
    let mut who: Vec<String> = texts("/exact").map(str::to_owned).collect();
    who.extend(texts("/prefix").map(|prefix| format!("{prefix}*")));
    if callers.get("anonymous").and_then(Value::as_bool) == Some(true) {
        who.push("anonymous".to_owned());
    }
    who.join(", ")
}

/// An action in a few words.
pub(super) fn action(action: &Value) -> String {
    match text(action, "/type") {
        "redirect" => format!("redirect to {}", cell(action, "/target")),
        "reject" => format!("reject ({})", cell(action, "/reason")),
        "" => "-".to_owned(),
        other => other.to_owned(),
    }
}

impl Set {
    fn body(&self) -> Done<Value> {
        let action = match (&self.file, &self.redirect, &self.reject) {
            (Some(file), _, _) => return from_file(file),
            (_, Some(target), _) => json!({ "type": "redirect", "target": target }),
            (_, _, Some(reason)) => json!({ "type": "reject", "reason": reason }),
            _ if self.answer => json!({ "type": "answer" }),
            _ => json!({ "type": "ignore" }),
        };
        let mut body = json!({ "steps": [{ "action": action }] });
        if let Some(note) = &self.note {
            body["note"] = note.as_str().into();
        }
        Ok(body)
    }
}

fn from_file(file: &Path) -> Done<Value> {
    let name = file.display();
    let read = if file == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(file)
    };
    let bad = |error: &dyn std::fmt::Display| {
        Failure::new(Exit::InvalidInput, format!("{name} cannot be read: {error}"))
    };
    serde_json::from_str(&read.map_err(|error| bad(&error))?).map_err(|error| bad(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_in_a_few_words() {
        let told = step(&json!({"action": {"type": "redirect", "target": "8:acs:x"}, "when":
            {"caller": {"exact": ["+1425"], "prefix": ["+49"], "anonymous": true}}}));
        assert_eq!(told, "redirect to 8:acs:x (callers: +1425, +49*, anonymous)");
        assert_eq!(step(&json!({"action": {"type": "reject", "reason": "busy"}})), "reject (busy)");
        assert_eq!(step(&json!({})), "-");
    }
}
