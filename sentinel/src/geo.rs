//! The country databases in force.
//!
//! Invariants: a file is read once for each time it changes; a database that was in force stays so until a usable one takes
//! its place, and why it was not replaced is told. Not here: waiting for changes (`watch`), and the table for the kernel.

pub mod updater;
pub mod watch;

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
};

use anyhow::{Context as _, Result};
use geoip::{Accept, Comparison, Database, GeoError, VoteRule, Votes};

/// What the settings say of country databases.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wanted {
    /// Files, the primary one first; none: the embedded data.
    pub files: Vec<PathBuf>,
    /// What counts where they differ.
    pub vote: VoteRule,
    /// What a new file may do.
    pub accept: Accept,
}

/// Which version of a file there is, as far as can be told without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stamp {
    /// None: it is gone, or cannot be looked at.
    Missing,
    /// This one.
    File {
        /// Device and inode.
        id: (u64, u64),
        /// Bytes.
        size: u64,
        /// Last change of the content, nanoseconds.
        modified: i128,
        /// Last change of anything, nanoseconds.
        changed: i128,
    },
}

impl Stamp {
    /// Looks at the file, through symbolic links.
    #[must_use]
    pub fn of(path: &Path) -> Self {
        let nanoseconds = |seconds: i64, rest: i64| i128::from(seconds) * 1_000_000_000 + i128::from(rest);
        fs::metadata(path).map_or(Self::Missing, |meta| Self::File {
            id: (meta.dev(), meta.ino()),
            size: meta.size(),
            modified: nanoseconds(meta.mtime(), meta.mtime_nsec()),
            changed: nanoseconds(meta.ctime(), meta.ctime_nsec()),
        })
    }
}

/// A file and what is in force of it.
#[derive(Debug, Clone)]
pub struct GeoFile {
    /// Where it is.
    pub path: PathBuf,
    /// The database in force.
    pub database: Arc<Database>,
    /// Why the file as it is now is not the one in force.
    pub refused: Option<String>,
    /// The version that was looked at last, whatever came of it.
    stamp: Stamp,
}

/// What came of looking at a file again.
#[derive(Debug, Clone)]
pub enum News {
    /// It took the place of the old one.
    Replaced(Box<Comparison>),
    /// The old one stays in force.
    Refused(String),
}

/// All databases in force.
#[derive(Debug, Clone)]
pub struct GeoData {
    /// Files, the primary one first; none: the embedded data.
    pub files: Vec<GeoFile>,
    /// What they say together.
    pub votes: Arc<Votes>,
    /// Files read so far.
    pub reads: u64,
}

impl GeoData {
    /// Reads what is wanted. What `previous` has of it is not read again unless its file has changed, and then judged as its
    /// successor; the news are about those.
    ///
    /// # Errors
    ///
    /// A file that was not in force before and cannot be used.
    pub fn load(wanted: &Wanted, previous: Option<&Self>, now: u64) -> Result<(Self, Vec<(PathBuf, News)>)> {
        let (mut files, mut news) = (Vec::new(), Vec::new());
        let mut reads = previous.map_or(0, |previous| previous.reads);
        for path in &wanted.files {
            let known = previous.and_then(|previous| previous.files.iter().find(|file| file.path == *path));
            let file = match known {
                Some(known) => known.again(&wanted.accept, now, &mut reads, &mut news),
                None => {
                    let stamp = Stamp::of(path);
                    reads += 1;
                    let database = Arc::new(Database::open(path)?);
                    GeoFile { path: path.clone(), database, refused: None, stamp }
                }
            };
            files.push(file);
        }
        let databases = if files.is_empty() { vec![embedded()?] } else { in_force(&files) };
        let votes = Arc::new(Votes::new(databases, wanted.vote)?);
        Ok((Self { files, votes, reads }, news))
    }

    /// The version of each file that there is now.
    #[must_use]
    pub fn stamps(&self) -> Vec<Stamp> {
        self.files.iter().map(|file| Stamp::of(&file.path)).collect()
    }

    /// Whether these versions are the ones looked at last.
    #[must_use]
    pub fn has_seen(&self, stamps: &[Stamp]) -> bool {
        self.files.iter().map(|file| file.stamp).eq(stamps.iter().copied())
    }

    /// Whether the same databases are in force.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let (ours, others) = (self.votes.databases(), other.votes.databases());
        ours.len() == others.len() && ours.iter().zip(others).all(|(one, other)| Arc::ptr_eq(one, other))
    }

    /// The same as `self`, because `next` cannot be put in force: its changed files are refused.
    #[must_use]
    pub fn refusing(&self, next: &Self, why: &str) -> Self {
        let mut kept = self.clone();
        kept.reads = next.reads;
        for (file, next) in kept.files.iter_mut().zip(&next.files) {
            file.stamp = next.stamp;
            let new = !Arc::ptr_eq(&file.database, &next.database);
            file.refused = if new { Some(why.to_owned()) } else { next.refused.clone() };
        }
        kept
    }

    /// The same, all files as they are now refused.
    #[must_use]
    pub fn seen_refusing(&self, why: &str) -> Self {
        let mut kept = self.clone();
        for file in &mut kept.files {
            (file.stamp, file.refused) = (Stamp::of(&file.path), Some(why.to_owned()));
        }
        kept
    }

    /// Why files as they are now are not in force, in one text.
    #[must_use]
    pub fn refused(&self) -> Option<String> {
        let all: Vec<&str> = self.files.iter().filter_map(|file| file.refused.as_deref()).collect();
        (!all.is_empty()).then(|| all.join(" "))
    }
}

impl GeoFile {
    /// Looks at the file once more.
    fn again(&self, accept: &Accept, now: u64, reads: &mut u64, news: &mut Vec<(PathBuf, News)>) -> Self {
        let stamp = Stamp::of(&self.path);
        if stamp == self.stamp && self.refused.is_none() {
            return self.clone();
        }
        let mut file = Self { stamp, refused: None, ..self.clone() };
        match self.successor(stamp, accept, now, reads) {
            Ok((database, comparison)) => {
                // The same bytes are no news: a file was written again, or came back.
                if database.info().sha256 != self.database.info().sha256 {
                    news.push((self.path.clone(), News::Replaced(Box::new(comparison))));
                }
                file.database = Arc::new(database);
            }
            Err(why) => {
                if self.refused.as_ref() != Some(&why) {
                    news.push((self.path.clone(), News::Refused(why.clone())));
                }
                file.refused = Some(why);
            }
        }
        file
    }

    fn successor(
        &self,
        stamp: Stamp,
        accept: &Accept,
        now: u64,
        reads: &mut u64,
    ) -> Result<(Database, Comparison), String> {
        if stamp == Stamp::Missing {
            return Err(format!(
                "The country database {} is gone; the data that was read from it stays in force. Put the file back.",
                self.path.display()
            ));
        }
        *reads += 1;
        self.database.successor(&self.path, now, accept).map_err(|error: GeoError| error.to_string())
    }
}

fn in_force(files: &[GeoFile]) -> Vec<Arc<Database>> {
    files.iter().map(|file| file.database.clone()).collect()
}

/// The embedded data, read once.
fn embedded() -> Result<Arc<Database>> {
    static EMBEDDED: OnceLock<Arc<Database>> = OnceLock::new();
    if let Some(database) = EMBEDDED.get() {
        return Ok(database.clone());
    }
    let database = Arc::new(Database::embedded().context("the embedded country database is not usable")?);
    Ok(EMBEDDED.get_or_init(|| database).clone())
}

#[cfg(test)]
mod tests;
