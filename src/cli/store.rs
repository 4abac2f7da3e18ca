//! `switchhook store`: what is in the files of a stopped service, or in copies of them.
//!
//! Looking changes nothing: what the engine would repair is repaired in memory.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::{Value, json};

use super::exit::{Done, Exit, Failure};
use super::screen::Screen;
use super::server::{flag, load};
use crate::settings::Purpose;
use crate::storage::StoreError;
use crate::storage::inspect::{self, Item, Part, Report};

#[derive(clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Folder of the files; without it, the one in the settings
    #[arg(long, value_name = "FOLDER", global = true)]
    data: Option<String>,
    /// Settings that differ from the defaults, in TOML
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

#[derive(Subcommand)]
enum Command {
    /// Check every row and every page, and say what can be saved
    Verify,
    /// Print rows, one JSON object per line. They are personal data: numbers, names, keys pressed
    Dump(Dump),
    /// Write all that can be read as JSON lines. They are personal data: numbers, names, keys pressed
    Export {
        /// Where to; a file that is there is not replaced
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
    },
    /// Give unused space back to the system; only while no service runs
    Compact,
}

#[derive(clap::Args)]
struct Dump {
    /// Only what is about this call (callConnectionId)
    #[arg(long, value_name = "ID")]
    call: Option<String>,
    /// Only this kind: heard, rang, claimed, closed, trying, settled
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// Only lines after this position
    #[arg(long, value_name = "POSITION", default_value_t = 0)]
    after: u64,
    /// At most so many
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
    /// The number assignments and their history, in place of the journal's lines
    #[arg(long, conflicts_with_all = ["call", "after", "snapshots"])]
    numbers: bool,
    /// The state of calls as it was last written down, in place of the journal's lines
    #[arg(long, conflicts_with = "after")]
    snapshots: bool,
}

pub(super) fn run(args: Args, screen: Screen) -> Done {
    let data = flag("--data", "store.folder", args.data).into_iter().collect();
    let settings = load(args.config, data, Purpose::Local)?;
    let Some(folder) = settings.store.folder else {
        return Err(Failure::new(Exit::Usage, "name the folder with --data, or in store.folder"));
    };
    if !Part::ALL.iter().any(|part| folder.join(part.file()).exists()) {
        let text =
            format!("there is no store in {}; name its folder with --data", folder.display());
        return Err(Failure::new(Exit::NotFound, text));
    }
    match args.command {
        Command::Verify => verify(&folder, screen),
        Command::Dump(wanted) => dump(&folder, &wanted, screen),
        Command::Export { to } => export(&folder, to.as_deref(), screen),
        Command::Compact => compact(&folder, screen),
    }
}

fn refused(error: &StoreError) -> Failure {
    match error {
        StoreError::InUse { .. } => {
            let advice = "stop it, or copy the files and name the folder of the copy";
            Failure::new(Exit::Conflict, format!("{error}; {advice}"))
        }
        StoreError::Newer { .. } | StoreError::Foreign { .. } => {
            Failure::new(Exit::InvalidInput, error)
        }
        StoreError::Damaged { file, why } => {
            let advice =
                "nothing in it can be read; take a backup, or copy it again if it is a copy";
            Failure::new(Exit::Failed, format!("{} is damaged: {why}; {advice}", file.display()))
        }
        StoreError::Unusable { .. } => Failure::new(Exit::Failed, error),
    }
}

/// Does it with each file that is there. One that cannot be used keeps nobody from the other; the first
/// failure is the command's.
fn each(folder: &Path, screen: Screen, mut work: impl FnMut(Part) -> Done) -> Done {
    let mut end = Ok(());
    for part in Part::ALL {
        if !folder.join(part.file()).exists() {
            screen.remark(format!("{}: there is none", folder.join(part.file()).display()));
            continue;
        }
        match (work(part), &end) {
            (Err(failure), Ok(())) => end = Err(failure),
            (Err(failure), Err(_)) => drop(screen.end(Err(failure))),
            (Ok(()), _) => {}
        }
    }
    end
}

fn damaged(report: &Report) -> Done {
    if report.fault_count == 0 {
        return Ok(());
    }
    let (file, count) = (report.file.display(), report.fault_count);
    let faults = report.faults.join("\n  ");
    let advice = "`switchhook store export` writes what can be read";
    let text = format!("{file} is damaged; {count} faults; {advice}\n  {faults}");
    Err(Failure::new(Exit::Failed, text))
}

fn verify(folder: &Path, screen: Screen) -> Done {
    each(folder, screen, |part| {
        let view = inspect::look(folder, part).map_err(|error| refused(&error))?;
        let report = view.read(&mut |_| true);
        screen.answer(&report, || shown(&report))?;
        damaged(&report)
    })
}

fn shown(report: &Report) -> String {
    let good = if report.fault_count == 0 { "good" } else { "DAMAGED" };
    let (file, bytes, format) = (report.file.display(), report.bytes, report.format);
    let mut text = format!("{file}: {good}, format {format}, {bytes} bytes");
    if report.unclean {
        text.push_str(
            "\n  not closed in order; read as it will be after the repair at the next start",
        );
    }
    for (kind, count) in &report.rows {
        text.push_str(&format!("\n  {kind}: {count}"));
    }
    let mut span = |what: &str, from: &dyn Display, to: &dyn Display| {
        text.push_str(&format!("\n  {what}: {from} to {to}"));
    };
    if let Some((first, last)) = &report.positions {
        span("positions", first, last);
    }
    if let Some((from, to)) = &report.times {
        span("times", from, to);
    }
    text
}

impl Dump {
    fn wants(&self, item: &Item) -> bool {
        let snapshot = item.kind == "snapshot";
        (self.numbers || snapshot == self.snapshots)
            && self.kind.as_deref().is_none_or(|kind| kind == item.kind)
            && self.call.as_deref().is_none_or(|call| item.call.as_deref() == Some(call))
            && item.position.is_none_or(|position| position > self.after)
    }
}

fn dump(folder: &Path, wanted: &Dump, screen: Screen) -> Done {
    let part = if wanted.numbers { Part::Numbers } else { Part::Journal };
    let mut view = inspect::look(folder, part).map_err(|error| refused(&error))?;
    let (mut left, mut told) = (wanted.limit.unwrap_or(u64::MAX), Ok(()));
    let report = view.rows(&mut |item| {
        if left == 0 {
            return false;
        }
        if wanted.wants(&item) {
            left -= 1;
            told = screen.object(&item.json);
        }
        told.is_ok()
    });
    let report = report.clone();
    told?;
    damaged(&report)
}

fn cannot_write(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(Exit::Failed, format!("the export cannot be written: {error}")),
    }
}

fn export(folder: &Path, to: Option<&Path>, screen: Screen) -> Done {
    let mut file = None;
    let mut out: BufWriter<Box<dyn Write>> = BufWriter::new(match to {
        None => Box::new(io::stdout()),
        Some(path) => {
            let made = new_file(path).map_err(|error| {
                Failure::new(Exit::Failed, format!("{}: {error}", path.display()))
            })?;
            file = Some(made.try_clone().map_err(|error| cannot_write(&error))?);
            Box::new(made)
        }
    });
    let formats: serde_json::Map<String, Value> =
        Part::ALL.iter().map(|part| (part.file().to_owned(), part.format().into())).collect();
    let version = env!("CARGO_PKG_VERSION");
    let header = json!({ "kind": "export", "export": 1, "version": version, "formats": formats });
    writeln!(out, "{header}").map_err(|error| cannot_write(&error))?;
    let done = each(folder, screen, |part| {
        let view = inspect::look(folder, part).map_err(|error| refused(&error))?;
        let mut told = Ok(());
        let report = view.read(&mut |item| {
            told = writeln!(out, "{}", item.json);
            told.is_ok()
        });
        told.map_err(|error| cannot_write(&error))?;
        damaged(&report)
    });
    out.flush().map_err(|error| cannot_write(&error))?;
    if let Some(file) = file {
        file.sync_all().map_err(|error| cannot_write(&error))?;
    }
    done
}

/// What is exported is about people: nobody else on this machine may look.
fn new_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

fn compact(folder: &Path, screen: Screen) -> Done {
    each(folder, screen, |part| {
        let (before, after) = inspect::compact(folder, part).map_err(|error| refused(&error))?;
        let file = folder.join(part.file());
        let answer = json!({ "file": file, "before": before, "after": after });
        screen.answer(&answer, || format!("{}: {before} bytes, now {after}", file.display()))
    })
}
