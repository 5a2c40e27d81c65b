//! What can be known about the value of an expression: constants, fields, and texts made from fields.

use std::collections::BTreeSet;

use regorus::Value;
use regorus::unstable::{ArithOp, BinOp, Expr, Ref, Rule, RuleHead};

use super::formula::{Formula, Term, Test};
use super::operations::{both, builtin, combine, step, subtract};
use super::{Conditions, Env};
use crate::analysis::literal;
use crate::analysis::names::{Path, Resolved, Root};
use crate::analysis::walk::Head;

/// Most values an expression may have before they are forgotten.
const MAX_VALUES: usize = 256;

/// One value an expression may have.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Known {
    Constant(Value),
    Term(Term),
    /// The parts of a text between separators.
    Parts(Term, String),
    /// Their number, less some.
    PartCount(Term, String, u64),
}

/// What is known about the value of an expression.
#[derive(Debug, Clone)]
pub(super) struct Abstract {
    /// The values it may have, if they are known.
    pub(super) values: Option<Vec<Known>>,
    /// Whether there is one, and it is there exactly when that is.
    pub(super) exact: bool,
    /// What has to hold for there to be a value.
    pub(super) needs: Formula,
}

impl Abstract {
    pub(super) fn unknown(needs: Formula) -> Abstract {
        Abstract { values: None, exact: false, needs }
    }

    pub(super) fn constant(value: Value) -> Abstract {
        Abstract { values: Some(vec![Known::Constant(value)]), exact: true, needs: Formula::Always }
    }

    pub(super) fn term(term: Term) -> Abstract {
        let needs = Formula::test(&term, Test::Defined);
        Abstract { values: Some(vec![Known::Term(term)]), exact: true, needs }
    }

    pub(super) fn one_of(mut values: Vec<Known>, needs: Formula) -> Abstract {
        values.sort();
        values.dedup();
        let values = (values.len() <= MAX_VALUES).then_some(values);
        Abstract { values, exact: false, needs }
    }

    /// What a variable that holds it knows: that it is there was asked where it was given.
    pub(super) fn held(mut self) -> Abstract {
        self.needs = Formula::Always;
        self
    }

    /// What is enough for there to be a value.
    pub(super) fn surely(&self) -> Formula {
        match (self.as_term(), self.as_constant()) {
            (Some(term), _) => Formula::test(term, Test::Defined),
            (None, Some(_)) => Formula::Always,
            (None, None) => Formula::Never,
        }
    }

    /// The value, if it is a constant.
    pub(super) fn as_constant(&self) -> Option<&Value> {
        match self.values.as_deref() {
            Some([Known::Constant(value)]) if self.exact => Some(value),
            _ => None,
        }
    }

    pub(super) fn as_term(&self) -> Option<&Term> {
        match self.values.as_deref() {
            Some([Known::Term(term)]) if self.exact => Some(term),
            _ => None,
        }
    }

    /// Its texts, if it is constant texts only.
    pub(super) fn texts(&self) -> Option<BTreeSet<String>> {
        let text = |known: &Known| match known {
            Known::Constant(Value::String(text)) => Some(text.to_string()),
            Known::Constant(_) | Known::Term(_) | Known::Parts(..) | Known::PartCount(..) => None,
        };
        self.values.as_ref()?.iter().map(text).collect()
    }
}

/// The members of a constant collection.
pub(super) fn members(collection: &Value) -> Option<Vec<Value>> {
    match collection {
        Value::Array(array) => Some(array.iter().cloned().collect()),
        Value::Set(set) => Some(set.iter_sorted().cloned().collect()),
        Value::Object(object) => Some(object.iter().map(|(_, value)| value.clone()).collect()),
        _ => None,
    }
}

impl Conditions<'_> {
    pub(super) fn value(&mut self, expr: &Expr, env: &mut Env) -> Abstract {
        let Some(fuel) = self.fuel.checked_sub(1) else { return Abstract::unknown(Formula::Always) };
        self.fuel = fuel;
        if let Some(value) = literal(expr) {
            return Abstract::constant(value);
        }
        match expr {
            Expr::Var { .. } | Expr::RefDot { .. } | Expr::RefBrack { .. } => self.reference(expr, env),
            Expr::Array { items, .. } => self.collection(items, env, Value::from),
            Expr::Set { items, .. } => {
                self.collection(items, env, |values| Value::from(values.into_iter().collect::<BTreeSet<_>>()))
            }
            Expr::Object { fields, .. } => self.object(fields.iter().map(|(_, key, value)| (key, value)), env),
            Expr::BinExpr { op, lhs, rhs, .. } => {
                let (left, right) = (self.value(lhs, env), self.value(rhs, env));
                combine(&left, &right, |left, right| match op {
                    BinOp::Union => left.union(right),
                    BinOp::Intersection => left.intersection(right),
                })
            }
            Expr::ArithExpr { op, lhs, rhs, .. } => {
                let (left, right) = (self.value(lhs, env), self.value(rhs, env));
                match op {
                    ArithOp::Sub => subtract(&left, &right),
                    ArithOp::Add | ArithOp::Mul | ArithOp::Div | ArithOp::Mod => both(&left, &right),
                }
            }
            Expr::BoolExpr { lhs, rhs, .. } => both(&self.value(lhs, env), &self.value(rhs, env)),
            Expr::Call { fcn, params, .. } => self.call_value(fcn, params, env),
            Expr::UnaryExpr { expr, .. } => Abstract::unknown(self.value(expr, env).needs),
            _ => Abstract::unknown(Formula::Always),
        }
    }

    fn collection(&mut self, items: &[Ref<Expr>], env: &mut Env, make: fn(Vec<Value>) -> Value) -> Abstract {
        let items: Vec<Abstract> = items.iter().map(|item| self.value(item, env)).collect();
        let constants: Option<Vec<Value>> = items.iter().map(|item| item.as_constant().cloned()).collect();
        match constants {
            Some(values) => Abstract::constant(make(values)),
            None => Abstract::unknown(Formula::all(items.into_iter().map(|item| item.needs))),
        }
    }

    fn object<'e>(&mut self, fields: impl Iterator<Item = (&'e Ref<Expr>, &'e Ref<Expr>)>, env: &mut Env) -> Abstract {
        let fields: Vec<_> = fields.map(|(key, value)| (self.value(key, env), self.value(value, env))).collect();
        let constants =
            fields.iter().map(|(key, value)| Some((key.as_constant()?.clone(), value.as_constant()?.clone())));
        match constants.collect::<Option<std::collections::BTreeMap<_, _>>>() {
            Some(object) => Abstract::constant(Value::from(object)),
            None => {
                Abstract::unknown(Formula::all(fields.into_iter().flat_map(|(key, value)| [key.needs, value.needs])))
            }
        }
    }

    fn reference(&mut self, expr: &Expr, env: &mut Env) -> Abstract {
        let corpus = self.corpus;
        let resolved = corpus.modules[env.module].names.resolve(expr, &env.locals);
        if let Resolved::Path(path) = &resolved
            && path.root == Root::Data
            && path.known().len() == path.parts.len()
        {
            return self.document(path);
        }
        match expr {
            Expr::RefDot { refr, field, .. } => {
                let container = self.value(refr, env);
                step(&container, &Abstract::constant(Value::from(field.0.text())))
            }
            Expr::RefBrack { refr, index, .. } => {
                let (container, index) = (self.value(refr, env), self.value(index, env));
                step(&container, &index)
            }
            _ => match resolved {
                Resolved::Local(name, _) => {
                    env.values.get(&name).cloned().unwrap_or_else(|| Abstract::unknown(Formula::Always))
                }
                Resolved::Path(path) if path.root == Root::Input => {
                    Abstract::term(Term::Field(path.known().into_iter().map(Value::from).collect()))
                }
                Resolved::Path(_) | Resolved::Other => Abstract::unknown(Formula::Always),
            },
        }
    }

    /// A rule without arguments, or a part of one that is constant, or of the data.
    fn document(&mut self, path: &Path) -> Abstract {
        let (corpus, known) = (self.corpus, path.known());
        for length in (1..=known.len()).rev() {
            if let Some(node) = corpus.graph.find(&known[..length]) {
                let rest = known[length..].iter().map(|name| Abstract::constant(Value::from(name.as_str())));
                return rest.fold(self.rule_value(node), |value, name| step(&value, &name));
            }
        }
        let mut value = self.data;
        known.iter().for_each(|name| value = &value[name.as_str()]);
        if *value == Value::Undefined || !corpus.graph.targets(path).is_empty() {
            return Abstract::unknown(Formula::Always);
        }
        Abstract::constant(value.clone())
    }

    fn rule_value(&mut self, node: usize) -> Abstract {
        if let Some(value) = self.values.get(&node) {
            return value.clone();
        }
        let value = self.rule_value_anew(node);
        // Running out of fuel is no property of the rule.
        if self.fuel > 0 {
            self.values.insert(node, value.clone());
        }
        value
    }

    fn rule_value_anew(&mut self, node: usize) -> Abstract {
        let corpus = self.corpus;
        let definitions = &corpus.graph.nodes[node].definitions;
        if let Some(set) = self.constant_set(node) {
            return Abstract::constant(set);
        }
        let plain = definitions.iter().all(|definition| match corpus.rule(*definition) {
            Rule::Default { refr, .. } | Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => {
                matches!(refr.as_ref(), Expr::Var { .. })
            }
            Rule::Spec { .. } => false,
        });
        if !plain {
            return Abstract::unknown(Formula::Always);
        }
        let branches: Vec<_> = definitions.iter().flat_map(|at| self.branches(*at, &[])).collect();
        if let ([branch], [definition]) = (branches.as_slice(), definitions.as_slice())
            && matches!(corpus.rule(*definition), Rule::Spec { bodies, .. } if bodies.is_empty())
        {
            return branch.value.clone();
        }
        let needs = Formula::any(branches.iter().map(|b| Formula::all([b.body.may.clone(), b.value.needs.clone()])));
        let values: Option<Vec<Vec<Known>>> = branches.into_iter().map(|branch| branch.value.values).collect();
        match values {
            Some(values) => Abstract::one_of(values.concat(), needs),
            None => Abstract::unknown(needs),
        }
    }

    /// A partial set whose members are written out without conditions.
    fn constant_set(&mut self, node: usize) -> Option<Value> {
        let corpus = self.corpus;
        let definitions = corpus.graph.nodes[node].definitions.iter();
        let members: Option<BTreeSet<Value>> = definitions
            .map(|at| match corpus.rule(*at) {
                Rule::Spec { head: RuleHead::Set { key: Some(key), .. }, bodies, .. } if bodies.is_empty() => {
                    literal(key)
                }
                Rule::Spec { .. } | Rule::Default { .. } => None,
            })
            .collect();
        members.map(Value::from)
    }

    /// The members a collection may have, and what has to hold for it to have one.
    pub(super) fn elements(&mut self, collection: &Expr, env: &mut Env) -> Abstract {
        let corpus = self.corpus;
        let value = self.value(collection, env);
        if let Some(constant) = value.as_constant() {
            let Some(members) = members(constant) else { return Abstract::unknown(Formula::Never) };
            let needs = if members.is_empty() { Formula::Never } else { Formula::Always };
            return Abstract::one_of(members.into_iter().map(Known::Constant).collect(), needs);
        }
        let node = match corpus.modules[env.module].names.resolve(collection, &env.locals) {
            Resolved::Path(path) if path.root == Root::Data => corpus.graph.find(&super::exact(&path)),
            Resolved::Path(_) | Resolved::Local(..) | Resolved::Other => None,
        };
        node.and_then(|node| self.set_members(node)).unwrap_or_else(|| Abstract::unknown(value.needs))
    }

    fn set_members(&mut self, node: usize) -> Option<Abstract> {
        let corpus = self.corpus;
        let definitions = &corpus.graph.nodes[node].definitions;
        let sets = definitions.iter().all(|at| match corpus.rule(*at) {
            Rule::Spec { head, .. } => Head::of(head).key.is_some() && matches!(Head::of(head).refr, Expr::Var { .. }),
            Rule::Default { .. } => false,
        });
        let branches: Vec<_> = definitions.iter().flat_map(|at| self.branches(*at, &[])).collect();
        let needs = Formula::any(branches.iter().map(|b| Formula::all([b.body.may.clone(), b.value.needs.clone()])));
        let values: Option<Vec<Vec<Known>>> = branches.into_iter().map(|branch| branch.value.values).collect();
        sets.then(|| match values {
            Some(values) => Abstract::one_of(values.concat(), needs),
            None => Abstract::unknown(needs),
        })
    }

    fn call_value(&mut self, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Abstract {
        let args: Vec<Abstract> = params.iter().map(|param| self.value(param, env)).collect();
        let needs = Formula::all(args.iter().map(|arg| arg.needs.clone()));
        match self.function(fcn, params.len(), env) {
            Some(node) => {
                let branches = self.function_branches(node, &args);
                let holds =
                    Formula::any(branches.iter().map(|b| Formula::all([b.body.may.clone(), b.value.needs.clone()])));
                let values: Option<Vec<Vec<Known>>> = branches.into_iter().map(|branch| branch.value.values).collect();
                let needs = Formula::all([needs, holds]);
                values.map_or(Abstract::unknown(needs.clone()), |values| Abstract::one_of(values.concat(), needs))
            }
            None if self.is_builtin(fcn, env) => builtin(fcn.span().text(), &args, needs),
            None => Abstract::unknown(Formula::Always),
        }
    }
}
