//! Decodes ring records into owned events.
//!
//! Invariant: ring bytes are hostile; every length is checked and nothing is cast. A record that does not add
//! up is an error with its kind, never a partial event.

use sentinel_common::{
    FileId,
    address::Address,
    content::{Content, FileVersion, Hashed},
    event::{self as wire, flag, kind},
};
use thiserror::Error;

use crate::kernel::hooks::{self, Hook};

/// A record that does not add up.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("malformed record of kind {kind}: {what}")]
pub struct Malformed {
    /// The kind that the record claims, 0 if it is too short to say.
    pub kind: u16,
    what: &'static str,
}

/// What all records have.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// Boot clock, nanoseconds.
    pub time: u64,
    /// The hook that reported.
    pub hook: &'static Hook,
    /// [`flag`] bits.
    pub flags: u32,
    /// The kernel's verdict.
    pub verdict: wire::Verdict,
    /// The acting process.
    pub task: wire::Task,
    /// What it may do, where it is the one that runs.
    pub credentials: Option<wire::Credentials>,
}

impl Common {
    /// Whether a flag is set.
    #[must_use]
    pub const fn has(&self, flag: u32) -> bool {
        self.flags & flag != 0
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// A new process; the common part's task is the one that forked.
    Fork {
        /// Common part.
        common: Common,
        /// Thread group id and start time of the child.
        child: (u32, u64),
        /// Thread group id and start time of its real parent.
        parent: (u32, u64),
    },
    /// A process ended.
    Exit(Common),
    /// What the exec that follows on the same thread will not know any more.
    BeforeExec(Exec),
    /// A new image, or the refusal of one.
    Exec(Exec),
    /// A file was opened.
    Open(Open),
    /// Names or a file change.
    Change(Change),
    /// A process enters another, or traces one that executes.
    Trace(Trace),
    /// A connect, send or packet.
    Network(Network),
    /// A DNS answer.
    Answer(Answer),
    /// A cgroup was made.
    Group {
        /// Its id.
        id: u64,
        /// Its path from the root of the hierarchy.
        path: Vec<u8>,
    },
}

/// A new image.
#[derive(Debug, Clone, PartialEq)]
pub struct Exec {
    /// Common part.
    pub common: Common,
    /// The file.
    pub file: FileId,
    /// File type and permissions.
    pub mode: u32,
    /// Link count; 0: deleted or without a name.
    pub links: u32,
    /// Path of the file.
    pub path: Vec<u8>,
    /// Working directory, if `filename` is relative.
    pub directory: Vec<u8>,
    /// Arguments, each ended by NUL.
    pub args: Vec<u8>,
    /// Name as given to execve, made absolute and rid of `.` and `..`; links in it are not followed.
    pub filename: Vec<u8>,
    /// Which content of the file it is, and its hash as far as the kernel knows it.
    pub content: Content,
}

/// An open.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Common part.
    pub common: Common,
    /// The file.
    pub file: FileId,
    /// `f_mode` of the open file.
    pub fmode: u32,
    /// File type and permissions.
    pub mode: u32,
    /// Link count.
    pub links: u32,
    /// Path of the file.
    pub path: Vec<u8>,
}

/// A change of names or of a file, on its way.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// Common part.
    pub common: Common,
    /// [`kind::CREATE`] to [`kind::MMAP`].
    pub kind: u16,
    /// The file; none if it is only being made.
    pub file: FileId,
    /// What has had the new name until now.
    pub target: FileId,
    /// Its path.
    pub path: Vec<u8>,
    /// Path of the new name, of renames and links.
    pub target_path: Vec<u8>,
}

/// A process enters another, or traces one that executes.
#[derive(Debug, Clone, PartialEq)]
pub struct Trace {
    /// Common part; the task is the one that enters.
    pub common: Common,
    /// The one that is entered; its executable is the one that it has, or is about to have.
    pub target: wire::Task,
    /// Path of that executable.
    pub path: Vec<u8>,
}

/// A connect, send or packet.
#[derive(Debug, Clone, PartialEq)]
pub struct Network {
    /// Common part.
    pub common: Common,
    /// [`kind::CONNECT`], [`kind::SEND`], [`kind::PACKET`], or [`kind::SOCKET`], which has no destination.
    pub kind: u16,
    /// As given.
    pub given: Address,
    /// As normalised.
    pub destination: Address,
    /// Host order.
    pub port: u16,
    /// Family of the socket or packet.
    pub family: u16,
    /// IP protocol.
    pub protocol: u16,
    /// Socket type; 0 for packets.
    pub socket_type: u16,
}

/// A DNS answer as it came in: hostile bytes, for [`crate::names`].
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Common part.
    pub common: Common,
    /// The first bytes of the message.
    pub message: Vec<u8>,
    /// Whether the message is longer than that.
    pub cut: bool,
}

/// Decodes one record.
///
/// # Errors
///
/// [`Malformed`] if a length is wrong or a number unknown.
pub fn decode(record: &[u8]) -> Result<Event, Malformed> {
    let mut reader = Reader { rest: record, kind: 0 };
    let time = reader.u64()?;
    let length = reader.u32()?;
    reader.kind = reader.u16()?;
    let hook = hooks::by_id(u32::from(reader.u16()?)).ok_or_else(|| reader.malformed("unknown hook"))?;
    if length as usize != record.len() {
        return Err(reader.malformed("length differs from the record's"));
    }
    let flags = reader.u32()?;
    reader.u32()?;
    let (verdict, task) = (reader.verdict()?, reader.task()?);
    let common = Common { time, hook, flags, verdict, task, credentials: reader.credentials(flags)? };
    match reader.kind {
        kind::FORK => reader.fork(common),
        kind::EXIT => Ok(Event::Exit(common)),
        kind::BEFORE_EXEC => reader.exec(common).map(Event::BeforeExec),
        kind::EXEC => reader.exec(common).map(Event::Exec),
        kind::GROUP => reader.group(),
        kind::OPEN => reader.open(common),
        kind::CREATE..=kind::MMAP => reader.change(common),
        kind::PTRACE => reader.trace(common),
        kind::CONNECT | kind::SEND | kind::PACKET | kind::SOCKET => reader.network(common),
        kind::ANSWER => reader.answer(common),
        _ => Err(reader.malformed("unknown kind")),
    }
}

struct Reader<'a> {
    rest: &'a [u8],
    kind: u16,
}

impl Reader<'_> {
    const fn malformed(&self, what: &'static str) -> Malformed {
        Malformed { kind: self.kind, what }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Malformed> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(self.malformed("too short"))?;
        self.rest = rest;
        Ok(*head)
    }

    fn u16(&mut self) -> Result<u16, Malformed> {
        self.array().map(u16::from_ne_bytes)
    }

    fn u32(&mut self) -> Result<u32, Malformed> {
        self.array().map(u32::from_ne_bytes)
    }

    fn u64(&mut self) -> Result<u64, Malformed> {
        self.array().map(u64::from_ne_bytes)
    }

    fn bytes(&mut self, length: u16) -> Result<Vec<u8>, Malformed> {
        let (head, rest) =
            self.rest.split_at_checked(usize::from(length)).ok_or(self.malformed("shorter than its parts"))?;
        self.rest = rest;
        Ok(head.to_vec())
    }

    fn file(&mut self) -> Result<FileId, Malformed> {
        Ok(FileId { ino: self.u64()?, dev: self.u32()?, generation: self.u32()? })
    }

    fn verdict(&mut self) -> Result<wire::Verdict, Malformed> {
        let (expires, rule, generation) = (self.u64()?, self.u32()?, self.u32()?);
        let [refused, origin, pad @ ..] = self.array::<8>()?;
        Ok(wire::Verdict { expires, rule, generation, refused, origin, pad })
    }

    fn task(&mut self) -> Result<wire::Task, Malformed> {
        Ok(wire::Task {
            start: self.u64()?,
            parent_start: self.u64()?,
            cgroup: self.u64()?,
            executable: self.file()?,
            tgid: self.u32()?,
            tid: self.u32()?,
            parent: self.u32()?,
            uid: self.u32()?,
            gid: self.u32()?,
            pad: self.u32()?,
            comm: self.array()?,
        })
    }

    /// The credentials, off the end of the record.
    fn credentials(&mut self, flags: u32) -> Result<Option<wire::Credentials>, Malformed> {
        if flags & flag::CREDENTIALS == 0 {
            return Ok(None);
        }
        let end = self.rest.len().checked_sub(size_of::<wire::Credentials>()).ok_or(self.malformed("too short"))?;
        let (rest, last) = self.rest.split_at(end);
        self.rest = rest;
        let mut reader = Reader { rest: last, kind: self.kind };
        Ok(Some(wire::Credentials {
            effective: reader.u64()?,
            permitted: reader.u64()?,
            real_uid: reader.u32()?,
            saved_uid: reader.u32()?,
            login_uid: reader.u32()?,
            tty: reader.u32()?,
        }))
    }

    fn fork(&mut self, common: Common) -> Result<Event, Malformed> {
        let (child_start, child, parent, parent_start) = (self.u64()?, self.u32()?, self.u32()?, self.u64()?);
        Ok(Event::Fork { common, child: (child, child_start), parent: (parent, parent_start) })
    }

    fn exec(&mut self, common: Common) -> Result<Exec, Malformed> {
        let (file, mode, links) = (self.file()?, self.u32()?, self.u32()?);
        let (directory, path, args, filename) = (self.u16()?, self.u16()?, self.u16()?, self.u16()?);
        let directory = self.bytes(directory)?;
        let path = whole(&common, self.bytes(path)?);
        let args = self.bytes(args)?;
        let filename = absolute(&directory, &self.bytes(filename)?);
        let content = self.content()?;
        Ok(Exec { common, file, mode, links, directory, path, args, filename, content })
    }

    fn content(&mut self) -> Result<Content, Malformed> {
        let file = self.file()?;
        let version = FileVersion {
            file,
            ctime: self.u64()? as i64,
            size: self.u64()?,
            ctime_nsec: self.u32()?,
            pad: self.u32()?,
        };
        let hashed = Hashed { digest: self.array()?, state: self.u32()?, pad: self.u32()? };
        Ok(Content { version, hashed, file_system: self.u32()?, pad: self.u32()? })
    }

    fn group(&mut self) -> Result<Event, Malformed> {
        let (id, length) = (self.u64()?, self.u16()?);
        self.array::<6>()?;
        Ok(Event::Group { id, path: self.bytes(length)? })
    }

    fn open(&mut self, common: Common) -> Result<Event, Malformed> {
        let (file, _flags, fmode, mode, links) = (self.file()?, self.u32()?, self.u32()?, self.u32()?, self.u32()?);
        let length = self.u16()?;
        self.array::<6>()?;
        let path = whole(&common, self.bytes(length)?);
        Ok(Event::Open(Open { common, file, fmode, mode, links, path }))
    }

    fn trace(&mut self, common: Common) -> Result<Event, Malformed> {
        let (target, length) = (self.task()?, self.u16()?);
        self.array::<6>()?;
        let path = whole(&common, self.bytes(length)?);
        Ok(Event::Trace(Trace { common, target, path }))
    }

    fn change(&mut self, common: Common) -> Result<Event, Malformed> {
        let (file, target, _mode, _links) = (self.file()?, self.file()?, self.u32()?, self.u32()?);
        let (length, target_length, _links) = (self.u16()?, self.u16()?, self.u32()?);
        let path = whole(&common, self.bytes(length)?);
        let target_path = if target_length == 0 {
            Vec::new()
        } else {
            self.array::<1>()?;
            whole(&common, self.bytes(target_length)?)
        };
        Ok(Event::Change(Change { common, kind: self.kind, file, target, path, target_path }))
    }

    fn network(&mut self, common: Common) -> Result<Event, Malformed> {
        let (given, destination) = (Address::from_octets(self.array()?), Address::from_octets(self.array()?));
        let (port, family, socket_type, protocol) = (self.u16()?, self.u16()?, self.u16()?, self.u16()?);
        Ok(Event::Network(Network { common, kind: self.kind, given, destination, port, family, protocol, socket_type }))
    }

    fn answer(&mut self, common: Common) -> Result<Event, Malformed> {
        let (length, _pad, whole) = (self.u16()?, self.u16()?, self.u32()?);
        let message = self.bytes(length)?;
        Ok(Event::Answer(Answer { common, message, cut: whole > u32::from(length) }))
    }
}

/// What stands before the end of a path that was too long to be whole: it is then no absolute path, so that no rule and
/// no reader takes it for another file's.
const CUT: &[u8] = b"...";

fn whole(common: &Common, path: Vec<u8>) -> Vec<u8> {
    if common.has(flag::PATH_TRUNCATED) { [CUT, &path].concat() } else { path }
}

/// A name in a directory, as a path without `.` and `..`. A name that says nothing of where it is stays as it is.
fn absolute(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let full = if name.starts_with(b"/") { name.to_vec() } else { [directory, b"/", name].concat() };
    if name.is_empty() || !full.starts_with(b"/") || (directory.is_empty() && !name.starts_with(b"/")) {
        return name.to_vec();
    }
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in full.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.iter().flat_map(|part| [b"/", *part].concat()).collect()
}

/// Whether the common part says that nothing is known of the task.
#[must_use]
pub const fn taskless(common: &Common) -> bool {
    common.has(flag::NO_TASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An open record as the kernel writes it, with this path.
    fn open_record(path: &[u8]) -> Vec<u8> {
        let length = size_of::<wire::Open>() + path.len();
        let mut bytes = vec![0; size_of::<wire::Open>()];
        bytes[8..12].copy_from_slice(&(length as u32).to_ne_bytes());
        bytes[12..14].copy_from_slice(&kind::OPEN.to_ne_bytes());
        bytes[14..16].copy_from_slice(&(sentinel_common::hook::FILE_OPEN as u16).to_ne_bytes());
        let at = std::mem::offset_of!(wire::Open, path);
        bytes[at..at + 2].copy_from_slice(&(path.len() as u16).to_ne_bytes());
        let at = std::mem::offset_of!(wire::Open, header) + std::mem::offset_of!(wire::Header, task);
        let at = at + std::mem::offset_of!(wire::Task, tgid);
        bytes[at..at + 4].copy_from_slice(&42_u32.to_ne_bytes());
        bytes.extend(path);
        bytes
    }

    #[test]
    fn fields_come_from_where_the_kernel_puts_them() {
        let Event::Open(open) = decode(&open_record(b"/etc/\xff")).unwrap() else { panic!("not an open") };
        assert_eq!((open.path.as_slice(), open.common.task.tgid), (b"/etc/\xff".as_slice(), 42));
    }

    #[test]
    fn the_end_of_a_path_is_no_path() {
        let mut record = open_record(b"/etc/shadow");
        let at = std::mem::offset_of!(wire::Open, header) + std::mem::offset_of!(wire::Header, flags);
        record[at..at + 4].copy_from_slice(&flag::PATH_TRUNCATED.to_ne_bytes());
        let Event::Open(open) = decode(&record).unwrap() else { panic!("not an open") };
        assert_eq!(open.path, b".../etc/shadow");
    }

    #[test]
    fn both_paths_of_a_rename_are_told_apart() {
        let size = size_of::<wire::Change>();
        let mut record = vec![0; size];
        record[12..14].copy_from_slice(&kind::RENAME.to_ne_bytes());
        record[14..16].copy_from_slice(&(sentinel_common::hook::PATH_RENAME as u16).to_ne_bytes());
        for (at, length) in
            [(std::mem::offset_of!(wire::Change, path), 2_u16), (std::mem::offset_of!(wire::Change, target_path), 3)]
        {
            record[at..at + 2].copy_from_slice(&length.to_ne_bytes());
        }
        record.extend(b"/a\0/bc");
        record[8..12].copy_from_slice(&(size as u32 + 6).to_ne_bytes());
        let Event::Change(change) = decode(&record).unwrap() else { panic!("not a change") };
        assert_eq!((change.path.as_slice(), change.target_path.as_slice()), (b"/a".as_slice(), b"/bc".as_slice()));
        assert_eq!(change.kind, kind::RENAME);
    }

    #[test]
    fn names_are_made_absolute() {
        for (directory, name, path) in [
            ("/a/b", "c", "/a/b/c"),
            ("/a/b", "./c", "/a/b/c"),
            ("/a/b", "../c//d", "/a/c/d"),
            ("/", "../../c", "/c"),
            ("", "/a/./b/../c", "/a/c"),
            ("", "c", "c"),
            ("/a", "", ""),
        ] {
            assert_eq!(absolute(directory.as_bytes(), name.as_bytes()), path.as_bytes(), "{directory} {name}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let record = open_record(b"/etc/passwd");
        for end in 0..record.len() {
            assert!(decode(&record[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn an_answer_that_is_longer_than_its_copy_is_cut() {
        let size = size_of::<wire::Answer>();
        let mut record = open_record(b"")[..size_of::<wire::Header>()].to_vec();
        record[8..12].copy_from_slice(&(size as u32 + 3).to_ne_bytes());
        record[12..14].copy_from_slice(&kind::ANSWER.to_ne_bytes());
        record.extend([3_u16, 0].iter().flat_map(|half| half.to_ne_bytes()));
        record.extend(4_u32.to_ne_bytes());
        record.extend(b"dns");
        assert_eq!(record.len(), size + 3);
        let Event::Answer(answer) = decode(&record).unwrap() else { panic!("not an answer") };
        assert_eq!((answer.message.as_slice(), answer.cut), (b"dns".as_slice(), true));
        record[size - 4..size].copy_from_slice(&3_u32.to_ne_bytes());
        assert!(matches!(decode(&record), Ok(Event::Answer(answer)) if !answer.cut));
        record[size - 8] = 4;
        assert_eq!(decode(&record).unwrap_err().what, "shorter than its parts");
    }

    #[test]
    fn lying_lengths_are_errors() {
        let mut record = open_record(b"/x");
        let at = std::mem::offset_of!(wire::Open, path);
        record[at] = 200;
        assert_eq!(decode(&record).unwrap_err().what, "shorter than its parts");
        let mut record = open_record(b"/x");
        record[12] = 99;
        assert_eq!(decode(&record).unwrap_err().what, "unknown kind");
        record[14] = 77;
        assert_eq!(decode(&record).unwrap_err().what, "unknown hook");
    }

    #[test]
    fn arbitrary_bytes_never_panic() {
        let mut state = 1_u64;
        for length in 0..600_usize {
            let bytes: Vec<u8> = (0..length)
                .map(|_| {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    (state >> 56) as u8
                })
                .collect();
            let _ = decode(&bytes);
        }
    }
}
