//! Which field of its input a bolt reads.

use squall_core::{ComponentError, FieldError, ResolveError, Result, TaskContext, Tuple, Value};

/// A field that is found by its index where all inputs have it at the same place, else by its name.
pub(crate) struct InputField {
    name: String,
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
            name: name.to_owned(),
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
        let usual = Self::find(ctx, "data").or_else(|_| Self::find(ctx, "line"));
        usual.map_err(|error| {
            ComponentError::from(format!(
                "{error}; set `field` to the one that holds the text"
            ))
        })
    }

    /// Reads the field.
    ///
    /// # Errors
    /// [`FieldError::Missing`].
    pub(crate) fn of<'t>(&self, tuple: &'t Tuple) -> Result<&'t Value, FieldError> {
        match self.field_idx.and_then(|idx| tuple.values().get(idx)) {
            Some(value) => Ok(value),
            None => tuple.get(&self.name),
        }
    }

    /// Reads the bytes of the field.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or holds neither text nor bytes.
    pub(crate) fn bytes_of<'t>(&self, tuple: &'t Tuple) -> Result<&'t [u8], FieldError> {
        let value = self.of(tuple)?;
        value.as_bytes().ok_or_else(|| FieldError::WrongType {
            field: self.name.clone(),
            expected: "bytes or str",
            found: value.kind(),
        })
    }
}
