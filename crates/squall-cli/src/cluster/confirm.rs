//! Asking before something is taken away.

use std::io::{IsTerminal, stdin};

use clap::Args;
use squall::{Result, console};

/// The answer given beforehand.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ConfirmArgs {
    /// Don't ask; needed where no terminal is
    #[arg(short, long)]
    yes: bool,
}

impl ConfirmArgs {
    /// Asks whether to go on, on a terminal. Elsewhere only `--yes` does.
    pub(crate) fn confirm(self, what: &str) -> Result<bool> {
        if self.yes {
            return Ok(true);
        }
        if !stdin().is_terminal() {
            return Err(format!("{what} needs --yes where nobody can be asked"))?;
        }
        console::say(format_args!("{what}? [y/N] "));
        let mut answer = String::new();
        stdin().read_line(&mut answer)?;
        let agreed = matches!(answer.trim(), "y" | "Y" | "yes");
        if !agreed {
            console::say("nothing was done");
        }
        Ok(agreed)
    }
}
