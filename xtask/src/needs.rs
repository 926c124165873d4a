//! System packages that a task needs, and installing them.
//!
//! On Debian and Ubuntu, as root or with passwordless sudo, what is missing is installed by
//! apt-get; anywhere else the exact packages are named and the task stops. A service that such
//! a package brings is neither started nor enabled: the tests start their own.

use std::process::Command;

use crate::shell::{self, Fallible};

/// One thing that must be on the machine.
#[derive(Debug)]
pub(crate) struct Need {
    /// As a person calls it.
    pub(crate) name: &'static str,
    /// Any of these programs will do.
    pub(crate) programs: &'static [&'static str],
    /// Debian's packages that bring it.
    pub(crate) packages: &'static [&'static str],
    /// System services that the packages bring along, which must stay off.
    pub(crate) services: &'static [&'static str],
}

pub(crate) const C_COMPILER: Need = Need {
    name: "a C compiler",
    programs: &["cc"],
    packages: &["gcc", "libc6-dev"],
    services: &[],
};

pub(crate) const CXX_COMPILER: Need = Need {
    name: "a C++ compiler (the plugin header is checked as C++ too)",
    programs: &["c++"],
    packages: &["g++"],
    services: &[],
};

pub(crate) const MAKE: Need = Need {
    name: "make (plugins in C are built with it, and jemalloc)",
    programs: &["make"],
    packages: &["make"],
    services: &[],
};

pub(crate) const CURL: Need = Need {
    name: "curl (the guide for plugins asks the agent with it)",
    programs: &["curl"],
    packages: &["curl"],
    services: &[],
};

pub(crate) const CHROMIUM: Need = Need {
    name: "Chromium",
    programs: &["chromium"],
    packages: &["chromium"],
    services: &[],
};

pub(crate) const PROMTOOL: Need = Need {
    name: "promtool",
    programs: &["promtool"],
    packages: &["prometheus"],
    services: &["prometheus"],
};

pub(crate) const VICTORIA_METRICS: Need = Need {
    name: "VictoriaMetrics",
    programs: &["victoria-metrics"],
    packages: &["victoria-metrics"],
    services: &["victoria-metrics"],
};

pub(crate) const NODE_EXPORTER: Need = Need {
    name: "prometheus-node-exporter",
    programs: &["prometheus-node-exporter"],
    packages: &["prometheus-node-exporter"],
    services: &["prometheus-node-exporter"],
};

pub(crate) const NETDATA: Need = Need {
    name: "Netdata",
    programs: &["netdata"],
    packages: &["netdata-core", "netdata-plugins-bash"],
    services: &["netdata"],
};

pub(crate) const PYTHON: Need = Need {
    name: "Python's venv",
    programs: &[],
    packages: &["python3", "python3-venv"],
    services: &[],
};

impl Need {
    fn is_met(&self) -> bool {
        self.programs
            .iter()
            .any(|program| shell::find(program).is_some())
    }
}

/// Sees to it that every need is met.
pub(crate) fn ensure(needs: &[&Need]) -> Fallible {
    let missing: Vec<&Need> = needs
        .iter()
        .copied()
        .filter(|need| !need.is_met())
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    install(&missing)?;
    match missing
        .iter()
        .find(|need| !need.programs.is_empty() && !need.is_met())
    {
        None => Ok(()),
        Some(need) => Err(format!(
            "{} is still missing although {} was installed; put one of these on the PATH: {}",
            need.name,
            need.packages.join(" "),
            need.programs.join(" ")
        )
        .into()),
    }
}

/// Installs the packages of every need given, met or not.
pub(crate) fn install(needs: &[&Need]) -> Fallible {
    let packages: Vec<&str> = needs
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    let services: Vec<&str> = needs
        .iter()
        .flat_map(|need| need.services)
        .copied()
        .collect();
    let names: Vec<&str> = needs.iter().map(|need| need.name).collect();
    let Some(mut command) = administrator() else {
        return Err(format!(
            "missing: {}; install it (on Debian or Ubuntu: apt-get install {}), \
             or run this as root or with passwordless sudo on such a system",
            names.join(", "),
            packages.join(" ")
        )
        .into());
    };
    println!("installing {}: {}", names.join(", "), packages.join(" "));
    let installed = command
        .args(["sh", "-c", INSTALL, "install"])
        .arg(services.join(" "))
        .args(&packages)
        .status()
        .map_err(|error| format!("cannot start apt-get: {error}"))?;
    if installed.success() {
        return Ok(());
    }
    Err(format!(
        "apt-get could not install {}; see its complaint above",
        packages.join(" ")
    )
    .into())
}

/// `env` as the administrator, or nothing where there is no apt-get or no such right.
fn administrator() -> Option<Command> {
    shell::find("apt-get")?;
    let mut command = if rustix::process::geteuid().is_root() {
        Command::new("env")
    } else {
        let allowed = Command::new("sudo").args(["-n", "true"]).output().ok()?;
        if !allowed.status.success() {
            return None;
        }
        let mut command = Command::new("sudo");
        command.args(["-n", "env"]);
        command
    };
    command.arg("DEBIAN_FRONTEND=noninteractive");
    Some(command)
}

/// Debian asks `policy-rc.d` before a package may start its service. Ours refuses, and goes away
/// with the shell, also on Ctrl-C; a policy of the machine's own (containers have one) is kept.
const INSTALL: &str = r#"
set -eu
services=$1; shift
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ] || grep -q 'xtask' "$policy"; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '#!/bin/sh\n# Written by xtask while it installs packages.\nexit 101\n' > "$policy"
    chmod 755 "$policy"
fi
apt() { apt-get -qq -o DPkg::Lock::Timeout=300 "$@"; }
apt update || { sleep 5; apt update; }
apt install --yes --no-install-recommends "$@" > /dev/null
for service in $services; do
    if command -v systemctl > /dev/null; then
        systemctl --quiet disable "$service" || true
    elif command -v update-rc.d > /dev/null; then
        update-rc.d "$service" disable || true
    fi
done
"#;
