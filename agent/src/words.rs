//! Numbers of things as people read them. Pure.

use std::fmt::Display;

/// `1 sample`, `2 samples`: the number with the word for one or for several.
pub(crate) fn count<N: Copy + Display + PartialEq + From<u8>>(
    number: N,
    one: &str,
    several: &str,
) -> String {
    let word = if number == N::from(1) { one } else { several };
    format!("{number} {word}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_one() {
        assert_eq!(count(0_u64, "sample", "samples"), "0 samples");
        assert_eq!(
            count(1_usize, "process was", "processes were"),
            "1 process was"
        );
        assert_eq!(count(21_u32, "series", "series"), "21 series");
    }
}
