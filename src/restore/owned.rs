//! JSON that owns itself and keeps numbers as they are spelled, and members in their order: columns of JSON are written from it again.
//!
//! serde_json's value would do so too with its feature `arbitrary_precision`, which whoever links this crate would get with it.

use indexmap::IndexMap;

use crate::json::{self, text::write_string};

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Json {
    /// Anything without parts, as JSON spells it.
    Scalar(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(IndexMap<String, Json>),
}

impl Json {
    /// A member of an object.
    pub(super) fn member_mut(&mut self, key: &str) -> Option<&mut Json> {
        match self {
            Json::Object(members) => members.get_mut(key),
            _ => None,
        }
    }

    /// The elements of an array.
    pub(super) fn elements_mut(&mut self) -> Option<&mut Vec<Json>> {
        match self {
            Json::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// Appends the value as compact JSON.
    pub(super) fn write(&self, to: &mut String) {
        match self {
            Json::Scalar(text) => to.push_str(text),
            Json::Array(elements) => {
                to.push('[');
                for (index, element) in elements.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    element.write(to);
                }
                to.push(']');
            }
            Json::Object(members) => {
                to.push('{');
                for (index, (key, value)) in members.iter().enumerate() {
                    if index > 0 {
                        to.push(',');
                    }
                    json::write_key(key, to);
                    value.write(to);
                }
                to.push('}');
            }
        }
    }
}

impl From<&json::Value<'_>> for Json {
    fn from(value: &json::Value<'_>) -> Json {
        match value {
            json::Value::Array(elements) => Json::Array(elements.iter().map(Json::from).collect()),
            json::Value::Object(members) => {
                Json::Object(members.iter().map(|member| (member.key.to_owned(), Json::from(&member.value))).collect())
            }
            scalar => {
                let mut text = String::new();
                json::write(scalar, &mut text);
                Json::Scalar(text)
            }
        }
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Json {
        let mut quoted = String::with_capacity(text.len() + 2);
        write_string(text, &mut quoted);
        Json::Scalar(quoted)
    }
}

impl From<String> for Json {
    fn from(text: String) -> Json {
        Json::from(text.as_str())
    }
}

impl From<bool> for Json {
    fn from(flag: bool) -> Json {
        Json::Scalar(flag.to_string())
    }
}

impl From<i64> for Json {
    fn from(number: i64) -> Json {
        Json::Scalar(number.to_string())
    }
}

impl From<f64> for Json {
    /// Columns hold finite numbers alone.
    fn from(number: f64) -> Json {
        // In the fewest digits that give the same double again, and with a point: `3.0`.
        Json::Scalar(format!("{number:?}"))
    }
}

impl From<&[&str]> for Json {
    fn from(texts: &[&str]) -> Json {
        Json::Array(texts.iter().map(|text| Json::from(*text)).collect())
    }
}

impl From<&[&[&str]]> for Json {
    fn from(groups: &[&[&str]]) -> Json {
        Json::Array(groups.iter().map(|group| Json::from(*group)).collect())
    }
}
