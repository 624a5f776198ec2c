//! `next_token`: opaque, and good for one query alone.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// Characters that mean something in an address, so that only clients that encode the token get on.
const FRONT: &str = "+/";
const BACK: &str = "=& %2B#?";

/// Tells forged tokens from ours.
const SEAL_SEED: u64 = 0x7a61_6573_6361_6c65;

/// A place in the listing of one query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Token {
    /// Position of the next entity.
    pub(super) position: u64,
    /// Hash of the query.
    pub(super) query: u64,
    /// Differs for every token handed out, so that one that expired does not come again.
    pub(super) serial: u64,
}

impl Token {
    /// The token as clients see it.
    pub(super) fn write(self) -> String {
        let mut bytes = [self.position, self.query, self.serial].map(u64::to_be_bytes).concat();
        bytes.extend_from_slice(&xxh3_64_with_seed(&bytes, SEAL_SEED).to_be_bytes());
        format!("{FRONT}{}{BACK}", STANDARD.encode(bytes))
    }

    /// Reads what a client gave back.
    pub(super) fn read(text: &str) -> Option<Token> {
        let bytes = STANDARD.decode(text.strip_prefix(FRONT)?.strip_suffix(BACK)?).ok()?;
        let (numbers, rest) = bytes.as_chunks::<8>();
        let [position, query, serial, seal] = <[[u8; 8]; 4]>::try_from(numbers).ok()?.map(u64::from_be_bytes);
        let sealed = xxh3_64_with_seed(bytes.get(..24)?, SEAL_SEED);
        (rest.is_empty() && seal == sealed).then_some(Token { position, query, serial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read_back_and_forged_ones_are_not() {
        let token = Token { position: 5, query: 7, serial: u64::MAX };
        let text = token.write();
        assert_eq!(Token::read(&text), Some(token));
        assert!("+/=& %".chars().all(|odd| text.contains(odd)), "{text}");
        for forged in ["", "5", &text.replace('A', "B"), &text.replace('+', " "), text.trim_end_matches('?')] {
            assert_eq!(Token::read(forged), None, "{forged}");
        }
    }
}
