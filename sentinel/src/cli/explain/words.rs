//! An explanation in words.
//!
//! Invariant: first what happened and what decides, then the evidence; what fired is shown whole, what did not by its first
//! expression that failed.

use std::fmt::Write as _;

use rules::{
    Value,
    explain::{BodyTrace, DefinitionTrace, Seen, Step, Truth},
};
use serde_json::Value as Json;

use super::{Explained, Explanation};
use crate::cli::{
    geo::verdict::Effect,
    replay::{
        event::{number, plain, text},
        standing::Match,
    },
};

/// Longest value that is shown whole.
const LONGEST: usize = 160;

impl Explanation<'_> {
    /// All of it.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String does not fail.
        let _ = self.write(&mut out);
        out
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        self.write_event(out)?;
        if let Some(alert) = &self.subject.alert {
            write_alert(out, alert)?;
        }
        if self.same_policy() == Some(false) {
            writeln!(out, "policy     not the one of the alert: what follows is by the policies given now")?;
        }
        writeln!(out, "verdict    {}", self.verdict())?;
        self.write_standing(out)?;
        self.rules.iter().filter(|rule| rule.fired).try_for_each(|rule| write_fired(out, rule))?;
        let (silent, unfit): (Vec<&Explained>, Vec<&Explained>) =
            self.rules.iter().filter(|rule| !rule.fired).partition(|rule| rule.trace.is_some());
        if !silent.is_empty() {
            writeln!(out, "\nwhy not: rules that could match, by the first expression that failed")?;
        }
        silent.iter().try_for_each(|rule| write_silent(out, rule))?;
        unfit.iter().try_for_each(|rule| self.write_unfit(out, rule))
    }

    fn write_event(&self, out: &mut String) -> std::fmt::Result {
        let event = &self.subject.event;
        let input = &event.input;
        let pid = number(input, &["process", "pid"]);
        let by = pid.map_or_else(String::new, |pid| format!(" (process {pid})"));
        let user = text(input, &["user", "id"]).map_or_else(String::new, |id| format!(", user {id}"));
        let time = text(input, &["@timestamp"]).map_or_else(String::new, |time| format!(", {time}"));
        let (process, object) = (plain(&event.process()), plain(&event.object()));
        writeln!(out, "event      {process} {} {object}{by}{user}{time}", event.kind)?;
        writeln!(out, "found in   {}", self.subject.found)
    }

    /// In one sentence what the policies make of the event in enforce mode.
    pub(super) fn verdict(&self) -> String {
        let named = |one: &Match| self.entry(one).map_or(crate::standing::UNKNOWN_RULE, |entry| entry.id.as_str());
        let holding = |effect| self.matches.iter().find(|one| one.within == Some(true) && one.effect == effect);
        if let Some(one) = holding(Effect::Exempt) {
            return format!("exemption {} lets it through, whatever blocks", named(one));
        }
        if let Some(one) = holding(Effect::Refuse) {
            return format!("in enforce mode the kernel refuses it from the first event on, by {}", named(one));
        }
        let deny = self.rules.iter().find(|rule| rule.fired && rule.rule.verb == rules::Verb::Deny);
        if let Some(rule) = deny {
            return format!("it passes, and in enforce mode {} refuses the next one by a block entry", rule.id());
        }
        if let Some(one) = holding(Effect::WouldRefuse) {
            return format!("{} would refuse it, and only monitors", named(one));
        }
        let alerts = self.rules.iter().any(|rule| rule.fired && rule.rule.verb == rules::Verb::Alert);
        match (alerts || holding(Effect::Alert).is_some(), self.matches.iter().any(|one| one.within.is_none())) {
            (_, true) => "it turns on limits that cannot be told from an event".to_owned(),
            (true, false) => "it passes, with an alert".to_owned(),
            (false, false) => "no rule says anything of it".to_owned(),
        }
    }

    fn write_standing(&self, out: &mut String) -> std::fmt::Result {
        for one in &self.matches {
            let entry = self.entry(one);
            let (id, place) = entry.map_or_else(
                || (crate::standing::UNKNOWN_RULE.to_owned(), "[geo] unknown".to_owned()),
                |entry| (format!("{} {}", entry.rule_name, entry.id), format!("{}:{}", entry.file, entry.line)),
            );
            writeln!(out, "\nstanding   {id}: {}, because of {}", one.effect.text(), one.because)?;
            writeln!(out, "           {place}")?;
            match one.within {
                Some(true) => {}
                Some(false) => writeln!(out, "           its limits (only, except, expiry) leave this event out")?,
                None => {
                    writeln!(out, "           whether its limits leave this event out cannot be told from an event")?
                }
            }
            if let Some(list) = entry.and_then(|entry| self.standing.programmes().list_of(&entry.value)) {
                writeln!(out, "           list {} version {}", list.id, list.version)?;
            }
        }
        let considered = self.exemptions();
        let covering = self.matches.iter().filter(|one| one.effect == Effect::Exempt).count();
        if considered > 0 && covering == 0 {
            writeln!(out, "exemptions {considered} considered, none is about this event")?;
        }
        Ok(())
    }

    fn write_unfit(&self, out: &mut String, explained: &Explained) -> std::fmt::Result {
        let rule = explained.rule;
        let kinds: Vec<&str> = rule.kinds.iter().map(rules::Kind::as_str).collect();
        let (id, file, line, kind) = (&rule.id, &rule.file, rule.line, self.subject.event.kind);
        writeln!(out, "\n{} {id} ({file}:{line}) can never match {kind}: it is about {}", rule.verb, kinds.join(", "))
    }
}

/// What the alert itself says, above all of the kernel.
fn write_alert(out: &mut String, alert: &Json) -> std::fmt::Result {
    let said = |pointer: &str| alert.pointer(pointer).and_then(Json::as_str).unwrap_or("-");
    let is = |pointer: &str| alert.pointer(pointer).and_then(Json::as_bool).unwrap_or(false);
    writeln!(out, "alert      {}  {}", plain(said("/event/id")), plain(said("/message")))?;
    let verdict = match (is("/sentinel/blocked"), is("/sentinel/would_block")) {
        (true, _) => "the kernel refused it",
        (false, true) => "it passed; enforcing would have blocked it",
        (false, false) => "it passed",
    };
    let (mode, decided, hook) = (said("/sentinel/mode"), said("/sentinel/decided_in"), said("/sentinel/hook"));
    let decision = said("/sentinel/decision");
    writeln!(out, "then       {verdict}: mode {mode}, {decision}, decided in {decided} space at hook {hook}")?;
    let objects = [
        ("entry", "/sentinel/entry_written"),
        ("exemption", "/sentinel/exemption"),
        ("geo", "/sentinel/geo"),
        ("list", "/sentinel/list"),
    ];
    for (name, pointer) in objects {
        let Some(Json::Object(fields)) = alert.pointer(pointer) else { continue };
        writeln!(out, "{name:<10} {}", shorten(&flat(fields)))?;
    }
    match alert.pointer("/sentinel/lost_before").and_then(Json::as_u64) {
        Some(lost) if lost > 0 => writeln!(out, "lost       {lost} events were lost before it"),
        Some(_) | None => Ok(()),
    }
}

/// The fields of an object and of those in it, without digests.
fn flat(fields: &serde_json::Map<String, Json>) -> String {
    let part = |(key, value): (&String, &Json)| match value {
        Json::Object(inner) => format!("{key} {}", flat(inner)),
        Json::String(text) => format!("{key} {text}"),
        other => format!("{key} {other}"),
    };
    fields.iter().filter(|(key, _)| *key != "sha256").map(part).collect::<Vec<_>>().join(", ")
}

fn write_fired(out: &mut String, explained: &Explained) -> std::fmt::Result {
    let rule = explained.rule;
    let id = explained.id();
    writeln!(out, "\nfired      {} {id} ({})  {}:{}", rule.verb, rule.severity, rule.file, rule.line)?;
    if !rule.title.is_empty() {
        writeln!(out, "           {}", rule.title)?;
    }
    explained.messages.iter().try_for_each(|message| writeln!(out, "           says: {}", plain(message)))?;
    for (scope, ttl) in &explained.entries {
        let ttl = if *ttl == 0 { "while the rule exists".to_owned() } else { format!("for {ttl} s") };
        writeln!(out, "           entry: {scope}, {ttl}")?;
    }
    match &explained.trace {
        Some(trace) => write_definition(out, trace, "    "),
        None => writeln!(out, "           its text is not there any more"),
    }
}

fn write_silent(out: &mut String, explained: &Explained) -> std::fmt::Result {
    let rule = explained.rule;
    write!(out, "  {} {}  {}:{}", rule.verb, rule.id, rule.file, rule.line)?;
    if let Some(error) = &explained.error {
        return writeln!(out, "\n    it failed on this event: {error}");
    }
    if explained.silenced {
        return writeln!(out, "\n    it held, but an allow of its package kept it silent");
    }
    writeln!(out)?;
    let failing = explained.trace.as_ref().and_then(DefinitionTrace::failing);
    failing.map_or(Ok(()), |step| write_step(out, step, "    "))
}

fn write_definition(out: &mut String, trace: &DefinitionTrace, indent: &str) -> std::fmt::Result {
    writeln!(out, "{indent}{:>4}  {} if", trace.line, trace.head)?;
    trace.bodies.iter().try_for_each(|body| write_body(out, body, indent))
}

fn write_body(out: &mut String, body: &BodyTrace, indent: &str) -> std::fmt::Result {
    if body.is_else {
        writeln!(out, "{indent}      else")?;
    }
    body.steps.iter().try_for_each(|step| write_step(out, step, indent))
}

fn write_step(out: &mut String, step: &Step, indent: &str) -> std::fmt::Result {
    let mark = match step.truth {
        Truth::Held => "yes",
        Truth::Failed => "NO ",
        Truth::NotReached => " - ",
        Truth::Unclear(_) => " ? ",
    };
    writeln!(out, "{indent}{:>4}  {mark}  {}", step.line, step.text)?;
    if let Truth::Unclear(why) = &step.truth {
        writeln!(out, "{indent}           cannot be told: {why}")?;
    }
    step.values.iter().try_for_each(|seen| writeln!(out, "{indent}           {}", value(seen)))?;
    let deeper = format!("{indent}        ");
    for below in &step.below {
        writeln!(out, "{deeper}{} at {}:{}", below.name, below.file, below.line)?;
        below.bodies.iter().try_for_each(|body| write_body(out, body, &deeper))?;
    }
    Ok(())
}

/// What a part of an expression was.
fn value(seen: &Seen) -> String {
    let name = &seen.expression;
    match seen.values.as_slice() {
        [] => format!("{name} is undefined: the event has no such thing"),
        [one] => format!("{name} is {}", shown(one)),
        several => {
            let more = if seen.more > 0 { format!(", and {} more", seen.more) } else { String::new() };
            let all: Vec<String> = several.iter().map(shown).collect();
            format!("{name} is one of {}{more}", shorten(&all.join(", ")))
        }
    }
}

fn shown(value: &Value) -> String {
    // Any value of Rego can be written as JSON.
    shorten(&serde_json::to_string(value).unwrap_or_else(|_| "(no JSON)".to_owned()))
}

/// Text for one line of a terminal: no control characters, and not without end.
fn shorten(text: &str) -> String {
    let clean = plain(text);
    match clean.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}… ({} characters)", &clean[..end], clean.chars().count()),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_one_line_and_bounded() {
        assert_eq!(shorten("a\u{1b}[2J\n"), "a\u{fffd}[2J\u{fffd}");
        let long = shorten(&"é".repeat(500));
        assert!(long.ends_with("… (500 characters)") && long.chars().count() < 200);
        let seen = |values: &[u64], more| Seen {
            expression: "x".to_owned(),
            values: values.iter().map(|value| Value::from(*value)).collect(),
            more,
        };
        assert_eq!(value(&seen(&[], 0)), "x is undefined: the event has no such thing");
        assert_eq!(value(&seen(&[1], 0)), "x is 1");
        assert_eq!(value(&seen(&[1, 2], 3)), "x is one of 1, 2, and 3 more");
    }
}
