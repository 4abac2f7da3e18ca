//! `switchhook route`: what would be decided for a ringing call, and why (rule I10).

use clap::{Subcommand, ValueEnum};
use reqwest::Method;
use serde_json::{Value, json};

use super::exit::{Done, Exit, Failure};
use super::numbers::action;
use super::remote::{Connection, Remote};
use super::screen::Screen;
use super::values::{cell, list, text};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show the decision for a caller and a callee. Changes nothing
    Explain(Explain),
}

#[derive(clap::Args)]
struct Explain {
    /// Who calls: +14255551212, 8:acs:…, or 4:anonymous
    caller: String,
    /// Who is called
    callee: String,
    /// The instant to decide for, such as 2026-12-24T18:00:00Z; now, when not given
    #[arg(long, value_name = "TIME")]
    at: Option<jiff::Timestamp>,
    /// Exit with 8 unless this comes of it
    #[arg(long, value_name = "FATE")]
    expect: Option<Expected>,
    /// Exit with 8 unless the call is redirected there
    #[arg(long, value_name = "TARGET")]
    expect_target: Option<String>,
}

/// What can come of a ringing call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Expected {
    Redirected,
    Answered,
    Rejected,
    Ignored,
    Unassigned,
    LoopPrevented,
}

impl Expected {
    /// What would come of the call that was explained; `None` when the word is not known here.
    fn of(explanation: &Value) -> Option<Self> {
        Some(match (text(explanation, "/verdict"), text(explanation, "/action/type")) {
            ("act", "redirect") => Self::Redirected,
            ("act", "answer") => Self::Answered,
            ("act", "reject") => Self::Rejected,
            ("act", "ignore") => Self::Ignored,
            ("noAssignment" | "noStepFits", _) => Self::Unassigned,
            ("loopPrevented", _) => Self::LoopPrevented,
            _ => return None,
        })
    }

    fn word(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let remote = Remote::new(args.connection)?;
    let Command::Explain(asked) = args.command;
    let mut body = json!({ "caller": asked.caller, "callee": asked.callee });
    if let Some(at) = asked.at {
        body["at"] = at.to_string().into();
    }
    let request = remote.request(Method::POST, "/v1/routes:explain").json(&body);
    let explanation = remote.json(request).await?;
    screen.answer(&explanation, || tree(&explanation))?;
    asked.check(&explanation)
}

impl Explain {
    fn check(&self, explanation: &Value) -> Done {
        let found = Expected::of(explanation);
        let unexpected = |wanted: &str, found: &str| {
            let text = format!("expected {wanted}, but the call would be {found}");
            Err(Failure::new(Exit::Unexpected, text))
        };
        let word = found.map_or_else(|| cell(explanation, "/verdict"), Expected::word);
        if let Some(expected) = self.expect
            && found != Some(expected)
        {
            return unexpected(&expected.word(), &word);
        }
        let target = cell(explanation, "/action/target");
        match &self.expect_target {
            Some(wanted) if found != Some(Expected::Redirected) => {
                unexpected(&format!("redirected to {wanted}"), &word)
            }
            Some(wanted) if *wanted != target => {
                unexpected(&format!("redirected to {wanted}"), &format!("redirected to {target}"))
            }
            _ => Ok(()),
        }
    }
}

/// The decision as a tree: keys that have an assignment, the steps of the winner, the result.
fn tree(explanation: &Value) -> String {
    let mut lines = vec![format!(
        "{} calls {}  (table version {})",
        cell(explanation, "/caller"),
        cell(explanation, "/callee"),
        cell(explanation, "/tableVersion"),
    )];
    let candidates = list(explanation, "/candidates");
    let assigned = |candidate: &&Value| text(candidate, "/fate") != "notAssigned";
    for candidate in candidates.iter().filter(assigned) {
        let won = text(candidate, "/fate") == "won";
        let fate = if won { "applies" } else { "less specific" };
        let (key, version) = (cell(candidate, "/key"), cell(candidate, "/version"));
        lines.push(format!("├─ {key}  {fate} (version {version})"));
        if won {
            lines.extend(list(explanation, "/steps").iter().map(step));
        }
    }
    let without = candidates.len() - candidates.iter().filter(assigned).count();
    if without > 0 {
        lines.push(format!("├─ (would fit, but not assigned: {without} more)"));
    }
    lines.push(format!("└─ {}", verdict(explanation)));
    lines.join("\n")
}

fn step(step: &Value) -> String {
    let action = action(step.get("action").unwrap_or(&Value::Null));
    let because = match text(step, "/because") {
        "" => String::new(),
        why => format!(": {}", words(why)),
    };
    let (index, fate) = (cell(step, "/index"), words(text(step, "/fate")));
    format!("│  ├─ step {index}: {action}  {fate}{because}")
}

fn verdict(explanation: &Value) -> String {
    match text(explanation, "/verdict") {
        "act" => action(explanation.get("action").unwrap_or(&Value::Null)),
        other => format!("nothing is done: {}", words(other)),
    }
}

/// `callerNotListed` as people write it.
fn words(name: &str) -> String {
    let spread = |c: char| match c.is_ascii_uppercase() {
        true => format!(" {}", c.to_ascii_lowercase()),
        false => c.to_string(),
    };
    name.chars().map(spread).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn i10_the_tree_tells_the_winner_its_steps_and_the_result() {
        let explanation = json!({"tableVersion": 7, "caller": "+1425", "callee": "+1800",
            "verdict": "act", "candidates": [
                {"key": "+1800", "fate": "won", "version": 3},
                {"key": "+180*", "fate": "notAssigned"},
                {"key": "*", "fate": "lessSpecific", "version": 1}],
            "winner": "+1800", "steps": [
                {"index": 0, "action": {"type": "reject", "reason": "busy"},
                 "fate": "conditionFailed", "because": "callerNotListed"},
                {"index": 1, "action": {"type": "redirect", "target": "8:acs:a"}, "fate": "chosen"}],
            "action": {"type": "redirect", "target": "8:acs:a"}});
        let expected = "+1425 calls +1800  (table version 7)\n\
            ├─ +1800  applies (version 3)\n\
            │  ├─ step 0: reject (busy)  condition failed: caller not listed\n\
            │  ├─ step 1: redirect to 8:acs:a  chosen\n\
            ├─ *  less specific (version 1)\n\
            ├─ (would fit, but not assigned: 1 more)\n\
            └─ redirect to 8:acs:a";
        assert_eq!(tree(&explanation), expected);
        assert_eq!(Expected::of(&explanation), Some(Expected::Redirected));
    }

    #[test]
    fn i10_every_verdict_on_a_question_can_be_expected() {
        use crate::pure::routing::Verdict;
        for verdict in [Verdict::NoAssignment, Verdict::NoStepFits, Verdict::LoopPrevented] {
            assert!(Expected::of(&json!({ "verdict": verdict })).is_some(), "{verdict:?}");
        }
        assert_eq!(Expected::LoopPrevented.word(), "loop-prevented");
    }
}
