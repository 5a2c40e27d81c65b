//! What operators, built-in functions and steps below a value make of what is known.

use std::collections::BTreeSet;

use regorus::Value;

use super::formula::{Formula, Op, Term, Test};
use super::value::{Abstract, Known};

/// A built-in function: undefined where an argument is.
pub(super) fn builtin(name: &str, args: &[Abstract], needs: Formula) -> Abstract {
    let texts = |index: usize| args.get(index).and_then(Abstract::as_constant).and_then(|value| value.as_string().ok());
    // `concat` alone has its text first.
    let subject = args.get(usize::from(name == "concat"));
    let op = match (name, args.len(), texts(1)) {
        ("concat", 2, _) => match texts(0) {
            Some(separator) => Op::Join(separator.to_string()),
            None => return Abstract::unknown(needs),
        },
        ("lower", 1, _) => Op::Lower,
        ("upper", 1, _) => Op::Upper,
        ("trim_prefix", 2, Some(text)) => Op::TrimPrefix(text.to_string()),
        ("trim_suffix", 2, Some(text)) => Op::TrimSuffix(text.to_string()),
        ("split", 2, Some(separator)) if !separator.is_empty() => {
            return match args[0].as_term() {
                Some(term) => {
                    let parts = vec![Known::Parts(term.clone(), separator.to_string())];
                    Abstract { values: Some(parts), exact: true, needs }
                }
                None => Abstract::unknown(needs),
            };
        }
        ("count", 1, _) => {
            return match args[0].values.as_deref() {
                Some([Known::Parts(term, separator)]) if args[0].exact => {
                    let count = vec![Known::PartCount(term.clone(), separator.clone(), 0)];
                    Abstract { values: Some(count), exact: true, needs }
                }
                _ => Abstract::unknown(needs),
            };
        }
        // It takes what is undefined.
        ("print", ..) => return Abstract::unknown(Formula::Always),
        _ => return Abstract::unknown(needs),
    };
    let Some((subject, values)) = subject.and_then(|subject| subject.values.as_ref().map(|values| (subject, values)))
    else {
        return Abstract::unknown(needs);
    };
    let apply = |known: &Known| match known {
        Known::Term(term) => Some(Known::Term(Term::Apply(op.clone(), Box::new(term.clone())))),
        Known::Constant(_) | Known::Parts(..) | Known::PartCount(..) => None,
    };
    match values.iter().map(apply).collect::<Option<Vec<_>>>() {
        Some(values) => Abstract { values: Some(values), exact: subject.exact, needs },
        None => Abstract::unknown(needs),
    }
}

pub(super) fn both(left: &Abstract, right: &Abstract) -> Abstract {
    Abstract::unknown(Formula::all([left.needs.clone(), right.needs.clone()]))
}

pub(super) fn combine(
    left: &Abstract,
    right: &Abstract,
    join: impl Fn(&regorus::value::Set, &regorus::value::Set) -> regorus::value::Set,
) -> Abstract {
    match (left.as_constant(), right.as_constant()) {
        (Some(Value::Set(left)), Some(Value::Set(right))) => Abstract::constant(join(left, right).into_value()),
        _ => both(left, right),
    }
}

pub(super) fn subtract(left: &Abstract, right: &Abstract) -> Abstract {
    let number = right.as_constant().and_then(|value| value.as_u64().ok());
    match (left.values.as_deref(), number) {
        (Some([Known::PartCount(term, separator, less)]), Some(number)) if left.exact => {
            let count = Known::PartCount(term.clone(), separator.clone(), less.saturating_add(number));
            Abstract { values: Some(vec![count]), exact: true, needs: left.needs.clone() }
        }
        _ => combine(left, right, |left, right| left.difference(right)),
    }
}

/// A field or element of a value.
pub(super) fn step(container: &Abstract, index: &Abstract) -> Abstract {
    let needs = Formula::all([container.needs.clone(), index.needs.clone()]);
    if let Some(container) = container.as_constant() {
        return constant_step(container, index);
    }
    let name = index.as_constant();
    match (container.values.as_deref(), name) {
        (Some([Known::Term(Term::Field(path))]), Some(name)) if container.exact && is_name(name) => {
            Abstract::term(Term::Field(path.iter().chain([name]).cloned().collect()))
        }
        (Some(values), Some(name)) if is_name(name) => {
            let below = values.iter().map(|known| match known {
                Known::Term(Term::Field(path)) => {
                    Some(Known::Term(Term::Field(path.iter().chain([name]).cloned().collect())))
                }
                _ => None,
            });
            below.collect::<Option<Vec<_>>>().map_or(Abstract::unknown(needs.clone()), |v| Abstract::one_of(v, needs))
        }
        (Some([Known::Parts(term, separator)]), None) if container.exact => match index.values.as_deref() {
            Some([Known::PartCount(of, by, 1)]) if index.exact && of == term && by == separator => {
                Abstract::term(Term::Apply(Op::Last(separator.clone()), Box::new(term.clone())))
            }
            _ => Abstract::unknown(needs),
        },
        _ => Abstract::unknown(needs),
    }
}

fn is_name(value: &Value) -> bool {
    matches!(value, Value::String(_)) || value.as_u64().is_ok()
}

/// An entry of a constant.
fn constant_step(container: &Value, index: &Abstract) -> Abstract {
    let entries: Vec<(Value, Value)> = match container {
        Value::Object(object) => object.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
        Value::Set(set) => set.iter_sorted().map(|member| (member.clone(), member.clone())).collect(),
        Value::Array(array) => {
            (0u64..).zip(array.iter()).map(|(key, value)| (Value::from(key), value.clone())).collect()
        }
        _ => return Abstract::unknown(Formula::Never),
    };
    if let Some(name) = index.as_constant() {
        let entry = entries.into_iter().find(|(key, _)| key == name);
        return entry.map_or(Abstract::unknown(Formula::Never), |(_, value)| Abstract::constant(value));
    }
    let keys: BTreeSet<Value> = entries.iter().map(|(key, _)| key.clone()).collect();
    let within = match index.as_term() {
        Some(term) => Formula::test(term, Test::OneOf(keys)),
        None => Formula::Always,
    };
    let values = entries.into_iter().map(|(_, value)| Known::Constant(value)).collect();
    Abstract::one_of(values, Formula::all([index.needs.clone(), within]))
}
