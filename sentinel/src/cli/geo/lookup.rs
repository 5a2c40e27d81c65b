//! `sentinel geo lookup`: what every database says of an address, what names it, and the verdict it would get.
//!
//! For people on call: the verdict comes first, then why. `--json` has the same for programs. Standing rules alone are judged;
//! event rules need an event, and may refuse what is allowed here.

use std::{net::IpAddr, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, Result, anyhow};
use geoip::{AsnDatabase, Coverage, Database, List, Opinion, PrefixSet, VoteRule, Votes, embargo};
use jiff::Timestamp;
use rules::{LoadOptions, Policies};
use sentinel_common::address::{Address, Wrapping, normalise};
use serde_json::{Value, json};

use super::{
    built, check, joined, now, open_list, today,
    verdict::{Judgement, Question},
};
use crate::{
    config::{Config, Flags},
    input::ip,
};

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Addresses.
    #[arg(required = true, value_name = "IP")]
    addresses: Vec<IpAddr>,
    /// Country database instead of that of the settings or the embedded one; repeated, the first is the primary one.
    #[arg(long, value_name = "FILE")]
    geoip: Vec<PathBuf>,
    /// What counts where databases differ: primary, any or majority.
    #[arg(long, value_name = "RULE", default_value_t)]
    vote: VoteRule,
    /// Database of AS numbers.
    #[arg(long, value_name = "FILE")]
    asn: Option<PathBuf>,
    /// List of networks and AS numbers of your own. May be repeated.
    #[arg(long, value_name = "FILE")]
    list: Vec<PathBuf>,
    /// Policy file or directory, instead of the shipped policies. May be repeated.
    #[arg(long, value_name = "PATH")]
    policy: Vec<PathBuf>,
    /// JSON or YAML file merged into `data`. May be repeated.
    #[arg(long, value_name = "FILE")]
    data: Vec<PathBuf>,
    /// Settings file (TOML).
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// Looks all addresses up.
pub(super) fn run(args: &Args) -> Result<ExitCode> {
    let sources = Sources::open(args)?;
    let answers: Vec<Answer<'_>> = args.addresses.iter().map(|given| sources.answer(*given)).collect();
    if args.json {
        println!("{}", Value::Array(answers.iter().map(Answer::json).collect()));
    } else {
        for (index, answer) in answers.iter().enumerate() {
            print!("{}{}", if index > 0 { "\n" } else { "" }, answer.text());
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that is asked.
struct Sources {
    config: Config,
    policies: Policies,
    votes: Votes,
    asn: Option<AsnDatabase>,
    lists: Vec<(List, PrefixSet)>,
    programmes: Vec<embargo::Programme>,
}

impl Sources {
    fn open(args: &Args) -> Result<Self> {
        let flags = Flags {
            config: args.config.clone(),
            policy: args.policy.clone(),
            data: args.data.clone(),
            ..Flags::default()
        };
        let config = Config::load(&flags)?;
        let shipped = config.policy.is_empty();
        let options = LoadOptions { paths: config.policy.clone(), data: config.data.clone(), shipped };
        let policies = Policies::load(&options).map_err(|errors| anyhow!("the policies are not usable:\n{errors}"))?;
        let files: Vec<PathBuf> =
            if args.geoip.is_empty() { config.geoip.iter().cloned().collect() } else { args.geoip.clone() };
        let mut databases: Vec<Arc<Database>> =
            files.iter().map(|file| Database::open(file).map(Arc::new)).collect::<Result<_, _>>()?;
        if databases.is_empty() {
            let embedded = Database::embedded().context("the embedded country database is not usable")?;
            databases.push(Arc::new(embedded));
        }
        let asn = args.asn.as_deref().map(AsnDatabase::open).transpose()?;
        let lists = args.list.iter().map(|file| open_list(file, asn.as_ref())).collect::<Result<_>>()?;
        let votes = Votes::new(databases, args.vote)?;
        Ok(Self { config, policies, votes, asn, lists, programmes: embargo::shipped()? })
    }

    fn answer(&self, given: IpAddr) -> Answer<'_> {
        let (address, wrapping) = normalise(match given {
            IpAddr::V4(v4) => Address::from_v4(v4.into()),
            IpAddr::V6(v6) => Address::from_octets(v6.octets()),
        });
        let meant = ip(address);
        let opinion = self.votes.lookup(meant);
        let question = Question {
            address: meant,
            opinion: &opinion,
            votes: &self.votes,
            standing: self.policies.standing(),
            mode: self.config.mode,
            unknown: self.config.unknown,
            now: Timestamp::now().as_second(),
        };
        let judgement = question.judge();
        let asn = self.asn.as_ref().and_then(|asn| asn.lookup(meant));
        Answer { sources: self, given, wrapping, meant, opinion, judgement, asn }
    }
}

/// What is known of one address.
struct Answer<'a> {
    sources: &'a Sources,
    given: IpAddr,
    wrapping: Wrapping,
    meant: IpAddr,
    opinion: Opinion,
    judgement: Judgement,
    asn: Option<u32>,
}

impl Answer<'_> {
    fn text(&self) -> String {
        let mut out = format!("{}", self.meant);
        if self.given != self.meant {
            out += &format!("  (given as {}, {:?})", self.given, self.wrapping);
        }
        out += &format!("\n  verdict    {}{}\n", self.judgement.effect.text(), self.reason());
        for hit in &self.judgement.hits {
            let limits = if hit.limits.is_empty() { String::new() } else { format!(", {}", hit.limits) };
            out +=
                &format!("  rule       {}: {}, {}{limits}  ({})\n", hit.id, hit.effect.text(), hit.because, hit.place);
        }
        self.judgement.notes.iter().for_each(|note| out += &format!("  note       {note}\n"));
        out += &format!("  country    {}\n", self.counted());
        for (vote, database) in self.opinion.votes.iter().zip(self.sources.votes.databases()) {
            let (lookup, info) = (&vote.lookup, database.info());
            let country = lookup.country.map_or_else(|| lookup.coverage.to_string(), |country| country.to_string());
            let mut said = vec![country];
            said.extend(lookup.regions().map(|region| region.to_string()));
            said.extend(lookup.registered.map(|country| format!("registered in {country}")));
            said.extend(lookup.represented.map(|country| format!("represents {country}")));
            let (prefix, said) = (lookup.prefix, said.join(", "));
            out += &format!(
                "  database   {}: {said}, {prefix}, {}  ({})\n",
                vote.database_type,
                check::age(info),
                info.source
            );
        }
        self.asn.iter().for_each(|asn| out += &format!("  AS         AS{asn}\n"));
        for (programme, entry) in self.programmes() {
            let note = entry.note.as_ref().map_or_else(String::new, |note| format!(" {note}"));
            let overdue = if entry.review_by < today() { ", review overdue" } else { "" };
            out += &format!(
                "  programme  {} {} ({}): {}, {}, {} since {}{overdue}.{note}\n",
                programme.id,
                programme.version,
                programme.authority,
                entry.name,
                entry.citation,
                entry.action,
                entry.from
            );
        }
        for (list, network) in self.lists() {
            out += &format!("  list       {} ({}): {network}\n", list.path.display(), &list.sha256[..12]);
        }
        out
    }

    fn reason(&self) -> String {
        match self.judgement.deciding() {
            Some(hit) => format!(" by {}: {}", hit.id, hit.because),
            None if self.judgement.hits.is_empty() => ": no standing rule names it".to_owned(),
            None => ": the rules that name it are limited, see below".to_owned(),
        }
    }

    /// What counts, and by which rule where that matters.
    fn counted(&self) -> String {
        let places = self.opinion.countries.iter().map(ToString::to_string);
        let places = places.chain(self.opinion.regions.iter().map(ToString::to_string));
        let none = match self.opinion.coverage {
            Coverage::Special => "none by nature (private, local or multicast)",
            Coverage::NoIpv4 => "not known: no database has IPv4",
            Coverage::NoIpv6 => "not known: no database has IPv6",
            Coverage::Known | Coverage::Unknown => "not known",
        };
        let mut text = format!("{}, {}", joined(places, none), self.opinion.prefix);
        if self.opinion.votes.len() > 1 {
            text += &format!(", by rule {}", self.sources.votes.rule());
        }
        if self.opinion.is_split() {
            text += "; the databases differ";
        }
        text
    }

    fn programmes(&self) -> impl Iterator<Item = (&embargo::Programme, &embargo::Entry)> {
        let Opinion { countries, regions, .. } = &self.opinion;
        self.sources.programmes.iter().flat_map(move |programme| {
            programme.naming(today(), countries, regions).map(move |entry| (programme, entry))
        })
    }

    fn lists(&self) -> impl Iterator<Item = (&List, ipnet::IpNet)> {
        self.sources.lists.iter().filter_map(|(list, set)| Some((list, set.find(self.meant)?)))
    }

    fn json(&self) -> Value {
        let databases = self.opinion.votes.iter().zip(self.sources.votes.databases()).map(|(vote, database)| {
            let (lookup, info) = (&vote.lookup, database.info());
            json!({
                "type": vote.database_type,
                "source": info.source.to_string(),
                "sha256": info.sha256,
                "build": built(info).to_string(),
                "age_days": info.age_days(now()),
                "freshness": info.freshness(now()).to_string(),
                "coverage": lookup.coverage.to_string(),
                "country": lookup.country.map(|country| country.to_string()),
                "regions": lookup.regions().map(|region| region.to_string()).collect::<Vec<_>>(),
                "registered_country": lookup.registered.map(|country| country.to_string()),
                "represented_country": lookup.represented.map(|country| country.to_string()),
                "prefix": lookup.prefix.to_string(),
            })
        });
        let programmes = self.programmes().map(|(programme, entry)| {
            json!({
                "id": programme.id,
                "authority": programme.authority,
                "version": programme.version,
                "sha256": programme.sha256,
                "place": entry.place.to_string(),
                "citation": entry.citation,
                "action": entry.action.to_string(),
                "from": entry.from.to_string(),
                "review_by": entry.review_by.to_string(),
            })
        });
        let lists = self
            .lists()
            .map(|(list, network)| json!({ "path": list.path, "sha256": list.sha256, "prefix": network.to_string() }));
        json!({
            "ip": self.meant.to_string(),
            "given": self.given.to_string(),
            "wrapping": (self.given != self.meant).then(|| format!("{:?}", self.wrapping).to_lowercase()),
            "coverage": self.opinion.coverage.to_string(),
            "countries": self.opinion.countries.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "regions": self.opinion.regions.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "prefix": self.opinion.prefix.to_string(),
            "vote_rule": self.sources.votes.rule().to_string(),
            "split": self.opinion.is_split(),
            "as_number": self.asn,
            "databases": databases.collect::<Vec<_>>(),
            "programmes": programmes.collect::<Vec<_>>(),
            "lists": lists.collect::<Vec<_>>(),
            "verdict": self.judgement.json(),
        })
    }
}
