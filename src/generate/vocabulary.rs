//! The word tables: every class of word with its inflected forms, drawn with Zipf-like frequencies.

use super::rng::Rng;
use super::words;

/// What a slot of a sentence asks for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A singular noun.
    Noun,
    /// A plural noun.
    Nouns,
    /// A verb as after `to`.
    Verb,
    /// A verb in the third person.
    Verbs,
    /// A verb in the past.
    Past,
    /// A verb as after `has`.
    Participle,
    /// A verb with `-ing`.
    Gerund,
    /// An adjective.
    Adjective,
    /// An adverb.
    Adverb,
    /// A preposition.
    Preposition,
    /// A person or a place.
    Name,
    /// A word outside ASCII.
    Foreign,
}

/// The words of one class and the table they are drawn from.
struct WordList {
    words: Vec<String>,
    slots: Vec<u16>,
}

/// How many equally likely slots the words of a class share: the rarest of 2,000 words keeps about three.
const SLOTS: usize = 1 << 15;

impl WordList {
    /// Gives the word of rank r (from 0) a share proportional to 1 / (r + `flatness`), after Zipf and Mandelbrot.
    fn new(words: Vec<String>, flatness: u64) -> Self {
        let weight = |rank: usize| (1 << 32) / (rank as u64 + flatness);
        let total = (0..words.len()).map(weight).sum::<u64>().max(1);
        let mut slots = Vec::with_capacity(SLOTS);
        let mut sum = 0;
        for rank in 0..words.len() {
            sum += weight(rank);
            let end = usize::try_from(sum * SLOTS as u64 / total).unwrap_or(SLOTS);
            slots.resize(end, u16::try_from(rank).unwrap_or(0));
        }
        Self { words, slots }
    }

    fn draw(&self, rng: &mut Rng) -> u16 {
        rng.pick(&self.slots)
    }

    fn word(&self, rank: u16) -> &str {
        self.words.get(usize::from(rank)).map_or("", String::as_str)
    }
}

/// The word lists of all classes.
pub(super) struct Vocabulary {
    noun: WordList,
    nouns: WordList,
    verb: WordList,
    verbs: WordList,
    past: WordList,
    participle: WordList,
    gerund: WordList,
    adjective: WordList,
    adverb: WordList,
    preposition: WordList,
    name: WordList,
    foreign: WordList,
}

impl Vocabulary {
    /// Inflects the embedded words.
    pub(super) fn new() -> Self {
        let nouns = nouns();
        let forms = verb_forms();
        let verbs = |index: usize| forms.iter().filter_map(|forms| forms.get(index).cloned()).collect();
        Self {
            nouns: WordList::new(nouns.iter().map(|noun| with_s(noun)).collect(), 12),
            noun: WordList::new(nouns, 12),
            verb: WordList::new(verbs(0), 8),
            verbs: WordList::new(verbs(1), 8),
            past: WordList::new(verbs(2), 8),
            gerund: WordList::new(verbs(3), 8),
            participle: WordList::new(verbs(4), 8),
            adjective: WordList::new(adjectives(), 10),
            adverb: WordList::new(adverbs(), 8),
            preposition: WordList::new(owned(words::PREPOSITIONS), 1),
            name: WordList::new(owned(words::NAMES), 20),
            foreign: WordList::new(owned(words::FOREIGN), 20),
        }
    }

    /// Draws the rank of a word.
    pub(super) fn draw(&self, class: Class, rng: &mut Rng) -> u16 {
        self.list(class).draw(rng)
    }

    /// The word of that rank.
    pub(super) fn word(&self, class: Class, rank: u16) -> &str {
        self.list(class).word(rank)
    }

    /// How many words the class holds.
    pub(super) fn count(&self, class: Class) -> usize {
        self.list(class).words.len()
    }

    fn list(&self, class: Class) -> &WordList {
        match class {
            Class::Noun => &self.noun,
            Class::Nouns => &self.nouns,
            Class::Verb => &self.verb,
            Class::Verbs => &self.verbs,
            Class::Past => &self.past,
            Class::Participle => &self.participle,
            Class::Gerund => &self.gerund,
            Class::Adjective => &self.adjective,
            Class::Adverb => &self.adverb,
            Class::Preposition => &self.preposition,
            Class::Name => &self.name,
            Class::Foreign => &self.foreign,
        }
    }
}

fn owned(list: &str) -> Vec<String> {
    list.split_whitespace().map(str::to_owned).collect()
}

/// The nouns of the list, then those derived from verbs.
fn nouns() -> Vec<String> {
    let mut nouns = owned(words::NOUNS);
    for verb in words::VERBS.split_whitespace().filter(|verb| verb.len() > 4) {
        if let Some(stem) = verb.strip_suffix("ate") {
            nouns.push(format!("{stem}ation"));
        } else if verb.ends_with("ize") || verb.ends_with("ect") {
            nouns.push(format!("{}er", verb.trim_end_matches('e')));
        }
    }
    nouns
}

/// Base, third person, past, gerund and participle of every verb; an irregular one after every fourth regular one.
fn verb_forms() -> Vec<[String; 5]> {
    let mut irregular = words::IRREGULAR_VERBS.split_whitespace().map(listed_forms);
    let mut forms = Vec::new();
    for (position, verb) in words::VERBS.split_whitespace().enumerate() {
        if position % 4 == 0 {
            forms.extend(irregular.next());
        }
        forms.push([verb.to_owned(), with_s(verb), past(verb), gerund(verb), past(verb)]);
    }
    forms.extend(irregular);
    forms
}

fn listed_forms(forms: &str) -> [String; 5] {
    let mut parts = forms.split('/').map(str::to_owned);
    std::array::from_fn(|_| parts.next().unwrap_or_default())
}

/// Both lists of adjectives, interleaved so that neither is all rare.
fn adjectives() -> Vec<String> {
    let mut plain = words::PLAIN_ADJECTIVES.split_whitespace().map(str::to_owned);
    let mut adjectives = Vec::new();
    for adjective in words::LATIN_ADJECTIVES.split_whitespace() {
        adjectives.push(adjective.to_owned());
        adjectives.extend(plain.next());
    }
    adjectives
}

fn adverbs() -> Vec<String> {
    let mut adverbs = owned(words::ADVERBS);
    adverbs.extend(words::LATIN_ADJECTIVES.split_whitespace().map(with_ly));
    adverbs
}

/// The stem of a word in a consonant and `y`.
fn consonant_y(word: &str) -> Option<&str> {
    word.strip_suffix('y').filter(|stem| !stem.ends_with(['a', 'e', 'o', 'u']))
}

fn with_s(word: &str) -> String {
    if let Some(stem) = consonant_y(word) {
        format!("{stem}ies")
    } else if ["s", "x", "z", "ch", "sh"].iter().any(|ending| word.ends_with(ending)) {
        format!("{word}es")
    } else {
        format!("{word}s")
    }
}

fn past(verb: &str) -> String {
    if let Some(stem) = consonant_y(verb) {
        format!("{stem}ied")
    } else if verb.ends_with('e') {
        format!("{verb}d")
    } else {
        format!("{verb}ed")
    }
}

fn gerund(verb: &str) -> String {
    match verb.strip_suffix('e') {
        Some(stem) if !stem.ends_with('e') => format!("{stem}ing"),
        _ => format!("{verb}ing"),
    }
}

fn with_ly(adjective: &str) -> String {
    if let Some(stem) = consonant_y(adjective) {
        format!("{stem}ily")
    } else if let Some(stem) = adjective.strip_suffix("le") {
        format!("{stem}ly")
    } else if adjective.ends_with("ic") && adjective != "public" {
        format!("{adjective}ally")
    } else {
        format!("{adjective}ly")
    }
}
