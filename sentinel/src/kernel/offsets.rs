//! Resolves the offsets of [`Offsets::FIELDS`] from the running kernel.
//!
//! Invariant: a field that is missing stops the start with its name; no offset is ever guessed.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use sentinel_common::config::Offsets;
use thiserror::Error;

use super::btf::{Btf, BtfError};

/// Where the kernel shows its own type information.
pub const VMLINUX: &str = "/sys/kernel/btf/vmlinux";

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

fn from_bytes(data: &[u8]) -> Result<Offsets, BtfError> {
    let btf = Btf::parse(data)?;
    let names: BTreeSet<&str> = Offsets::FIELDS.iter().map(|(name, _, _)| *name).collect();
    let structs = btf.structs(&names.into_iter().collect::<Vec<_>>())?;
    let mut offsets = Offsets::ZERO;
    for (name, field, place) in Offsets::FIELDS {
        let missing = || BtfError::NoField((*name).to_owned(), (*field).to_owned());
        *place(&mut offsets) = by_any_name(&btf, structs[name], field)?.ok_or_else(missing)?;
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
