//! JSON in the one spelling whose hash a signature holds.
//!
//! OPA hashes documents and the manifest by content: keys sorted, no white space, numbers as they were written,
//! strings as Go's encoder writes them without HTML escapes (open-policy-agent/opa, `v1/bundle/hash.go`). A key that
//! is written twice is refused: signer and reader could each mean another one.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::CharIndices;

use regorus::Value;

/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// A JSON document whose numbers are kept as text.
enum Json {
    Plain(String),
    Text(String),
    List(Vec<Json>),
    Object(BTreeMap<String, Json>),
}

/// The canonical spelling of a JSON text.
pub(super) fn of_json(text: &str) -> Result<String, String> {
    let mut reader = Reader { text, chars: text.char_indices().peekable() };
    let json = reader.value(0)?;
    reader.space();
    if let Some((at, _)) = reader.chars.next() {
        return Err(reader.error(at, "something follows the document"));
    }
    Ok(spell(&json))
}

/// The canonical spelling of a document that was YAML. OPA makes Go's numbers of its numbers first.
pub(super) fn of_value(value: &Value) -> Result<String, String> {
    let json = value.to_json_str().map_err(|error| error.to_string())?;
    let mut reader = Reader { text: &json, chars: json.char_indices().peekable() };
    Ok(spell(&with_go_numbers(reader.value(0)?)))
}

fn with_go_numbers(json: Json) -> Json {
    match json {
        Json::Plain(word) => Json::Plain(go_number(&word).unwrap_or(word)),
        Json::List(items) => Json::List(items.into_iter().map(with_go_numbers).collect()),
        Json::Object(fields) => {
            Json::Object(fields.into_iter().map(|(key, value)| (key, with_go_numbers(value))).collect())
        }
        Json::Text(_) => json,
    }
}

/// A number as Go's encoder spells it; none for what is a whole number already, or no number.
fn go_number(word: &str) -> Option<String> {
    if word.parse::<i64>().is_ok() || word.parse::<u64>().is_ok() || !is_number(word) {
        return None;
    }
    let number: f64 = word.parse().ok()?;
    let plain = number == 0.0 || (1e-6..1e21).contains(&number.abs());
    let spelt = if plain { format!("{number}") } else { format!("{number:e}") };
    Some(if number.abs() >= 1e21 { spelt.replace('e', "e+") } else { spelt })
}

fn spell(json: &Json) -> String {
    let mut out = String::new();
    write(json, &mut out);
    out
}

fn write(json: &Json, out: &mut String) {
    match json {
        Json::Plain(word) => out.push_str(word),
        Json::Text(text) => write_text(text, out),
        Json::List(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write(item, out);
            }
            out.push(']');
        }
        Json::Object(fields) => {
            out.push('{');
            for (place, (key, value)) in fields.iter().enumerate() {
                out.push_str(if place > 0 { "," } else { "" });
                write_text(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            _ => out.push(c),
        }
    }
    out.push('"');
}

struct Reader<'t> {
    text: &'t str,
    chars: Peekable<CharIndices<'t>>,
}

impl Reader<'_> {
    fn error(&self, at: usize, what: &str) -> String {
        let before = &self.text[..at];
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{what} at line {} column {column}", before.matches('\n').count() + 1)
    }

    fn space(&mut self) {
        while self.chars.next_if(|(_, c)| matches!(c, ' ' | '\t' | '\n' | '\r')).is_some() {}
    }

    /// The next character that is no space, with its place.
    fn next(&mut self) -> Result<(usize, char), String> {
        self.space();
        self.chars.next().ok_or_else(|| self.error(self.text.len(), "the document ends early"))
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        let (at, c) = self.next()?;
        if depth > MAX_DEPTH {
            return Err(self.error(at, "the document nests too deep"));
        }
        match c {
            '{' => self.object(depth),
            '[' => self.list(depth),
            '"' => self.string().map(Json::Text),
            _ => self.plain(at),
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        let mut fields = BTreeMap::new();
        self.space();
        if self.chars.next_if(|(_, c)| *c == '}').is_some() {
            return Ok(Json::Object(fields));
        }
        loop {
            let (at, _) = self.expect('"')?;
            let key = self.string()?;
            self.expect(':')?;
            let value = self.value(depth + 1)?;
            if fields.insert(key.clone(), value).is_some() {
                return Err(self.error(at, &format!("the key {key:?} is written twice,")));
            }
            match self.next()? {
                (_, ',') => {}
                (_, '}') => return Ok(Json::Object(fields)),
                (at, _) => return Err(self.error(at, "expected , or }")),
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Json, String> {
        let mut items = Vec::new();
        self.space();
        if self.chars.next_if(|(_, c)| *c == ']').is_some() {
            return Ok(Json::List(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            match self.next()? {
                (_, ',') => {}
                (_, ']') => return Ok(Json::List(items)),
                (at, _) => return Err(self.error(at, "expected , or ]")),
            }
        }
    }

    fn expect(&mut self, wanted: char) -> Result<(usize, char), String> {
        match self.next()? {
            found if found.1 == wanted => Ok(found),
            (at, _) => Err(self.error(at, &format!("expected {wanted}"))),
        }
    }

    /// The rest of a string, its quote taken.
    fn string(&mut self) -> Result<String, String> {
        let mut text = String::new();
        loop {
            match self.chars.next() {
                Some((_, '"')) => return Ok(text),
                Some((at, '\\')) => text.push(self.escape(at)?),
                Some((at, '\0'..='\u{1f}')) => return Err(self.error(at, "a control character in a string")),
                Some((_, c)) => text.push(c),
                None => return Err(self.error(self.text.len(), "a string without end")),
            }
        }
    }

    fn escape(&mut self, at: usize) -> Result<char, String> {
        let wrong = "not an escape that JSON has";
        let (_, c) = self.chars.next().ok_or_else(|| self.error(at, wrong))?;
        Ok(match c {
            '"' | '\\' | '/' => c,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => self.unicode(at)?,
            _ => return Err(self.error(at, wrong)),
        })
    }

    /// A character by its number; half of a pair becomes the replacement character, as in Go.
    fn unicode(&mut self, at: usize) -> Result<char, String> {
        let high = self.hex(at)?;
        if !(0xd800..0xdc00).contains(&high) {
            return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
        }
        let rest = self.chars.peek().map_or("", |(at, _)| &self.text[*at..]);
        let low =
            rest.strip_prefix("\\u").and_then(|rest| rest.get(..4)).and_then(|hex| u32::from_str_radix(hex, 16).ok());
        let Some(low) = low.filter(|low| (0xdc00..0xe000).contains(low)) else {
            return Ok(char::REPLACEMENT_CHARACTER);
        };
        self.chars.nth(5);
        let pair = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
        Ok(char::from_u32(pair).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn hex(&mut self, at: usize) -> Result<u32, String> {
        let mut number = 0;
        for _ in 0..4 {
            let digit = self.chars.next().and_then(|(_, c)| c.to_digit(16));
            number = number * 16 + digit.ok_or_else(|| self.error(at, "not a \\u with four digits"))?;
        }
        Ok(number)
    }

    /// A number or a word, as it is written.
    fn plain(&mut self, at: usize) -> Result<Json, String> {
        let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.');
        while self.chars.next_if(|(_, c)| of_word(*c)).is_some() {}
        let end = self.chars.peek().map_or(self.text.len(), |(end, _)| *end);
        let word = &self.text[at..end];
        if matches!(word, "true" | "false" | "null") || is_number(word) {
            return Ok(Json::Plain(word.to_owned()));
        }
        Err(self.error(at, "not a value that JSON has"))
    }
}

/// Whether a word is a number in the grammar of JSON.
fn is_number(word: &str) -> bool {
    let word = word.strip_prefix('-').unwrap_or(word);
    let (mantissa, exponent) = word.split_once(['e', 'E']).map_or((word, None), |(m, e)| (m, Some(e)));
    let (whole, part) = mantissa.split_once('.').map_or((mantissa, None), |(w, p)| (w, Some(p)));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.map(|text| text.strip_prefix(['+', '-']).unwrap_or(text));
    digits(whole) && (whole == "0" || !whole.starts_with('0')) && part.is_none_or(digits) && exponent.is_none_or(digits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_counts_and_spelling_does_not() {
        for (text, wanted) in [
            (" { \"b\" : [1, 2.50,-0,1e5] , \"a\":{ } } ", r#"{"a":{},"b":[1,2.50,-0,1e5]}"#),
            (
                r#""<foo>&\u003c\/\u00e9\u0001\u2028\ud83d\ude00\ud800x""#,
                "\"<foo>&</\u{e9}\\u0001\\u2028\u{1f600}\u{fffd}x\"",
            ),
            ("\"\\b\\f\\n\\r\\t\\\"\\\\\u{7f}\"", "\"\\b\\f\\n\\r\\t\\\"\\\\\u{7f}\""),
            ("[]", "[]"),
            ("true", "true"),
            ("123.45678911111111111111111111111111", "123.45678911111111111111111111111111"),
        ] {
            assert_eq!(of_json(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_has_a_place() {
        for (text, part) in [
            ("{\"a\": 1,\n \"a\": 2}", "the key \"a\" is written twice, at line 2 column 2"),
            ("[1,]", "column 4"),
            ("[01]", "column 2"),
            ("{\"a\" 1}", "expected :"),
            ("[1] x", "something follows"),
            ("\"a", "without end"),
            ("\"\\x\"", "not an escape"),
            ("\"\\u12g4\"", "four digits"),
            ("", "ends early"),
            ("[1.e5]", "column 2"),
            ("\"\n\"", "control character"),
        ] {
            let error = of_json(text).unwrap_err();
            assert!(error.contains(part), "{text}: {error}");
        }
        let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(of_json(&deep).unwrap_err().contains("too deep"));
    }

    #[test]
    fn yaml_is_spelt_as_its_json() {
        let value = Value::from_yaml_str("b: [1, 1.5, yes it is]\na: {x: null, y: true}\n").unwrap();
        assert_eq!(of_value(&value).as_deref(), Ok(r#"{"a":{"x":null,"y":true},"b":[1,1.5,"yes it is"]}"#));
    }

    #[test]
    fn numbers_of_yaml_are_those_of_go() {
        let text = "[1.0, 1e21, 1.5e-7, 1e20, 0.1, 18446744073709551615, -0.0, 123456789.5]";
        let value = Value::from_yaml_str(text).unwrap();
        let wanted = "[1,1e+21,1.5e-7,100000000000000000000,0.1,18446744073709551615,-0,123456789.5]";
        assert_eq!(of_value(&value).as_deref(), Ok(wanted));
    }
}
