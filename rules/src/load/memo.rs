//! Shares calls that several definitions make with the same arguments.
//!
//! The machine keeps what a rule gave for the rest of an execution, but runs a function at every call. A call
//! whose arguments depend on nothing but `input` and constants, as `is_shell(input.process)`, always gives the
//! same within one event. So where two or more definitions of a group make it, it becomes a rule of its own, and
//! the copies refer to that. Calls under `with` are left alone.

use std::collections::BTreeMap;

use regorus::unstable::{BUILTINS, Expr};

use crate::analysis::corpus::Corpus;
use crate::analysis::names::{Locals, Names, Part, Path, Resolved, Root};
use crate::analysis::walk::{Item, walk_rule};
use crate::load::compile::Replacements;
use crate::load::definitions::{Found, Replacement};

/// A call that depends on the event alone.
struct Site {
    module: usize,
    start: usize,
    end: usize,
    /// The call, written so that it means the same in any package.
    text: String,
}

/// Rules for the calls that are shared, and the replacements that refer to them.
pub(super) fn share(corpus: &Corpus, found: &[&Found], package: &str) -> (String, Replacements) {
    let sites = sites(corpus, found);
    let mut counts = BTreeMap::<&str, usize>::new();
    sites.iter().for_each(|site| *counts.entry(&site.text).or_default() += 1);
    let shared = counts.into_iter().filter(|(_, count)| *count > 1).map(|(text, _)| text);
    let names: BTreeMap<&str, String> = shared.enumerate().map(|(i, text)| (text, format!("call_{i}"))).collect();
    let mut rules = String::new();
    for (text, name) in &names {
        rules.push_str(&format!("{name} := {text}\n"));
    }
    let mut replacements = Replacements::new();
    for site in &sites {
        let Some(name) = names.get(site.text.as_str()) else { continue };
        let list = replacements.entry(site.module).or_default();
        // Sites are in order, outer calls first: what lies within the last replacement is part of it.
        if list.last().is_none_or(|last: &Replacement| site.start >= last.end) {
            list.push(Replacement { start: site.start, end: site.end, text: format!("data.{package}.{name}") });
        }
    }
    (rules, replacements)
}

/// Every call of a function of the policies that depends on the event alone, by module and place.
fn sites(corpus: &Corpus, found: &[&Found]) -> Vec<Site> {
    let mut sites = Vec::new();
    for found in found {
        let source = &corpus.modules[found.at.0];
        let writer = Writer { corpus, names: &source.names };
        walk_rule(corpus.rule(found.at), &source.names, &mut |item| {
            let Item::Call(call) = item else { return };
            let user = call.path.as_ref().is_some_and(|path| writer.is_rule(path));
            if call.replaced || !user {
                return;
            }
            let args: Option<Vec<String>> = call.params.iter().map(|param| writer.closed(param, call.locals)).collect();
            let function = call.path.as_ref().and_then(|path| writer.path(path));
            if let (Some(args), Some(function)) = (args, function) {
                let place = |offset: u32| usize::try_from(offset).unwrap_or(usize::MAX);
                let text = format!("{function}({})", args.join(", "));
                sites.push(Site {
                    module: found.at.0,
                    start: place(call.whole.start),
                    end: place(call.whole.end),
                    text,
                });
            }
        });
    }
    sites.sort_by_key(|site| (site.module, site.start, std::cmp::Reverse(site.end)));
    sites
}

/// Writes expressions so that they mean the same in another package.
struct Writer<'c> {
    corpus: &'c Corpus,
    names: &'c Names,
}

impl Writer<'_> {
    fn is_rule(&self, path: &Path) -> bool {
        path.root == Root::Data && self.corpus.graph.find(&path.known()).is_some()
    }

    /// The expression, if it depends on nothing but the event, rules and constants.
    fn closed(&self, expr: &Expr, locals: &Locals) -> Option<String> {
        let list = |items: &[regorus::unstable::Ref<Expr>]| {
            let items: Option<Vec<String>> = items.iter().map(|item| self.closed(item, locals)).collect();
            items.map(|items| items.join(", "))
        };
        match expr {
            Expr::String { value, .. } | Expr::RawString { value, .. } => value.to_json_str().ok(),
            Expr::Number { span, .. } | Expr::Bool { span, .. } | Expr::Null { span, .. } => {
                Some(span.text().to_owned())
            }
            Expr::Array { items, .. } => list(items).map(|items| format!("[{items}]")),
            Expr::Set { items, .. } => list(items).map(|items| format!("{{{items}}}")),
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => match self.names.resolve(expr, locals) {
                Resolved::Path(path) if path.root == Root::Input || self.is_rule(&path) => self.path(&path),
                Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => None,
            },
            Expr::Call { fcn, params, .. } => {
                let function = match self.names.resolve(fcn, locals) {
                    Resolved::Path(path) if self.is_rule(&path) => self.path(&path)?,
                    _ => BUILTINS.get_key_value(fcn.span().text()).map(|(name, _)| (*name).to_owned())?,
                };
                list(params).map(|params| format!("{function}({params})"))
            }
            _ => None,
        }
    }

    /// A path with every step known; `data.a["b-c"]`.
    fn path(&self, path: &Path) -> Option<String> {
        let mut text = match path.root {
            Root::Input => "input".to_owned(),
            Root::Data => "data".to_owned(),
        };
        for part in &path.parts {
            let Part::Name(name) = part else { return None };
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
                && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
            let step = if plain { format!(".{name}") } else { format!("[{name:?}]") };
            text.push_str(&step);
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Findings;
    use crate::load::parse::Text;
    use crate::load::{check_all, definitions};

    #[test]
    fn calls_on_the_event_alone_are_shared() {
        let policy = "package sentinel.a\n\nimport data.lib\nimport input.process as p\n\nf(x) := lower(x)\n\n\
            deny contains f(input.file.path) if { lib.is(p); f(input.file.path) == \"a\" }\n\n\
            alert contains \"x\" if { lib.is(input.process); some i in input.process.args; f(i) == f(upper(input.file.path)) }\n\n\
            alert contains \"y\" if { not f(upper(input.file.path)) == \"b\"; f(input.file.path) with input as {} }\n";
        let library = "package lib\n\nis(x) if x.name == \"sh\"\n";
        let text = |file: &str, text: &str| Text::new(file, text);
        let mut findings = Findings::default();
        let corpus =
            check_all(&[text("lib", library), text("p", policy)], &regorus::Value::new_object(), &mut findings);
        let found = definitions::find(&corpus, &mut findings);
        assert_eq!(findings.errors, []);
        let found: Vec<&Found> = found.iter().collect();

        let (rules, replacements) = share(&corpus, &found, "shared");
        let lines: Vec<&str> = rules.lines().collect();
        assert_eq!(
            lines,
            [
                "call_0 := data.lib.is(input.process)",
                "call_1 := data.sentinel.a.f(input.file.path)",
                "call_2 := data.sentinel.a.f(upper(input.file.path))",
            ]
        );
        let copy = definitions::synthesize(&corpus.modules[1], &found, &replacements[&1]);
        assert_eq!(copy.matches("data.shared.call_0").count(), 2, "{copy}");
        assert_eq!(copy.matches("data.shared.call_1").count(), 2, "{copy}");
        assert!(
            copy.contains("f(i) == data.shared.call_2") && copy.contains("f(input.file.path) with input as {}"),
            "{copy}"
        );
    }
}
