//! Where the bytes of an attachment are said to lie.

use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The addresses of one content, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses<'a> {
    kind: Kind,
    each: [Option<&'a str>; 2],
}

/// What lies there: a transcript has fewer columns that tell of it than a content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Content,
    Transcript,
}

impl<'a> Addresses<'a> {
    /// Of an attachment: Scale's copy stays longer than the customer's.
    pub fn of_content(scale_url: Option<&'a str>, url: Option<&'a str>) -> Addresses<'a> {
        Addresses { kind: Kind::Content, each: [scale_url, url.filter(|url| scale_url != Some(url))].map(given) }
    }

    /// Of the transcript of a recording.
    pub fn of_transcript(transcript_url: Option<&'a str>) -> Addresses<'a> {
        Addresses { kind: Kind::Transcript, each: [given(transcript_url), None] }
    }

    /// Those that there are.
    pub fn each(self) -> impl Iterator<Item = &'a str> {
        self.each.into_iter().flatten()
    }

    /// What tells the content from others, whoever signed for how long; `None` where there is no address.
    pub fn key(self) -> Option<u128> {
        let mut text = String::new();
        for address in self.each() {
            push_unsigned(address, &mut text);
            text.push('\0');
        }
        let seed = match self.kind {
            Kind::Content => 0,
            Kind::Transcript => 1,
        };
        (!text.is_empty()).then(|| xxh3_128_with_seed(text.as_bytes(), seed))
    }
}

fn given(address: Option<&str>) -> Option<&str> {
    address.map(str::trim).filter(|address| !address.is_empty())
}

/// Parameters that say who may ask, and until when: Amazon's (two versions and CloudFront), Google's, Microsoft's.
const OF_SIGNATURES: [&str; 28] = [
    "AWSAccessKeyId",
    "KeyName",
    "URLPrefix",
    "hdnea",
    "hdnts",
    "Expires",
    "GoogleAccessId",
    "Key-Pair-Id",
    "Policy",
    "Signature",
    "se",
    "si",
    "sig",
    "sip",
    "ske",
    "skoid",
    "sks",
    "skt",
    "sktid",
    "skv",
    "sp",
    "spr",
    "sr",
    "srt",
    "ss",
    "st",
    "sv",
    "sdd",
];

/// Those that make an address a signed one, in lower case.
const SIGNATURES: [&str; 6] = ["x-amz-signature", "x-goog-signature", "signature", "sig", "hdnea", "hdnts"];

const OF_SIGNATURES_BEGIN: [&str; 2] = ["X-Amz-", "X-Goog-"];

/// Appends an address without what its signature brings along. What else stands in its query may tell one content from another.
fn push_unsigned(address: &str, to: &mut String) {
    let name_of = |parameter: &str| parameter.split('=').next().unwrap_or_default().to_ascii_lowercase();
    let is_signature = |parameter| SIGNATURES.contains(&name_of(parameter).as_str());
    let signed = address.split_once('?').filter(|(_, query)| query.split('&').any(is_signature));
    let Some((before, query)) = signed else { return to.push_str(address) };
    to.push_str(before);
    let is_of_signature = |parameter: &&str| {
        let name = parameter.split('=').next().unwrap_or_default();
        let begins = |begin: &&str| name.get(..begin.len()).is_some_and(|own| own.eq_ignore_ascii_case(begin));
        OF_SIGNATURES.iter().any(|own| name.eq_ignore_ascii_case(own)) || OF_SIGNATURES_BEGIN.iter().any(begins)
    };
    for parameter in query.split('&').filter(|parameter| !is_of_signature(parameter)) {
        to.push('?');
        to.push_str(parameter);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(url: &str) -> u128 {
        Addresses::of_content(None, Some(url)).key().unwrap()
    }

    #[test]
    fn an_address_is_the_same_however_often_it_is_signed_anew() {
        for (one, other) in [
            ("https://a/b?X-Amz-Date=1&X-Amz-Signature=1&id=7", "https://a/b?id=7&X-Amz-Signature=2"),
            ("https://a/b?Expires=1&Signature=x&Key-Pair-Id=K", "https://a/b?Expires=2&Signature=y&Key-Pair-Id=L"),
            ("https://a/b?x-amz-security-token=1&Signature=1", "https://a/b?Signature=2&x-amz-security-token=2"),
            ("https://a/b?expires=1&signature=1", "https://a/b?expires=2&signature=2"),
            ("https://a/b?Expires=1&KeyName=k&Signature=1", "https://a/b?Expires=2&KeyName=l&Signature=2"),
            ("https://a/b?sv=2022&se=1&sp=r&sig=x", "https://a/b?sv=2022&se=2&sp=r&sig=y"),
        ] {
            assert_eq!(key(one), key(other), "{one} {other}");
        }
        let others = [
            "https://a/b?id=7&Signature=x",
            "https://a/b?id=8&Signature=x",
            "https://a/b",
            "https://a/b?Expires=1",
            "https://a/b?Expires=2",
        ];
        let keys = others.map(key).into_iter().collect::<std::collections::HashSet<_>>();
        assert_eq!(keys.len(), others.len());
        assert_ne!(Addresses::of_transcript(Some("https://a/b")).key(), Some(key("https://a/b")));
    }

    #[test]
    fn of_two_equal_addresses_one_is_asked() {
        let both = |scale_url, url| Addresses::of_content(scale_url, url).each().collect::<Vec<_>>();
        assert_eq!(both(Some("a"), Some("a")), ["a"]);
        assert_eq!(both(Some("a"), Some("b")), ["a", "b"]);
        assert_eq!(both(Some(" "), Some("b")), ["b"]);
        assert_eq!(Addresses::of_content(None, Some("")).key(), None);
    }
}
