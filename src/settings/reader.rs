//! Reads typed values out of the layers and collects every fault on the way.
//!
//! A reader never stops at a fault: it gives something harmless in place of the value and goes on, so
//! that all problems are told at once. Nothing read with a fault ever leaves `Settings::load`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use toml::{Table, Value};

use super::layers::{Check, Flat, Leaf};
use super::sections::{Role, Token};
use super::{Problems, Secret};

/// A secret shorter than this can be guessed.
const MIN_SECRET: usize = 16;

/// One hour, in milliseconds.
pub(super) const HOUR: u64 = 60 * 60 * 1000;

pub(super) struct Reader<'a> {
    flat: &'a mut Flat,
    problems: &'a mut Problems,
    /// The configuration file; paths inside it are relative to its folder.
    file: Option<PathBuf>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(flat: &'a mut Flat, problems: &'a mut Problems, file: Option<&Path>) -> Self {
        Self { flat, problems, file: file.map(Path::to_path_buf) }
    }

    /// A fault with a key, told with whoever set it.
    pub(super) fn wrong(&mut self, key: &str, text: impl Into<String>) {
        let origin = self.flat.get(key).map(|leaf| leaf.origin.clone()).unwrap_or_default();
        self.problems.add(key, &origin, text);
    }

    fn value(&mut self, key: &str) -> Option<Value> {
        let value = self.flat.get(key).map(|leaf| leaf.value.clone());
        if value.is_none() {
            self.problems.add(key, "config/default.toml", "is missing");
        }
        value
    }

    pub(super) fn text(&mut self, key: &str) -> String {
        match self.value(key) {
            Some(Value::String(text)) => text.trim().to_owned(),
            _ => String::new(),
        }
    }

    pub(super) fn flag(&mut self, key: &str) -> bool {
        self.value(key).and_then(|value| value.as_bool()).unwrap_or_default()
    }

    /// A whole number within limits.
    pub(super) fn number(&mut self, key: &str, within: RangeInclusive<u64>) -> u64 {
        let found = self.value(key).and_then(|value| value.as_integer()).unwrap_or_default();
        let number = u64::try_from(found).ok().filter(|number| within.contains(number));
        number.unwrap_or_else(|| {
            let (least, most) = (within.start(), within.end());
            self.wrong(key, format!("is {found}; choose something from {least} to {most}"));
            *least
        })
    }

    /// A number of things.
    pub(super) fn count(&mut self, key: &str, within: RangeInclusive<u64>) -> usize {
        usize::try_from(self.number(key, within)).unwrap_or(usize::MAX)
    }

    /// A number of milliseconds.
    pub(super) fn time(&mut self, key: &str, within: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.number(key, within))
    }

    pub(super) fn address(&mut self, key: &str) -> SocketAddr {
        let text = self.text(key);
        text.parse().unwrap_or_else(|_| {
            self.wrong(key, "must be an IP address and a port, such as 127.0.0.1:8081");
            SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0)
        })
    }

    /// A text out of a few.
    pub(super) fn choice<T: FromStr<Err = &'static str> + Default>(&mut self, key: &str) -> T {
        self.text(key).parse().unwrap_or_else(|choices: &'static str| {
            self.wrong(key, format!("must be {choices}"));
            T::default()
        })
    }

    /// A URL without a slash at its end, or nothing. Plain http is for this machine only.
    pub(super) fn url(&mut self, key: &str) -> String {
        let text = self.text(key).trim_end_matches('/').to_owned();
        if let Err(fault) = fault_of_url(&text) {
            self.wrong(key, fault);
        }
        text
    }

    /// A path, relative to the configuration file when that is where it stands.
    pub(super) fn path(&mut self, key: &str) -> Option<PathBuf> {
        let text = self.text(key);
        let origin = self.flat.get(key).map(|leaf| leaf.origin.clone()).unwrap_or_default();
        (!text.is_empty()).then(|| self.resolve(&text, &origin))
    }

    fn resolve(&self, path: &str, origin: &str) -> PathBuf {
        let folder = self.file.as_deref().filter(|file| file.display().to_string() == origin);
        folder.and_then(Path::parent).map_or_else(|| path.into(), |folder| folder.join(path))
    }

    pub(super) fn texts(&mut self, key: &str) -> Vec<String> {
        let items = self.value(key).and_then(|value| value.as_array().cloned()).unwrap_or_default();
        items.iter().filter_map(Value::as_str).map(|text| text.trim().to_owned()).collect()
    }

    /// The secret at `key`, or the content of the file at `key` + `_file`.
    pub(super) fn secret(&mut self, key: &str) -> Secret {
        let file_key = format!("{key}_file");
        let given = self.text(key);
        let Some(path) = self.path(&file_key) else { return Secret::new(given) };
        let is_default = self.flat.get(key).is_none_or(|leaf| leaf.origin.is_empty());
        if !given.is_empty() && !is_default {
            self.wrong(key, format!("is set, and so is {file_key}; keep one of them"));
        }
        match read_secret(&path) {
            Ok(secret) => {
                let origin = format!("file {}", path.display());
                let value = Value::String(secret.expose().to_owned());
                self.flat.insert(key.to_owned(), Leaf { value, origin, checked_elsewhere: false });
                secret
            }
            Err(fault) => {
                self.wrong(&file_key, fault);
                Secret::default()
            }
        }
    }

    /// A secret that must be hard to guess when it is there.
    pub(super) fn strong_secret(&mut self, key: &str) -> Secret {
        let secret = self.secret(key);
        if !secret.is_empty() && secret.expose().len() < MIN_SECRET {
            self.wrong(key, too_short());
        }
        secret
    }

    /// The tables of an array, as JSON.
    pub(super) fn tables_as_json(&mut self, key: &str) -> Vec<Secret> {
        let items = self.value(key).and_then(|value| value.as_array().cloned()).unwrap_or_default();
        let json = items.iter().map(|item| serde_json::to_string(item).map(Secret::new));
        // TOML that JSON cannot say does not exist.
        json.filter_map(Result::ok).collect()
    }

    /// Those of the settings with a table of their own that somebody set, checked.
    pub(super) fn others(
        &mut self,
        defaults: &[(String, Value)],
        check: Option<Check>,
    ) -> Vec<(String, Value)> {
        let mut set = Vec::new();
        for (key, _) in defaults {
            let Some(leaf) = self.flat.get(key).filter(|leaf| !leaf.origin.is_empty()) else {
                continue;
            };
            let value = leaf.value.clone();
            match check.map_or(Ok(()), |check| check(key, &value)) {
                Ok(()) => set.push((key.clone(), value)),
                Err(fault) => self.wrong(key, fault),
            }
        }
        set
    }

    pub(super) fn tokens(&mut self, key: &str) -> Vec<Token> {
        let items = self.value(key).and_then(|value| value.as_array().cloned()).unwrap_or_default();
        let mut tokens: Vec<Token> = Vec::new();
        for (index, item) in items.iter().enumerate() {
            let place = format!("{key}[{index}]");
            let token = item.as_table().and_then(|table| self.token(key, &place, table));
            let Some(token) = token else { continue };
            if tokens.iter().any(|other| other.name == token.name) {
                self.wrong_at(key, &place, "has the name of another token; give it its own");
            }
            if tokens.iter().any(|other| other.secret == token.secret) {
                self.wrong_at(key, &place, "has the secret of another token; give it its own");
            }
            tokens.push(token);
        }
        tokens
    }

    fn token(&mut self, key: &str, place: &str, table: &Table) -> Option<Token> {
        let text = |name| table.get(name).and_then(Value::as_str).unwrap_or_default().trim();
        let before = self.problems.0.len();
        if text("name").is_empty() {
            self.wrong_at(key, place, "needs a name, which is written beside what it changes");
        }
        let role: Role = text("role").parse().unwrap_or_else(|choices: &'static str| {
            self.wrong_at(key, &format!("{place}.role"), format!("must be {choices}"));
            Role::Read
        });
        let secret = match (text("secret"), text("secret_file")) {
            ("", "") => Err("needs a secret or a secret_file".to_owned()),
            (secret, "") => Ok(Secret::new(secret)),
            ("", file) => {
                let origin = self.flat.get(key).map(|leaf| leaf.origin.clone());
                read_secret(&self.resolve(file, &origin.unwrap_or_default()))
            }
            _ => Err("has a secret and a secret_file; keep one of them".to_owned()),
        };
        let secret = secret.and_then(|secret| {
            if secret.expose().len() < MIN_SECRET { Err(too_short()) } else { Ok(secret) }
        });
        let secret = secret.map_err(|fault| self.wrong_at(key, place, fault)).ok()?;
        (self.problems.0.len() == before).then(|| Token {
            name: text("name").to_owned(),
            role,
            secret,
        })
    }

    fn wrong_at(&mut self, key: &str, place: &str, text: impl Into<String>) {
        let origin = self.flat.get(key).map(|leaf| leaf.origin.clone()).unwrap_or_default();
        self.problems.add(place, &origin, text);
    }
}

fn too_short() -> String {
    format!("is shorter than {MIN_SECRET} characters and could be guessed; choose a longer one")
}

/// The first fault of a URL that is not empty.
fn fault_of_url(text: &str) -> Result<(), &'static str> {
    if text.is_empty() {
        return Ok(());
    }
    let Ok(url) = reqwest::Url::parse(text) else {
        return Err("must be a URL that begins with https://");
    };
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if here => {}
        "http" => return Err("must begin with https://; plain http is for this machine only"),
        _ => return Err("must be a URL that begins with https://"),
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must not hold a user name or password");
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err("must not hold a query or a fragment");
    }
    Ok(())
}

fn read_secret(path: &Path) -> Result<Secret, String> {
    let shown = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the file {shown} cannot be read: {error}"))?;
    match text.trim() {
        "" => Err(format!("the file {shown} is empty; write the secret into it")),
        secret => Ok(Secret::new(secret)),
    }
}
