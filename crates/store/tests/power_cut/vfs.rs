//! A layer between SQLite and the operating system that notes every change to the files of a recorded
//! folder, and can refuse them room.
//!
//! Model: it is SQLite's default VFS in this test's process. Every call goes through to the VFS that was
//! the default before; writes, truncations, syncs, and files that are made or deleted are noted in one
//! log, in the order in which they happened, since the log is locked while the real call runs. Syncs are
//! noted and not done: what the disk holds after a power cut is made up from the log (see `disk`), not
//! read from this machine's disk.
//!
//! Why not the crate sqlite-plugin (0.11): its VFS is one's own down to the locks and the shared memory of
//! the WAL, which here stay SQLite's, and it wants libclang to build.
//!
//! What it does not do: shared memory, which no power cut leaves behind, goes through unseen.

#![expect(
    unsafe_code,
    reason = "a VFS of SQLite is a table of C functions; this one stands in tests alone"
)]

use std::{
    ffi::{CStr, c_char, c_int, c_void},
    mem,
    path::Path,
    ptr,
    sync::{
        Arc, Mutex, MutexGuard, Once, PoisonError,
        atomic::{AtomicPtr, Ordering},
    },
};

use rusqlite::ffi::{
    SQLITE_FULL, SQLITE_OK, SQLITE_OPEN_CREATE, sqlite3_file, sqlite3_io_methods, sqlite3_vfs,
    sqlite3_vfs_find, sqlite3_vfs_register,
};

/// A change.
#[derive(Clone, Debug)]
pub enum Op {
    /// A file is made.
    Create(Arc<str>),
    /// Bytes at an offset.
    Write(Arc<str>, u64, Vec<u8>),
    /// A new length.
    Truncate(Arc<str>, u64),
    /// The file is on the disk when this has returned.
    Sync(Arc<str>),
    /// A file is gone; whether its folder was synced after.
    Delete(Arc<str>, bool),
    /// The test was told that its command with this number is done.
    Acknowledged(u64),
}

/// What happened in a folder.
#[derive(Default)]
pub struct Recording {
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    ops: Vec<Op>,
    /// Bytes that may still be written before the disk is full.
    room: Option<u64>,
}

impl Recording {
    fn log(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a command was answered.
    pub fn acknowledge(&self, number: u64) {
        self.log().ops.push(Op::Acknowledged(number));
    }

    /// The disk has room for so many bytes from now on; for any number if `None`.
    pub fn set_room(&self, room: Option<u64>) {
        self.log().room = room;
    }

    /// What has happened so far.
    pub fn ops(&self) -> Vec<Op> {
        self.log().ops.clone()
    }
}

static REAL: AtomicPtr<sqlite3_vfs> = AtomicPtr::new(ptr::null_mut());
static RECORDED: Mutex<Vec<(String, Arc<Recording>)>> = Mutex::new(Vec::new());

/// Records what happens to the files of `dir` from now on.
pub fn record(dir: &Path) -> Arc<Recording> {
    install();
    let recording = Arc::new(Recording::default());
    let mut recorded = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    // SQLite resolves links before it opens a file.
    let dir = dir.canonicalize().unwrap();
    recorded.push((format!("{}/", dir.display()), Arc::clone(&recording)));
    recording
}

/// Puts the layer in the place of the default VFS.
pub fn install() {
    static ONCE: Once = Once::new();
    // SAFETY: sqlite3_vfs_find gives a VFS that lives as long as the process. The copy of it does too,
    // and has the same fields: the functions that it keeps find in it what they find in the original.
    ONCE.call_once(|| unsafe {
        rusqlite::ffi::sqlite3_initialize();
        let real = sqlite3_vfs_find(ptr::null());
        assert!(!real.is_null(), "SQLite has a default VFS");
        REAL.store(real, Ordering::SeqCst);
        let layer = Box::leak(Box::new(sqlite3_vfs {
            szOsFile: HEADER as c_int + (*real).szOsFile,
            pNext: ptr::null_mut(),
            zName: c"recording".as_ptr(),
            xOpen: Some(open),
            xDelete: Some(delete),
            ..*real
        }));
        assert_eq!(sqlite3_vfs_register(layer, 1), SQLITE_OK);
    });
}

/// What is known of an open file that is recorded.
struct Recorded {
    recording: Arc<Recording>,
    name: Arc<str>,
}

/// A file as SQLite holds it. The real one follows at [`HEADER`].
#[repr(C)]
struct Layered {
    base: sqlite3_file,
    /// From `Box::into_raw`, or null.
    recorded: *mut Recorded,
}

/// The room of [`Layered`], with the real file after it aligned as any C type wants.
const HEADER: usize = mem::size_of::<Layered>().next_multiple_of(16);

/// The real file behind one of ours.
///
/// # Safety
/// `file` is one that [`open`] was given.
unsafe fn real(file: *mut sqlite3_file) -> *mut sqlite3_file {
    // SAFETY: szOsFile has room for the header and the real file.
    unsafe { file.byte_add(HEADER) }
}

/// The methods of the real file.
///
/// # Safety
/// As [`real`], of a file that is open.
unsafe fn methods<'a>(file: *mut sqlite3_file) -> &'a sqlite3_io_methods {
    // SAFETY: an open file has its methods, which live as long as the process.
    unsafe { &*(*real(file)).pMethods }
}

/// # Safety
/// As [`real`], of a file that is open.
unsafe fn recorded<'a>(file: *mut sqlite3_file) -> Option<&'a Recorded> {
    // SAFETY: `recorded` is null or from Box::into_raw, until the file is closed.
    unsafe { (*file.cast::<Layered>()).recorded.as_ref() }
}

fn recording_of(path: &str) -> Option<Recorded> {
    let all = RECORDED.lock().unwrap_or_else(PoisonError::into_inner);
    all.iter().find_map(|(dir, recording)| {
        let name = path.strip_prefix(dir.as_str())?;
        (!name.contains('/')).then(|| Recorded {
            recording: Arc::clone(recording),
            name: name.into(),
        })
    })
}

/// # Safety
/// A path as SQLite hands it over, or null.
unsafe fn path_of<'a>(path: *const c_char) -> Option<&'a str> {
    if path.is_null() {
        return None;
    }
    // SAFETY: not null, and ends in a zero byte.
    unsafe { CStr::from_ptr(path) }.to_str().ok()
}

unsafe extern "C" fn open(
    _: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    out_flags: *mut c_int,
) -> c_int {
    // SAFETY: SQLite gives szOsFile bytes at `file`; the real VFS gets its own part of them.
    unsafe {
        let recorded = path_of(path).and_then(recording_of);
        let layered = file.cast::<Layered>();
        (*layered).base.pMethods = ptr::null();
        (*layered).recorded = ptr::null_mut();
        let vfs = REAL.load(Ordering::SeqCst);
        let Some(real_open) = (*vfs).xOpen else {
            return rusqlite::ffi::SQLITE_ERROR;
        };
        let log = recorded.as_ref().map(|r| r.recording.log());
        let is_new = flags & SQLITE_OPEN_CREATE != 0
            && path_of(path).is_some_and(|path| !Path::new(path).exists());
        let code = real_open(vfs, path, real(file), flags, out_flags);
        if (*real(file)).pMethods.is_null() {
            return code;
        }
        if let (true, Some(mut log), Some(of)) = (is_new && code == SQLITE_OK, log, &recorded) {
            log.ops.push(Op::Create(Arc::clone(&of.name)));
        }
        if let Some(recorded) = recorded {
            (*layered).recorded = Box::into_raw(Box::new(recorded));
        }
        (*layered).base.pMethods = &METHODS;
        code
    }
}

unsafe extern "C" fn delete(_: *mut sqlite3_vfs, path: *const c_char, sync: c_int) -> c_int {
    // SAFETY: the real VFS gets what it would have got.
    unsafe {
        let recorded = path_of(path).and_then(recording_of);
        let log = recorded.as_ref().map(|r| r.recording.log());
        let vfs = REAL.load(Ordering::SeqCst);
        let Some(real_delete) = (*vfs).xDelete else {
            return rusqlite::ffi::SQLITE_ERROR;
        };
        let code = real_delete(vfs, path, 0);
        if let (true, Some(mut log), Some(of)) = (code == SQLITE_OK, log, &recorded) {
            log.ops.push(Op::Delete(Arc::clone(&of.name), sync != 0));
        }
        code
    }
}

unsafe extern "C" fn close(file: *mut sqlite3_file) -> c_int {
    // SAFETY: SQLite closes a file once; the box is taken back here and nowhere else.
    unsafe {
        let code = methods(file).xClose.map_or(SQLITE_OK, |f| f(real(file)));
        let layered = file.cast::<Layered>();
        if !(*layered).recorded.is_null() {
            drop(Box::from_raw((*layered).recorded));
            (*layered).recorded = ptr::null_mut();
        }
        (*layered).base.pMethods = ptr::null();
        code
    }
}

unsafe extern "C" fn write(
    file: *mut sqlite3_file,
    bytes: *const c_void,
    length: c_int,
    at: i64,
) -> c_int {
    // SAFETY: SQLite hands over `length` bytes at `bytes`.
    unsafe {
        let Some(real_write) = methods(file).xWrite else {
            return rusqlite::ffi::SQLITE_IOERR_WRITE;
        };
        let Some(of) = recorded(file) else {
            return real_write(real(file), bytes, length, at);
        };
        let mut log = of.recording.log();
        let asked = usize::try_from(length).unwrap_or(0);
        // A disk that fills up takes the first part of what does not fit.
        let fits = log.room.map_or(asked, |room| {
            asked.min(usize::try_from(room).unwrap_or(asked))
        });
        if let Some(room) = &mut log.room {
            *room -= fits as u64;
        }
        let mut code = SQLITE_OK;
        if fits > 0 {
            code = real_write(real(file), bytes, fits as c_int, at);
            let data = std::slice::from_raw_parts(bytes.cast::<u8>(), fits).to_vec();
            log.ops
                .push(Op::Write(Arc::clone(&of.name), at.cast_unsigned(), data));
        }
        if fits < asked { SQLITE_FULL } else { code }
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: an open file.
    unsafe {
        let Some(real_truncate) = methods(file).xTruncate else {
            return rusqlite::ffi::SQLITE_IOERR_TRUNCATE;
        };
        let Some(of) = recorded(file) else {
            return real_truncate(real(file), size);
        };
        let mut log = of.recording.log();
        let code = real_truncate(real(file), size);
        log.ops
            .push(Op::Truncate(Arc::clone(&of.name), size.cast_unsigned()));
        code
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, _: c_int) -> c_int {
    // SAFETY: an open file.
    if let Some(of) = unsafe { recorded(file) } {
        of.recording.log().ops.push(Op::Sync(Arc::clone(&of.name)));
    }
    SQLITE_OK
}

/// A method that goes through as it is.
macro_rules! through {
    ($name:ident, $method:ident, $missing:expr; $($argument:ident: $type:ty),*) => {
        unsafe extern "C" fn $name(file: *mut sqlite3_file, $($argument: $type),*) -> c_int {
            // SAFETY: the real file gets what it would have got.
            unsafe { methods(file).$method.map_or($missing, |f| f(real(file), $($argument),*)) }
        }
    };
}

through!(read, xRead, rusqlite::ffi::SQLITE_IOERR_READ; to: *mut c_void, length: c_int, at: i64);
through!(file_size, xFileSize, rusqlite::ffi::SQLITE_IOERR_FSTAT; size: *mut i64);
through!(lock, xLock, SQLITE_OK; level: c_int);
through!(unlock, xUnlock, SQLITE_OK; level: c_int);
through!(check_reserved_lock, xCheckReservedLock, SQLITE_OK; held: *mut c_int);
through!(file_control, xFileControl, rusqlite::ffi::SQLITE_NOTFOUND; op: c_int, argument: *mut c_void);
through!(sector_size, xSectorSize, 4_096;);
through!(device_characteristics, xDeviceCharacteristics, 0;);
through!(shm_map, xShmMap, rusqlite::ffi::SQLITE_IOERR_SHMMAP; page: c_int, size: c_int, extend: c_int, at: *mut *mut c_void);
through!(shm_lock, xShmLock, rusqlite::ffi::SQLITE_IOERR_SHMLOCK; offset: c_int, count: c_int, flags: c_int);
through!(shm_unmap, xShmUnmap, SQLITE_OK; delete: c_int);

unsafe extern "C" fn shm_barrier(file: *mut sqlite3_file) {
    // SAFETY: an open file.
    unsafe {
        if let Some(barrier) = methods(file).xShmBarrier {
            barrier(real(file));
        }
    }
}

/// Version 2: with shared memory, without a memory map, whose writes nobody would see.
static METHODS: sqlite3_io_methods = sqlite3_io_methods {
    iVersion: 2,
    xClose: Some(close),
    xRead: Some(read),
    xWrite: Some(write),
    xTruncate: Some(truncate),
    xSync: Some(sync),
    xFileSize: Some(file_size),
    xLock: Some(lock),
    xUnlock: Some(unlock),
    xCheckReservedLock: Some(check_reserved_lock),
    xFileControl: Some(file_control),
    xSectorSize: Some(sector_size),
    xDeviceCharacteristics: Some(device_characteristics),
    xShmMap: Some(shm_map),
    xShmLock: Some(shm_lock),
    xShmBarrier: Some(shm_barrier),
    xShmUnmap: Some(shm_unmap),
    xFetch: None,
    xUnfetch: None,
};
