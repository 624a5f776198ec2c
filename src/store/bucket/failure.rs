//! What the stores and their client say when something goes wrong, and which kind of failure that is.

use crate::store::{FailureKind, StoreFailure};

impl StoreFailure {
    pub(super) fn new(kind: FailureKind, words: impl Into<String>) -> StoreFailure {
        StoreFailure { kind, words: words.into() }
    }

    /// From all that an error and its causes say.
    pub(super) fn of(error: &dyn std::error::Error) -> StoreFailure {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(inner) = cause {
            let words = inner.to_string();
            if !text.contains(&words) {
                text = format!("{text}: {words}");
            }
            cause = inner.source();
        }
        StoreFailure { kind: kind_of(&text), words: words_of(&text) }
    }
}

/// What the text of a failure shows it to be, by the codes and words that the stores and the client use.
const SIGNS: [(FailureKind, &[&str]); 7] = [
    (FailureKind::Clock, &["RequestTimeTooSkewed", "RequestExpired"]),
    (
        FailureKind::Region,
        &[
            "AuthorizationHeaderMalformed",
            "PermanentRedirect",
            "IllegalLocationConstraint",
            "incorrectly configured region",
        ],
    ),
    (FailureKind::NoBucket, &["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]),
    (
        FailureKind::Credentials,
        &[
            "InvalidAccessKeyId",
            "SignatureDoesNotMatch",
            "ExpiredToken",
            "InvalidToken",
            "AuthenticationFailed",
            "401 Unauthorized",
            "no credentials",
            "Missing SecretAccessKey",
            "Missing AccessKeyId",
            "token request",
            "Account must be specified",
            "InvalidAuthenticationInfo",
            "NoAuthenticationInformation",
        ],
    ),
    (FailureKind::Denied, &["AccessDenied", "403 Forbidden", "AuthorizationPermissionMismatch", "AllAccessDisabled"]),
    (FailureKind::PlainHttp, &["URL scheme is not allowed"]),
    (
        FailureKind::Unreachable,
        &[
            "error sending request",
            "Connection refused",
            "dns error",
            "timed out",
            "connection closed",
            "connection reset",
        ],
    ),
];

fn kind_of(text: &str) -> FailureKind {
    let is_of = |(_, signs): &&(FailureKind, &[&str])| signs.iter().any(|sign| text.contains(sign));
    SIGNS.iter().find(is_of).map_or(FailureKind::Other, |(kind, _)| *kind)
}

/// Status, code and message where the store sent them; else the text without the queries of addresses.
fn words_of(text: &str) -> String {
    let element = |name: &str| {
        let (_, rest) = text.split_once(&format!("<{name}>"))?;
        rest.split_once("</").map(|(value, _)| value.trim().to_owned())
    };
    let status = text.split_once("status code: ").and_then(|(_, rest)| rest.split_once(':')).map(|(status, _)| status);
    match (status, element("Code"), element("Message")) {
        (status, Some(code), message) => {
            let status = status.map(|status| format!("{status}, ")).unwrap_or_default();
            let message =
                message.and_then(|message| Some(format!(": {}", message.lines().next()?))).unwrap_or_default();
            format!("{status}{code}{message}")
        }
        _ => without_queries(
            text.strip_prefix("Generic ").and_then(|rest| rest.split_once(" error: ")).map_or(text, |(_, rest)| rest),
        ),
    }
}

fn without_queries(text: &str) -> String {
    let shown = text.split_inclusive(char::is_whitespace).map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?… "),
        _ => word.to_owned(),
    });
    shown.collect::<String>().trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str) -> StoreFailure {
        StoreFailure::of(&std::io::Error::other(text.to_owned()))
    }

    #[test]
    fn what_the_store_said_is_told_in_short() {
        let denied = of("The operation lacked the necessary privileges to complete for path x: Error performing PUT \
            http://h/b/x in 3ms - Server returned non-2xx status code: 403 Forbidden: <?xml version=\"1.0\"?><Error>\
            <Code>AccessDenied</Code><Message>Access Denied</Message><HostId>secret</HostId></Error>");
        assert_eq!(
            (denied.kind, denied.to_string().as_str()),
            (FailureKind::Denied, "403 Forbidden, AccessDenied: Access Denied")
        );
    }

    #[test]
    fn each_usual_mistake_is_known_by_what_is_said() {
        let status = |status: &str, code: &str| {
            format!(
                "Server returned non-2xx status code: {status}: <Error><Code>{code}</Code><Message>m</Message></Error>"
            )
        };
        for (text, kind) in [
            ("Generic S3 error: no credentials of AWS: none are set".to_owned(), FailureKind::Credentials),
            (status("403 Forbidden", "InvalidAccessKeyId"), FailureKind::Credentials),
            (status("400 Bad Request", "ExpiredToken"), FailureKind::Credentials),
            (status("403 Forbidden", "AccessDenied"), FailureKind::Denied),
            (status("403 Forbidden", "RequestTimeTooSkewed"), FailureKind::Clock),
            (status("400 Bad Request", "AuthorizationHeaderMalformed"), FailureKind::Region),
            (status("301 Moved Permanently", "PermanentRedirect"), FailureKind::Region),
            (status("404 Not Found", "NoSuchBucket"), FailureKind::NoBucket),
            (status("404 Not Found", "ContainerNotFound"), FailureKind::NoBucket),
            (status("404 Not Found", "NoSuchKey"), FailureKind::Other),
            (
                "Error performing GET http://h/x in 1s - HTTP error: error sending request".to_owned(),
                FailureKind::Unreachable,
            ),
        ] {
            assert_eq!(of(&text).kind, kind, "{text}");
        }
        assert_eq!(
            of("Generic S3 error: no credentials of AWS: none are set").to_string(),
            "no credentials of AWS: none are set"
        );
    }

    #[test]
    fn a_signature_in_an_address_is_not_told() {
        let other = of("Error performing GET https://a.example/c/x?sv=1&sig=SECRET in 2ms - error sending request");
        assert_eq!(other.kind, FailureKind::Unreachable);
        assert!(!other.to_string().contains("SECRET") && other.to_string().contains("in 2ms"), "{other}");
    }
}
