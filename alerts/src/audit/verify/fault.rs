//! What can be wrong with a trail, in words.

use std::fmt;

use crate::audit::record::Hash;

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: u64,
    /// The number that the record says it has.
    pub seq: Option<u64>,
    /// What.
    pub problem: Problem,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: ", self.file, self.line)?;
        if let Some(seq) = self.seq {
            write!(f, "record {seq}: ")?;
        }
        self.problem.fmt(f)
    }
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No record at all.
    #[error("this line is no record")]
    NoRecord,
    /// The line has no end.
    #[error("the file ends after {bytes} bytes of a record: it was cut, or is being written just now")]
    Torn {
        /// Bytes without a newline.
        bytes: usize,
    },
    /// Hash and content differ.
    #[error("its content is not what its hash says: it was changed")]
    Changed,
    /// A hole.
    #[error("records {from} to {to}, which stood before it, are missing")]
    Missing {
        /// First one.
        from: u64,
        /// Last one.
        to: u64,
    },
    /// A record that had its turn.
    #[error("it stands where record {expected} belongs: a copy, moved or inserted")]
    OutOfOrder {
        /// What belongs here.
        expected: u64,
    },
    /// The link is broken, the numbers are not.
    #[error("it says that the record before it has the hash {says}, and that has {has}: one of both was replaced")]
    Relinked {
        /// By this record.
        says: Hash,
        /// By the one before.
        has: Hash,
    },
    /// A record whose data is not what its kind has.
    #[error("its data is not what a record of its kind has")]
    Malformed,
    /// The first record of a file is something else.
    #[error("the file does not begin with a record of the kind segment: its beginning was cut")]
    NoBeginning,
    /// Another trail.
    #[error("it belongs to the trail {other}: two trails were put together")]
    OtherTrail {
        /// That one's id.
        other: String,
    },
    /// Not signed.
    #[error(
        "its signature is not of the key of generation {generation}: it was made with another key, or one of the records \
         {from} to {to} was changed and hashed anew"
    )]
    Signature {
        /// Of the key in force.
        generation: u64,
        /// First record that the signature covers alone.
        from: u64,
        /// Last one.
        to: u64,
    },
    /// A key that does not follow.
    #[error("it names a key of generation {generation} that the trail before it has not named")]
    Key {
        /// Of the key that was in force.
        generation: u64,
    },
    /// A new line of keys.
    #[error("from here on records are signed with a key that no key before it has signed")]
    Rekeyed,
    /// Old files are gone without a word.
    #[error("the trail begins with record {first}, and no record says that the ones before it were removed")]
    NoAnchor {
        /// First record.
        first: u64,
    },
    /// The expected key is not in it.
    #[error("the public key that you gave is none of this trail: it is another trail, or was signed anew")]
    OtherKey,
    /// The expected head is not in it.
    #[error("no record has the hash {0} that you gave: the trail was cut before it, or is another one")]
    NoHead(Hash),
    /// The daemon's key is ahead.
    #[error(
        "the daemon's key is of generation {key}, and the trail ends with generation {trail}: the end of the trail is missing"
    )]
    Behind {
        /// Of the daemon.
        key: u64,
        /// Of the trail.
        trail: u64,
    },
    /// Nothing to verify.
    #[error("there is not one record")]
    Empty,
}
