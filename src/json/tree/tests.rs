use proptest::prelude::*;

use super::*;

/// serde_json's reading of a text, written out again; `None` where it is no JSON.
fn oracle(text: &str) -> Option<String> {
    serde_json::from_str::<serde_json::Value>(text).ok().map(|value| value.to_string())
}

fn ours(text: &str) -> Result<String, JsonError> {
    let arena = Bump::new();
    let mut written = String::new();
    crate::json::write(&read(text, 127, &arena)?.root, &mut written);
    Ok(written)
}

/// Both readings, with the order of keys left out.
fn agrees(text: &str) {
    let expected = oracle(text).and_then(|text| serde_json::from_str::<serde_json::Value>(&text).ok());
    let found = ours(text).ok().and_then(|text| serde_json::from_str(&text).ok());
    assert_eq!(expected, found, "{text:?}");
}

#[test]
fn reads_what_serde_json_reads_and_refuses_what_it_refuses() {
    for text in [
        "",
        " ",
        "null",
        "nul",
        "nulll",
        "true false",
        "-",
        "-0",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "1E-2",
        "+1",
        "0x1",
        "[]",
        "[1,]",
        "[,1]",
        "[1 2]",
        "{}",
        "{\"a\":1,}",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1 \"b\":2}",
        "[[[]]]",
        "]",
        "\"",
        "\"\\\"",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u00e9\\ud83d\\ude00\\/\"",
        "\"a\tb\"",
        "\"a\u{0}b\"",
        "\u{feff}1",
        "{\"a\":1,\"a\":{\"b\":2}}",
        "\"\u{7f}é😀\"",
        "\"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef012\n\"",
    ] {
        agrees(text);
    }
}

#[test]
fn of_many_keys_the_last_of_each_counts() {
    let text = (0..200).map(|index| format!("\"{}\":{index}", index % 90)).collect::<Vec<_>>().join(",");
    agrees(&format!("{{{text}}}"));
}

#[test]
fn keys_that_become_the_same_keep_their_values() {
    // Here R stands for U+FFFD.
    for (text, expected) in [
        (r#"{"\ud83d":1,"\udc00":2}"#, r#"{"R":1,"RR":2}"#),
        // A key that was spelled so keeps its name, wherever it stands.
        (r#"{"\ud83d":1,"R":2}"#, r#"{"RR":1,"R":2}"#),
        (r#"{"R":1,"a\udfff":2,"\ud800":3,"aR":4}"#, r#"{"R":1,"aRR":2,"RR":3,"aR":4}"#),
        // The same key is still the same, however it is spelled.
        (r#"{"\ud83d":1,"b":2,"\uD83D":3}"#, r#"{"R":3,"b":2}"#),
        (r#"{"x\ud83d":1,"\u0078\ud83d":3}"#, r#"{"xR":3}"#),
        (r#"{"a":1,"\ud83d":1,"a":2}"#, r#"{"a":2,"R":1}"#),
    ] {
        assert_eq!(ours(&text.replace('R', "\u{fffd}")).unwrap(), expected.replace('R', "\u{fffd}"));
    }
}

#[test]
fn of_many_keys_with_lone_surrogates_none_is_lost() {
    let many = (0..100).map(|index| format!(r#""{index}":{index},"\ud8{index:02x}":{index}"#)).collect::<Vec<_>>();
    let (arena, text) = (Bump::new(), format!("{{{}}}", many.join(",")));
    let Value::Object(members) = read(&text, 9, &arena).unwrap().root else { panic!("no object") };
    let keys = members.iter().map(|member| member.key).collect::<std::collections::HashSet<_>>();
    assert_eq!((members.len(), keys.len()), (200, 200));
}

#[test]
fn errors_say_where_and_what() {
    let error = ours(r#"{"a": [1, {"b c": tru}]}"#).unwrap_err();
    assert_eq!(error.path, r#".a[1]["b c"]"#);
    assert_eq!(error.to_string(), "expected a JSON value, found `t` at byte 18");
}

#[test]
fn secrets_are_hidden_while_reading() {
    let found =
        ours(r#"{"workspace_token": {"x": 1}, "y": [{"workspace\u005ftoken": "s"}], "z": {"workspace_token": null}}"#);
    assert_eq!(
        found.unwrap(),
        r#"{"workspace_token":"[redacted]","y":[{"workspace_token":"[redacted]"}],"z":{"workspace_token":null}}"#
    );
}

#[test]
fn nesting_stops_before_the_stack_does() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    let arena = Bump::new();
    assert!(read(&nested(128), 128, &arena).is_ok());
    assert!(read(&nested(129), 128, &arena).unwrap_err().to_string().contains("128 levels"));
    assert!(read(&nested(1_000_000), 128, &arena).is_err());
}

proptest! {
    #[test]
    fn agrees_with_serde_json_on_nearly_json(text in r#"([\[\]{},: ]|"[a-c\\\\"/bfnrtu0-9é]{0,6}"|-?[0-9]{1,3}(\.[0-9]{1,2})?([eE][+-]?[0-9])?|true|null){0,12}"#) {
        // Lone surrogates are where the two differ on purpose.
        prop_assume!(!text.contains("\\ud"));
        agrees(&text);
    }
}
