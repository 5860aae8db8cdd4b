//! Which versions of its libraries a program asks for (`.gnu.version_r`).

use std::io::{Read, Seek};

use squall_proto::GlibcVersion;

use crate::elf::read::{Bytes, Source};
use crate::elf::{ElfError, damaged};

/// As large as the table may be: an entry has sixteen bytes, and programs have a few dozen.
const MAX_TABLE_BYTES: usize = 64 << 10;
/// The most versions of all libraries.
const MAX_VERSIONS: usize = 4096;
/// More than a version's name has, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// Finds the newest version of glibc that is asked for, in the table at an offset of the file, with the names
/// at another.
pub(super) fn newest_glibc<R: Read + Seek>(
    source: &mut Source<R>,
    table_at: u64,
    names_at: u64,
) -> Result<Option<GlibcVersion>, ElfError> {
    let table = source.at_most(table_at, MAX_TABLE_BYTES)?;
    let mut newest = None;
    for name in names(&table)? {
        let place = names_at.checked_add(u64::from(name));
        let place = place.ok_or_else(|| damaged("a version has no name"))?;
        let name = source.at_most(place, MAX_NAME_BYTES)?;
        newest = newest.max(name.text(0).and_then(glibc));
    }
    Ok(newest)
}

/// Collects where the names of the versions are, from a list (by library) of lists (of versions).
fn names(table: &Bytes) -> Result<Vec<u32>, ElfError> {
    let mut names = Vec::new();
    let mut library = 0;
    loop {
        let mut version = step(library, table.u32(library + 8)?)?;
        loop {
            names.push(table.u32(version + 8)?);
            if names.len() > MAX_VERSIONS {
                return Err(damaged("it asks for too many versions"));
            }
            match table.u32(version + 12)? {
                0 => break,
                next => version = step(version, next)?,
            }
        }
        match table.u32(library + 12)? {
            0 => return Ok(names),
            next => library = step(library, next)?,
        }
    }
}

/// Goes on in the table, never back: there are as many steps as it has bytes, at most.
fn step(at: usize, distance: u32) -> Result<usize, ElfError> {
    let next = usize::try_from(distance).ok().filter(|next| *next > 0);
    let next = next.and_then(|next| at.checked_add(next));
    next.ok_or_else(|| damaged("its versions run in circles"))
}

/// Reads a version of glibc: of `GLIBC_2.36`, and of the names that stand for features of its loader.
fn glibc(name: &str) -> Option<GlibcVersion> {
    let version = match name.strip_prefix("GLIBC_")? {
        "ABI_DT_RELR" => "2.36",
        version => version,
    };
    version.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A library and its versions, as a compiler writes them.
    fn entry(n_versions: u32, next: u32) -> Vec<u8> {
        let fields = [(n_versions << 16) | 1, 0, 16, next];
        fields
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect()
    }

    fn version(name: u32, next: u32) -> Vec<u8> {
        let fields = [0, 0, name, next];
        fields
            .iter()
            .flat_map(|field| field.to_le_bytes())
            .collect()
    }

    fn newest(table: &[Vec<u8>], names: &str) -> Result<Option<GlibcVersion>, ElfError> {
        let mut file = table.concat();
        let names_at = file.len() as u64;
        file.extend_from_slice(names.as_bytes());
        newest_glibc(&mut Source::new(Cursor::new(file), 1 << 20), 0, names_at)
    }

    #[test]
    fn finds_the_newest_of_all_libraries() {
        let names = "GLIBC_2.9\0GLIBC_2.34\0GCC_4.2.0\0GLIBC_PRIVATE\0GLIBC_ABI_DT_RELR\0";
        let two = [
            entry(2, 48),
            version(0, 16),
            version(10, 0),
            entry(1, 0),
            version(21, 0),
        ];
        assert_eq!(newest(&two, names).unwrap(), Some("2.34".parse().unwrap()));
        let private = [entry(1, 0), version(31, 0)];
        assert_eq!(newest(&private, names).unwrap(), None);
        let packed = [entry(2, 0), version(0, 16), version(45, 0)];
        assert_eq!(
            newest(&packed, names).unwrap(),
            Some("2.36".parse().unwrap())
        );
    }

    #[test]
    fn a_table_that_leads_nowhere_is_damaged() {
        for table in [
            vec![],
            vec![entry(1, 0)],
            vec![entry(1, 0), version(0, 999)],
            vec![entry(1, u32::MAX), version(0, 0)],
        ] {
            assert!(matches!(newest(&table, "x"), Err(ElfError::Damaged { .. })));
        }
        // Each step leads one byte on: the table ends before the patience does.
        let crawling = vec![1; MAX_TABLE_BYTES];
        assert!(newest(&[crawling], "x").is_err());
    }
}
