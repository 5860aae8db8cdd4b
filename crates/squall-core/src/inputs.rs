//! What a bolt reads of the tuples it gets, as data.

use serde::{Deserialize, Serialize};

use crate::value::Str;

/// The fields that every input of a bolt must have, so that a topology that lacks one is refused before it
/// runs. Saying nothing, as [`Inputs::any`] does, is always right.
///
/// ```
/// # use squall_core::Inputs;
/// let inputs = Inputs::fields(["key", "count"]);
/// let inputs = Inputs::any().one_of(["data", "line"]).help("name another by `field`");
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    needs: Vec<Vec<Str>>,
    keyed: bool,
    help: Option<Str>,
}

impl Inputs {
    /// Says nothing: whatever comes is taken.
    #[must_use]
    pub const fn any() -> Self {
        Self {
            needs: Vec::new(),
            keyed: false,
            help: None,
        }
    }

    /// Needs each of these fields.
    #[must_use]
    pub fn fields<F: AsRef<str>>(fields: impl IntoIterator<Item = F>) -> Self {
        let needs = fields.into_iter().map(|field| vec![Str::new(field)]);
        Self {
            needs: needs.collect(),
            ..Self::any()
        }
    }

    /// Needs one of these fields as well.
    #[must_use]
    pub fn one_of<F: AsRef<str>>(mut self, fields: impl IntoIterator<Item = F>) -> Self {
        self.needs.push(fields.into_iter().map(Str::new).collect());
        self
    }

    /// Needs a fields or partial-key grouping, the same for all inputs that have one, and its fields in
    /// the others ([`crate::TaskContext::key_fields`]).
    #[must_use]
    pub const fn keyed(mut self) -> Self {
        self.keyed = true;
        self
    }

    /// Says what to do about an input that lacks something: the config keys that ask for less.
    #[must_use]
    pub fn help(mut self, help: &str) -> Self {
        self.help = Some(Str::new(help));
        self
    }

    /// Iterates over what is needed: each time one of these fields.
    pub fn needs(&self) -> impl ExactSizeIterator<Item = &[Str]> {
        self.needs.iter().map(Vec::as_slice)
    }

    /// Tells whether a grouping by fields is needed.
    #[must_use]
    pub const fn is_keyed(&self) -> bool {
        self.keyed
    }

    /// Returns what was said by [`Inputs::help`].
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}
