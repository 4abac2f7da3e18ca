//! Changes of the table: what each version did, and how it is undone (rule I11).
//!
//! A change is JSON in files and in API answers. Files outlive versions: members may be added and must
//! then be optional, none is ever renamed.

use std::sync::Arc;

use jiff::Timestamp;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Assignment, Draft, Key, Table, WriteError};
use crate::wire::identifiers::RedactedText;

/// One change of the table, attributed. It makes one version, however many assignments it concerns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The table's version since then; one more than before.
    pub version: u64,
    /// When.
    pub at: Timestamp,
    /// What was done.
    #[serde(flatten)]
    pub what: Changed,
    /// Who did it.
    pub who: RedactedText,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<RedactedText>,
    /// The assignments that are different since then, in order of the keys' texts; none stands there twice.
    pub keys: Vec<KeyChange>,
}

impl Change {
    /// The same, with these keys in place of its own.
    #[must_use]
    pub fn with_keys(&self, keys: Vec<KeyChange>) -> Self {
        let Self { version, at, what, ref who, ref why, .. } = *self;
        Self { version, at, what, who: who.clone(), why: why.clone(), keys }
    }
}

/// What was done to the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "camelCase")]
pub enum Changed {
    /// An assignment was written.
    Put,
    /// An assignment was taken away.
    Dropped,
    /// The table was made as it had been.
    RolledBack {
        /// After that version.
        to: u64,
    },
    /// The first assignments were read from a file.
    Loaded,
}

impl Changed {
    /// A closed set, for logs.
    pub fn label(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Dropped => "dropped",
            Self::RolledBack { .. } => "rolledBack",
            Self::Loaded => "loaded",
        }
    }
}

/// What became of one assignment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyChange {
    /// Which.
    pub key: Key,
    /// What it said before; `None` when there was none.
    pub before: Option<Arc<Assignment>>,
    /// What it says since then; `None` when there is none.
    pub after: Option<Arc<Assignment>>,
}

impl Serialize for Assignment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let members = 2 + usize::from(self.note.is_some());
        let mut object = serializer.serialize_struct("Assignment", members)?;
        object.serialize_field("steps", &self.steps)?;
        object.serialize_field("version", &self.version)?;
        match &self.note {
            Some(note) => object.serialize_field("note", note)?,
            None => object.skip_field("note")?,
        }
        object.end()
    }
}

impl<'de> Deserialize<'de> for Assignment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Draft { steps, version, note, .. } = Draft::deserialize(deserializer)?;
        let version = version.ok_or_else(|| serde::de::Error::missing_field("version"))?;
        Ok(Self { steps, version, note })
    }
}

impl Table {
    /// What has to change so that these keys say what is given for them, in order of the keys' texts; keys
    /// that say so already are left out.
    pub fn difference(
        &self,
        wanted: impl IntoIterator<Item = (Key, Option<Arc<Assignment>>)>,
    ) -> Vec<KeyChange> {
        let change = |(key, after): (Key, Option<Arc<Assignment>>)| {
            let before = self.get(&key).cloned();
            (before != after).then_some(KeyChange { key, before, after })
        };
        let mut changes: Vec<_> = wanted.into_iter().filter_map(change).collect();
        changes.sort_by_cached_key(|change| change.key.text());
        changes
    }

    /// The table of the next version, in which all these changes are made at once. Takes time in
    /// proportion to the whole table.
    ///
    /// # Errors
    /// [`WriteError::Cycle`], and [`WriteError::Twice`] for a key that is given twice.
    pub fn with(&self, changes: &[KeyChange]) -> Result<Self, WriteError> {
        let mut touched: Vec<&Key> = changes.iter().map(|change| &change.key).collect();
        touched.sort_unstable();
        let left_alone = self
            .iter()
            .filter(|(key, _)| touched.binary_search(key).is_err())
            .map(|(key, assignment)| (key.clone(), Arc::clone(assignment)));
        let changed = changes
            .iter()
            .filter_map(|change| Some((change.key.clone(), Arc::clone(change.after.as_ref()?))));
        Self::of(self.version() + 1, left_alone.chain(changed).collect())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn assignment(version: u64, action: &str) -> Arc<Assignment> {
        let json = json!({"steps": [{"action": {"type": action}}], "version": version});
        Arc::new(serde_json::from_value(json).unwrap())
    }

    fn key(text: &str) -> Key {
        Key::parse(text).unwrap()
    }

    fn wanted(keys: &[(&str, Option<&Arc<Assignment>>)]) -> Vec<(Key, Option<Arc<Assignment>>)> {
        keys.iter().map(|(text, after)| (key(text), after.cloned())).collect()
    }

    #[test]
    fn i11_many_assignments_change_in_one_version() {
        let (old, new) = (assignment(1, "ignore"), assignment(2, "answer"));
        let first = Table::default();
        let changes =
            first.difference(wanted(&[("+1", Some(&old)), ("+2*", Some(&old)), ("*", None)]));
        assert_eq!(changes.len(), 2, "there was no * before");
        let table = first.with(&changes).unwrap();
        let changes = table.difference(wanted(&[
            ("+1", None),
            ("+2*", Some(&new)),
            ("+3", Some(&old)),
            ("8:acs:x", Some(&new)),
        ]));
        let changed = table.with(&changes).unwrap();
        assert_eq!((changed.version(), changed.len()), (2, 3));
        assert_eq!(changed.get(&key("+1")), None);
        assert_eq!(changed.get(&key("+2*")), Some(&new));
        let back = changes.iter().map(|change| (change.key.clone(), change.before.clone()));
        let undone = changed.with(&changed.difference(back)).unwrap();
        assert!(undone.iter().eq(table.iter()));
        assert_eq!(undone.version(), 3);
        assert!(undone.difference(wanted(&[("+1", Some(&old))])).is_empty());
    }

    #[test]
    fn i9_changes_made_at_once_do_not_close_a_circle() {
        let redirect = |target: &str| {
            let action = json!({"type": "redirect", "target": target});
            let json = json!({"steps": [{"action": action}], "version": 1});
            Arc::new(serde_json::from_value::<Assignment>(json).unwrap())
        };
        let table = Table::default();
        let wanted = wanted(&[("+1", Some(&redirect("+2"))), ("+2", Some(&redirect("+1")))]);
        let refused = table.with(&table.difference(wanted)).unwrap_err();
        assert_eq!(refused.code(), "redirect_cycle");
        let twice = vec![(key("+1"), Some(redirect("+2"))); 2];
        let refused = table.with(&table.difference(twice)).unwrap_err();
        assert_eq!(refused.code(), "key_twice");
    }

    #[test]
    fn i11_a_change_is_read_as_it_was_written() {
        let change = Change {
            version: 8,
            at: "2025-11-21T08:30:00Z".parse().unwrap(),
            what: Changed::RolledBack { to: 3 },
            who: "an operator".into(),
            why: Some("the wrong block".into()),
            keys: vec![KeyChange {
                key: key("+1425*"),
                before: None,
                after: Some(assignment(3, "answer")),
            }],
        };
        let written = serde_json::to_value(&change).unwrap();
        assert_eq!(
            written,
            json!({"version": 8, "at": "2025-11-21T08:30:00Z", "what": "rolledBack", "to": 3,
                "who": "an operator", "why": "the wrong block", "keys": [{"key": "+1425*",
                "before": null, "after": {"steps": [{"action": {"type": "answer"}}], "version": 3}}]})
        );
        assert_eq!(serde_json::from_value::<Change>(written).unwrap(), change);
        assert!(!format!("{change:?}").contains("1425"), "keys stay out of debug output");
    }
}
