//! `switchhook config`: what is in force, who set it, and what is wrong with it.

use clap::Subcommand;
use serde_json::json;

use super::exit::Done;
use super::screen::Screen;
use super::server::Sources;
use super::table::Table;
use crate::settings::Purpose;

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Say everything that keeps `serve` from starting with these settings
    Check {
        #[command(flatten)]
        sources: Sources,
    },
    /// Show every setting with its origin; secrets are masked
    Show {
        #[command(flatten)]
        sources: Sources,
    },
}

pub(super) fn run(args: Args, screen: Screen) -> Done {
    match args.command {
        Command::Check { sources } => check(sources, screen),
        Command::Show { sources } => show(sources, screen),
    }
}

fn check(sources: Sources, screen: Screen) -> Done {
    let warnings = sources.read(None, Purpose::Serve)?.warnings();
    screen.answer(&json!({ "good": true, "warnings": warnings }), || {
        let mut lines = vec!["the configuration is good".to_owned()];
        lines.extend(warnings.iter().map(|warning| format!("  warning: {warning}")));
        lines.join("\n")
    })
}

fn show(sources: Sources, screen: Screen) -> Done {
    let settings = sources.read(None, Purpose::Local)?;
    if screen.is_json() {
        return settings.effective().iter().try_for_each(|setting| screen.object(setting));
    }
    let mut table = Table::new(&["SETTING", "VALUE", "SET BY"]);
    for setting in settings.effective() {
        table.row(vec![setting.key.clone(), setting.value.clone(), setting.origin.clone()]);
    }
    screen.line(table.text())
}
