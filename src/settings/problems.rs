//! What is wrong with a configuration, all of it at once, in words that say what to do.

use std::fmt;

/// One fault: which key, who set it, what is wrong and what to do. Never holds a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `section.key`, or empty when the fault is not about one key.
    pub key: String,
    /// Who set it: a file, an environment variable, a flag; empty for the defaults.
    pub origin: String,
    /// What is wrong and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key.as_str(), self.origin.as_str()) {
            ("", "") => write!(f, "{}", self.text),
            ("", origin) => write!(f, "{origin}: {}", self.text),
            (key, "") => write!(f, "{key}: {}", self.text),
            (key, origin) => write!(f, "{key} ({origin}): {}", self.text),
        }
    }
}

/// Everything that is wrong with a configuration. Never empty when it is returned as an error.
#[derive(Clone, Debug, Default, PartialEq, Eq, thiserror::Error)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// Adds a fault.
    pub fn add(&mut self, key: &str, origin: &str, text: impl Into<String>) {
        let (key, origin) = (key.to_owned(), origin.to_owned());
        self.0.push(Problem { key, origin, text: text.into() });
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.len() {
            1 => write!(f, "the configuration has a problem:")?,
            count => write!(f, "the configuration has {count} problems:")?,
        }
        for problem in &self.0 {
            write!(f, "\n  - {problem}")?;
        }
        Ok(())
    }
}
