use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::*;

const NO_LANDLOCK: &str = "this kernel has no Landlock";

/// As for a start.
fn around(folder: &Path, version: Option<Version>) -> Result<Ruleset, Open> {
    super::around(folder, version, RULES_MAX)
}

/// Whether each of these commands of a shell succeeds, in a folder, by a process that is held to a ruleset.
fn outcomes(ruleset: Ruleset, folder: &Path, commands: &[&str]) -> Vec<bool> {
    let mut shell = Command::new("sh");
    let lines = commands.iter().map(|command| {
        format!("if ({command}) >/dev/null 2>&1; then echo done; else echo denied; fi\n")
    });
    shell
        .arg("-c")
        .arg(lines.collect::<Vec<_>>().concat())
        .current_dir(folder)
        .stdin(Stdio::null());
    let prepare = move || {
        rustix::thread::set_no_new_privs(true)?;
        ruleset.restrict_self()
    };
    // SAFETY: the closure runs between fork and exec and makes system calls only: no allocation, no locks.
    unsafe {
        shell.pre_exec(prepare);
    }
    let output = shell.output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line == "done").collect()
}

/// A folder `above` with the closed `data` and what may lie beside it.
struct Place {
    above: TempDir,
}

impl Place {
    fn new() -> Self {
        let above = tempfile::tempdir().unwrap();
        let path = above.path();
        for folder in ["data/deep", "data/empty", "beside", "other"] {
            fs::create_dir_all(path.join(folder)).unwrap();
        }
        for file in ["data/kept", "data/deep/kept", "beside/file", "file"] {
            fs::write(path.join(file), "text").unwrap();
        }
        std::os::unix::fs::symlink("../data", path.join("beside/link")).unwrap();
        Self { above }
    }

    fn data(&self) -> PathBuf {
        self.above.path().join("data")
    }

    /// Everything that is there, with its content.
    fn content(&self, folder: &str) -> String {
        let script = "find . | sort; find . -type f | sort | xargs -r cat";
        let listed = Command::new("sh")
            .args(["-c", script])
            .current_dir(self.above.path().join(folder))
            .output();
        String::from_utf8(listed.unwrap().stdout).unwrap()
    }

    /// Whether the commands do what they are to under this version; skips it, in words, where the kernel's is older.
    #[track_caller]
    fn check(&self, version: Option<Version>, commands: &[&str], expected: bool) {
        if version.is_none() || version > Version::of_kernel() {
            eprintln!("skipped: {NO_LANDLOCK} of {version:?}");
            return;
        }
        let ruleset = around(&self.data(), version).unwrap();
        let outcomes = outcomes(ruleset, self.above.path(), commands);
        assert_eq!(outcomes.len(), commands.len());
        let others = commands.iter().zip(&outcomes);
        let others: Vec<_> = others.filter(|(_, done)| **done != expected).collect();
        assert!(others.is_empty(), "{version:?}: {others:?}");
    }
}

const CHANGES: [&str; 15] = [
    "echo x > data/new",
    "echo x >> data/kept",
    "echo x > data/deep/kept",
    "echo x > beside/link/new",
    "mkdir data/new",
    "mkfifo data/new",
    "ln -s kept data/new",
    "ln data/kept beside/kept",
    "rm -f data/kept && ! test -e data/kept",
    "rmdir data/empty",
    "mv data/kept data/new",
    "mv data/deep data/empty/",
    "mv beside/file data/",
    "mv data new",
    "rm -rf data",
];

#[test]
fn nothing_in_the_folder_can_be_changed() {
    for version in [Version::of_kernel(), Some(Version(1)), Some(Version(2))] {
        let place = Place::new();
        let before = place.content("data");
        place.check(version, &CHANGES, false);
        assert_eq!(place.content("data"), before, "{version:?}");
    }
}

#[test]
fn without_a_ruleset_each_of_them_is_a_change() {
    for change in CHANGES {
        let place = Place::new();
        let mut shell = Command::new("sh");
        shell.args(["-c", change]).current_dir(place.above.path());
        assert!(shell.status().unwrap().success(), "{change}");
    }
}

/// The one way to cut a file off that opens it for reading alone, on a thread that is held to the ruleset.
fn cuts_off(file: PathBuf, ruleset: Ruleset) -> rustix::io::Result<()> {
    let held = std::thread::spawn(move || {
        rustix::thread::set_no_new_privs(true).unwrap();
        ruleset.restrict_self().unwrap();
        rustix::fs::open(file, OFlags::RDONLY | OFlags::TRUNC, Mode::empty()).map(drop)
    });
    held.join().unwrap()
}

#[test]
fn files_can_be_cut_off_under_old_kernels_alone() {
    for version in [Version(1), Version(2), Version::TRUNCATE] {
        if Version::of_kernel() < Some(version) {
            eprintln!("skipped: {NO_LANDLOCK} of {version:?}");
            return;
        }
        let place = Place::new();
        let ruleset = around(&place.data(), Some(version)).unwrap();
        let expected = if version < Version::TRUNCATE {
            Ok(())
        } else {
            Err(rustix::io::Errno::ACCESS)
        };
        assert_eq!(cuts_off(place.data().join("kept"), ruleset), expected);
    }
}

#[test]
fn what_lies_in_folders_beside_it_is_as_before() {
    let changes = [
        "cat data/kept",
        "ls data",
        "echo x > beside/new",
        "echo x > beside/file",
        "mkdir -p other/deep/down",
        "mv beside/new other/deep/down/",
        "mv other/deep beside/",
        "ln beside/file other/file",
        "rm -r beside/deep",
        "echo x > /dev/null",
        "echo x > /proc/self/comm",
    ];
    Place::new().check(Version::of_kernel(), &changes, true);
}

#[test]
fn nothing_moves_from_folder_to_folder_under_the_oldest_kernels() {
    let links = ["ln beside/file other/file"];
    Place::new().check(Some(Version(1)), &links, false);
    Place::new().check(Some(Version(2)), &links, true);
}

#[test]
fn what_lies_beside_it_itself_is_closed() {
    let changes = [
        "echo x > new",
        "mkdir new",
        "echo x > file",
        "rm -f file && ! test -e file",
        "mv beside new",
        "mv beside other/",
    ];
    Place::new().check(Version::of_kernel(), &changes, false);
}

#[test]
fn a_folder_that_is_made_later_is_open_from_the_next_start_on() {
    if Version::of_kernel().is_none() {
        eprintln!("skipped: {NO_LANDLOCK}");
        return;
    }
    let place = Place::new();
    let earlier = around(&place.data(), Version::of_kernel()).unwrap();
    fs::create_dir(place.above.path().join("later")).unwrap();
    let writes = ["echo x > later/new"];
    assert_eq!(outcomes(earlier, place.above.path(), &writes), [false]);
    place.check(Version::of_kernel(), &writes, true);
}

#[test]
fn too_much_beside_it_leaves_it_open() {
    if Version::of_kernel().is_none() {
        eprintln!("skipped: {NO_LANDLOCK}");
        return;
    }
    let place = Place::new();
    let error = super::around(&place.data(), Version::of_kernel(), 1).unwrap_err();
    let above = place.above.path().canonicalize().unwrap();
    let says = format!("{} holds too much for rules about", above.display());
    assert!(error.to_string().starts_with(&says), "{error}");
}

#[test]
fn without_landlock_it_stays_open_and_says_so() {
    let error = around(Path::new("/"), None).unwrap_err();
    let says = "this kernel has no Landlock, or it is switched off";
    assert_eq!(error.to_string(), says);
}

#[test]
fn a_folder_that_is_not_there_is_named() {
    let place = Place::new();
    let gone = place.data().join("gone");
    let error = around(&gone, Some(Version(1))).unwrap_err().to_string();
    let says = format!("{} can't be listed: No such file", gone.display());
    assert!(error.starts_with(&says), "{error}");
}
