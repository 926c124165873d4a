use std::fs;
use std::path::Path;
use std::process;

use super::{Folder, Migration, SCHEMA, StoreError, at, disk_bytes};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

/// An invented schema 1 with one file of words, and a schema 2 with one file a word.
const SPLIT: Migration = Migration {
    from: 1,
    write: |old, new| {
        let words = old.join("words");
        let text = fs::read_to_string(&words).map_err(at(&words))?;
        for word in text.split_whitespace() {
            let path = new.join(word);
            fs::create_dir(&path).map_err(at(&path))?;
            fs::write(path.join("length"), word.len().to_string()).map_err(at(&path))?;
        }
        Ok(())
    },
};

fn older(root: &Path) {
    fs::write(root.join("schema"), "barograph 1\n").unwrap();
    fs::write(root.join("words"), "core raw").unwrap();
    fs::create_dir(root.join("core")).unwrap();
    fs::write(root.join("core/old"), "").unwrap();
}

fn assert_migrated(root: &Path) {
    assert_eq!(text(&root.join("schema")), "barograph 2\n");
    assert_eq!(text(&root.join("core/length")), "4");
    assert_eq!(text(&root.join("raw/length")), "3");
    for gone in ["core/old", "words", "migrating", "migrated"] {
        assert!(!root.join(gone).exists(), "{gone}");
    }
}

#[test]
fn a_second_owner_is_refused_and_told_who_the_first_is() {
    let root = tempfile::tempdir().unwrap();
    let first = Folder::take(root.path()).unwrap();
    match Folder::take(root.path()) {
        Err(StoreError::Owned { path, pid }) => {
            assert_eq!((path.as_path(), pid), (root.path(), process::id()));
        }
        other => panic!("{other:?}"),
    }
    drop(first);
    Folder::take(root.path()).unwrap();
}

#[test]
fn a_new_folder_gets_the_schema_of_today() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("a/b");
    let folder = Folder::take(&path).unwrap();
    assert_eq!(text(&path.join("schema")), format!("barograph {SCHEMA}\n"));
    assert!(folder.notes().is_empty());
    drop(folder);
    assert!(Folder::take(&path).unwrap().notes().is_empty());
}

#[test]
fn a_newer_schema_is_refused_and_left_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let schema = root.path().join("schema");
    fs::write(&schema, "barograph 7\n").unwrap();
    match Folder::take(root.path()) {
        Err(error @ StoreError::NewerSchema { found: 7, .. }) => {
            assert!(error.to_string().contains("run that version"), "{error}");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(text(&schema), "barograph 7\n");
}

#[test]
fn a_lost_schema_is_written_again_and_told() {
    for damage in [None, Some("barogr\0ph 1"), Some(""), Some("barograph x")] {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("core")).unwrap();
        if let Some(damage) = damage {
            fs::write(root.path().join("schema"), damage).unwrap();
        }
        let folder = Folder::take(root.path()).unwrap();
        assert_eq!(folder.notes().len(), 1, "{damage:?}");
        assert_eq!(text(&root.path().join("schema")), "barograph 1\n");
    }
}

#[test]
fn an_older_schema_is_migrated() {
    let root = tempfile::tempdir().unwrap();
    older(root.path());
    // Copies of libraries are no history, so they stay as they are.
    let copy = root.path().join("plugins/x.so");
    fs::create_dir(root.path().join("plugins")).unwrap();
    fs::write(&copy, "x").unwrap();
    let folder = Folder::take_with(root.path(), 2, &[SPLIT]).unwrap();
    assert_eq!(text(&copy), "x");
    fs::remove_dir_all(root.path().join("plugins")).unwrap();
    assert_migrated(root.path());
    assert_eq!(folder.notes().len(), 1);
    drop(folder);
    let folder = Folder::take_with(root.path(), 2, &[SPLIT]).unwrap();
    assert!(folder.notes().is_empty());
}

#[test]
fn a_migration_that_failed_leaves_the_old_content() {
    let root = tempfile::tempdir().unwrap();
    older(root.path());
    let failing = Migration {
        from: 1,
        write: |old, new| {
            (SPLIT.write)(old, new)?;
            Err(at(new)(std::io::ErrorKind::StorageFull.into()))
        },
    };
    assert!(Folder::take_with(root.path(), 2, &[failing]).is_err());
    assert_eq!(text(&root.path().join("schema")), "barograph 1\n");
    assert!(root.path().join("core/old").exists());
    Folder::take_with(root.path(), 2, &[SPLIT]).unwrap();
    assert_migrated(root.path());
}

#[test]
fn a_migration_that_was_cut_off_after_its_decision_is_finished() {
    // Entry by entry: what has moved before the cut.
    for moved in [&[][..], &["core"], &["core", "raw"]] {
        let root = tempfile::tempdir().unwrap();
        older(root.path());
        let decided = root.path().join("migrated");
        fs::create_dir(&decided).unwrap();
        (SPLIT.write)(root.path(), &decided).unwrap();
        fs::write(decided.join("entries"), "core\nraw").unwrap();
        fs::write(decided.join("schema"), "barograph 2\n").unwrap();
        for name in moved {
            let to = root.path().join(name);
            if to.exists() {
                fs::remove_dir_all(&to).unwrap();
            }
            fs::rename(decided.join(name), to).unwrap();
        }
        Folder::take_with(root.path(), 2, &[SPLIT]).unwrap();
        assert_migrated(root.path());
    }
}

#[test]
fn room_is_what_the_disk_really_has_and_takes() {
    let root = tempfile::tempdir().unwrap();
    let folder = Folder::take(root.path()).unwrap();
    let space = folder.space().unwrap();
    assert!(space.free_bytes <= space.total_bytes && space.total_bytes > 0);

    let before = disk_bytes(root.path());
    // A hole takes no room, data does.
    fs::File::create(root.path().join("hole"))
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    fs::write(root.path().join("data"), vec![1; 100_000]).unwrap();
    let taken = disk_bytes(root.path()) - before;
    assert!((100_000..200_000).contains(&taken), "{taken}");
    assert_eq!(disk_bytes(&root.path().join("nothing")), 0);
}
