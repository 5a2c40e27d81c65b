//! Pins: what keeps enforcement in the kernel when the daemon is gone. One directory for each start of an enforcing daemon,
//! `/sys/fs/bpf/sentinel/SCOPE/GENERATION`, with its links, its counters and [`Meta`].
//!
//! Invariants: nothing is ever attached by means of an old pin. A successor attaches its own programs with its own maps, proves
//! them, and then removes the old directory, so it need not understand what is in there. What was pinned goes with its owner,
//! unless the owner is killed, panics, or was told to leave it. Not here: what a successor makes of it (`attendance`).

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use aya::{
    Ebpf,
    maps::{Array, Map, MapData, MapError},
    programs::{
        ProgramError, ProgramInfo,
        links::{FdLink, PinnedLink},
        loaded_programs,
    },
};
use sentinel_common::meta::{LAYOUT, MAGIC, Meta};
use thiserror::Error;

use super::{
    KernelError, chain,
    plain::{Plain, plain},
    stats::Stats,
};

plain!(Meta);

/// Where the BPF file system is; a test points elsewhere.
pub const BPFFS_VARIABLE: &str = "SENTINEL_BPFFS";
/// A test of another layout says its number here.
const LAYOUT_VARIABLE: &str = "SENTINEL_LAYOUT";
const BPFFS: &str = "/sys/fs/bpf";
/// `BPF_FS_MAGIC`.
const MAGIC_OF_BPFFS: i64 = 0xcafe_4a11;
/// Our directory in it.
const DIRECTORY: &str = "sentinel";
/// Maps that are pinned: what a successor and `status` read.
const MAPS: [&str; 3] = [META, "HOOK_STATS", "KIND_STATS"];
const META: &str = "META";
/// Links have this in front of their name.
const LINK: &str = "link_";
/// How long the kernel may take to free a program that nothing holds.
const GRACE: Duration = Duration::from_secs(20);

/// Why there can be no pins, or why they cannot be dealt with.
#[derive(Debug, Error)]
pub enum PinError {
    /// No file system for them.
    #[error(
        "{place} is no BPF file system and none can be mounted there ({reason}); mount one: mount -t bpf bpf {place}"
    )]
    NoFileSystem {
        /// Where it belongs.
        place: String,
        /// What the kernel said.
        reason: io::Error,
    },
    /// A directory.
    #[error("cannot {what} {path}: {reason}; if nothing of it is needed: rm -r {path}")]
    Directory {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: String,
        /// What the kernel said.
        reason: String,
    },
}

fn directory_error(what: &'static str, path: &Path, reason: &dyn std::error::Error) -> PinError {
    PinError::Directory { what, path: path.display().to_string(), reason: chain(reason) }
}

/// Layout of what this program pins.
#[must_use]
pub fn layout() -> u32 {
    std::env::var(LAYOUT_VARIABLE).ok().and_then(|text| text.parse().ok()).unwrap_or(LAYOUT)
}

/// Where all pins are.
#[must_use]
pub fn root() -> PathBuf {
    bpffs().join(DIRECTORY)
}

fn bpffs() -> PathBuf {
    std::env::var_os(BPFFS_VARIABLE).map_or_else(|| BPFFS.into(), PathBuf::from)
}

/// The pins of one start.
pub struct Pins {
    directory: PathBuf,
    links: BTreeMap<String, PinnedLink>,
    stays: bool,
}

impl Pins {
    /// Makes the directory for a scope (0: the whole host) and pins the counters of a loaded object.
    pub(super) fn make(scope: u64, ebpf: &Ebpf) -> Result<Self, PinError> {
        ensure_bpffs(&bpffs())?;
        let scope = if scope == 0 { "host".to_owned() } else { format!("cgroup-{scope}") };
        let parent = root().join(scope);
        let make = |path: &Path, above| {
            let made = fs::DirBuilder::new().recursive(above).mode(0o700).create(path);
            made.map_err(|error| directory_error("make", path, &error))
        };
        make(&parent, true)?;
        // The boot clock tells one start from another, and which was first.
        let directory = parent.join(format!("{:016x}", crate::clock::boot_now()));
        make(&directory, false)?;
        let pins = Self { directory, links: BTreeMap::new(), stays: false };
        for name in MAPS {
            let path = pins.directory.join(name);
            if let Some(map) = ebpf.map(name) {
                map.pin(&path).map_err(|error| directory_error("pin", &path, &error))?;
            }
        }
        Ok(pins)
    }

    /// Where they are.
    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Pins a link. The descriptor stays too: who removes the file while the daemon lives changes nothing.
    pub(super) fn add(&mut self, name: &str, link: FdLink) -> Result<(), KernelError> {
        self.links.insert(name.to_owned(), pin_link(&self.directory, name, link)?);
        Ok(())
    }

    /// Detaches what was attached by a link.
    pub(super) fn remove(&mut self, name: &str) {
        if let Some(Err(error)) = self.links.remove(name).map(PinnedLink::unpin) {
            tracing::warn!("the pin of {name}: {error}");
        }
    }

    /// Leaves them in force when this ends.
    pub(super) const fn stay(&mut self) {
        self.stays = true;
    }
}

impl Drop for Pins {
    fn drop(&mut self) {
        if self.stays || std::thread::panicking() {
            return;
        }
        let links = std::mem::take(&mut self.links);
        let programs = links.into_values().filter_map(|link| program_of(&FdLink::from(link))).collect();
        if let Err(error) = remove_directory(&self.directory) {
            tracing::error!("{error}");
        }
        wait_until_gone(&programs);
    }
}

/// The id of the program that a link attaches.
fn program_of(link: &FdLink) -> Option<u32> {
    Some(link.info().ok()?.program_id())
}

/// Pins a link in a directory.
pub(super) fn pin_link(directory: &Path, name: &str, link: FdLink) -> Result<PinnedLink, KernelError> {
    let path = directory.join(format!("{LINK}{name}"));
    link.pin(&path).map_err(|error| KernelError::Attach {
        hook: name.to_owned(),
        place: path.display().to_string(),
        reason: chain(&error),
    })
}

/// What a Sentinel has left, or has in force now.
#[derive(Debug, Clone)]
pub struct Generation {
    /// Its directory.
    pub directory: PathBuf,
    /// What it says of itself; or why that is not known.
    pub meta: Result<Meta, String>,
}

/// Everything that is pinned, the oldest first.
///
/// # Errors
///
/// A directory that cannot be read.
pub fn generations() -> Result<Vec<Generation>, PinError> {
    let mut all = Vec::new();
    for scope in directories(&root())? {
        for directory in directories(&scope)? {
            let meta = read_meta(&directory.join(META));
            all.push(Generation { directory, meta });
        }
    }
    all.sort_by(|a, b| a.directory.file_name().cmp(&b.directory.file_name()));
    Ok(all)
}

fn directories(path: &Path) -> Result<Vec<PathBuf>, PinError> {
    let failed = |error: io::Error| directory_error("read", path, &error);
    match fs::read_dir(path) {
        Ok(entries) => entries
            .map(|entry| Ok(entry?.path()))
            .filter(|path| path.as_ref().map_or(true, |path: &PathBuf| path.is_dir()))
            .collect::<io::Result<_>>()
            .map_err(failed),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(failed(error)),
    }
}

fn read_meta(path: &Path) -> Result<Meta, String> {
    let data = MapData::from_pin(path).map_err(|error| chain(&error))?;
    let info = data.info().map_err(|error| chain(&error))?;
    if info.value_size() as usize != size_of::<Meta>() {
        return Err(format!("it is {} bytes long, which is another version's", info.value_size()));
    }
    let map = Map::from_map_data(data).map_err(|error| chain(&error))?;
    let map: Array<MapData, Plain<Meta>> = map.try_into().map_err(|error| chain(&error))?;
    let Plain(meta) = map.get(&0, 0).map_err(|error| chain(&error))?;
    if meta.magic == MAGIC { Ok(meta) } else { Err("nothing has been written there".to_owned()) }
}

impl Generation {
    /// The scope that its directory says.
    #[must_use]
    pub fn scope(&self) -> Option<&str> {
        self.directory.parent()?.file_name()?.to_str()
    }

    /// What it says of itself, if this program understands it in full.
    #[must_use]
    pub fn understood(&self) -> Option<&Meta> {
        self.meta.as_ref().ok().filter(|meta| meta.layout == layout())
    }

    /// Whether its daemon lives.
    #[must_use]
    pub fn attended(&self) -> bool {
        self.meta.as_ref().is_ok_and(|meta| process_start(meta.pid) == Some(meta.process_start))
    }

    /// Its counters; none where another version has made them.
    #[must_use]
    pub fn stats(&self) -> Option<Stats> {
        self.understood()?;
        Stats::pinned(&self.directory).map_err(|error| tracing::warn!("{}: {error}", self.directory.display())).ok()
    }

    /// Names of its links: hooks, and devices.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_prefix(LINK)?.to_owned())).collect()
    }

    /// Takes it out of the kernel; done when nothing of it is left there.
    ///
    /// # Errors
    ///
    /// A file that could not be removed.
    pub fn remove(&self) -> Result<(), PinError> {
        let links = self.links().into_iter().map(|name| self.directory.join(format!("{LINK}{name}")));
        let programs = links.filter_map(|path| program_of(&PinnedLink::from_pin(path).ok()?.into())).collect();
        remove_directory(&self.directory)?;
        wait_until_gone(&programs);
        Ok(())
    }
}

/// Removes a generation, and the directories above that are empty then.
fn remove_directory(directory: &Path) -> Result<(), PinError> {
    match fs::remove_dir_all(directory) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(directory_error("remove", directory, &error));
        }
        Ok(()) | Err(_) => {}
    }
    // These stay while another Sentinel has something in them.
    for above in directory.ancestors().skip(1).take(2) {
        let _ = fs::remove_dir(above);
    }
    Ok(())
}

/// Waits until these programs are gone: the kernel detaches what nothing holds a little later, and forgets links before it does.
fn wait_until_gone(programs: &BTreeSet<u32>) {
    let end = Instant::now() + GRACE;
    let there = |info: Result<ProgramInfo, ProgramError>| info.is_ok_and(|info| programs.contains(&info.id()));
    while !programs.is_empty() && loaded_programs().any(there) {
        if Instant::now() >= end {
            tracing::warn!("the kernel still has programs {GRACE:?} after nothing holds them any more");
            return;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Mounts the BPF file system where it belongs, unless it is there.
fn ensure_bpffs(place: &Path) -> Result<(), PinError> {
    use rustix::{
        fs::statfs,
        mount::{MountFlags, mount},
    };
    let there = || statfs(place).is_ok_and(|stat| stat.f_type == MAGIC_OF_BPFFS);
    if there() {
        return Ok(());
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("bpf", place, "bpf", flags, Some(c"mode=0700"))
        .map_err(|error| PinError::NoFileSystem { place: place.display().to_string(), reason: error.into() })
}

/// Start of a process in clock ticks since boot: with its id this names it for good.
#[must_use]
pub fn process_start(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything; the 22nd field is the 20th behind it.
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

/// Text in a fixed place, NUL behind; cut where it does not fit.
#[must_use]
pub fn fixed<const N: usize>(text: &[u8]) -> [u8; N] {
    let mut bytes = [0; N];
    let length = text.len().min(N - 1);
    bytes[..length].copy_from_slice(&text[..length]);
    bytes
}

/// Such a text.
#[must_use]
pub fn text(bytes: &[u8]) -> String {
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    String::from_utf8_lossy(&bytes[..end]).into_owned()
}

/// The map that holds [`Meta`].
pub struct MetaMap(Array<MapData, Plain<Meta>>);

impl MetaMap {
    /// Takes it out of a loaded object.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if it is missing.
    pub(super) fn new(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        Ok(Self(super::verdicts::take!(ebpf, "META")))
    }

    /// Writes it.
    ///
    /// # Errors
    ///
    /// [`KernelError::Map`] if the kernel refuses.
    pub fn write(&mut self, meta: &Meta) -> Result<(), KernelError> {
        self.0.set(0, Plain(*meta), 0).map_err(|error| KernelError::Map { map: META, reason: chain(&error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_in_fixed_places() {
        let bytes: [u8; 8] = fixed(b"/run");
        assert_eq!((text(&bytes), bytes[4..].iter().all(|byte| *byte == 0)), ("/run".to_owned(), true));
        assert_eq!(text(&fixed::<4>(b"/run")), "/ru");
    }

    #[test]
    fn a_process_is_named_by_its_start() {
        let own = process_start(std::process::id()).unwrap();
        assert!(own > 0);
        assert_eq!(process_start(u32::MAX), None);
    }

    #[test]
    fn a_place_that_is_no_bpf_file_system_says_what_to_do() {
        let error = ensure_bpffs(Path::new("/nonexistent/bpf")).unwrap_err();
        assert!(error.to_string().contains("mount -t bpf bpf /nonexistent/bpf"), "{error}");
    }
}
