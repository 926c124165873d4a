//! The machine that the agent runs on, read once at start.

use crate::protocol::HostInfo;

/// Reads host name, distribution, kernel and size; what can't be read stays empty.
pub(crate) fn read() -> HostInfo {
    let uname = rustix::system::uname();
    let text = |text: &std::ffi::CStr| text.to_string_lossy().into_owned();
    let memory = rustix::system::sysinfo();
    let cpus = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    HostInfo {
        hostname: text(uname.nodename()),
        os: distribution().unwrap_or_else(|| text(uname.sysname())),
        kernel: text(uname.release()),
        arch: text(uname.machine()),
        cpus: u32::try_from(cpus).unwrap_or(u32::MAX),
        memory_bytes: u64::from(memory.mem_unit) * memory.totalram,
    }
}

fn distribution() -> Option<String> {
    let text = std::fs::read_to_string("/etc/os-release").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("PRETTY_NAME="))?;
    Some(line.trim_matches('"').to_owned())
}
