//! A file that lines are appended to, whoever was killed while writing to it before.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// An append-only file of whole lines.
///
/// **Invariant:** what is appended begins on a new line.
pub(super) struct LineFile {
    file: File,
    path: PathBuf,
    sync: bool,
    /// Whether the last write ended well, so that the file is known to end in a line feed.
    ends_well: bool,
}

impl LineFile {
    /// Opens or makes the file.
    pub(super) fn open(path: &Path, sync: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path)?;
        if sync {
            // A new file is found again after a power cut only when its directory is durable as well.
            let parent = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(parent.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        Ok(Self {
            file,
            path: path.to_owned(),
            sync,
            ends_well: false,
        })
    }

    /// Returns the path that it was opened by.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends whole lines; `Ok` means that they reached the file, or the disk with `sync`. Blocks.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if !self.ends_well && self.ends_in_half_a_line()? {
            self.file.write_all(b"\n")?;
        }
        self.ends_well = false;
        self.file.write_all(lines)?;
        self.ends_well = true;
        if self.sync {
            self.file.sync_data()?;
        }
        Ok(())
    }

    fn ends_in_half_a_line(&mut self) -> io::Result<bool> {
        if self.file.metadata()?.len() == 0 {
            return Ok(false);
        }
        let mut last = [b'\n'];
        self.file.seek(SeekFrom::End(-1))?;
        self.file.read_exact(&mut last)?;
        Ok(last != [b'\n'])
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn begins_on_a_new_line_and_truncates_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for (before, after) in [
            ("", "c\nd\n"),
            ("a\nb\n", "a\nb\nc\nd\n"),
            ("a\nhalf", "a\nhalf\nc\nd\n"),
        ] {
            let path = dir.path().join("file");
            fs::write(&path, before).unwrap();
            let mut file = LineFile::open(&path, false).unwrap();
            file.append(b"c\n").unwrap();
            file.append(b"d\n").unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }
}
