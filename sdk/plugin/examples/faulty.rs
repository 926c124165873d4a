//! A fixture: does whatever `fault` names, and is a healthy collector where it names nothing.
//!
//! With `trigger`, the fault happens once: as soon as that file is there, which the fixture takes away first.
//! Without, it happens each time. Every fault is bounded by the fixture itself, in bytes, processes or seconds,
//! so that a test which fails to contain it harms no machine. `raw.rs` has the faults that the SDK prevents.

use std::{
    ffi::CString,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::{ffi::OsStrExt as _, fs::symlink},
    path::{Path, PathBuf},
    process, ptr, thread,
    time::Duration,
};

use barograph_sdk::{
    Collector, Counter, Error, Gauge, Manifest, Reload, Setup, Sink, Unit, export_collector, tokio,
};
use schemars::JsonSchema;
use serde::Deserialize;

/// How long a call hangs: longer than any deadline that a test sets.
const HANG: Duration = Duration::from_mins(1);
/// How often a slow start looks whether it may go on, and how long it waits at most.
const SLOW_START_LOOK: Duration = Duration::from_millis(10);
const SLOW_START_LOOKS_MAX: u32 = 5_000;
/// What `allocate` takes at each tick, and how often.
const PIECE_BYTES: usize = 64 << 20;
const PIECES_MAX: usize = 16;
/// Lines of 1 kB that `flood-stdout` prints: far more than a pipe holds.
const FLOOD_LINES: usize = 8 << 10;
const SERIES: usize = 100_000;
const GRANDCHILDREN: usize = 50;
/// What the process takes that `fork-allocate` starts.
const FORKED_BYTES: usize = 64 << 20;
/// Bytes that `fill-tmpfs` writes at a time, and how often, where it finds more room than it should.
const FILLER_BYTES: usize = 64 << 10;
const FILLERS_MAX: usize = 1 << 10;
const GARBAGE_BYTES: usize = 64 << 10;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    #[default]
    None,
    Panic,
    PanicThread,
    NullWrite,
    StackOverflow,
    Abort,
    Exit,
    HangCollect,
    HangAsync,
    HangCreate,
    HangStop,
    SlowStart,
    Allocate,
    FloodStdout,
    #[serde(rename = "series-100000")]
    Series,
    CloseFd3,
    GarbageLink,
    #[serde(rename = "fork-50")]
    Fork,
    ForkAllocate,
    #[serde(rename = "kill-0")]
    Kill,
    FillTmpfs,
    ChangeFolder,
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    fault: Fault,
    /// The file whose appearance lets the fault happen once.
    trigger: Option<PathBuf>,
    /// The folder that `fill-tmpfs` fills and `change-folder` changes.
    folder: PathBuf,
    /// Where `change-folder` writes what came of it.
    outcomes: PathBuf,
    /// Where `fork-50` writes the numbers of its processes.
    pids: PathBuf,
    /// Sampled as it is; a negative one is refused.
    setting: i32,
    /// Whether a changed configuration needs a new instance.
    restart: bool,
}

#[derive(Debug)]
pub struct Faulty {
    config: Config,
    clock: Counter,
    setting: Gauge,
    flock: Gauge<1>,
    held: Vec<Vec<u8>>,
}

impl Config {
    fn checked(self) -> Result<Self, Error> {
        if self.setting < 0 {
            return Err(Error::config("setting", "must not be negative"));
        }
        Ok(self)
    }

    /// Whether the fault is due; taking the trigger away makes it happen once, whoever looks next.
    fn is_due(&self) -> bool {
        self.trigger
            .as_ref()
            .is_none_or(|trigger| fs::remove_file(trigger).is_ok())
    }

    fn has(&self, fault: Fault) -> bool {
        self.fault == fault && self.is_due()
    }

    /// Waits for another trigger.
    fn wait_for_trigger(&self) {
        for _ in 0..SLOW_START_LOOKS_MAX {
            if self.is_due() {
                return;
            }
            thread::sleep(SLOW_START_LOOK);
        }
    }
}

impl Collector for Faulty {
    type Config = Config;
    const MANIFEST: Manifest = Manifest::new("faulty", "faulty", env!("CARGO_PKG_VERSION"));

    fn new(config: Config, setup: &mut Setup<'_>) -> Result<Self, Error> {
        let config = config.checked()?;
        let clock = setup
            .counter("faulty_clock_seconds_total")
            .help("Seconds of the wall clock: the same total whichever instance counts them.")
            .unit(Unit::Seconds)
            .build();
        let setting = setup.gauge("faulty_setting").help("As configured.").build();
        let flock = setup.gauge("faulty_flock").labels(["number"]).build();
        if config.has(Fault::HangCreate) {
            thread::sleep(HANG);
        }
        if config.has(Fault::SlowStart) {
            config.wait_for_trigger();
        }
        Ok(Self {
            config,
            clock,
            setting,
            flock,
            held: Vec::new(),
        })
    }

    async fn collect(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        self.clock.set_total(out, out.tick().at_ms / 1_000);
        self.setting.set(out, self.config.setting);
        let at_start_or_end = [
            Fault::None,
            Fault::HangCreate,
            Fault::SlowStart,
            Fault::HangStop,
        ];
        // What grows goes on growing until it is stopped.
        if !self.held.is_empty()
            || !at_start_or_end.contains(&self.config.fault) && self.config.is_due()
        {
            self.fail(out).await?;
        }
        Ok(())
    }

    fn reconfigure(&mut self, config: Config) -> Result<Reload, Error> {
        let config = config.checked()?;
        if config.restart {
            return Ok(Reload::Restart);
        }
        self.config = config;
        Ok(Reload::Applied)
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        if self.config.has(Fault::HangStop) {
            thread::sleep(HANG);
        }
    }
}

impl Faulty {
    async fn fail(&mut self, out: &mut Sink<'_>) -> Result<(), Error> {
        match self.config.fault {
            Fault::None | Fault::HangCreate | Fault::SlowStart | Fault::HangStop => {}
            Fault::Panic => panic!("as the fixture was told"),
            Fault::PanicThread => {
                thread::spawn(|| panic!("on a thread, as the fixture was told"));
            }
            Fault::NullWrite => write_null(),
            Fault::StackOverflow => {
                descend(0);
            }
            Fault::Abort => process::abort(),
            Fault::Exit => process::exit(3),
            Fault::HangCollect => thread::sleep(HANG),
            Fault::HangAsync => tokio::time::sleep(HANG).await,
            Fault::Allocate => self.allocate(),
            Fault::FloodStdout => flood()?,
            Fault::Series => {
                for number in 0..SERIES {
                    self.flock.with(out, [&number.to_string()]).set(1);
                }
            }
            Fault::CloseFd3 => {
                // SAFETY: it takes the host's link away, which is the fault; nothing here uses it afterwards.
                unsafe { libc::close(3) };
            }
            Fault::GarbageLink => write_garbage()?,
            Fault::Fork => fork(&self.config.pids)?,
            Fault::ForkAllocate => fork_allocate()?,
            Fault::Kill => kill_group()?,
            Fault::FillTmpfs => fill(&self.config.folder)?,
            Fault::ChangeFolder => change(&self.config.folder, &self.config.outcomes)?,
        }
        Ok(())
    }

    fn allocate(&mut self) {
        if self.held.len() < PIECES_MAX {
            // Each page is written to: one that nobody touched costs nothing.
            self.held.push(vec![1; PIECE_BYTES]);
        }
    }
}

/// Writes to a field of a struct that is not there.
fn write_null() {
    let field = ptr::null_mut::<u8>().wrapping_add(8);
    // SAFETY: there is none; the first page is never mapped, so the kernel ends the process here.
    unsafe { field.write_volatile(1) };
}

/// Calls itself until the stack is used up.
fn descend(depth: u64) -> u64 {
    let frame = std::hint::black_box([depth; 64]);
    if frame[0] == u64::MAX {
        return 0;
    }
    descend(depth + 1) + frame[1]
}

fn flood() -> io::Result<()> {
    let mut line = vec![b'x'; 1 << 10];
    line[(1 << 10) - 1] = b'\n';
    let mut stdout = io::stdout().lock();
    for _ in 0..FLOOD_LINES {
        stdout.write_all(&line)?;
    }
    Ok(())
}

/// Writes numbers without meaning where the host writes its frames.
fn write_garbage() -> io::Result<()> {
    let mut garbage = Vec::with_capacity(GARBAGE_BYTES);
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    while garbage.len() < GARBAGE_BYTES {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        garbage.extend(random.to_le_bytes());
    }
    // SAFETY: the bytes live for the call; that the descriptor is not ours is the fault.
    let written = unsafe { libc::write(3, garbage.as_ptr().cast(), garbage.len()) };
    if written < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Leaves processes behind that nobody waits for, each in a session of its own, and ends.
fn fork(pids: &Path) -> io::Result<()> {
    let mut forked = Vec::new();
    for _ in 0..GRANDCHILDREN {
        // SAFETY: the child makes nothing but system calls, as it must where other threads exist.
        let pid = unsafe { libc::fork() };
        match pid {
            0 => sleep_apart(),
            ..0 => return Err(io::Error::last_os_error()),
            _ => forked.push(pid),
        }
    }
    // SAFETY: the call takes no pointers.
    let is_apart = |pid: i32| unsafe { libc::getsid(pid) } == pid;
    while !forked.iter().all(|pid| is_apart(*pid)) {
        thread::yield_now();
    }
    let lines: Vec<String> = forked.iter().map(ToString::to_string).collect();
    fs::write(pids, lines.join("\n"))?;
    process::exit(4)
}

/// Starts a process that takes memory and keeps it, in a session of its own.
fn fork_allocate() -> io::Result<()> {
    // SAFETY: the child makes nothing but system calls.
    match unsafe { libc::fork() } {
        0 => {
            let access = libc::PROT_READ | libc::PROT_WRITE;
            // With all of its pages: one that nobody touched costs nothing.
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
            // SAFETY: new memory, which nobody uses.
            unsafe { libc::mmap(ptr::null_mut(), FORKED_BYTES, access, flags, -1, 0) };
            sleep_apart()
        }
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// The life of a grandchild, which ends after a minute at the latest.
fn sleep_apart() -> ! {
    // SAFETY: plain system calls; an alarm that nobody handles ends the process.
    unsafe {
        libc::setsid();
        libc::alarm(60);
        loop {
            libc::pause();
        }
    }
}

/// Kills its own process group, if that is the plugin's own.
fn kill_group() -> Result<(), Error> {
    // SAFETY: the calls take no pointers.
    let (own, group) = unsafe { (libc::getpid(), libc::getpgrp()) };
    if own != group {
        return Err(Error::fatal("the process leads no group of its own"));
    }
    // SAFETY: as above; the group is this process and its children.
    unsafe { libc::kill(0, libc::SIGKILL) };
    Ok(())
}

/// Writes until there is no room for more, and takes it away again.
fn fill(folder: &Path) -> Result<(), Error> {
    let path = folder.join("filler");
    let mut file = File::create(&path)?;
    let piece = vec![0x55; FILLER_BYTES];
    let written = (0..FILLERS_MAX).try_for_each(|_| file.write_all(&piece));
    fs::remove_file(&path)?;
    written.map_err(|error| Error::unavailable(format!("{}: {error}", folder.display())))
}

/// Does everything to a folder that loses what is in it, and writes down what came of each attempt.
fn change(folder: &Path, outcomes: &Path) -> Result<(), Error> {
    let mut entries = fs::read_dir(folder)?.flatten().map(|entry| entry.path());
    let Some(file) = entries.find(|path| path.is_file()) else {
        return Err(Error::fatal("there is no file in the folder"));
    };
    let attempts = [
        ("create", File::create_new(folder.join("new")).map(drop)),
        ("write", File::options().write(true).open(&file).map(drop)),
        ("append", File::options().append(true).open(&file).map(drop)),
        ("truncate", truncate(&file)),
        ("make a folder", fs::create_dir(folder.join("new"))),
        ("link", symlink(&file, folder.join("new"))),
        ("rename", fs::rename(&file, folder.join("new"))),
        ("move", fs::rename(&file, outcomes.with_extension("moved"))),
        (
            "rename it",
            fs::rename(folder, folder.with_extension("moved")),
        ),
        ("remove", fs::remove_file(&file)),
        ("remove it", fs::remove_dir_all(folder)),
    ];
    let lines = attempts.map(|(attempt, outcome)| match outcome {
        Ok(()) => format!("{attempt}: done\n"),
        Err(error) => format!("{attempt}: {error}\n"),
    });
    // Renamed, so that half of it is never read.
    let new = outcomes.with_extension("new");
    fs::write(&new, lines.concat())?;
    Ok(fs::rename(new, outcomes)?)
}

/// By its path, so that it is never opened for writing.
fn truncate(file: &Path) -> io::Result<()> {
    let path = CString::new(file.as_os_str().as_bytes())?;
    // SAFETY: the path ends in a zero and lives for the call.
    if unsafe { libc::truncate(path.as_ptr(), 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

export_collector!(Faulty);
