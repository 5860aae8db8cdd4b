//! How much memory this process has.

use std::fs;

use squall::Result;

/// Returns how many bytes of memory this process has now, shared ones with it.
///
/// # Errors
/// The system doesn't say.
pub(super) fn resident_bytes() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    Ok(parse(&status).ok_or("the system doesn't say how much memory a process has")?)
}

fn parse(status: &str) -> Option<u64> {
    let mut lines = status.lines();
    let kib = lines.find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = kib.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_kib() {
        assert_eq!(parse("Name:\tsquall\nVmRSS:\t    2048 kB\n"), Some(2 << 20));
        assert_eq!(parse("Name:\tsquall\n"), None);
        assert!(resident_bytes().unwrap() > 1 << 20);
    }
}
