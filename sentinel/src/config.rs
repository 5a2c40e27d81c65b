//! Settings: the TOML file, then the command line over it.
//!
//! Invariant: an unknown key or a value that cannot be right is an error with its place; nothing is guessed.

use std::{
    collections::BTreeMap,
    fmt,
    marker::PhantomData,
    num::{NonZeroU32, NonZeroU64},
    path::{Path, PathBuf},
    time::Duration,
};

use alerts::{Redactor, Sink};
use anyhow::{Context as _, Result, bail};
use geoip::{Accept, VoteRule};
use ipnet::IpNet;
use rules::Verification;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, MapAccess, Visitor, value::MapAccessDeserializer},
};

use crate::{
    audit,
    bundle::{self, BundleFlags, BundleSection},
    bypass::usual_exceptions,
    geo::{self, updater::Updater},
    kernel::attach::Scope,
    record,
};

/// Where the file is looked for when none is named; it may be absent.
pub const DEFAULT_FILE: &str = "/etc/sentinel/sentinel.toml";
/// Where state is kept unless something else is said.
pub const STATE_DIR: &str = "/var/lib/sentinel";
/// Where the control socket is.
pub const RUN_DIR: &str = "/run/sentinel";

/// How often jurisdictions are asked about, when nothing else is said.
const CANARY_SECONDS: NonZeroU32 = NonZeroU32::new(60).unwrap();

/// Largest file that is hashed, when nothing else is said.
const HASH_BYTES: NonZeroU64 = NonZeroU64::new(64 << 20).unwrap();

/// What a block decision does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Report only; refusal is compiled out of the kernel programs.
    Monitor,
    /// Refuse.
    Enforce,
}

/// Enforcement that must be reached, else the start fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Require {
    /// Every hook proved, no reservation.
    Full,
    /// Something is enforced.
    Partial,
}

/// What happens to destinations whose country is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unknown {
    /// Nothing.
    Allow,
    /// A connect raises an alert while a country rule is in force.
    #[default]
    Alert,
    /// They are blocked while a country rule is in force.
    Deny,
}

/// Alert format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Elastic Common Schema, one JSON object a line.
    #[default]
    Ecs,
    /// Open Cybersecurity Schema Framework 1.8.
    Ocsf,
    /// The JSON that Falco writes.
    Falco,
    /// Common Event Format.
    Cef,
}

impl From<Format> for alerts::Format {
    fn from(format: Format) -> Self {
        match format {
            Format::Ecs => Self::Ecs,
            Format::Ocsf => Self::Ocsf,
            Format::Falco => Self::Falco,
            Format::Cef => Self::Cef,
        }
    }
}

/// Settings of `sentinel run` on the command line; each has a key in the file.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct Flags {
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Policy file, directory or OPA bundle, instead of the shipped policies. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub policy: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`, or directory of them. May be repeated.
    #[arg(long, value_name = "PATH")]
    pub data: Vec<PathBuf>,
    /// Country database (MMDB, or CSV of start,end,country) instead of the embedded one. May be repeated; the first is the
    /// primary one.
    #[arg(long, value_name = "FILE")]
    pub geoip: Vec<PathBuf>,
    /// monitor (default) or enforce.
    #[arg(long)]
    pub mode: Option<Mode>,
    /// Where alerts go: stdout, file:PATH or unix:PATH. May be repeated.
    #[arg(long, value_name = "SINK")]
    pub alerts: Vec<String>,
    /// Format of alerts.
    #[arg(long)]
    pub format: Option<Format>,
    /// Directory for state that outlives a restart.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Directory for the control socket.
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
    /// Watch and enforce on this cgroup (v2 directory) and what is below it only.
    #[arg(long, value_name = "DIR", conflicts_with = "whole_host")]
    pub scope_cgroup: Option<PathBuf>,
    /// Enforce on the whole host.
    #[arg(long)]
    pub whole_host: bool,
    /// Fail the start unless this much enforcement is reached.
    #[arg(long)]
    pub require: Option<Require>,
    /// Take rules that would harm this host all the same; it is told by an alert.
    #[arg(long)]
    pub force: bool,
    /// Return to monitor mode unless `sentinel confirm` is called within so many seconds.
    #[arg(long, value_name = "SECONDS")]
    pub confirm: Option<NonZeroU32>,
    /// Verification of policy bundles.
    #[command(flatten)]
    pub bundle: BundleFlags,
    /// Write every event to this file, for `sentinel replay`.
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// Write a policy to this file that allows what was seen, for review.
    #[arg(long, value_name = "FILE")]
    pub learn: Option<PathBuf>,
    /// Leave enforcement in the kernel when the daemon is stopped, until `sentinel stop --disable`.
    #[arg(long)]
    pub persist: bool,
    /// When the daemon has been gone for so long, do what `unattended` in the settings says: monitor (default) or deny.
    #[arg(long, value_name = "SECONDS")]
    pub max_unattended: Option<NonZeroU32>,
}

/// What becomes of what is pinned when the daemon has been gone for longer than `max-unattended`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Unattended {
    /// Nothing: it stays in force.
    Keep,
    /// Nothing is refused any more.
    Monitor,
    /// Every public address that is not exempted is refused as well.
    Deny,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    #[serde(default)]
    policy: Vec<PathBuf>,
    #[serde(default)]
    data: Vec<PathBuf>,
    #[serde(default)]
    geoip: OneOrMany,
    mode: Option<Mode>,
    #[serde(default)]
    alerts: Vec<String>,
    format: Option<Format>,
    #[serde(alias = "state_dir")]
    state_dir: Option<PathBuf>,
    #[serde(alias = "run_dir")]
    run_dir: Option<PathBuf>,
    scope: Option<String>,
    require: Option<Require>,
    #[serde(default)]
    force: bool,
    confirm: Option<NonZeroU32>,
    #[serde(default, alias = "never_block")]
    never_block: Vec<Spared>,
    record: Option<PathBuf>,
    #[serde(alias = "record_bytes")]
    record_bytes: Option<NonZeroU64>,
    #[serde(default)]
    persist: bool,
    #[serde(alias = "max_unattended")]
    max_unattended: Option<NonZeroU32>,
    unattended: Option<Unattended>,
    #[serde(default, deserialize_with = "section")]
    redact: RedactSection,
    #[serde(default, deserialize_with = "section")]
    geo: GeoSection,
    #[serde(default, deserialize_with = "section")]
    egress: EgressSection,
    #[serde(default, deserialize_with = "section")]
    events: EventsSection,
    #[serde(default, deserialize_with = "section")]
    policies: PoliciesSection,
    #[serde(default, deserialize_with = "section")]
    bundle: BundleSection,
    #[serde(default, deserialize_with = "section")]
    audit: audit::Settings,
    learn: Option<PathBuf>,
    #[serde(default, deserialize_with = "section")]
    hash: HashSection,
}

/// `[hash]`: hashes of executables.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct HashSection {
    enabled: bool,
    max_bytes: NonZeroU64,
}

impl Default for HashSection {
    fn default() -> Self {
        Self { enabled: true, max_bytes: HASH_BYTES }
    }
}

/// A member of `never-block`: a network that no rule refuses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spared {
    /// The network.
    #[serde(deserialize_with = "network")]
    pub cidr: IpNet,
    /// Why.
    pub reason: String,
}

/// `[redact]`: what is taken out of alerts.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RedactSection {
    patterns: Vec<String>,
    usual: bool,
    arguments: bool,
}

impl Default for RedactSection {
    fn default() -> Self {
        Self { patterns: Vec::new(), usual: true, arguments: true }
    }
}

/// `[policies]`: how they come into force.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PoliciesSection {
    watch: bool,
    tests: Tests,
    mode: BTreeMap<String, Mode>,
}

impl Default for PoliciesSection {
    fn default() -> Self {
        Self { watch: true, tests: Tests::default(), mode: BTreeMap::new() }
    }
}

/// What a failing test of the policies means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tests {
    /// A new set is not taken.
    #[default]
    Require,
    /// Nothing: tests are not run.
    Skip,
}

/// Reads a section: serde would take a list for one as well.
fn section<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    struct Section<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for Section<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a section with keys")
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_map(Section(PhantomData))
}

/// `geoip`: a list, or one file without brackets.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a file name, or a list of file names")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

impl Default for OneOrMany {
    fn default() -> Self {
        Self::Many(Vec::new())
    }
}

impl From<OneOrMany> for Vec<PathBuf> {
    fn from(files: OneOrMany) -> Self {
        match files {
            OneOrMany::One(file) => vec![file],
            OneOrMany::Many(files) => files,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct GeoSection {
    unknown: Unknown,
    #[serde(alias = "canary_seconds")]
    canary_seconds: Option<NonZeroU32>,
    #[serde(deserialize_with = "vote")]
    vote: VoteRule,
    accept: Vec<Accepted>,
    updater: Vec<String>,
    updater_interval_hours: Option<u64>,
}

/// What a new country database may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Accepted {
    Shrunken,
    Older,
    Future,
}

fn network<'de, D: Deserializer<'de>>(deserializer: D) -> Result<IpNet, D::Error> {
    let text = String::deserialize(deserializer)?;
    let address = || text.parse::<std::net::IpAddr>().map(IpNet::from);
    text.parse().or_else(|_| address()).map_err(|_| D::Error::custom(format!("{text} is no network, as 192.0.2.0/24")))
}

fn vote<'de, D: Deserializer<'de>>(deserializer: D) -> Result<VoteRule, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
}

/// Hours from one run of the updater to the next.
const UPDATER_HOURS: u64 = 24;
/// Longest such time: a year.
const MOST_HOURS: u64 = 366 * 24;

impl GeoSection {
    fn accept(&self) -> Accept {
        let has = |what| self.accept.contains(&what);
        Accept { shrunken: has(Accepted::Shrunken), older: has(Accepted::Older), future: has(Accepted::Future) }
    }

    /// The updater, for these files.
    fn updater(&self, files: &[PathBuf]) -> Result<Option<Updater>> {
        let hours = self.updater_interval_hours.unwrap_or(UPDATER_HOURS);
        if hours == 0 || hours > MOST_HOURS {
            bail!("[geo] updater-interval-hours is {hours}; give 1 to {MOST_HOURS}");
        }
        if self.updater.is_empty() {
            return Ok(None);
        }
        if files.is_empty() {
            bail!("[geo] updater renews the files of geoip, and there is none; name the file that it writes");
        }
        Ok(Some(Updater { command: self.updater.clone(), every: Duration::from_secs(hours * 3600) }))
    }
}

/// Seconds after which the same event of a process is reported again.
pub const REPEAT_SECONDS: u64 = 60;
/// Longest such time: a day.
const MOST_REPEAT_SECONDS: u64 = 24 * 3600;

/// `[events]`: which are reported.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EventsSection {
    repeat_seconds: u64,
}

impl Default for EventsSection {
    fn default() -> Self {
        Self { repeat_seconds: REPEAT_SECONDS }
    }
}

impl EventsSection {
    fn repeat_seconds(&self) -> Result<u64> {
        if self.repeat_seconds > MOST_REPEAT_SECONDS {
            bail!("[events] repeat_seconds is {}; give 0 to {MOST_REPEAT_SECONDS}", self.repeat_seconds);
        }
        Ok(self.repeat_seconds)
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct EgressSection {
    dns_names: bool,
    forward: Option<bool>,
    bypass: Bypass,
    bypass_except: Option<Vec<PathBuf>>,
}

impl Default for EgressSection {
    fn default() -> Self {
        Self { dns_names: true, forward: None, bypass: Bypass::default(), bypass_except: None }
    }
}

/// What becomes of sockets and devices that send past every rule on destinations, while there is one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bypass {
    /// They are refused.
    #[default]
    Refuse,
    /// They are left alone.
    Allow,
}

/// Settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Policy files, directories and bundles; empty: the shipped set.
    pub policy: Vec<PathBuf>,
    /// Data files.
    pub data: Vec<PathBuf>,
    /// Country databases.
    pub geo: geo::Wanted,
    /// What fetches newer ones.
    pub updater: Option<Updater>,
    /// Global mode.
    pub mode: Mode,
    /// Sinks.
    pub alerts: Vec<Sink>,
    /// Their format.
    pub format: alerts::Format,
    /// What is taken out of alerts.
    pub redactor: Redactor,
    /// State directory.
    pub state_dir: PathBuf,
    /// Run directory.
    pub run_dir: PathBuf,
    /// Scope.
    pub scope: Scope,
    /// Needed enforcement.
    pub require: Option<Require>,
    /// The settings file, whether it is there or not.
    pub file: PathBuf,
    /// Whether rules that would harm the host are taken all the same.
    pub force: bool,
    /// Seconds in which enforcing has to be confirmed.
    pub confirm: Option<NonZeroU32>,
    /// Networks that no rule refuses.
    pub never_block: Vec<Spared>,
    /// Where events are recorded.
    pub record: Option<PathBuf>,
    /// Largest recording.
    pub record_bytes: u64,
    /// Whether enforcement stays in force when the daemon is ended by a signal or by `sentinel stop`.
    pub persist: bool,
    /// How long the daemon may be gone, in seconds, and what happens then.
    pub unattended: Option<(u32, Unattended)>,
    /// Unknown countries.
    pub unknown: Unknown,
    /// Whether destinations are named from DNS answers.
    pub dns_names: bool,
    /// After so many seconds the same event of a process is reported again; 0: each one is.
    pub repeat_seconds: u64,
    /// How often the kernel's country table is asked about every country.
    pub canary_period: Duration,
    /// Whether packets are looked at on network devices as well.
    pub forward: bool,
    /// What becomes of sockets and devices that send past every rule on destinations.
    pub bypass: Bypass,
    /// Programs that may use them all the same.
    pub bypass_except: Vec<PathBuf>,
    /// Whether changed policy files are loaded without being asked.
    pub watch: bool,
    /// What a failing test of the policies means.
    pub tests: Tests,
    /// Modes by package or rule id, in the place of those that the policies say.
    pub modes: BTreeMap<String, Mode>,
    /// How policy bundles are verified.
    pub verification: Verification,
    /// The audit trail.
    pub audit: audit::Settings,
    /// Where a policy is written that is learned.
    pub learn: Option<PathBuf>,
    /// Whether executables are hashed.
    pub hashing: bool,
    /// Larger files are not hashed.
    pub hash_max_bytes: u64,
}

impl Config {
    /// Reads the file and lays the flags over it.
    ///
    /// # Errors
    ///
    /// A file that cannot be read or is wrong, by name and line; enforce mode without a scope.
    pub fn load(flags: &Flags) -> Result<Self> {
        let file = read(flags.config.as_deref())?;
        let mode = flags.mode.or(file.mode).unwrap_or(Mode::Monitor);
        let sinks = if flags.alerts.is_empty() { &file.alerts } else { &flags.alerts };
        let alerts: Vec<Sink> =
            sinks.iter().map(|text| text.parse().map_err(anyhow::Error::from)).collect::<Result<_>>()?;
        let files = over(&flags.geoip, file.geoip.into());
        Ok(Self {
            policy: over(&flags.policy, file.policy),
            data: over(&flags.data, file.data),
            updater: file.geo.updater(&files)?,
            geo: geo::Wanted { files, vote: file.geo.vote, accept: file.geo.accept() },
            mode,
            alerts: if alerts.is_empty() { vec![Sink::Stdout] } else { alerts },
            format: flags.format.or(file.format).unwrap_or_default().into(),
            redactor: Redactor::new(&file.redact.patterns, file.redact.usual, file.redact.arguments)?,
            state_dir: flags.state_dir.clone().or(file.state_dir).unwrap_or_else(|| STATE_DIR.into()),
            run_dir: flags.run_dir.clone().or(file.run_dir).unwrap_or_else(|| RUN_DIR.into()),
            scope: scope(flags, file.scope.as_deref(), mode)?,
            require: flags.require.or(file.require),
            file: flags.config.clone().unwrap_or_else(|| DEFAULT_FILE.into()),
            force: flags.force || file.force,
            confirm: flags.confirm.or(file.confirm),
            never_block: spared(file.never_block)?,
            record: flags.record.clone().or(file.record),
            record_bytes: file.record_bytes.map_or(record::DEFAULT_BYTES, NonZeroU64::get),
            persist: flags.persist || file.persist,
            unattended: unattended(flags.max_unattended.or(file.max_unattended), file.unattended)?,
            unknown: file.geo.unknown,
            dns_names: file.egress.dns_names,
            repeat_seconds: file.events.repeat_seconds()?,
            canary_period: Duration::from_secs(file.geo.canary_seconds.unwrap_or(CANARY_SECONDS).get().into()),
            forward: file.egress.forward.unwrap_or(mode == Mode::Enforce),
            bypass: file.egress.bypass,
            bypass_except: file.egress.bypass_except.unwrap_or_else(usual_exceptions),
            watch: file.policies.watch,
            tests: file.policies.tests,
            modes: file.policies.mode,
            verification: bundle::verification(&flags.bundle, &file.bundle)?,
            audit: file.audit.checked()?,
            learn: flags.learn.clone().or(file.learn),
            hashing: file.hash.enabled,
            hash_max_bytes: file.hash.max_bytes.get(),
        })
    }
}

/// Without a time there is nothing to do when it is over; with one and nothing else, what cannot cut a host off.
fn unattended(after: Option<NonZeroU32>, what: Option<Unattended>) -> Result<Option<(u32, Unattended)>> {
    match (after, what) {
        (None, Some(Unattended::Monitor | Unattended::Deny)) => {
            bail!(
                "unattended says what happens when the daemon is gone for too long; say with max-unattended how long that is"
            )
        }
        (None, Some(Unattended::Keep) | None) => Ok(None),
        (Some(after), what) => Ok(Some((after.get(), what.unwrap_or(Unattended::Monitor)))),
    }
}

/// Networks with a reason each: what is exempt from every rule has to be accounted for.
fn spared(list: Vec<Spared>) -> Result<Vec<Spared>> {
    match list.iter().find(|spared| spared.reason.trim().is_empty()) {
        Some(spared) => bail!("never-block {} has no reason; say why no rule may refuse it", spared.cidr),
        None => Ok(list),
    }
}

/// Flags replace what the file says; they do not add to it.
fn over(flags: &[PathBuf], file: Vec<PathBuf>) -> Vec<PathBuf> {
    if flags.is_empty() { file } else { flags.to_vec() }
}

fn read(named: Option<&Path>) -> Result<Document> {
    let path = named.unwrap_or(Path::new(DEFAULT_FILE));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if named.is_none() && error.kind() == std::io::ErrorKind::NotFound => return Ok(Document::default()),
        Err(error) => return Err(error).with_context(|| format!("cannot read the settings file {}", path.display())),
    };
    toml::from_str(&text).map_err(|error| anyhow::anyhow!("{}: {error}", path.display()))
}

/// Monitoring is whole-host unless limited; enforcing must say what it is limited to.
fn scope(flags: &Flags, file: Option<&str>, mode: Mode) -> Result<Scope> {
    if let Some(directory) = &flags.scope_cgroup {
        return Ok(Scope::Cgroup(directory.clone()));
    }
    match file {
        _ if flags.whole_host => Ok(Scope::Host),
        Some("host") => Ok(Scope::Host),
        Some(directory) => Ok(Scope::Cgroup(directory.into())),
        None if mode == Mode::Monitor => Ok(Scope::Host),
        None => bail!(UsageError(
            "--mode enforce needs its scope: --scope-cgroup DIR to enforce on one cgroup, or --whole-host (in the \
             settings file: scope = \"DIR\" or \"host\")"
        )),
    }
}

/// A wrong call, as opposed to a failure: exit code 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub &'static str);

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (PathBuf, Flags) {
        let name = format!("sentinel-config-{}-{:?}.toml", std::process::id(), std::thread::current().id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).unwrap();
        (path.clone(), Flags { config: Some(path), ..Flags::default() })
    }

    fn load(text: &str) -> Result<Config> {
        let (path, flags) = written(text);
        let result = Config::load(&flags);
        std::fs::remove_file(path).unwrap();
        result
    }

    #[test]
    fn every_key_and_the_default() {
        let config = load(
            "policy = [\"/p\"]\ndata = [\"/d\"]\ngeoip = \"/g\"\nmode = \"enforce\"\nalerts = [\"file:/a\"]\nformat = \
             \"ecs\"\nstate-dir = \"/s\"\nrun-dir = \"/r\"\nscope = \"host\"\nrequire = \"partial\"\nrecord = \"/e\"\nrecord_bytes = 4096\n[geo]\nunknown = \"deny\"\n\
             canary_seconds = 5\n[egress]\ndns_names = false\n",
        )
        .unwrap();
        assert_eq!((config.mode, config.scope, config.unknown), (Mode::Enforce, Scope::Host, Unknown::Deny));
        assert!(!config.dns_names);
        assert_eq!((config.record, config.record_bytes), (Some("/e".into()), 4096));
        assert!(load("record_bytes = 0\n").is_err());
        assert_eq!(config.canary_period, Duration::from_secs(5));
        assert!(load("[geo]\ncanary_seconds = 0\n").is_err());
        assert_eq!(load("[geo]\n").unwrap().canary_period, Duration::from_secs(60));
        let config = load("[egress]\n").unwrap();
        assert!(config.dns_names);
        let config = load("").unwrap();
        assert!(config.dns_names && config.watch && config.modes.is_empty() && config.tests == Tests::Require);
        assert_eq!((config.record, config.record_bytes), (None, 1 << 30));
        let config =
            load("[policies]\nwatch = false\ntests = \"skip\"\nmode = { \"sentinel.lab\" = \"monitor\" }\n").unwrap();
        assert!(!config.watch && config.tests == Tests::Skip);
        assert_eq!(config.modes, [("sentinel.lab".to_owned(), Mode::Monitor)].into());
        let config = load("").unwrap();
        assert_eq!((config.mode, config.alerts, config.unknown), (Mode::Monitor, vec![Sink::Stdout], Unknown::Alert));
    }

    #[test]
    fn country_databases_and_their_updater() {
        let config = load(
            "geoip = [\"/a\", \"/b\"]\n[geo]\nvote = \"majority\"\naccept = [\"shrunken\"]\nupdater = [\"/u\", \"x\"]\n",
        );
        let config = config.unwrap();
        assert_eq!(config.geo.files, [PathBuf::from("/a"), PathBuf::from("/b")]);
        let accept = Accept { shrunken: true, ..Accept::default() };
        assert_eq!((config.geo.vote, config.geo.accept), (VoteRule::Majority, accept));
        assert_eq!(config.updater.unwrap().every, Duration::from_secs(86_400));
        assert_eq!(load("geoip = \"/a\"\n").unwrap().geo.files, [PathBuf::from("/a")]);
        for (text, why) in [
            ("[geo]\nvote = \"most\"\n", "primary, any or majority"),
            ("[geo]\naccept = [\"anything\"]\n", "shrunken"),
            ("[geo]\nupdater = [\"/u\"]\n", "there is none"),
            ("geoip = [\"/a\"]\n[geo]\nupdater-interval-hours = 0\n", "give 1 to"),
            ("geoip = 3\n", "file name"),
            ("policies = []\n", "a section with keys"),
            ("egress = []\n", "a section with keys"),
        ] {
            let error = format!("{:#}", load(text).unwrap_err());
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn what_happens_without_a_daemon() {
        let config = load("persist = true\nmax-unattended = 60\nunattended = \"deny\"\n").unwrap();
        assert_eq!((config.persist, config.unattended), (true, Some((60, Unattended::Deny))));
        assert_eq!(load("max-unattended = 9\n").unwrap().unattended, Some((9, Unattended::Monitor)));
        let config = load("").unwrap();
        assert_eq!((config.persist, config.unattended), (false, None));
        assert!(format!("{:#}", load("unattended = \"deny\"\n").unwrap_err()).contains("max-unattended"));
        assert!(load("max-unattended = 0\n").is_err());
    }

    #[test]
    fn an_unknown_key_is_named_with_its_line() {
        let error = format!("{:#}", load("mode = \"monitor\"\npolices = []\n").unwrap_err());
        assert!(error.contains("line 2") && error.contains("unknown field `polices`"), "{error}");
    }

    #[test]
    fn enforcing_without_a_scope_is_a_usage_error() {
        let error = load("mode = \"enforce\"\n").unwrap_err();
        assert!(error.downcast_ref::<UsageError>().is_some(), "{error}");
    }

    #[test]
    fn a_missing_named_file_is_an_error() {
        let flags = Flags { config: Some("/nonexistent/sentinel.toml".into()), ..Flags::default() };
        assert!(format!("{:#}", Config::load(&flags).unwrap_err()).contains("/nonexistent/sentinel.toml"));
    }
}
