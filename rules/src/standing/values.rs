//! Reads the single values of standing rules: countries, regions, networks, paths, hashes, dates.
//!
//! A value that cannot be right is refused here, with what was probably meant. A value that is right but odd,
//! such as a network with host bits, is read and noticed.

use ipnet::IpNet;
use jiff::civil::Date;
use jiff::{Timestamp, tz::TimeZone};

use crate::countries::{country_name, parse_country};
use crate::fields::Problem;
use crate::scope::parse_cidr;
use crate::standing::{Country, PathPattern};

/// Longest path the kernel takes.
const MAX_PATH: usize = 4095;

pub(crate) fn country(text: &str) -> Result<Country, Problem> {
    parse_country(text).map_err(|error| Problem::new(error.to_string()).hint(error.hint()))
}

/// An ISO 3166-2 code: country, hyphen, one to three capitals or digits.
pub(crate) fn region(text: &str) -> Result<String, Problem> {
    let wrong = || {
        Problem::new(format!("\"{text}\" is not an ISO 3166-2 region code"))
            .hint("write the country code, a hyphen and the region, as \"UA-43\" for Crimea")
    };
    let (country, part) = text.split_once('-').ok_or_else(wrong)?;
    let part_is_code =
        (1..=3).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    if country_name(country).is_none() || !part_is_code {
        return Err(wrong());
    }
    Ok(text.to_owned())
}

/// A network, and a notice when it was written with host bits.
pub(crate) fn cidr(text: &str) -> Result<(IpNet, Option<Problem>), Problem> {
    let net = parse_cidr(text).map_err(|error| Problem::new(error.to_string()))?;
    let trunc = net.trunc();
    let notice = (net != trunc).then(|| {
        Problem::new(format!("\"{text}\" has bits set after its prefix; it is read as {trunc}"))
            .hint(format!("write \"{trunc}\", or \"{}\" for the one address", net.addr()))
    });
    Ok((trunc, notice))
}

/// An absolute path, or a prefix ending in `/`. It must be in the form the kernel reports.
pub(crate) fn path(text: &str) -> Result<PathPattern, Problem> {
    let wrong = |why: &str| Err(Problem::new(format!("\"{}\" {why}", text.escape_debug())));
    if !text.starts_with('/') {
        return wrong("is not an absolute path").map_err(|p: Problem| p.hint("start it with /"));
    }
    if text.contains('\0') || text.len() > MAX_PATH {
        return wrong("cannot be a path: it holds a NUL or is too long");
    }
    let inner = text.strip_suffix('/').unwrap_or(text);
    if inner.split('/').skip(1).any(|part| matches!(part, "" | "." | "..")) && text != "/" {
        return wrong("has empty, \".\" or \"..\" parts, which no resolved path has");
    }
    if inner.contains(['*', '?']) {
        return wrong("has a wildcard, and paths are matched exactly")
            .map_err(|p| p.hint("end the path with / to mean everything below it"));
    }
    Ok(PathPattern { path: text.to_owned(), prefix: text.ends_with('/') })
}

/// A SHA-256 in hex, optionally after `sha256:`.
pub(crate) fn sha256(text: &str) -> Result<[u8; 32], Problem> {
    let wrong = || {
        Problem::new(format!("\"{}\" is not a SHA-256 hash", text.escape_debug()))
            .hint("write 64 hexadecimal digits, as sha256sum prints them")
    };
    let digits = text.strip_prefix("sha256:").unwrap_or(text).as_bytes();
    if digits.len() != 64 {
        return Err(wrong());
    }
    let mut hash = [0; 32];
    for (byte, pair) in hash.iter_mut().zip(digits.chunks_exact(2)) {
        let nibble = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
        let (high, low) = (nibble(pair[0]).ok_or_else(wrong)?, nibble(pair[1]).ok_or_else(wrong)?);
        *byte = high << 4 | low;
    }
    Ok(hash)
}

/// RFC 3339 date and time, or a date, which lasts to its end in UTC. Seconds since 1970.
pub(crate) fn expiry(text: &str) -> Result<i64, Problem> {
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Ok(moment.as_second());
    }
    let wrong = || {
        Problem::new(format!("\"expires\": \"{}\" is no date", text.escape_debug()))
            .hint("write a date as 2030-12-31, or a date and time as 2030-12-31T12:00:00Z")
    };
    let plain = text.len() == 10 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let date: Date = if plain { text.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    let end = date.tomorrow().and_then(|next| next.to_zoned(TimeZone::UTC)).map_err(|_| wrong())?;
    Ok(end.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_right_is_refused() {
        assert!(country("Iran").unwrap_err().hint.contains("\"IR\""));
        assert!(country("ir").is_err());
        for wrong in ["UA", "UA-", "UA-ABCD", "XX-1", "ua-43", "UA-4 "] {
            assert!(region(wrong).is_err(), "{wrong}");
        }
        for wrong in ["10.0.0.0/33", "10.0.0/8", "", "10.0.0.0/", "example.org", "::/129", "10.0.0.0/8/8"] {
            assert!(cidr(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "etc/shadow", "/etc/../shadow", "/etc//shadow", "/tmp/*", "/a/./b", "//"] {
            assert!(path(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "sha256:", "zz", &"g".repeat(64), &"a".repeat(63)] {
            assert!(sha256(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "soon", "2030-13-01", "2030-12-31T12:00", "31.12.2030", "2030-02-30"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_right_is_read() {
        assert_eq!(region("UA-43").as_deref(), Ok("UA-43"));
        assert_eq!(cidr("10.0.0.0/8").map(|(net, notice)| (net.to_string(), notice)), Ok(("10.0.0.0/8".into(), None)));
        let (net, notice) = cidr("10.1.2.3/8").unwrap();
        assert_eq!(net.to_string(), "10.0.0.0/8");
        assert!(notice.unwrap().hint.contains("10.1.2.3"));
        assert!(path("/usr/bin/").unwrap().prefix);
        assert!(path("/").unwrap().prefix);
        assert!(!path("/etc/shadow").unwrap().prefix);
        assert_eq!(sha256(&"0f".repeat(32)), Ok([0x0f; 32]));
        assert_eq!(expiry("1970-01-01"), Ok(86_400));
        assert_eq!(expiry("1970-01-01T00:00:01Z"), Ok(1));
        assert_eq!(expiry("1970-01-01T01:00:00+01:00"), Ok(0));
    }
}
