//! The C compiler, for plugins that a test builds against the header.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A file of the SDK.
pub(crate) fn sdk(path: &str) -> PathBuf {
    let sdk = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk/plugin");
    sdk.join(path)
}

/// A file beside these tests.
pub(crate) fn beside(path: &str) -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it");
    tests.join(path)
}

/// Builds a library of one source, with every warning an error; `defined` are the compiler's own `-D`.
#[track_caller]
pub(crate) fn compile(source: &Path, defined: &[&str], library: &Path) {
    compile_against(&sdk("include"), source, defined, library);
}

/// The same with the header in another folder.
#[track_caller]
pub(crate) fn compile_against(header: &Path, source: &Path, defined: &[&str], library: &Path) {
    let built = Command::new("cc")
        .args(["-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"])
        .args(["-shared", "-fPIC"])
        .args(defined)
        .arg("-I")
        .arg(header)
        .arg(source)
        .arg("-o")
        .arg(library)
        .output()
        .expect("a C compiler");
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{}: {said}", source.display());
}
