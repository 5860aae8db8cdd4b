//! Small files that are replaced as a whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use squall_daemon::fail_point;

/// A step of replacing a file at which a crash would strike. In builds for such tests the process can die there,
/// at the fail point `Written-NAME` or `Renamed-NAME` for a file of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailPoint {
    /// The new content is durable under another name; the file is still the old one.
    Written,
    /// The file is the new one; whether it still is after a power cut isn't known.
    Renamed,
}

type Hook = dyn Fn(FailPoint, &Path) -> io::Result<()> + Send + Sync;

/// What tests let happen in the middle of replacing a file. By default nothing.
#[derive(Clone, Default)]
pub struct FailPoints(Option<Arc<Hook>>);

impl FailPoints {
    /// Makes fail points that call `hook` with the file's path; its error stops the writing right there.
    pub fn new(hook: impl Fn(FailPoint, &Path) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    fn pass(&self, point: FailPoint, path: &Path) -> io::Result<()> {
        if let Some(name) = path.file_name() {
            fail_point::reach(format_args!("{point:?}-{}", name.display()));
        }
        match &self.0 {
            Some(hook) => hook(point, path),
            None => Ok(()),
        }
    }
}

impl std::fmt::Debug for FailPoints {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("FailPoints")
            .field(&self.0.is_some())
            .finish()
    }
}

/// Replaces the file durably: after a crash at any moment it has the old content or the new, whole. Blocks.
///
/// **Invariant:** a file that is read after a crash was never half written.
///
/// # Errors
/// What the system says. The content may then be the old or the new.
pub(crate) fn replace(path: &Path, content: &[u8], points: &FailPoints) -> io::Result<()> {
    let directory = path
        .parent()
        .ok_or_else(|| io::Error::new(ErrorKind::InvalidInput, "a file lies in a directory"))?;
    let new = beside(path);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    points.pass(FailPoint::Written, path)?;
    fs::rename(&new, path)?;
    points.pass(FailPoint::Renamed, path)?;
    sync_directory(directory)
}

/// Makes the names in a directory durable. Blocks.
///
/// # Errors
/// What the system says.
pub(crate) fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Reads a file that may be missing, at most `max_bytes` of it.
///
/// # Errors
/// What the system says, or that the file is longer.
pub(crate) fn read(path: &Path, max_bytes: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut content = Vec::new();
    file.take(max_bytes.saturating_add(1))
        .read_to_end(&mut content)?;
    if u64::try_from(content.len()).is_ok_and(|n_bytes| n_bytes > max_bytes) {
        let message = format!("{} is longer than {max_bytes} bytes", path.display());
        return Err(io::Error::new(ErrorKind::InvalidData, message));
    }
    Ok(Some(content))
}

/// The name under which the new content is written first.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_at_any_step_leaves_the_old_content_or_the_new() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("slot.json");
        replace(&path, b"old", &FailPoints::default()).unwrap();
        for (at, expected) in [(FailPoint::Written, "old"), (FailPoint::Renamed, "new")] {
            let points = FailPoints::new(move |point, _| {
                if point == at {
                    return Err(io::Error::other("crash"));
                }
                Ok(())
            });
            let error = replace(&path, b"new", &points).unwrap_err();
            assert_eq!(error.to_string(), "crash");
            let found = read(&path, 100).unwrap().expect("it is there");
            assert_eq!(found, expected.as_bytes(), "{at:?}");
        }
        // What was left beside it is in nobody's way.
        replace(&path, b"newer", &FailPoints::default()).unwrap();
        assert_eq!(read(&path, 5).unwrap().as_deref(), Some(&b"newer"[..]));
    }

    #[test]
    fn what_is_too_long_is_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("exit.json");
        assert_eq!(read(&path, 4).unwrap(), None);
        replace(&path, b"12345", &FailPoints::default()).unwrap();
        let error = read(&path, 4).unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with("exit.json is longer than 4 bytes"),
            "{error}"
        );
    }
}
