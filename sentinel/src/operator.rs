//! Blocks that an operator orders in an incident: they hold beside the policies, with a reason and an end.
//!
//! Invariant: a block is what a member of a standing rule is, read and checked by the same code, so it is refused for the
//! same reasons and enforced by the same entries. What was ordered is on disk before it is in force; a file that cannot
//! be read stops the start, because blocks would be missing. Not here: the entries themselves (`standing`).

use std::{
    fs::{self, File, OpenOptions},
    io::{ErrorKind, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use rules::{Policies, StandingEntry};
use serde::{Deserialize, Serialize};

/// Most blocks at a time.
const MOST: usize = 10_000;
/// Longest reason, bytes.
const REASON: usize = 500;
/// Name of the file in the state directory.
const FILE: &str = "blocks.json";
/// Package that the blocks are shown under.
pub const PACKAGE: &str = "sentinel.operator";

/// What a block is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A country (ISO 3166-1).
    Country,
    /// A region (ISO 3166-2).
    Region,
    /// A network or an address.
    Cidr,
    /// A file, or everything below a directory (ends in /).
    Path,
    /// An executable, or every one below a directory (ends in /).
    Executable,
}

impl Kind {
    /// The standing rule whose member it is.
    const fn rule(self) -> &'static str {
        match self {
            Self::Country => "block_countries",
            Self::Region => "block_regions",
            Self::Cidr => "block_cidrs",
            Self::Path => "block_paths",
            Self::Executable => "block_executables",
        }
    }

    /// The word on the command line.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Country => "country",
            Self::Region => "region",
            Self::Cidr => "cidr",
            Self::Path => "path",
            Self::Executable => "executable",
        }
    }
}

/// What an operator asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Order {
    /// What it is about.
    pub kind: Kind,
    /// The country, network, path.
    pub value: String,
    /// Executables that it is limited to; everyone when empty.
    #[serde(default)]
    pub executables: Vec<String>,
    /// Ports that it is limited to; all when empty.
    #[serde(default)]
    pub ports: Vec<u16>,
    /// Why.
    pub reason: String,
    /// Seconds that it holds; 0: until it is removed.
    pub ttl: u64,
}

/// A block in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its id, as rules have one.
    pub id: String,
    /// What was asked for.
    #[serde(flatten)]
    pub order: Order,
    /// Who asked.
    pub by: String,
    /// When: seconds since 1970.
    pub added: i64,
    /// When it ends: seconds since 1970.
    pub expires: Option<i64>,
}

/// The file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Document {
    /// Number of the last block.
    last: u64,
    blocks: Vec<Block>,
}

/// All blocks, and the members of standing rules that they are.
#[derive(Debug, Clone, Default)]
pub struct Blocks {
    path: PathBuf,
    document: Document,
    /// In the order of the blocks.
    entries: Vec<StandingEntry>,
}

impl Blocks {
    /// Reads the blocks of a state directory; there may be none.
    ///
    /// # Errors
    ///
    /// If the file is there and cannot be read whole.
    pub fn load(state_dir: &Path) -> Result<Self> {
        let path = state_dir.join(FILE);
        let document = match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).with_context(|| {
                format!(
                    "{}: not what Sentinel wrote; restore it, or remove it and order the blocks again",
                    path.display()
                )
            })?,
            Err(error) if error.kind() == ErrorKind::NotFound => Document::default(),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        Self::of(path, document)
    }

    fn of(path: PathBuf, document: Document) -> Result<Self> {
        let entries = document.blocks.iter().map(entry).collect::<Result<_>>()?;
        Ok(Self { path, document, entries })
    }

    /// The blocks with one more, and its id. Nothing is written.
    ///
    /// # Errors
    ///
    /// What is wrong with the order.
    pub fn with(&self, order: Order, by: String, now: i64) -> Result<(Self, String)> {
        let reason = order.reason.trim();
        if reason.is_empty() || reason.len() > REASON {
            bail!("the reason has {} bytes; say in 1 to {REASON} why the block is ordered", reason.len());
        }
        if self.document.blocks.len() >= MOST {
            bail!("there are {MOST} blocks already; put what stays into a policy");
        }
        let mut document = self.document.clone();
        document.last += 1;
        let id = format!("operator-{}", document.last);
        let expires = (order.ttl > 0).then(|| now.saturating_add_unsigned(order.ttl));
        document.blocks.push(Block { id: id.clone(), order, by, added: now, expires });
        Ok((Self::of(self.path.clone(), document)?, id))
    }

    /// The blocks without one, and that one. Nothing is written.
    ///
    /// # Errors
    ///
    /// If there is none of that id.
    pub fn without(&self, id: &str) -> Result<(Self, Block)> {
        let mut blocks = self.clone();
        let Some(index) = self.document.blocks.iter().position(|block| block.id == id) else {
            bail!("there is no block {id}; `sentinel block list` shows what there is");
        };
        blocks.entries.remove(index);
        let gone = blocks.document.blocks.remove(index);
        Ok((blocks, gone))
    }

    /// The blocks that have not ended at `now`, and those that have.
    #[must_use]
    pub fn at(&self, now: i64) -> (Self, Vec<Block>) {
        let mut left = self.clone();
        let ended: Vec<Block> =
            self.iter().filter(|block| block.expires.is_some_and(|end| end <= now)).cloned().collect();
        let keeps = |block: &Block| ended.iter().all(|gone| gone.id != block.id);
        let mut kept = self.document.blocks.iter().map(keeps);
        left.entries.retain(|_| kept.next().unwrap_or(true));
        left.document.blocks.retain(keeps);
        (left, ended)
    }

    /// Writes them down, all or nothing.
    ///
    /// # Errors
    ///
    /// If the state directory does not take them; the old file is then still there.
    pub fn save(&self) -> Result<()> {
        let failed = || format!("cannot write {}", self.path.display());
        let new = self.path.with_extension("new");
        let mut file: File =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new).with_context(failed)?;
        file.write_all(&serde_json::to_vec_pretty(&self.document)?).with_context(failed)?;
        file.sync_all().with_context(failed)?;
        fs::rename(&new, &self.path).with_context(failed)?;
        let directory = self.path.parent().unwrap_or(Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).with_context(failed)
    }

    /// All blocks.
    pub fn iter(&self) -> impl Iterator<Item = &Block> {
        self.document.blocks.iter()
    }

    /// The members that they are, each with its end in seconds since 1970.
    pub fn entries(&self) -> impl Iterator<Item = (&StandingEntry, Option<i64>)> {
        self.entries.iter().zip(self.iter().map(|block| block.expires))
    }
}

/// What a block is as a member of a standing rule: read by the code that reads policies.
fn entry(block: &Block) -> Result<StandingEntry> {
    let Order { kind, value, executables, ports, .. } = &block.order;
    let mut member = serde_json::json!({ "value": value, "id": block.id, "severity": "high" });
    let mut only = serde_json::Map::new();
    if !executables.is_empty() {
        only.insert("executables".to_owned(), serde_json::json!(executables));
    }
    if !ports.is_empty() {
        only.insert("ports".to_owned(), serde_json::json!(ports));
    }
    if !only.is_empty() {
        member["only"] = only.into();
    }
    // JSON is Rego too.
    let text = format!("package {PACKAGE}\n\n{} contains {member}\n", kind.rule());
    let what = || format!("the block of {} {value}", kind.as_str());
    let policies = Policies::from_texts(&[(FILE, &text)], "").map_err(|errors| {
        let messages: Vec<String> =
            errors.errors.iter().map(|error| [&*error.message, &*error.hint].join("; ")).collect();
        anyhow::anyhow!("{}: {}", what(), messages.join("\n"))
    })?;
    let mut entry = policies.standing().first().cloned().with_context(what)?;
    entry.title = format!("Ordered by an operator: {}", block.order.reason);
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(kind: Kind, value: &str) -> Order {
        let (executables, ports) = (Vec::new(), Vec::new());
        Order { kind, value: value.to_owned(), executables, ports, reason: "incident 7".to_owned(), ttl: 60 }
    }

    fn directory(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("sentinel-operator-{}-{name}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn blocks_outlive_the_daemon_and_end_in_time() {
        let directory = directory("kept");
        let none = Blocks::load(&directory).unwrap();
        let (one, first) = none.with(order(Kind::Country, "IR"), "root".to_owned(), 1000).unwrap();
        let limited =
            Order { ports: vec![443], executables: vec!["/usr/bin/curl".to_owned()], ..order(Kind::Cidr, "192.0.2.7") };
        let (two, second) = one.with(Order { ttl: 0, ..limited }, "root".to_owned(), 1000).unwrap();
        two.save().unwrap();
        let again = Blocks::load(&directory).unwrap();
        assert_eq!(again.document, two.document);
        assert_eq!((first.as_str(), second.as_str()), ("operator-1", "operator-2"));
        let entries: Vec<_> = again.entries().collect();
        assert_eq!(entries[0].1, Some(1060));
        assert_eq!((entries[1].0.id.as_str(), entries[1].1), ("operator-2", None));
        assert_eq!(entries[1].0.only.ports, [443]);
        let (left, ended) = again.at(1060);
        assert_eq!((left.iter().count(), left.entries().count(), ended[0].id.as_str()), (1, 1, "operator-1"));
        assert_eq!(left.entries().next().unwrap().0.id, "operator-2");
        assert_eq!(again.at(1059).1, []);
        let (left, gone) = left.without("operator-2").unwrap();
        assert_eq!((left.iter().count(), gone.id.as_str()), (0, "operator-2"));
        // Ids are never given twice.
        assert_eq!(left.with(order(Kind::Path, "/srv/x"), "root".to_owned(), 1).unwrap().1, "operator-3");
        fs::remove_dir_all(directory).unwrap();
    }

    #[test]
    fn what_cannot_be_right_is_refused() {
        let none = Blocks::default();
        for (kind, value, why) in [
            (Kind::Country, "Iran", "IR"),
            (Kind::Cidr, "10.0.0.0/33", "10.0.0.0/33"),
            (Kind::Path, "etc/shadow", "etc/shadow"),
            (Kind::Path, "/x\"}\ndeny contains \"y", "deny"),
        ] {
            let result = none.with(order(kind, value), "root".to_owned(), 0);
            match result {
                // A quote in a path is a strange path, not another rule.
                Ok((blocks, _)) => assert_eq!(blocks.entries().count(), 1, "{value}"),
                Err(error) => assert!(format!("{error:#}").contains(why), "{value}: {error:#}"),
            }
        }
        let no_reason = Order { reason: " ".to_owned(), ..order(Kind::Country, "IR") };
        assert!(none.with(no_reason, String::new(), 0).is_err());
        assert!(none.without("operator-9").is_err());
    }

    #[test]
    fn a_damaged_file_is_no_empty_file() {
        let directory = directory("damaged");
        fs::write(directory.join(FILE), "{\"last\": 1, \"blocks\": [").unwrap();
        let error = format!("{:#}", Blocks::load(&directory).unwrap_err());
        assert!(error.contains("blocks.json") && error.contains("restore it"), "{error}");
        fs::remove_dir_all(directory).unwrap();
    }
}
