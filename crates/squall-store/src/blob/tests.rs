//! A blob store: what it takes, what it refuses, and what is left when it is stopped anywhere.

mod sim;

use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use proptest::prelude::*;
use tempfile::TempDir;

use crate::blob::{BlobError, BlobHash, BlobStore, BlobStoreConfig, Removed};
use sim::SimFs;

fn open(dir: &TempDir) -> BlobStore {
    let config = BlobStoreConfig {
        max_blob_bytes: 1000,
        max_total_bytes: 2500,
        max_uploads: 2,
        ..BlobStoreConfig::default()
    };
    BlobStore::open(dir.path().join("data/blobs"), config).unwrap()
}

fn upload(store: &BlobStore, content: &[u8]) -> Result<BlobHash, BlobError> {
    let hash = BlobHash::of(content);
    if let Some(mut writer) = store.begin(hash, content.len() as u64)? {
        for piece in content.chunks(100) {
            writer.write(piece)?;
        }
        writer.finish()?;
    }
    Ok(hash)
}

fn read(store: &BlobStore, hash: BlobHash, offset: u64) -> Result<Vec<u8>, BlobError> {
    let mut reader = store.read(hash, offset)?;
    let mut content = Vec::new();
    let mut buffer = [0; 64];
    loop {
        let n_left = reader.n_left();
        let n = reader.read(&mut buffer)?;
        assert_eq!(reader.n_left(), n_left - n as u64);
        if n == 0 {
            return Ok(content);
        }
        content.extend_from_slice(&buffer[..n]);
    }
}

fn files(dir: &TempDir) -> Vec<String> {
    let entries = std::fs::read_dir(dir.path().join("data/blobs")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

#[test]
fn a_blob_is_read_from_any_offset_now_and_after_reopening() {
    let dir = TempDir::new().unwrap();
    let content: Vec<u8> = (0..999_u32).map(|n| n.to_le_bytes()[0]).collect();
    let hash = upload(&open(&dir), &content).unwrap();
    for store in [open(&dir), open(&dir)] {
        assert_eq!(store.size(hash), Some(999));
        assert_eq!(store.n_bytes(), 999);
        for offset in [0, 1, 500, 998, 999] {
            let expected = &content[usize::try_from(offset).unwrap()..];
            assert_eq!(read(&store, hash, offset).unwrap(), expected);
        }
        assert!(matches!(
            store.read(hash, 1000),
            Err(BlobError::WrongSize { .. })
        ));
        assert!(store.begin(hash, 999).unwrap().is_none());
    }
    let mode = std::fs::metadata(open(&dir).path(hash)).unwrap();
    assert_eq!(mode.permissions().mode() & 0o777, 0o400);
    assert_eq!(files(&dir), [hash.to_string()]);
}

#[test]
fn what_is_not_as_announced_is_refused_and_leaves_nothing() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let hash = BlobHash::of(b"twelve bytes");
    let too_short = store.begin(hash, 13).unwrap().unwrap();
    assert_eq!(
        too_short.finish(),
        Err(BlobError::WrongSize {
            expected: 13,
            found: 0
        })
    );
    let mut too_long = store.begin(hash, 11).unwrap().unwrap();
    let refused = too_long.write(b"twelve bytes");
    assert!(matches!(
        refused,
        Err(BlobError::WrongSize { found: 12, .. })
    ));
    assert!(matches!(too_long.write(b"x"), Err(BlobError::Io { .. })));
    assert!(too_long.finish().is_err());
    let mut another = store.begin(hash, 12).unwrap().unwrap();
    another.write(b"twelve lions").unwrap();
    assert!(matches!(
        another.finish(),
        Err(BlobError::WrongHash { expected, .. }) if expected == hash
    ));
    let mut dropped = store.begin(hash, 12).unwrap().unwrap();
    dropped.write(b"twelve").unwrap();
    assert_eq!(files(&dir).len(), 1);
    drop(dropped);
    assert!(files(&dir).is_empty());
    assert_eq!((store.n_bytes(), store.size(hash)), (0, None));
    assert!(matches!(
        store.read(hash, 0),
        Err(BlobError::Missing { .. })
    ));
}

#[test]
fn size_number_and_room_are_bounded() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let hash = |n: u8| BlobHash::of(&[n]);
    assert!(matches!(
        store.begin(hash(0), 1001),
        Err(BlobError::TooLarge { .. })
    ));
    let first = store.begin(hash(1), 1000).unwrap();
    let second = store.begin(hash(2), 1000).unwrap();
    assert!(matches!(
        store.begin(hash(3), 1),
        Err(BlobError::Busy { max_uploads: 2 })
    ));
    drop(second);
    upload(&store, &[7; 1000]).unwrap();
    // What is only announced counts too.
    assert!(matches!(store.begin(hash(3), 501), Err(BlobError::Full(_))));
    drop(store.begin(hash(3), 500).unwrap().unwrap());
    drop(first);
    assert_eq!(store.n_bytes(), 1000);

    let config = BlobStoreConfig {
        min_free_bytes: u64::MAX / 2,
        ..BlobStoreConfig::default()
    };
    let cramped = BlobStore::open(dir.path().join("cramped"), config).unwrap();
    let refused = cramped.begin(hash(1), 1);
    assert!(matches!(refused, Err(BlobError::Full(_))), "{refused:?}");
}

#[test]
fn two_uploads_of_one_blob_are_one_blob() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let hash = BlobHash::of(b"one");
    let mut writers = [(); 2].map(|()| store.begin(hash, 3).unwrap().unwrap());
    for writer in &mut writers {
        writer.write(b"one").unwrap();
    }
    for writer in writers {
        writer.finish().unwrap();
    }
    assert_eq!((store.n_bytes(), store.size(hash)), (3, Some(3)));
    assert_eq!(files(&dir), [hash.to_string()]);
}

#[test]
fn a_damaged_blob_is_removed_and_can_be_uploaded_again() {
    let dir = TempDir::new().unwrap();
    let hash = upload(&open(&dir), b"content").unwrap();
    for wrong in [&b"c0ntent"[..], b"conten", b"contents", b""] {
        let path = open(&dir).path(hash);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, wrong).unwrap();
        let store = open(&dir);
        assert_eq!(
            read(&store, hash, 0),
            Err(BlobError::Damaged { hash }),
            "{wrong:?}"
        );
        assert_eq!((store.size(hash), store.n_bytes()), (None, 0));
        assert!(files(&dir).is_empty());
        upload(&store, b"content").unwrap();
        assert_eq!(read(&store, hash, 3).unwrap(), b"tent");
    }
}

#[test]
fn only_old_unreferenced_blobs_are_removed() {
    let dir = TempDir::new().unwrap();
    let store = open(&dir);
    let [kept, old, asked, young] = [1, 2, 3, 4].map(|n: u8| upload(&store, &[n; 10]).unwrap());
    drop(store);
    std::fs::write(dir.path().join("data/blobs/README"), "not ours").unwrap();
    let store = open(&dir);
    let mark = store.mark();
    assert!(store.size(asked).is_some());
    let mut reading = store.read(old, 0).unwrap();
    let referenced = BTreeSet::from([kept]);
    let mut young_again = store.begin(BlobHash::of(b"new"), 3).unwrap().unwrap();
    young_again.write(b"new").unwrap();
    young_again.finish().unwrap();
    let removed = store.remove_unreferenced(&referenced, mark).unwrap();
    assert_eq!(
        removed,
        Removed {
            n_blobs: 2,
            n_bytes: 20
        }
    );
    assert_eq!(store.size(old), None);
    assert_eq!(store.size(young), None);
    assert_eq!(store.size(kept), Some(10));
    assert_eq!(store.n_bytes(), 23);
    assert_eq!(files(&dir).len(), 4);
    let mut buffer = [0; 20];
    assert_eq!(reading.read(&mut buffer), Ok(10));
    let later = store.mark();
    let removed = store.remove_unreferenced(&referenced, later).unwrap();
    assert_eq!(removed.n_blobs, 2);
}

const CONTENT: &[u8] = &[7; 350];

fn open_on(fs: &SimFs) -> Result<BlobStore, BlobError> {
    let fs = Arc::new(fs.clone());
    BlobStore::open_on(fs, "blobs".into(), BlobStoreConfig::default())
}

/// What is there has to be whole. Tells whether it is there.
fn is_stored(store: &BlobStore) -> bool {
    match read(store, BlobHash::of(CONTENT), 0) {
        Ok(content) => {
            assert_eq!(content, CONTENT);
            true
        }
        Err(BlobError::Missing { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn an_upload_that_fails_anywhere_leaves_nothing() {
    let mut n_failed = 0;
    for n_before in 0..20 {
        let fs = SimFs::default();
        let store = open_on(&fs).unwrap();
        fs.fail_once(n_before);
        match upload(&store, CONTENT) {
            Ok(_) => assert!(is_stored(&store)),
            Err(error) => {
                n_failed += 1;
                assert!(matches!(error, BlobError::Full(_)), "{error}");
                assert!(!is_stored(&store), "after {n_before} operations");
                assert_eq!(store.n_bytes(), 0);
                assert_eq!(fs.n_files(), 0, "after {n_before} operations");
                upload(&store, CONTENT).unwrap();
            }
        }
        fs.revive();
        assert!(is_stored(&open_on(&fs).unwrap()));
    }
    // Make, four writes, sync, rename, sync of the directory.
    assert_eq!(n_failed, 8);
}

#[test]
fn a_process_that_is_killed_anywhere_leaves_a_whole_blob_or_none() {
    let mut n_stored = 0;
    for n_before in 0..12 {
        let fs = SimFs::default();
        let store = open_on(&fs).unwrap();
        fs.die_after(n_before);
        let uploaded = upload(&store, CONTENT).is_ok();
        drop(store);
        fs.revive();
        let store = open_on(&fs).unwrap();
        let stored = is_stored(&store);
        assert!(stored || !uploaded);
        assert_eq!(fs.n_files(), usize::from(stored));
        n_stored += usize::from(stored);
        upload(&store, CONTENT).unwrap();
        assert!(is_stored(&store));
    }
    assert!((1..12).contains(&n_stored));
}

#[test]
fn what_was_answered_survives_a_power_cut_and_the_rest_is_whole_or_gone() {
    let mut n_lost = 0;
    for seed in 0..300 {
        let mut rng = fastrand::Rng::with_seed(seed);
        let fs = SimFs::default();
        let store = open_on(&fs).unwrap();
        fs.die_after(rng.usize(0..12));
        let uploaded = upload(&store, CONTENT).is_ok();
        let fs = fs.after_power_cut(&mut rng);
        let store = open_on(&fs).unwrap();
        let stored = is_stored(&store);
        assert!(stored || !uploaded, "seed {seed}");
        assert_eq!(fs.n_files(), usize::from(stored), "seed {seed}");
        n_lost += usize::from(!stored);
        upload(&store, CONTENT).unwrap();
        assert!(is_stored(&open_on(&fs).unwrap()));
    }
    assert!((1..300).contains(&n_lost));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pieces_of_any_size_make_the_same_blob(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..50), 0..20),
        offset in any::<prop::sample::Index>(),
    ) {
        let fs = SimFs::default();
        let store = open_on(&fs).unwrap();
        let content = pieces.concat();
        let hash = BlobHash::of(&content);
        let mut writer = store.begin(hash, content.len() as u64).unwrap().unwrap();
        for piece in &pieces {
            writer.write(piece).unwrap();
        }
        writer.finish().unwrap();
        let offset = offset.index(content.len() + 1);
        prop_assert_eq!(read(&store, hash, offset as u64).unwrap(), &content[offset..]);
    }
}
