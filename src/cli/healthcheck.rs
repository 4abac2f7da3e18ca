//! `switchhook healthcheck`: a probe for containers, which have no curl.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::Url;
use serde_json::json;

use super::exit::{Done, Exit, Failure};
use super::remote::{base_url, client, root_cause};
use super::screen::Screen;

/// Whoever needs longer is not healthy.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(clap::Args)]
pub(super) struct Args {
    /// What to ask; /readyz of the private listener says more
    #[arg(
        long,
        value_name = "URL",
        default_value = "http://127.0.0.1:8080/livez",
        value_parser = base_url
    )]
    url: Url,
    /// PEM file of further authorities to trust when that is https
    #[arg(long, value_name = "FILE", env = "SWITCHHOOK_CA_FILE")]
    ca_file: Option<PathBuf>,
}

pub(super) async fn run(args: Args, screen: Screen) -> Done {
    let url = args.url;
    let answer =
        client(&url, args.ca_file.as_deref())?.get(url.clone()).timeout(PATIENCE).send().await;
    let answer = answer.map_err(|error| {
        let text = format!("{url} does not answer ({})", root_cause(&error));
        let timed_out = error.is_timeout() && !error.is_connect();
        Failure::new(if timed_out { Exit::TimedOut } else { Exit::Unreachable }, text)
    })?;
    let status = answer.status().as_u16();
    if !answer.status().is_success() {
        return Err(Failure::new(Exit::Failed, format!("{url} answers {status}")));
    }
    screen.answer(&json!({ "url": url.as_str(), "status": status }), || "healthy".to_owned())
}
