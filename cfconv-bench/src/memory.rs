//! How much memory work takes beyond what was there before it.

/// Watches the resident memory of this process from its creation on.
pub(crate) struct MemoryWatch {
    before_mib: Option<f64>,
}

impl MemoryWatch {
    /// Begins to watch: memory touched before does not count.
    pub(crate) fn start() -> Self {
        // 5 sets the peak to the present value (proc(5), clear_refs). Where that fails the peak may date from
        // before, which would show as too much memory, never as too little.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        Self { before_mib: status_mib("VmRSS:") }
    }

    /// Largest resident memory since the start, less that at the start, in MiB; `None` where the system does
    /// not tell.
    pub(crate) fn growth_mib(&self) -> Option<f64> {
        Some((status_mib("VmHWM:")? - self.before_mib?).max(0.0))
    }
}

/// A field of `/proc/self/status`, which counts in units of 1024 bytes.
fn status_mib(field: &str) -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field))?;
    let kib: f64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}

pub(crate) fn mib(bytes: usize) -> f64 {
    bytes as f64 / (1 << 20) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn growth_covers_what_was_touched_since() {
        let watch = MemoryWatch::start();
        let held = vec![1_u8; 64 << 20];
        drop(std::hint::black_box(held));
        assert!(watch.growth_mib().unwrap() >= 60.0, "{:?}", watch.growth_mib());
    }
}
