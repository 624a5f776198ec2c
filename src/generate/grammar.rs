//! The sentences, as templates: plain text with `<slots>`. A slot names a class of words, a number, `<an>` (the
//! article that fits the next word), or another set of templates.

use super::vocabulary::Class;

/// A set of templates, one of which is drawn.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Symbol {
    /// A subject or object in the singular.
    Thing,
    /// A subject or object in the plural.
    Things,
    /// Either of the two.
    Object,
    /// A preposition with its object, or another adverbial.
    Where,
    /// A clause with its subject and verb.
    Clause,
    /// What stands before a clause.
    Opener,
    /// A whole sentence of an answer.
    Sentence,
    /// The first sentence of a prompt.
    Request,
    /// The last sentence of a prompt.
    Wish,
    /// The text of a list item.
    Item,
    /// A heading, without marks.
    Heading,
    /// A block of code, with fences.
    Code,
    /// One sentence of a labeller.
    Verdict,
    /// A requirement of a rubric.
    Criterion,
}

/// A piece of a template.
#[derive(Clone, Copy)]
pub(super) enum Piece {
    /// Text as it stands.
    Literal(&'static str),
    /// A word of that class.
    Word(Class),
    /// A template of that set.
    Expand(Symbol),
    /// A number from 2 to 99, at times larger.
    Number,
    /// `a` or `an`, by the word that follows.
    Article,
}

/// All symbols, in the order of [`Symbol`].
const SYMBOLS: [(Symbol, &str); 14] = [
    (Symbol::Thing, THING),
    (Symbol::Things, THINGS),
    (Symbol::Object, OBJECT),
    (Symbol::Where, WHERE),
    (Symbol::Clause, CLAUSE),
    (Symbol::Opener, OPENER),
    (Symbol::Sentence, SENTENCE),
    (Symbol::Request, REQUEST),
    (Symbol::Wish, WISH),
    (Symbol::Item, ITEM),
    (Symbol::Heading, HEADING),
    (Symbol::Code, CODE),
    (Symbol::Verdict, VERDICT),
    (Symbol::Criterion, CRITERION),
];

/// The parsed templates.
pub(super) struct Grammar {
    rules: Vec<Vec<Vec<Piece>>>,
}

impl Grammar {
    /// Parses the embedded templates.
    pub(super) fn new() -> Self {
        let rules = SYMBOLS.iter().map(|(symbol, templates)| parse_rule(*symbol, templates)).collect();
        Self { rules }
    }

    /// The templates of a symbol.
    pub(super) fn templates(&self, symbol: Symbol) -> &[Vec<Piece>] {
        self.rules.get(symbol as usize).map_or(&[], Vec::as_slice)
    }
}

/// Templates stand one a line; those of code, which have lines of their own, are divided by `~~~`.
fn parse_rule(symbol: Symbol, templates: &'static str) -> Vec<Vec<Piece>> {
    let separator = if symbol == Symbol::Code { "\n~~~\n" } else { "\n" };
    templates.trim().split(separator).map(parse_template).collect()
}

fn parse_template(template: &'static str) -> Vec<Piece> {
    let mut parts = template.split('<');
    let mut pieces = vec![Piece::Literal(parts.next().unwrap_or_default())];
    for part in parts {
        match part.split_once('>').and_then(|(name, rest)| Some((slot(name)?, rest))) {
            Some((piece, rest)) => pieces.extend([piece, Piece::Literal(rest)]),
            None => pieces.extend([Piece::Literal("<"), Piece::Literal(part)]),
        }
    }
    pieces.retain(|piece| !matches!(piece, Piece::Literal("")));
    pieces
}

fn slot(name: &str) -> Option<Piece> {
    Some(match name {
        "noun" => Piece::Word(Class::Noun),
        "nouns" => Piece::Word(Class::Nouns),
        "verb" => Piece::Word(Class::Verb),
        "verbs" => Piece::Word(Class::Verbs),
        "past" => Piece::Word(Class::Past),
        "participle" => Piece::Word(Class::Participle),
        "gerund" => Piece::Word(Class::Gerund),
        "adjective" => Piece::Word(Class::Adjective),
        "adverb" => Piece::Word(Class::Adverb),
        "preposition" => Piece::Word(Class::Preposition),
        "name" => Piece::Word(Class::Name),
        "foreign" => Piece::Word(Class::Foreign),
        "number" => Piece::Number,
        "an" => Piece::Article,
        "thing" => Piece::Expand(Symbol::Thing),
        "things" => Piece::Expand(Symbol::Things),
        "object" => Piece::Expand(Symbol::Object),
        "where" => Piece::Expand(Symbol::Where),
        "clause" => Piece::Expand(Symbol::Clause),
        "opener" => Piece::Expand(Symbol::Opener),
        _ => return None,
    })
}

const THING: &str = "
the <noun>
the <noun>
the <adjective> <noun>
<an><noun>
<an><adjective> <noun>
<an><adjective> <noun>
this <noun>
that <noun>
each <noun>
its <noun>
your <adjective> <noun>
our <noun>
their <noun>
another <noun>
every <adjective> <noun>
the <noun> of <object>
the <noun> <noun>
the <adverb> <participle> <noun>
the first <noun>
the most <adjective> <noun>
the <noun> that <clause>
<name>
<name>'s <noun>
\"<noun>\"
one <noun>
";

const THINGS: &str = "
<nouns>
<adjective> <nouns>
<adjective> <nouns>
the <nouns>
the <adjective> <nouns>
some <nouns>
many <adjective> <nouns>
most <nouns>
these <nouns>
those <adjective> <nouns>
<number> <nouns>
all <nouns>
<noun> <nouns>
<adjective> and <adjective> <nouns>
<nouns> and <nouns>
both the <noun> and the <noun>
<nouns>, <nouns> and <nouns>
several <participle> <nouns>
few <nouns>
";

const OBJECT: &str = "
<thing>
<thing>
<thing>
<things>
<things>
it
";

const WHERE: &str = "
<preposition> <thing>
<preposition> <things>
<preposition> <object>
<preposition> <adjective> <nouns>
<adverb>
<preposition> <gerund> <object>
in order to <verb> <object>
so that <clause>
as <adjective> as <thing>
by <gerund> <object>
because <clause>
when <clause>
while <gerund> <things>
";

const CLAUSE: &str = "
<thing> <verbs> <object>
<thing> <past> <object>
<thing> <adverb> <past> <object>
<thing> <verbs> <object> <where>
<thing> is <adjective>
<thing> was <participle> <where>
<thing> can <verb> <object>
<thing> will <verb> <object> <where>
<thing> has <participle> <object>
<thing> is <adverb> <adjective>
<things> <verb> <object>
<things> are <adjective>
<things> <adverb> <verb> <object>
<things> <past> <object> <where>
<things> should <verb> <object>
<things> have been <participle> <where>
<things> were <gerund> <object>
you can <verb> <object> <where>
you may want to <verb> <object>
we <past> <object> <where>
it <verbs> <object>
there are <things> <where>
there is <thing> <where>
it is <adjective> to <verb> <object>
they <verb> <object>
";

const OPENER: &str = "
However,
In addition,
For example,
As a result,
In <name>,
In practice,
If <clause>,
When <clause>,
Although <clause>,
After <gerund> <object>,
By <gerund> <object>,
Without <things>,
Of course,
Because <clause>,
To <verb> <object>,
On the other hand,
Since <clause>,
<adverb>,
";

const SENTENCE: &str = "
<clause>.
<clause>.
<clause>.
<clause> <where>.
<clause> <where>.
<clause> <where>.
<clause>, and <clause>.
<clause>, but <clause>.
<clause>, which <verbs> <object>.
<opener> <clause>.
<opener> <clause>.
<opener> <clause> <where>.
<opener> <clause>, and <clause>.
<clause>; <clause>.
<clause>: <things>, <things> and <things>.
<clause> (<things> <where>).
<gerund> <object> <verbs> <object>.
<thing> \"<verbs> <object>\", as <name> <past>.
\"<clause>,\" <name> said.
<clause> – <clause>.
<clause>, so <clause>.
<name> and <name> <past> <object> <where>.
<thing> (also called \"<adjective> <noun>\") <verbs> <object>.
<things> such as <foreign> <verb> <object>.
**<thing>** <verbs> <object> <where>.
About <number>% of <things> <verb> <object>.
`<noun>_<noun>` <verbs> <object>.
It doesn't <verb> <object>, but it <verbs> <object>.
Don't <verb> <object> <where>!
Why does <thing> <verb> <object>?
";

const REQUEST: &str = "
Can you explain how <thing> <verbs> <object>?
Write <an><adjective> <noun> about <thing> and <object>.
Please <verb> the following <noun> and <verb> <object> <where>.
How do I <verb> <object> <where>?
What is the difference between <thing> and <thing>?
I am trying to <verb> <object>, but <clause>.
Give me <number> <adjective> <nouns> for <thing> that <verbs> <object>.
Summarize this <noun>: <clause>, and <clause>.
I have <number> <nouns> and <an><adjective> <noun>. How should I <verb> them <where>?
Translate \"<clause>\" so that <thing> <verbs> <object>.
Why do <things> <verb> <object> <where>?
You are <an><adjective> <noun>. <clause>. Help me <verb> <object>.
My <noun> <past> <object>, and now <clause>. What can I do?
Create <an><noun> plan to <verb> <object> <where>.
Rewrite the <noun> so that <clause> and <clause>.
Suggest <adjective> <nouns> for <an><noun> who <verbs> <object>.
";

const WISH: &str = "
Keep it under <number>0 words and <verb> <object>.
Please mention <thing> and <things>.
Use <an><adjective> tone for <things>.
Don't <verb> <object>, and <verb> <things> <where>.
Is <thing> <adjective> enough <where>?
Answer with <number> <nouns> and <an><noun>, please.
It should <verb> <object> without <gerund> <things>.
Thanks! Also <verb> <object>.
";

const ITEM: &str = "
**<adjective> <noun>**: <clause>.
**<noun>**: <verb> <object> <where>.
<verb> <object> <where>.
<verb> <object> and <verb> <object>
<adjective> <nouns> <where> (<number> <nouns>)
<thing> <verbs> <object>
<gerund> <object> <where>
\"<adjective> <noun>\": <things> <where>
";

const HEADING: &str = "
<adjective> <nouns>
How to <verb> <things>
The <noun> of <things>
<gerund> <adjective> <nouns>
Step <number>: <verb> <object>
<noun> and <noun>
";

const CODE: &str = "
```python
def <verb>_<noun>(<nouns>, <noun>=<number>):
    \"\"\"<verb> <object> <where>.\"\"\"
    <noun>_<noun> = []
    for <noun> in <nouns>:
        if <noun>.<verb>(\"<adjective>_<noun>\") > <number>:
            # <clause>
            <noun>_<nouns>.append(<noun>[\"<noun>\"])
    return <noun>_<nouns>
```
~~~
```rust
fn <verb>_<noun>(<nouns>: &[<noun>], <noun>: u32) -> Option<&str> {
    let <adjective>_<noun> = <nouns>.iter().filter(|<noun>| <noun>.<verb>() >= <number>);
    println!(\"<noun> {}: <clause>\\n\", <noun>);
    <adjective>_<noun>.next()
}
```
~~~
```sql
SELECT <noun>_id, <noun>, COUNT(<noun>) AS <adjective>_<nouns>
FROM <adjective>_<nouns> JOIN <nouns> USING (<noun>_id)
WHERE <noun> = '<adjective> <noun>' AND <noun>_<noun> > <number>
GROUP BY <noun>_id, <noun>;
```
~~~
```json
{
\t\"<noun>\": <number>,
\t\"<adjective>_<nouns>\": [\"<noun>\", \"<noun>\", \"<noun> <noun>\"],
\t\"<noun>_<noun>\": {\"<noun>\": \"<clause>\", \"path\": \"C:\\\\<nouns>\\\\<noun>.txt\"}
}
```
~~~
```bash
# <clause>
<verb>-<noun> --<noun> <number> --<noun>=\"<adjective>\" ./<nouns>/<noun>.log | grep -v '<noun>' > /tmp/<noun>_<number>.txt
```
";

const VERDICT: &str = "
The response <past> <object>, but <clause>.
It ignores <thing> and <verbs> <object>.
The claim about <thing> is <adjective>, because <clause>.
This answer is more <adjective> than the other one: <clause>.
<clause>, which makes the <noun> hard to <verb>.
The second paragraph <verbs> <object> <where>.
I prefer this response since <clause>.
There is <an><adjective> <noun> in the part on <things>.
All constraints are met except the one on <things>.
The tone is <adjective>, and <clause>.
";

const CRITERION: &str = "
The response should <verb> <object> <where>.
The answer mentions that <clause>.
The response <adverb> <verbs> <object> and <things>.
The answer does not <verb> <object>.
The code must <verb> <object> without <gerund> <things>.
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_symbol_stands_at_its_own_place() {
        for (place, (symbol, _)) in SYMBOLS.iter().enumerate() {
            assert_eq!(*symbol as usize, place);
        }
    }

    #[test]
    fn knows_every_slot_but_the_brackets_of_code() {
        let known = |piece: &Piece| !matches!(piece, Piece::Literal("<"));
        for (symbol, templates) in SYMBOLS.iter().filter(|(symbol, _)| *symbol != Symbol::Code) {
            assert!(parse_rule(*symbol, templates).iter().flatten().all(known));
        }
    }
}
