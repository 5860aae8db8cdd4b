//! What becomes of a tuple whose text can't be parsed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{Emitter, Outputs, Remediable, Result, Value};

/// The stream that unparsed text goes to.
const STREAM: &str = "unparsed";

/// What a parsing bolt does with what it can't parse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnUnparsed {
    /// Fails the tuple for good: no retry mends it, so it goes to the source's dead letters.
    #[default]
    Reject,
    /// Emits it to the stream `unparsed`, with the fields `text` and `error`.
    Emit,
}

impl OnUnparsed {
    /// Adds the stream to a bolt's outputs where there is one.
    pub(crate) fn declare(self, outputs: Outputs) -> Outputs {
        match self {
            Self::Reject => outputs,
            Self::Emit => outputs.stream(STREAM, ["text", "error"]),
        }
    }

    /// Does with `text` what is to be done.
    ///
    /// # Errors
    /// `error`, as a permanent one, unless it goes to the stream.
    pub(crate) fn handle(
        self,
        text: &Value,
        error: impl std::error::Error + Send + Sync + 'static,
        out: &mut Emitter<'_>,
    ) -> Result<()> {
        match self {
            Self::Reject => Err(error).permanent(),
            Self::Emit => Ok(out.stream(STREAM).emit((text.clone(), error.to_string()))?),
        }
    }
}
