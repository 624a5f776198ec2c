//! From the words of a user to the inputs that they mean: files, folders and patterns.
//!
//! A file that is named itself is taken as it is. Where a folder is searched, or a pattern stands for names, hidden files, hidden folders
//! and a lake's own folders are passed over, as a shell does it; and what is passed over can't end the search.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Component, Path, PathBuf};

use glob::Pattern;
use walkdir::WalkDir;

use super::handed::files_at;
use super::input::Input;
use crate::error::{Error, Result};
use crate::store::StoreOptions;
use crate::store::address::{check_path, is_address};

/// Extensions that a folder is searched for, each also with `.gz`, `.zst` or `.zstd` behind it.
const KNOWN_EXTENSIONS: [&str; 3] = ["ndjson", "jsonl", "json"];
const COMPRESSED_EXTENSIONS: [&str; 3] = ["gz", "zst", "zstd"];

/// Finds the inputs behind the given words, in the order given; folders and patterns give their files sorted by path. Addresses such as
/// `s3://bucket/tasks/*.json.gz` are of files in a store.
pub fn resolve(words: &[impl AsRef<OsStr>]) -> Result<Vec<Input>> {
    resolve_with(words, &StoreOptions::default())
}

/// The same, with options for the stores of addresses.
pub fn resolve_with(words: &[impl AsRef<OsStr>], options: &StoreOptions) -> Result<Vec<Input>> {
    let mut inputs = Vec::new();
    for word in words.iter().map(AsRef::as_ref) {
        let path = Path::new(word);
        if word == "-" {
            inputs.push(Input::Stdin);
        } else if path.is_dir() {
            inputs.extend(files_below(path)?.into_iter().map(Input::File));
        } else if path.symlink_metadata().is_ok() {
            inputs.push(Input::File(path.to_owned()));
        } else if is_address(path) {
            inputs.extend(files_at(&path.to_string_lossy(), options)?);
        } else {
            check_path(path)?;
            inputs.extend(files_like(path)?.into_iter().map(Input::File));
        }
    }
    Ok(inputs)
}

/// The files of tasks below a folder, by their extensions.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in search(folder) {
        match entry {
            Ok(entry) if entry.file_type().is_file() && has_known_extension(entry.path()) => {
                files.push(entry.into_path());
            }
            Ok(_) => {}
            Err(error) if is_passed_over(&error) => {}
            Err(error) => return Err(unreadable(folder, error)),
        }
    }
    if files.is_empty() {
        return Err(Error::NoInput {
            word: folder.display().to_string(),
            expected: "a folder with files named *.ndjson, *.jsonl or *.json (also with .gz or .zst behind it)",
        });
    }
    Ok(files)
}

/// A folder, and everything below it that is not hidden, sorted by path.
fn search(folder: &Path) -> impl Iterator<Item = walkdir::Result<walkdir::DirEntry>> {
    let entries = WalkDir::new(folder).follow_links(true).sort_by_file_name().into_iter();
    entries.filter_entry(|entry| entry.depth() == 0 || is_visible(entry.file_name()))
}

fn is_visible(name: &OsStr) -> bool {
    !name.as_encoded_bytes().starts_with(b".") && !is_of_a_lake(name)
}

/// Whether a folder is one that a lake has for itself.
pub(super) fn is_of_a_lake(name: &OsStr) -> bool {
    name == "_taskloom" || name == "_delta_log"
}

/// Whether an entry that can't be looked at would not have been taken anyway: it is hidden, leads back to a folder that is being
/// searched, or is a link to nothing whose name is not that of an input.
fn is_passed_over(error: &walkdir::Error) -> bool {
    let Some(path) = error.path().filter(|_| error.depth() > 0) else { return false };
    let leads_nowhere = error.io_error().is_some_and(|cause| cause.kind() == io::ErrorKind::NotFound);
    path.file_name().is_some_and(|name| !is_visible(name))
        || error.loop_ancestor().is_some()
        || leads_nowhere && !has_known_extension(path)
}

fn unreadable(input: &Path, cause: impl Into<io::Error>) -> Error {
    Error::Input { input: input.display().to_string(), source: cause.into() }
}

pub(super) fn has_known_extension(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let mut extensions = name.rsplit('.');
    let last = extensions.next().unwrap_or_default();
    let is_compressed = COMPRESSED_EXTENSIONS.contains(&last);
    let inner = if is_compressed { extensions.next().unwrap_or_default() } else { last };
    KNOWN_EXTENSIONS.contains(&inner)
}

/// The files that a pattern stands for; of folders that it stands for, those below them.
fn files_like(pattern: &Path) -> Result<Vec<PathBuf>> {
    let no_input = || Error::NoInput {
        word: pattern.display().to_string(),
        expected: "a file, a folder, a pattern that matches files, or -",
    };
    let mut steps = steps(pattern).map_err(|_| no_input())?;
    // Everything below a folder is what the folder itself stands for.
    while steps.pop_if(|step| matches!(step, Step::AnyFolders)).is_some() {}
    let mut found = BTreeSet::new();
    for path in expand(&steps)? {
        if path.is_dir() {
            found.extend(files_below(&path)?);
        } else {
            found.insert(path);
        }
    }
    if found.is_empty() { Err(no_input()) } else { Ok(found.into_iter().collect()) }
}

/// A part of a pattern's path.
enum Step {
    /// A name that stands for itself.
    Name(OsString),
    /// Names of this form.
    Like(Pattern),
    /// `**`: any number of folders.
    AnyFolders,
}

fn steps(pattern: &Path) -> Result<Vec<Step>, glob::PatternError> {
    let step = |part: Component<'_>| {
        let name = part.as_os_str();
        let text = name.to_string_lossy();
        Ok(match text.as_ref() {
            "**" => Step::AnyFolders,
            text if text.contains(['*', '?', '[']) => Step::Like(Pattern::new(text)?),
            _ => Step::Name(name.to_owned()),
        })
    };
    pattern.components().map(step).collect()
}

/// What is there of the paths that the steps stand for.
fn expand(steps: &[Step]) -> Result<Vec<PathBuf>> {
    let mut paths = vec![PathBuf::new()];
    for step in steps {
        let mut further = Vec::new();
        for path in paths {
            match step {
                Step::Name(name) => {
                    further.extend(Some(path.join(name)).filter(|path| path.symlink_metadata().is_ok()))
                }
                Step::Like(pattern) => further.extend(children(&path, pattern)?),
                Step::AnyFolders => further.extend(folders_below(&path)?),
            }
        }
        paths = further;
    }
    Ok(paths)
}

/// What lies in a folder and has a name of this form. The first dot of a hidden name must stand in the pattern.
fn children(folder: &Path, pattern: &Pattern) -> Result<Vec<PathBuf>> {
    if !here(folder).is_dir() {
        return Ok(Vec::new());
    }
    let mut children = Vec::new();
    for entry in here(folder).read_dir().map_err(|cause| unreadable(folder, cause))? {
        let name = entry.map_err(|cause| unreadable(folder, cause))?.file_name();
        let is_meant = is_visible(&name) || pattern.as_str().starts_with('.') && name != "." && name != "..";
        // A name that is no UTF-8 is matched by what stands for any character.
        if is_meant && pattern.matches(&name.to_string_lossy()) {
            children.push(folder.join(name));
        }
    }
    Ok(children)
}

fn folders_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![folder.to_owned()];
    for entry in search(here(folder)).skip(1) {
        match entry {
            Ok(entry) if entry.file_type().is_dir() => {
                let below = entry.path().strip_prefix(here(folder)).unwrap_or(entry.path());
                folders.push(folder.join(below));
            }
            Ok(_) => {}
            // A link to nothing is no folder.
            Err(error) if is_passed_over(&error) || !error.path().is_some_and(Path::is_dir) => {}
            Err(error) => return Err(unreadable(folder, error)),
        }
    }
    Ok(folders)
}

/// The path of a folder for the system, to which an empty one is none.
fn here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() { Path::new(".") } else { folder }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A folder with files of these names, and the names that a word finds in it.
    fn found(names: &[&[u8]], word: &str) -> Vec<String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(OsStr::from_bytes(name));
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "{}").unwrap();
        }
        found_in(folder.path(), word)
    }

    fn found_in(folder: &Path, word: &str) -> Vec<String> {
        let inputs = resolve(&[folder.join(word)]).unwrap();
        let name = |input: Input| match input {
            Input::File(path) => path.strip_prefix(folder).unwrap().to_string_lossy().into_owned(),
            other => other.name(),
        };
        inputs.into_iter().map(name).collect()
    }

    #[test]
    fn patterns_and_folders_pass_over_what_is_hidden() {
        let names: &[&[u8]] =
            &[b"b.json", b"a.json.gz", b".part-1.json", b".part-0.json.crc", b"notes.txt", b".git/c.json", b"d/e.json"];
        assert_eq!(found(names, ""), ["a.json.gz", "b.json", "d/e.json"]);
        assert_eq!(found(names, "*.json"), ["b.json"]);
        assert_eq!(found(names, "*.json*"), ["a.json.gz", "b.json"]);
        assert_eq!(found(names, "**/*.json"), ["b.json", "d/e.json"]);
        assert_eq!(found(names, "**"), ["a.json.gz", "b.json", "d/e.json"]);
        assert_eq!(found(names, "[a-z]/*"), ["d/e.json"]);
        assert_eq!(found(names, ".part-[0-9].json"), [".part-1.json"]);
        assert_eq!(found(names, ".g*/*.json"), [".git/c.json"]);
        assert_eq!(found(names, ".part-1.json"), [".part-1.json"], "a file that is named itself");
        assert_eq!(found(&[b"_taskloom/rejects/r.json", b"a.json"], "**/*.json"), ["a.json"]);
        assert_eq!(found(&[b"_taskloom/rejects/r.json"], "_taskloom/rejects/*.json"), ["_taskloom/rejects/r.json"]);
    }

    #[test]
    fn a_file_is_found_once_by_a_pattern_that_meets_it_twice() {
        assert_eq!(found(&[b"d/e/f.json", b"d/a.json"], "**/*"), ["d/a.json", "d/e/f.json"]);
    }

    #[test]
    fn names_that_are_no_utf8_are_found_in_every_way() {
        let names: &[&[u8]] = &[b"a\xff.json", b"\xfe/b.json"];
        assert_eq!(found(names, ""), ["a\u{fffd}.json", "\u{fffd}/b.json"]);
        assert_eq!(found(names, "*.json"), ["a\u{fffd}.json"]);
        assert_eq!(found(names, "*"), ["a\u{fffd}.json", "\u{fffd}/b.json"]);
        assert_eq!(found(names, "**/?*.json"), ["a\u{fffd}.json", "\u{fffd}/b.json"]);
    }

    #[test]
    fn what_would_not_be_taken_ends_no_search() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("d")).unwrap();
        std::fs::write(path("d/a.ndjson"), "{}").unwrap();
        for (target, link) in [("host.1234", "d/.#a.ndjson"), ("gone", "d/README"), (".", "d/self")] {
            symlink(target, path(link)).unwrap();
        }
        assert_eq!(found_in(folder.path(), "d"), ["d/a.ndjson"]);
        assert_eq!(found_in(folder.path(), "*"), ["d/a.ndjson"]);
        assert_eq!(found_in(folder.path(), "**/*.ndjson"), ["d/a.ndjson"]);
        // But a link that would be taken can't be left out in silence.
        symlink("gone", path("d/b.ndjson")).unwrap();
        let error = resolve(&[path("d")]).unwrap_err();
        assert!(matches!(error, Error::Input { .. }), "{error}");
        assert_eq!(found_in(folder.path(), "d/*.ndjson"), ["d/a.ndjson", "d/b.ndjson"], "which opening it will tell");
    }

    #[test]
    fn what_finds_nothing_is_told() {
        for word in ["/no/such/folder/*.json", "[", "/no/such/file"] {
            assert!(matches!(resolve(&[word]), Err(Error::NoInput { .. })), "{word}");
        }
    }
}
