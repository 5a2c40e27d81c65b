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
        *place(&mut offsets) = btf.offset(structs[name], field)?.ok_or_else(missing)?;
    }
    for (name, field, place) in Offsets::OPTIONAL {
        // All of them are in structures that have required fields too.
        let found = structs.get(*name).map_or(Ok(None), |structure| btf.offset(*structure, field))?;
        *place(&mut offsets) = found.unwrap_or_default();
    }
    Ok(offsets)
}
