//! A section of the page: numbers with the query that gives them, and a picture of them.

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Words, of the data or ours.
    Text(String),
    /// A number of things.
    Count(u64),
    /// A number, told with so many decimals.
    Number(f64, usize),
    /// A share from 0 to 1, told in percent.
    Share(f64),
    /// Nothing.
    Empty,
}

impl Cell {
    /// A name of the data, where it has one.
    pub(super) fn name(name: &Option<String>) -> Cell {
        name.as_ref().map_or(Cell::Empty, |name| Cell::Text(name.clone()))
    }

    pub(super) fn some(number: Option<f64>, decimals: usize) -> Cell {
        number.map_or(Cell::Empty, |number| Cell::Number(number, decimals))
    }

    /// It as a number.
    pub(super) fn value(&self) -> Option<f64> {
        match self {
            Cell::Count(count) => Some(*count as f64),
            Cell::Number(number, _) | Cell::Share(number) => Some(*number),
            Cell::Text(_) | Cell::Empty => None,
        }
    }
}

/// How numbers are shown: by the places of their columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picture {
    /// A bar a row, from nothing to the number.
    Bars {
        /// The column of names.
        label: usize,
        /// The column of numbers.
        value: usize,
    },
    /// The same for rows that follow each other in time, side by side.
    Columns {
        /// The column of names.
        label: usize,
        /// The column of numbers.
        value: usize,
    },
    /// A point a row, with the bounds that it lies between.
    Ranges {
        /// The column of names.
        label: usize,
        /// The column of numbers.
        value: usize,
        /// That of the lower bounds.
        low: usize,
        /// That of the upper bounds.
        high: usize,
    },
    /// Nothing but the table.
    None,
}

/// What gives the numbers, for whoever wants more of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A query, in DuckDB's words, of the views that `taskloom sql` makes.
    Sql(String),
    /// A command of the program.
    Command(String),
}

/// A section.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// What links to it name.
    pub id: String,
    /// Its heading.
    pub title: String,
    /// What must be known to read it.
    pub note: Option<String>,
    /// The names of the columns: where the query has them too, as it calls them.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<Vec<Cell>>,
    /// Rows that are not told.
    pub more: usize,
    /// How they are shown.
    pub picture: Picture,
    /// What gives them.
    pub origin: Origin,
}

/// Rows of a table that are told.
const MOST_ROWS: usize = 100;

impl Section {
    pub(super) fn new(
        id: impl Into<String>,
        title: impl Into<String>,
        columns: &[&'static str],
        rows: Vec<Vec<Cell>>,
        origin: Origin,
    ) -> Section {
        let more = rows.len().saturating_sub(MOST_ROWS);
        let rows = rows.into_iter().take(MOST_ROWS).collect();
        let (id, title) = (id.into(), shown(&title.into()));
        Section { id, title, note: None, columns: columns.to_vec(), rows, more, picture: Picture::None, origin }
    }

    pub(super) fn note(self, note: impl Into<String>) -> Section {
        Section { note: Some(note.into()), ..self }
    }

    pub(super) fn picture(self, picture: Picture) -> Section {
        Section { picture, ..self }
    }
}

/// Characters of a text that are shown.
const MOST_CHARS: usize = 120;

/// A text of the data as it is shown: in one line, not too long, and without what is no character to see.
pub(super) fn shown(text: &str) -> String {
    let visible = |c: char| if c.is_control() { '\u{fffd}' } else { c };
    match text.chars().nth(MOST_CHARS) {
        None => text.chars().map(visible).collect(),
        Some(_) => text.chars().map(visible).take(MOST_CHARS - 1).chain(['…']).collect(),
    }
}

/// What SQL calls whoever sent an answer.
pub(super) const SENDER: &str = "coalesce(nullif(model, ''), nullif(source_id, ''))";

/// A text as SQL writes it.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}
