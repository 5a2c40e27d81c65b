//! Reads members of standing rules into entries.
//!
//! A member is the value itself, or an object with the value and what applies to it.

use regorus::Value;
use regorus::value::Object;

use crate::fields::{Fields, Problem, text, type_name, whole_number, word};
use crate::member::read_id;
use crate::standing::values;
use crate::standing::{
    Access, AccessSet, Country, Exemption, PathPattern, Protocol, StandingEntry, StandingRule, StandingValue, Subjects,
};

/// Keys of a member that is an object.
const KEYS: &[&str] = &["value", "access", "only", "except", "id", "severity", "mode"];
/// Keys of an exemption.
const EXEMPTION_KEYS: &[&str] = &[
    "id",
    "type",
    "authority",
    "reference",
    "approver",
    "expires",
    "countries",
    "regions",
    "cidrs",
    "paths",
    "executables",
    "hashes",
    "only",
    "except",
    "severity",
];
/// Keys of `only` and `except`.
const SUBJECT_KEYS: &[&str] = &["executables", "uids", "cgroups", "containers", "ports", "protocols"];

/// An entry read, and what was odd about it.
pub(crate) type Read = Result<(StandingEntry, Vec<Problem>), Problem>;

/// Reads one member; `template` is an entry with everything the definition says.
pub(crate) fn read_member(template: &StandingEntry, member: &Value) -> Read {
    match (template.rule_name, member) {
        (StandingRule::Exemptions, Value::Object(object)) => read_exemption(template, object),
        (StandingRule::Exemptions, other) => Err(Problem::new(format!("an exemption is {}", type_name(other)))
            .hint("write an object with id, type, authority, reference, approver, expires and what it covers")),
        (rule, Value::String(value)) => {
            let mut notices = Vec::new();
            let value = read_value(rule, value, &mut notices)?;
            Ok((StandingEntry { value, ..template.clone() }, notices))
        }
        (_, Value::Object(object)) => read_object(template, object),
        (rule, other) => Err(Problem::new(format!("a member of `{rule}` is {}", type_name(other)))
            .hint("write the value as a string, or an object with \"value\"")),
    }
}

fn read_value(rule: StandingRule, text: &str, notices: &mut Vec<Problem>) -> Result<StandingValue, Problem> {
    Ok(match rule {
        StandingRule::BlockCountries => StandingValue::BlockCountry(values::country(text)?),
        StandingRule::AllowCountries => StandingValue::AllowCountry(values::country(text)?),
        StandingRule::BlockRegions => StandingValue::BlockRegion(values::region(text)?),
        StandingRule::BlockCidrs => {
            let (net, notice) = values::cidr(text)?;
            notices.extend(notice);
            StandingValue::BlockCidr(net)
        }
        StandingRule::BlockPaths => StandingValue::BlockPath(values::path(text)?),
        StandingRule::BlockExecutables => StandingValue::BlockExecutable(values::path(text)?),
        StandingRule::BlockHashes => StandingValue::BlockHash(values::sha256(text)?),
        StandingRule::AllowExecutables => StandingValue::AllowExecutable(values::path(text)?),
        StandingRule::Exemptions => return Err(Problem::new("an exemption is an object")),
    })
}

fn read_object(template: &StandingEntry, object: &Object) -> Read {
    let fields = Fields::new(object, KEYS)?;
    let mut notices = Vec::new();
    let value = read_value(template.rule_name, fields.required_text("value")?, &mut notices)?;
    let mut entry = StandingEntry { value, ..template.clone() };
    read_common(&mut entry, &fields)?;
    entry.mode = fields.word("mode")?.or(entry.mode);
    entry.access = read_access(template.rule_name, &fields)?;
    Ok((entry, notices))
}

fn read_common(entry: &mut StandingEntry, fields: &Fields<'_>) -> Result<(), Problem> {
    if let Some(id) = fields.get("id") {
        entry.id = read_id(id)?.to_owned();
    }
    entry.severity = fields.word("severity")?.unwrap_or(entry.severity);
    (entry.only, entry.except) = (read_subjects("only", fields)?, read_subjects("except", fields)?);
    if !entry.only.is_empty() && !entry.except.is_empty() {
        return Err(Problem::new("\"only\" and \"except\" are both given").hint("keep one of them"));
    }
    Ok(())
}

/// `access` is about files; an executable is blocked from running and nothing else.
fn read_access(rule: StandingRule, fields: &Fields<'_>) -> Result<AccessSet, Problem> {
    if fields.get("access").is_none() {
        return Ok(AccessSet::ALL);
    }
    if rule != StandingRule::BlockPaths {
        return Err(Problem::new(format!("\"access\" has no meaning in `{rule}`")).hint("use it in `block_paths`"));
    }
    let mut set = AccessSet::EMPTY;
    for name in fields.texts("access")? {
        set = set.with(word::<Access>("access", name)?);
    }
    if set.is_empty() {
        return Err(Problem::new("\"access\" is empty, so the entry would block nothing").hint("leave it out for all"));
    }
    Ok(set)
}

fn read_subjects(key: &str, fields: &Fields<'_>) -> Result<Subjects, Problem> {
    let object = match fields.get(key) {
        None => return Ok(Subjects::default()),
        Some(Value::Object(object)) => object,
        Some(other) => {
            return Err(Problem::new(format!("\"{key}\" is {}; an object is needed", type_name(other))));
        }
    };
    let fields = Fields::new(object, SUBJECT_KEYS)?;
    let subjects = Subjects {
        executables: collect(&fields, "executables", values::path)?,
        uids: numbers(&fields, "uids", u64::from(u32::MAX - 1))?,
        cgroups: collect(&fields, "cgroups", cgroup)?,
        containers: collect(&fields, "containers", container)?,
        ports: numbers(&fields, "ports", u64::from(u16::MAX))?,
        protocols: collect(&fields, "protocols", |text| word::<Protocol>("protocols", text))?,
    };
    // An empty filter would turn "only these" into "everyone": the list was probably meant to come from data.
    if subjects.is_empty() {
        return Err(Problem::new(format!("\"{key}\" names nobody")).hint(format!("leave \"{key}\" out for everyone")));
    }
    Ok(subjects)
}

fn cgroup(text: &str) -> Result<String, Problem> {
    values::path(text).map(|pattern| pattern.path).map_err(|problem| problem.hint("as /system.slice/backup.service"))
}

fn container(text: &str) -> Result<String, Problem> {
    if text.trim().is_empty() { Err(Problem::new("\"containers\" has an empty name")) } else { Ok(text.to_owned()) }
}

/// The items of a list. An empty one is refused: it would ask nothing, and was probably meant to be filled.
fn listed<'a>(fields: &Fields<'a>, key: &str) -> Result<Vec<&'a Value>, Problem> {
    let list = fields.list(key);
    if list.is_empty() && fields.get(key).is_some() {
        return Err(Problem::new(format!("\"{key}\" is empty")).hint(format!("leave \"{key}\" out to ask nothing")));
    }
    Ok(list)
}

fn collect<T>(fields: &Fields<'_>, key: &str, read: impl Fn(&str) -> Result<T, Problem>) -> Result<Vec<T>, Problem> {
    listed(fields, key)?.into_iter().map(|item| read(text(key, item)?)).collect()
}

fn numbers<T: TryFrom<u64>>(fields: &Fields<'_>, key: &str, max: u64) -> Result<Vec<T>, Problem> {
    let out_of_range = || Problem::new(format!("\"{key}\" holds a number that is too large"));
    let read = |item| T::try_from(whole_number(key, item, max)?).map_err(|_| out_of_range());
    listed(fields, key)?.into_iter().map(read).collect()
}

fn read_exemption(template: &StandingEntry, object: &Object) -> Read {
    let fields = Fields::new(object, EXEMPTION_KEYS)?;
    let mut notices = Vec::new();
    fields.required_text("id")?;
    let exemption = Exemption {
        id: read_id(fields.get("id").unwrap_or(&Value::Null))?.to_owned(),
        kind: fields.required_text("type")?.to_owned(),
        authority: fields.required_text("authority")?.to_owned(),
        reference: fields.required_text("reference")?.to_owned(),
        approver: fields.required_text("approver")?.to_owned(),
        expires: values::expiry(required_expiry(&fields)?)?,
        countries: collect(&fields, "countries", values::country)? as Vec<Country>,
        regions: collect(&fields, "regions", values::region)?,
        cidrs: exempt_cidrs(&fields, &mut notices)?,
        paths: collect(&fields, "paths", values::path)? as Vec<PathPattern>,
        executables: collect(&fields, "executables", values::path)?,
        hashes: collect(&fields, "hashes", values::sha256)?,
    };
    if covers_nothing(&exemption) {
        return Err(Problem::new("the exemption covers nothing")
            .hint("name countries, regions, cidrs, paths, executables or hashes"));
    }
    let mut entry = template.clone();
    read_common(&mut entry, &fields)?;
    entry.value = StandingValue::Exemption(Box::new(exemption));
    Ok((entry, notices))
}

fn required_expiry<'a>(fields: &Fields<'a>) -> Result<&'a str, Problem> {
    fields.required_text("expires").map_err(|problem| {
        problem.hint("an exemption must end: write a date as 2030-12-31, or a date and time as 2030-12-31T12:00:00Z")
    })
}

fn exempt_cidrs(fields: &Fields<'_>, notices: &mut Vec<Problem>) -> Result<Vec<ipnet::IpNet>, Problem> {
    let read = collect(fields, "cidrs", values::cidr)?;
    Ok(read
        .into_iter()
        .map(|(net, notice)| {
            notices.extend(notice);
            net
        })
        .collect())
}

fn covers_nothing(exemption: &Exemption) -> bool {
    exemption.countries.is_empty()
        && exemption.regions.is_empty()
        && exemption.cidrs.is_empty()
        && exemption.paths.is_empty()
        && exemption.executables.is_empty()
        && exemption.hashes.is_empty()
}
