//! How much memory this process has used, and how much there is.

/// Largest resident memory of this process so far, in MiB, where the system tells (Linux).
///
/// # Source
/// `VmHWM` of `/proc/self/status`, in units of 1024 bytes.
pub fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    parse_peak_mib(&status)
}

fn parse_peak_mib(status: &str) -> Option<f64> {
    let value = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

/// Memory in bytes that processes can still take without swapping, where the system tells (Linux).
///
/// # Source
/// `MemAvailable` of `/proc/meminfo`, in units of 1024 bytes.
pub fn available_bytes() -> Option<usize> {
    parse_available_bytes(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

fn parse_available_bytes(meminfo: &str) -> Option<usize> {
    let value = meminfo.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_read() {
        assert_eq!(parse_peak_mib("Name:\tx\nVmHWM:\t   20480 kB\n"), Some(20.0));
        assert_eq!(parse_peak_mib("Name:\tx\n"), None);
        assert_eq!(parse_available_bytes("MemTotal: 9 kB\nMemAvailable:     3 kB\n"), Some(3072));
        assert_eq!(parse_available_bytes("MemTotal: 9 kB\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_covers_what_is_held() {
        let held = vec![1_u8; 64 << 20];
        assert!(held.iter().all(|&byte| byte == 1));
        assert!(peak_mib().unwrap() >= 64.0);
    }
}
