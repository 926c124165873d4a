//! What changes rarely: names and versions of the host, CPU frequency, temperatures, boot time.
//!
//! All of it comes from sysinfo, which knows the many places where such facts hide; it is too costly
//! to ask each second and is asked in slow ticks.

use barograph_sdk::Error;
use sysinfo::{Components, CpuRefreshKind, System};

/// The host as its own people call it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostNames {
    pub(crate) hostname: String,
    pub(crate) os: String,
    pub(crate) kernel: String,
    pub(crate) arch: String,
    pub(crate) cpu_model: String,
}

/// sysinfo's view of the machine.
#[derive(Debug)]
pub(crate) struct Host {
    system: System,
    components: Components,
}

impl Host {
    pub(crate) fn new() -> Result<Self, Error> {
        let failed = |error: sysinfo::Error| Error::unavailable(format!("sysinfo: {error}"));
        Ok(Self {
            system: System::new().map_err(failed)?,
            components: Components::new().map_err(failed)?,
        })
    }

    /// Reads frequencies and temperatures anew.
    pub(crate) fn refresh(&mut self) {
        self.system
            .refresh_cpu_specifics(CpuRefreshKind::nothing().with_frequency());
        self.components.refresh(true);
    }

    /// Names and versions; the hostname can change while the agent runs.
    pub(crate) fn names(&self) -> HostNames {
        let os = [System::name(), System::os_version()];
        HostNames {
            hostname: System::host_name().unwrap_or_default(),
            os: os.into_iter().flatten().collect::<Vec<_>>().join(" "),
            kernel: System::kernel_version().unwrap_or_default(),
            arch: System::cpu_arch(),
            cpu_model: self
                .system
                .cpus()
                .first()
                .map_or("", |cpu| cpu.brand())
                .trim()
                .to_owned(),
        }
    }

    /// Number of CPUs that are online.
    pub(crate) fn cpus(&self) -> usize {
        self.system.cpus().len()
    }

    /// Name and frequency of each CPU, in hertz; left out where the kernel does not say.
    pub(crate) fn frequencies(&self) -> impl Iterator<Item = (&str, u64)> {
        let cpus = self.system.cpus().iter();
        cpus.filter(|cpu| cpu.frequency() > 0).map(|cpu| {
            let number = cpu.name().strip_prefix("cpu").unwrap_or(cpu.name());
            (number, cpu.frequency().saturating_mul(1_000_000))
        })
    }

    /// Name and temperature of each sensor.
    pub(crate) fn temperatures(&self) -> impl Iterator<Item = (&str, f32)> {
        let sensors = self.components.iter();
        sensors.filter_map(|sensor| Some((sensor.label(), sensor.temperature()?)))
    }

    /// When the machine was started, Unix seconds, and how many seconds ago.
    pub(crate) fn boot() -> Option<(u64, u64)> {
        Some((System::boot_time().ok()?, System::uptime().ok()?))
    }
}
