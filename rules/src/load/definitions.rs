//! Finds the definitions of event and standing rules, and gives each an entry point of its own.
//!
//! regorus merges all definitions of a set, so a member no longer tells where it came from. Each definition is
//! therefore copied into a synthetic module under a name of its own, next to the original: same package, same
//! imports, same lines, everything else blanked out. The originals stay, so `count(deny)` means what it says.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Rule, RuleHead, Span};

use crate::analysis::corpus::{Corpus, Source};
use crate::analysis::graph::Definition;
use crate::analysis::walk::Head;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::nearest;
use crate::standing::StandingRule;
use crate::vocabulary::Verb;

/// What a definition is one of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Event(Verb),
    Standing(StandingRule),
}

impl Role {
    fn of(name: &str) -> Option<Role> {
        name.parse().map(Role::Event).or_else(|_| name.parse().map(Role::Standing)).ok()
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Role::Event(verb) => verb.as_str(),
            Role::Standing(rule) => rule.as_str(),
        }
    }
}

/// A definition that is evaluated.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) at: Definition,
    pub(super) role: Role,
    /// Index among the event rules, for those.
    pub(super) rule: Option<usize>,
    /// Line and column of the head.
    pub(super) line: u32,
    pub(super) column: u32,
    /// Name of its copy.
    pub(super) entry: String,
    /// `<package>.<rule>[.n]`.
    pub(super) default_id: String,
}

/// Prefix of synthetic names; no policy may use it.
const PREFIX: &str = "__sentinel_";

/// Every definition that is evaluated, in order of file and line.
pub(super) fn find(corpus: &Corpus, findings: &mut Findings) -> Vec<Found> {
    let mut found = Vec::new();
    let mut rules = 0..;
    let mut counts = std::collections::BTreeMap::<(String, &str), u32>::new();
    for (index, source) in corpus.modules.iter().enumerate() {
        for (place, rule) in source.module.policy.iter().enumerate() {
            let Some((name, span)) = head_name(rule) else { continue };
            if name.starts_with(PREFIX) {
                findings.error(
                    at(source, span, format!("names starting with {PREFIX} are reserved")).code("reserved-name"),
                );
            }
            let Some(role) = Role::of(name) else { continue };
            if !source.is_policy() {
                notice_outside(source, span, name, rule, findings);
                continue;
            }
            match check_head(role, rule) {
                Err((message, hint)) => findings.error(at(source, span, message).hint(hint).code("rule-form")),
                Ok(()) => {
                    let count = counts.entry((source.package(), role.name())).or_default();
                    *count += 1;
                    let suffix = if *count > 1 { format!(".{count}") } else { String::new() };
                    found.push(Found {
                        at: (index, place),
                        role,
                        rule: if matches!(role, Role::Event(_)) { rules.next() } else { None },
                        line: span.line,
                        column: span.col,
                        entry: format!("{PREFIX}{}_{}", role.name(), found.len()),
                        default_id: format!("{}.{}{suffix}", source.package(), role.name()),
                    });
                }
            }
        }
    }
    notice_unused_sets(corpus, findings);
    found
}

fn at(source: &Source, span: &Span, message: impl Into<String>) -> Diagnostic {
    Diagnostic::at(&source.file, &source.text, span.line, span.col, message)
}

/// The first name of a rule's head, and where it stands.
fn head_name(rule: &Rule) -> Option<(&str, &Span)> {
    let mut expr = match rule {
        Rule::Default { refr, .. } => refr.as_ref(),
        Rule::Spec { head, .. } => Head::of(head).refr,
    };
    loop {
        match expr {
            Expr::RefDot { refr, .. } | Expr::RefBrack { refr, .. } => expr = refr,
            Expr::Var { span, .. } => return Some((span.text(), span)),
            _ => return None,
        }
    }
}

/// Checks the form of an event or standing rule: message and advice when it is wrong.
fn check_head(role: Role, rule: &Rule) -> Result<(), (String, String)> {
    let name = role.name();
    let (example, form) = match role {
        Role::Event(_) => (format!("`{name} contains msg if {{ ... }}`"), "a partial set"),
        Role::Standing(_) => (format!("`{name} contains \"...\"` or `{name} := {{...}}`"), "a set"),
    };
    let wrong = |what: &str| Err((format!("`{name}` is {what}; it has to be {form}"), format!("write {example}")));
    match rule {
        Rule::Default { .. } => wrong("given a default"),
        Rule::Spec { head: RuleHead::Func { .. }, .. } => wrong("a function"),
        Rule::Spec { head: RuleHead::Set { refr, key: Some(_), .. }, .. } => match refr.as_ref() {
            Expr::Var { .. } => Ok(()),
            _ => wrong("a document with parts"),
        },
        Rule::Spec { head: RuleHead::Set { key: None, .. }, .. } => wrong("a document with parts"),
        Rule::Spec { head: RuleHead::Compr { refr, assign, .. }, .. } => match (role, refr.as_ref(), assign) {
            (Role::Standing(_), Expr::Var { .. }, Some(_)) => Ok(()),
            (_, Expr::Var { .. }, _) => wrong("one value"),
            _ => wrong("an object"),
        },
    }
}

/// A rule named like an event rule outside `sentinel.*` is not evaluated. Functions and values may be helpers.
fn notice_outside(source: &Source, span: &Span, name: &str, rule: &Rule, findings: &mut Findings) {
    if matches!(rule, Rule::Spec { head: RuleHead::Set { .. }, .. }) {
        let message = format!("`{name}` is not evaluated: the package is {}", source.package());
        findings.notice(
            at(source, span, message).hint("policies are modules of `package sentinel.<name>`").code("rule-outside"),
        );
    }
}

/// A partial set that nothing refers to does nothing. Most often its name is a typing error.
fn notice_unused_sets(corpus: &Corpus, findings: &mut Findings) {
    let used: BTreeSet<usize> = corpus.graph.nodes.iter().flat_map(|node| node.edges.iter().copied()).collect();
    for (index, node) in corpus.graph.nodes.iter().enumerate() {
        let Some(first) = node.definitions.first().filter(|_| !used.contains(&index)) else { continue };
        let (source, rule) = (&corpus.modules[first.0], corpus.rule(*first));
        let Some((name, span)) = head_name(rule) else { continue };
        let is_set = matches!(rule, Rule::Spec { head: RuleHead::Set { .. }, .. });
        if is_set && source.is_policy() && Role::of(name).is_none() {
            let finding = at(source, span, format!("`{name}` is no event or standing rule and nothing uses it"))
                .code("unknown-rule");
            let known: Vec<&str> =
                Verb::ALL.iter().map(|v| v.as_str()).chain(StandingRule::ALL.iter().map(|r| r.as_str())).collect();
            findings.notice(match nearest(name, &known) {
                Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                None => finding.hint(format!("evaluated are: {}", known.join(", "))),
            });
        }
    }
}

/// A piece of a module's text that a copy has another text for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Replacement {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: String,
}

/// A module holding only the copies of `found`, all of which are in `source`. `replacements` are in order and do
/// not overlap.
pub(super) fn synthesize(source: &Source, found: &[&Found], replacements: &[Replacement]) -> String {
    let text: &str = &source.text;
    let start = |span: &Span| usize::try_from(span.start).unwrap_or(usize::MAX).min(text.len());
    let starts: Vec<usize> = source.module.policy.iter().map(|rule| start(rule.span())).collect();
    let header = starts.first().copied().unwrap_or(text.len());
    let mut module = text[..header].to_owned();
    for (place, begin) in starts.iter().enumerate() {
        let end = starts.get(place + 1).copied().unwrap_or(text.len());
        match found.iter().find(|found| found.at.1 == place) {
            None => blank(&text[*begin..end], &mut module),
            Some(found) => {
                module.push_str(&found.entry);
                let head = (begin + found.role.name().len()).min(end);
                let mut at = head;
                for replacement in replacements.iter().filter(|r| r.start >= head && r.end <= end) {
                    module.push_str(&text[at..replacement.start]);
                    module.push_str(&replacement.text);
                    at = replacement.end;
                }
                module.push_str(&text[at..end]);
            }
        }
    }
    module
}

/// Spaces for everything but line ends, so that places stay what they were.
fn blank(text: &str, module: &mut String) {
    module.extend(text.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
}

/// The column in the original of a column in the copy.
pub(super) fn original_column(found: &[&Found], line: u32, column: u32) -> u32 {
    let head = found.iter().find(|found| found.line == line && column > found.column);
    let longer = head.map_or(0, |found| found.entry.len() - found.role.name().len());
    column.saturating_sub(u32::try_from(longer).unwrap_or(0)).max(head.map_or(1, |found| found.column))
}
