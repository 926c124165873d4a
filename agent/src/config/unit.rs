//! Values with a form of their own: durations, sizes, hashes, addresses, origins of web pages, names.
//!
//! Pure parsing, used by serde through `deserialize_with`. The messages say what would have been right.

use std::fmt;
use std::net::{Ipv6Addr, SocketAddr};
use std::time::Duration;

use serde::de::{self, Deserializer, Unexpected, Visitor};

use crate::collect::library::SHA256_DIGITS;

const DURATION: &str = "a duration such as \"250ms\", \"1s\", \"5m\" or \"24h\"";
const SIZE: &str = "a size such as \"512MiB\" or \"1GiB\"";
const BOUND: &str = "a size such as \"512MiB\" or \"1GiB\", or \"off\"";
const SHA256: &str = "the 64 hexadecimal digits that `sha256sum FILE` prints";
const ADDRESS: &str = "an IP address with a port such as \"127.0.0.1:10132\"";

/// A bound that can be switched off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// As much as there is.
    Off,
    /// At most so many bytes.
    Bytes(u64),
}

impl Bound {
    /// `None` for no bound.
    pub(crate) const fn bytes(self) -> Option<u64> {
        match self {
            Self::Off => None,
            Self::Bytes(bytes) => Some(bytes),
        }
    }
}

/// A text that `parse` understands; `form` is what is expected.
struct Text<T> {
    form: &'static str,
    parse: fn(&str) -> Option<T>,
}

impl<T> Visitor<'_> for Text<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.form)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.parse)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &self))
    }
}

/// For `deserialize_with`.
pub(crate) fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    from.deserialize_str(Text {
        form: DURATION,
        parse: parse_duration,
    })
}

/// For `deserialize_with` on a key that may be absent.
pub(crate) fn optional_duration<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// For `deserialize_with`: bytes.
pub(crate) fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_str(Text {
        form: SIZE,
        parse: parse_size,
    })
}

/// For `deserialize_with` on a key that may be absent.
pub(crate) fn optional_bound<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<Bound>, D::Error> {
    let parse = |text: &str| match text {
        "off" => Some(Bound::Off),
        size => parse_size(size).map(Bound::Bytes),
    };
    let form = BOUND;
    from.deserialize_str(Text { form, parse }).map(Some)
}

/// For `deserialize_with` on a key that may be absent: lower-case digits.
pub(crate) fn optional_sha256<'de, D: Deserializer<'de>>(
    from: D,
) -> Result<Option<String>, D::Error> {
    let parse = |text: &str| {
        let is_good =
            text.len() == SHA256_DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_good.then(|| text.to_ascii_lowercase())
    };
    let form = SHA256;
    from.deserialize_str(Text { form, parse }).map(Some)
}

/// For `deserialize_with`.
pub(crate) fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    from.deserialize_str(Text {
        form: ADDRESS,
        parse: |text| text.parse().ok(),
    })
}

/// A whole number with its unit, without space.
fn parse_duration(text: &str) -> Option<Duration> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let unit_ms = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "y" => 365 * 86_400_000,
        _ => return None,
    };
    number.checked_mul(unit_ms).map(Duration::from_millis)
}

/// A whole number with a binary unit, without space.
fn parse_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = text.split_at(split);
    let number: u64 = number.parse().ok()?;
    let (_, unit_bytes) = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit)?;
    number.checked_mul(unit_bytes)
}

/// The greatest first.
const SIZE_UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

/// The shortest text that [`size`] reads as this value, as far as whole KiB go.
pub(crate) fn shown_size(bytes: u64) -> String {
    let fits = |(_, unit_bytes): &(&str, u64)| bytes > 0 && bytes.is_multiple_of(*unit_bytes);
    let (unit, unit_bytes) = SIZE_UNITS
        .into_iter()
        .find(fits)
        .unwrap_or(("KiB", 1 << 10));
    format!("{}{unit}", bytes / unit_bytes)
}

/// The shortest text that [`duration`] reads as this value, as far as whole milliseconds go.
pub(crate) fn shown(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        (365 * 86_400_000, "y"),
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    match units
        .into_iter()
        .find(|(unit_ms, _)| ms > 0 && ms.is_multiple_of(*unit_ms))
    {
        Some((unit_ms, unit)) => format!("{}{unit}", ms / unit_ms),
        None => format!("{ms}ms"),
    }
}

/// Why a page's origin is not one that a browser would send.
pub(crate) fn check_origin(origin: &str) -> Result<(), String> {
    let form =
        || format!("expected an origin such as \"https://panel.example:8443\", found {origin:?}");
    let (scheme, rest) = origin.split_once("://").ok_or_else(form)?;
    let default_port = match scheme {
        "http" => "80",
        "https" => "443",
        _ => {
            return Err(format!(
                "{} (only http and https are origins of pages)",
                form()
            ));
        }
    };
    let (host, after) = match rest.strip_prefix('[') {
        Some(v6) => {
            let (host, after) = v6.split_once(']').ok_or_else(form)?;
            host.parse::<Ipv6Addr>().map_err(|_| form())?;
            (host, after)
        }
        None => rest.split_at(rest.find(':').unwrap_or(rest.len())),
    };
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return Err(format!(
            "browsers send hosts in lower case; write {:?}",
            origin.to_lowercase()
        ));
    }
    let good = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte);
    if host.is_empty() || !host.bytes().all(good) {
        return Err(form());
    }
    match after.strip_prefix(':') {
        None if after.is_empty() => Ok(()),
        Some(port) if port == default_port => Err(format!(
            "browsers leave out the port {port} of {scheme}; leave it out here as well"
        )),
        Some(port) if port.parse::<u16>().is_ok() => Ok(()),
        _ => Err(form()),
    }
}

/// Whether the text may name a plugin or one of its instances: both stand in keys, labels and logs.
pub(crate) fn is_name(text: &str, more: &[u8]) -> bool {
    let good =
        |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || more.contains(&b);
    text.len() <= 64 && text.bytes().all(good) && text.starts_with(|c: char| c.is_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit() {
        for (text, ms) in [
            ("0ms", Some(0)),
            ("250ms", Some(250)),
            ("1s", Some(1_000)),
            ("5m", Some(300_000)),
            ("24h", Some(86_400_000)),
            ("30d", Some(2_592_000_000)),
            ("2y", Some(63_072_000_000)),
            ("", None),
            ("1", None),
            ("s", None),
            ("1.5s", None),
            ("1 s", None),
            ("-1s", None),
            ("1S", None),
            ("1sec", None),
            ("99999999999999999999s", None),
            ("18446744073709551615d", None),
        ] {
            assert_eq!(
                parse_duration(text),
                ms.map(Duration::from_millis),
                "{text}"
            );
        }
    }

    #[test]
    fn durations_are_shown_as_they_are_read() {
        for text in [
            "0ms", "250ms", "1s", "90s", "5m", "1h", "1d", "30d", "2y", "1001ms",
        ] {
            assert_eq!(shown(parse_duration(text).unwrap()), text);
        }
    }

    #[test]
    fn sizes_have_a_binary_unit() {
        for (text, bytes) in [
            ("64KiB", Some(65_536)),
            ("1GiB", Some(1 << 30)),
            ("1536MiB", Some(1_536 << 20)),
            ("2TiB", Some(2 << 40)),
            ("", None),
            ("1", None),
            ("1GB", None),
            ("1 GiB", None),
            ("1.5GiB", None),
            ("-1GiB", None),
            ("99999999999TiB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
            if let Some(bytes) = bytes {
                assert_eq!(shown_size(bytes), text);
            }
        }
    }

    #[test]
    fn a_bound_can_be_off_and_a_hash_is_64_digits() {
        use serde::de::IntoDeserializer as _;
        use serde::de::value::{Error, StrDeserializer};
        fn from(text: &str) -> StrDeserializer<'_, Error> {
            text.into_deserializer()
        }
        for (text, bound) in [
            ("off", Some(Bound::Off)),
            ("1GiB", Some(Bound::Bytes(1 << 30))),
            ("none", None),
            ("0", None),
        ] {
            assert_eq!(optional_bound(from(text)).ok().flatten(), bound, "{text}");
        }
        let digits = "0123456789abcdefABCDEF0123456789".repeat(2);
        let lower = digits.to_lowercase();
        assert_eq!(optional_sha256(from(&digits)).unwrap(), Some(lower));
        for wrong in ["", &digits[1..], &format!("{digits}0"), &"g".repeat(64)] {
            let error = optional_sha256(from(wrong)).unwrap_err().to_string();
            assert!(error.contains("64 hexadecimal digits"), "{error}");
        }
    }

    #[test]
    fn origins_are_what_a_browser_sends() {
        for good in [
            "http://localhost",
            "https://panel.example",
            "https://panel.example:8443",
            "http://127.0.0.1:3000",
            "http://[::1]:3000",
            "http://[::1]",
        ] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "*",
            "null",
            "panel.example",
            "ftp://panel.example",
            "https://",
            "https://panel.example/",
            "https://panel.example/path",
            "https://user@panel.example",
            "https://panel.example:port",
            "https://panel.example:99999",
            "https://Panel.example",
            "https://panel.example:443",
            "http://panel.example:80",
            "http://[::1",
            "http://[::g]",
            "http://[::1]x",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn names_are_lower_case_words() {
        for (text, good) in [
            ("system", true),
            ("my_db2", true),
            ("main-1", true),
            ("", false),
            ("2nd", false),
            ("A", false),
            ("a b", false),
        ] {
            assert_eq!(is_name(text, b"-"), good, "{text}");
        }
        assert!(!is_name("main-1", b""));
        assert!(!is_name(&"a".repeat(65), b""));
    }
}
