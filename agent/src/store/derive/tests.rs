//! Generations that went without anybody asking for it.

use super::*;
use crate::store::generation::Marker;

fn seal(generations: &Generations, start_ms: i64) {
    let block = Block { start_ms, epoch: 0 };
    let marker = Marker {
        groups: 0,
        series: 0,
        samples: 0,
    };
    generations.seal(block, marker).expect("the disk has room");
}

#[test]
fn a_folder_that_is_gone_between_others_is_missed_and_one_that_was_retired_is_not() {
    const WINDOW_MS: i64 = 6 * HOUR_MS;
    let root = tempfile::tempdir().expect("a folder");
    let levels = Level::ALL.map(|level| Generations::open(root.path(), level).expect("it opens"));
    let at = |window: i64| 1_799_280_000_000 + window * WINDOW_MS;
    for window in 0..4 {
        seal(&levels[Level::Raw as usize], at(window));
        seal(&levels[Level::Minute as usize], at(window));
    }
    assert_eq!(missing(&levels).expect("it reads"), [] as [String; 0]);
    levels[Level::Raw as usize].remove(at(2)).expect("it goes");
    let lost = missing(&levels).expect("it reads");
    assert_eq!(lost.len(), 1, "{lost:?}");
    let hours = period::between(at(2), at(3));
    assert!(
        lost[0].contains("lost the raw history of") && lost[0].contains(&hours),
        "{lost:?}"
    );
    // Retention takes the oldest first.
    for window in 0..2 {
        levels[Level::Raw as usize]
            .remove(at(window))
            .expect("it goes");
    }
    assert_eq!(missing(&levels).expect("it reads"), [] as [String; 0]);
}
