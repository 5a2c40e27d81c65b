//! From ring record to decision: decode, process table, enrichment, rules, block entry, alert.
//!
//! Invariants: an event makes at most one alert; `blocked` is the kernel's own verdict; Sentinel's own
//! processes make none. Order is the kernel's: records are handled as they came.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use alerts::{GeoVote, Severity};
use geoip::{Coverage, Opinion};
use rules::{Decision, Evaluator, Kind, Limits, OnError, Outcome};
use sentinel_common::{
    FileId,
    address::{Class, class},
    event::{Task, Verdict, flag, kind},
};

use crate::{
    alerting::{Alerting, CanaryAlert, Finding, GeoFact, Note},
    container::Context,
    entry::{self, Blocked},
    event::{self, Answer, Change, Common, Event, Exec, Network, Open, Trace, taskless},
    hashes::{self, Hashes},
    input::{self, Actor, Host, Input},
    journal::Journal,
    jurisdiction::Failure,
    kernel::verdicts::Verdicts,
    learn::{Groups, Learner},
    names::Names,
    notices::Notice,
    process::{Image, Process, Processes, split_args},
    record::Recorder,
    world::{Numbers, World},
};

mod contents;

use contents::tells;

/// Threads whose exec is waited for; more are forgotten (their scripts then show the name as given).
const PENDING: usize = 4096;

/// A rule that keeps failing is told again after so long.
const TELL_AGAIN: Duration = Duration::from_secs(60);

/// What was told of a rule that fails.
#[derive(Debug, Default)]
struct ToldError {
    last: Option<Instant>,
    /// Since then.
    failures: u64,
}

/// Id of alerts about jurisdictions that the kernel does not hold.
const JURISDICTION: &str = "jurisdiction-canary";

/// Events handed over by the kernel, by kind.
#[derive(Debug, Default)]
pub struct Counts {
    /// Decoded.
    pub delivered: BTreeMap<u16, u64>,
    /// Malformed.
    pub decode_error: BTreeMap<u16, u64>,
    /// Rules that failed on an event.
    pub rule_errors: u64,
    /// Block entries that could not be written.
    pub entry_errors: u64,
    /// Block entries written.
    pub entries_written: u64,
}

/// Everything between the rings and the sinks.
pub struct Pipeline {
    /// All processes.
    pub processes: Processes,
    /// What is in force.
    pub world: World,
    /// Rules by number.
    pub numbers: Numbers,
    /// The verdict maps.
    pub verdicts: Verdicts,
    /// Where alerts go.
    pub alerting: Alerting,
    /// Names of destinations.
    pub names: Names,
    /// Counters.
    pub counts: Counts,
    /// Names that standing rules are about may stand for other files now.
    pub relabel: bool,
    /// Where events are recorded.
    pub recorder: Option<Recorder>,
    /// Where block entries are taken down, in enforce mode.
    pub journal: Option<Journal>,
    /// Hashes of executables.
    pub hashes: Hashes,
    /// Names of control groups, for what is recorded or learned.
    pub groups: Option<Groups>,
    /// What is seen, while a policy is learned.
    pub learner: Option<Learner>,
    evaluator: Evaluator,
    /// By index of the rule.
    told_errors: HashMap<u32, ToldError>,
    pending: HashMap<u32, Vec<Exec>>,
    host: Host,
    enforcing: bool,
}

impl Pipeline {
    /// Puts the parts together.
    #[must_use]
    pub fn new(
        processes: Processes,
        world: World,
        numbers: Numbers,
        verdicts: Verdicts,
        alerting: Alerting,
        hashes: Hashes,
        enforcing: bool,
    ) -> Self {
        let evaluator = Evaluator::new(world.policies.clone(), Limits::default());
        Self {
            processes,
            world,
            numbers,
            verdicts,
            alerting,
            names: Names::default(),
            counts: Counts::default(),
            relabel: false,
            recorder: None,
            journal: None,
            hashes,
            groups: None,
            learner: None,
            evaluator,
            told_errors: HashMap::new(),
            pending: HashMap::new(),
            host: Host::read(),
            enforcing,
        }
    }

    /// Takes a new world into use.
    pub fn set_world(&mut self, world: World) {
        self.evaluator = Evaluator::new(world.policies.clone(), Limits::default());
        self.world = world;
        self.told_errors.clear();
    }

    /// Handles one record.
    pub fn record(&mut self, bytes: &[u8]) {
        match event::decode(bytes) {
            Ok(Event::Answer(answer)) => self.answer(&answer),
            Ok(event) => {
                *self.counts.delivered.entry(kind_of(&event)).or_default() += 1;
                self.event(event);
            }
            Err(malformed) => {
                *self.counts.decode_error.entry(malformed.kind).or_default() += 1;
                tracing::error!("{malformed}; the record is dropped and counted");
            }
        }
    }

    /// A DNS answer. Anybody can send one that is malformed: such a one is counted, and says nothing in the log.
    fn answer(&mut self, answer: &Answer) {
        let counts = match self.names.learn(&answer.message, answer.cut, answer.common.time) {
            Ok(()) => &mut self.counts.delivered,
            Err(malformed) => {
                tracing::debug!("DNS answer: {malformed}");
                &mut self.counts.decode_error
            }
        };
        *counts.entry(kind::ANSWER).or_default() += 1;
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Fork { common, child, parent } => self.processes.fork(&common.task, child, parent),
            Event::Exit(common) => {
                self.pending.remove(&common.task.tid);
                self.processes.exit(&common.task, Instant::now());
            }
            Event::BeforeExec(exec) => self.before_exec(exec),
            Event::Exec(exec) if exec.common.verdict.refused == 1 => self.refused_exec(&exec),
            Event::Exec(exec) => self.exec(&exec),
            Event::Open(open) => self.open(&open),
            Event::Change(change) => self.change(&change),
            Event::Trace(trace) => self.trace(&trace),
            Event::Network(network) => self.network(&network),
            Event::Answer(answer) => self.answer(&answer),
            Event::Group { id, path } => self.processes.containers.made(id, &path),
        }
    }

    fn before_exec(&mut self, exec: Exec) {
        if self.pending.len() >= PENDING {
            self.pending.clear();
        }
        let notes = self.pending.entry(exec.common.task.tid).or_default();
        if !exec.common.has(flag::INTERPRETED) {
            notes.clear(); // a new execve: the one before it failed
        }
        self.learn_hash(&exec);
        self.pending.entry(exec.common.task.tid).or_default().push(exec);
    }

    fn exec(&mut self, exec: &Exec) {
        // After an exec by a thread the survivor has the leader's id; its notes are under the old one.
        let before = self.pending.remove(&exec.common.task.tid).unwrap_or_default();
        let hash = self.hash_of(exec, &before);
        let image = Image { path: input::path_text(&exec.path, exec.links).into(), file: exec.file.key(), hash };
        let truncated = exec.common.has(flag::ARGS_TRUNCATED);
        let interactive = exec.common.has(flag::INTERACTIVE);
        self.processes.exec(&exec.common.task, image, split_args(&exec.args), truncated, interactive);
        if !exec.common.has(flag::IN_SCOPE) {
            return;
        }
        let script = exec.common.has(flag::INTERPRETED).then(|| script(exec, &before));
        let noted = before.iter().find(|b| b.file != exec.file && !b.path.is_empty());
        let note = self.unknown(exec, &before);
        let verdict = before.iter().map(|b| b.common.verdict).find(|v| v.rule != 0).unwrap_or(exec.common.verdict);
        let parts = self.actor_parts(&exec.common.task);
        let seen = script.as_ref().map(|(path, file)| input::Script {
            path,
            file: *file,
            facts: noted.map(|b| (&b.content, b.links)),
            hash: noted.and_then(|b| self.hashes.resolve(&b.content)),
        });
        let input = input::exec(exec, seen, &parts.actor(), &self.host);
        let (path, file) = script.map_or((exec.path.clone(), exec.file), |(path, file)| (path.into_bytes(), file));
        let previous = parts.process.previous.as_ref().map(|image| image.file).unwrap_or_default();
        let blocked = Blocked::File { file, path, access: entry::EXEC, subject: previous };
        self.decide_noting(&exec.common, verdict, input, &blocked, None, note);
    }

    fn refused_exec(&mut self, exec: &Exec) {
        self.learn_hash(exec);
        let digest = self.hashes.resolve(&exec.content);
        let note = self.unknown(exec, std::slice::from_ref(exec));
        let parts = self.actor_parts(&exec.common.task);
        let input = input::refused_exec(exec, digest, &parts.actor(), &self.host);
        let subject = exec.common.task.executable;
        let blocked = Blocked::File { file: exec.file, path: exec.path.clone(), access: entry::EXEC, subject };
        self.decide_noting(&exec.common, exec.common.verdict, input, &blocked, None, note);
    }

    fn open(&mut self, open: &Open) {
        let parts = self.actor_parts(&open.common.task);
        let input = input::open(open, &parts.actor(), &self.host);
        let access = entry::access_of(open.fmode);
        let subject = open.common.task.executable;
        let blocked = Blocked::File { file: open.file, path: open.path.clone(), access, subject };
        self.decide(&open.common, open.common.verdict, input, &blocked, None);
    }

    fn change(&mut self, change: &Change) {
        if change.kind == kind::MMAP && !self.mapped(change) {
            return;
        }
        let parts = self.actor_parts(&change.common.task);
        let input = input::change(change, &parts.actor(), &self.host);
        let subject = change.common.task.executable;
        let access = entry::access_of_change(change.kind);
        let blocked = Blocked::File { file: change.file, path: change.path.clone(), access, subject };
        let labels = &self.world.labels;
        self.relabel |= [&change.path, &change.target_path].into_iter().any(|path| labels.concerns(path));
        self.decide(&change.common, change.common.verdict, input, &blocked, None);
    }

    fn trace(&mut self, trace: &Trace) {
        let parts = self.actor_parts(&trace.common.task);
        let input = input::trace(trace, &parts.actor(), &self.host);
        let subject = trace.common.task.executable;
        self.decide(&trace.common, trace.common.verdict, input, &Blocked::Nothing { subject }, None);
    }

    fn network(&mut self, event: &Network) {
        let parts = if taskless(&event.common) { ActorParts::default() } else { self.actor_parts(&event.common.task) };
        let subject = event.common.task.executable;
        if event.kind == kind::SOCKET {
            let input = input::socket(event, &parts.actor(), &self.host);
            return self.decide(&event.common, event.common.verdict, input, &Blocked::Nothing { subject }, None);
        }
        let geo = self.geo_fact(event);
        let input = self.network_input(event, geo.as_ref(), &parts);
        let blocked = Blocked::Destination { address: event.destination, port: event.port, subject };
        self.decide(&event.common, event.common.verdict, input, &blocked, geo);
    }

    /// Alerts about a connection that was there before the rule. No event rule sees it: nothing was done now.
    pub fn connection(&mut self, event: &Network, hook: &'static str) {
        let parts = if taskless(&event.common) { ActorParts::default() } else { self.actor_parts(&event.common.task) };
        let geo = self.geo_fact(event);
        let input = self.network_input(event, geo.as_ref(), &parts);
        let mut finding =
            Finding::new(&event.common, event.common.verdict, input, self.enforcing).decided_in_user(hook);
        finding.kernel_rule = self.numbers.rule(event.common.verdict.rule);
        finding.geo = geo;
        if finding.matters() {
            self.alerting.send(&self.world, finding);
        }
    }

    /// Alerts that the kernel's country table does not say what the policy says; one alert for all that came together.
    pub fn wrong_jurisdictions(&mut self, failures: &[Failure]) {
        let Some(first) = failures.first() else { return };
        let more = match failures.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        let geo = first.address.map(|address| fact(&self.world.geo.lookup(address)));
        let failed = CanaryAlert {
            id: JURISDICTION,
            message: format!("Jurisdiction canary: {}{more}", first.text()),
            value: input::own(first.address, first.country.as_deref(), &self.host),
            geo,
            found_by: "probe",
            enforcing: self.enforcing,
        };
        self.alerting.canary(&self.world, failed);
    }

    fn network_input(&mut self, event: &Network, geo: Option<&GeoFact>, parts: &ActorParts) -> Input {
        let domain = self.names.of(event.destination, event.common.time);
        let country = geo.and_then(|fact| fact.country.as_deref());
        let region = geo.and_then(|fact| fact.region.as_deref());
        let known = input::Known { country, region, domain: domain.as_deref() };
        input::network(event, &known, &parts.actor(), &self.host)
    }

    /// What the country data says of a public destination.
    fn geo_fact(&self, event: &Network) -> Option<GeoFact> {
        if class(event.destination) != Class::Public {
            return None;
        }
        let ip: IpAddr = input::ip(event.destination);
        let found = self.world.geo.lookup(ip);
        Some(fact(&found))
    }

    /// Says something about Sentinel itself, as an alert and in the log.
    pub fn notice(&mut self, notice: &Notice) {
        match notice.severity {
            Severity::High | Severity::Critical => tracing::error!("{}: {}", notice.id, notice.message),
            Severity::Info | Severity::Low | Severity::Medium => tracing::warn!("{}: {}", notice.id, notice.message),
        }
        self.alerting.notice(&self.world, notice, input::notice(&self.host), self.enforcing);
    }

    fn actor_parts(&mut self, task: &Task) -> ActorParts {
        let process = self.processes.of(task).clone();
        let parent = self.processes.parent(task).cloned();
        let context = self.processes.containers.of(task.cgroup);
        ActorParts { process, parent, context }
    }

    /// Rules, block entries, alert.
    fn decide(&mut self, common: &Common, verdict: Verdict, input: Input, blocked: &Blocked, geo: Option<GeoFact>) {
        let cut = common.has(flag::PATH_UNKNOWN) && tells(self.world.unknowns.path);
        self.decide_noting(common, verdict, input, blocked, geo, cut.then_some(Note::PathUnknown));
    }

    fn decide_noting(
        &mut self,
        common: &Common,
        verdict: Verdict,
        input: Input,
        blocked: &Blocked,
        geo: Option<GeoFact>,
        noted: Option<Note>,
    ) {
        if self.recorder.is_some() || self.learner.is_some() {
            let group = self.groups.as_mut().and_then(|groups| groups.path(common.task.cgroup));
            if let Some(learner) = &mut self.learner {
                learner.event(input.kind, &input.value, group);
            }
            if let Some(recorder) = &mut self.recorder {
                let rule = self.numbers.rule(verdict.rule);
                recorder.event(&input.value, common, verdict, (blocked, group), rule.as_deref());
            }
        }
        let outcome = self.evaluator.evaluate(input.kind, &input.value);
        self.report_errors(&outcome);
        let mut finding = Finding::new(common, verdict, input, self.enforcing);
        if verdict.rule != 0 {
            finding.kernel_rule = self.numbers.rule(verdict.rule);
        }
        self.apply(&outcome, common, blocked, &mut finding);
        self.unknown_country(geo.as_ref(), &mut finding);
        finding.note = finding.note.or(noted).or(note(common));
        finding.geo = geo;
        if finding.matters() {
            self.alerting.send(&self.world, finding);
        }
    }

    /// What the decisions of event rules lead to, and what the alert says about them.
    fn apply(&mut self, outcome: &Outcome, common: &Common, blocked: &Blocked, finding: &mut Finding) {
        for decision in &outcome.decisions {
            let number = self.world.event_rules.get(decision.rule as usize).copied().unwrap_or(0);
            let Some(rule) = self.numbers.rule(number) else { continue };
            let enforce = self.enforcing && rule.mode == crate::config::Mode::Enforce;
            let denies = decision.verb == rules::Verb::Deny;
            finding.would_block |= denies && !enforce;
            // An exemption wins over entries: there is none to write, and nobody to kill.
            if denies && enforce && !finding.is_exempt() {
                // A refused event needs no entry: there is one.
                if finding.verdict.refused == 0 {
                    self.write_entry(decision, number, common, blocked, finding);
                }
                entry::kill_if_asked(decision, &common.task);
            }
            finding.decisions.push((decision.clone(), rule));
        }
    }

    /// The block entry of a `deny` decision.
    fn write_entry(
        &mut self,
        decision: &Decision,
        rule: u32,
        common: &Common,
        blocked: &Blocked,
        finding: &mut Finding,
    ) {
        let number = self.numbers.give_member(rule, &decision.id, decision.severity);
        let generation = self.world.generation;
        let entry = entry::Wanted { decision, number, blocked, task: &common.task, generation };
        match entry.write(&mut self.verdicts) {
            Ok((place, held)) => {
                self.counts.entries_written += 1;
                if let Some(Err(error)) = self.journal.as_mut().map(|all| all.add(&place, &held, &self.numbers)) {
                    tracing::error!("a block entry will not outlive the daemon: {error:#}");
                }
                finding.entry_written.get_or_insert((decision.scope.to_string(), held.entry.expires));
            }
            Err(error) => {
                self.counts.entry_errors += 1;
                tracing::warn!("rule {}: no block entry: {error}", decision.id);
            }
        }
    }

    /// Destinations without a known country are worth an alert while countries are what is enforced.
    fn unknown_country(&self, geo: Option<&GeoFact>, finding: &mut Finding) {
        let relevant = matches!(finding.input.kind, Kind::Connect | Kind::Send) && finding.kernel_rule.is_none();
        if self.world.unknown_alerts && relevant && geo.is_some_and(|fact| fact.unknown) {
            finding.note = Some(Note::UnknownCountry);
        }
    }

    /// Counts rules that failed on an event, and tells those that are to be told, each once in a while.
    fn report_errors(&mut self, outcome: &Outcome) {
        for error in &outcome.errors {
            self.counts.rule_errors += 1;
            let Some(rule) = self.world.policies.rules().get(error.rule as usize) else { continue };
            if rule.on_error == OnError::Allow {
                continue;
            }
            let told = self.told_errors.entry(error.rule).or_default();
            told.failures += 1;
            if told.last.is_none_or(|last| last.elapsed() >= TELL_AGAIN) {
                let notice = Notice::rule_failed(rule, &error.cause, std::mem::take(&mut told.failures));
                told.last = Some(Instant::now());
                self.notice(&notice);
            }
        }
    }
}

/// The script of an interpreted exec: as the kernel opened it, or else the name as given.
fn script(exec: &Exec, before: &[Exec]) -> (String, FileId) {
    if let Some(first) = before.iter().find(|b| b.file != exec.file && !b.path.is_empty()) {
        return (input::path_text(&first.path, first.links.max(1)), first.file);
    }
    let name = String::from_utf8_lossy(&exec.filename);
    if name.starts_with('/') || exec.directory.is_empty() {
        return (name.into_owned(), FileId::default());
    }
    let directory = String::from_utf8_lossy(&exec.directory);
    (format!("{}/{}", directory.trim_end_matches('/'), name.trim_start_matches("./")), FileId::default())
}

/// The wire number of an event's kind.
const fn kind_of(event: &Event) -> u16 {
    match event {
        Event::Fork { .. } => kind::FORK,
        Event::Exit(_) => kind::EXIT,
        Event::BeforeExec(_) => kind::BEFORE_EXEC,
        Event::Exec(_) => kind::EXEC,
        Event::Open(_) => kind::OPEN,
        Event::Change(change) => change.kind,
        Event::Trace(_) => kind::PTRACE,
        Event::Network(network) => network.kind,
        Event::Answer(_) => kind::ANSWER,
        Event::Group { .. } => kind::GROUP,
    }
}

/// Owned facts about who acted.
#[derive(Default)]
struct ActorParts {
    process: Process,
    parent: Option<Process>,
    context: Option<Arc<Context>>,
}

impl ActorParts {
    fn actor(&self) -> Actor<'_> {
        Actor { process: &self.process, parent: self.parent.as_ref(), context: self.context.as_deref() }
    }
}

/// What databases say of an address, for alerts.
fn fact(found: &Opinion) -> GeoFact {
    let votes = found.votes.iter().map(|vote| GeoVote {
        database: vote.database_type.clone(),
        country: vote.lookup.country.map(|country| country.to_string()),
    });
    GeoFact {
        country: found.countries.first().map(ToString::to_string),
        region: found.regions.first().map(ToString::to_string),
        prefix: found.prefix.to_string(),
        unknown: matches!(found.coverage, Coverage::Unknown | Coverage::NoIpv4 | Coverage::NoIpv6),
        // One database has answered above.
        votes: if found.votes.len() > 1 { votes.collect() } else { Vec::new() },
    }
}

/// What the kernel says of an event beside its verdict.
fn note(common: &Common) -> Option<Note> {
    if common.has(flag::DISAGREES) {
        return Some(Note::Disagreement);
    }
    common.has(flag::REWRITTEN).then_some(Note::Rewritten)
}
