//! What user space tells the kernel programs at load time: one frozen global.
//!
//! Invariant: nothing here changes while the programs are loaded, so the verifier sees constants
//! and removes what is switched off (in monitor mode: every refusal). What changes is in maps.

/// Load-time settings of the kernel programs.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Config {
    /// 1: a block verdict refuses; 0: refusal is compiled out (monitor mode).
    pub enforce: u32,
    /// Thread group id of the daemon in the initial PID namespace; its own events are suppressed.
    pub own_tgid: u32,
    /// Depth of the scope cgroup below the root; meaningless when `scope_cgroup` is 0.
    pub scope_level: u32,
    /// 1: whatever is mapped to be executed is reported, for a policy that is learned.
    pub learn: u32,
    /// What becomes of verdicts when the daemon is gone for too long: [`crate::meta::unattended`].
    pub unattended: u32,
    /// Fields that can be had in one read: [`together`] bits.
    pub together: u32,
    /// Which hooks on egress are attached, a bit for each number in [`crate::hook`].
    pub attached: u64,
    /// Id of the cgroup that reporting and enforcing are limited to; 0: the whole host.
    pub scope_cgroup: u64,
    /// A repeat is sent again after so many seconds; 0: everything is sent.
    pub repeat_seconds: u64,
    /// Addresses of the kernel's counts of renames and of mounts (`rename_lock`, `mount_lock`); 0: not known, and every open is
    /// looked at and sent.
    pub names: [u64; 2],
    /// Field offsets of the running kernel.
    pub offsets: Offsets,
}

impl Config {
    /// All zero: what the object file holds before the loader fills it in.
    pub const ZERO: Self = Self {
        enforce: 0,
        own_tgid: 0,
        scope_level: 0,
        learn: 0,
        unattended: 0,
        together: 0,
        attached: 0,
        scope_cgroup: 0,
        repeat_seconds: 0,
        names: [0; 2],
        offsets: Offsets::ZERO,
    };
}

/// Fields of the kernel that lie side by side.
pub mod together {
    /// `dentry`: `d_parent`, then `d_name` with hash, length and address, then `d_inode`.
    pub const DENTRY: u32 = 1;
    /// `inode`: `i_sb`, two pointers, `i_ino`.
    pub const INODE: u32 = 2;
}

macro_rules! offsets {
    (
        $($(#[$doc:meta])* $field:ident: $ty:literal . $member:literal,)+
        ; not everywhere: $($(#[$docs:meta])* $optional:ident: $type:literal . $name:literal,)+
    ) => {
        /// Byte offsets of kernel structure fields, resolved from the running kernel's BTF.
        #[repr(C)]
        #[derive(Clone, Copy, Debug, Default)]
        pub struct Offsets {
            $($(#[$doc])* pub $field: u32,)+
            $($(#[$docs])* pub $optional: u32,)+
        }

        impl Offsets {
            /// All zero.
            pub const ZERO: Self = Self { $($field: 0,)+ $($optional: 0,)+ };

            /// Structure, field and place of every offset, for the resolver in user space. A field that has had other
            /// names has them all, the newest first; `+8` is so many bytes behind it.
            pub const FIELDS: &[(&'static str, &'static str, fn(&mut Offsets) -> &mut u32)] =
                &[$(($ty, $member, |o| &mut o.$field),)+];

            /// The same for fields that a kernel may be built without; their offset is then 0.
            pub const OPTIONAL: &[(&'static str, &'static str, fn(&mut Offsets) -> &mut u32)] =
                &[$(($type, $name, |o| &mut o.$optional),)+];
        }
    };
}

offsets! {
    /// Thread group id.
    task_tgid: "task_struct"."tgid",
    /// Thread id.
    task_pid: "task_struct"."pid",
    /// Thread group leader.
    task_group_leader: "task_struct"."group_leader",
    /// Parent that forked (not the tracer).
    task_real_parent: "task_struct"."real_parent",
    /// Who waits for it: its tracer, if it has one.
    task_parent: "task_struct"."parent",
    /// Whether it is traced, and how.
    task_ptrace: "task_struct"."ptrace",
    /// Its control groups.
    task_cgroups: "task_struct"."cgroups",
    /// Of these the one of version 2.
    css_set_dfl_cgrp: "css_set"."dfl_cgrp",
    /// Goes up with every execve.
    task_self_exec_id: "task_struct"."self_exec_id",
    /// Start time, boot clock, nanoseconds.
    task_start_boottime: "task_struct"."start_boottime",
    /// Address space; null in kernel threads.
    task_mm: "task_struct"."mm",
    /// Shared signal state.
    task_signal: "task_struct"."signal",
    /// Effective credentials.
    task_cred: "task_struct"."cred",
    /// Real user id.
    cred_uid: "cred"."uid",
    /// Saved user id.
    cred_suid: "cred"."suid",
    /// Effective capabilities.
    cred_cap_effective: "cred"."cap_effective",
    /// Permitted capabilities.
    cred_cap_permitted: "cred"."cap_permitted",
    /// Effective user id.
    cred_euid: "cred"."euid",
    /// Effective group id.
    cred_egid: "cred"."egid",
    /// Open files.
    task_files: "task_struct"."files",
    /// Root and working directory.
    task_fs: "task_struct"."fs",
    /// Live threads of the group.
    signal_live: "signal_struct"."live",
    /// Controlling terminal.
    signal_tty: "signal_struct"."tty",
    /// Driver of a terminal.
    tty_driver: "tty_struct"."driver",
    /// Number of a terminal among its driver's.
    tty_index: "tty_struct"."index",
    /// Major device number of a driver's terminals.
    tty_driver_major: "tty_driver"."major",
    /// Minor device number of its first.
    tty_driver_minor_start: "tty_driver"."minor_start",
    /// Executable of the address space.
    mm_exe_file: "mm_struct"."exe_file",
    /// Start of the argument strings (user memory).
    mm_arg_start: "mm_struct"."arg_start",
    /// End of the argument strings (user memory).
    mm_arg_end: "mm_struct"."arg_end",
    /// Descriptor table.
    files_fdt: "files_struct"."fdt",
    /// Array of open files.
    fdtable_fd: "fdtable"."fd",
    /// Size of that array.
    fdtable_max_fds: "fdtable"."max_fds",
    /// Working directory.
    fs_pwd: "fs_struct"."pwd",
    /// Mount and dentry of an open file.
    file_f_path: "file"."f_path",
    /// Inode of an open file.
    file_f_inode: "file"."f_inode",
    /// How the file was opened.
    file_f_flags: "file"."f_flags",
    /// What the open file may do.
    file_f_mode: "file"."f_mode",
    /// Mount of a path.
    path_mnt: "path"."mnt",
    /// Dentry of a path.
    path_dentry: "path"."dentry",
    /// Inode number.
    inode_i_ino: "inode"."i_ino",
    /// File type and permissions.
    inode_i_mode: "inode"."i_mode",
    /// Size of a file.
    inode_i_size: "inode"."i_size",
    /// Last change of an inode, seconds.
    inode_ctime: "inode"."i_ctime_sec|__i_ctime|i_ctime",
    /// And nanoseconds; newer kernels keep a flag above them.
    inode_ctime_nsec: "inode"."i_ctime_nsec|__i_ctime+8|i_ctime+8",
    /// Device number of a device file.
    inode_i_rdev: "inode"."i_rdev",
    /// What tells an inode from an older one with its number.
    inode_i_generation: "inode"."i_generation",
    /// Link count.
    inode_i_nlink: "inode"."i_nlink",
    /// File system of the inode.
    inode_i_sb: "inode"."i_sb",
    /// Device number of the file system.
    super_block_s_dev: "super_block"."s_dev",
    /// Magic number of the file system.
    super_block_s_magic: "super_block"."s_magic",
    /// Parent directory.
    dentry_d_parent: "dentry"."d_parent",
    /// What the name stands for; null if there is no such file.
    dentry_d_inode: "dentry"."d_inode",
    /// Name.
    dentry_d_name: "dentry"."d_name",
    /// Hash of a name.
    qstr_hash: "qstr"."hash",
    /// Length of a name.
    qstr_len: "qstr"."len",
    /// Bytes of a name.
    qstr_name: "qstr"."name",
    /// Root dentry of a mount.
    vfsmount_mnt_root: "vfsmount"."mnt_root",
    /// The `vfsmount` inside a `mount`.
    mount_mnt: "mount"."mnt",
    /// Mount that this one is mounted on.
    mount_mnt_parent: "mount"."mnt_parent",
    /// Dentry that this mount covers.
    mount_mnt_mountpoint: "mount"."mnt_mountpoint",
    /// Mount and dentry that a file of a layer below was opened by, since 6.7; 0 where files have no such thing.
    backing_file_user_path: "backing_file"."user_path",
    /// File that is mapped.
    vma_vm_file: "vm_area_struct"."vm_file",
    /// File about to be executed.
    binprm_file: "linux_binprm"."file",
    /// Name as given to execve.
    binprm_filename: "linux_binprm"."filename",
    /// Name of the binary, which differs from `filename` for scripts.
    binprm_interp: "linux_binprm"."interp",
    /// Personality bits that a privileged program clears; none if the program is not privileged.
    binprm_per_clear: "linux_binprm"."per_clear",
    /// Node of a cgroup in its file system.
    cgroup_kn: "cgroup"."kn",
    /// Hierarchy of a cgroup.
    cgroup_root: "cgroup"."root",
    /// Number of a hierarchy; 0 is the one of version 2.
    cgroup_root_hierarchy_id: "cgroup_root"."hierarchy_id",
    /// Id of a node.
    kernfs_node_id: "kernfs_node"."id",
    /// First bytes of the file about to be executed.
    binprm_buf: "linux_binprm"."buf",
    /// Protocol state of a socket.
    socket_sk: "socket"."sk",
    /// Address family of a socket.
    sock_family: "sock_common"."skc_family",
    /// Socket type.
    sock_type: "sock"."sk_type",
    /// IP protocol of a socket.
    sock_protocol: "sock"."sk_protocol",
    /// Destination of a message.
    msghdr_msg_name: "msghdr"."msg_name",
    /// Length of that destination.
    msghdr_msg_namelen: "msghdr"."msg_namelen",
    /// Flags of a message.
    msghdr_msg_flags: "msghdr"."msg_flags",
    ; not everywhere:
    /// Login user id (CONFIG_AUDIT).
    task_loginuid: "task_struct"."loginuid",
}
