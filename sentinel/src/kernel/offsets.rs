//! Resolves the offsets of [`Offsets::FIELDS`] from the running kernel.
//!
//! Invariant: a field that is missing stops the start with its name, unless older kernels have no such thing; no offset is ever guessed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use sentinel_common::config::{Offsets, together};
use thiserror::Error;

use super::btf::{Btf, BtfError};

/// Where the kernel shows its own type information.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

/// Structures that older kernels do not have; their fields are at 0 then, which the programs know.
const OPTIONAL: [&str; 1] = ["backing_file"];

/// Why the offsets could not be had.
#[derive(Debug, Error)]
pub enum OffsetError {
    /// The kernel was built without BTF, or /sys is not mounted.
    #[error(
        "cannot read kernel type information from {path}: {source}; Sentinel needs a kernel built with \
         CONFIG_DEBUG_INFO_BTF=y (Debian, Ubuntu, Fedora and RHEL kernels are) and /sys mounted"
    )]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What reading it said.
        source: std::io::Error,
    },
    /// The information does not hold what the kernel programs need.
    #[error("cannot use kernel type information from {path}: {source}; this kernel is not supported")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: BtfError,
    },
}

/// Resolves every offset from the file at `path`.
///
/// # Errors
///
/// See [`OffsetError`].
pub fn resolve(path: &Path) -> Result<Offsets, OffsetError> {
    let data = std::fs::read(path).map_err(|source| OffsetError::Unreadable { path: path.to_owned(), source })?;
    from_bytes(&data).map_err(|source| OffsetError::Unusable { path: path.to_owned(), source })
}

/// Which fields lie side by side, as [`together`] bits.
#[must_use]
pub const fn together(at: &Offsets) -> u32 {
    let named = at.dentry_d_name == at.dentry_d_parent + 8 && at.qstr_len == 4 && at.qstr_name == 8;
    let dentry = if named && at.dentry_d_inode == at.dentry_d_parent + 24 { together::DENTRY } else { 0 };
    dentry | if at.inode_i_ino == at.inode_i_sb + 24 { together::INODE } else { 0 }
}

fn from_bytes(data: &[u8]) -> Result<Offsets, BtfError> {
    let btf = Btf::parse(data)?;
    let names: BTreeSet<&str> = Offsets::FIELDS.iter().map(|(name, _, _)| *name).collect();
    let (optional, needed): (Vec<&str>, Vec<&str>) = names.into_iter().partition(|name| OPTIONAL.contains(name));
    let mut structs = btf.structs(&needed)?;
    optional.into_iter().filter_map(|name| btf.structs(&[name]).ok()).for_each(|found| structs.extend(found));
    let mut offsets = Offsets::ZERO;
    for (name, field, place) in Offsets::FIELDS {
        let found = structs.get(name).map_or(Ok(None), |at| by_any_name(&btf, *at, field))?;
        if OPTIONAL.contains(name) && found.is_none() {
            continue;
        }
        let missing = || BtfError::NoField((*name).to_owned(), (*field).to_owned());
        *place(&mut offsets) = found.ok_or_else(missing)?;
    }
    for (name, field, place) in Offsets::OPTIONAL {
        // All of them are in structures that have required fields too.
        let found = structs.get(*name).map_or(Ok(None), |structure| btf.offset(*structure, field))?;
        *place(&mut offsets) = found.unwrap_or_default();
    }
    Ok(offsets)
}

/// The offset of a field that may have several names, each with bytes to add: `new|old+8`.
fn by_any_name(btf: &Btf, structure: usize, names: &str) -> Result<Option<u32>, BtfError> {
    for name in names.split('|') {
        let (name, more) = name.split_once('+').unwrap_or((name, "0"));
        if let Some(offset) = btf.offset(structure, name)? {
            return Ok(more.parse::<u32>().ok().map(|more| offset + more));
        }
    }
    Ok(None)
}
