//! Types that the kernel programs and user space share.
//!
//! Everything here is `no_std`, `repr(C)`, padded explicitly and checked for its size, so that one
//! definition is the wire format of rings and maps. The one piece of logic is [`address`]: the
//! normaliser must be the same code on both sides.
#![no_std]
#![forbid(unsafe_code)]

pub mod address;
pub mod config;
pub mod content;
pub mod event;
pub mod geo;
pub mod meta;
pub mod probe;
pub mod repeat;
pub mod stats;
pub mod verdict;

/// A hook, by the number that its counters, events and canary masks use. Stable within one build.
pub mod hook {
    /// `lsm/bprm_check_security`.
    pub const BPRM_CHECK: u32 = 0;
    /// `lsm/file_open`.
    pub const FILE_OPEN: u32 = 1;
    /// `lsm/socket_connect`.
    pub const SOCKET_CONNECT: u32 = 2;
    /// `lsm/socket_sendmsg`.
    pub const SOCKET_SENDMSG: u32 = 3;
    /// `cgroup/connect4`.
    pub const CONNECT4: u32 = 4;
    /// `cgroup/connect6`.
    pub const CONNECT6: u32 = 5;
    /// `cgroup/sendmsg4`.
    pub const SENDMSG4: u32 = 6;
    /// `cgroup/sendmsg6`.
    pub const SENDMSG6: u32 = 7;
    /// `cgroup_skb/egress`.
    pub const EGRESS: u32 = 8;
    /// `tp_btf/sched_process_fork`.
    pub const SCHED_FORK: u32 = 9;
    /// `tp_btf/sched_process_exec`.
    pub const SCHED_EXEC: u32 = 10;
    /// `tp_btf/sched_process_exit`.
    pub const SCHED_EXIT: u32 = 11;
    /// `tracepoint/syscalls/sys_exit_open*`: opens are reported here where LSM programs are refused.
    pub const SYS_EXIT_OPEN: u32 = 12;
    /// `cgroup_skb/ingress`: DNS answers on their way in.
    pub const INGRESS: u32 = 13;
    /// `lsm/socket_create`.
    pub const SOCKET_CREATE: u32 = 14;
    /// Egress of a device: tcx, or before 6.6 a filter of its clsact qdisc.
    pub const FORWARD: u32 = 15;
    /// `lsm/path_mknod`: also an open that creates.
    pub const PATH_MKNOD: u32 = 16;
    /// `lsm/path_mkdir`.
    pub const PATH_MKDIR: u32 = 17;
    /// `lsm/path_symlink`.
    pub const PATH_SYMLINK: u32 = 18;
    /// `lsm/path_link`.
    pub const PATH_LINK: u32 = 19;
    /// `lsm/path_unlink`.
    pub const PATH_UNLINK: u32 = 20;
    /// `lsm/path_rmdir`.
    pub const PATH_RMDIR: u32 = 21;
    /// `lsm/path_rename`.
    pub const PATH_RENAME: u32 = 22;
    /// `lsm/path_truncate`.
    pub const PATH_TRUNCATE: u32 = 23;
    /// `lsm/file_truncate`, since 6.2.
    pub const FILE_TRUNCATE: u32 = 24;
    /// `lsm/path_chmod`.
    pub const PATH_CHMOD: u32 = 25;
    /// `lsm/path_chown`.
    pub const PATH_CHOWN: u32 = 26;
    /// `lsm/inode_setxattr`.
    pub const INODE_SETXATTR: u32 = 27;
    /// `lsm/inode_removexattr`.
    pub const INODE_REMOVEXATTR: u32 = 28;
    /// `lsm/sb_mount`.
    pub const SB_MOUNT: u32 = 29;
    /// `lsm/move_mount`.
    pub const MOVE_MOUNT: u32 = 30;
    /// `lsm/mmap_file`.
    pub const MMAP_FILE: u32 = 31;
    /// `lsm/file_mprotect`.
    pub const FILE_MPROTECT: u32 = 32;
    /// `tp_btf/cgroup_mkdir`.
    pub const CGROUP_MKDIR: u32 = 33;
    /// `lsm.s/bprm_check_security`: hashes what is executed, before [`BPRM_CHECK`] decides.
    pub const BPRM_HASH: u32 = 34;
    /// `lsm/ptrace_access_check`.
    pub const PTRACE_ACCESS_CHECK: u32 = 35;
    /// `lsm/bprm_creds_from_file`: a process that is traced executes.
    pub const BPRM_TRACED: u32 = 36;
    /// How many hooks there are.
    pub const COUNT: u32 = 37;
    /// What the probe asks as: nothing is attached there and nothing is counted. Entries for every hook hold.
    pub const PROBE: u32 = 63;
    /// Every hook, in entries.
    pub const ANY: u32 = u32::MAX;
}

/// Identity of a file: device and inode number as the kernel has them.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// `inode.i_ino`.
    pub ino: u64,
    /// `super_block.s_dev`: the kernel's own encoding, `major << 20 | minor`.
    pub dev: u32,
    /// `inode.i_generation` of the file that an event is about, which tells it from an older one with its number; 0: not
    /// known, or not asked for. Never part of a key.
    pub generation: u32,
}

impl FileId {
    /// The same file as it is written in keys.
    #[inline(always)]
    #[must_use]
    pub const fn key(self) -> Self {
        Self { generation: 0, ..self }
    }

    /// Whether no file is meant (a kernel thread has no executable).
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.ino == 0 && self.dev == 0
    }
}

const _: () = assert!(size_of::<FileId>() == 16);
