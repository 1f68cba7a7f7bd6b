//! Stores through shared mappings, and `msync` of some pages.

use clarity_chaos_disk::{
    Entry, File, Journal, NodeId, PowerLoss, SECTOR_SIZE, SnapshotBuilder, SyncKind,
};
use std::collections::BTreeSet;
use std::path::Path;

const MODELS: [PowerLoss; 3] = [
    PowerLoss::Posix,
    PowerLoss::Journaled,
    PowerLoss::Ext4Ordered,
];

/// Starts a journal with a file of two pages of zeros.
fn mapped() -> (Journal, NodeId) {
    let mut before = SnapshotBuilder::default();
    let bytes = [0; 8192][..].into();
    before.file("file".into(), File { bytes, mode: 0o600 });
    let journal = Journal::new(&before.build());
    let file = journal.find(Path::new("file")).unwrap();
    (journal, file)
}

fn store(journal: &mut Journal, file: NodeId, offset: usize, byte: u8) {
    journal.store(file, offset, &[byte]);
    journal.end_call();
}

/// Returns the possible length, and the possible bytes at these offsets.
fn states(journal: &Journal, model: PowerLoss, offsets: [usize; 2]) -> BTreeSet<(usize, [u8; 2])> {
    journal.with_states(journal.calls(), model, SECTOR_SIZE, |states| {
        let choices = states.all(1000).expect("there are few states");
        let state = |choice| {
            let snapshot = states.state(choice).snapshot;
            let Some(Entry::File(number)) = snapshot.entry(Path::new("file")) else {
                panic!("no file in {snapshot:?}");
            };
            let bytes = &snapshot.file(*number).bytes;
            let at = |offset: usize| bytes.read(offset..offset + 1)[0];
            (bytes.len(), offsets.map(at))
        };
        choices.iter().map(state).collect()
    })
}

#[test]
fn sectors_of_stores_reach_the_disk_on_their_own() {
    let (mut journal, file) = mapped();
    store(&mut journal, file, 0, 1);
    store(&mut journal, file, 512, 1);
    store(&mut journal, file, 0, 2);
    for model in MODELS {
        let expected = [[0, 0], [0, 1], [1, 0], [1, 1], [2, 0], [2, 1]];
        let expected = expected.map(|bytes| (8192, bytes)).into();
        assert_eq!(states(&journal, model, [0, 512]), expected, "{model:?}");
    }
}

#[test]
fn sync_of_pages_leaves_the_others_unsynced() {
    let (mut journal, file) = mapped();
    store(&mut journal, file, 0, 1);
    store(&mut journal, file, 4096, 1);
    journal.sync_range(file, SyncKind::Data, 4096..4097);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [0, 1]), (8192, [1, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
    store(&mut journal, file, 0, 2);
    for model in MODELS {
        let expected = [0, 1, 2].map(|byte| (8192, [byte, 1])).into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
    journal.sync(file, SyncKind::Data);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [2, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
}

#[test]
fn failed_sync_of_a_page_loses_this_page_alone() {
    let (mut journal, file) = mapped();
    store(&mut journal, file, 0, 1);
    store(&mut journal, file, 4096, 1);
    journal.fail_sync_range(file, 0..4096);
    journal.end_call();
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [0, 1]), (8192, [1, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
}

#[test]
fn store_never_makes_a_file_longer() {
    let (mut journal, file) = mapped();
    journal.store(file, 8192, &[1]);
    assert_eq!(journal.length(file), Some(8192));
    journal.resize(file, 12_288);
    journal.end_call();
    store(&mut journal, file, 8192, 1);
    // The length comes with the call that set it, and never with the store.
    for model in MODELS {
        let expected = [(8192, [0, 0]), (12_288, [0, 0]), (12_288, [0, 1])].into();
        assert_eq!(states(&journal, model, [0, 8192]), expected, "{model:?}");
    }
}

#[test]
fn sync_of_pages_leaves_unsynced_growth_behind_them_open() {
    let (mut journal, file) = mapped();
    journal.write(file, 8192, &[1]);
    journal.end_call();
    store(&mut journal, file, 0, 1);
    journal.sync_range(file, SyncKind::Data, 0..4096);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [1, 0]), (8193, [1, 0]), (8193, [1, 1])].into();
        assert_eq!(states(&journal, model, [0, 8192]), expected, "{model:?}");
    }
    journal.sync_range(file, SyncKind::Data, 8192..8193);
    journal.end_call();
    for model in MODELS {
        let expected = [(8193, [1, 1])].into();
        assert_eq!(states(&journal, model, [0, 8192]), expected, "{model:?}");
    }
}

#[test]
fn sync_of_pages_brings_no_page_that_a_failed_sync_has_lost() {
    let (mut journal, file) = mapped();
    store(&mut journal, file, 0, 1);
    journal.sync_range(file, SyncKind::Data, 0..4096);
    journal.end_call();
    store(&mut journal, file, 0, 2);
    store(&mut journal, file, 4096, 1);
    journal.fail_sync_range(file, 0..4096);
    journal.end_call();
    journal.sync_range(file, SyncKind::Data, 0..8192);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [1, 1]), (8192, [2, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
    journal.sync(file, SyncKind::Full);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [1, 1]), (8192, [2, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
    // A store makes the page dirty again.
    store(&mut journal, file, 1, 1);
    journal.sync_range(file, SyncKind::Data, 0..1);
    journal.end_call();
    for model in MODELS {
        let expected = [(8192, [2, 1])].into();
        assert_eq!(states(&journal, model, [0, 4096]), expected, "{model:?}");
    }
}
