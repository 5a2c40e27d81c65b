//! The techniques, and the scenarios that show what becomes of each.
//!
//! Invariant: a scenario stands in a row only if it fails when the technique gets through.

/// A technique.
pub(super) struct Row {
    /// `N1`, `F1`, ...
    pub(super) id: &'static str,
    /// What it is.
    pub(super) technique: &'static str,
    /// Where it is shown; none: nowhere.
    pub(super) ways: &'static [Way],
}

/// The scenarios for one file system, or for one part of the technique.
pub(super) struct Way {
    /// The file system or the part.
    pub(super) on: &'static str,
    /// Whether the host cannot run them.
    pub(super) vm_only: bool,
    /// Their names.
    pub(super) scenarios: &'static [&'static str],
}

const fn row(id: &'static str, technique: &'static str, ways: &'static [Way]) -> Row {
    Row { id, technique, ways }
}

/// In the VM and on the host.
const fn both(on: &'static str, scenarios: &'static [&'static str]) -> Way {
    Way { on, vm_only: false, scenarios }
}

/// In the VM.
const fn vm(on: &'static str, scenarios: &'static [&'static str]) -> Way {
    Way { on, vm_only: true, scenarios }
}

/// All rows.
pub(super) const ROWS: &[Row] = &[
    row("N1", "io_uring connect and send", &[both("", &["egress-n1-io-uring"])]),
    row("N2", "UDP send without connect", &[both("", &["egress-n2-udp-without-connect"])]),
    row("N3", "TCP Fast Open, deferred connect", &[both("", &["egress-n3-fast-open"])]),
    row("N4", "AF_UNSPEC destination on an AF_INET socket", &[both("", &["egress-n4-unspec"])]),
    row("N5", "IPv4-mapped IPv6", &[both("", &["egress-n5-v4-mapped"])]),
    row("N6", "NAT64, 6to4, Teredo, v4-compatible", &[both("", &["egress-n6-v4-inside-v6"])]),
    row(
        "N7",
        "a socket from before the start, passed on or inherited",
        &[
            both("", &["egress-n7-one-socket-many-peers", "egress-n7-sockets-passed-and-inherited"]),
            both("connections", &["existing-connections-end-at-start-and-reload"]),
        ],
    ),
    row(
        "N8",
        "DNAT or a sidecar behind the connect",
        &[both("", &["egress-n8-nft-dnat", "egress-n8-transparent-proxy"])],
    ),
    row(
        "N9",
        "raw IP, ICMP, packet sockets, tun, forwarding, tunnels",
        &[
            both("raw IP, ICMP", &["egress-n9-raw-and-icmp"]),
            both("packet sockets", &["egress-n9-packet-sockets"]),
            both("tun", &["egress-n9-tun"]),
            both("forwarding", &["egress-n9-forwarding"]),
            both("tunnels", &["egress-n9-tunnels"]),
        ],
    ),
    row(
        "N10",
        "SCTP, MPTCP subflows",
        &[both("MPTCP", &["egress-n10-mptcp-connect", "egress-n10-mptcp-subflow"]), both("SCTP", &["egress-n10-sctp"])],
    ),
    row(
        "N11",
        "a new network namespace, user namespace or cgroup",
        &[both("", &["egress-n11-namespaces-and-cgroups"])],
    ),
    row("N12", "the first connection, before user space decided", &[both("", &["egress-n12-the-first-connection"])]),
    row(
        "N13",
        "replies, kernel sockets, families that carry IP under another name",
        &[both("replies", &["egress-n13-replies"]), both("families", &["egress-n13-other-families"])],
    ),
    row("N14", "relays: proxy, VPN, CDN, DNS tunnel", &[]),
    row("F1", "arguments changed after the check", &[vm("a name that changes", &["evasion-raced-names"])]),
    row(
        "F2",
        "symlink, hard link, bind mount, rename, chroot, mount namespace",
        &[
            vm("tmpfs", &["files-ways-tmpfs"]),
            vm("ext4", &["files-ways-ext4"]),
            vm("Btrfs", &["files-ways-btrfs"]),
            vm("overlayfs", &["files-ways-overlay"]),
        ],
    ),
    row("F3", "overlayfs copy-up gives a new inode", &[vm("overlayfs", &["files-copied-up", "files-caches-overlay"])]),
    row(
        "F4",
        "delete and recreate, rename over, recycled inode numbers, dropped caches",
        &[
            vm("tmpfs", &["files-replaced-tmpfs", "files-recycled-tmpfs", "files-caches-tmpfs", "files-appear-later"]),
            vm("ext4", &["files-replaced-ext4", "files-recycled-ext4", "files-caches-ext4"]),
            vm("Btrfs", &["files-replaced-btrfs", "files-recycled-btrfs", "files-caches-btrfs"]),
            vm("overlayfs", &["files-replaced-overlay"]),
        ],
    ),
    row(
        "F5",
        "copy of a forbidden binary",
        &[
            vm("tmpfs", &["images-hash-copy-tmpfs"]),
            vm("ext4", &["images-hash-copy-ext4"]),
            vm("overlayfs", &["images-hash-copy-overlay"]),
            vm("by the loader, once known", &["images-hash-loader"]),
            vm("a list of what may run", &["images-allow-list"]),
        ],
    ),
    row(
        "F6",
        "ld.so ./prog, dlopen, mmap(PROT_EXEC)",
        &[
            vm("the loader", &["files-loader"]),
            vm("tmpfs", &["files-ways-tmpfs"]),
            vm("ext4", &["files-ways-ext4"]),
            vm("Btrfs", &["files-ways-btrfs"]),
            vm("overlayfs", &["files-ways-overlay"]),
            vm("code made in memory goes on", &["files-anonymous-exec"]),
        ],
    ),
    row(
        "F7",
        "memfd, deleted file, /dev/shm, O_TMPFILE exec",
        &[vm("seen", &["images-not-on-disk"]), vm("a list of what may run", &["images-allow-list"])],
    ),
    row(
        "F8",
        "interpreter scripts, stdin to a shell",
        &[vm("ext4", &["evasion-scripts", "standing-executables-first-try"])],
    ),
    row(
        "F9",
        "io_uring openat, renameat, unlinkat",
        &[
            vm("tmpfs", &["files-ways-tmpfs"]),
            vm("ext4", &["files-ways-ext4"]),
            vm("Btrfs", &["files-ways-btrfs"]),
            vm("overlayfs", &["files-ways-overlay"]),
        ],
    ),
    row("F10", "open_by_handle_at, a descriptor from before", &[vm("tmpfs", &["files-loader"])]),
    row(
        "F11",
        "ptrace, process_vm_writev into an allowed program",
        &[vm("", &["evasion-entered-process", "evasion-entered-process-rules"])],
    ),
    row(
        "F12",
        "the effect happens before the kill",
        &[vm("", &["standing-paths-first-try", "standing-executables-first-try"])],
    ),
    row("F13", "long arguments or a deep path, truncated to hide", &[vm("deep paths", &["images-deep-path"])]),
    row("F14", "a flood evicts state or drops the event that counts", &[vm("network", &["egress-storm"])]),
    row("F15", "kill the agent, unlink pins, detach links, write its maps", &[]),
    row("F16", "PID reuse, comm spoofing", &[vm("", &["evasion-reused-process-id", "evasion-borrowed-thread-name"])]),
];
