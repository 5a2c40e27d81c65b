//! Refuses rules that would take the host down.
//!
//! Invariant: no standing rule and no block entry can refuse everyone the loader, init, or Sentinel itself.

use std::{fs, net::Ipv4Addr, path::Path, sync::LazyLock};

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

/// Refuses a rule for everyone on something vital.
///
/// # Errors
///
/// Why, and what to do instead.
pub fn path(pattern: &PathPattern, access: u32) -> Result<(), String> {
    let harmful = access & (1 << Access::Exec as u32 | 1 << Access::Read as u32) != 0;
    match VITAL.iter().find(|(path, _)| harmful && pattern.matches(path)) {
        Some((vital, _)) => Err(format!(
            "{} covers {vital}, which this host needs to run; limit the rule with only, or to access [\"write\"]",
            pattern.path
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
    VITAL.iter().any(|(_, id)| *id == file)
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
