//! One look at all connections of the host.
//!
//! Invariant: a socket is destroyed by its cookie, so one that took its place meanwhile is not; the process table is read
//! only if some connection meets a rule, and then once.

use std::{
    cell::OnceCell,
    collections::HashMap,
    fs,
    os::fd::AsFd as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sentinel_common::{
    address::{Address, Class, class, normalise},
    verdict::{Entry, flag},
};
use tokio::sync::mpsc::Sender;

use super::{
    Finding, Report, Tally,
    diag::{Diag, DiagError, Outcome},
    namespaces,
    owners::{self, Owner, Owners},
    verdict::{Facts, Judgement, Rules},
    wire::Connection,
};
use crate::kernel::cgroup::Cgroups;

/// A look that takes longer says so, this often.
const PROGRESS: Duration = Duration::from_secs(1);

impl Connection {
    /// The peer, normalised.
    #[must_use]
    pub fn destination(&self) -> Address {
        normalise(self.remote).0
    }
}

/// The cgroup that sockets must be in, or below.
#[derive(Debug)]
pub struct Scope {
    cgroups: Option<(Cgroups, PathBuf)>,
    known: HashMap<u64, bool>,
}

impl Scope {
    /// `directory` below the hierarchy mounted at `root`; none for the whole host.
    ///
    /// # Errors
    ///
    /// If the hierarchy cannot be opened.
    pub fn new(root: &Path, directory: Option<PathBuf>) -> std::io::Result<Self> {
        let Some(directory) = directory else { return Ok(Self { cgroups: None, known: HashMap::new() }) };
        let root = fs::canonicalize(root)?;
        let scope = Path::new("/").join(directory.strip_prefix(&root).unwrap_or(&directory));
        Ok(Self { cgroups: Some((Cgroups::open(&root)?, scope)), known: HashMap::new() })
    }

    /// Whether a cgroup is in scope, as far as it can be told: one that was removed has no place any more.
    fn has(&mut self, cgroup: Option<u64>) -> Option<bool> {
        let Some((cgroups, scope)) = &self.cgroups else { return Some(true) };
        let id = cgroup?;
        if let Some(known) = self.known.get(&id) {
            return Some(*known);
        }
        let inside = Path::new(&cgroups.path(id)?).starts_with(scope);
        self.known.insert(id, inside);
        Some(inside)
    }
}

/// The work of one look.
pub(super) struct Look {
    rules: Rules,
    scope: Scope,
    enforce: bool,
    overtaken: Arc<AtomicBool>,
    reports: Sender<Report>,
    owners: OnceCell<Owners>,
    tally: Tally,
    told: Instant,
}

impl Look {
    pub(super) fn new(
        rules: Rules,
        scope: Scope,
        enforce: bool,
        overtaken: Arc<AtomicBool>,
        reports: Sender<Report>,
    ) -> Self {
        let (owners, tally, told) = (OnceCell::new(), Tally::default(), Instant::now());
        Self { rules, scope, enforce, overtaken, reports, owners, tally, told }
    }

    /// Looks at every network namespace; returns when all is done, or a newer look has begun.
    pub(super) fn run(mut self) {
        let all = namespaces::each(|namespace| {
            if let Err(error) = Diag::open_in(namespace.as_fd()).and_then(|diag| self.namespace(diag)) {
                self.failed("a network namespace cannot be looked at", &error);
            }
            self.progress();
            !self.overtaken.load(Ordering::Relaxed)
        });
        self.tally.namespaces = all as u64;
        self.tally.looks = 1;
        tracing::debug!("connections made before: {:?}", self.tally);
        // Nobody listens any more at the end of the daemon.
        let _ = self.reports.blocking_send(Report::Done(self.tally));
    }

    fn namespace(&mut self, mut diag: Diag) -> Result<(), DiagError> {
        let mut candidates = Vec::new();
        let dumped = diag.connections(|connection| {
            self.tally.looked_at += 1;
            if self.may_meet(&connection) {
                candidates.push(connection);
            }
            self.progress();
        });
        // Sentinel's own are left alone: its sinks may have connected a moment ago.
        let own = owners::own();
        for connection in candidates.into_iter().filter(|one| !own.contains(&u64::from(one.inode))) {
            if self.overtaken.load(Ordering::Relaxed) {
                return Ok(());
            }
            self.judge(&mut diag, connection);
        }
        dumped
    }

    /// Whether a connection is in scope and, as far as can be told without its owner, meets a rule.
    fn may_meet(&mut self, connection: &Connection) -> bool {
        if class(connection.destination()) == Class::Loopback {
            return false;
        }
        if self.rules.judge(&facts(connection, None)) == Judgement::Pass {
            return false;
        }
        let inside = self.scope.has(connection.cgroup);
        self.tally.no_cgroup += u64::from(inside.is_none());
        inside == Some(true)
    }

    /// Judges a connection with what is known of its owners, and acts.
    fn judge(&mut self, diag: &mut Diag, connection: Connection) {
        let owners: Vec<Owner> = self.owners.get_or_init(Owners::read).of(connection.inode).collect();
        match agreed(&self.rules, &connection, &owners) {
            Judgement::Pass => {}
            Judgement::Undecided => self.tally.undecided += 1,
            Judgement::Meets(entry) => self.meets(diag, connection, owners.first().copied(), entry),
        }
    }

    fn meets(&mut self, diag: &mut Diag, connection: Connection, owner: Option<Owner>, entry: Entry) {
        let refuses = self.enforce && entry.flags & flag::MONITOR == 0;
        let destroyed = if refuses {
            match diag.destroy(&connection) {
                Ok(Outcome::Destroyed) => true,
                Ok(Outcome::Gone) => return,
                Err(error) => return self.failed("one of them cannot be destroyed", &error),
            }
        } else {
            false
        };
        let count = if destroyed { &mut self.tally.destroyed } else { &mut self.tally.would_destroy };
        *count += 1;
        let finding = Finding { connection, owner, entry, destroyed };
        // Nobody listens any more at the end of the daemon.
        let _ = self.reports.blocking_send(Report::Found(Box::new(finding)));
    }

    /// Counts a failure; the first one is told, since thousands may follow for the same reason.
    fn failed(&mut self, what: &str, error: &DiagError) {
        self.tally.failed += 1;
        if self.tally.failed == 1 {
            tracing::warn!("connections made before: {what}, their packets are refused all the same: {error}");
        }
    }

    fn progress(&mut self) {
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            let Tally { looked_at, destroyed, .. } = self.tally;
            tracing::info!("connections made before: {looked_at} looked at, {destroyed} destroyed, still looking");
        }
    }
}

fn facts(connection: &Connection, owner: Option<Owner>) -> Facts {
    Facts {
        address: connection.destination(),
        port: connection.port,
        protocol: connection.protocol,
        uid: connection.uid,
        cgroup: connection.cgroup,
        owner,
    }
}

/// The verdict that all owners of a socket get; undecided, if they differ.
fn agreed(rules: &Rules, connection: &Connection, owners: &[Owner]) -> Judgement {
    let Some((first, others)) = owners.split_first() else { return rules.judge(&facts(connection, None)) };
    let verdict = rules.judge(&facts(connection, Some(*first)));
    let same = |owner: &Owner| rules.judge(&facts(connection, Some(*owner))) == verdict;
    if others.iter().all(same) { verdict } else { Judgement::Undecided }
}
