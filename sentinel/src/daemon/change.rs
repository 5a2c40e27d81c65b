//! Whatever changes what is in force while the daemon runs: policies, country data, dates, orders of an operator.
//!
//! Invariant: one way in, [`Daemon::put_in_force`], which changes nothing if it fails; whoever calls it says what came of it.

use std::{path::PathBuf, sync::Arc};

use anyhow::{Context as _, Result, bail};
use geoip::Amount;
use serde_json::{Value, json};

use super::{Daemon, LABELS};
use crate::{
    canary,
    config::{Config, Mode},
    control::{Peer, Request},
    embargo,
    geo::{News, watch::Renewed},
    kernel::hooks::{Demand, Hook},
    notices::Notice,
    operator::{Block, Blocks, Order},
    policy::{self, Loaded, mode_word},
    problem, reach,
    reload::{Attempt, Candidate, Cause},
    standing,
    world::World,
};

/// The hooks that this needs, of those that not every policy needs. A recording and what is learned are of everything.
pub(super) fn demand(world: &World, config: &Config) -> Demand {
    if config.record.is_some() || config.learn.is_some() {
        return Demand::ALL;
    }
    reach::demand(world.policies.rules(), &world.standing)
}

impl Daemon {
    /// Puts country data in force that has changed, if it can be; else the old one stays.
    pub(super) fn renew(&mut self, renewed: Renewed) {
        let (config, mut news, data) = (self.config.clone(), renewed.news, renewed.data);
        if data.is_same(&self.geo) {
            self.geo = data;
        } else {
            let loaded = Loaded { geo: data.clone(), table: renewed.table, ..self.unchanged() };
            if let Err(error) = self.put_in_force(loaded, config) {
                let why = problem::text(&error);
                self.geo = self.geo.refusing(&data, &why);
                news.iter_mut().for_each(|(_, news)| *news = News::Refused(why.clone()));
            }
        }
        self.tell(&news);
        self.remind();
    }

    /// Says what came of files that have changed.
    fn tell(&mut self, news: &[(PathBuf, News)]) {
        for (path, news) in news {
            match news {
                News::Replaced(comparison) => {
                    let Amount { gained, lost, .. } = comparison.total_v4;
                    tracing::info!(
                        "country database {} is in force: {} of {}; IPv4 addresses {gained} new, {lost} gone, {} moved",
                        path.display(),
                        comparison.new.database_type,
                        jiff::Timestamp::from_second(comparison.new.build as i64).unwrap_or_default(),
                        comparison.moved_v4
                    );
                }
                News::Refused(why) => self.pipeline.notice(&Notice::refused(why.clone())),
            }
        }
    }

    /// Says what is due about the age of data and the end of exemptions.
    pub(super) fn remind(&mut self) {
        let world = &self.pipeline.world;
        let standing = &world.standing;
        let relied_on = standing::has_geo(standing);
        let databases = world.geo.databases().iter().filter(|_| relied_on).map(|database| database.info());
        let due = self.told.due(jiff::Timestamp::now().as_second(), databases, standing);
        due.iter().for_each(|notice| self.pipeline.notice(notice));
    }

    /// What has to be looked at without any event: dates. Whether something else is in force then.
    pub(super) fn hourly(&mut self) -> bool {
        self.remind();
        let changed = embargo::defaults().is_ok_and(|programmes| programmes != self.programmes);
        if changed {
            tracing::info!("an embargo programme changes today: loading the policies again");
        }
        changed
    }

    /// Takes what was read again, if it can be taken; else everything stays as it was.
    pub(super) fn take(&mut self, attempt: Attempt) {
        if attempt.cause == Cause::Start {
            self.failing_tests = attempt.result.err().map(|error| problem::text(&error));
            if let Some(why) = &self.failing_tests {
                let notice = Notice::failing_tests(why.clone());
                self.pipeline.notice(&notice);
            }
            return;
        }
        let before = self.pipeline.world.policies.sha256().to_owned();
        match attempt.result.and_then(|candidate| self.try_take(candidate)) {
            Ok(()) => {
                (self.refused_reload, self.failing_tests) = (None, None);
                let world = &self.pipeline.world;
                tracing::info!("reloaded: generation {}", world.generation);
                let after = world.policies.sha256().to_owned();
                if after != before {
                    let notice = Notice::replaced(&before, &after, world.generation, attempt.cause);
                    self.pipeline.notice(&notice);
                }
            }
            Err(error) => {
                let why = problem::text(&error);
                let message = format!("reload refused, the old policies stay in force: {why}");
                self.pipeline.notice(&Notice::policy_refused(message));
                self.refused_reload = Some(why);
            }
        }
    }

    fn try_take(&mut self, candidate: Candidate) -> Result<()> {
        let Candidate { config, read, defaults } = candidate;
        let fixed = |c: &Config| {
            let switches = (c.mode, c.dns_names, c.forward, c.canary_period, c.watch);
            (
                switches,
                (c.persist, c.unattended),
                c.scope.clone(),
                c.run_dir.clone(),
                c.state_dir.clone(),
                c.alerts.clone(),
                c.record.clone(),
                c.audit.clone(),
                (c.learn.clone(), c.hashing, c.repeat_seconds),
            )
        };
        if fixed(&config) != fixed(&self.config) {
            bail!(
                "mode, scope, directories, sinks, record, learn, [audit], [hash] enabled, dns_names, forward, canary_seconds, \
                 repeat_seconds, persist, unattended and [policies] watch change only by a restart"
            );
        }
        for notice in read.policies.notices() {
            tracing::warn!("{}:{}: {}", notice.file, notice.line, notice.message);
        }
        let operator = self.pipeline.world.operator.clone();
        let mut loaded = Loaded::with_geo(read, &config, Some(&self.geo), operator)?;
        let news = std::mem::take(&mut loaded.news);
        self.put_in_force(loaded, config)?;
        self.programmes = defaults;
        self.tell(&news);
        self.remind();
        Ok(())
    }

    /// What is in force, to be put in force again with something else beside it.
    fn unchanged(&self) -> Loaded {
        let world = &self.pipeline.world;
        let (policies, programmes) = (world.policies.clone(), world.programmes.clone());
        let (geo, operator) = (self.geo.clone(), world.operator.clone());
        Loaded { policies, programmes, geo, news: Vec::new(), table: None, operator }
    }

    /// Compiles and swaps in what was loaded. An error leaves everything as it was.
    fn put_in_force(&mut self, loaded: Loaded, config: Config) -> Result<()> {
        let root = self.kernel.features.cgroup2.clone();
        let pipeline = &mut self.pipeline;
        let mut prepared = policy::prepare(&loaded, &config, &root, Some(&pipeline.world), &mut pipeline.numbers)?;
        policy::dry_run(&mut prepared, &config, &pipeline.numbers)?;
        let forced = pipeline.world.forced.clone();
        let built = u64::from(prepared.image.is_some());
        let needed = demand(&prepared.world, &config);
        self.engage(needed)?;
        let applied = policy::apply(&mut self.pipeline.verdicts, prepared);
        if applied.is_err() {
            self.disengage(demand(&self.pipeline.world, &self.config));
        }
        self.pipeline.set_world(applied?);
        let every = policy::every(&self.pipeline.world, &config);
        self.pipeline.verdicts.tell_again(every)?;
        self.disengage(needed);
        self.pipeline.numbers.forget();
        self.tell_forced(&forced);
        (self.config, self.geo) = (config, loaded.geo);
        self.tables += built;
        self.record_in_force("change");
        self.check_jurisdictions();
        self.look_at_connections();
        self.keep_status();
        Ok(())
    }

    /// Attaches and proves the hooks that are needed from now on. One that fails is a reason in the status, as at the start.
    fn engage(&mut self, needed: Demand) -> Result<()> {
        let new = self.kernel.engage(needed)?;
        if new.is_empty() {
            return Ok(());
        }
        let hooks: Vec<&'static Hook> = new.iter().map(|place| self.kernel.hooks[*place].hook).collect();
        let enforce = self.config.mode == Mode::Enforce;
        let (verdicts, run_dir) = (&mut self.pipeline.verdicts, &self.config.run_dir);
        let proofs = canary::prove_new(&self.kernel, verdicts, &self.stats, run_dir, enforce, &hooks)?;
        for (place, proof) in new.into_iter().zip(proofs) {
            self.proofs[place] = Some(proof);
        }
        Ok(())
    }

    /// Takes out hooks that nothing in force needs.
    fn disengage(&mut self, needed: Demand) {
        for place in self.kernel.disengage(needed) {
            self.proofs[place] = None;
        }
    }

    /// Puts the standing rules in force again if their paths stand for other files now.
    pub(super) fn relabel(&mut self) {
        let told = std::mem::take(&mut self.pipeline.relabel);
        if !(told || self.sweeps.is_multiple_of(LABELS)) || !self.pipeline.world.labels.are_stale() {
            return;
        }
        if let Err(error) = self.put_in_force(self.unchanged(), self.config.clone()) {
            tracing::error!("files that are new at protected paths are not labelled: {}", problem::text(&error));
        }
    }

    /// Answers the control socket.
    pub(super) fn answer(&mut self, request: Request, peer: &Peer) -> Value {
        let answer = match request {
            Request::Status => self.status().and_then(|status| Ok(serde_json::to_value(status)?)),
            Request::Stop | Request::Disable => Ok(json!({ "stopping": true })),
            Request::Confirm => self.confirm(),
            Request::BlockAdd { order } => self.add_block(order, peer),
            Request::BlockList => Ok(json!({ "mode": mode_word(self.config.mode), "blocks": self.blocks() })),
            Request::BlockRemove { id, reason } => self.remove_block(&id, &reason, peer),
        };
        answer.unwrap_or_else(|error| json!({ "error": problem::text(&error) }))
    }

    fn blocks(&self) -> Vec<&Block> {
        self.pipeline.world.operator.iter().collect()
    }

    /// Puts an operator's block in force: written down first, so that it outlives a crash.
    fn add_block(&mut self, order: Order, peer: &Peer) -> Result<Value> {
        let before = self.pipeline.world.operator.clone();
        let (blocks, id) = before.with(order, peer.text(), jiff::Timestamp::now().as_second())?;
        blocks.save()?;
        if let Err(error) = self.put_blocks(blocks) {
            before.save().context("the order is refused, and the file of blocks could not be put back")?;
            return Err(error.context("the block cannot be put in force"));
        }
        let block = self.pipeline.world.operator.iter().find(|block| block.id == id).cloned();
        let block = block.context("the block is not in force")?;
        self.pipeline.notice(&Notice::block_added(&block, self.config.mode == Mode::Enforce));
        Ok(json!({ "mode": mode_word(self.config.mode), "block": block }))
    }

    fn remove_block(&mut self, id: &str, reason: &str, peer: &Peer) -> Result<Value> {
        if reason.trim().is_empty() {
            bail!("say with --reason why {id} is removed");
        }
        let (blocks, gone) = self.pipeline.world.operator.without(id)?;
        blocks.save()?;
        self.put_blocks(blocks).context("the block stays in force")?;
        let why = format!("by {}, because: {reason}", peer.text());
        self.pipeline.notice(&Notice::block_ended(&gone, &why));
        Ok(json!({ "removed": gone }))
    }

    /// Takes out what has ended. The kernel holds to the end by itself; this is for the lists.
    pub(super) fn end_blocks(&mut self) {
        let operator = &self.pipeline.world.operator;
        let (left, ended) = operator.at(jiff::Timestamp::now().as_second());
        if ended.is_empty() {
            return;
        }
        if let Err(error) = left.save().and_then(|()| self.put_blocks(left)) {
            return tracing::error!("blocks that have ended are not taken out: {}", problem::text(&error));
        }
        ended.iter().for_each(|block| self.pipeline.notice(&Notice::block_ended(block, "by its ttl")));
    }

    fn put_blocks(&mut self, blocks: Blocks) -> Result<()> {
        let loaded = Loaded { operator: Arc::new(blocks), ..self.unchanged() };
        self.put_in_force(loaded, self.config.clone())
    }
}
