//! A config that its type refuses: the one reason that the type gives, and all that its schema tells.
//!
//! The type is the judge and the schema only explains. What the type takes is right, whatever the schema
//! says: a schema knows nothing of serde's aliases and of types that read more than they write.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use crate::declare::Point;
use crate::path::Path;
use crate::problem::Severity;

use super::schema;

/// Something in a config that doesn't fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Misfit {
    /// Where, seen from the config.
    pub(crate) path: Path,
    /// Whether the key or the value is meant.
    pub(crate) point: Point,
    /// Whether the config works nevertheless.
    pub(crate) severity: Severity,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

/// Why a type refused a config: the first mistake that it came to.
pub(super) struct Refusal {
    /// Where in the config.
    pub(super) path: Path,
    /// What is wrong there.
    pub(super) message: String,
}

/// Finds what keeps a config from being read as a `C`.
pub(crate) fn judge<C: DeserializeOwned + JsonSchema>(config: &Json) -> Vec<Misfit> {
    let refusal = serde_json::from_value::<C>(config.clone()).err();
    let refusal = refusal.map(|error| Refusal {
        path: Path::default(),
        message: error.to_string(),
    });
    explain(schemars::schema_for!(C).as_value(), config, refusal)
}

/// Returns the mistakes of a refused config, or what is doubtful about one that was taken.
pub(super) fn explain(schema: &Json, config: &Json, refusal: Option<Refusal>) -> Vec<Misfit> {
    let mut misfits = schema::misfits(schema, config);
    let Some(refusal) = refusal else {
        // Derived readers take a list for a struct's fields in order, which nobody can mean here.
        let is_list = config.is_array() && schema.get("type") == Some(&Json::from("object"));
        misfits.retain(|misfit| is_list || misfit.severity == Severity::Warning);
        return misfits;
    };
    let explained = misfits
        .iter()
        .any(|misfit| misfit.severity == Severity::Error && misfit.path.overlaps(&refusal.path));
    if !explained {
        misfits.push(Misfit {
            path: refusal.path,
            point: Point::Value,
            severity: Severity::Error,
            message: refusal.message,
            help: None,
        });
    }
    misfits
}
