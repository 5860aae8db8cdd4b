//! The glibc that a process runs on.
//!
//! `gnu_get_libc_version` would tell, but calling C is unsafe and forbidden here. So the kernel is asked which
//! file is mapped as the C library, and that file which release it is: glibc carries its banner, `GNU C
//! Library (Debian GLIBC 2.36-9) stable release version 2.36.`, so that it can be run as a program.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use squall_proto::GlibcVersion;

/// More than `/proc/self/maps` of a daemon at its start has, in bytes.
const MAX_MAPS_BYTES: u64 = 4 << 20;
/// More than any C library has, in bytes.
const MAX_LIBRARY_BYTES: u64 = 16 << 20;
/// What stands before the version, as long as it is that of a C library.
const BANNER: &[u8] = b"GNU C Library";
const RELEASE: &[u8] = b"release version ";
/// The longest banner, in bytes.
const MAX_BANNER_BYTES: usize = 256;

/// Finds the version; `None` if there is no glibc, or it doesn't say.
pub(super) fn of_this_process() -> Option<GlibcVersion> {
    let maps = read(Path::new("/proc/self/maps"), MAX_MAPS_BYTES)?;
    let library = library(&String::from_utf8_lossy(&maps))?;
    version(&read(&library, MAX_LIBRARY_BYTES)?)
}

/// Finds the C library among what is mapped into a process.
fn library(maps: &str) -> Option<PathBuf> {
    maps.lines()
        .filter_map(|line| line.find('/').and_then(|start| line.get(start..)))
        .map(Path::new)
        .find(|path| {
            let name = path.file_name().and_then(|name| name.to_str());
            // Since 2.34 it is the former, before it was mostly the latter.
            name.is_some_and(|name| {
                name == "libc.so.6" || (name.starts_with("libc-2.") && name.ends_with(".so"))
            })
        })
        .map(Path::to_owned)
}

/// Finds the version in a C library's bytes.
fn version(library: &[u8]) -> Option<GlibcVersion> {
    let mut rest = library;
    loop {
        let start = find(rest, BANNER)?;
        rest = rest.get(start + BANNER.len()..)?;
        let banner = rest.get(..MAX_BANNER_BYTES).unwrap_or(rest);
        if let Some(found) = find(banner, RELEASE)
            && let Some(text) = banner.get(found + RELEASE.len()..)
        {
            let is_part = |byte: &&u8| byte.is_ascii_digit() || **byte == b'.';
            let digits: Vec<u8> = text.iter().take_while(is_part).copied().collect();
            let text = String::from_utf8(digits).ok()?;
            return text.trim_end_matches('.').parse().ok();
        }
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

fn read(path: &Path, max_bytes: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = File::open(path).ok()?;
    file.take(max_bytes).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_version_that_the_system_tells() {
        let told = std::process::Command::new("getconf")
            .arg("GNU_LIBC_VERSION")
            .output();
        let told = told
            .ok()
            .map(|told| String::from_utf8(told.stdout).unwrap());
        let told = told.and_then(|text| Some(text.strip_prefix("glibc ")?.trim().parse().unwrap()));
        if let Some(told) = told {
            assert_eq!(of_this_process(), Some(told));
        }
        assert_eq!(of_this_process().is_some(), cfg!(target_env = "gnu"));
    }

    #[test]
    fn reads_banners_of_old_and_new_releases() {
        for (banner, expected) in [
            (
                "GNU C Library (Debian GLIBC 2.36-9+deb12u9) stable release version 2.36.\nCopyright",
                Some("2.36"),
            ),
            (
                "GNU C Library (GNU libc) development release version 2.42.9000.",
                Some("2.42"),
            ),
            (
                "GNU C Library, which\0GNU C Library (x) stable release version 2.9.",
                Some("2.9"),
            ),
            ("GNU C Library stable release version ", None),
            ("musl libc (x86_64)", None),
            ("", None),
        ] {
            let expected = expected.map(|version| version.parse().unwrap());
            assert_eq!(version(banner.as_bytes()), expected, "{banner}");
        }
    }

    #[test]
    fn finds_the_library_among_what_is_mapped() {
        let line = |path: &str| format!("7f00-7f01 r--p 00000000 fe:00 1234    {path}\n");
        let maps = line("") + &line("[heap]") + &line("/usr/lib/x86_64-linux-gnu/libc.so.6");
        let found = library(&maps).unwrap();
        assert_eq!(found, Path::new("/usr/lib/x86_64-linux-gnu/libc.so.6"));
        assert!(library(&line("/lib/libc-2.31.so")).is_some());
        assert!(library(&line("/lib/ld-musl-x86_64.so.1")).is_none());
        assert!(library(&line("/lib/libcrypto.so.3")).is_none());
    }
}
