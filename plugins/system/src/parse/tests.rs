//! Golden files are in `testdata/linux-VERSION`; each is also cut off at every byte and damaged.

use proptest::prelude::*;

use super::*;

const STAT: &str = include_str!("../../testdata/linux-6.1/proc/stat");
const MEMINFO: &str = include_str!("../../testdata/linux-6.1/proc/meminfo");
const VMSTAT: &str = include_str!("../../testdata/linux-6.1/proc/vmstat");
const DISKSTATS: &str = include_str!("../../testdata/linux-6.1/proc/diskstats");
const PRESSURE: &str = include_str!("../../testdata/linux-6.1/proc/pressure/io");
const LOADAVG: &str = include_str!("../../testdata/linux-6.1/proc/loadavg");
const FILE_NR: &str = include_str!("../../testdata/linux-6.1/proc/sys/fs/file-nr");
const OLD_STAT: &str = include_str!("../../testdata/linux-3.10/proc/stat");
const OLD_MEMINFO: &str = include_str!("../../testdata/linux-3.10/proc/meminfo");

fn stat_of(text: &str) -> Stat {
    let mut parsed = Stat::default();
    stat(text, &mut parsed);
    parsed
}

#[test]
fn stat_golden() {
    let expected = Stat {
        total: Some(CpuTimes([10_000, 200, 3_000, 80_000, 500, 0, 100, 50])),
        cpus: vec![
            (0, CpuTimes([6_000, 100, 2_000, 39_000, 300, 0, 60, 20])),
            (1, CpuTimes([4_000, 100, 1_000, 41_000, 200, 0, 40, 30])),
        ],
        interrupts: Some(1_005_849),
        context_switches: Some(2_110_149),
        forks: Some(42_269),
        processes_running: Some(2),
        processes_blocked: Some(1),
    };
    assert_eq!(stat_of(STAT), expected);
}

#[test]
fn an_old_stat_has_no_time_stolen() {
    let parsed = stat_of(OLD_STAT);
    assert_eq!(parsed.total, Some(CpuTimes([10, 2, 3, 80, 0, 0, 0, 0])));
    assert_eq!(parsed.interrupts, Some(5));
}

#[test]
fn stat_is_read_over_an_earlier_one() {
    let mut parsed = stat_of(STAT);
    stat(OLD_STAT, &mut parsed);
    assert_eq!(parsed, stat_of(OLD_STAT));
}

#[test]
fn shares_add_up_to_one() {
    let earlier = CpuTimes([100, 0, 50, 800, 50, 0, 0, 0]);
    let now = CpuTimes([130, 0, 60, 840, 60, 5, 5, 0]);
    let shares = now.since(&earlier).unwrap();
    assert!((shares.modes.iter().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((shares.busy - 0.5).abs() < 1e-12, "{shares:?}");
    assert_eq!(now.since(&now), None);
}

#[test]
fn a_counter_of_idle_time_that_falls_does_no_harm() {
    let earlier = CpuTimes([100, 0, 0, 801, 50, 0, 0, 0]);
    let now = CpuTimes([150, 0, 0, 800, 100, 0, 0, 0]);
    assert!((now.since(&earlier).unwrap().busy - 0.5).abs() < 1e-12);
}

#[test]
fn loadavg_golden() {
    assert_eq!(loadavg(LOADAVG), Some([0.52, 1.25, 0.98]));
    assert_eq!(loadavg("0.52 1.25\n"), None);
    assert_eq!(loadavg("nan inf 1\n"), None);
}

#[test]
fn meminfo_golden() {
    let parsed = meminfo(MEMINFO);
    assert_eq!(parsed.total, Some(8_000_000 * 1024));
    assert_eq!(parsed.available, Some(5_000_000 * 1024));
    assert_eq!(parsed.committed, Some(4_000_000 * 1024));
    assert_eq!(
        parsed.used(),
        Some((8_000_000 - 1_000_000 - 200_000 - 3_500_000 - 300_000) * 1024)
    );
    let parts = [
        parsed.used(),
        parsed.free,
        parsed.buffers,
        parsed.cached,
        parsed.slab_reclaimable,
    ];
    assert_eq!(parts.iter().flatten().sum::<u64>(), 8_000_000 * 1024);
}

#[test]
fn an_old_meminfo_says_nothing_of_available_memory() {
    let parsed = meminfo(OLD_MEMINFO);
    assert_eq!(parsed.available, None);
    assert_eq!(parsed.used(), Some(400 * 1024));
}

#[test]
fn vmstat_golden() {
    let expected = Vmstat {
        swap_in_pages: Some(0),
        swap_out_pages: Some(0),
        faults: Some(5_000_000),
        faults_major: Some(1_234),
        oom_kills: Some(3),
    };
    assert_eq!(vmstat(VMSTAT), expected);
    // The golden files have none of these, as a page's size is this machine's.
    let swapped = vmstat("pswpin 100\npswpout 250\n");
    assert_eq!(
        (swapped.swap_in_pages, swapped.swap_out_pages),
        (Some(100), Some(250))
    );
}

#[test]
fn pressure_golden() {
    let stalls: Vec<Stall> = pressure(PRESSURE).collect();
    let some = Stall {
        full: false,
        avg10_ratio: 0.95 / 100.0,
        total_us: 12_284_764,
    };
    let full = Stall {
        full: true,
        avg10_ratio: 0.9 / 100.0,
        total_us: 11_981_203,
    };
    assert_eq!(stalls, [some, full]);
}

#[test]
fn diskstats_golden() {
    let devices: Vec<_> = diskstats(DISKSTATS).collect();
    let names: Vec<&str> = devices.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["loop0", "nvme0n1", "nvme0n1p1", "dm-0"]);
    let expected = DiskTotals {
        reads: 32_386,
        read_sectors: 3_562_682,
        read_ms: 23_905,
        writes: 19_266,
        written_sectors: 2_622_936,
        write_ms: 6_664,
        in_flight: 2,
        busy_ms: 16_276,
    };
    assert_eq!(devices[1].1, expected);
}

#[test]
fn use_of_a_disk() {
    let earlier = DiskTotals {
        reads: 10,
        read_ms: 100,
        busy_ms: 500,
        ..Default::default()
    };
    let now = DiskTotals {
        reads: 12,
        read_ms: 110,
        writes: 2,
        write_ms: 30,
        busy_ms: 750,
        ..earlier
    };
    let done = now.since(&earlier, 1000.0).unwrap();
    assert_eq!(
        done,
        DiskUse {
            utilization_ratio: 0.25,
            await_seconds: 0.01
        }
    );
    let idle = now.since(&now, 1000.0).unwrap();
    assert_eq!(
        idle,
        DiskUse {
            utilization_ratio: 0.0,
            await_seconds: 0.0
        }
    );
    assert_eq!(earlier.since(&now, 1000.0), None, "the device was replaced");
    assert_eq!(now.since(&earlier, 0.0), None);
}

#[test]
fn file_nr_golden() {
    assert_eq!(file_nr(FILE_NR), Some((4_140, 2_466_177)));
    assert_eq!(file_nr("1 2\n"), None);
}

#[test]
fn a_text_cut_off_gives_fewer_values_and_never_wrong_ones() {
    for cut in 0..STAT.len() {
        let (part, whole) = (stat_of(&STAT[..cut]), stat_of(STAT));
        assert!(whole.cpus.starts_with(&part.cpus), "{cut}");
        assert!(part.total.is_none() || part.total == whole.total, "{cut}");
        assert!(
            part.interrupts.is_none() || part.interrupts == whole.interrupts,
            "{cut}"
        );
    }
    let whole: Vec<_> = diskstats(DISKSTATS).collect();
    for cut in 0..DISKSTATS.len() {
        assert!(
            whole.starts_with(&diskstats(&DISKSTATS[..cut]).collect::<Vec<_>>()),
            "{cut}"
        );
    }
    for cut in 0..MEMINFO.len() {
        let part = meminfo(&MEMINFO[..cut]);
        assert!(
            part.swap_free.is_none_or(|free| free == 1_500_000 * 1024),
            "{cut}"
        );
    }
    for cut in 0..PRESSURE.len() {
        let whole: Vec<_> = pressure(PRESSURE).collect();
        assert!(
            whole.starts_with(&pressure(&PRESSURE[..cut]).collect::<Vec<_>>()),
            "{cut}"
        );
    }
}

fn parse_all(text: &str) {
    stat_of(text)
        .total
        .and_then(|total| total.since(&CpuTimes::default()));
    let _ = (
        loadavg(text),
        meminfo(text).used(),
        vmstat(text),
        file_nr(text),
    );
    for stall in pressure(text) {
        assert!((0.0..=1.0).contains(&stall.avg10_ratio));
    }
    for (_, totals) in diskstats(text) {
        if let Some(done) = totals.since(&DiskTotals::default(), 1000.0) {
            assert!((0.0..=1.0).contains(&done.utilization_ratio) && done.await_seconds >= 0.0);
        }
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in "\\PC{0,200}(\\n\\PC{0,40}){0,4}") {
        parse_all(&text);
    }

    #[test]
    fn damage_is_survived(file in 0..7_usize, at in 0..4000_usize, with in "[ -~\\n]{0,24}") {
        let file = [STAT, MEMINFO, VMSTAT, DISKSTATS, PRESSURE, LOADAVG, FILE_NR][file];
        let at = at % file.len();
        let end = (at + with.len()).min(file.len());
        parse_all(&format!("{}{with}{}", &file[..at], &file[end..]));
    }

    #[test]
    fn shares_are_shares(earlier in any::<[u32; 8]>(), spent in any::<[u32; 8]>()) {
        let (mut before, mut after) = (CpuTimes::default(), CpuTimes::default());
        for mode in 0..8 {
            before.0[mode] = earlier[mode].into();
            after.0[mode] = before.0[mode] + u64::from(spent[mode]);
        }
        if let Some(shares) = after.since(&before) {
            prop_assert!((shares.modes.iter().sum::<f64>() - 1.0).abs() < 1e-9);
            prop_assert!((0.0..=1.0).contains(&shares.busy));
        } else {
            prop_assert_eq!(spent, [0; 8]);
        }
    }
}
