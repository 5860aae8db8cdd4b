//! Where the tasks of a bench leave their figures when they end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use squall::Result;
use tracing::error;

use super::figures::Figures;
use super::host::Host;

/// What the names of files with figures end with.
const SUFFIX: &str = ".json";

/// The figures of one run; clones share them.
#[derive(Clone, Debug)]
pub(super) enum Board {
    /// All tasks are in this process.
    Shared(Arc<Mutex<Figures>>),
    /// They are in several: each leaves a file in this folder.
    Folder(PathBuf),
}

impl Board {
    /// Makes an empty one for the tasks of this process.
    pub(super) fn shared() -> Self {
        Self::Shared(Arc::default())
    }

    /// Returns the one of a bench that is another process, or else this one.
    pub(super) fn or_of(&self, host: Option<&Host>) -> Self {
        host.map_or_else(|| self.clone(), |host| Self::Folder(host.folder.clone()))
    }

    /// Leaves a task's figures: the last that it does. Where they can't be written they count as lost.
    pub(super) fn leave(&self, figures: Figures) {
        match self {
            Self::Shared(all) => all
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .absorb(figures),
            Self::Folder(folder) => {
                if let Err(error) = write(folder, &figures) {
                    error!(%error, folder = %folder.display(), "the figures of a task can't be written");
                }
            }
        }
    }

    /// Takes what all tasks have left, once they have ended.
    ///
    /// # Errors
    /// A file that can't be read, or has no figures.
    pub(super) fn take(&self) -> Result<Figures> {
        match self {
            Self::Shared(all) => {
                let mut all = all.lock().unwrap_or_else(PoisonError::into_inner);
                Ok(std::mem::take(&mut *all))
            }
            Self::Folder(folder) => read_all(folder),
        }
    }
}

fn write(folder: &Path, figures: &Figures) -> Result<()> {
    let file = tempfile::Builder::new()
        .suffix(SUFFIX)
        .tempfile_in(folder)?;
    serde_json::to_writer(file.as_file(), figures)?;
    file.keep()?;
    Ok(())
}

fn read_all(folder: &Path) -> Result<Figures> {
    let mut all = Figures::default();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(SUFFIX) {
            all.absorb(serde_json::from_slice(&std::fs::read(path)?)?);
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tasks_leave_is_put_together_wherever_they_are() {
        let folder = tempfile::tempdir().unwrap();
        for board in [Board::shared(), Board::Folder(folder.path().to_owned())] {
            for idx in 0..3 {
                let figures = Figures {
                    emitted: [(idx, 1)].into(),
                    n_sunk: 8,
                    ..Figures::default()
                };
                board.clone().leave(figures);
            }
            let all = board.take().unwrap();
            assert_eq!((all.emitted.len(), all.n_sunk), (3, 24));
        }
    }
}
