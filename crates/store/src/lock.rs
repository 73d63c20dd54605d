//! The lock of a data directory: one process at a time.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
};

use crate::{Result, StoreError};

/// Makes the directory and takes its lock, which the operating system gives back when the process
/// ends in whatever way.
pub(crate) fn lock(dir: &Path) -> Result<File> {
    let unusable = |error: std::io::Error| StoreError::Directory {
        path: dir.to_owned(),
        detail: error.to_string(),
    };
    fs::create_dir_all(dir).map_err(unusable)?;
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("tickcast.lock"))
        .map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}
