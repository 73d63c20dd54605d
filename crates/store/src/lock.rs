//! The lock of a data directory: one process at a time.

use std::{
    fs::{self, File, TryLockError},
    path::Path,
    thread,
    time::{Duration, Instant},
};

use crate::{Result, StoreError};

/// How long a lock that is taken is waited for. One that was given up may be held a moment longer by a
/// process that is just being started: until it runs its own program it has the files of who starts it.
const PATIENCE: Duration = Duration::from_millis(500);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(20);

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
    let began = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::WouldBlock) if began.elapsed() < PATIENCE => thread::sleep(AGAIN),
            Err(TryLockError::WouldBlock) => {
                return Err(StoreError::InUse {
                    path: dir.to_owned(),
                });
            }
            Err(TryLockError::Error(error)) => return Err(unusable(error)),
        }
    }
}
