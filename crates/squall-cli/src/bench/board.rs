//! Where the tasks of a bench leave their figures when they end.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use squall::Result;
use tracing::error;

use super::figures::Figures;
use super::host::Host;

/// What the names of files with figures end with.
const SUFFIX: &str = ".json";
/// And those of files that say only that a source has measured.
const MEASURED: &str = ".measured";

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

    /// Says that a source has measured what it should: it may end. Within one process nobody waits for that.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn tell_measured(&self) -> Result<()> {
        if let Self::Folder(folder) = self {
            let mut file = tempfile::Builder::new();
            file.suffix(MEASURED).tempfile_in(folder)?.keep()?;
        }
        Ok(())
    }

    /// Returns how many sources of other processes have said so.
    ///
    /// # Errors
    /// What the system says.
    pub(super) fn n_measured(&self) -> Result<usize> {
        match self {
            Self::Shared(_) => Ok(0),
            Self::Folder(folder) => Ok(files(folder, MEASURED)?.len()),
        }
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
    for path in files(folder, SUFFIX)? {
        all.absorb(serde_json::from_slice(&std::fs::read(path)?)?);
    }
    Ok(all)
}

/// Finds the files whose names end so.
fn files(folder: &Path, suffix: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in folder.read_dir()? {
        let path = entry?.path();
        if path.to_string_lossy().ends_with(suffix) {
            found.push(path);
        }
    }
    Ok(found)
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
                board.tell_measured().unwrap();
                board.clone().leave(figures);
            }
            let elsewhere = matches!(board, Board::Folder(_));
            assert_eq!(board.n_measured().unwrap(), if elsewhere { 3 } else { 0 });
            let all = board.take().unwrap();
            assert_eq!((all.emitted.len(), all.n_sunk), (3, 24));
        }
    }
}
