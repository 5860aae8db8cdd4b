//! Which field of its input a bolt reads.

use std::sync::Arc;

use squall_core::{FieldError, Inputs, ResolveError, Result, Schema, TaskContext, Tuple, Value};

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
}

/// The fields that usually hold text to be parsed: a record's, or a file's.
const TEXT: [&str; 2] = ["data", "line"];

/// What to do where none of them is there.
const TEXT_HELP: &str = "set `field` to the one that holds the text";

/// What a parsing bolt reads: the field that its config names, else `data`, else `line`.
pub(crate) struct TextInput {
    named: Option<String>,
    found: Option<InputField>,
}

impl TextInput {
    /// Makes one that reads `named`, or one of the usual fields.
    pub(crate) const fn new(named: Option<String>) -> Self {
        Self { named, found: None }
    }

    /// Says what the bolt needs.
    pub(crate) fn needs(&self) -> Inputs {
        match &self.named {
            Some(name) => Inputs::fields([name]),
            None => Inputs::any().one_of(TEXT).help(TEXT_HELP),
        }
    }

    /// Finds the field.
    ///
    /// # Errors
    /// An input that lacks the field, or both of the usual ones.
    pub(crate) fn prepare(&mut self, ctx: &TaskContext) -> Result<()> {
        self.found = Some(match &self.named {
            Some(name) => InputField::find(ctx, name)?,
            None => usual(ctx)?,
        });
        Ok(())
    }

    /// Reads the field, and the bytes of the text or the bytes in it.
    ///
    /// # Errors
    /// [`FieldError`] when it is missing or holds neither text nor bytes.
    pub(crate) fn of<'t>(&self, tuple: &'t Tuple) -> Result<(&'t Value, &'t [u8])> {
        let Some(field) = &self.found else {
            return Err("not prepared")?;
        };
        let value = field.of(tuple)?;
        let bytes = value.as_bytes().ok_or_else(|| FieldError::WrongType {
            field: field.names.join(" or "),
            expected: "bytes or str",
            found: value.kind(),
        })?;
        Ok((value, bytes))
    }
}

/// Finds the usual field: the same in all inputs if there is one, else each input's own.
fn usual(ctx: &TaskContext) -> Result<InputField> {
    let same = TEXT
        .iter()
        .find_map(|name| InputField::find(ctx, name).ok());
    if let Some(found) = same {
        return Ok(found);
    }
    let lacks_all = |input: &&Arc<Schema>| TEXT.iter().all(|name| input.index_of(name).is_none());
    match ctx.inputs().iter().find(lacks_all) {
        Some(input) => Err(format!(
            "input {}/{} has no field `{}`; it has: {}; {TEXT_HELP}",
            input.component,
            input.stream,
            TEXT.join("` or `"),
            input.fields.join(", ")
        ))?,
        None => Ok(InputField {
            names: TEXT.map(str::to_owned).to_vec(),
            field_idx: None,
        }),
    }
}
