//! Deliberate defects, for proving that the tests would find them.
//!
//! Compiled in with the test-only feature `mutations` and switched on by the environment variable
//! `SQUALL_MUTATION`; without the feature there is nothing here to switch on.

/// A defect that some test must turn red for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// `ack-before-execute`: a bolt's input is acked before the bolt has seen it.
    AckBeforeExecute,
    /// `drop-contribution`: one of the XOR contributions is lost.
    DropContribution,
    /// `repeat-contribution`: each XOR contribution is taken twice.
    RepeatContribution,
    /// `stale-generation`: contributions to a finished tree reach the slot's next one.
    StaleGeneration,
}

/// Tells whether a defect is switched on.
#[cfg(feature = "mutations")]
pub(crate) fn is_on(mutation: Mutation) -> bool {
    use std::sync::LazyLock;
    static ON: LazyLock<Option<Mutation>> =
        LazyLock::new(|| match std::env::var("SQUALL_MUTATION").as_deref() {
            Ok("ack-before-execute") => Some(Mutation::AckBeforeExecute),
            Ok("drop-contribution") => Some(Mutation::DropContribution),
            Ok("repeat-contribution") => Some(Mutation::RepeatContribution),
            Ok("stale-generation") => Some(Mutation::StaleGeneration),
            _ => None,
        });
    *ON == Some(mutation)
}

/// Tells whether a defect is switched on: never, in a build without the feature.
#[cfg(not(feature = "mutations"))]
pub(crate) const fn is_on(_: Mutation) -> bool {
    false
}
