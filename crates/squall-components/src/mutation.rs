//! A deliberate defect, for proving that the tests would find it.
//!
//! Compiled in with the test-only feature `mutations` and switched on by the environment variable
//! `SQUALL_MUTATION`; without the feature there is nothing here to switch on.

/// Tells whether `save-highest` is switched on: `generate` saves the highest row that is done instead of the lowest
/// that isn't.
#[cfg(feature = "mutations")]
pub(crate) fn saves_highest() -> bool {
    use std::sync::LazyLock;
    static ON: LazyLock<bool> =
        LazyLock::new(|| std::env::var("SQUALL_MUTATION").as_deref() == Ok("save-highest"));
    *ON
}

/// Tells whether the defect is switched on: never, in a build without the feature.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn saves_highest() -> bool {
    false
}
