//! The part of a target behind `?`: keys and values as they are written. Pure.

/// The pairs of `a=b&c=d`, in order and not decoded; a key alone has an empty value.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_come_as_they_are_written() {
        let found = |query| pairs(query).collect::<Vec<_>>();
        assert_eq!(found(""), []);
        assert_eq!(
            found("&a=b&&c&d=e=f%20&=g"),
            [("a", "b"), ("c", ""), ("d", "e=f%20"), ("", "g")]
        );
    }
}
