//! Calls into author code: what panics there is a failed call, not a dead worker.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use squall_core::{ComponentError, Remedy, Result};

/// Runs author code. A panic becomes an error that asks for a new instance, for the state of this one
/// can't be trusted.
pub(crate) fn guard<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    // Errors are asked for their text later on: one that panics at that does so here.
    let checked = || call().inspect_err(|error| drop(error.to_string()));
    catch_unwind(AssertUnwindSafe(checked)).unwrap_or_else(|panic| Err(panicked(&*panic)))
}

/// Runs author code that is run for each tuple. What it returns is looked at where it is and copied only where it is
/// an error: to be copied, memory that was just written has to wait for all that was written before.
#[inline]
pub(crate) fn guard_tuple(call: impl FnOnce() -> Result<()>) -> Option<ComponentError> {
    let mut fault = None;
    let ran = catch_unwind(AssertUnwindSafe(|| {
        if let Err(error) = call() {
            // See `guard`.
            drop(error.to_string());
            fault = Some(error);
        }
    }));
    match ran {
        Ok(()) => fault,
        Err(panic) => Some(panicked(&*panic)),
    }
}

/// Runs author code that returns nothing; tells whether it came back.
pub(crate) fn guard_silent(call: impl FnOnce()) -> Result<()> {
    guard(|| {
        call();
        Ok(())
    })
}

/// Tells whether an error asks for a new instance.
pub(crate) fn wants_restart(error: &ComponentError) -> bool {
    error.remedy() == Remedy::RestartTask
}

fn panicked(panic: &(dyn Any + Send)) -> ComponentError {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ComponentError::from(format!("panicked: {}", text.unwrap_or("no text"))).restart_task()
}
