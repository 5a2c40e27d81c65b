//! Standing rules: what policies say without looking at an event.
//!
//! They are evaluated once at load, with no `input`, into typed entries the kernel side can take over before
//! any hook is attached. A value that cannot be right never becomes an entry: it is a load error. Whether an
//! entry would harm the host, and when an exemption has run out, is judged by whoever applies them.

mod members;
mod subjects;
mod values;

use std::fmt;

use ipnet::IpNet;

use crate::vocabulary::{Mode, OnError, Severity, Technique, words};

pub(crate) use members::read_member;
pub use subjects::{Protocol, Subjects};

words! {
    /// The names of the standing rules.
    StandingRule: "standing rule" {
        /// Countries that must not be reached.
        BlockCountries = "block_countries",
        /// The only countries that may be reached.
        AllowCountries = "allow_countries",
        /// Regions that must not be reached.
        BlockRegions = "block_regions",
        /// Networks that must not be reached.
        BlockCidrs = "block_cidrs",
        /// Files that must not be touched.
        BlockPaths = "block_paths",
        /// Programs that must not run.
        BlockExecutables = "block_executables",
        /// Contents that must not run.
        BlockHashes = "block_hashes",
        /// The only programs that may run.
        AllowExecutables = "allow_executables",
        /// What is exempt from all of the above, by name and until when.
        Exemptions = "exemptions",
    }
}

/// An ISO 3166-1 alpha-2 country code, in capitals.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Country(pub [u8; 2]);

impl Country {
    /// The two letters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }
}

impl fmt::Display for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Country {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An absolute path, or all paths below one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PathPattern {
    /// The path; a prefix keeps its final `/`.
    pub path: String,
    /// Whether everything below is meant.
    pub prefix: bool,
}

impl PathPattern {
    /// Whether `path` is the one meant, or below the one meant.
    pub fn matches(&self, path: &str) -> bool {
        if self.prefix { path.starts_with(&self.path) } else { path == self.path }
    }
}

/// What one standing entry blocks, allows or exempts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StandingValue {
    /// Refuse destinations in this country.
    BlockCountry(Country),
    /// With any of these in force, refuse destinations in every other country.
    AllowCountry(Country),
    /// Refuse destinations in this region (ISO 3166-2, as `UA-43`).
    BlockRegion(String),
    /// Refuse destinations in this network.
    BlockCidr(IpNet),
    /// Refuse these files.
    BlockPath(PathPattern),
    /// Refuse to run these programs.
    BlockExecutable(PathPattern),
    /// Refuse to run a file with this SHA-256.
    BlockHash([u8; 32]),
    /// With any of these in force, refuse to run every other program.
    AllowExecutable(PathPattern),
    /// Let this through, whatever else says no.
    Exemption(Box<Exemption>),
}

impl StandingValue {
    /// The exemption, if it is one.
    #[must_use]
    pub fn exemption(&self) -> Option<&Exemption> {
        match self {
            Self::Exemption(exemption) => Some(exemption),
            Self::BlockCountry(_)
            | Self::AllowCountry(_)
            | Self::BlockRegion(_)
            | Self::BlockCidr(_)
            | Self::BlockPath(_)
            | Self::BlockExecutable(_)
            | Self::BlockHash(_)
            | Self::AllowExecutable(_) => None,
        }
    }
}

/// A documented exception to the standing rules and blocklist entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exemption {
    /// Stable id; alerts name it.
    pub id: String,
    /// What kind of exception: the policy's own word, as `license`.
    pub kind: String,
    /// Who granted it, as `OFAC`.
    pub authority: String,
    /// The document, as a licence number.
    pub reference: String,
    /// Who approved it here.
    pub approver: String,
    /// Seconds since 1970-01-01 UTC at which it stops applying. A bare date lasts to its end.
    pub expires: i64,
    /// Destinations in these countries are exempt.
    pub countries: Vec<Country>,
    /// Destinations in these regions are exempt.
    pub regions: Vec<String>,
    /// Destinations in these networks are exempt.
    pub cidrs: Vec<IpNet>,
    /// These files are exempt.
    pub paths: Vec<PathPattern>,
    /// Running these programs is exempt.
    pub executables: Vec<PathPattern>,
    /// Running files with these SHA-256 is exempt.
    pub hashes: Vec<[u8; 32]>,
}

/// The ways a file can be touched, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AccessSet(u8);

words! {
    /// One way to touch a file.
    Access: "kind of access" {
        /// Read it.
        Read = "read",
        /// Change it.
        Write = "write",
        /// Make it.
        Create = "create",
        /// Run it.
        Exec = "exec",
        /// Remove or rename it.
        Delete = "delete",
    }
}

impl AccessSet {
    /// No access.
    pub const EMPTY: AccessSet = AccessSet(0);
    /// Every access: what an entry means that names none.
    pub const ALL: AccessSet = AccessSet(0b1_1111);

    /// The set with `access` added.
    #[must_use]
    pub const fn with(self, access: Access) -> AccessSet {
        AccessSet(self.0 | 1 << access as u8)
    }

    /// Whether `access` is in the set.
    pub const fn contains(self, access: Access) -> bool {
        self.0 & (1 << access as u8) != 0
    }

    /// Whether nothing is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The accesses in the set.
    pub fn iter(self) -> impl Iterator<Item = Access> {
        Access::ALL.into_iter().filter(move |access| self.contains(*access))
    }
}

impl fmt::Debug for AccessSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Access::as_str)).finish()
    }
}

/// One member of a standing rule, with everything an alert about it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandingEntry {
    /// The member's own id, else the definition's.
    pub id: String,
    /// The package, as `sentinel.embargo`.
    pub package: String,
    /// Which standing rule it is a member of.
    pub rule_name: StandingRule,
    /// The member's severity, else the definition's.
    pub severity: Severity,
    /// The member's mode, else the definition's; `None` is the global mode.
    pub mode: Option<Mode>,
    /// What it means that the path or the hash of a file cannot be had.
    pub on_error: OnError,
    /// MITRE ATT&CK techniques of the definition.
    pub techniques: Vec<Technique>,
    /// Title of the definition; may be empty.
    pub title: String,
    /// File of the definition.
    pub file: String,
    /// Line of the definition.
    pub line: u32,
    /// What it is about.
    pub value: StandingValue,
    /// Whether the value is written in the definition itself, and not taken from `data` or a helper.
    pub written: bool,
    /// Which ways of touching a file it covers; every way for what is no file.
    pub access: AccessSet,
    /// It applies to these alone; everyone when empty. At most one of `only` and `except` is filled.
    pub only: Subjects,
    /// It applies to everyone but these.
    pub except: Subjects,
}
