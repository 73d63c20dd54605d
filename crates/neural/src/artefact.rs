//! A trained model on disk: a directory of `model.safetensors` and `manifest.json`.
//!
//! Model: the manifest says what the model is and where it comes from, with the SHA-256 of every other file.
//! Both are written into a directory of a temporary name beside the target and synced, and the directory
//! is renamed: there is a whole artefact under the name, or none. An artefact that is there already is
//! replaced; any other directory is left alone. Loading checks every hash before it reads a file.
//! Does not: keep versions (a registry does), or migrate manifests of other versions.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use kernels::Cpu;
use kernels::safetensors::Tensors;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::features::Scaler;
use crate::model::{Model, Provenance};

/// Version of the manifest.
pub const FORMAT: u32 = 1;

/// The file that says what a model is, where it comes from, and the hash of the other.
pub const MANIFEST: &str = "manifest.json";
/// The file of the weights.
pub const WEIGHTS: &str = "model.safetensors";

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 30;

/// What stands in `manifest.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Manifest {
    format: u32,
    config: Config,
    scaler: Scaler,
    provenance: Provenance,
    /// SHA-256 by file name.
    files: std::collections::BTreeMap<String, String>,
}

/// Whether a trained model may be written to this directory: it is not there, or is an artefact.
///
/// # Errors
/// [`Error::Artefact`] when something else is there.
pub fn check_target(directory: &Path) -> Result<()> {
    let free = match fs::read_dir(directory) {
        Ok(mut entries) => entries.next().is_none() || directory.join(MANIFEST).is_file(),
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    };
    if free {
        Ok(())
    } else {
        Err(Error::Artefact {
            path: directory.into(),
            reason: "something that is not a trained model is there already".into(),
        })
    }
}

/// The files of a model by name: what [`save`] writes.
///
/// # Errors
/// [`Error::Artefact`] when the manifest cannot be written as JSON.
pub fn to_files(model: &Model) -> Result<[(&'static str, Vec<u8>); 2]> {
    let weights = weights(model).to_bytes();
    let manifest = Manifest {
        format: FORMAT,
        config: model.config.clone(),
        scaler: model.scaler,
        provenance: model.provenance.clone(),
        files: [(WEIGHTS.to_owned(), sha256(&weights))].into(),
    };
    let mut text = serde_json::to_vec_pretty(&manifest).map_err(|e| Error::Artefact {
        path: MANIFEST.into(),
        reason: e.to_string(),
    })?;
    text.push(b'\n');
    Ok([(WEIGHTS, weights), (MANIFEST, text)])
}

/// Writes a model to a directory.
///
/// # Errors
/// [`Error::Artefact`] as [`check_target`]; [`Error::File`] for what the operating system refuses.
pub fn save(model: &Model, directory: &Path) -> Result<()> {
    check_target(directory)?;
    let files = to_files(model)?;
    let parent = match directory.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    let at = |path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { path, source }
    };
    fs::create_dir_all(parent).map_err(at(parent))?;
    let temporary = beside(directory, "new");
    let _ = fs::remove_dir_all(&temporary);
    fs::create_dir(&temporary).map_err(at(&temporary))?;
    let written = files
        .iter()
        .try_for_each(|(name, bytes)| write_synced(&temporary.join(name), bytes))
        .and_then(|()| sync_directory(&temporary))
        .and_then(|()| replace(&temporary, directory))
        .and_then(|()| sync_directory(parent));
    if written.is_err() {
        let _ = fs::remove_dir_all(&temporary);
    }
    written
}

/// Reads a model from a directory.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read, [`Error::Artefact`] with the file that is damaged, of
/// another version, or does not fit the configuration.
pub fn load(directory: &Path) -> Result<Model> {
    read_model(directory, &|name| read(&directory.join(name)))
}

/// The model of files that [`to_files`] gave.
///
/// # Errors
/// [`Error::Artefact`] with the file that is missing, damaged, of another version, or does not fit the configuration.
pub fn from_files(files: &[(String, Vec<u8>)]) -> Result<Model> {
    read_model(Path::new(""), &|wanted| {
        let found = files.iter().find(|(name, _)| name == wanted);
        let missing = || Error::Artefact {
            path: wanted.into(),
            reason: "it is missing".into(),
        };
        found.map(|(_, bytes)| bytes.clone()).ok_or_else(missing)
    })
}

fn read_model(directory: &Path, read: &dyn Fn(&str) -> Result<Vec<u8>>) -> Result<Model> {
    let path = directory.join(MANIFEST);
    let wrong = |path: &Path, reason: String| Error::Artefact {
        path: path.into(),
        reason,
    };
    let text = read(MANIFEST)?;
    let version: Version = serde_json::from_slice(&text)
        .map_err(|e| wrong(&path, format!("it is no manifest of a trained model: {e}")))?;
    if version.format != FORMAT {
        let reason = format!("it has version {}, expected {FORMAT}", version.format);
        return Err(wrong(&path, reason));
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|e| wrong(&path, e.to_string()))?;
    let mut weights = None;
    for (name, expected) in &manifest.files {
        // A name that leads elsewhere is not a file of this directory.
        if Path::new(name).file_name() != Some(name.as_ref()) {
            return Err(wrong(&path, format!("{name:?} is no name of a file")));
        }
        let bytes = read(name)?;
        let got = sha256(&bytes);
        if got != *expected {
            let reason = format!("it was altered: its SHA-256 is {got}, expected {expected}");
            return Err(wrong(&directory.join(name), reason));
        }
        if name == WEIGHTS {
            weights = Some(bytes);
        }
    }
    let file = directory.join(WEIGHTS);
    let bytes = weights.ok_or_else(|| wrong(&path, format!("it does not list {WEIGHTS}")))?;
    let tensors = Tensors::from_bytes(&bytes).map_err(|e| wrong(&file, e.to_string()))?;
    let architecture = manifest
        .config
        .architecture()
        .map_err(|e| wrong(&path, e.to_string()))?;
    let networks = (0..manifest.config.ensemble)
        .map(|member| architecture.from_tensors(&tensors, &prefix(member)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|e| wrong(&file, e.to_string()))?;
    Ok(Model {
        config: manifest.config,
        scaler: manifest.scaler,
        provenance: manifest.provenance,
        architecture,
        networks,
        cpu: Cpu::detect(),
        loaded: Vec::new(),
    })
}

#[derive(Deserialize)]
struct Version {
    format: u32,
}

/// What stands before the names of a network's tensors: nothing for the first, so that a model of one
/// network has PyTorch's names.
fn prefix(member: usize) -> String {
    if member == 0 {
        String::new()
    } else {
        format!("ensemble.{member}.")
    }
}

fn weights(model: &Model) -> Tensors {
    let mut tensors = Vec::new();
    for (member, parameters) in model.networks.iter().enumerate() {
        for mut tensor in model.architecture.to_tensors(parameters) {
            tensor.name.insert_str(0, &prefix(member));
            tensors.push(tensor);
        }
    }
    Tensors {
        metadata: vec![
            ("format".into(), "pt".into()),
            ("kind".into(), model.config.kind.to_string()),
        ],
        tensors,
    }
}

/// SHA-256 in hexadecimal digits.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    let at = |source| Error::File {
        path: path.into(),
        source,
    };
    let length = fs::metadata(path).map_err(at)?.len();
    if length > LARGEST {
        return Err(Error::Artefact {
            path: path.into(),
            reason: format!("it has {length} bytes, expected at most {LARGEST}"),
        });
    }
    fs::read(path).map_err(at)
}

/// Writes a file and waits until it is on the disk.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<()> {
    let write = || {
        let mut file = File::create(path)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| Error::File {
        path: path.into(),
        source,
    })
}

/// Waits until the names in a directory are on the disk.
pub(crate) fn sync_directory(path: &Path) -> Result<()> {
    let path = if path == Path::new("") {
        Path::new(".")
    } else {
        path
    };
    // Windows has no such thing.
    if cfg!(unix) {
        let sync = || File::open(path)?.sync_all();
        sync().map_err(|source| Error::File {
            path: path.into(),
            source,
        })?;
    }
    Ok(())
}

/// A name beside `path` that nobody else uses.
pub(crate) fn beside(path: &Path, what: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{what}-{}", std::process::id()));
    path.with_file_name(name)
}

/// Puts `from` in the place of `to`. A directory cannot be renamed onto one that is not empty, so the old
/// artefact steps aside first, and back if the new one cannot take its place.
fn replace(from: &Path, to: &Path) -> Result<()> {
    let at = |source| Error::File {
        path: to.into(),
        source,
    };
    let old = beside(to, "old");
    let there = to.join(MANIFEST).is_file();
    if there {
        fs::rename(to, &old).map_err(at)?;
    }
    if let Err(e) = fs::rename(from, to) {
        if there {
            let _ = fs::rename(&old, to);
        }
        return Err(at(e));
    }
    if there {
        let _ = fs::remove_dir_all(&old);
    }
    Ok(())
}
