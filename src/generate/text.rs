//! Prose with the entropy of real language: words drawn by frequency into the templates of the grammar, some of them
//! from the topic of the task.

use super::grammar::{Grammar, Piece, Symbol};
use super::rng::Rng;
use super::vocabulary::{Class, Vocabulary};

/// How many nouns a topic holds.
const TOPIC_NOUNS: usize = 24;

/// How many nouns out of 1,000 come from the topic.
const TOPIC_PER_MILLE: u32 = 250;

/// Below this depth a clause inside a clause is replaced by a short one, so that sentences end.
const DEEPEST: u32 = 5;

/// Writes texts. The last one is kept until the next begins.
pub(super) struct TextWriter {
    vocabulary: Vocabulary,
    grammar: Grammar,
    topic: [u16; TOPIC_NOUNS],
    text: String,
    article_pending: bool,
}

impl TextWriter {
    /// A writer without a topic.
    pub(super) fn new() -> Self {
        Self {
            vocabulary: Vocabulary::new(),
            grammar: Grammar::new(),
            topic: [0; TOPIC_NOUNS],
            text: String::with_capacity(64 << 10),
            article_pending: false,
        }
    }

    /// Draws the nouns that the texts of a task come back to.
    pub(super) fn choose_topic(&mut self, rng: &mut Rng) {
        let count = self.vocabulary.count(Class::Noun);
        for noun in &mut self.topic {
            *noun = u16::try_from(rng.position(count)).unwrap_or(0);
        }
    }

    /// The last text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// A prompt of about `bytes`: a request, at times with context, at times with a wish at its end.
    pub(super) fn prompt(&mut self, rng: &mut Rng, bytes: usize) {
        self.text.clear();
        self.sentence(rng, Symbol::Request);
        if self.text.len() + 80 < bytes {
            self.separate_paragraph();
            self.paragraphs(rng, bytes);
        }
        if rng.chance(400) {
            self.text.push(' ');
            self.sentence(rng, Symbol::Wish);
        }
    }

    /// An answer of about `bytes`, in paragraphs, lists and blocks of code.
    pub(super) fn answer(&mut self, rng: &mut Rng, bytes: usize) {
        self.text.clear();
        self.paragraphs(rng, bytes);
    }

    /// A few sentences in one paragraph, of about `bytes`.
    pub(super) fn note(&mut self, rng: &mut Rng, bytes: usize) {
        self.text.clear();
        self.sentence(rng, Symbol::Verdict);
        while self.text.len() < bytes {
            self.text.push(' ');
            let symbol = if rng.chance(500) { Symbol::Verdict } else { Symbol::Sentence };
            self.sentence(rng, symbol);
        }
    }

    /// A few sentences of instructions.
    pub(super) fn remark(&mut self, rng: &mut Rng) {
        self.text.clear();
        self.sentence(rng, Symbol::Criterion);
        for symbol in [Symbol::Wish, Symbol::Sentence] {
            self.text.push(' ');
            self.sentence(rng, symbol);
        }
    }

    /// One text of a symbol.
    pub(super) fn single(&mut self, rng: &mut Rng, symbol: Symbol) {
        self.text.clear();
        self.sentence(rng, symbol);
    }

    /// One word of the topic.
    pub(super) fn topic_noun(&self, rng: &mut Rng) -> &str {
        self.vocabulary.word(Class::Noun, rng.pick(&self.topic))
    }

    fn paragraphs(&mut self, rng: &mut Rng, bytes: usize) {
        loop {
            match rng.below(100) {
                0..8 => self.list(rng, false),
                8..13 => self.list(rng, true),
                13..18 => self.expand(rng, Symbol::Code, 0),
                18..24 => self.heading(rng, bytes),
                _ => self.prose(rng, bytes),
            }
            if self.text.len() >= bytes {
                break;
            }
            self.separate_paragraph();
        }
    }

    fn separate_paragraph(&mut self) {
        self.text.push_str("\n\n");
    }

    fn prose(&mut self, rng: &mut Rng, bytes: usize) {
        let sentences = rng.between(2, 7);
        for position in 0..sentences {
            if position > 0 {
                self.text.push(' ');
            }
            self.sentence(rng, Symbol::Sentence);
            if self.text.len() >= bytes {
                break;
            }
        }
    }

    fn heading(&mut self, rng: &mut Rng, bytes: usize) {
        self.text.push_str("## ");
        self.sentence(rng, Symbol::Heading);
        self.text.push('\n');
        self.prose(rng, bytes);
    }

    fn list(&mut self, rng: &mut Rng, numbered: bool) {
        self.sentence(rng, Symbol::Clause);
        self.text.push(':');
        for number in 1..=rng.between(3, 7) {
            if numbered {
                self.text.push('\n');
                self.push_number(number);
                self.text.push_str(". ");
            } else {
                self.text.push_str("\n- ");
            }
            self.sentence(rng, Symbol::Item);
        }
    }

    /// Writes one text of the symbol with a capital at its start.
    fn sentence(&mut self, rng: &mut Rng, symbol: Symbol) {
        let start = self.text.len();
        self.expand(rng, symbol, 0);
        if let Some(first) = self.text.get_mut(start..start + 1) {
            first.make_ascii_uppercase();
        }
    }

    fn expand(&mut self, rng: &mut Rng, symbol: Symbol, depth: u32) {
        let templates = self.grammar.templates(symbol).len();
        // The first templates of every set are the short ones, which end the recursion.
        let position = rng.position(if depth > DEEPEST { templates.min(2) } else { templates });
        let mut piece_index = 0;
        while let Some(piece) = self.piece(symbol, position, piece_index) {
            self.write_piece(rng, piece, depth);
            piece_index += 1;
        }
    }

    fn piece(&self, symbol: Symbol, position: usize, index: usize) -> Option<Piece> {
        self.grammar.templates(symbol).get(position)?.get(index).copied()
    }

    fn write_piece(&mut self, rng: &mut Rng, piece: Piece, depth: u32) {
        match piece {
            Piece::Literal(text) => self.text.push_str(text),
            Piece::Word(class) => self.write_word(rng, class),
            Piece::Expand(symbol) => self.expand(rng, symbol, depth + 1),
            Piece::Article => self.article_pending = true,
            Piece::Number => {
                let number = if rng.chance(150) { rng.between(100, 2_099) } else { rng.between(2, 99) };
                self.push_number(number);
            }
        }
    }

    fn write_word(&mut self, rng: &mut Rng, class: Class) {
        let topical = matches!(class, Class::Noun | Class::Nouns) && rng.chance(TOPIC_PER_MILLE);
        let rank = if topical { rng.pick(&self.topic) } else { self.vocabulary.draw(class, rng) };
        let word = self.vocabulary.word(class, rank);
        if self.article_pending {
            self.article_pending = false;
            let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
            self.text.push_str(if vowel { "an " } else { "a " });
        }
        self.text.push_str(word);
    }

    fn push_number(&mut self, number: u32) {
        if number >= 10 {
            self.push_number(number / 10);
        }
        self.text.push(char::from(b'0' + (number % 10) as u8));
    }
}
