//! `doctor`: on a healthy folder, and on damaged ones.

use super::*;

#[test]
fn the_doctor_finds_nothing_in_a_healthy_folder_and_changes_nothing() {
    let history = History::make();
    let list = || {
        let output = Command::new("find")
            .arg(history.data())
            .args(["-type", "f", "-printf", "%p %s %T@\\n"])
            .output();
        let listed = stdout(&output.expect("find"));
        let mut lines: Vec<_> = listed
            .lines()
            .filter(|line| !line.contains("/lock "))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    let before = list();
    let output = history.run(&history.data(), &["doctor"]);
    let said = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{said}{}", stderr(&output));
    assert!(said.ends_with("everything is whole\n"), "{said}");
    assert!(
        said.lines()
            .any(|line| line.starts_with("raw ") && line.ends_with(" B")),
        "{said}"
    );
    assert_eq!(list(), before);
}

/// The database of the oldest raw generation.
fn oldest_database(history: &History) -> PathBuf {
    let raw = history.data().join("raw");
    let names = fs::read_dir(&raw).expect("raw").flatten();
    let oldest = names
        .filter_map(|entry| entry.file_name().to_string_lossy().parse::<i64>().ok())
        .min();
    raw.join(oldest.expect("a generation").to_string())
        .join("db")
}

/// Finds the damage, leaves it as it is, repairs it, and finds nothing more; the rest still answers.
fn damage_is_found_and_repaired(history: &History, words: &str) {
    for _ in 0..2 {
        let output = history.run(&history.data(), &["doctor"]);
        assert_code(&output, 1);
        let said = stdout(&output);
        assert!(said.contains("found: ") && said.contains(words), "{said}");
        assert!(said.contains("doctor --repair"), "{said}");
    }
    let output = history.run(&history.data(), &["doctor", "--repair"]);
    assert_code(&output, 1);
    let output = history.run(&history.data(), &["doctor"]);
    assert_code(&output, 0);
    let (text, _) = history.ranged(&history.data(), &QUERY);
    let answer = json(&text);
    let last = answer["series"][0]["avg"]
        .as_array()
        .expect("points")
        .iter()
        .rev()
        .nth(1);
    assert!(last.is_some_and(Value::is_number), "{answer}");
}

#[test]
fn a_truncated_generation_is_found_and_repaired() {
    let history = History::make();
    let database = oldest_database(&history);
    let file = fs::OpenOptions::new()
        .write(true)
        .open(&database)
        .expect("a database");
    let bytes = fs::read(&database).expect("a database");
    let end = bytes.iter().rposition(|byte| *byte != 0).expect("data");
    file.set_len(end as u64 * 2 / 3).expect("truncated");
    damage_is_found_and_repaired(&history, "raw");
}

#[test]
fn flipped_bits_are_found_and_repaired() {
    let history = History::make();
    let database = oldest_database(&history);
    let mut bytes = fs::read(&database).expect("a database");
    // Wherever the groups lie in it: the smallest, an hour of twelve series, takes about 1 kB.
    for byte in bytes.iter_mut().skip(211).step_by(211) {
        *byte ^= 0x10;
    }
    fs::write(&database, bytes).expect("written");
    damage_is_found_and_repaired(&history, "raw");
}
