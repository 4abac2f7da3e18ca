//! Why a file of the store cannot be used, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a file of the store could not be opened or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("{} is in use by another process; one service at a time uses a folder", file.display())]
    InUse {
        /// Which file.
        file: PathBuf,
    },
    /// What is in it cannot be right.
    #[error("{} is damaged: {why}; run `switchhook store verify` to see what can be saved", file.display())]
    Damaged {
        /// Which file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// It is a file of something else.
    #[error("{} is no file of this store: {why}; name the folder with `--data`", file.display())]
    Foreign {
        /// Which file.
        file: PathBuf,
        /// What was found.
        why: String,
    },
    /// A newer version of the program wrote it.
    #[error(
        "{} has format {found}, this program knows up to {known}; use the newer program, or take everything \
         out with its `switchhook store export`",
        file.display()
    )]
    Newer {
        /// Which file.
        file: PathBuf,
        /// The version of its format.
        found: u64,
        /// The newest version that is known here.
        known: u64,
    },
    /// The file cannot be reached: missing, not permitted, a folder that cannot be made, a full disk.
    #[error("{} cannot be used: {why}", path.display())]
    Unusable {
        /// Which file or folder.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
}

impl StoreError {
    /// Something is wrong with the contents of a file.
    pub(super) fn damaged(file: &Path, why: impl Into<String>) -> Self {
        Self::Damaged { file: file.to_owned(), why: why.into() }
    }

    /// The system does not let us.
    pub(super) fn unusable(path: &Path, error: &io::Error) -> Self {
        Self::Unusable { path: path.to_owned(), why: error.to_string() }
    }

    /// What the engine said about a file.
    pub(super) fn of(file: &Path, error: redb::Error) -> Self {
        use io::ErrorKind::{InvalidData, UnexpectedEof};
        match error {
            redb::Error::DatabaseAlreadyOpen => Self::InUse { file: file.to_owned() },
            // A file that is shorter than its own contents say was cut off.
            redb::Error::Io(error) if matches!(error.kind(), InvalidData | UnexpectedEof) => {
                Self::damaged(file, format!("it is no file of this store, or cut off ({error})"))
            }
            redb::Error::Io(error) => Self::unusable(file, &error),
            error => Self::damaged(file, error.to_string()),
        }
    }
}
