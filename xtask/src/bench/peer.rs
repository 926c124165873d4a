//! Prometheus and VictoriaMetrics as rivals of the store: Debian's packages, folders of their own, loopback,
//! the same samples.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::bench::process;
use crate::bench::request::{Connection, post_file};
use crate::bench::served;
use crate::shell::{self, Fallible};

const START_LIMIT: Duration = Duration::from_mins(1);

/// A rival that serves its history; dropping it ends the process.
#[derive(Debug)]
pub(crate) struct Peer {
    child: Child,
    port: u16,
    data: PathBuf,
}

impl Peer {
    /// Prometheus on blocks that promtool makes of an OpenMetrics file.
    pub(crate) fn prometheus(folder: &Path, openmetrics: &Path) -> Fallible<Self> {
        let data = folder.join("prometheus");
        fs::create_dir_all(&data)?;
        let config = folder.join("prometheus.yml");
        fs::write(&config, "global: {}\n")?;
        let mut make = Command::new("promtool");
        make.args(["tsdb", "create-blocks-from", "openmetrics", "--quiet"])
            .arg(openmetrics)
            .arg(&data);
        shell::run(&mut make)?;
        let port = free_port()?;
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.tsdb.path={}", data.display()))
            .arg("--storage.tsdb.retention.time=10y")
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("prometheus.log"))?)
            .spawn()
            .map_err(|error| format!("cannot start prometheus: {error}"))?;
        let peer = Self { child, port, data };
        peer.wait("/-/ready")?;
        Ok(peer)
    }

    /// VictoriaMetrics, into which a file of JSON lines is imported.
    pub(crate) fn victoria(folder: &Path, lines: &Path) -> Fallible<Self> {
        let data = folder.join("victoria");
        let port = free_port()?;
        let child = Command::new("victoria-metrics")
            .arg(format!("-storageDataPath={}", data.display()))
            .arg("-retentionPeriod=10y")
            .arg("-search.disableCache")
            .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(folder.join("victoria.log"))?)
            .spawn()
            .map_err(|error| format!("cannot start victoria-metrics: {error}"))?;
        let peer = Self { child, port, data };
        peer.wait("/health")?;
        post_file(port, "/api/v1/import", lines)?;
        let mut connection = Connection::open(port)?;
        connection.get("/internal/force_flush")?;
        connection.get("/internal/force_merge")?;
        // Merging goes on in the background; the folder is at rest when its size is.
        let (mut size, mut rest) = (0, 0);
        while rest < 3 {
            std::thread::sleep(Duration::from_secs(1));
            let now = peer.disk_bytes()?;
            rest = if now == size { rest + 1 } else { 0 };
            size = now;
        }
        Ok(peer)
    }

    /// Real blocks of its folder.
    pub(crate) fn disk_bytes(&self) -> Fallible<u64> {
        disk_bytes(&self.data)
    }

    /// Proportional memory.
    pub(crate) fn pss_bytes(&self) -> Fallible<u64> {
        Ok(process::cost(self.child.id())?.pss_bytes)
    }

    /// Milliseconds of each round of these requests, one after another.
    pub(crate) fn times(&self, paths: &[String], rounds: usize) -> Fallible<Vec<f64>> {
        times(self.port, paths, rounds)
    }

    fn wait(&self, path: &str) -> Fallible {
        let began = Instant::now();
        loop {
            match Connection::open(self.port).and_then(|mut connection| connection.get(path)) {
                Ok(_) => return Ok(()),
                Err(error) if began.elapsed() > START_LIMIT => {
                    return Err(format!("port {} gives no answer: {error}", self.port).into());
                }
                Err(_) => std::thread::sleep(Duration::from_millis(100)),
            }
        }
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        served::stop(&mut self.child);
    }
}

/// Milliseconds of each round of these requests over one connection, one after another.
pub(crate) fn times(port: u16, paths: &[String], rounds: usize) -> Fallible<Vec<f64>> {
    let mut connection = Connection::open(port)?;
    let mut times = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let began = Instant::now();
        for path in paths {
            let answer = connection.get(path)?;
            if answer.len() < 1_000 {
                return Err(format!("{path} gave next to nothing: {answer}").into());
            }
        }
        times.push(began.elapsed().as_secs_f64() * 1e3);
    }
    Ok(times)
}

/// Real blocks of a folder and all below it.
pub(crate) fn disk_bytes(folder: &Path) -> Fallible<u64> {
    use std::os::unix::fs::MetadataExt as _;
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let found = entry.metadata()?;
        bytes += if found.is_dir() {
            disk_bytes(&entry.path())?
        } else {
            found.blocks() * 512
        };
    }
    Ok(bytes)
}

fn free_port() -> Fallible<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
