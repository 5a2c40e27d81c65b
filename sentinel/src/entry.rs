//! Block entries from decisions of event rules.
//!
//! Invariant: an entry is never wider than its scope says, has the rule's number, an expiry and a generation, and
//! never refuses everyone something that the host needs to run.

use rules::{Action, Decision, Object, Subject as Who};
use sentinel_common::{
    FileId,
    address::Address,
    event::{Task, kind},
    hook,
    verdict::{Entry, Subject, access, origin},
};
use thiserror::Error;

use crate::{
    clock, guard,
    kernel::{
        KernelError,
        verdicts::{Held, Place, Table, Target, Verdicts},
    },
    standing::network_place,
};

/// The access that an exec asks for.
pub const EXEC: u32 = 1 << access::EXEC;
/// Every access: what network entries carry.
const ALL: u32 = u32::MAX;

/// The accesses that an open asked for, from its `f_mode`.
#[must_use]
pub const fn access_of(fmode: u32) -> u32 {
    let read = if fmode & 1 != 0 { 1 << access::READ } else { 0 };
    let write = if fmode & 2 != 0 { 1 << access::WRITE } else { 0 };
    read | write
}

/// The access that a change asks for.
#[must_use]
pub const fn access_of_change(number: u16) -> u32 {
    1 << match number {
        kind::CREATE => access::CREATE,
        kind::RENAME | kind::UNLINK => access::DELETE,
        kind::MMAP => access::EXEC,
        _ => access::WRITE,
    }
}

/// What an event was about, as far as an entry can hold it.
#[derive(Debug, Clone)]
pub enum Blocked {
    /// A file.
    File {
        /// Identity.
        file: FileId,
        /// Path, without decoration.
        path: Vec<u8>,
        /// Accesses, a bit each.
        access: u32,
        /// Executable of the acting process.
        subject: FileId,
    },
    /// A destination.
    Destination {
        /// Normalised.
        address: Address,
        /// Host order; 0: none.
        port: u16,
        /// Executable of the acting process.
        subject: FileId,
    },
    /// Nothing that an entry could be about.
    Nothing {
        /// Executable of the acting process.
        subject: FileId,
    },
}

/// Why there is no entry.
#[derive(Debug, Error)]
pub enum EntryError {
    /// The scope asks for what this kind of event does not have.
    #[error("scope {0} does not fit this kind of event")]
    Misfit(String),
    /// The object or subject is not known.
    #[error("the {0} of the event is not known")]
    Unknown(&'static str),
    /// It would harm the host.
    #[error("{0} for everyone would stop this host; give the scope a subject")]
    Vital(String),
    /// The kernel's map.
    #[error(transparent)]
    Kernel(#[from] KernelError),
}

/// An entry to be written.
pub struct Wanted<'a> {
    /// The decision that asks for it.
    pub decision: &'a Decision,
    /// Number of its rule.
    pub number: u32,
    /// What the event was about.
    pub blocked: &'a Blocked,
    /// Who acted.
    pub task: &'a Task,
    /// Policy generation.
    pub generation: u32,
}

impl Wanted<'_> {
    /// Writes the entry: where it is, and what; its scope is the decision's.
    ///
    /// # Errors
    ///
    /// See [`EntryError`].
    pub fn write(&self, verdicts: &mut Verdicts) -> Result<(Place, Held), EntryError> {
        let place = self.place()?;
        let expires = clock::boot_after(self.decision.ttl);
        let entry = Entry {
            expires,
            rule: self.number,
            generation: self.generation,
            hook: hook::ANY,
            origin: origin::EVENT_RULE,
            flags: 0,
            limits: 0,
        };
        let access = match self.blocked {
            Blocked::File { access, .. } => *access,
            Blocked::Destination { .. } | Blocked::Nothing { .. } => ALL,
        };
        if let (Target::File { .. }, Blocked::File { file, .. }) = (&place.target, self.blocked) {
            verdicts.identify(*file)?;
        }
        let held = Held { entry, access };
        verdicts.insert(&place, held)?;
        Ok((place, held))
    }

    fn place(&self) -> Result<Place, EntryError> {
        let subject = self.subject()?;
        let misfit = || EntryError::Misfit(self.decision.scope.to_string());
        let target = match (self.decision.scope.object, self.blocked) {
            (Object::Destination, Blocked::Destination { address, .. }) => {
                Target::Destination { address: address.octets(), port: None }
            }
            (Object::DestinationPort, Blocked::Destination { address, port, .. }) => {
                if *port == 0 {
                    return Err(EntryError::Unknown("port"));
                }
                Target::Destination { address: address.octets(), port: Some(*port) }
            }
            (Object::Cidr(net), Blocked::Destination { .. }) => {
                guard::network(&net).map_err(EntryError::Vital)?;
                return Ok(Place::new(Table::Block, network_place(Table::Block, &net).target, subject));
            }
            // A file that is only being made has no identity yet.
            (Object::File, Blocked::File { file, path, .. }) if file.is_none() && path.starts_with(b"/") => {
                Target::Path { path: path.clone(), prefix: false }
            }
            (Object::File, Blocked::File { file, .. }) => self.file(*file, subject)?,
            (Object::Path, Blocked::File { path, .. }) if !path.starts_with(b"/") => {
                return Err(EntryError::Unknown("whole path"));
            }
            (Object::Path, Blocked::File { file, path, .. }) => {
                if !file.is_none() {
                    self.file(*file, subject)?;
                }
                Target::Path { path: path.clone(), prefix: false }
            }
            (Object::Destination | Object::DestinationPort | Object::Cidr(_), Blocked::File { .. })
            | (Object::File | Object::Path, Blocked::Destination { .. })
            | (_, Blocked::Nothing { .. }) => return Err(misfit()),
        };
        Ok(Place::new(Table::Block, target, subject))
    }

    fn file(&self, file: FileId, subject: Subject) -> Result<Target, EntryError> {
        if file.is_none() {
            return Err(EntryError::Unknown("file"));
        }
        if subject == Subject::ANYONE && guard::is_vital(file) {
            return Err(EntryError::Vital(format!("inode {}", file.ino)));
        }
        Ok(Target::File { dev: file.dev, ino: file.ino })
    }

    fn subject(&self) -> Result<Subject, EntryError> {
        let executable = match self.blocked {
            Blocked::File { subject, .. } | Blocked::Destination { subject, .. } | Blocked::Nothing { subject } => {
                *subject
            }
        };
        match self.decision.scope.subject {
            None => Ok(Subject::ANYONE),
            Some(Who::Process) if executable.is_none() => Err(EntryError::Unknown("acting executable")),
            Some(Who::Process) => Ok(Subject::executable(executable)),
            Some(Who::Instance) if self.task.tgid == 0 => Err(EntryError::Unknown("acting process")),
            Some(Who::Instance) => Ok(Subject::instance(self.task.tgid, self.task.start)),
        }
    }
}

/// Kills the acting process when the decision asks for it: after the refusal, never instead of it.
pub fn kill_if_asked(decision: &Decision, task: &Task) {
    use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
    if decision.action != Action::Kill || task.tgid <= 1 {
        return;
    }
    let Some(pid) = i32::try_from(task.tgid).ok().and_then(Pid::from_raw) else { return };
    let killed = pidfd_open(pid, PidfdFlags::empty()).and_then(|fd| {
        // The descriptor pins the process; its start says whether it is still the one that acted.
        if crate::process::is_alive(task.tgid, task.start) { pidfd_send_signal(&fd, Signal::KILL) } else { Ok(()) }
    });
    if let Err(error) = killed {
        tracing::warn!("cannot kill process {}: {error}", task.tgid);
    }
}
