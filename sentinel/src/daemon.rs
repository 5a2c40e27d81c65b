//! `sentinel run`: start-up in a fixed order, one event loop, clean end.
//!
//! Order: read everything that can be wrong (settings, policies, data), load the kernel programs, fill the verdict maps,
//! attach, prove, take over from what an earlier one left, read events. Until the last step nothing is left behind by an error:
//! dropping [`Kernel`] removes everything of its own. What a kill leaves is in `kernel::pins`.

use std::{
    fs::{self, File},
    os::unix::fs::{DirBuilderExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use alerts::{DEFAULT_QUEUE_BYTES, SinkSet};
use anyhow::{Context as _, Result, bail};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::mpsc,
    time::{MissedTickBehavior, interval, interval_at},
};

use crate::{
    alerting::Alerting,
    attendance::{self, Attendance},
    audit::Audit,
    canary::{self, Proof},
    clock,
    config::{Config, Flags, Mode, Require},
    container::Containers,
    control::{self, Asked, Request},
    embargo,
    geo::{
        GeoData,
        watch::{InForce, Watch},
    },
    hashes::Hashes,
    journal::Journal,
    jurisdiction::{Jurisdictions, Live},
    kernel::{
        Kernel, Options, cgroup::Cgroups, features, hooks::Attach, offsets::VMLINUX, ring::Rings, signals::HeldBack,
        stats::Stats, verdicts::Verdicts,
    },
    learn::{Groups, Learner},
    notices::{Notice, Told},
    operator::Blocks,
    pipeline::Pipeline,
    policy::{self, Loaded},
    process::Processes,
    record::{Header, Recorder},
    reload::{self, Reload, Stamps},
    report,
    sockets::{self, Scope, Sockets, verdict::Rules},
    status::Enforcement,
    unattended,
    world::{Numbers, World},
};

mod change;
mod confirm;
mod evidence;

/// How often expired entries and ended processes are swept.
const SWEEP: Duration = Duration::from_secs(1);
/// Of so many sweeps one looks for new devices in every network namespace; what those send passes this one's devices too.
const NAMESPACES: u64 = 5;
/// How often dates are looked at: ages of data, ends of exemptions, days of embargo programmes.
const REMIND: Duration = Duration::from_secs(3600);
/// How long a request for the status may hand on events before it is answered.
const DRAIN: Duration = Duration::from_secs(1);
/// How long the sinks get at the end.
const FLUSH: Duration = Duration::from_secs(5);
/// Of so many sweeps one looks whether paths of standing rules stand for other files, without having been told.
const LABELS: u64 = 10;
/// Of so many sweeps one writes the policy that is learned.
const LEARNED: u64 = 30;
/// Why LSM programs are given up when no canary meets them.
const LSM_NEVER_RUNS: &str = "LSM programs attach but never run (is bpf in the kernel's lsm= list?)";
/// How long a client that asked for the end has to get its answer.
const GOODBYE: Duration = Duration::from_millis(20);
/// Kernel type information; a test of kernels without it points elsewhere.
pub const BTF_VARIABLE: &str = "SENTINEL_BTF";

/// A running Sentinel.
pub struct Daemon {
    /// The settings.
    pub config: Config,
    /// The loaded programs; dropping it removes them.
    pub kernel: Kernel,
    /// What the canaries showed, in the order of the hooks.
    pub proofs: Vec<Option<Proof>>,
    /// Kernel counters.
    pub stats: Stats,
    /// Everything between rings and sinks.
    pub pipeline: Pipeline,
    /// Connections that were there before their rule.
    pub sockets: Sockets,
    /// Whether the kernel's country table answers rightly.
    pub jurisdictions: Jurisdictions,
    /// The last reload that was refused.
    pub refused_reload: Option<String>,
    /// Tests of the policies in force that do not pass.
    pub failing_tests: Option<String>,
    /// The heartbeat, and when there was none.
    pub attendance: Attendance,
    stamps: Stamps,
    sweeps: u64,
    /// The country databases.
    pub geo: GeoData,
    /// Country tables built.
    pub tables: u64,
    /// Until when enforcing has to be confirmed.
    pub confirm_by: Option<Instant>,
    told: Told,
    programmes: Vec<(String, String)>,
    evidence: evidence::Evidence,
    flags: Flags,
    rings: Rings,
    _lock: File,
}

/// Why a daemon has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It was told to.
    Stopped,
    /// The same, and nothing is to be left in the kernel.
    Disabled,
    /// Nobody confirmed enforcing: to be started again in monitor mode.
    Unconfirmed,
}

/// Runs until told to end.
///
/// # Errors
///
/// Anything that keeps it from starting, or the loss of its rings.
pub async fn run(flags: Flags) -> Result<Ended> {
    let config = Config::load(&flags)?;
    if start_disabled() {
        bail!("sentinel.off is on the kernel command line: Sentinel does not start");
    }
    features::require_root()?;
    let lock = lock(&config.run_dir)?;
    let mut stop = Stop::watch()?;
    let held_back = HeldBack::new();
    let started = Daemon::start(config, flags, lock);
    drop(held_back);
    let mut daemon = started?;
    let mut requests = control::listen(&daemon.config.run_dir)?;
    eprint!("{}", report::text(&daemon.status()?));
    let result = match daemon.require() {
        Ok(()) => {
            daemon.keep_status();
            notify_ready();
            daemon.wait_for_confirmation();
            daemon.serve(&mut requests, &mut stop).await
        }
        Err(error) => Err(error),
    };
    let persist = daemon.config.persist;
    daemon.end(persist && matches!(result, Ok(Ended::Stopped)), matches!(result, Ok(Ended::Unconfirmed)));
    result
}

fn start_disabled() -> bool {
    fs::read_to_string("/proc/cmdline").is_ok_and(|line| line.split_whitespace().any(|word| word == "sentinel.off"))
}

/// One Sentinel a run directory.
fn lock(run_dir: &Path) -> Result<File> {
    use rustix::fs::{FlockOperation, flock};
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(run_dir)
        .with_context(|| format!("cannot make the run directory {}", run_dir.display()))?;
    let path = run_dir.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot open {}", path.display()))?;
    if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
        bail!(
            "another Sentinel already runs with the run directory {}; stop it (sentinel stop --run-dir {0}) or choose \
             another with --run-dir",
            run_dir.display()
        );
    }
    Ok(file)
}

fn notify_ready() {
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::debug!("sd_notify: {error}");
    }
}

/// The signals that end, and the one that reloads.
struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
}

impl Stop {
    fn watch() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

/// Programs that are attached and proved, and what goes with them.
struct Engaged {
    kernel: Kernel,
    proofs: Vec<Option<Proof>>,
    stats: Stats,
    rings: Rings,
    verdicts: Verdicts,
    numbers: Numbers,
    world: World,
    tables: u64,
    attendance: Attendance,
}

impl Engaged {
    /// Loads, fills the verdict maps, attaches, proves.
    fn try_with(config: &Config, loaded: &Loaded, without_lsm: Option<String>) -> Result<Self> {
        let enforce = config.mode == Mode::Enforce;
        let btf = std::env::var_os(BTF_VARIABLE).map_or_else(|| VMLINUX.into(), Into::into);
        let (scope, dns_names, forward) = (config.scope.clone(), config.dns_names, config.forward);
        let learn = config.learn.is_some();
        let unattended = attendance::number(config.unattended);
        let repeat_seconds = config.repeat_seconds;
        let mut numbers = Numbers::default();
        let root = features::probe()?.cgroup2;
        let mut prepared = policy::prepare(loaded, config, &root, None, &mut numbers)?;
        policy::dry_run(&mut prepared, config, &numbers)?;
        tracing::debug!("start: rules are compiled");
        let demand = change::demand(&prepared.world, config);
        let mut kernel = Kernel::load(&Options {
            enforce,
            scope,
            without_lsm,
            learn,
            dns_names,
            forward,
            unattended,
            repeat_seconds,
            demand,
            btf,
        })?;
        let attendance = Attendance::begin(&mut kernel, config)?;
        tracing::debug!("start: LSM programs are loaded");
        let (stats, rings, mut verdicts) = (kernel.stats()?, kernel.rings()?, kernel.verdicts()?);
        let tables = u64::from(prepared.image.is_some());
        let world = policy::apply(&mut verdicts, prepared)?;
        verdicts.tell_again(policy::every(&world, config))?;
        tracing::debug!("start: verdicts are in the maps");
        kernel.attach()?;
        tracing::debug!("start: hooks are attached");
        for (program, instructions) in kernel.verified() {
            tracing::debug!("{program}: the verifier looked at {instructions} instructions");
        }
        let proofs = canary::prove(&mut kernel, &mut verdicts, &stats, &config.run_dir, enforce)?;
        tracing::debug!("start: hooks are proved");
        Ok(Self { kernel, proofs, stats, rings, verdicts, numbers, world, tables, attendance })
    }

    /// Whether LSM programs are attached and none of them met its canary.
    fn lsm_never_runs(&self) -> bool {
        let all = self.kernel.hooks.iter().zip(&self.proofs);
        let mut lsm = all.filter(|(state, _)| state.hook.attach == Attach::Lsm && state.attached).peekable();
        lsm.peek().is_some() && lsm.all(|(_, proof)| matches!(proof, Some(Proof::Failed(_))))
    }
}

impl Daemon {
    fn start(config: Config, flags: Flags, lock: File) -> Result<Self> {
        let enforce = config.mode == Mode::Enforce;
        state_dir(&config.state_dir)?;
        let stamps = reload::stamps(&flags, &config);
        let operator = Arc::new(Blocks::load(&config.state_dir)?);
        tracing::debug!("start: begins");
        let loaded = Loaded::with_geo(policy::read(&config)?, &config, None, operator)?;
        tracing::debug!("start: policies and country data are read");
        for notice in loaded.policies.notices() {
            tracing::warn!("{}:{}: {}", notice.file, notice.line, notice.message);
        }
        let sinks = SinkSet::open(&config.alerts, DEFAULT_QUEUE_BYTES)?;
        let audit = config.audit.enabled.then(|| Audit::open(&config.state_dir, &config.audit)).transpose()?;
        let header = Header { policy_sha256: loaded.policies.sha256(), mode: policy::mode_word(config.mode) };
        let open = |path: &PathBuf| Recorder::open(path, config.record_bytes, &header);
        let recorder = config.record.as_ref().map(open).transpose()?;
        let mut engaged = Engaged::try_with(&config, &loaded, None)?;
        if engaged.lsm_never_runs() {
            // Programs that attach and never run would silence the hooks that stand in for them.
            drop(engaged);
            engaged = Engaged::try_with(&config, &loaded, Some(LSM_NEVER_RUNS.to_owned()))?;
        }
        let Engaged { kernel, proofs, stats, rings, verdicts, numbers, world, tables, mut attendance } = engaged;
        let cgroups = Cgroups::open(&kernel.features.cgroup2).context("cannot open the cgroup hierarchy")?;
        let processes = Processes::from_proc(Containers::new(cgroups, "/".into()));
        let by_kernel =
            kernel.hooks.iter().zip(&proofs).any(|(s, proof)| s.hook.hashes() && proof == &Some(Proof::Proven));
        let hashes = Hashes::start(config.hashing, config.hash_max_bytes, by_kernel)?;
        let alerting = Alerting::new(sinks, config.format, config.redactor.clone());
        let mut pipeline = Pipeline::new(processes, world, numbers, verdicts, alerting, hashes, enforce);
        pipeline.learner = config.learn.as_deref().map(Learner::new).transpose()?;
        pipeline.groups = Some(Groups::new(&kernel.features.cgroup2)?);
        pipeline.recorder = recorder;
        pipeline.alerting.audit = audit;
        if enforce {
            pipeline.journal = Some(recalled(&config, &mut pipeline)?);
        }
        attendance.take_over(&kernel, &config)?;
        let sockets = Sockets::probe();
        let jurisdictions = Jurisdictions::new(clock::boot_now());
        let mut daemon = Self {
            config,
            kernel,
            proofs,
            stats,
            pipeline,
            sockets,
            jurisdictions,
            refused_reload: None,
            failing_tests: None,
            attendance,
            stamps,
            sweeps: 0,
            geo: loaded.geo,
            tables,
            confirm_by: None,
            told: Told::default(),
            programmes: embargo::defaults()?,
            evidence: evidence::Evidence::default(),
            flags,
            rings,
            _lock: lock,
        };
        daemon.check_jurisdictions();
        daemon.record_start();
        daemon.tell_forced(&[]);
        daemon.tell_gaps();
        daemon.beat();
        Ok(daemon)
    }

    /// Fails when less is enforced than `--require` says.
    fn require(&mut self) -> Result<()> {
        let status = self.status()?;
        let enough = match self.config.require {
            None => true,
            Some(Require::Full) => status.enforcement == Enforcement::Full,
            Some(Require::Partial) => status.enforcement != Enforcement::None,
        };
        if enough {
            return Ok(());
        }
        bail!(
            "enforcement is {} but --require asks for more; reasons: {}",
            status.enforcement.as_str(),
            status.reasons.join("; ")
        )
    }

    async fn serve(&mut self, requests: &mut mpsc::Receiver<Asked>, stop: &mut Stop) -> Result<Ended> {
        let mut sweep = interval(SWEEP);
        let mut remind = interval(REMIND);
        let period = self.config.canary_period;
        let mut canaries = interval_at(tokio::time::Instant::now() + period, period);
        canaries.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let period = self.config.audit.heartbeat();
        let mut heartbeat = interval_at(tokio::time::Instant::now() + period, period);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut more = true;
        let mut watch = Watch::start(self.in_force())?;
        let mut reload = Reload::start(self.flags.clone(), &self.config, std::mem::take(&mut self.stamps))?;
        self.look_at_connections();
        loop {
            tokio::select! {
                biased;
                _ = stop.interrupt.recv() => return Ok(Ended::Stopped),
                _ = stop.terminate.recv() => return Ok(Ended::Stopped),
                _ = stop.hangup.recv() => {
                    self.pipeline.alerting.sinks.reopen();
                    reload.ask();
                }
                Some((request, peer, reply)) = requests.recv() => {
                    let ends = match request {
                        Request::Stop => Some(Ended::Stopped),
                        Request::Disable => Some(Ended::Disabled),
                        Request::Status
                        | Request::Confirm
                        | Request::BlockAdd { .. }
                        | Request::BlockList
                        | Request::BlockRemove { .. } => None,
                    };
                    self.record_request(&request, &peer);
                    // A client that went away needs no answer.
                    let _ = reply.send(self.answer(request, &peer));
                    if let Some(ended) = ends {
                        // Let the task that holds the connection write the answer.
                        tokio::time::sleep(GOODBYE).await;
                        return Ok(ended);
                    }
                }
                _ = sweep.tick() => {
                    self.sweep();
                    self.watch_clock();
                    self.end_blocks();
                    if self.is_unconfirmed() {
                        return Ok(Ended::Unconfirmed);
                    }
                }
                _ = remind.tick() => {
                    if self.hourly() {
                        reload.ask();
                    }
                }
                attempt = reload.next() => {
                    self.take(attempt);
                    watch.in_force(self.in_force());
                }
                renewed = watch.next() => {
                    self.renew(renewed);
                    watch.in_force(self.in_force());
                }
                _ = canaries.tick() => self.check_jurisdictions(),
                _ = heartbeat.tick() => self.heartbeat(),
                found = self.pipeline.hashes.next() => self.pipeline.hashed(found),
                found = self.sockets.next() => {
                    let pipeline = &mut self.pipeline;
                    pipeline.connection(&found.event(), sockets::HOOK);
                    // There may be thousands: the rings have their turn after each.
                    more = self.rings.drain(|record| pipeline.record(record));
                }
                ready = self.rings.ready(), if !more => {
                    ready.context("the event rings cannot be waited for")?;
                    more = true;
                }
                () = std::future::ready(()), if more => {
                    let pipeline = &mut self.pipeline;
                    more = self.rings.drain(|record| pipeline.record(record));
                    tokio::task::yield_now().await;
                }
            }
        }
    }

    /// What is in force, for the thread that watches country databases.
    fn in_force(&self) -> InForce {
        InForce {
            wanted: self.config.geo.clone(),
            updater: self.config.updater.clone(),
            data: self.geo.clone(),
            table: self.pipeline.world.table.clone(),
        }
    }

    /// Asks the kernel's country table about every country; to be called after every change of it.
    pub fn check_jurisdictions(&mut self) {
        let (kernel, pipeline) = (&self.kernel, &mut self.pipeline);
        let name = |rule| pipeline.numbers.rule(rule).map_or_else(|| format!("number {rule}"), |rule| rule.id.clone());
        let (verdicts, countries) = (&pipeline.verdicts, &pipeline.world.countries);
        let rules = || Rules::new(verdicts.iter(), verdicts.limits(), countries.clone(), clock::boot_now());
        let live = Live {
            rules: &rules,
            limits: verdicts.limits(),
            countries,
            enforce: self.config.mode == Mode::Enforce,
            name: &name,
        };
        let news = self.jurisdictions.round(&live, &mut |subject, addresses| kernel.probe()?.ask(subject, addresses));
        for failure in &news {
            tracing::error!("jurisdiction {}", failure.text());
        }
        pipeline.wrong_jurisdictions(&news);
    }

    /// Looks, on another thread, for connections that the rules of now refuse.
    fn look_at_connections(&mut self) {
        let (pipeline, kernel) = (&self.pipeline, &self.kernel);
        let scope = match Scope::new(&kernel.features.cgroup2, kernel.scope_directory()) {
            Ok(scope) => scope,
            Err(error) => return tracing::error!("connections made before are not looked at: the scope: {error}"),
        };
        let (verdicts, countries) = (&pipeline.verdicts, pipeline.world.countries.clone());
        let rules = Rules::new(verdicts.iter(), verdicts.limits(), countries, clock::boot_now());
        self.sockets.look(rules, scope, self.config.mode == Mode::Enforce);
    }

    /// Hands on what the rings hold now, so that counters can be compared; under load not all, lest a client wait. What
    /// is left is in the status as `in_ring`.
    pub fn drain(&mut self) {
        let end = Instant::now() + DRAIN;
        let pipeline = &mut self.pipeline;
        while Instant::now() < end && self.rings.drain(|record| pipeline.record(record)) {}
    }

    /// Says that enforcement went on without a daemon, if it did.
    fn tell_gaps(&mut self) {
        for gap in self.attendance.gaps.clone() {
            if gap.lost.is_none() && gap.refused == Some(0) {
                tracing::info!("from {} until now: {}", gap.from, gap.why);
            } else {
                self.pipeline.notice(&Notice::gap(&gap));
            }
        }
    }

    /// Says that the daemon is there.
    fn beat(&mut self) {
        let generation = self.pipeline.world.generation;
        if let Err(error) = self.attendance.beat(&self.stats, &self.pipeline.counts, generation) {
            tracing::error!("heartbeat: {error:#}");
        }
        let Pipeline { journal, verdicts, numbers, .. } = &mut self.pipeline;
        if let Some(Err(error)) = journal.as_mut().map(|journal| journal.sweep(verdicts, numbers)) {
            tracing::error!("the journal of block entries: {error:#}");
        }
    }

    /// Keeps the status for the time when nobody answers.
    pub(crate) fn keep_status(&mut self) {
        if self.kernel.pinned_in().is_none() {
            return;
        }
        match self.status() {
            Ok(status) => unattended::keep(&self.config.run_dir, &status),
            Err(error) => tracing::error!("the status is not kept: {error:#}"),
        }
    }

    fn sweep(&mut self) {
        self.beat();
        self.pipeline.processes.sweep(Instant::now());
        match self.pipeline.verdicts.sweep(clock::boot_now()) {
            Ok(0) => {}
            Ok(gone) => tracing::info!("{gone} block entries have expired"),
            Err(error) => tracing::error!("sweeping block entries: {error}"),
        }
        self.sweeps = self.sweeps.wrapping_add(1);
        match self.kernel.sync_devices(self.sweeps.is_multiple_of(NAMESPACES)) {
            Ok(0) => {}
            Ok(new) => tracing::info!("{new} new network devices are watched"),
            Err(error) => tracing::error!("watching new network devices: {error}"),
        }
        self.relabel();
        if self.sweeps.is_multiple_of(LEARNED)
            && let Some(learner) = &self.pipeline.learner
            && let Err(error) = learner.save()
        {
            tracing::error!("the learned policy: {error:#}");
        }
        match report::lost(self) {
            Ok(lost) => self.pipeline.alerting.lost = lost,
            Err(error) => tracing::error!("reading counters: {error}"),
        }
    }

    /// Detaches, or leaves what is pinned in force; hands on what is left, says what happened. `goes_on`: in monitor mode.
    fn end(mut self, leaves: bool, goes_on: bool) {
        if !goes_on && let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Stopping]) {
            tracing::debug!("sd_notify: {error}");
        }
        let status = self.status();
        self.record_stop();
        self.beat();
        self.attendance.end(leaves);
        let Self { config, kernel, stats, pipeline, rings, sockets, .. } = self;
        if let Some(learner) = &pipeline.learner
            && let Err(error) = learner.save()
        {
            tracing::error!("the learned policy: {error:#}");
        }
        let Pipeline { alerting, verdicts, recorder, .. } = pipeline;
        let Alerting { sinks, audit, .. } = alerting;
        drop((recorder, sockets));
        let (stays, left) = if leaves { (kernel.leave(), Vec::new()) } else { (false, kernel.end()) };
        drop((stats, rings, verdicts));
        // Alerts that wait for the trail go out now; after that nobody else has the sinks.
        audit.into_iter().for_each(Audit::finish);
        let sinks = Arc::into_inner(sinks).map(|sinks| sinks.shutdown(FLUSH)).unwrap_or_default();
        match status {
            Ok(status) => eprint!("{}", report::summary(&status, &sinks, &left, stays)),
            Err(error) => tracing::error!("no summary: {error:#}"),
        }
        let run_dir = config.run_dir;
        if !stays {
            unattended::forget(&run_dir);
        }
        for name in ["control.sock", "lock"] {
            if let Err(error) = fs::remove_file(run_dir.join(name)) {
                tracing::warn!("cannot remove {}: {error}", run_dir.join(name).display());
            }
        }
    }
}

/// Puts the block entries of the Sentinel before this one in force.
fn recalled(config: &Config, pipeline: &mut Pipeline) -> Result<Journal> {
    let Pipeline { verdicts, numbers, world, .. } = pipeline;
    let (journal, loaded) = Journal::load(&config.state_dir, verdicts, numbers, world.generation)?;
    if loaded > 0 {
        tracing::info!("{loaded} block entries from before the start are in force again");
    }
    Ok(journal)
}

fn state_dir(path: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)))
        .with_context(|| format!("cannot make the state directory {}", path.display()))
}
