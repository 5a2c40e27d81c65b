//! Parts of `input` handed to built-in functions.

use regorus::unstable::{Expr, Ref};

use super::seen::{Fault, Place};
use super::value::Value;
use super::{Env, Reads, a};
use crate::analysis::names::{literal_text, start};
use crate::schema::Type;

/// Functions that look at no names within an object.
const HARMLESS: &[&str] = &["count", "print", "sprintf", "type_name", "is_object", "is_null", "is_string", "is_array"];

/// Functions on strings: how many of the first arguments have to be one.
const ON_TEXT: &[(&str, usize)] = &[
    ("startswith", 2),
    ("endswith", 2),
    ("lower", 1),
    ("upper", 1),
    ("indexof", 2),
    ("split", 2),
    ("replace", 3),
    ("substring", 1),
    ("trim", 2),
    ("trim_left", 2),
    ("trim_right", 2),
    ("trim_prefix", 2),
    ("trim_suffix", 2),
    ("trim_space", 1),
    ("regex.match", 2),
    ("net.cidr_contains", 2),
];

impl Reads<'_> {
    /// A call of a built-in function.
    pub(super) fn builtin(&mut self, module: usize, fcn: &Expr, params: &[Ref<Expr>], env: &mut Env) -> Value {
        let name = fcn.span().text();
        if let ("object.get", [object, key, default]) = (name, params) {
            return self.object_get(module, object, key, default, env);
        }
        let texts = ON_TEXT.iter().find(|(known, _)| *known == name).map_or(0, |(_, count)| *count);
        for (index, param) in params.iter().enumerate() {
            let value = self.value(module, param, env);
            if let Some(path) = value.object_path().filter(|_| !HARMLESS.contains(&name)) {
                self.seen.whole(Place::of(module, start(param), ""), path);
            }
            if index < texts {
                self.text_argument(module, name, &value, param);
            }
        }
        match name {
            "count" | "to_number" | "abs" | "ceil" | "floor" | "round" | "indexof" => Value::Scalar(Type::Number),
            "lower" | "upper" | "sprintf" | "concat" | "replace" | "trim" | "trim_prefix" | "trim_suffix"
            | "trim_space" | "trim_left" | "trim_right" | "substring" => Value::Scalar(Type::Text),
            "split" => Value::list(Value::Scalar(Type::Text)),
            _ => Value::Unknown,
        }
    }

    fn text_argument(&mut self, module: usize, function: &str, value: &Value, param: &Expr) {
        let place = Place::of(module, start(param), "text");
        match (value.name(), value.type_word()) {
            (Some(field), Some(word)) if word != Type::Text.as_str() => self.seen.bad(
                place,
                Fault {
                    code: "input-type",
                    message: format!("`{function}` takes strings and `{field}` is {}, so this is undefined", a(word)),
                    hint: if word == "array" { "test each item, with `some ... in`".to_owned() } else { String::new() },
                },
            ),
            _ => self.seen.good(place),
        }
    }

    /// `object.get(object, key or path, default)`; a default that is written out adds nothing to follow.
    fn object_get(&mut self, module: usize, object: &Expr, key: &Expr, default: &Expr, env: &mut Env) -> Value {
        let mut value = self.value(module, object, env);
        let otherwise = self.value(module, default, env);
        let single = [key];
        let steps: Vec<&Expr> = match key {
            Expr::Array { items, .. } => items.iter().map(AsRef::as_ref).collect(),
            _ => single.to_vec(),
        };
        for step in steps {
            self.value(module, step, env);
            value = match literal_text(step) {
                Some(name) => self.field(module, &value, &name, start(step)),
                None => self.item(module, value, start(step)),
            };
        }
        value.paths().for_each(|path| self.read(module, path, start(key), None));
        if matches!(otherwise, Value::Input(_)) { value.join(otherwise) } else { value }
    }
}
