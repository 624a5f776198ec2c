//! Sections as one page of HTML that asks for nothing: no script, no file, no font from elsewhere.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Overview;
use super::section::{Cell, Origin, Picture, Section, shown};
use crate::report::grouped;

const STYLE: &str = include_str!("page.css");

/// Nothing may be loaded, and nothing run, whatever stands in the data.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Rows that a picture shows.
const MOST_DRAWN: usize = 40;

/// The page.
pub(super) fn page(overview: &Overview) -> String {
    let title = format!("Overview of {}", overview.name);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="color-scheme" content="light dark";
                meta name="generator" content="taskloom";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                a class="skip" href="#content" { "Skip to the numbers" }
                header {
                    h1 { (title) }
                    dl class="facts" {
                        @for (name, value) in &overview.facts {
                            div { dt { (name) } dd { (value) } }
                        }
                    }
                }
                nav aria-label="Sections" {
                    ul { @for section in &overview.sections { li { a href={ "#" (section.id) } { (section.title) } } } }
                }
                main id="content" { @for section in &overview.sections { (show(section)) } }
                footer {
                    p {
                        "Queries are in DuckDB's words; " code { "taskloom sql --engine duckdb LAKE" }
                        " prints the views that they ask."
                    }
                }
            }
        }
    };
    page.into_string()
}

fn show(section: &Section) -> Markup {
    let heading = format!("{}-title", section.id);
    html! {
        section id=(section.id) aria-labelledby=(heading) {
            h2 id=(heading) { (section.title) }
            @if let Some(note) = &section.note { p class="note" { (note) } }
            (picture(section))
            (table(section))
            details {
                summary { "Where these numbers come from" }
                @match &section.origin {
                    Origin::Sql(query) => pre tabindex="0" { code { (query) } },
                    Origin::Command(command) => p { code { (command) } },
                }
            }
        }
    }
}

fn table(section: &Section) -> Markup {
    html! {
        div class="scroll" tabindex="0" role="region" aria-label={ "Table: " (section.title) } {
            table {
                caption { (section.title) ", " (grouped(section.rows.len() as u64)) " rows" }
                thead {
                    tr {
                        @for (at, column) in section.columns.iter().enumerate() {
                            @let is_number = section.rows.iter().any(|row| number(row, at).is_some());
                            th scope="col" class=[is_number.then_some("number")] { (column.replace('_', " ")) }
                        }
                    }
                }
                tbody {
                    @for row in &section.rows {
                        tr { @for (at, cell) in row.iter().enumerate() { (show_cell(cell, at == 0)) } }
                    }
                }
            }
        }
        @if section.more > 0 { p class="note" { "And " (grouped(section.more as u64)) " more." } }
    }
}

fn show_cell(cell: &Cell, is_head: bool) -> Markup {
    html! {
        @match (cell, cell.value()) {
            (_, Some(value)) => td class="number" data-value=(value) { (told(cell)) },
            _ if is_head => th scope="row" { (told(cell)) },
            _ => td { (told(cell)) },
        }
    }
}

/// A cell in words.
fn told(cell: &Cell) -> String {
    match cell {
        Cell::Text(text) => shown(text),
        Cell::Count(count) => grouped(*count),
        Cell::Number(number, _) | Cell::Share(number) if !number.is_finite() => "-".to_owned(),
        Cell::Number(number, 0) => grouped(number.max(0.0).round() as u64),
        // What so few decimals would not show.
        Cell::Number(number, decimals) if *number != 0.0 && number.abs() < 0.1_f64.powi(*decimals as i32) => {
            format!("{number:.1e}")
        }
        Cell::Number(number, _) if number.abs() >= 1e9 => format!("{number:.3e}"),
        Cell::Number(number, decimals) => format!("{number:.decimals$}"),
        Cell::Share(share) => format!("{:.1} %", 100.0 * share),
        Cell::Empty => "-".to_owned(),
    }
}

/// A picture of a section's numbers. Those who can't see it have the table.
fn picture(section: &Section) -> Markup {
    let rows = section.rows.get(..section.rows.len().min(MOST_DRAWN)).unwrap_or_default();
    if rows.len() < 2 {
        return html! {};
    }
    match section.picture {
        Picture::Bars { label, value } => bars(rows, label, value),
        Picture::Columns { label, value } => columns(&section.rows, label, value),
        Picture::Ranges { label, value, low, high } => ranges(rows, label, [value, low, high]),
        Picture::None => html! {},
    }
}

fn number(row: &[Cell], at: usize) -> Option<f64> {
    row.get(at).and_then(Cell::value)
}

fn words(row: &[Cell], at: usize) -> String {
    row.get(at).map(told).unwrap_or_default()
}

/// A share of the width, in percent.
fn percent(share: f64) -> String {
    format!("{:.2}%", 100.0 * share.clamp(0.0, 1.0))
}

fn bars(rows: &[Vec<Cell>], label: usize, value: usize) -> Markup {
    let most = rows.iter().filter_map(|row| number(row, value)).fold(f64::MIN_POSITIVE, f64::max);
    html! {
        div class="bars" aria-hidden="true" {
            @for row in rows {
                span class="label" { (words(row, label)) }
                span class="track" {
                    span class="bar" style={ "width:" (percent(number(row, value).unwrap_or_default() / most)) } {}
                }
                span class="value" { (words(row, value)) }
            }
        }
    }
}

/// Rows stand with the newest first, columns with the newest last.
fn columns(rows: &[Vec<Cell>], label: usize, value: usize) -> Markup {
    let most = rows.iter().filter_map(|row| number(row, value)).fold(f64::MIN_POSITIVE, f64::max);
    let [first, last] = [rows.last(), rows.first()].map(|row| row.map(|row| words(row, label)).unwrap_or_default());
    html! {
        div class="columns" aria-hidden="true" {
            @for row in rows.iter().rev() {
                @let (name, height) = (words(row, label), number(row, value).unwrap_or_default() / most);
                span title={ (name) ": " (words(row, value)) } style={ "height:" (percent(height)) } {}
            }
        }
        p class="axis" aria-hidden="true" { span { (first) } span { (last) } }
    }
}

fn ranges(rows: &[Vec<Cell>], label: usize, [value, low, high]: [usize; 3]) -> Markup {
    let all = || rows.iter().flat_map(|row| [value, low, high].into_iter().filter_map(|at| number(row, at)));
    let (least, most) = (all().fold(f64::INFINITY, f64::min), all().fold(f64::NEG_INFINITY, f64::max));
    let width = if most > least { most - least } else { 1.0 };
    let place = |number: f64| percent(0.02 + 0.96 * (number - least) / width);
    html! {
        div class="bars" aria-hidden="true" {
            @for row in rows {
                span class="label" { (words(row, label)) }
                span class="track" {
                    @if let Some((low, high)) = number(row, low).zip(number(row, high)) {
                        span class="range" style={ "left:" (place(low)) ";width:" (percent(0.96 * (high - low) / width)) } {}
                    }
                    @if let Some(number) = number(row, value) { span class="point" style={ "left:" (place(number)) } {} }
                }
                span class="value" { (words(row, value)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_read_as_people_write_numbers() {
        for (cell, text) in [
            (Cell::Count(1_234_567), "1,234,567"),
            (Cell::Count(999), "999"),
            (Cell::Number(-0.001, 2), "-1.0e-3"),
            (Cell::Number(0.0, 2), "0.00"),
            (Cell::Number(f64::INFINITY, 2), "-"),
            (Cell::Number(1e12, 2), "1.000e12"),
            (Cell::Text("a\u{0}b".to_owned()), "a\u{fffd}b"),
            (Cell::Number(-1.5, 2), "-1.50"),
            (Cell::Number(1_234.6, 0), "1,235"),
            (Cell::Share(0.255), "25.5 %"),
            (Cell::Empty, "-"),
        ] {
            assert_eq!(told(&cell), text);
        }
    }

    #[test]
    fn words_of_the_data_are_no_markup() {
        let hostile = "</style><script>alert(1)</script>\" onload='x' <img src=x>&amp;";
        let section = Section::new(
            "one",
            hostile,
            &["name", "tasks"],
            vec![
                vec![Cell::Text(hostile.to_owned()), Cell::Count(1)],
                vec![Cell::Text(hostile.to_owned()), Cell::Count(2)],
            ],
            Origin::Sql(hostile.to_owned()),
        );
        for picture in [Picture::Bars { label: 0, value: 1 }, Picture::Columns { label: 0, value: 1 }] {
            let section = section.clone().picture(picture).note(hostile);
            let overview =
                Overview { name: hostile.to_owned(), facts: vec![("a", hostile.to_owned())], sections: vec![section] };
            let page = page(&overview);
            assert!(!page.contains("<script") && !page.contains("<img") && !page.contains("\" onload"), "{page}");
            assert_eq!(page.matches("</style>").count(), 1);
        }
    }
}
