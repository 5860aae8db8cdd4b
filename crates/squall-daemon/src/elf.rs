//! What a binary needs, read from its ELF headers: so that one that can't run is refused when it is submitted,
//! not when a supervisor starts it.
//!
//! Only what Linux runs on the 64-bit little-endian machines that Rust builds for is understood; that takes a
//! handful of fields, and no library. A file is not trusted: at most [`MAX_READ_BYTES`] of it are read, and
//! whatever they hold, the answer is a description or an error.
//!
//! The format: `man 5 elf`, and the Linux Standard Base's chapter on symbol versioning.

mod read;
mod versions;

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;

use squall_proto::{BinaryNeeds, GlibcVersion};
use thiserror::Error;

use read::{Bytes, Source};

/// How much of a file is looked at, at most, in bytes.
pub const MAX_READ_BYTES: usize = 1 << 20;

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;
/// Programs have about ten.
const MAX_SEGMENTS: u16 = 256;
/// The kernel allows as many (`PATH_MAX`).
const MAX_INTERPRETER_BYTES: u64 = 4096;
/// Programs have about thirty entries of sixteen bytes.
const MAX_DYNAMIC_BYTES: u64 = 64 << 10;

const PT_LOAD: u32 = 1;
const PT_DYNAMIC: u32 = 2;
const PT_INTERP: u32 = 3;
const DT_STRTAB: u64 = 5;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DT_VERNEED: u64 = 0x6fff_fffe;
/// In `DT_FLAGS_1`: a program, not a library.
const DF_1_PIE: u64 = 0x0800_0000;

/// What a program for Linux needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elf {
    /// The target triple, as far as the file tells: `x86_64-unknown-linux-gnu`. What has no interpreter and
    /// asks for no glibc counts as musl.
    pub target: String,
    /// The program that loads it, such as `/lib64/ld-linux-x86-64.so.2`; none for a static one.
    pub interpreter: Option<String>,
    /// The newest glibc that its symbols ask for.
    pub glibc: Option<GlibcVersion>,
}

/// Why a file can't be run by anybody, or can't be understood.
#[derive(Debug, Error)]
pub enum ElfError {
    /// It is something else.
    #[error("it is {what}, not a program for Linux (an ELF file)")]
    NotElf {
        /// What it seems to be.
        what: &'static str,
    },
    /// It is an ELF file, but no program for Linux on a machine that Squall runs on.
    #[error("it is {what}, not a program for 64-bit Linux")]
    NotAProgram {
        /// What it is.
        what: String,
    },
    /// It is cut short, or contradicts itself.
    #[error("it is damaged: {what}")]
    Damaged {
        /// What is wrong.
        what: &'static str,
    },
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl Elf {
    /// Reads a file's headers. Blocks.
    ///
    /// # Errors
    /// [`ElfError`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ElfError> {
        Self::read(File::open(path)?)
    }

    /// Reads the headers from the start of a file.
    ///
    /// # Errors
    /// [`ElfError`].
    pub fn read(file: impl Read + Seek) -> Result<Self, ElfError> {
        let mut source = Source::new(file, MAX_READ_BYTES);
        let header = source.at_most(0, HEADER_BYTES)?;
        let machine = machine(&header)?;
        let segments = segments(&mut source, &header)?;
        let interpreter = interpreter(&mut source, &segments)?;
        let dynamic = dynamic(&mut source, &segments)?;
        let is_library = header.u16(16)? == 3
            && interpreter.is_none()
            && dynamic.find(DT_FLAGS_1).unwrap_or(0) & DF_1_PIE == 0;
        if is_library {
            return Err(not_a_program("a shared library"));
        }
        let glibc = match (dynamic.find(DT_VERNEED), dynamic.find(DT_STRTAB)) {
            (Some(needs), Some(names)) => versions::newest_glibc(
                &mut source,
                offset_of(&segments, needs)?,
                offset_of(&segments, names)?,
            )?,
            _ => None,
        };
        let loaded_by_glibc = interpreter
            .as_deref()
            .is_some_and(|loader| !loader.contains("ld-musl"));
        let env = match glibc.is_some() || loaded_by_glibc {
            true => "gnu",
            false => "musl",
        };
        Ok(Self {
            target: format!("{machine}-unknown-linux-{env}"),
            interpreter,
            glibc,
        })
    }

    /// Returns what a machine has to have.
    #[must_use]
    pub fn needs(&self) -> BinaryNeeds {
        BinaryNeeds {
            target: self.target.clone(),
            glibc: self.glibc,
        }
    }
}

/// A part of the file and where it is loaded.
#[derive(Clone, Copy, Debug)]
struct Segment {
    kind: u32,
    offset: u64,
    address: u64,
    n_bytes: u64,
}

/// Checks that it is a program for Linux; returns the machine's name.
fn machine(header: &Bytes) -> Result<&'static str, ElfError> {
    let magic = header.get(0, 4).unwrap_or_default();
    if magic != b"\x7fELF" {
        let what = match magic {
            [] => "an empty file",
            [b'#', b'!', ..] => "a script",
            [b'M', b'Z', ..] => "a program for Windows",
            [0xcf | 0xce, 0xfa, 0xed, 0xfe] | [0xca, 0xfe, 0xba, 0xbe] => "a program for macOS",
            [b'P', b'K', ..] => "an archive",
            _ => "a file of another kind",
        };
        return Err(ElfError::NotElf { what });
    }
    // Class, byte order and version: nothing else is read in the right places otherwise.
    if header.get(4, 3) != Some(&[2, 1, 1]) {
        return Err(not_a_program("an ELF file of another class or byte order"));
    }
    match header.u8(7)? {
        // System V, which everybody writes, and Linux.
        0 | 3 => {}
        _ => return Err(not_a_program("a program for another system")),
    }
    match header.u16(16)? {
        2 | 3 => {}
        1 => return Err(not_a_program("an object file")),
        4 => return Err(not_a_program("a core dump")),
        _ => return Err(not_a_program("an ELF file of an unknown type")),
    }
    match header.u16(18)? {
        21 => Ok("powerpc64le"),
        62 => Ok("x86_64"),
        183 => Ok("aarch64"),
        243 => Ok("riscv64gc"),
        258 => Ok("loongarch64"),
        other => Err(not_a_program(&format!("a program for machine {other}"))),
    }
}

fn segments<R: Read + Seek>(
    source: &mut Source<R>,
    header: &Bytes,
) -> Result<Vec<Segment>, ElfError> {
    let (offset, size, count) = (header.u64(32)?, header.u16(54)?, header.u16(56)?);
    if usize::from(size) != SEGMENT_BYTES || count == 0 || count > MAX_SEGMENTS {
        return Err(damaged("its segments can't be counted"));
    }
    let table = source.exactly(offset, usize::from(count) * SEGMENT_BYTES)?;
    let segment = |n: usize| {
        let at = n * SEGMENT_BYTES;
        Ok(Segment {
            kind: table.u32(at)?,
            offset: table.u64(at + 8)?,
            address: table.u64(at + 16)?,
            n_bytes: table.u64(at + 32)?,
        })
    };
    (0..usize::from(count)).map(segment).collect()
}

fn interpreter<R: Read + Seek>(
    source: &mut Source<R>,
    segments: &[Segment],
) -> Result<Option<String>, ElfError> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_INTERP) else {
        return Ok(None);
    };
    let wrong = || damaged("its interpreter is no path");
    let n_bytes = Some(segment.n_bytes)
        .filter(|n_bytes| *n_bytes <= MAX_INTERPRETER_BYTES)
        .and_then(|n_bytes| usize::try_from(n_bytes).ok())
        .ok_or_else(wrong)?;
    let bytes = source.exactly(segment.offset, n_bytes)?;
    let path = bytes.text(0).ok_or_else(wrong)?;
    if path.is_empty() || path.chars().any(char::is_control) {
        return Err(wrong());
    }
    Ok(Some(path.to_owned()))
}

/// The entries of the dynamic section; none for a static program.
struct Dynamic(Vec<(u64, u64)>);

impl Dynamic {
    fn find(&self, tag: u64) -> Option<u64> {
        let entry = self.0.iter().find(|(found, _)| *found == tag);
        entry.map(|(_, value)| *value)
    }
}

fn dynamic<R: Read + Seek>(
    source: &mut Source<R>,
    segments: &[Segment],
) -> Result<Dynamic, ElfError> {
    let Some(segment) = segments.iter().find(|segment| segment.kind == PT_DYNAMIC) else {
        return Ok(Dynamic(Vec::new()));
    };
    let n_bytes = Some(segment.n_bytes)
        .filter(|n_bytes| *n_bytes <= MAX_DYNAMIC_BYTES)
        .and_then(|n_bytes| usize::try_from(n_bytes).ok())
        .ok_or_else(|| damaged("its dynamic section is too large"))?;
    let table = source.exactly(segment.offset, n_bytes)?;
    let mut entries = Vec::new();
    for n in 0..n_bytes / 16 {
        let (tag, value) = (table.u64(n * 16)?, table.u64(n * 16 + 8)?);
        if tag == 0 {
            break;
        }
        entries.push((tag, value));
    }
    Ok(Dynamic(entries))
}

/// Finds where in the file is what is loaded at an address.
fn offset_of(segments: &[Segment], address: u64) -> Result<u64, ElfError> {
    let found = segments.iter().find_map(|segment| {
        let distance = address.checked_sub(segment.address)?;
        let is_inside = segment.kind == PT_LOAD && distance < segment.n_bytes;
        is_inside.then(|| segment.offset.checked_add(distance))?
    });
    found.ok_or_else(|| damaged("it refers to what isn't in the file"))
}

fn not_a_program(what: &str) -> ElfError {
    ElfError::NotAProgram {
        what: what.to_owned(),
    }
}

fn damaged(what: &'static str) -> ElfError {
    ElfError::Damaged { what }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8]) -> Result<Elf, ElfError> {
        Elf::read(Cursor::new(bytes))
    }

    fn ourselves() -> Vec<u8> {
        std::fs::read(std::env::current_exe().unwrap()).unwrap()
    }

    #[test]
    fn describes_the_program_that_runs_this_test() {
        let elf = Elf::open(std::env::current_exe().unwrap()).unwrap();
        let ours = crate::identity::Identity::ours();
        assert_eq!(elf.target, ours.target);
        assert_eq!(elf.needs().target, ours.target);
        // It runs here, so what it needs is here.
        assert!(elf.glibc <= ours.glibc);
        if cfg!(target_env = "gnu") {
            assert!(elf.interpreter.unwrap().contains("ld-linux"));
            assert!(elf.glibc >= Some("2.17".parse().unwrap()));
        }
        squall_proto::runs_on(
            &Elf::read(Cursor::new(ourselves())).unwrap().needs(),
            &ours.handshake(None),
        )
        .unwrap();
    }

    #[test]
    fn says_what_a_file_is_that_is_no_program() {
        for (bytes, expected) in [
            (
                &b""[..],
                "it is an empty file, not a program for Linux (an ELF file)",
            ),
            (
                b"#!/bin/sh\n",
                "it is a script, not a program for Linux (an ELF file)",
            ),
            (
                b"MZ\x90\0\x03",
                "it is a program for Windows, not a program for Linux (an ELF file)",
            ),
            (
                b"\xcf\xfa\xed\xfe",
                "it is a program for macOS, not a program for Linux (an ELF file)",
            ),
            (
                b"hello",
                "it is a file of another kind, not a program for Linux (an ELF file)",
            ),
            (
                b"\x7fELF\x01\x01\x01",
                "it is an ELF file of another class or byte order, not a program for 64-bit Linux",
            ),
            (b"\x7fELF\x02\x01\x01", "it is damaged: it is cut short"),
        ] {
            assert_eq!(read(bytes).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn tells_programs_from_other_elf_files() {
        let mut bytes = ourselves();
        let mut with = |at: usize, value: u8| {
            let before = std::mem::replace(&mut bytes[at], value);
            let result = read(&bytes);
            bytes[at] = before;
            result.map_err(|error| error.to_string())
        };
        assert!(with(16, 1).unwrap_err().contains("an object file"));
        assert!(with(16, 4).unwrap_err().contains("a core dump"));
        assert!(with(7, 9).unwrap_err().contains("another system"));
        assert!(with(18, 40).unwrap_err().contains("machine 40"));
        assert_eq!(with(18, 183).unwrap().target, "aarch64-unknown-linux-gnu");
        assert!(with(56, 0).unwrap_err().contains("can't be counted"));
    }

    #[test]
    fn a_program_that_is_cut_short_is_damaged_or_told_by_its_start() {
        let bytes = ourselves();
        for n_bytes in (0..200).chain((200..bytes.len()).step_by(bytes.len() / 50)) {
            if let Ok(elf) = read(&bytes[..n_bytes]) {
                assert_eq!(elf, read(&bytes).unwrap(), "of {n_bytes} bytes");
            }
        }
    }

    /// A file that reports how much of it was read.
    struct Counted<'a>(Cursor<&'a [u8]>, &'a mut usize);

    impl Read for Counted<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let n_read = self.0.read(buffer)?;
            *self.1 += n_read;
            Ok(n_read)
        }
    }

    impl Seek for Counted<'_> {
        fn seek(&mut self, to: std::io::SeekFrom) -> std::io::Result<u64> {
            self.0.seek(to)
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        #[test]
        fn arbitrary_bytes_are_answered_within_the_bound(
            bytes in proptest::collection::vec(any::<u8>(), 0..2000),
            is_elf in any::<bool>(),
        ) {
            let mut bytes = bytes;
            if is_elf && bytes.len() >= 20 {
                bytes[..8].copy_from_slice(b"\x7fELF\x02\x01\x01\0");
                bytes[16..20].copy_from_slice(&[3, 0, 62, 0]);
            }
            let mut n_read = 0;
            drop(Elf::read(Counted(Cursor::new(&bytes), &mut n_read)));
            prop_assert!(n_read <= MAX_READ_BYTES);
        }

        #[test]
        fn a_program_with_wrong_bytes_is_answered_within_the_bound(
            wrong in proptest::collection::vec((0..4096_usize, any::<u8>()), 1..8),
            in_dynamic in any::<bool>(),
        ) {
            static OURSELVES: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(ourselves);
            let mut bytes = OURSELVES.clone();
            // Where its tables are is told by the segments.
            let header = Bytes::new(bytes[..HEADER_BYTES].to_vec());
            let mut source = Source::new(Cursor::new(&bytes), MAX_READ_BYTES);
            let segments = segments(&mut source, &header).unwrap();
            let dynamic = segments.iter().find(|segment| segment.kind == PT_DYNAMIC);
            let start = match dynamic {
                Some(segment) if in_dynamic => usize::try_from(segment.offset).unwrap(),
                _ => 0,
            };
            for (at, byte) in wrong {
                if let Some(place) = bytes.get_mut(start + at) {
                    *place = byte;
                }
            }
            let mut n_read = 0;
            drop(Elf::read(Counted(Cursor::new(&bytes), &mut n_read)));
            prop_assert!(n_read <= MAX_READ_BYTES);
        }
    }
}
