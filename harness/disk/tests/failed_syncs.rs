//! A failed sync loses the bytes that it could not write, and later syncs do not bring them.

use clarity_chaos_disk::{
    Entry, File, Journal, NodeId, PowerLoss, SECTOR_SIZE, Snapshot, SnapshotBuilder, SyncKind,
};
use std::collections::BTreeSet;
use std::path::Path;

const MODELS: [PowerLoss; 3] = [
    PowerLoss::Posix,
    PowerLoss::Journaled,
    PowerLoss::Ext4Ordered,
];

/// A journal with the file `a` of 100 bytes, and the file.
fn journal() -> (Journal, NodeId) {
    let mut builder = SnapshotBuilder::default();
    let bytes = vec![b'o'; 100].as_slice().into();
    builder.file("a".into(), File { bytes, mode: 0o644 });
    let journal = Journal::new(&builder.build());
    let file = journal.find(Path::new("a")).unwrap();
    (journal, file)
}

/// The texts of the file at `path` in all states at the end, `None` where it is missing.
fn texts(journal: &Journal, model: PowerLoss, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let text = |snapshot: &Snapshot| match snapshot.entry(Path::new(path)) {
        Some(Entry::File(number)) => Some(snapshot.file(*number).bytes.to_vec()),
        _ => None,
    };
    journal.with_states(journal.calls(), model, SECTOR_SIZE, |states| {
        let all = states.all(1000).unwrap();
        all.iter()
            .map(|choice| text(&states.state(choice).snapshot))
            .collect()
    })
}

#[test]
fn retried_sync_brings_nothing() {
    let (mut journal, file) = journal();
    journal.write(file, 0, &[b'n'; 100]);
    journal.fail_sync(file);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    let (old, new) = (vec![b'o'; 100], vec![b'n'; 100]);
    for model in MODELS {
        let expected = BTreeSet::from([Some(old.clone()), Some(new.clone())]);
        assert_eq!(texts(&journal, model, "a"), expected, "{model:?}");
    }
    // Another write makes another page dirty, but not the lost one.
    journal.write(file, 4096, b"x");
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        let first: BTreeSet<u8> = texts(&journal, model, "a")
            .into_iter()
            .map(|text| text.unwrap()[0])
            .collect();
        assert_eq!(first, BTreeSet::from([b'o', b'n']), "{model:?}");
    }
}

#[test]
fn bytes_written_again_can_be_synced() {
    let (mut journal, file) = journal();
    for sync in [Journal::fail_sync, |journal: &mut Journal, file| {
        journal.sync(file, SyncKind::Data);
    }] {
        journal.write(file, 0, &[b'n'; 100]);
        sync(&mut journal, file);
    }
    journal.end_call();
    for model in MODELS {
        let expected = BTreeSet::from([Some(vec![b'n'; 100])]);
        assert_eq!(texts(&journal, model, "a"), expected, "{model:?}");
    }
}

#[test]
fn lost_bytes_behind_the_old_end_can_be_zeros() {
    let (mut journal, file) = journal();
    journal.write(file, 100, &[b'n'; 50]);
    journal.fail_sync(file);
    // The page of the length is clean, but the length itself is not.
    journal.set_times(file, None);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    let zeros = [vec![b'o'; 100], vec![0; 50]].concat();
    for model in MODELS {
        assert!(
            texts(&journal, model, "a").contains(&Some(zeros.clone())),
            "{model:?}"
        );
    }
}

#[test]
fn lost_zeros_of_a_truncation_show_old_bytes_after_growth() {
    let (mut journal, file) = journal();
    journal.resize(file, 50);
    journal.fail_sync(file);
    journal.set_times(file, None);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        let expected = BTreeSet::from([Some(vec![b'o'; 50])]);
        assert_eq!(texts(&journal, model, "a"), expected, "{model:?}");
    }
    journal.resize(file, 100);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    let (old, zeros) = (vec![b'o'; 100], [[b'o'; 50], [0; 50]].concat());
    for model in MODELS {
        let expected = BTreeSet::from([Some(old.clone()), Some(zeros.clone())]);
        assert_eq!(texts(&journal, model, "a"), expected, "{model:?}");
    }
}

#[test]
fn truncation_inside_a_lost_page_makes_it_dirty_again() {
    let (mut journal, file) = journal();
    journal.write(file, 0, &[b'n'; 100]);
    journal.fail_sync(file);
    journal.resize(file, 50);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        let expected = BTreeSet::from([Some(vec![b'n'; 50])]);
        assert_eq!(texts(&journal, model, "a"), expected, "{model:?}");
    }
}

#[test]
fn failed_sync_of_a_directory_brings_no_later_change() {
    let (mut journal, file) = journal();
    journal.rename(Path::new("a"), Path::new("b"), false);
    let root = journal.find(Path::new("")).unwrap();
    journal.fail_sync(root);
    journal.sync(root, SyncKind::Full);
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        assert!(texts(&journal, model, "b").contains(&None), "{model:?}");
    }
}
