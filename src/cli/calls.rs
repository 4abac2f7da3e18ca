//! `switchhook calls`: live calls, and those that ended within the last minute.

use std::time::Duration;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Map, Value, json};

use super::exit::{Done, Exit, Failure};
use super::remote::{Connection, Remote, segment};
use super::screen::Screen;
use super::sse::{self, Following};
use super::table::Table;
use super::values::{cell, codes, duration, list, short_type, span, text};

/// Calls asked for at a time.
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
    /// Calls in the order in which they were opened
    List {
        /// Only calls in this state
        #[arg(long, value_parser = ["connecting", "connected", "failed", "disconnected"])]
        state: Option<String>,
        /// At most so many
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: usize,
    },
    /// One call in depth
    Show {
        /// callConnectionId, serverCallId or correlationId
        id: String,
    },
    /// Follow the events of a call from its beginning
    Tail {
        /// callConnectionId
        id: String,
        #[command(flatten)]
        following: Following,
    },
    /// Wait for an event of a call
    Wait(Wait),
    /// Hang up for everybody
    Hangup {
        /// callConnectionId
        id: String,
        /// Why; it is written to the service's log
        #[arg(long)]
        reason: String,
    },
}

#[derive(clap::Args)]
struct Wait {
    /// callConnectionId
    id: String,
    /// Only these event types, such as CallDisconnected
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only events with this operationContext
    #[arg(long, value_name = "TEXT")]
    context: Option<String>,
    /// Only events that this filter lets pass, in Event Grid's JSON
    #[arg(long, value_name = "JSON")]
    filter: Option<String>,
    /// How long, such as 30s; the service has a default
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// Only events after this one (its cursor)
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let remote = Remote::new(args.connection)?;
    match args.command {
        Command::List { state, limit } => calls(&remote, state.as_deref(), limit, screen).await,
        Command::Show { id } => {
            let call = remote.get(&format!("/admin/calls/{}", segment(&id))).await?;
            screen.answer(&call, || in_depth(&call))
        }
        Command::Tail { id, following } => {
            let path = format!("/v1/calls/{}/events", segment(&id));
            following.follow(&remote, &path, screen).await
        }
        Command::Wait(wait) => wait.run(&remote, screen).await,
        Command::Hangup { id, reason } => hang_up(&remote, &id, &reason, screen).await,
    }
}

async fn calls(remote: &Remote, state: Option<&str>, limit: usize, screen: Screen) -> Done {
    let mut table = Table::new(&[
        "CALL",
        "STATE",
        "AGE",
        "PARTIES",
        "WAITS",
        "BACKLOG",
        "LISTENERS",
        "EVENTS",
        "LAST EVENT",
    ]);
    let (mut left, mut after) = (limit, None::<u64>);
    while left > 0 {
        let page = page(remote, state, left.min(PAGE), after).await?;
        for call in list(&page, "/calls") {
            if screen.is_json() {
                screen.object(call)?;
            } else {
                table.row(row(call));
            }
            left = left.saturating_sub(1);
        }
        after = page.get("next").and_then(Value::as_u64);
        if after.is_none() {
            break;
        }
    }
    if !screen.is_json() {
        let nothing = table.is_empty();
        screen.line(if nothing { "no calls".to_owned() } else { table.text() })?;
    }
    if after.is_some() {
        screen.remark(format!("there may be more than these {limit}; see --limit"));
    }
    Ok(())
}

async fn page(
    remote: &Remote,
    state: Option<&str>,
    limit: usize,
    after: Option<u64>,
) -> Done<Value> {
    let mut query = vec![("limit", limit.to_string())];
    query.extend(state.map(|state| ("state", state.to_owned())));
    query.extend(after.map(|after| ("after", after.to_string())));
    remote.json(remote.request(Method::GET, "/admin/calls").query(&query)).await
}

fn row(call: &Value) -> Vec<String> {
    let plain = ["/participants", "/waits", "/backlog", "/subscriptions", "/events"];
    let mut cells = vec![cell(call, "/callConnectionId"), state(call), span(call, "/ageMs")];
    cells.extend(plain.map(|pointer| cell(call, pointer)));
    cells.push(cell(call, "/lastEvent"));
    cells
}

fn in_depth(call: &Value) -> String {
    let mut lines = vec![
        format!("call         {}", cell(call, "/callConnectionId")),
        format!("state        {}, {} old", state(call), span(call, "/ageMs")),
        format!("server call  {}", cell(call, "/serverCallId")),
        format!("correlation  {}", cell(call, "/correlationId")),
    ];
    if call.get("ending").is_some() {
        let cause = cell(call, "/ending/cause");
        lines.push(format!("ended        {cause} ({})", codes(call, "/ending")));
    }
    if let Some(fate) = call.pointer("/decision/fate").and_then(Value::as_str) {
        lines.push(format!("came in      {fate}, decision {}", cell(call, "/decision/id")));
    }
    let parties = list(call, "/participants").iter().map(|p| cell(p, "/identifier/rawId"));
    lines.push(format!("parties      {}", or_dash(parties.collect::<Vec<_>>().join(", "))));
    lines.push(format!("backlog      {}", cell(call, "/backlog")));
    for table in [waits(call), timeline(call)].into_iter().filter(|table| !table.is_empty()) {
        lines.push(format!("\n{}", table.text()));
    }
    lines.join("\n")
}

/// How far it has come, and whether that is in doubt since a restart.
fn state(call: &Value) -> String {
    let unverified = call.get("unverified").and_then(Value::as_bool).unwrap_or_default();
    let doubt = if unverified { ", unverified" } else { "" };
    format!("{}{doubt}", cell(call, "/state"))
}

fn or_dash(text: String) -> String {
    if text.is_empty() { "-".to_owned() } else { text }
}

fn types(of: &Value) -> String {
    let names = list(of, "/types").iter().filter_map(Value::as_str).map(short_type);
    let names = names.collect::<Vec<_>>().join(", ");
    if names.is_empty() { "any event".to_owned() } else { names }
}

fn waits(call: &Value) -> Table {
    let mut table = Table::new(&["WAITS FOR", "CONTEXT", "SINCE", "STILL"]);
    for wait in list(call, "/waits") {
        let context = cell(wait, "/operationContext");
        table.row(vec![types(wait), context, span(wait, "/ageMs"), span(wait, "/leftMs")]);
    }
    for listener in list(call, "/subscriptions") {
        table.row(vec![
            types(listener),
            "-".to_owned(),
            "-".to_owned(),
            "until the end".to_owned(),
        ]);
    }
    table
}

fn timeline(call: &Value) -> Table {
    let mut table = Table::new(&["RECEIVED", "EVENT", "CODES", "CONTEXT", "FATE"]);
    for line in list(call, "/events") {
        table.row(vec![
            cell(line, "/receivedAt"),
            short_type(text(line, "/type")).to_owned(),
            codes(line, ""),
            cell(line, "/operationContext"),
            cell(line, "/fate"),
        ]);
    }
    table
}

impl Wait {
    async fn run(self, remote: &Remote, screen: Screen) -> Done {
        let path = format!("/v1/calls/{}/waits", segment(&self.id));
        let request = remote.patient(Method::POST, &path).json(&self.body()?);
        let told = remote.json(request).await?;
        screen.answer(&told, || sse::line(&told))
    }

    /// Only what was given: the service knows the defaults.
    fn body(self) -> Done<Map<String, Value>> {
        let mut body = Map::new();
        if !self.types.is_empty() {
            body.insert("types".into(), self.types.into());
        }
        if let Some(context) = self.context {
            body.insert("operationContext".into(), context.into());
        }
        if let Some(filter) = self.filter {
            let filter = serde_json::from_str(&filter).map_err(|error| {
                Failure::new(Exit::InvalidInput, format!("--filter is not JSON: {error}"))
            })?;
            body.insert("filter".into(), filter);
        }
        if let Some(timeout) = self.timeout {
            let ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
            body.insert("timeoutMs".into(), ms.into());
        }
        if let Some(after) = self.after {
            body.insert("after".into(), after.into());
        }
        Ok(body)
    }
}

async fn hang_up(remote: &Remote, id: &str, reason: &str, screen: Screen) -> Done {
    let path = format!("/admin/calls/{}:hangup", segment(id));
    let request = remote.request(Method::POST, &path).json(&json!({ "reason": reason }));
    remote.send(request).await?;
    let answer = json!({ "callConnectionId": id, "hangingUp": true });
    screen.answer(&answer, || format!("hanging up {id}; CallDisconnected will tell"))
}
