//! Which allocator the process has, and how it is set up.
//!
//! The default is the C library's with two arenas: as many as there are workers, because each further one
//! keeps memory of its own. Blocks from 256 KiB on are mapped one by one, and so given back when they are freed:
//! left to itself the library raises that limit to the largest block that was ever freed, and then the page tables
//! of the store's databases (6 MB each, hardly touched) are zeroed and kept. The features `alloc-mimalloc` and `alloc-jemalloc` exist for the comparison in
//! `docs/benchmarks.md`. Only `main` and `version` call this.

#[cfg(all(feature = "alloc-mimalloc", feature = "alloc-jemalloc"))]
compile_error!("alloc-mimalloc and alloc-jemalloc exclude each other");

#[cfg(feature = "alloc-mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[cfg(feature = "alloc-jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Name of the allocator, for `barograph version`.
pub const NAME: &str = if cfg!(feature = "alloc-mimalloc") {
    "mimalloc"
} else if cfg!(feature = "alloc-jemalloc") {
    "jemalloc"
} else if cfg!(target_env = "gnu") {
    "glibc, 2 arenas"
} else {
    "system"
};

/// Sets the allocator up; to be called before there is a second thread.
#[cfg(all(
    target_env = "gnu",
    not(any(feature = "alloc-mimalloc", feature = "alloc-jemalloc"))
))]
pub fn set_up() {
    const ARENAS: libc::c_int = 2;
    const MAPPED_BYTES: libc::c_int = 256 << 10;
    for (parameter, value) in [
        (libc::M_ARENA_MAX, ARENAS),
        (libc::M_MMAP_THRESHOLD, MAPPED_BYTES),
    ] {
        // SAFETY: `mallopt` only sets a number inside of the C library, and no other thread runs yet.
        // It can refuse, and then the process merely needs more memory.
        let _ = unsafe { libc::mallopt(parameter, value) };
    }
}

/// Sets the allocator up; there is nothing to set with this one.
#[cfg(not(all(
    target_env = "gnu",
    not(any(feature = "alloc-mimalloc", feature = "alloc-jemalloc"))
)))]
pub fn set_up() {}
