//! Refuses rules that would take the host down.
//!
//! Invariant: no standing rule and no block entry can refuse everyone the loader, init, or what Sentinel needs to be
//! controlled; of standing rules `--force` lets one pass, which is told. Block entries of decisions are never forced.

use std::{
    fs,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use ipnet::{IpNet, Ipv6Net};
use rules::{Access, PathPattern, Subjects};
use sentinel_common::{
    FileId,
    address::{Address, Wrapping, normalise},
};

use crate::identity::Identities;

/// Programs and libraries that the host cannot live without: path and identity of each that exists here.
static VITAL: LazyLock<Vec<(String, FileId)>> = LazyLock::new(|| {
    let own = std::env::current_exe().unwrap_or_default();
    let init = fs::read_link("/proc/1/exe").unwrap_or_default();
    let fixed = [
        "/lib64/ld-linux-x86-64.so.2",
        "/lib/ld-linux-aarch64.so.1",
        "/lib/x86_64-linux-gnu/libc.so.6",
        "/lib/aarch64-linux-gnu/libc.so.6",
        "/usr/lib64/libc.so.6",
        "/sbin/init",
        "/bin/sh",
        "/bin/bash",
    ];
    let identities = Identities::read();
    let all = fixed.iter().map(Path::new).chain([own.as_path(), init.as_path()]);
    all.flat_map(|path| [path.to_owned(), fs::canonicalize(path).unwrap_or_default()])
        .filter_map(|path| Some((path.to_str()?.to_owned(), identities.of(&path).ok()?)))
        .collect()
});

/// What every host needs, here or where the policy will run: shells, the loader, libc, and Sentinel's own files.
const NEEDED: &[&str] = &[
    "/bin/sh",
    "/bin/bash",
    "/bin/dash",
    "/bin/ash",
    "/bin/zsh",
    "/bin/ksh",
    "/bin/busybox",
    "/usr/bin/sh",
    "/usr/bin/bash",
    "/usr/bin/dash",
    "/usr/bin/zsh",
    "/usr/bin/ksh",
    "/usr/bin/busybox",
    "/sbin/init",
    "/usr/sbin/init",
    "/lib/systemd/systemd",
    "/usr/lib/systemd/systemd",
    "/lib64/ld-linux-x86-64.so.2",
    "/usr/lib64/ld-linux-x86-64.so.2",
    "/lib/ld-linux-aarch64.so.1",
    "/usr/lib/ld-linux-aarch64.so.1",
    "/lib/ld-musl-x86_64.so.1",
    "/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    "/lib/x86_64-linux-gnu/libc.so.6",
    "/usr/lib/x86_64-linux-gnu/libc.so.6",
    "/lib/aarch64-linux-gnu/libc.so.6",
    "/usr/lib/aarch64-linux-gnu/libc.so.6",
    "/lib64/libc.so.6",
    "/usr/lib64/libc.so.6",
    "/usr/bin/sentinel",
];

/// Directories of Sentinel's own files.
const OWN: &[&str] = &["/etc/sentinel/", "/var/lib/sentinel/", "/run/sentinel/"];

/// Something that a host cannot do without and that the pattern covers, wherever the policy will run.
#[must_use]
pub fn vital(pattern: &PathPattern) -> Option<String> {
    let own = OWN.iter().find(|directory| {
        pattern.path.starts_with(**directory) || (pattern.prefix && directory.starts_with(&pattern.path))
    });
    let here = VITAL.iter().map(|(path, _)| path.as_str());
    let known = NEEDED.iter().copied().chain(here).find(|path| pattern.matches(path));
    known.map(str::to_owned).or_else(|| own.map(|_| format!("{} (Sentinel's own)", pattern.path)))
}

/// Programs that a host does not start without and that none of these patterns covers.
#[must_use]
pub fn vital_programs(allowed: &[PathPattern]) -> Vec<String> {
    let own = std::env::current_exe().unwrap_or_default();
    let init = fs::read_link("/proc/1/exe").unwrap_or_else(|_| "/sbin/init".into());
    let all = [own, init, "/bin/sh".into()];
    let covered = |path: &Path| path.to_str().is_some_and(|path| allowed.iter().any(|pattern| pattern.matches(path)));
    let missing = all.iter().filter(|path| !covered(path) && !fs::canonicalize(path).is_ok_and(|real| covered(&real)));
    missing.map(|path| path.display().to_string()).collect()
}

/// Refuses a rule on every address.
///
/// # Errors
///
/// Why, and what to do instead.
pub fn network(net: &IpNet) -> Result<(), String> {
    // An IPv6 network around the v4-mapped addresses holds for every IPv4 address.
    let all_v4 = IpNet::V6(Ipv6Net::new_assert(Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), 96));
    if net.prefix_len() == 0 || net.contains(&all_v4) {
        return Err(format!("{net} would cut this host off; use allow_countries or narrower networks"));
    }
    if let IpNet::V6(v6) = net {
        let (meant, wrapping) = normalise(Address::from_octets(v6.network().octets()));
        if !matches!(wrapping, Wrapping::None | Wrapping::Mapped) {
            let v4 = Ipv4Addr::from(meant.v4());
            return Err(format!("{net} stands for IPv4 addresses (here {v4}); block the IPv4 network instead"));
        }
    }
    Ok(())
}

/// What this Sentinel needs to go on being controlled: its files, with the accesses that nobody may be refused.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Own {
    files: Vec<(PathBuf, u32)>,
    binary: Option<FileId>,
}

impl Own {
    /// Of the settings file, the policies, and the directories of state and of the control socket.
    #[must_use]
    pub fn of<'a>(read: impl Iterator<Item = &'a Path>, changed: impl Iterator<Item = &'a Path>) -> Self {
        const READ: u32 = 1 << Access::Read as u32;
        const ALL: u32 = u32::MAX;
        let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let read = read.map(|path| (whole(path), READ));
        let files = read.chain(changed.map(|path| (whole(path), ALL))).collect();
        let binary = std::env::current_exe().and_then(|path| Identities::read().of(&path)).ok();
        Self { files, binary }
    }

    /// Whether one of these programs is Sentinel.
    #[must_use]
    pub fn is_among(&self, executables: &[PathPattern]) -> bool {
        if executables.is_empty() {
            return false;
        }
        let identities = Identities::read();
        executables.iter().any(|pattern| {
            !pattern.prefix && identities.of(Path::new(&pattern.path)).is_ok_and(|id| Some(id) == self.binary)
        })
    }

    /// Refuses a rule that would keep everyone, so Sentinel too, from its own files.
    ///
    /// # Errors
    ///
    /// Why, and what to do instead.
    pub fn path(&self, pattern: &PathPattern, access: u32) -> Result<(), String> {
        let covered = |path: &Path| {
            let own = path.to_string_lossy();
            let inside = pattern.path.strip_prefix(&*own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            inside || pattern.matches(&own) || (pattern.prefix && format!("{own}/") == pattern.path)
        };
        match self.files.iter().find(|(path, needed)| access & needed != 0 && covered(path)) {
            Some((path, _)) => Err(format!(
                "{} covers {}, which Sentinel needs to be controlled; limit the rule with only, or except Sentinel's own \
                 program",
                pattern.path,
                path.display()
            )),
            None => Ok(()),
        }
    }
}

/// Refuses a rule for everyone on something vital.
///
/// # Errors
///
/// Why, and what to do instead.
pub fn path(pattern: &PathPattern, access: u32) -> Result<(), String> {
    if pattern.prefix && pattern.path == "/" {
        return Err("/ covers every file of this host; name the directories that are meant".to_owned());
    }
    let harmful = access & (1 << Access::Exec as u32 | 1 << Access::Read as u32) != 0;
    match VITAL.iter().find(|(path, _)| harmful && pattern.matches(path)) {
        Some((vital, _)) => Err(format!(
            "{} covers {vital}, which this host needs to run; limit the rule with only, or to access [\"write\"]",
            pattern.path
        )),
        None => Ok(()),
    }
}

/// Refuses a rule for everyone on a file that is something vital under another name.
///
/// # Errors
///
/// Why, and what to do instead.
pub fn file(file: FileId, access: u32, path: &str) -> Result<(), String> {
    let harmful = access & (1 << Access::Exec as u32 | 1 << Access::Read as u32) != 0;
    match VITAL.iter().find(|(_, id)| harmful && *id == file.key()) {
        Some((vital, _)) => Err(format!(
            "{path} is the same file as {vital}, which this host needs to run; limit the rule with only, or to access \
             [\"write\"]"
        )),
        None => Ok(()),
    }
}

/// Whether an `only` filter spares what keeps the host running: it names programs, control groups other than the root,
/// or users other than root. An `except` filter never does, it names too few.
#[must_use]
pub fn spares_host(only: &Subjects) -> bool {
    let by_cgroup = !only.cgroups.is_empty() && only.cgroups.iter().all(|path| !path.trim_matches('/').is_empty());
    !only.executables.is_empty() || by_cgroup || (!only.uids.is_empty() && !only.uids.contains(&0))
}

/// Whether a file may not be refused to everyone.
#[must_use]
pub fn is_vital(file: FileId) -> bool {
    VITAL.iter().any(|(_, id)| *id == file.key())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(path: &str) -> PathPattern {
        PathPattern { path: path.to_owned(), prefix: path.ends_with('/') }
    }

    #[test]
    fn what_the_host_needs_is_refused() {
        for path in ["/bin/sh", "/", "/usr/", "/proc/self/exe/../../sh"] {
            let refused = super::path(&pattern(path), u32::MAX).is_err();
            assert_eq!(refused, path != "/proc/self/exe/../../sh", "{path}");
        }
        assert!(super::path(&pattern("/bin/sh"), 1 << Access::Write as u32).is_ok());
        assert!(super::path(&pattern("/etc/shadow"), u32::MAX).is_ok());
        assert!(network(&"0.0.0.0/0".parse().unwrap()).is_err());
        assert!(network(&"203.0.113.0/24".parse().unwrap()).is_ok());
        for (net, refused) in [
            ("::/64", true),
            ("::ffff:0:0/96", true),
            ("::ffff:0:0/97", false),
            ("2001:db8::/32", false),
            ("2002::/16", true),
        ] {
            assert_eq!(network(&net.parse().unwrap()).is_err(), refused, "{net}");
        }
    }

    #[test]
    fn sentinels_own_files_are_refused() {
        let (state, settings) = (Path::new("/nonexistent/state"), Path::new("/nonexistent/sentinel.toml"));
        let own = Own::of([settings].into_iter(), [state].into_iter());
        let (read, write) = (1 << Access::Read as u32, 1 << Access::Write as u32);
        for (path, access, refused) in [
            ("/nonexistent/state/", write, true),
            ("/nonexistent/state", write, true),
            ("/nonexistent/state/blocks.json", write, true),
            ("/nonexistent/", write, true),
            ("/nonexistent/state2", write, false),
            ("/nonexistent/sentinel.toml", read, true),
            ("/nonexistent/sentinel.toml", write, false),
            ("/srv/", u32::MAX, false),
        ] {
            assert_eq!(own.path(&pattern(path), access).is_err(), refused, "{path} {access}");
        }
        let exe = std::env::current_exe().unwrap();
        assert!(own.is_among(&[pattern(exe.to_str().unwrap())]));
        assert!(!own.is_among(&[pattern("/bin/sh")]));
    }

    #[test]
    fn what_every_host_needs_is_known_without_being_there() {
        for path in ["/bin/ash", "/usr/lib64/libc.so.6", "/etc/sentinel/sentinel.toml", "/usr/", "/etc/"] {
            assert!(vital(&pattern(path)).is_some(), "{path}");
        }
        for path in ["/etc/shadow", "/usr/bin/curl", "/opt/"] {
            assert_eq!(vital(&pattern(path)), None, "{path}");
        }
    }

    #[test]
    fn only_narrow_limits_spare_the_host() {
        let none = Subjects::default();
        assert!(!spares_host(&none));
        assert!(!spares_host(&Subjects { uids: vec![0, 1000], ..none.clone() }));
        assert!(!spares_host(&Subjects { cgroups: vec!["/".to_owned()], ..none.clone() }));
        assert!(!spares_host(&Subjects { ports: vec![80], ..none.clone() }));
        assert!(spares_host(&Subjects { uids: vec![1000], ..none.clone() }));
        assert!(spares_host(&Subjects { executables: vec![pattern("/opt/render")], ..none }));
    }
}
