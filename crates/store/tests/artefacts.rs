//! Artefacts in the data directory: altered, missing, cut off, and a disk that has no room.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{fs, path::Path, process::Command};

use market::{ErrorKind, Timestamp};
use store::{
    Artefact, Artefacts, Lineage, ModelRegistry, NewVersion, SqliteOptions, SqliteStore, StoreError,
};

async fn open(dir: &Path) -> SqliteStore {
    SqliteStore::open(SqliteOptions::new(dir)).await.unwrap()
}

/// The names in the folder of artefacts.
fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir.join("artefacts")).unwrap();
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries.map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

#[tokio::test]
async fn an_altered_artefact_is_named_and_putting_it_again_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let sha256 = store.put(b"weights".to_vec()).await.unwrap();
    let path = dir.path().join("artefacts").join(&sha256);
    for altered in [&b"weightz"[..], b"weigh", b""] {
        fs::write(&path, altered).unwrap();
        let refused = store.get(&sha256).await.unwrap_err();
        assert!(matches!(refused, StoreError::Altered { .. }), "{refused:?}");
        assert!(
            refused.to_string().contains(path.to_str().unwrap()),
            "{refused}"
        );
        assert_eq!(refused.kind(), ErrorKind::Internal);
        assert_eq!(store.put(b"weights".to_vec()).await.unwrap(), sha256);
        assert_eq!(store.get(&sha256).await.unwrap(), b"weights");
    }
    fs::remove_file(&path).unwrap();
    let refused = store.get(&sha256).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::NotFound);
    assert!(
        refused.to_string().contains(path.to_str().unwrap()),
        "{refused}"
    );
}

#[tokio::test]
async fn a_version_whose_file_is_gone_or_cut_off_is_not_registered() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let sha256 = store.put(b"weights".to_vec()).await.unwrap();
    let path = dir.path().join("artefacts").join(&sha256);
    let at = Timestamp::from_secs(1);
    let version = NewVersion {
        name: "A".into(),
        reference: "naive".into(),
        lineage: Lineage {
            from: at,
            until: at,
            rows: 1,
            sha256: String::new(),
            code_version: String::new(),
            seed: 1,
            parent: None,
        },
        measures: serde_json::json!({}),
        artefacts: vec![Artefact {
            path: "weights".into(),
            sha256,
            bytes: 7,
        }],
        created_by: String::new(),
        note: String::new(),
    };
    fs::write(&path, b"weigh").unwrap();
    let refused = store.publish(version.clone().into(), at).await.unwrap_err();
    assert!(refused.to_string().contains("has 5 bytes"), "{refused}");
    fs::remove_file(&path).unwrap();
    let refused = store.publish(version.clone().into(), at).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(store.models(None, None, 9).await.unwrap().is_empty());
    store.put(b"weights".to_vec()).await.unwrap();
    store.publish(version.into(), at).await.unwrap();
}

#[tokio::test]
async fn what_was_left_half_is_removed_when_the_store_is_opened() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let sha256 = store.put(b"weights".to_vec()).await.unwrap();
    store.close().await.unwrap();
    fs::write(dir.path().join("artefacts/part-4711-0"), b"wei").unwrap();
    let store = open(dir.path()).await;
    assert_eq!(files(dir.path()), [sha256.as_str()]);
    assert_eq!(store.get(&sha256).await.unwrap(), b"weights");
}

/// A process whose files may have 4 MiB at most stands for a disk without room: writing fails in the middle.
#[cfg(unix)]
#[test]
fn an_artefact_that_finds_no_room_leaves_nothing_and_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let done = Command::new("sh")
        .arg("-c")
        // The signal is ignored, so that the write is refused instead.
        .arg("trap '' XFSZ; ulimit -f 8192; exec \"$0\" artefact \"$1\" 0")
        .arg(env!("CARGO_BIN_EXE_killed-writer"))
        .arg(dir.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{done:?}");
    assert!(said.contains("refused: unavailable"), "{said}");
    assert_eq!(files(dir.path()).len(), 1);
}
