//! Where a task says that the bytes of its attachments are, before its rows are made.

use bumpalo::Bump;

use crate::json::{Member, Value};
use crate::parse::tree_of;

/// What an attachment tells of its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attachment<'a> {
    /// The bytes themselves, in base64.
    pub content: Option<&'a str>,
    /// Where they are.
    pub url: Option<&'a str>,
    /// Where Scale has them.
    pub scale_url: Option<&'a str>,
    /// Where the transcript of a recording is.
    pub transcript_url: Option<&'a str>,
}

/// Hands out the attachments of a task's messages. What can't be read has none: why, its rows would tell.
pub fn each_attachment(task: &[u8], mut each: impl FnMut(Attachment<'_>)) {
    let arena = Bump::new();
    let Ok(document) = tree_of(task, &arena) else { return };
    let Value::Object(task) = document.root else { return };
    for thread in objects(task, "threads") {
        for turn in objects(thread, "turns") {
            for message in objects(turn, "messages") {
                let Some(Value::Object(content)) = member(message, "content") else { continue };
                for attachment in objects(content, "attachments") {
                    let text = |key| match member(attachment, key) {
                        Some(Value::String(text)) => Some(text),
                        _ => None,
                    };
                    let (content, transcript_url) = (text("content"), text("transcript_url"));
                    each(Attachment { content, url: text("url"), scale_url: text("scale_url"), transcript_url });
                }
            }
        }
    }
}

fn member<'a>(members: &[Member<'a>], key: &str) -> Option<Value<'a>> {
    members.iter().find(|member| member.key == key).map(|member| member.value)
}

fn objects<'a>(members: &[Member<'a>], key: &str) -> impl Iterator<Item = &'a [Member<'a>]> {
    let elements = match member(members, key) {
        Some(Value::Array(elements)) => elements,
        _ => &[],
    };
    elements.iter().filter_map(|element| match element {
        Value::Object(members) => Some(*members),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attachments_are_found_where_their_rows_will_be_made_from() {
        let task = br#"{"attachments": [{"url": "no"}], "threads": [null, {"turns": [{"messages": [
            {"content": {"attachments": [{"url": "a", "scale_url": 3}, 5, {"content": "b", "transcript_url": "c"}]}},
            {"attachments": [{"url": "no"}]}]}]}]}"#;
        let mut found = Vec::new();
        each_attachment(task, |Attachment { content, url, scale_url, transcript_url }| {
            found.push([content, url, scale_url, transcript_url].map(|text| text.map(str::to_owned)));
        });
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found, [[None, text("a"), None, None], [text("b"), None, None, text("c")]]);
        each_attachment(b"{\"attachments\": ", |_| unreachable!("it is no JSON"));
    }
}
