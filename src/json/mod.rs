//! JSON text: what it says and where its values end. Knows nothing of tasks and touches no file.

mod block;
pub mod number;
pub mod redact;
pub mod scan;
pub mod text;
pub mod tree;

pub use number::Number;
pub use redact::{redact, replace_values};
pub use tree::{Member, Value, read};

/// Appends a value as compact JSON.
pub fn write(value: &Value<'_>, to: &mut String) {
    match value {
        Value::Null => to.push_str("null"),
        Value::Boolean(true) => to.push_str("true"),
        Value::Boolean(false) => to.push_str("false"),
        Value::Number(number) => to.push_str(number),
        Value::String(string) => text::write_string(string, to),
        Value::Array(elements) => {
            to.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write(element, to);
            }
            to.push(']');
        }
        Value::Object(members) => {
            to.push('{');
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    to.push(',');
                }
                write_key(member.key, to);
                write(&member.value, to);
            }
            to.push('}');
        }
    }
}

/// Appends a key and its colon.
pub fn write_key(key: &str, to: &mut String) {
    text::write_string(key, to);
    to.push(':');
}
