//! What this kernel offers, probed without attaching anything.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::MetadataExt as _,
    path::PathBuf,
};

use thiserror::Error;

/// Inode number of the initial PID namespace (`PROC_PID_INIT_INO` in the kernel).
const INITIAL_PID_NS: &str = "pid:[4026531836]";

/// Inode number of the root of a cgroup v2 hierarchy: the id of its root cgroup.
const ROOT_INODE: u64 = 1;

/// Why Sentinel cannot run here at all.
#[derive(Debug, Error)]
pub enum FeatureError {
    /// Loading kernel programs needs root.
    #[error("Sentinel must run as root to load kernel programs (effective user id is {0}); try sudo")]
    NotRoot(u32),
    /// Process ids would not be the kernel's.
    #[error(
        "Sentinel must run in the host's PID namespace, because the kernel reports the host's process ids; in a \
         container use --pid=host"
    )]
    PidNamespace,
    /// Only a part of the hierarchy is in sight.
    #[error(
        "{0} is not the root of the cgroup hierarchy: Sentinel runs in a cgroup namespace or sees only a part; in a \
         container use --cgroupns=host"
    )]
    CgroupNamespace(PathBuf),
    /// No cgroup v2 hierarchy.
    #[error("no cgroup v2 file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup")]
    NoCgroup2,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Features {
    /// Mount point of the cgroup v2 hierarchy.
    pub cgroup2: PathBuf,
    /// The kernel's list of active security modules; `None` if securityfs cannot be read.
    pub lsm: Option<String>,
}

impl Features {
    /// Whether the kernel says that BPF security programs never run; `false` when it does not say.
    #[must_use]
    pub fn lsm_bpf_off(&self) -> bool {
        self.lsm.as_ref().is_some_and(|list| !list.split(',').any(|module| module.trim() == "bpf"))
    }
}

/// Nothing works without root; asked before anything else is tried.
///
/// # Errors
///
/// [`FeatureError::NotRoot`].
pub fn require_root() -> Result<(), FeatureError> {
    let uid = rustix::process::geteuid();
    if uid.is_root() { Ok(()) } else { Err(FeatureError::NotRoot(uid.as_raw())) }
}

/// Looks at the running system.
///
/// # Errors
///
/// See [`FeatureError`].
pub fn probe() -> Result<Features, FeatureError> {
    require_root()?;
    if fs::read_link("/proc/self/ns/pid").is_ok_and(|ns| ns.as_os_str() != INITIAL_PID_NS) {
        return Err(FeatureError::PidNamespace);
    }
    let cgroup2 = cgroup2_mount().ok_or(FeatureError::NoCgroup2)?;
    if !fs::metadata(&cgroup2).is_ok_and(|meta| meta.ino() == ROOT_INODE) {
        return Err(FeatureError::CgroupNamespace(cgroup2));
    }
    Ok(Features {
        cgroup2,
        lsm: fs::read_to_string("/sys/kernel/security/lsm").ok().map(|list| list.trim().to_owned()),
    })
}

/// Where the cgroup v2 hierarchy is mounted, if it is.
#[must_use]
pub fn cgroup2_mount() -> Option<PathBuf> {
    mount_point("cgroup2")
}

/// First mount point of a file system type.
fn mount_point(kind: &str) -> Option<PathBuf> {
    let mounts = BufReader::new(fs::File::open("/proc/self/mounts").ok()?);
    mounts.lines().map_while(Result::ok).find_map(|line| {
        let mut fields = line.split(' ');
        let place = fields.nth(1)?.to_owned();
        (fields.next() == Some(kind)).then(|| PathBuf::from(place))
    })
}
