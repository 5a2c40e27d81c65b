//! Canonical JSON (RFC 8785): one text for one value, so that a hash of the text is a hash of the value.
//!
//! Invariants: members are in the order of their names' UTF-16 units; numbers are written as ECMAScript writes a double; no
//! white space. Not here: what a record says. A whole number beyond 2^53 is no exact double: [`exact`] makes text of it first.

use serde_json::{Map, Number, Value};

/// The largest whole number that every reader of JSON keeps exactly.
const EXACT: u64 = 1 << 53;

/// The value as canonical text.
#[must_use]
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

/// The same for an object.
#[must_use]
pub(super) fn canonical_object(map: &Map<String, Value>) -> String {
    let mut text = String::new();
    object(map, &mut text);
    text
}

/// Turns whole numbers that a double cannot hold into text, everywhere in the value.
pub(super) fn exact(value: &mut Value) {
    match value {
        Value::Number(number) if !is_exact(number) => *value = Value::String(number.to_string()),
        Value::Array(items) => items.iter_mut().for_each(exact),
        Value::Object(map) => map.values_mut().for_each(exact),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn is_exact(number: &Number) -> bool {
    let whole = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
    whole.is_none_or(|whole| whole <= EXACT)
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::Null => text.push_str("null"),
        Value::Bool(true) => text.push_str("true"),
        Value::Bool(false) => text.push_str("false"),
        Value::Number(number) => text.push_str(&number_text(number)),
        Value::String(string) => quote(string, text),
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => object(map, text),
    }
}

fn object(map: &Map<String, Value>, text: &mut String) {
    let mut members: Vec<(&String, &Value)> = map.iter().collect();
    members.sort_by(|(one, _), (other, _)| one.encode_utf16().cmp(other.encode_utf16()));
    text.push('{');
    for (index, (name, value)) in members.into_iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        quote(name, text);
        text.push(':');
        write(value, text);
    }
    text.push('}');
}

/// A string in quotes, with the fewest escapes, as the RFC asks.
pub(super) fn quote(string: &str, text: &mut String) {
    text.push('"');
    for letter in string.chars() {
        match letter {
            '"' => text.push_str("\\\""),
            '\\' => text.push_str("\\\\"),
            '\u{8}' => text.push_str("\\b"),
            '\t' => text.push_str("\\t"),
            '\n' => text.push_str("\\n"),
            '\u{c}' => text.push_str("\\f"),
            '\r' => text.push_str("\\r"),
            low if low < ' ' => text.push_str(&format!("\\u{:04x}", u32::from(low))),
            other => text.push(other),
        }
    }
    text.push('"');
}

fn number_text(number: &Number) -> String {
    match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(whole), _, _) if whole <= EXACT => whole.to_string(),
        (_, Some(whole), _) if whole.unsigned_abs() <= EXACT => whole.to_string(),
        (_, _, Some(double)) => double_text(double),
        // Without a feature that is not used here, every number is one of these.
        (_, _, None) => "null".to_owned(),
    }
}

/// `Number::toString` of ECMAScript, from the shortest digits that give the double back.
fn double_text(double: f64) -> String {
    if double == 0.0 {
        return "0".to_owned();
    }
    let scientific = format!("{:e}", double.abs());
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    // The value is 0.DIGITS times ten to the power of `point`.
    let point = exponent.parse::<i32>().unwrap_or_default() + 1;
    let sign = if double < 0.0 { "-" } else { "" };
    format!("{sign}{}", placed(&digits, point))
}

fn placed(digits: &str, point: i32) -> String {
    let count = digits.len() as i32;
    let zeros = |many: i32| "0".repeat(usize::try_from(many).unwrap_or_default());
    if (count..=21).contains(&point) {
        return format!("{digits}{}", zeros(point - count));
    }
    if (1..=21).contains(&point) {
        let (whole, rest) = digits.split_at(point as usize);
        return format!("{whole}.{rest}");
    }
    if (-5..=0).contains(&point) {
        return format!("0.{}{digits}", zeros(-point));
    }
    let (first, rest) = digits.split_at(1);
    let rest = if rest.is_empty() { String::new() } else { format!(".{rest}") };
    format!("{first}{rest}e{:+}", point - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Doubles by their bits, from appendix B of the RFC.
    #[test]
    fn doubles_are_written_as_ecmascript_writes_them() {
        for (bits, text) in [
            (0x0000_0000_0000_0001_u64, "5e-324"),
            (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
            (0x4340_0000_0000_0000, "9007199254740992"),
            (0x4430_0000_0000_0000, "295147905179352830000"),
            (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
            (0x44b5_2d02_c7e1_4af6, "1e+23"),
            (0x444b_1ae4_d6e2_ef4f, "999999999999999900000"),
            (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
            (0x41b3_de43_5555_5553, "333333333.3333332"),
            (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        ] {
            assert_eq!(double_text(f64::from_bits(bits)), text);
        }
        assert_eq!(double_text(-0.0), "0");
    }

    #[test]
    fn members_are_sorted_by_utf16_and_text_is_least_escaped() {
        let value: Value = serde_json::from_str(
            "{\"\\u20ac\":1,\"\\r\":2,\"\\ufb33\":3,\"1\":4,\"\\ud83d\\ude00\":5,\"\\u0080\":6,\"\\u00f6\":7}",
        )
        .unwrap();
        let order: Vec<char> = canonical(&value).chars().filter(|c| ('1'..='7').contains(c)).collect();
        // "1" is a name too; its value is 4.
        assert_eq!(order, ['2', '1', '4', '6', '7', '1', '5', '3']);
        let text = Value::String("\u{20ac}$\u{f}\nA'B\"\\\\\"/\u{7f}".to_owned());
        assert_eq!(canonical(&text), "\"\u{20ac}$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\u{7f}\"");
    }

    #[test]
    fn whole_numbers_keep_their_value() {
        let mut value = serde_json::json!({ "a": [9_007_199_254_740_992_u64, 9_007_199_254_740_993_u64, -5] });
        exact(&mut value);
        assert_eq!(canonical(&value), "{\"a\":[9007199254740992,\"9007199254740993\",-5]}");
    }
}
