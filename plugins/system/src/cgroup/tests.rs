use proptest::prelude::*;

use super::*;

/// A process whose cgroup2 hierarchy is mounted at `folder/cgroup`, with the given files in it.
fn process(folder: &Path, own: &str, files: &[(&str, &str)]) -> PathBuf {
    let (process, mount) = (folder.join("self"), folder.join("cgroup"));
    fs::create_dir_all(&process).unwrap();
    fs::write(process.join("cgroup"), format!("1:cpu:/old\n0::{own}\n")).unwrap();
    let mount_point = mount.display();
    let mountinfo = format!(
        "22 1 254:0 / / rw - ext4 /dev/vda rw\n30 22 0:26 / {mount_point} rw - cgroup2 cgroup2 rw\n"
    );
    fs::write(process.join("mountinfo"), mountinfo).unwrap();
    for (path, text) in files {
        let path = mount.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    process
}

const USED: &[(&str, &str)] = &[
    ("memory.current", "300\n"),
    ("memory.stat", "anon 100\nfile 200\ninactive_file 50\n"),
    (
        "cpu.stat",
        "usage_usec 70\nuser_usec 50\nsystem_usec 20\nnr_periods 9\nnr_throttled 2\nthrottled_usec 8\n",
    ),
];

#[test]
fn a_container_is_measured_against_the_limits_at_its_mount_point() {
    let folder = tempfile::tempdir().unwrap();
    let limits = [
        ("cgroup.type", "domain\n"),
        ("memory.max", "1000\n"),
        ("cpu.max", "150000 100000\n"),
        ("cpuset.cpus", "0-3\n"),
    ];
    let process = process(folder.path(), "/", &[&limits, USED].concat());
    let mut cgroup = Cgroup::open(&process, Limits::Auto).unwrap();
    assert!(cgroup.is_machine);
    assert_eq!(
        cgroup.limit,
        Limit {
            memory_bytes: Some(1000),
            cpus: Some(1.5)
        }
    );
    let usage = cgroup.usage(&mut Vec::new());
    assert_eq!(usage.memory_bytes, Some(300));
    assert_eq!(usage.working_set_bytes(), Some(250));
    assert_eq!(usage.cpu.throttled_us, Some(8));
    fs::write(folder.path().join("cgroup/memory.max"), "max\n").unwrap();
    cgroup.refresh_limit();
    assert_eq!(cgroup.limit.memory_bytes, None);
    assert!(!Cgroup::open(&process, Limits::Machine).unwrap().is_machine);
}

#[test]
fn a_limited_service_is_sampled_but_is_not_the_machine() {
    let folder = tempfile::tempdir().unwrap();
    let files = [
        ("system.slice/memory.max", "9000\n"),
        ("system.slice/b.service/memory.max", "max\n"),
        ("system.slice/b.service/cpu.max", "max 100000\n"),
    ];
    let process = process(folder.path(), "/system.slice/b.service", &files);
    let cgroup = Cgroup::open(&process, Limits::Auto).unwrap();
    assert!(!cgroup.is_machine);
    assert_eq!(
        cgroup.limit,
        Limit {
            memory_bytes: Some(9000),
            cpus: None
        }
    );
    assert!(Cgroup::open(&process, Limits::Cgroup).unwrap().is_machine);
}

#[test]
fn without_limits_and_container_there_is_nothing_to_respect() {
    let folder = tempfile::tempdir().unwrap();
    let process = process(
        folder.path(),
        "/user.slice",
        &[("user.slice/memory.max", "max\n")],
    );
    assert!(Cgroup::open(&process, Limits::Auto).is_none());
    assert!(Cgroup::open(&folder.path().join("absent"), Limits::Auto).is_none());
}

#[test]
fn a_container_in_the_hosts_namespace_is_known_by_its_path() {
    let folder = tempfile::tempdir().unwrap();
    let process = process(
        folder.path(),
        "/docker/ab12",
        &[("docker/ab12/memory.max", "500\n")],
    );
    let cgroup = Cgroup::open(&process, Limits::Auto).unwrap();
    assert!(cgroup.is_machine);
    assert_eq!(cgroup.limit.memory_bytes, Some(500));
}

#[test]
fn cpu_lists_and_quotas() {
    assert_eq!(cpu_count("0-3,8\n"), Some(5.0));
    assert_eq!(cpu_count("\n"), None);
    assert_eq!(cpu_count("3-1\n"), None);
    assert_eq!(cpu_max("50000 100000\n"), Some(0.5));
    assert_eq!(cpu_max("max 100000\n"), None);
    assert_eq!(cpu_max("1 0\n"), None);
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "[0-9a-z .,:/\\n-]{0,200}") {
        let _ = (cpu_stat(&text), cpu_max(&text), own_path(&text), mount(&text));
        prop_assert!(cpu_count(&text).is_none_or(|count| count >= 1.0));
    }
}
