//! The door to the number assignments and their history.

use std::sync::Arc;

use serde::Serialize;

use super::Later;
use crate::pure::routing::{Assignment, Change, Key, Table};

/// Why number assignments could not be kept or given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NumberStoreError {
    /// The store failed. What was to be written then is not in force and counts as not kept, though a
    /// restart may find that it had reached the disk; nothing can be written before one.
    #[error("the number assignments could not be written: {0}; restart when that is mended")]
    Failed(Arc<str>),
    /// The store could not be read.
    #[error("the number assignments could not be read: {0}")]
    Unreadable(Arc<str>),
    /// There was no such version yet.
    #[error("the table is at version {newest}; a later one was not made yet")]
    NotYet {
        /// The table's version.
        newest: u64,
    },
    /// The changes since that version are not all kept.
    #[error("the history goes back to version {oldest}; what was before it is no longer known")]
    Gone {
        /// The oldest version that can be gone back to.
        oldest: u64,
    },
}

/// A change as it is listed. One that concerns very many keys shows only the first of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ListedChange {
    /// The change, with at most [`ListedChange::MAX_KEYS`] keys.
    #[serde(flatten)]
    pub change: Change,
    /// How many keys it concerns in all.
    pub key_count: u64,
}

impl ListedChange {
    /// Keys that a listed change shows.
    pub const MAX_KEYS: usize = 100;
}

/// Some of the history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HistoryPage {
    /// Newest first.
    pub changes: Vec<ListedChange>,
    /// The table's version.
    pub version: u64,
    /// The oldest version that can be gone back to.
    pub oldest: u64,
}

/// What some keys said once; `None` for nothing.
pub type Past = Vec<(Key, Option<Arc<Assignment>>)>;

/// Where the number assignments are kept, with the changes that led to them. In memory for
/// `--ephemeral` and tests.
pub trait NumberStore: Send + Sync {
    /// The table as the last change left it. For the start; blocks.
    ///
    /// # Errors
    /// [`NumberStoreError::Unreadable`].
    fn load(&self) -> Result<Table, NumberStoreError>;

    /// Makes a change safe, all of it or nothing. Its version is one more than that of the last. After a
    /// failure all later ones fail too.
    fn commit(&self, change: Arc<Change>) -> Later<'static, Result<(), NumberStoreError>>;

    /// Up to `limit` changes, newest first; those before version `before` when it is given.
    fn history(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Later<'static, Result<HistoryPage, NumberStoreError>>;

    /// What every key that was changed after `version` said at that version.
    fn past(&self, version: u64) -> Later<'static, Result<Past, NumberStoreError>>;

    /// Why nothing can be written any more.
    fn failed(&self) -> Option<Arc<str>>;
}
