//! The archive and the proofs, read by an implementation that is not ours.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use sekisho::log::archive::{Archive, ArchiveError, Archiving};
use sekisho::log::origin_of;
use sekisho::log::prove::{ProveError, prove};
use sekisho::log::verify::{Report, What, verify_archive};
use tlog_tiles::{
    Checkpoint, Error, Hash, Tile, TileHashReader, TileReader, check_record, prove_record,
    record_hash, tree_hash,
};

use crate::world::{World, log_key};

/// Records of the small logs: some full tiles and an unfinished one.
const RECORDS: u64 = 600;

async fn log_of(records: u64) -> World {
    let world = World::on_sqlite().await;
    add(&world, 1, 0..records).await;
    world
}

/// Appends refusals and signs.
async fn add(world: &World, vm: u8, calls: std::ops::Range<u64>) {
    let mut worker = world.worker(vm);
    let refused = calls.map(|n| worker.call(n, "hr").refuse()).collect();
    worker.entries(refused).await;
    world.writer.tick().await.unwrap();
}

async fn archive(world: &World) -> Archive {
    let origin = origin_of(&world.store).await.unwrap();
    Archive::open(world.archive_folder(), &origin, log_key().verifying_key()).unwrap()
}

async fn archived(records: u64) -> World {
    let world = log_of(records).await;
    let size = archive(&world).await.advance(&world.store).await.unwrap();
    assert_eq!(size, records);
    world
}

async fn check_alone(folder: &Path) -> Report {
    let key = log_key().verifying_key();
    verify_archive(folder, &key, None).await.unwrap()
}

/// Tiles of a folder, for the other implementation.
struct Folder(PathBuf);

impl TileReader for Folder {
    fn height(&self) -> u8 {
        8
    }

    fn read_tiles(&self, tiles: &[Tile]) -> Result<Vec<Vec<u8>>, Error> {
        let read = |tile: &Tile| {
            // Its paths begin with the height, as those of the Go checksum database do.
            let path = tile.path().replacen("tile/8/", "tile/", 1);
            std::fs::read(self.0.join(path)).map_err(|_| Error::InvalidTile)
        };
        tiles.iter().map(read).collect()
    }

    fn save_tiles(&self, _tiles: &[Tile], _data: &[Vec<u8>]) {}
}

/// The checkpoint of a signed note.
fn checkpoint(note: &str) -> Checkpoint {
    let end = note.find("\n\n").unwrap() + 1;
    Checkpoint::from_bytes(&note.as_bytes()[..end]).unwrap()
}

#[tokio::test]
async fn another_implementation_finds_every_record_in_the_archive() {
    let world = archived(RECORDS).await;
    let folder = world.archive_folder();
    let note = std::fs::read_to_string(folder.join("checkpoint")).unwrap();
    let checkpoint = checkpoint(&note);
    let (size, root) = (checkpoint.size(), *checkpoint.hash());
    assert_eq!(size, RECORDS);
    let tiles = Folder(folder.clone());
    let hashes = TileHashReader::new(size, root, &tiles);
    assert_eq!(tree_hash(size, &hashes).unwrap(), root);
    for index in [0, 1, 255, 256, 511, 512, RECORDS - 1] {
        let bundle = match index / 256 {
            2 => std::fs::read(folder.join("tile/entries/002.p/88")).unwrap(),
            full => std::fs::read(folder.join(format!("tile/entries/{full:03}"))).unwrap(),
        };
        let mut rest = bundle.as_slice();
        for _ in 0..index % 256 {
            let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            rest = &rest[2 + length..];
        }
        let length = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        let leaf = record_hash(&rest[2..2 + length]);
        let proof = prove_record(size, index, &hashes).unwrap();
        check_record(&proof, size, root, index, leaf).unwrap();
    }
}

#[tokio::test]
async fn another_implementation_accepts_our_proof() {
    let world = log_of(300).await;
    let call = world.worker(1).call(77, "hr");
    let proved = prove(&world.store, call.id, &log_key().verifying_key()).await;
    let proved = proved.unwrap();
    let [record] = proved.records.as_slice() else {
        panic!("{} records", proved.records.len());
    };
    let checkpoint = checkpoint(&record.proof.note);
    let path = record.proof.path.iter().map(|hash| Hash(*hash)).collect();
    let leaf = record_hash(&record.body);
    let (size, index) = (checkpoint.size(), record.proof.index);
    check_record(&path, size, *checkpoint.hash(), index, leaf).unwrap();
    let other = record_hash(b"another record");
    assert!(check_record(&path, size, *checkpoint.hash(), index, other).is_err());
}

#[tokio::test]
async fn what_is_unknown_or_not_signed_yet_is_not_proved() {
    let world = log_of(3).await;
    let mut worker = world.worker(2);
    let (unknown, unsigned) = (worker.call(9_999, "hr"), worker.call(500, "hr"));
    let key = log_key().verifying_key();
    let refused = prove(&world.store, unknown.id, &key).await;
    assert!(matches!(refused, Err(ProveError::Unknown(_))));
    // The writer's own second must not have passed: the clock of the test stands still, but
    // its period does not, so a checkpoint of its own may come first.
    worker.entries(vec![unsigned.refuse()]).await;
    match prove(&world.store, unsigned.id, &key).await {
        Err(ProveError::Unsigned(_)) => {}
        proved => assert_eq!(proved.unwrap().records.len(), 1),
    }
    sqlx::raw_sql("UPDATE audit_entries SET body = X'7b7d' WHERE seq = 1")
        .execute(world.store.pool())
        .await
        .unwrap();
    world.writer.tick().await.unwrap();
    let changed = world.worker(1).call(1, "hr");
    let refused = prove(&world.store, changed.id, &key).await;
    assert!(matches!(refused, Err(ProveError::Changed(_))));
}

#[tokio::test]
async fn an_archive_that_grew_in_steps_is_one_that_was_made_at_once() {
    let world = World::on_sqlite().await;
    let mut from = 0;
    for to in [1, 2, 255, 256, 257, 300, 512, 900] {
        add(&world, 1, from..to).await;
        from = to;
        // Opened anew each time, as after a restart.
        archive(&world).await.advance(&world.store).await.unwrap();
        World::sound(&world.verify().await);
        let alone = check_alone(&world.archive_folder()).await;
        assert_eq!(
            (alone.found, alone.records),
            (0, to),
            "{:?}",
            alone.findings
        );
    }
    let grown = world.folder.path().join("grown");
    std::fs::rename(world.archive_folder(), &grown).unwrap();
    archive(&world).await.advance(&world.store).await.unwrap();
    let names = |folder: &Path| -> BTreeSet<PathBuf> {
        let name = |path: PathBuf| path.strip_prefix(folder).unwrap().to_owned();
        files(folder).into_iter().map(name).collect()
    };
    let at_once = names(&world.archive_folder());
    for name in &at_once {
        let content = |folder: &Path| std::fs::read(folder.join(name)).unwrap();
        let same = content(&grown) == content(&world.archive_folder());
        assert!(same, "{}", name.display());
    }
    // Unfinished tiles that a published checkpoint needs stay until they are full.
    for name in names(&grown).difference(&at_once) {
        let name = name.display().to_string();
        assert!(name.starts_with("tile/1/000.p/"), "{name}");
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                all.push(path);
            }
        }
    }
    all.sort();
    all
}

#[test]
fn every_changed_byte_of_an_archive_is_found() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let world = runtime.block_on(archived(RECORDS));
    let folder = world.archive_folder();
    World::sound(&runtime.block_on(check_alone(&folder)));
    let files = files(&folder);
    let mut config = Config::with_cases(96);
    config.failure_persistence = None;
    let place = (0..files.len(), any::<prop::sample::Index>(), 0u8..8);
    let tried = TestRunner::new(config).run(&place, |(file, byte, bit)| {
        let path = &files[file];
        let whole = std::fs::read(path).unwrap();
        let mut changed = whole.clone();
        changed[byte.index(whole.len())] ^= 1 << bit;
        std::fs::write(path, changed).unwrap();
        let report = runtime.block_on(check_alone(&folder));
        std::fs::write(path, &whole).unwrap();
        prop_assert!(!report.is_ok(), "{} byte {byte:?}", path.display());
        Ok(())
    });
    tried.unwrap();
    for path in files {
        let whole = std::fs::read(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        let report = runtime.block_on(check_alone(&folder));
        assert!(!report.is_ok(), "{} is gone", path.display());
        std::fs::write(&path, whole).unwrap();
    }
}

#[tokio::test]
async fn a_change_that_is_covered_up_below_shows_above() {
    let world = archived(RECORDS).await;
    let folder = world.archive_folder();
    let path = folder.join("tile/entries/001");
    let mut bundle = std::fs::read(&path).unwrap();
    let last = bundle.len() - 2;
    bundle[last] ^= 1;
    std::fs::write(&path, &bundle).unwrap();
    let found = check_alone(&folder).await.findings;
    assert_eq!(found[0].seq, Some(511));
    assert_eq!(found[0].what, What::ArchivedEntry);
    // Now the leaf fits, but not the hash above its tile.
    let mut rest = bundle.as_slice();
    let mut entry = rest;
    while let [high, low, after @ ..] = rest {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        (entry, rest) = after.split_at(length);
    }
    let path = folder.join("tile/0/001");
    let mut tile = std::fs::read(&path).unwrap();
    tile[255 * 32..].copy_from_slice(&record_hash(entry).0);
    std::fs::write(&path, tile).unwrap();
    let found = check_alone(&folder).await.findings;
    let range = What::ArchivedRange { from: 256, to: 511 };
    assert!(
        found.iter().any(|finding| finding.what == range),
        "{found:?}"
    );
    let report = world.verify().await;
    let other = |finding: &sekisho::log::verify::Finding| {
        finding.seq == Some(511) && finding.what == What::ArchivedOther
    };
    assert!(report.findings.iter().any(other), "{:?}", report.findings);
}

#[tokio::test]
async fn a_database_that_was_rolled_back_contradicts_its_archive() {
    let world = archived(40).await;
    for sql in [
        "DELETE FROM audit_entries WHERE seq >= 30",
        "DELETE FROM audit_checkpoints",
    ] {
        let pool = world.store.pool();
        sqlx::raw_sql(sql).execute(pool).await.unwrap();
    }
    std::fs::remove_dir_all(world.exported()).unwrap();
    std::fs::create_dir(world.exported()).unwrap();
    let report = world.verify().await;
    let rolled_back = |what: &What| matches!(what, What::RolledBack { place, size: 40, records: 30 } if place.contains("archive"));
    assert!(
        report.findings.iter().any(|f| rolled_back(&f.what)),
        "{:?}",
        report.findings
    );
}

#[tokio::test]
async fn nothing_is_published_that_was_not_signed() {
    let world = log_of(20).await;
    sqlx::raw_sql("UPDATE audit_entries SET body = X'7b7d' WHERE seq = 3")
        .execute(world.store.pool())
        .await
        .unwrap();
    let refused = archive(&world).await.advance(&world.store).await;
    assert!(matches!(refused, Err(ArchiveError::Differs { size: 20 })));
    assert!(!world.archive_folder().join("checkpoint").exists());
    sqlx::raw_sql("DELETE FROM audit_entries WHERE seq = 3")
        .execute(world.store.pool())
        .await
        .unwrap();
    let refused = archive(&world).await.advance(&world.store).await;
    assert!(matches!(refused, Err(ArchiveError::Missing(3))));
}

#[tokio::test]
async fn an_archive_of_another_log_is_not_continued() {
    let (world, other) = (archived(3).await, log_of(5).await);
    let origin = origin_of(&other.store).await.unwrap();
    let key = log_key().verifying_key();
    let refused = Archive::open(world.archive_folder(), &origin, key);
    assert!(matches!(refused, Err(ArchiveError::OtherLog { .. })));
}

#[tokio::test]
async fn an_archive_that_cannot_be_written_says_so_until_it_can() {
    let world = log_of(300).await;
    let folder = world.archive_folder();
    let origin = origin_of(&world.store).await.unwrap();
    let key = log_key().verifying_key();
    let (store, clock) = (world.store.clone(), world.clock.clone());
    let archiving = Archiving::start(store, folder.clone(), origin, key, clock).unwrap();
    let becomes = async |is_failing: bool| {
        let waiting = async {
            while archiving.pulse().beat().failing.is_some() != is_failing
                || archiving.pulse().beat().well_since.is_some() == is_failing
            {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(60), waiting).await;
        assert!(waited.is_ok(), "{:?}", archiving.pulse().beat());
    };
    becomes(false).await;
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    std::fs::write(&folder, "in its way").unwrap();
    add(&world, 2, 300..600).await;
    becomes(true).await;
    std::fs::remove_file(&folder).unwrap();
    std::fs::rename(&aside, &folder).unwrap();
    becomes(false).await;
    archiving.finish().await;
    World::sound(&world.verify().await);
}
