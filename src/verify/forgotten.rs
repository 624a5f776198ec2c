//! Whether anything is left of what a lake forgot. It holds no id of that: what it has is hashed, and compared.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};

use arrow::array::{ArrayRef, AsArray, ListArray, StringArray};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rayon::prelude::*;

use crate::error::{Error, Result};
use crate::file::open;
use crate::forgotten::{Forgotten, LONGEST_ID};
use crate::lake::{Fault, Finding, Lake, State};
use crate::parse::page_without;
use crate::part::PartEntry;
use crate::store::{Store, with_readers};
use crate::table::{Shape, Table};

/// What is named where it should not be, in parts and in all that lies beside them.
pub(super) fn remains(lake: &Lake, state: &State, parts: &[PartEntry]) -> Result<Vec<Finding>> {
    let Some(forgotten) = state.forgotten() else { return Ok(Vec::new()) };
    let store = &**lake.store();
    let look = |part: &PartEntry| {
        let files = part.files.iter().filter(|(_, file)| file.rows > 0);
        let looked = files.map(|(table, _)| in_file(store, part, table, &forgotten)).collect::<Result<Vec<_>>>()?;
        Ok(looked.into_iter().flatten().collect::<Vec<_>>())
    };
    let found = with_readers(store, || parts.par_iter().map(look).collect::<Result<Vec<_>>>())??;
    let mut findings = found.into_iter().flatten().collect::<Vec<_>>();
    for path in lake.paths_of_history()?.into_iter().chain(store.paths("_taskloom/runs")?) {
        let Some(bytes) = store.get(&path)? else { continue };
        if forgotten.is_named_in(&String::from_utf8_lossy(&bytes)) {
            findings.push(finding(path, "a word of it is the id of something that was forgotten".to_owned()));
        }
    }
    let is_rest = |line: &[u8]| {
        let text = String::from_utf8_lossy(line);
        // What is no text stands there in another form.
        let reject = serde_json::from_str::<serde_json::Value>(&text).ok();
        let raw = reject.and_then(|reject| BASE64.decode(reject.get("raw_base64")?.as_str()?).ok());
        forgotten.is_named_in(&text) || raw.is_some_and(|raw| forgotten.is_named_in(&String::from_utf8_lossy(&raw)))
    };
    findings.extend(in_lines(store, "_taskloom/rejects", &is_rest)?);
    findings.extend(in_lines(store, "_taskloom/raw", &|line| *page_without(line, &forgotten) != *line)?);
    Ok(findings)
}

fn finding(path: String, found: String) -> Finding {
    Finding::new(Fault::Forgotten, path, "nothing that was forgotten", found)
}

/// The lines of the files of a folder that name something.
fn in_lines(store: &dyn Store, folder: &str, is_rest: &dyn Fn(&[u8]) -> bool) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for path in store.paths(folder)? {
        let Some(bytes) = store.get(&path)? else { continue };
        let failed = || Error::file("read", store.place().join(&path));
        let lines: Box<dyn Read> = match path.ends_with(".zst") {
            true => Box::new(zstd::Decoder::new(&*bytes).map_err(failed())?),
            false => Box::new(&*bytes),
        };
        let (mut lines, mut line, mut count) = (BufReader::new(lines), Vec::new(), 0);
        while lines.read_until(b'\n', &mut line).map_err(failed())? > 0 {
            count += u64::from(is_rest(&line));
            line.clear();
        }
        if count > 0 {
            findings.push(finding(path, format!("{count} lines that name it")));
        }
    }
    Ok(findings)
}

/// The columns of a file in which something is named: as a whole value, and in JSON as a word.
fn in_file(store: &dyn Store, part: &PartEntry, table: &str, forgotten: &Forgotten) -> Result<Vec<Finding>> {
    let Some(table) = Table::named(table) else { return Ok(Vec::new()) };
    let path = part.path(table.name);
    let mut named = table.columns.iter().map(|column| (column, 0_u64, None)).collect::<Vec<_>>();
    let mut known = HashMap::new();
    for batch in open(store, &path)? {
        let batch = batch.map_err(|source| Error::Batch { table: table.name, source })?;
        let ids = batch.columns().first().and_then(|ids| ids.as_string_opt::<i32>());
        for (column, count, example) in &mut named {
            let Some(values) = batch.column_by_name(column.name) else { continue };
            let own = names(values, column.shape, &mut known, forgotten);
            if example.is_none() && own > 0 {
                let row = (0..batch.num_rows())
                    .find(|row| names(&values.slice(*row, 1), column.shape, &mut known, forgotten) > 0);
                *example = row.zip(ids).map(|(row, ids)| ids.value(row).to_owned()).filter(|id| !forgotten.has(id));
            }
            *count += own;
        }
    }
    let named = named.into_iter().filter(|(_, count, _)| *count > 0);
    let told = |(column, count, example): (&crate::table::Column, u64, Option<String>)| {
        let example = example.map(|id| format!(", such as that of {id}")).unwrap_or_default();
        finding(path.clone(), format!("{count} rows whose `{}` names it{example}", column.name))
    };
    Ok(named.map(told).collect())
}

/// How many values of a column name something.
fn names(values: &ArrayRef, shape: Shape, known: &mut HashMap<String, bool>, forgotten: &Forgotten) -> u64 {
    let of = |texts: &StringArray, known: &mut HashMap<String, bool>| {
        let is_named = |text: &&str| match shape {
            Shape::Json => forgotten.is_named_in(text),
            // The same few words stand in many rows.
            _ => *known.entry((*text).to_owned()).or_insert_with(|| forgotten.has(text)),
        };
        texts.iter().flatten().filter(|text| text.len() <= LONGEST_ID || shape == Shape::Json).filter(is_named).count()
            as u64
    };
    if let Some(texts) = values.as_string_opt::<i32>() {
        return of(texts, known);
    }
    let list: Option<&ListArray> = values.as_list_opt();
    list.map_or(0, |list| names(list.values(), shape, known, forgotten))
}
