//! Findings about block entries: those that would stop the host, and those that refuse more than their rule says.

use rules::{Diagnostic, Object, Policies, RuleInfo, Scope, Verb, WrittenScope, analysis::beyond_entry};

use super::Report;
use crate::guard;

/// Looks at the entry of each `deny`.
pub(super) fn of_entries(policies: &Policies, report: &mut Report) {
    for rule in policies.rules().iter().filter(|rule| rule.verb == Verb::Deny) {
        if let WrittenScope::Is(scope) = rule.scope
            && scope.subject.is_none()
        {
            for_everyone(rule, scope, report);
        }
        report.warnings.extend(wider(rule).filter(|finding| !accepted(rule, finding)));
    }
}

/// The content of a file, empty for what is none.
pub(super) fn text_of(file: &str) -> String {
    std::fs::read_to_string(file).unwrap_or_default()
}

/// Whether the author says that it is meant (`custom.accept`).
fn accepted(rule: &RuleInfo, finding: &Diagnostic) -> bool {
    rule.accept.iter().any(|code| code == finding.code)
}

fn at(rule: &RuleInfo, message: String) -> Diagnostic {
    Diagnostic::at(&rule.file, &text_of(&rule.file), rule.line, 1, message)
}

/// An entry without a subject refuses everyone, so it must not be about what the host needs.
fn for_everyone(rule: &RuleInfo, scope: Scope, report: &mut Report) {
    let hint = "give the scope a subject, as in \"file+process\"";
    match scope.object {
        Object::File | Object::Path => {
            let vital = rule.targets.iter().find_map(|target| Some((target, guard::vital(target)?)));
            if let Some((target, vital)) = vital {
                let what = if target.prefix { format!("paths below {}, as {vital}", target.path) } else { vital };
                let message = format!(
                    "rule {}: an entry \"{scope}\" refuses everyone, and the condition names {what}, which every host needs",
                    rule.id
                );
                report.errors.push(at(rule, message).hint(hint).code("vital-object"));
            } else if rule.targets.is_empty() {
                let message = format!(
                    "rule {}: an entry \"{scope}\" refuses everyone, and no condition says which file.path it is about",
                    rule.id
                );
                let finding = at(rule, message).hint(hint).code("entry-for-everyone");
                report.warnings.extend(Some(finding).filter(|finding| !accepted(rule, finding)));
            }
        }
        Object::Cidr(net) => {
            if let Err(why) = guard::network(&net) {
                report.errors.push(at(rule, format!("rule {}: {why}", rule.id)).code("vital-object"));
            }
        }
        Object::Destination | Object::DestinationPort => {}
    }
}

/// The kernel compares what the entry holds and nothing else.
fn wider(rule: &RuleInfo) -> Option<Diagnostic> {
    let (scope, lost) = beyond_entry(rule)?;
    let fields: Vec<String> = lost.iter().map(|field| format!("input.{}", field.replace("[]", "[_]"))).collect();
    let message = format!(
        "rule {}: its entry \"{scope}\" does not hold {}: the kernel refuses the next event of the same object and subject whatever that is",
        rule.id,
        fields.join(", ")
    );
    let hint = "use `alert` or a narrower scope; or say that it is meant: custom.accept: [entry-wider-than-rule]";
    Some(at(rule, message).hint(hint).code("entry-wider-than-rule"))
}
