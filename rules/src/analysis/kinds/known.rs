//! What can be known about a value in a rule's body: that it is a part of `input`, or which texts it may be.

use std::collections::BTreeSet;

use regorus::unstable::{Expr, Rule, RuleHead};

use super::{Env, Kinds};
use crate::analysis::names::{Part, Path, Resolved, Root, literal_text};

/// What is known about a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Known {
    /// It is this part of `input`.
    Input(Vec<String>),
    /// It is one of these texts.
    OneOf(BTreeSet<String>),
    /// It is a collection of exactly these texts.
    Collection(BTreeSet<String>),
    /// Nothing.
    Nothing,
}

impl Known {
    pub(super) fn is_action(&self) -> bool {
        matches!(self, Known::Input(path) if path == &["event", "action"])
    }
}

impl Kinds<'_> {
    /// What is known about a value.
    pub(super) fn known(&mut self, module: usize, expr: &Expr, env: &Env) -> Known {
        let Some(fuel) = self.fuel.checked_sub(1) else { return Known::Nothing };
        self.fuel = fuel;
        match expr {
            Expr::String { .. } | Expr::RawString { .. } => {
                literal_text(expr).map_or(Known::Nothing, |text| Known::OneOf([text].into()))
            }
            Expr::Set { items, .. } | Expr::Array { items, .. } => {
                let texts: Option<BTreeSet<String>> = items.iter().map(|item| literal_text(item)).collect();
                texts.map_or(Known::Nothing, Known::Collection)
            }
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => {
                match self.corpus.modules[module].names.resolve(expr, &env.locals) {
                    Resolved::Local(name, steps) => below(env.values.get(&name), steps),
                    Resolved::Path(path) if path.root == Root::Input => below(Some(&Known::Input(vec![])), path.parts),
                    Resolved::Path(path) => self.constant(&path),
                    Resolved::Other => Known::Nothing,
                }
            }
            _ => Known::Nothing,
        }
    }

    /// What is known about a set; an array is looked up by index, so it is none.
    pub(super) fn known_set(&mut self, module: usize, expr: &Expr, env: &Env) -> Option<Known> {
        let set = match expr {
            Expr::Set { .. } => true,
            Expr::Var { .. } | Expr::RefDot { .. } => {
                match self.corpus.modules[module].names.resolve(expr, &env.locals) {
                    Resolved::Path(path) if path.root == Root::Data => self.is_set_rule(&path),
                    Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => false,
                }
            }
            _ => false,
        };
        let known = if set { self.known(module, expr, env) } else { Known::Nothing };
        matches!(known, Known::Collection(_)).then_some(known)
    }

    fn is_set_rule(&self, path: &Path) -> bool {
        let Some(node) = self.corpus.graph.find(&exact(path)) else { return false };
        self.corpus.graph.nodes[node].definitions.iter().all(|definition| match self.corpus.rule(*definition) {
            Rule::Spec { head: RuleHead::Set { .. }, .. } => true,
            Rule::Spec { head: RuleHead::Compr { assign: Some(assign), .. }, bodies, .. } => {
                bodies.is_empty() && matches!(assign.value.as_ref(), Expr::Set { .. })
            }
            Rule::Spec { .. } | Rule::Default { .. } => false,
        })
    }

    /// The value of a rule that is written out: `x := "a"`, `x := {"a", "b"}`, `x contains "a"`.
    fn constant(&mut self, path: &Path) -> Known {
        let corpus = self.corpus;
        let Some(node) = corpus.graph.find(&exact(path)) else { return Known::Nothing };
        let definitions = &corpus.graph.nodes[node].definitions;
        let mut members = BTreeSet::new();
        for definition in definitions {
            match corpus.rule(*definition) {
                Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, bodies, .. } if bodies.is_empty() => {
                    let Some(text) = literal_text(key) else { return Known::Nothing };
                    members.insert(text);
                }
                Rule::Spec { head: RuleHead::Compr { refr, assign: Some(assign), .. }, bodies, .. } => {
                    let plain = matches!(refr.as_ref(), Expr::Var { .. }) && bodies.is_empty();
                    if !plain || definitions.len() != 1 {
                        return Known::Nothing;
                    }
                    return self.known(definition.0, &assign.value, &Env::default());
                }
                Rule::Spec { .. } | Rule::Default { .. } => return Known::Nothing,
            }
        }
        Known::Collection(members)
    }
}

/// The path, if all of it is known; otherwise one that no rule has.
pub(super) fn exact(path: &Path) -> Vec<String> {
    let known = path.known();
    if path.root == Root::Data && known.len() == path.parts.len() { known } else { Vec::new() }
}

/// What is known about a part of a value.
fn below(known: Option<&Known>, steps: Vec<Part>) -> Known {
    match known {
        Some(known) if steps.is_empty() => known.clone(),
        Some(Known::Input(path)) => {
            let mut path = path.clone();
            for step in steps {
                match step {
                    Part::Name(name) => path.push(name),
                    Part::Any => return Known::Nothing,
                }
            }
            Known::Input(path)
        }
        _ => Known::Nothing,
    }
}
