//! Lists of networks of one's own, to add to a programme: a plain text file with one entry a line.
//!
//! An entry is a network (`203.0.113.0/24`), an address, or an AS number (`AS64500`); `#` starts a comment. Invariant: a list
//! is taken whole or not at all, and every wrong line is told at once. Not here: which programme a list is added to.

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use ipnet::IpNet;
use thiserror::Error;

use crate::asn::AsnDatabase;
use crate::open::{hex_sha256, read};
use crate::prefixes::PrefixSet;
use crate::special::{SPECIAL_V4, SPECIAL_V6};

/// No list comes near; one that does is some other file.
const MAX_ERRORS: usize = 20;

/// A list as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Where it was read from.
    pub path: PathBuf,
    /// SHA-256 of the file's bytes, in lower-case hexadecimal: the version of the list.
    pub sha256: String,
    networks: Vec<IpNet>,
    /// AS numbers and the lines they are on.
    numbers: Vec<(u32, usize)>,
}

/// What a list stands for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListPrefixes {
    /// The networks and what the AS announce.
    pub prefixes: PrefixSet,
    /// AS numbers that announce nothing according to the database, and their lines: to be told, since they have no effect.
    pub silent: Vec<(u32, usize)>,
}

/// One thing that is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{}{}: {what}", path.display(), line.map_or(String::new(), |line| format!(":{line}")))]
pub struct ListError {
    /// The file.
    pub path: PathBuf,
    /// The line, counted from 1; none when the whole file is meant.
    pub line: Option<usize>,
    /// What is wrong and what to do.
    pub what: String,
}

/// Everything that is wrong with a list.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct ListErrors(pub Vec<ListError>);

impl fmt::Display for ListErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown: Vec<String> = self.0.iter().take(MAX_ERRORS).map(ToString::to_string).collect();
        f.write_str(&shown.join("\n"))?;
        match self.0.len().saturating_sub(MAX_ERRORS) {
            0 => Ok(()),
            more => write!(f, "\nand {more} more"),
        }
    }
}

/// One line.
enum Entry {
    Network(IpNet),
    Number(u32),
}

impl List {
    /// Reads a list.
    ///
    /// # Errors
    /// Every line that is wrong; a file that cannot be read, or that has no entry.
    pub fn open(path: &Path) -> Result<Self, ListErrors> {
        let whole = |what: String| ListErrors(vec![ListError { path: path.to_owned(), line: None, what }]);
        let (bytes, _) = read(path).map_err(|error| whole(error.to_string()))?;
        let text = std::str::from_utf8(&bytes).map_err(|_| whole("this is no text in UTF-8".to_owned()))?;
        let mut list =
            Self { path: path.to_owned(), sha256: hex_sha256(&bytes), networks: Vec::new(), numbers: Vec::new() };
        let mut errors = Vec::new();
        for (index, line) in text.lines().enumerate() {
            match read_line(line) {
                Ok(None) => {}
                Ok(Some(Entry::Network(network))) => list.networks.push(network),
                Ok(Some(Entry::Number(number))) => list.numbers.push((number, index + 1)),
                Err(what) => errors.push(ListError { path: path.to_owned(), line: Some(index + 1), what }),
            }
        }
        if !errors.is_empty() {
            return Err(ListErrors(errors));
        }
        if list.networks.is_empty() && list.numbers.is_empty() {
            return Err(whole("the list has no entry; write one network, address or AS number a line".to_owned()));
        }
        Ok(list)
    }

    /// The networks of the list, in its order.
    #[must_use]
    pub fn networks(&self) -> &[IpNet] {
        &self.networks
    }

    /// Whether the list names AS numbers, and so needs a database of them.
    #[must_use]
    pub fn names_as(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// What the list stands for; addresses without a country by nature are left out, as they are of databases.
    ///
    /// # Errors
    /// When it names AS numbers and no database is given, the lines that do.
    pub fn prefixes(&self, asn: Option<&AsnDatabase>) -> Result<ListPrefixes, ListErrors> {
        let mut prefixes = PrefixSet::from_networks(self.networks.iter().flat_map(without_special));
        let Some(asn) = asn else {
            let missing = "AS numbers need a database that says which prefixes they announce; give an ASN MMDB file";
            let error = |(_, line): &(u32, usize)| ListError {
                path: self.path.clone(),
                line: Some(*line),
                what: missing.to_owned(),
            };
            let errors: Vec<ListError> = self.numbers.iter().map(error).collect();
            return if errors.is_empty() {
                Ok(ListPrefixes { prefixes, silent: Vec::new() })
            } else {
                Err(ListErrors(errors))
            };
        };
        let numbers: BTreeSet<u32> = self.numbers.iter().map(|(number, _)| *number).collect();
        prefixes = prefixes.union(&asn.prefixes(&numbers));
        let silent = self.numbers.iter().filter(|(number, _)| !asn.tells(*number)).copied().collect();
        Ok(ListPrefixes { prefixes, silent })
    }
}

/// Reads `AS64500` or `64500`.
pub(crate) fn as_number(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("AS").or_else(|| text.strip_prefix("as")).unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn read_line(line: &str) -> Result<Option<Entry>, String> {
    let text = line.split('#').next().unwrap_or_default().trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
    if text.is_empty() {
        return Ok(None);
    }
    if text.starts_with("AS") || text.starts_with("as") {
        let wrong = || format!("{text:?} is no AS number; write AS64500");
        return as_number(text)
            .filter(|number| *number != 0)
            .map(|number| Some(Entry::Number(number)))
            .ok_or_else(wrong);
    }
    network(text).map(|network| Some(Entry::Network(network)))
}

fn network(text: &str) -> Result<IpNet, String> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse().map_err(|_| {
            let shown: String = text.chars().take(64).collect();
            format!("{shown:?} is no network; write 203.0.113.0/24, 2001:db8::/32, an address, or AS64500")
        })?,
    };
    if network.trunc() != network {
        return Err(format!("{network} has bits set behind its prefix; {} is meant?", network.trunc()));
    }
    if network.prefix_len() == 0 {
        return Err(format!("{network} is every address; list the networks that are meant"));
    }
    if specials().any(|special| special.contains(&network)) {
        return Err(format!(
            "{network} has no country by nature (private, local, multicast, or an IPv4 address written as IPv6) and is never \
             blocked by a list; name it in block_cidrs, or write the IPv4 network"
        ));
    }
    Ok(network)
}

fn specials() -> impl Iterator<Item = IpNet> {
    use crate::address::Address;
    let v4 = SPECIAL_V4.iter().map(|block| block.addr.network(block.len));
    v4.chain(SPECIAL_V6.iter().map(|block| block.addr.network(block.len)))
}

/// The network without the special blocks that it holds.
fn without_special(network: &IpNet) -> Vec<IpNet> {
    let mut parts = vec![*network];
    for special in specials().filter(|special| network.contains(special)) {
        parts = parts.into_iter().flat_map(|part| cut(part, special)).collect();
    }
    parts
}

/// The network without a block, as the halves that do not hold the block.
fn cut(network: IpNet, block: IpNet) -> Vec<IpNet> {
    if !network.contains(&block) {
        return vec![network];
    }
    let mut parts = Vec::new();
    let mut rest = network;
    while rest.prefix_len() < block.prefix_len() {
        let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else { break };
        for half in halves {
            if half.contains(&block) {
                rest = half;
            } else {
                parts.push(half);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_networks_addresses_and_as_numbers() {
        let shown = |line: &str| match read_line(line) {
            Ok(None) => "nothing".to_owned(),
            Ok(Some(Entry::Network(network))) => network.to_string(),
            Ok(Some(Entry::Number(number))) => format!("AS {number}"),
            Err(what) => panic!("{line}: {what}"),
        };
        assert_eq!(shown("203.0.113.0/24"), "203.0.113.0/24");
        assert_eq!(shown("  203.0.113.7   # one host"), "203.0.113.7/32");
        assert_eq!(shown("2001:db8::1"), "2001:db8::1/128");
        assert_eq!(shown("AS64500"), "AS 64500");
        assert_eq!(shown("as4200000000"), "AS 4200000000");
        assert_eq!(shown("# a comment"), "nothing");
        assert_eq!(shown(""), "nothing");
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_what_is() {
        let cases = [
            ("203.0.113.7/24", "203.0.113.0/24 is meant?"),
            ("0.0.0.0/0", "every address"),
            ("::/0", "every address"),
            ("203.0.113.0/33", "is no network"),
            ("example.org", "is no network"),
            ("10.0.0.0/8", "block_cidrs"),
            ("192.168.1.1", "block_cidrs"),
            ("::ffff:203.0.113.0/120", "write the IPv4 network"),
            ("2002:cb00:7100::/40", "write the IPv4 network"),
            ("AS", "is no AS number"),
            ("AS0", "is no AS number"),
            ("AS4294967296", "is no AS number"),
            ("ASN64500", "is no AS number"),
        ];
        for (line, part) in cases {
            let what = read_line(line).err().unwrap_or_default();
            assert!(what.contains(part), "{line}: {what}");
        }
    }

    #[test]
    fn private_blocks_are_cut_out_of_what_holds_them() {
        let parts = without_special(&"172.0.0.0/8".parse().unwrap());
        let set = PrefixSet::from_networks(parts);
        for (address, inside) in [
            ("172.0.0.0", true),
            ("172.15.255.255", true),
            ("172.16.0.0", false),
            ("172.31.255.255", false),
            ("172.32.0.0", true),
            ("172.255.255.255", true),
        ] {
            assert_eq!(set.contains(address.parse().unwrap()), inside, "{address}");
        }
        assert_eq!(without_special(&"203.0.113.0/24".parse().unwrap()).len(), 1);
    }
}
