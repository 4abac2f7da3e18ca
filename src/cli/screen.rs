//! Where commands write: answers to standard output, remarks and failures to standard error.
//!
//! A reader that goes away early (`| head`) ends a command quietly. What comes from the network may
//! hold control characters; on a terminal they would be orders, so they are replaced.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use serde::Serialize;

use super::exit::{Done, Exit, Failure};

/// The two streams, and for whom the output is.
#[derive(Clone, Copy)]
pub(super) struct Screen {
    json: bool,
}

impl Screen {
    pub(super) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether a script reads.
    pub(super) fn is_json(self) -> bool {
        self.json
    }

    /// An answer for people, one or more lines.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn line(self, text: impl fmt::Display) -> Done {
        write(io::stdout().lock(), &printable(&text.to_string()))
    }

    /// An answer for scripts, on one line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn object(self, value: &impl Serialize) -> Done {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::new(Exit::Failed, format!("cannot be shown: {error}")))?;
        write(io::stdout().lock(), &text)
    }

    /// An answer in the form that was asked for.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn answer(self, value: &impl Serialize, text: impl FnOnce() -> String) -> Done {
        if self.json { self.object(value) } else { self.line(text()) }
    }

    /// A remark that belongs to no answer. A closed standard error takes none.
    pub(super) fn remark(self, text: impl fmt::Display) {
        let _nobody_reads = write(io::stderr().lock(), &printable(&text.to_string()));
    }

    /// Tells a failure and gives the exit code.
    pub(super) fn end(self, done: Done) -> ExitCode {
        let Err(failure) = done else { return Exit::Done.into() };
        if self.json {
            if let Some(problem) = failure.json() {
                self.remark(problem);
            }
        } else if let Some(text) = failure.text() {
            self.remark(format!("switchhook: {text}"));
        }
        failure.code().into()
    }
}

fn write(mut to: impl Write, text: &str) -> Done {
    let written = writeln!(to, "{text}").and_then(|()| to.flush());
    written.map_err(|error| match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::reader_gone(),
        _ => Failure::new(Exit::Failed, format!("the output cannot be written: {error}")),
    })
}

fn printable(text: &str) -> Cow<'_, str> {
    let order = |c: char| c.is_control() && c != '\n';
    if !text.contains(order) {
        return Cow::Borrowed(text);
    }
    text.chars().map(|c| if order(c) { '\u{fffd}' } else { c }).collect::<String>().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Gone;

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::BrokenPipe.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_goes_away_is_no_failure() {
        let failure = write(Gone, "text").expect_err("nobody reads");
        assert_eq!((failure.code(), failure.text()), (0, None));
    }

    #[test]
    fn orders_to_the_terminal_are_not_passed_on() {
        assert_eq!(printable("a\u{1b}[2Jb\u{9b}c\nd"), "a\u{fffd}[2Jb\u{fffd}c\nd");
        assert!(matches!(printable("plain → text\n"), Cow::Borrowed(_)));
    }
}
