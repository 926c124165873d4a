//! Netdata as a rival: Debian's package, its own temporary folders, one second, on loopback.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::process::{self, Cost};
use crate::bench::request::Connection;
use crate::bench::served;
use crate::needs;
use crate::shell::{self, Fallible};

const START_LIMIT: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(crate) struct Netdata {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Netdata {
    pub(crate) fn start(folder: PathBuf) -> Fallible<Self> {
        needs::ensure(&[&needs::NETDATA])?;
        let program = shell::find("netdata").ok_or("netdata is not on the PATH")?;
        let _ = fs::remove_dir_all(&folder);
        for name in ["cache", "lib", "log", "conf"] {
            fs::create_dir_all(folder.join(name))?;
        }
        // Netdata can't be told to take any free port and say which.
        let port = TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port();
        let config = folder.join("netdata.conf");
        fs::write(&config, Self::config(&folder, port))?;
        let log = fs::File::create(folder.join("netdata.log"))?;
        let child = Command::new(program)
            .arg("-D")
            .arg("-c")
            .arg(&config)
            .arg("-P")
            .arg(folder.join("netdata.pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .map_err(|error| format!("cannot start netdata: {error}"))?;
        let netdata = Self {
            child,
            folder,
            port,
        };
        netdata.wait()?;
        Ok(netdata)
    }

    pub(crate) fn cost(&self) -> Fallible<Cost> {
        process::cost(self.child.id())
    }

    /// Netdata's word for a series.
    pub(crate) fn dimensions(&self) -> Fallible<usize> {
        let text = Connection::open(self.port)?.get("/api/v1/charts")?;
        let charts: serde_json::Value = serde_json::from_str(&text)?;
        charts["dimensions_count"]
            .as_u64()
            .and_then(|count| usize::try_from(count).ok())
            .ok_or_else(|| "netdata does not say how many dimensions it has".into())
    }

    fn config(folder: &std::path::Path, port: u16) -> String {
        let folder = folder.display();
        format!(
            "[global]\n    run as user = {user}\n    update every = 1\n\
             [db]\n    update every = 1\n\
             [directories]\n    cache = {folder}/cache\n    lib = {folder}/lib\n    log = {folder}/log\n\
             [web]\n    bind to = 127.0.0.1:{port}\n    default port = {port}\n    enable gzip compression = no\n\
             [ml]\n    enabled = no\n\
             [cloud]\n    enabled = no\n\
             [statsd]\n    enabled = no\n",
            user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
        )
    }

    fn wait(&self) -> Fallible {
        let began = Instant::now();
        while began.elapsed() < START_LIMIT {
            if self.dimensions().is_ok_and(|count| count > 0) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        let log = fs::read_to_string(self.folder.join("netdata.log")).unwrap_or_default();
        Err(format!("netdata does not answer on port {}:\n{log}", self.port).into())
    }
}

impl Drop for Netdata {
    fn drop(&mut self) {
        served::stop(&mut self.child);
        let _ = fs::remove_dir_all(&self.folder);
    }
}
