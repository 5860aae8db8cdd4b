//! Which field of its input a bolt reads.

use std::sync::Arc;

use squall_core::{FieldError, Inputs, ResolveError, Result, Schema, TaskContext, Tuple, Value};

/// The fields that usually hold text to be parsed: a record's, or a file's.
const TEXT: [&str; 2] = ["data", "line"];

/// What to do where none of them is there.
const TEXT_HELP: &str = "set `field` to the one that holds the text";

/// Says what a bolt needs that parses the field `named`, or one of the usual ones.
pub(crate) fn text_inputs(named: Option<&str>) -> Inputs {
    match named {
        Some(name) => Inputs::fields([name]),
        None => Inputs::any().one_of(TEXT).help(TEXT_HELP),
    }
}

/// A field that is found by its index where all inputs have it at the same place, else by its name.
pub(crate) struct InputField {
    /// The one that a tuple has is read; mostly there is just one.
    names: Vec<String>,
    field_idx: Option<usize>,
}

impl InputField {
    /// Finds the field `name`.
    ///
    /// # Errors
    /// [`ResolveError::Missing`] where an input lacks it.
    pub(crate) fn find(ctx: &TaskContext, name: &str) -> Result<Self, ResolveError> {
        let field_idx = match ctx.field(name) {
            Ok(field_idx) => Some(field_idx),
            Err(ResolveError::Ambiguous { .. }) => None,
            Err(missing @ ResolveError::Missing { .. }) => return Err(missing),
        };
        Ok(Self {
            names: vec![name.to_owned()],
            field_idx,
        })
    }

    /// Finds the field that holds text or bytes to be parsed: `named`, else `data`, else `line`.
    ///
    /// # Errors
    /// An input that lacks the field, or both of the usual ones.
    pub(crate) fn text(ctx: &TaskContext, named: Option<&str>) -> Result<Self> {
        if let Some(name) = named {
            return Ok(Self::find(ctx, name)?);
        }
        if let Some(found) = TEXT.iter().find_map(|name| Self::find(ctx, name).ok()) {
            return Ok(found);
        }
        let lacks_all =
            |input: &&Arc<Schema>| TEXT.iter().all(|name| input.index_of(name).is_none());
        match ctx.inputs().iter().find(lacks_all) {
            Some(input) => Err(format!(
                "input {}/{} has no field `{}`; it has: {}; {TEXT_HELP}",
                input.component,
                input.stream,
                TEXT.join("` or `"),
                input.fields.join(", ")
            ))?,
            None => Ok(Self {
                names: TEXT.map(str::to_owned).to_vec(),
                field_idx: None,
            }),
        }
    }

    /// Reads the field.
    ///
    /// # Errors
    /// [`FieldError::Missing`].
    pub(crate) fn of<'t>(&self, tuple: &'t Tuple) -> Result<&'t Value, FieldError> {
        match self.field_idx.and_then(|idx| tuple.values().get(idx)) {
            Some(value) => Ok(value),
            None => self.find_in(tuple),
        }
    }

    fn find_in<'t>(&self, tuple: &'t Tuple) -> Result<&'t Value, FieldError> {
        let found = self.names.iter().map(|name| tuple.get(name));
        found.reduce(Result::or).unwrap_or(Ok(&Value::Null))
    }

    /// Reads the bytes of the field.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or holds neither text nor bytes.
    pub(crate) fn bytes_of<'t>(&self, tuple: &'t Tuple) -> Result<&'t [u8], FieldError> {
        let value = self.of(tuple)?;
        value.as_bytes().ok_or_else(|| FieldError::WrongType {
            field: self.names.join(" or "),
            expected: "bytes or str",
            found: value.kind(),
        })
    }
}
