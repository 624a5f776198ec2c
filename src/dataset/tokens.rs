//! How many tokens texts have, by a tokenizer of Hugging Face.

use std::path::Path;

use super::example::ChatMessage;
use crate::error::{Error, Result};

/// Counts tokens.
#[cfg(feature = "tokenizer")]
pub(super) struct Tokens(tokenizers::Tokenizer);

/// What a program that was built without it has instead.
#[cfg(not(feature = "tokenizer"))]
pub(super) struct Tokens(std::convert::Infallible);

impl Tokens {
    /// The tokenizer in a `tokenizer.json`.
    #[cfg(feature = "tokenizer")]
    pub(super) fn open(path: &Path) -> Result<Tokens> {
        let failed = |error: tokenizers::Error| {
            let (expected, found) = ("a tokenizer.json of Hugging Face", format!("{}: {error}", path.display()));
            Error::Usage { setting: "--tokenizer", expected: expected.to_owned(), found }
        };
        std::fs::metadata(path).map_err(Error::file("read", path))?;
        let mut tokenizer = tokenizers::Tokenizer::from_file(path).map_err(failed)?;
        // Texts are counted whole, and nothing beside them.
        tokenizer.with_truncation(None).map_err(failed)?;
        tokenizer.with_padding(None);
        Ok(Tokens(tokenizer))
    }

    #[cfg(not(feature = "tokenizer"))]
    pub(super) fn open(path: &Path) -> Result<Tokens> {
        let expected = "a program that was built with `--features tokenizer`".to_owned();
        Err(Error::Usage { setting: "--tokenizer", expected, found: path.display().to_string() })
    }

    /// The tokens of messages, without those that a chat template puts between them.
    #[cfg(feature = "tokenizer")]
    pub(super) fn count(&self, said: &[ChatMessage<'_>]) -> Result<u64> {
        let mut count = 0;
        for text in said.iter().flat_map(ChatMessage::texts) {
            let encoded = self.0.encode_fast(text, false);
            let failed = |error: tokenizers::Error| Error::Bug { place: "the tokenizer", found: error.to_string() };
            count += encoded.map_err(failed)?.len() as u64;
        }
        Ok(count)
    }

    #[cfg(not(feature = "tokenizer"))]
    pub(super) fn count(&self, _: &[ChatMessage<'_>]) -> Result<u64> {
        match self.0 {}
    }
}

#[cfg(all(test, feature = "tokenizer"))]
mod tests {
    use super::*;

    const WORDS: &str = r#"{"version":"1.0","truncation":{"direction":"Right","max_length":2,"strategy":"LongestFirst","stride":0},"padding":null,"added_tokens":[],"normalizer":null,
        "pre_tokenizer":{"type":"Whitespace"},"post_processor":null,"decoder":null,
        "model":{"type":"WordLevel","vocab":{"?":0,"one":1,"two":2},"unk_token":"?"}}"#;

    #[test]
    fn tokens_are_those_of_the_tokenizer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        assert!(Tokens::open(&path).is_err());
        std::fs::write(&path, "{}").unwrap();
        assert!(Tokens::open(&path).is_err());
        std::fs::write(&path, WORDS).unwrap();
        let said = |content: &'static str| ChatMessage { role: "user", content, reasoning_content: None, images: &[] };
        let tokens = Tokens::open(&path).unwrap();
        assert_eq!(tokens.count(&[said("one two, three"), said(""), said("two")]).unwrap(), 5);
    }
}
