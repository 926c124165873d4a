use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// `sha256sum` of `one` and of `two!`.
const ONE: &str = "7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed";
const TWO: &str = "a97b629a5b1da759586c3353a9bc284bf673970d8eca56e11e556b715c329614";

/// A folder with a library and a shelf.
struct Place {
    folder: TempDir,
    shelf: Shelf,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let shelf = Shelf::open(folder.path().join("plugins")).unwrap();
        let place = Self { folder, shelf };
        place.write("one");
        place
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("x.so")
    }

    /// Puts a library in place as an installer does it: another file takes the name.
    fn write(&self, content: &str) {
        let new = self.folder.path().join("new");
        fs::write(&new, content).unwrap();
        chmod(&new, 0o755);
        fs::rename(new, self.library()).unwrap();
    }

    fn pin(&self) -> Result<Pinned, String> {
        self.pin_with(&Policy::default())
    }

    fn pin_with(&self, policy: &Policy) -> Result<Pinned, String> {
        self.shelf
            .pin(&self.library(), policy)
            .map_err(|error| error.to_string())
    }

    /// What the shelf holds, in order.
    fn copies(&self) -> Vec<String> {
        let entries = fs::read_dir(self.shelf.folder()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn what_is_loaded_is_a_copy_under_its_hash_that_nobody_writes_to() {
    let place = Place::new();
    let pinned = place.pin().unwrap();
    assert_eq!(pinned.sha256, ONE);
    assert_eq!(sha256(&place.library()).unwrap(), ONE);
    assert_eq!(pinned.warnings, [""; 0]);
    assert_eq!(
        pinned.loaded,
        place.shelf.folder().join(format!("{ONE}.so"))
    );
    assert!(pinned.loaded.is_absolute());
    assert_eq!(fs::read(&pinned.loaded).unwrap(), b"one");
    assert_eq!(mode(&pinned.loaded), COPY_MODE);
    assert_eq!(mode(place.shelf.folder()), FOLDER_MODE);
    assert_eq!(place.copies(), [format!("{ONE}.so")]);
    fs::remove_file(place.library()).unwrap();
    assert_eq!(fs::read(&pinned.loaded).unwrap(), b"one");
}

#[test]
fn another_content_is_another_copy() {
    let place = Place::new();
    let one = place.pin().unwrap();
    place.write("two!");
    let two = place.pin().unwrap();
    assert_eq!(two.sha256, TWO);
    assert_eq!(fs::read(&two.loaded).unwrap(), b"two!");
    assert_eq!(fs::read(&one.loaded).unwrap(), b"one");
    place.shelf.sweep(&[TWO.to_owned()]);
    assert_eq!(place.copies(), [format!("{TWO}.so")]);
    // What was swept is made again, although the file is as it was.
    place.write("one");
    assert_eq!(place.pin().unwrap(), one);
    assert_eq!(fs::read(&one.loaded).unwrap(), b"one");
}

#[test]
fn a_pinned_content_is_compared_in_either_case() {
    let place = Place::new();
    for sha256 in [ONE.to_owned(), ONE.to_uppercase()] {
        let policy = Policy {
            sha256: Some(sha256),
            strict: false,
        };
        assert_eq!(place.pin_with(&policy).unwrap().sha256, ONE);
    }
    let policy = Policy {
        sha256: Some(TWO.to_owned()),
        strict: false,
    };
    // The first time by what is known of the file, the second time by reading it.
    for shelf in [&place.shelf, &Shelf::temporary().unwrap()] {
        let error = shelf
            .pin(&place.library(), &policy)
            .unwrap_err()
            .to_string();
        let path = place.library();
        let expected = format!("{} is not the configured library", path.display());
        assert!(
            error.starts_with(&expected) && error.contains(ONE) && error.contains(TWO),
            "{error}"
        );
    }
    place.write("two!");
    assert_eq!(place.pin_with(&policy).unwrap().sha256, TWO);
}

#[test]
fn a_mismatch_writes_nothing() {
    let place = Place::new();
    let policy = Policy {
        sha256: Some(TWO.to_owned()),
        strict: false,
    };
    place.pin_with(&policy).unwrap_err();
    assert_eq!(place.copies(), [""; 0]);
}

#[test]
fn what_others_may_write_to_is_refused() {
    let place = Place::new();
    let path = place.library().display().to_string();
    chmod(&place.library(), 0o757);
    let error = place.pin().unwrap_err();
    assert_eq!(
        error,
        format!("anybody may write to {path}; `chmod 755 {path}`")
    );
    chmod(&place.library(), 0o775);
    let warnings = place.pin().unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with(&format!("the group of {path} may write to it")),
        "{warnings:?}"
    );
    let strict = Policy {
        strict: true,
        sha256: None,
    };
    let error = place.pin_with(&strict).unwrap_err();
    assert!(error.contains("which `strict` refuses"), "{error}");
    chmod(&place.library(), 0o755);
    assert_eq!(place.pin_with(&strict).unwrap().warnings, [""; 0]);
}

#[test]
fn a_folder_in_which_anybody_may_exchange_it_is_refused() {
    let place = Place::new();
    let open = place.folder.path().join("open");
    let inner = open.join("inner");
    fs::create_dir_all(&inner).unwrap();
    let library = inner.join("x.so");
    fs::copy(place.library(), &library).unwrap();
    let link = place.folder.path().join("link.so");
    symlink("open/inner/x.so", &link).unwrap();
    let second = place.folder.path().join("second.so");
    symlink("link.so", &second).unwrap();
    let pin = |path: &Path| place.shelf.pin(path, &Policy::default());
    for path in [&library, &link, &second] {
        pin(path).unwrap();
    }
    chmod(&open, 0o777);
    for path in [&library, &link, &second] {
        let error = pin(path).unwrap_err().to_string();
        let expected = format!("anybody may write to the folder {}", open.display());
        assert!(error.contains(&expected), "{error}");
    }
    // As in /tmp, where nobody removes the files of others.
    chmod(&open, 0o1777);
    pin(&link).unwrap();
}

#[test]
fn a_link_in_an_open_folder_is_refused_too() {
    let place = Place::new();
    let open = place.folder.path().join("open");
    fs::create_dir(&open).unwrap();
    symlink("../x.so", open.join("x.so")).unwrap();
    chmod(&open, 0o777);
    let first = place.folder.path().join("first.so");
    symlink("open/x.so", &first).unwrap();
    let error = place.shelf.pin(&first, &Policy::default()).unwrap_err();
    assert!(matches!(error, LibraryError::OpenFolder { .. }), "{error}");
}

#[test]
fn what_is_no_file_is_told_apart() {
    let place = Place::new();
    let pin = |path: &Path| place.shelf.pin(path, &Policy::default()).unwrap_err();
    let absent = place.folder.path().join("absent.so");
    assert!(matches!(pin(&absent), LibraryError::Missing(_)));
    assert!(matches!(
        pin(&place.library().join("below.so")),
        LibraryError::Missing(_)
    ));
    assert!(matches!(pin(place.folder.path()), LibraryError::NotFile(_)));
    let pipe = place.folder.path().join("pipe.so");
    let kind = rustix::fs::FileType::Fifo;
    let access = Mode::from_raw_mode(0o600);
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, kind, access, 0).unwrap();
    assert!(matches!(pin(&pipe), LibraryError::NotFile(_)));
    let large = place.folder.path().join("large.so");
    let file = File::create(&large).unwrap();
    file.set_len(LIBRARY_BYTES_MAX + 1).unwrap();
    assert!(matches!(pin(&large), LibraryError::TooLarge(_)));
}

#[test]
fn a_damaged_copy_is_replaced() {
    let place = Place::new();
    let pinned = place.pin().unwrap();
    for damage in ["eno", "", "longer"] {
        chmod(&pinned.loaded, 0o700);
        fs::write(&pinned.loaded, damage).unwrap();
        chmod(&pinned.loaded, COPY_MODE);
        assert_eq!(place.pin().unwrap(), pinned);
        assert_eq!(fs::read(&pinned.loaded).unwrap(), b"one", "{damage}");
    }
    fs::remove_file(&pinned.loaded).unwrap();
    symlink("/dev/null", &pinned.loaded).unwrap();
    assert_eq!(place.pin().unwrap(), pinned);
    assert_eq!(fs::read(&pinned.loaded).unwrap(), b"one");
    assert!(!fs::symlink_metadata(&pinned.loaded).unwrap().is_symlink());
}

#[test]
fn a_good_copy_is_taken_as_it_is() {
    let place = Place::new();
    let pinned = place.pin().unwrap();
    let inode = fs::metadata(&pinned.loaded).unwrap().ino();
    // Of another agent on the same folder, or of this one at its next start.
    let next = Shelf::open(place.shelf.folder()).unwrap();
    assert_eq!(
        next.pin(&place.library(), &Policy::default()).unwrap(),
        pinned
    );
    assert_eq!(fs::metadata(&pinned.loaded).unwrap().ino(), inode);
}

#[test]
fn a_file_that_did_not_change_is_not_read_again() {
    let place = Place::new();
    let before = place.pin().unwrap();
    let state = FileState::of(&fs::metadata(place.library()).unwrap());
    place
        .shelf
        .known()
        .get_mut(&state)
        .expect("it is known")
        .sha256
        .clone_from(&TWO.to_owned());
    fs::rename(&before.loaded, place.shelf.path_of(TWO)).unwrap();
    let copy = FileState::of(&fs::metadata(place.shelf.path_of(TWO)).unwrap());
    place.shelf.known().get_mut(&state).unwrap().copy = copy;
    // Only somebody who reads the file finds out that this is not its hash.
    assert_eq!(place.pin().unwrap().sha256, TWO);
    fs::write(place.library(), "two!").unwrap();
    assert_eq!(place.pin().unwrap().sha256, TWO);
    fs::write(place.library(), "one").unwrap();
    assert_eq!(place.pin().unwrap().sha256, ONE);
}

#[test]
fn a_sweep_removes_its_own_files_only() {
    let place = Place::new();
    place.pin().unwrap();
    let folder = place.shelf.folder();
    for name in [".partial-1-2", "notes.txt", "x.so", &format!("{TWO}.so")] {
        fs::write(folder.join(name), "").unwrap();
    }
    place.shelf.sweep(&[ONE.to_owned()]);
    assert_eq!(place.copies(), [&format!("{ONE}.so"), "notes.txt", "x.so"]);
    assert_eq!(place.shelf.known().len(), 1);
    place.shelf.sweep(&[]);
    assert_eq!(place.copies(), ["notes.txt", "x.so"]);
    assert!(place.shelf.known().is_empty());
}

#[test]
fn a_shelf_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let plugins = folder.path().join("plugins");
    fs::create_dir(&plugins).unwrap();
    chmod(&plugins, 0o777);
    let shelf = Shelf::open(&plugins).unwrap();
    assert_eq!(mode(shelf.folder()), FOLDER_MODE);
    assert_eq!(shelf.open_above(), None);
    chmod(folder.path(), 0o777);
    let above = folder.path().canonicalize().unwrap();
    assert_eq!(shelf.open_above(), Some(above));
    fs::remove_dir(&plugins).unwrap();
    symlink("/tmp", &plugins).unwrap();
    let error = Shelf::open(&plugins).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotADirectory);
    let error = Shelf::open(folder.path().join("absent/plugins")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_temporary_shelf_leaves_nothing_behind() {
    let place = Place::new();
    let shelf = Shelf::temporary().unwrap();
    let folder = shelf.folder().to_owned();
    assert_eq!(mode(&folder), FOLDER_MODE);
    let pinned = shelf.pin(&place.library(), &Policy::default()).unwrap();
    assert!(pinned.loaded.starts_with(&folder) && pinned.loaded.is_file());
    drop(shelf);
    assert!(!folder.exists());
}

#[test]
fn a_shelf_that_nothing_can_be_written_to_names_both_places() {
    let place = Place::new();
    let folder = place.shelf.folder().to_owned();
    fs::remove_dir(&folder).unwrap();
    let error = place.pin().unwrap_err();
    let expected = format!(
        "{} can't be copied to {}: ",
        place.library().display(),
        folder.display()
    );
    assert!(error.starts_with(&expected), "{error}");
}
