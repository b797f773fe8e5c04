//! What the system knows of this process.

use std::time::Duration;

/// Time and memory that this process took; `None` where the system does not say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Process {
    /// On all processors, for the process and for the system on its behalf.
    pub(crate) cpu: Option<Duration>,
    /// Memory that is in RAM, shared pages included.
    pub(crate) resident_bytes: Option<u64>,
}

impl Process {
    /// As it stands.
    pub(crate) fn now() -> Self {
        let memory = memory_stats::memory_stats();
        let resident = memory.and_then(|memory| u64::try_from(memory.physical_mem).ok());
        Process { cpu: cpu(), resident_bytes: resident }
    }
}

#[cfg(unix)]
fn cpu() -> Option<Duration> {
    Duration::try_from(rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime)).ok()
}

#[cfg(not(unix))]
fn cpu() -> Option<Duration> {
    None
}
