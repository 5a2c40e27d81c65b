//! Names of sample events in tests: one that does not exist would make `with input as ...` undefined, and a test that
//! expects nothing to happen would pass.

use regorus::Value;

use crate::analysis::corpus::Corpus;
use crate::diagnostic::{Diagnostic, Findings};
use crate::fields::nearest;

/// Where the samples are.
const PLACE: [&str; 2] = ["sentinel", "events"];

/// Refuses references to events that neither the samples nor the data have.
pub(super) fn check_events(corpus: &Corpus, data: &Value, findings: &mut Findings) {
    let Value::Object(events) = &data[PLACE[0]][PLACE[1]] else { return };
    let known: Vec<&str> = events.keys().filter_map(|key| key.as_string().ok().map(AsRef::as_ref)).collect();
    for source in &corpus.modules {
        for rule in &source.module.policy {
            for unknown in corpus.graph.look(rule, &source.names).unknown {
                let path = unknown.path.known();
                let Some(name) = path.strip_prefix(&PLACE.map(str::to_owned)[..]).and_then(<[String]>::first) else {
                    continue;
                };
                if known.contains(&name.as_str()) {
                    continue;
                }
                let message = format!("there is no sample event data.sentinel.events.{name}");
                let finding = Diagnostic::at(&source.file, &source.text, unknown.line, unknown.column, message);
                findings.error(match nearest(name, &known) {
                    Some(meant) => finding.hint(format!("did you mean `{meant}`?")),
                    None => finding.hint(format!("there are: {}", known.join(", "))),
                });
            }
        }
    }
}
