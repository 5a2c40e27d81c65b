//! Connections that were there before the rule: found in the kernel's socket table, judged, destroyed.
//!
//! Invariants: it runs on a thread of its own, and enters other network namespaces only by threads that end at once. It
//! destroys only what the kernel's own rules would refuse, in scope, with a peer that is not loopback, and that is not
//! Sentinel's; where a fact is missing it leaves the socket alone, whose packets the packet hook refuses. In monitor mode it
//! only reports. A look that a newer one has overtaken destroys nothing more.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use sentinel_common::{
    event::{Task, Verdict, flag, kind},
    hook,
};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::{
    clock,
    event::{Common, Network},
    kernel::hooks,
};

pub mod diag;
mod look;
pub mod namespaces;
pub mod owners;
pub mod verdict;
pub mod wire;

use look::Look;
pub use look::Scope;
use verdict::Rules;

/// What alerts about such connections name in the place of a hook.
pub const HOOK: &str = "sock_destroy";
/// Reports on their way; the thread waits when there are more.
const QUEUE: usize = 256;

/// What looking at connections came to, all looks together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Looks that are over.
    pub looks: u64,
    /// Network namespaces.
    pub namespaces: u64,
    /// Connections looked at.
    pub looked_at: u64,
    /// Destroyed, by the kernel's own word.
    pub destroyed: u64,
    /// Would have been destroyed, if the mode were enforce.
    pub would_destroy: u64,
    /// Left alone, because the verdict turns on what is not known of them.
    pub undecided: u64,
    /// Left alone under a scope, because their cgroup is not known.
    pub no_cgroup: u64,
    /// Sockets that the kernel would not destroy, and namespaces that could not be looked at.
    pub failed: u64,
}

impl Tally {
    fn add(&mut self, one: &Self) {
        self.looks += one.looks;
        self.namespaces += one.namespaces;
        self.looked_at += one.looked_at;
        self.destroyed += one.destroyed;
        self.would_destroy += one.would_destroy;
        self.undecided += one.undecided;
        self.no_cgroup += one.no_cgroup;
        self.failed += one.failed;
    }
}

/// A connection to a destination that is refused now.
#[derive(Debug)]
pub struct Finding {
    connection: wire::Connection,
    owner: Option<owners::Owner>,
    entry: sentinel_common::verdict::Entry,
    destroyed: bool,
}

/// What the thread says.
#[derive(Debug)]
pub enum Report {
    /// A connection.
    Found(Box<Finding>),
    /// The look is over.
    Done(Tally),
}

impl Finding {
    /// The connection in the form of an event, as if it were made now.
    #[must_use]
    pub fn event(&self) -> Network {
        let (connection, entry) = (&self.connection, &self.entry);
        let mut task = Task { uid: connection.uid, cgroup: connection.cgroup.unwrap_or(0), ..Task::default() };
        if let Some(owner) = self.owner {
            task = Task { tgid: owner.pid, start: owner.start, executable: owner.executable, ..task };
        }
        let unknown = if self.owner.is_none() { flag::NO_TASK } else { flag::SOCKET_OWNER };
        let verdict = Verdict {
            expires: entry.expires,
            rule: entry.rule,
            generation: entry.generation,
            refused: u8::from(self.destroyed),
            origin: entry.origin,
            pad: [0; 6],
        };
        // The hook that refuses what such a socket sends; alerts name [`HOOK`] instead.
        let hook = hooks::by_id(hook::EGRESS).unwrap_or(&hooks::HOOKS[0]);
        let common =
            Common { time: clock::boot_now(), hook, flags: unknown | flag::IN_SCOPE, verdict, task, credentials: None };
        Network {
            common,
            kind: kind::CONNECT,
            given: connection.remote,
            destination: connection.destination(),
            port: connection.port,
            family: 0,
            protocol: u16::from(connection.protocol),
            socket_type: 0,
        }
    }
}

/// The looks of a daemon: the one under way, and what came of all.
#[derive(Debug)]
pub struct Sockets {
    /// What came of them.
    pub tally: Tally,
    /// Why sockets cannot be destroyed on this kernel, if they cannot.
    pub unavailable: Option<String>,
    overtaken: Arc<AtomicBool>,
    sender: mpsc::Sender<Report>,
    reports: mpsc::Receiver<Report>,
}

impl Sockets {
    /// Finds out whether the kernel can destroy sockets. Looks at none yet.
    #[must_use]
    pub fn probe() -> Self {
        let unavailable = diag::Diag::open().and_then(|mut diag| diag.probe()).err().map(|error| error.to_string());
        let (sender, reports) = mpsc::channel(QUEUE);
        Self { tally: Tally::default(), unavailable, overtaken: Arc::default(), sender, reports }
    }

    /// Begins to look at all connections under these rules; a look under older ones ends. With nothing that refuses a
    /// destination there is nothing to look for.
    pub fn look(&mut self, rules: Rules, scope: Scope, enforce: bool) {
        self.overtaken.store(true, Ordering::Relaxed);
        if self.unavailable.is_some() || !rules.block_any() {
            return;
        }
        self.overtaken = Arc::default();
        let look = Look::new(rules, scope, enforce, self.overtaken.clone(), self.sender.clone());
        let thread = std::thread::Builder::new().name("connections".to_owned()).spawn(move || look.run());
        if let Err(error) = thread {
            tracing::error!("connections made before are not looked at: no thread for it: {error}");
            self.tally.failed += 1;
        }
    }

    /// The next connection found. Never ends.
    pub async fn next(&mut self) -> Finding {
        loop {
            match self.reports.recv().await {
                Some(Report::Found(finding)) => return *finding,
                Some(Report::Done(tally)) => self.tally.add(&tally),
                // Cannot be: a sender is kept here.
                None => std::future::pending().await,
            }
        }
    }
}

impl Drop for Sockets {
    fn drop(&mut self) {
        // After the end nothing may be destroyed.
        self.overtaken.store(true, Ordering::Relaxed);
    }
}
