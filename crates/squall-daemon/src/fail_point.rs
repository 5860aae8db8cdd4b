//! Places at which tests let a process die, to see what it leaves: between a commit and its answer, between a
//! file and its name.
//!
//! Compiled in with the test-only feature `fail-points`; without it, [`reach`] does nothing. The environment
//! variable `SQUALL_FAIL_POINTS` names a directory. A place is armed while a file of its name is there: who
//! reaches it first removes the file, and dies as if by `kill -9`. So each file is one death, and a file that is
//! gone proves that it happened.

use std::fmt::Arguments;

/// Dies here, if a test has armed this place: `format_args!("submit-stored")`.
#[cfg(feature = "fail-points")]
pub fn reach(place: Arguments<'_>) {
    use std::path::PathBuf;
    use std::sync::LazyLock;

    static DIRECTORY: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("SQUALL_FAIL_POINTS").map(PathBuf::from));
    let Some(directory) = &*DIRECTORY else {
        return;
    };
    // One process gets to remove it.
    if std::fs::remove_file(directory.join(place.to_string())).is_ok() {
        tracing::error!(%place, "dying at a fail point");
        std::process::abort();
    }
}

/// Does nothing: this is no build for tests that let processes die.
#[cfg(not(feature = "fail-points"))]
pub const fn reach(_: Arguments<'_>) {}
