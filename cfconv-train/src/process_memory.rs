//! How much memory this process has used.

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_lines_are_read() {
        assert_eq!(parse_peak_mib("Name:\tx\nVmHWM:\t   20480 kB\n"), Some(20.0));
        assert_eq!(parse_peak_mib("Name:\tx\n"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn peak_covers_what_is_held() {
        let held = vec![1_u8; 64 << 20];
        assert!(held.iter().all(|&byte| byte == 1));
        assert!(peak_mib().unwrap() >= 64.0);
    }
}
