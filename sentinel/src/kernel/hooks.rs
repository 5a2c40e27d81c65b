//! The table of hooks: one row each, everything that differs between hooks in one place.
//!
//! A new hook is a row here, a number in `sentinel_common::hook`, a program and a scenario.

use sentinel_common::hook;

/// How a program gets to its hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// Security hook of the kernel.
    Lsm,
    /// Hook of a cgroup.
    Cgroup,
    /// Typed raw tracepoint.
    BtfTracepoint,
    /// The exits of the open system calls.
    OpenExits,
    /// Network devices, on the way out.
    Devices,
}

/// What a hook watches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Family {
    /// Execution.
    Exec,
    /// Files.
    File,
    /// Network egress.
    Egress,
    /// The process table.
    Process,
    /// Names of destinations.
    Names,
}

impl Family {
    /// The word that status reasons use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::File => "file",
            Self::Egress => "egress",
            Self::Process => "process",
            Self::Names => "names",
        }
    }
}

/// One row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hook {
    /// Number in counters and events.
    pub id: u32,
    /// Name of the program, which is the name of the hook.
    pub name: &'static str,
    /// How it is attached.
    pub attach: Attach,
    /// What it watches.
    pub family: Family,
    /// Whether it can refuse. Those that can are proved by a canary.
    pub refuses: bool,
    /// What an internal error does; it is counted either way.
    pub on_error: &'static str,
}

impl Hook {
    /// The place in the kernel, where the program has a name of its own.
    #[must_use]
    pub fn place(&self) -> &'static str {
        match self.id {
            hook::BPRM_HASH => "bprm_check_security",
            hook::BPRM_TRACED => "bprm_creds_from_file",
            _ => self.name,
        }
    }

    /// Whether it is the one that hashes executables, which is missed only where a rule is about hashes.
    #[must_use]
    pub const fn hashes(&self) -> bool {
        self.id == hook::BPRM_HASH
    }

    /// Whether it is one of those on changes of names and files, which are attached only where a rule needs them.
    #[must_use]
    pub const fn on_changes(&self) -> bool {
        self.id >= hook::PATH_MKNOD && self.id <= hook::MOVE_MOUNT
    }

    /// Whether it is one of those on files that are mapped to be executed; as above.
    #[must_use]
    pub const fn on_mappings(&self) -> bool {
        self.id == hook::MMAP_FILE || self.id == hook::FILE_MPROTECT
    }

    /// Whether it is one of those on entering other processes; as above.
    #[must_use]
    pub const fn on_traces(&self) -> bool {
        self.id == hook::PTRACE_ACCESS_CHECK || self.id == hook::BPRM_TRACED
    }
}

/// Which of the hooks that only some policies need are needed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Demand {
    /// Those on changes of names and files.
    pub changes: bool,
    /// Those on files that are mapped to be executed.
    pub mappings: bool,
    /// Those on entering other processes.
    pub traces: bool,
}

impl Demand {
    /// All of them.
    pub const ALL: Self = Self { changes: true, mappings: true, traces: true };

    /// Whether a hook is needed. Most always are.
    #[must_use]
    pub const fn wants(self, hook: &Hook) -> bool {
        (self.changes || !hook.on_changes())
            && (self.mappings || !hook.on_mappings())
            && (self.traces || !hook.on_traces())
    }
}

const OPEN: &str = "allow";

macro_rules! row {
    ($id:ident, $name:literal, $attach:ident, $family:ident, $refuses:literal) => {
        Hook {
            id: hook::$id,
            name: $name,
            attach: Attach::$attach,
            family: Family::$family,
            refuses: $refuses,
            on_error: OPEN,
        }
    };
}

/// All hooks, in the order in which they are attached: the process table first.
pub const HOOKS: [Hook; hook::COUNT as usize] = [
    row!(SCHED_FORK, "sched_process_fork", BtfTracepoint, Process, false),
    row!(SCHED_EXEC, "sched_process_exec", BtfTracepoint, Process, false),
    row!(SCHED_EXIT, "sched_process_exit", BtfTracepoint, Process, false),
    row!(CGROUP_MKDIR, "cgroup_mkdir", BtfTracepoint, Process, false),
    row!(BPRM_CHECK, "bprm_check_security", Lsm, Exec, true),
    row!(FILE_OPEN, "file_open", Lsm, File, true),
    row!(SOCKET_CONNECT, "socket_connect", Lsm, Egress, true),
    row!(SOCKET_SENDMSG, "socket_sendmsg", Lsm, Egress, true),
    row!(CONNECT4, "connect4", Cgroup, Egress, true),
    row!(CONNECT6, "connect6", Cgroup, Egress, true),
    row!(SENDMSG4, "sendmsg4", Cgroup, Egress, true),
    row!(SENDMSG6, "sendmsg6", Cgroup, Egress, true),
    row!(EGRESS, "egress", Cgroup, Egress, true),
    row!(SOCKET_CREATE, "socket_create", Lsm, Egress, true),
    row!(FORWARD, "forward", Devices, Egress, true),
    row!(INGRESS, "ingress", Cgroup, Names, false),
    row!(SYS_EXIT_OPEN, "sys_exit_open", OpenExits, File, false),
    row!(PATH_MKNOD, "path_mknod", Lsm, File, true),
    row!(PATH_MKDIR, "path_mkdir", Lsm, File, true),
    row!(PATH_SYMLINK, "path_symlink", Lsm, File, true),
    row!(PATH_LINK, "path_link", Lsm, File, true),
    row!(PATH_UNLINK, "path_unlink", Lsm, File, true),
    row!(PATH_RMDIR, "path_rmdir", Lsm, File, true),
    row!(PATH_RENAME, "path_rename", Lsm, File, true),
    row!(PATH_TRUNCATE, "path_truncate", Lsm, File, true),
    row!(FILE_TRUNCATE, "file_truncate", Lsm, File, true),
    row!(PATH_CHMOD, "path_chmod", Lsm, File, true),
    row!(PATH_CHOWN, "path_chown", Lsm, File, true),
    row!(INODE_SETXATTR, "inode_setxattr", Lsm, File, true),
    row!(INODE_REMOVEXATTR, "inode_removexattr", Lsm, File, true),
    row!(SB_MOUNT, "sb_mount", Lsm, File, true),
    row!(MOVE_MOUNT, "move_mount", Lsm, File, true),
    row!(MMAP_FILE, "mmap_file", Lsm, Exec, true),
    row!(FILE_MPROTECT, "file_mprotect", Lsm, Exec, true),
    row!(PTRACE_ACCESS_CHECK, "ptrace_access_check", Lsm, Process, true),
    row!(BPRM_TRACED, "bprm_traced", Lsm, Process, true),
    // Attached after the one that decides, so that it runs before.
    row!(BPRM_HASH, "bprm_hash", Lsm, Exec, true),
];

/// Why a hook is not attached that this kernel does not have.
pub const NO_SUCH_HOOK: &str = "this kernel has no such hook";
/// Why a hook is not attached that only other policies need.
pub const NOT_NEEDED: &str = "no rule needs it";
/// A hook that kernels before 6.2 lack and do not need: `path_truncate` is then called for open files too.
pub const FILE_TRUNCATE: &str = "file_truncate";

/// The row of a hook number.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Hook> {
    HOOKS.iter().find(|hook| hook.id == id)
}

/// The system calls whose exits report an open.
pub const OPEN_EXITS: [&str; 5] =
    ["sys_exit_open", "sys_exit_openat", "sys_exit_openat2", "sys_exit_creat", "sys_exit_open_by_handle_at"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_has_one_row() {
        for id in 0..hook::COUNT {
            assert_eq!(HOOKS.iter().filter(|hook| hook.id == id).count(), 1, "hook {id}");
        }
    }
}
