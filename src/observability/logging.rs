//! Log lines: text for people, JSON for machines, always to standard error.
//!
//! Standard output belongs to answers: `dev --json` and the commands write there.

use std::io::IsTerminal;

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// How a log line looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

impl Format {
    /// Text when standard error is a terminal, JSON when something else reads it.
    pub fn for_this_terminal() -> Self {
        if std::io::stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The level is neither a level nor directives.
    #[error("the log level cannot be read: {0}")]
    Level(#[from] tracing_subscriber::filter::ParseError),
    /// Somebody else logs already.
    #[error("this process logs elsewhere already")]
    Taken(#[from] tracing::subscriber::SetGlobalDefaultError),
}

/// Logs from now on, for the whole process. `level` is a level or directives
/// (`info,switchhook::acs=debug`).
///
/// # Errors
/// [`LoggingError`] for a level that cannot be read, or when logging is set up already.
pub fn install(format: Format, level: &str) -> Result<(), LoggingError> {
    let colours = std::io::stderr().is_terminal();
    let subscriber = subscriber(format, level, colours, std::io::stderr)?;
    Ok(tracing::subscriber::set_global_default(subscriber)?)
}

/// What [`install`] installs, with a writer of one's own.
///
/// # Errors
/// [`LoggingError::Level`] for a level that cannot be read.
pub fn subscriber<W>(
    format: Format,
    level: &str,
    colours: bool,
    writer: W,
) -> Result<Box<dyn Subscriber + Send + Sync>, LoggingError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let filter = EnvFilter::try_new(level)?;
    let shared = tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer);
    Ok(match format {
        Format::Text => Box::new(shared.with_ansi(colours).finish()),
        Format::Json => Box::new(shared.json().flatten_event(true).finish()),
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex, PoisonError};

    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[track_caller]
    fn written(format: Format, level: &str) -> String {
        let paper = Paper::default();
        let pen = paper.clone();
        let subscriber = subscriber(format, level, false, move || pen.clone()).expect("good");
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(call = "c1", "call closed");
            tracing::debug!("not told");
        });
        let bytes = paper.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn facts_are_fields_in_both_formats() {
        let text = written(Format::Text, "info");
        assert!(text.contains("call closed") && text.contains("call=\"c1\""), "{text}");
        assert_eq!(text.lines().count(), 1);
        let json = written(Format::Json, "info");
        let line: serde_json::Value = serde_json::from_str(&json).expect("one object");
        assert_eq!(
            (line["message"].as_str(), line["call"].as_str()),
            (Some("call closed"), Some("c1"))
        );
        assert_eq!(written(Format::Text, "warn"), "");
    }

    #[test]
    fn a_level_that_cannot_be_read_is_an_error() {
        assert!(subscriber(Format::Text, "info,=,loud=", false, std::io::stderr).is_err());
    }
}
