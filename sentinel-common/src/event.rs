//! Records in the ring buffers.
//!
//! A record is a fixed part, by kind, then variable bytes whose lengths the fixed part gives.
//! Records are not aligned: user space copies fields out of them, it never casts them.
//! Numbers are in host order, addresses in network order.

use crate::{FileId, address::Address};

/// Kinds of record.
pub mod kind {
    /// A process was forked ([`super::Fork`]).
    pub const FORK: u16 = 1;
    /// A process replaced its image ([`super::Exec`]); also a refused attempt to.
    pub const EXEC: u16 = 2;
    /// The last thread of a process ended ([`super::Header`] alone).
    pub const EXIT: u16 = 3;
    /// About an exec that is under way ([`super::Exec`]): the path of the script, or a verdict that did
    /// not refuse. Belongs to the [`EXEC`] of the same thread that follows, if it succeeds.
    pub const BEFORE_EXEC: u16 = 4;
    /// A cgroup was made ([`super::Group`]).
    pub const GROUP: u16 = 5;
    /// A file was opened ([`super::Open`]).
    pub const OPEN: u16 = 10;
    /// A name is made: file, directory, node or symbolic link is told by the hook ([`super::Change`]).
    pub const CREATE: u16 = 11;
    /// A rename ([`super::Change`]).
    pub const RENAME: u16 = 12;
    /// A hard or symbolic link ([`super::Change`]).
    pub const LINK: u16 = 13;
    /// A name is removed ([`super::Change`]).
    pub const UNLINK: u16 = 14;
    /// A file is cut ([`super::Change`]).
    pub const TRUNCATE: u16 = 15;
    /// Mode, owner or extended attributes change ([`super::Change`]).
    pub const SETATTR: u16 = 16;
    /// Something is mounted here ([`super::Change`]).
    pub const MOUNT: u16 = 17;
    /// A file is mapped to be executed, and a rule is about it ([`super::Change`]).
    pub const MMAP: u16 = 18;
    /// A process enters another, or traces one that executes ([`super::Trace`]).
    pub const PTRACE: u16 = 19;
    /// A connect ([`super::Network`]).
    pub const CONNECT: u16 = 20;
    /// A send that names its destination ([`super::Network`]).
    pub const SEND: u16 = 21;
    /// A packet on its way out that met a verdict ([`super::Network`]).
    pub const PACKET: u16 = 22;
    /// A DNS answer on its way in ([`super::Answer`]). Has a ring of its own.
    pub const ANSWER: u16 = 30;
    /// A socket of a family that reaches the wire past every hook on destinations met a verdict ([`super::Network`], of which
    /// family, type and protocol are filled).
    pub const SOCKET: u16 = 23;
    /// One more than the highest kind: size of the counter array.
    pub const COUNT: u32 = 31;
}

/// Flags in [`Header::flags`].
pub mod flag {
    /// The task is the one that set the socket up, not the one that runs now.
    pub const SOCKET_OWNER: u32 = 1;
    /// Nothing is known of the task (a packet of a socket that predates Sentinel).
    pub const NO_TASK: u32 = 1 << 1;
    /// The path was longer than the walk; what is there is its end.
    pub const PATH_TRUNCATED: u32 = 1 << 2;
    /// Arguments were longer than what is there.
    pub const ARGS_TRUNCATED: u32 = 1 << 3;
    /// The task is inside the scope.
    pub const IN_SCOPE: u32 = 1 << 4;
    /// The image was reached through a script or another interpreter.
    pub const INTERPRETED: u32 = 1 << 5;
    /// A packet goes elsewhere than its socket was asked to; `given` is where that was.
    pub const REWRITTEN: u32 = 1 << 6;
    /// The packet hook refuses what the hooks before it let pass, under the same policy: they ought to agree.
    pub const DISAGREES: u32 = 1 << 7;
    /// Standard input and error of the new image are its controlling terminal.
    pub const INTERACTIVE: u32 = 1 << 8;
    /// The kernel gave the process more for the file that it executes: set-user-id, set-group-id or file capabilities that
    /// took effect.
    pub const PRIVILEGED: u32 = 1 << 9;
    /// The record ends with the task's [`super::Credentials`].
    pub const CREDENTIALS: u32 = 1 << 10;
    /// A rule is about hashes, and this file's could not be had.
    pub const HASH_UNKNOWN: u32 = 1 << 11;
    /// The path could not be had whole: it is longer than the walk. Not set where a hook does not know the mount.
    pub const PATH_UNKNOWN: u32 = 1 << 12;
}

/// Most bytes of arguments in an exec record.
pub const ARGS: usize = 2048;
/// Most bytes of a path in a record; the kernel's own PATH_MAX.
pub const PATH: usize = 4096;
/// Most bytes of a DNS message in a record.
pub const MESSAGE: usize = 1500;

/// The acting process.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Task {
    /// Start of the process, boot clock, nanoseconds.
    pub start: u64,
    /// Start of the parent, boot clock, nanoseconds.
    pub parent_start: u64,
    /// Id of the cgroup (v2).
    pub cgroup: u64,
    /// The executable.
    pub executable: FileId,
    /// Thread group id (what user space calls the process id), initial namespace.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Thread group id of the parent.
    pub parent: u32,
    /// Effective user id.
    pub uid: u32,
    /// Effective group id.
    pub gid: u32,
    /// Always zero.
    pub pad: u32,
    /// Thread name, NUL-padded; a hint only, the process chooses it.
    pub comm: [u8; 16],
}

/// What the acting task may do and who it is to others. Ends a record that has [`flag::CREDENTIALS`]; the stack of a program
/// has no room for it beside the rest.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Effective capabilities, a bit for each number.
    pub effective: u64,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Real user id.
    pub real_uid: u32,
    /// Saved user id.
    pub saved_uid: u32,
    /// Login user id; [`NO_LOGIN`]: nobody has logged in.
    pub login_uid: u32,
    /// Controlling terminal, `major << 20 | minor`; 0: none.
    pub tty: u32,
}

/// The login user id of what no login has started (the kernel's -1).
pub const NO_LOGIN: u32 = u32::MAX;

/// What the kernel decided.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// When the entry expires, boot clock, nanoseconds; 0: no end.
    pub expires: u64,
    /// Number of the rule; 0: none matched.
    pub rule: u32,
    /// Generation of the entry.
    pub generation: u32,
    /// 1: the kernel refused.
    pub refused: u8,
    /// [`crate::verdict::origin`].
    pub origin: u8,
    /// Always zero.
    pub pad: [u8; 6],
}

/// Start of every record.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Boot clock, nanoseconds.
    pub time: u64,
    /// Bytes of the whole record.
    pub length: u32,
    /// [`kind`] number.
    pub kind: u16,
    /// [`crate::hook`] number.
    pub hook: u16,
    /// [`flag`] bits.
    pub flags: u32,
    /// Always zero.
    pub pad: u32,
    /// The kernel's verdict.
    pub verdict: Verdict,
    /// The acting process.
    pub task: Task,
}

/// A new process; the header's task is the parent that forked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fork {
    /// Common part.
    pub header: Header,
    /// Start of the child, boot clock, nanoseconds.
    pub child_start: u64,
    /// Thread group id of the child.
    pub child: u32,
    /// Thread group id of its real parent (differs from the forker with `CLONE_PARENT`).
    pub child_parent: u32,
    /// Start of its real parent, boot clock, nanoseconds.
    pub child_parent_start: u64,
}

/// A new image; then `directory`, `path`, `args`, `filename` and a [`crate::content::Content`], in this order.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Exec {
    /// Common part.
    pub header: Header,
    /// The file that was executed.
    pub file: FileId,
    /// File type and permissions.
    pub mode: u32,
    /// Link count; 0: a deleted file or one without a name.
    pub links: u32,
    /// Bytes of the working directory; there when `filename` is relative.
    pub directory: u16,
    /// Bytes of the path of the executable.
    pub path: u16,
    /// Bytes of the arguments, each ended by NUL.
    pub args: u16,
    /// Bytes of the name as given to execve.
    pub filename: u16,
}

/// A new cgroup; then its path.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Group {
    /// Common part; the task is the one that made it.
    pub header: Header,
    /// Its id.
    pub id: u64,
    /// Bytes of the path.
    pub path: u16,
    /// Always zero.
    pub pad: [u16; 3],
}

/// An open; then the path.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Open {
    /// Common part.
    pub header: Header,
    /// The file.
    pub file: FileId,
    /// `file.f_flags`.
    pub flags: u32,
    /// `file.f_mode`.
    pub fmode: u32,
    /// File type and permissions.
    pub mode: u32,
    /// Link count.
    pub links: u32,
    /// Bytes of the path.
    pub path: u16,
    /// Always zero.
    pub pad: u16,
    /// Number of the character device that was opened; 0: it was none.
    pub device: u32,
}

/// A change of names or of a file, on its way; then the path, and if there is a second one NUL and that.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// Common part.
    pub header: Header,
    /// The file; none if it is only being made.
    pub file: FileId,
    /// What has the new name until now; none if nothing has.
    pub target: FileId,
    /// File type and permissions.
    pub mode: u32,
    /// Link count.
    pub links: u32,
    /// Bytes of the path.
    pub path: u16,
    /// Bytes of the new name's path; 0 if there is none.
    pub target_path: u16,
    /// Link count of `target`.
    pub target_links: u32,
}

/// A process that enters another, or traces one that executes; then the path of the executable of the one that is entered.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Trace {
    /// Common part; the task is the one that enters.
    pub header: Header,
    /// The one that is entered; when it executes, with the executable that it would have.
    pub target: Task,
    /// Bytes of the path.
    pub path: u16,
    /// Always zero.
    pub pad: [u16; 3],
}

/// A connect, send or packet.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Common part.
    pub header: Header,
    /// Destination as given; IPv4 is v4-mapped.
    pub given: Address,
    /// Destination as normalised.
    pub destination: Address,
    /// Port in host order; 0 where the protocol has none.
    pub port: u16,
    /// Address family of the socket or packet.
    pub family: u16,
    /// Socket type; 0 for packets.
    pub socket_type: u16,
    /// IP protocol.
    pub protocol: u16,
    /// [`crate::address::Wrapping`].
    pub wrapping: u8,
    /// Always zero.
    pub pad: [u8; 7],
}

/// A DNS answer on its way in; then its first bytes. Of the task nothing is known.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Common part.
    pub header: Header,
    /// Bytes of the message that are here.
    pub message: u16,
    /// Always zero.
    pub pad: u16,
    /// Bytes that the message has; more than `message`: it is cut.
    pub whole: u32,
}

const _: () = {
    assert!(size_of::<Task>() == 80);
    assert!(size_of::<Credentials>() == 32);
    assert!(size_of::<Verdict>() == 24);
    assert!(size_of::<Header>() == 128);
    assert!(size_of::<Fork>() == 152);
    assert!(size_of::<Exec>() == 160);
    assert!(size_of::<Group>() == 144);
    assert!(size_of::<Open>() == 168);
    assert!(size_of::<Change>() == 176);
    assert!(size_of::<Trace>() == 216);
    assert!(size_of::<Network>() == 176);
    assert!(size_of::<Answer>() == 136);
};
