//! Names for versions. One that has a name stays whole.

use std::collections::BTreeMap;

use super::commit::Change;
use super::{Author, Lake, State};
use crate::error::{Error, Result};

/// No name is longer.
const LONGEST: usize = 100;

impl Lake {
    /// Gives a version a name, the newest version unless one is told; gives the version. The name is a version of the lake of its own. A name that the
    /// version has already changes nothing; one that another has is an error.
    pub fn tag(&self, name: &str, version: Option<u64>, author: &Author) -> Result<u64> {
        check(name)?;
        let mut tagged = 0;
        self.commit_words(|parent| {
            self.check_data(parent)?;
            tagged = version.unwrap_or(parent.version);
            self.check_kept(parent, tagged)?;
            match parent.tags.get(name) {
                Some(other) if *other == tagged => Ok(None),
                Some(other) => Err(Error::Usage {
                    setting: "NAME",
                    expected: "a name that is free, or was taken away with --remove".to_owned(),
                    found: format!("`{name}`, which is that of version {other}"),
                }),
                None => Ok(Some((change(parent, name, Some(tagged), author), Vec::new()))),
            }
        })?;
        Ok(tagged)
    }

    /// Takes a name away; gives the version that had it.
    pub fn untag(&self, name: &str, author: &Author) -> Result<u64> {
        let mut tagged = 0;
        self.commit_words(|parent| {
            let unknown = || self.no_such_version(name, parent);
            tagged = parent.tags.get(name).copied().ok_or_else(unknown)?;
            Ok(Some((change(parent, name, None, author), Vec::new())))
        })?;
        Ok(tagged)
    }
}

fn change(parent: &State, name: &str, version: Option<u64>, author: &Author) -> Change {
    Change {
        operation: "tag",
        author: author.clone(),
        layout: parent.layout,
        tags: BTreeMap::from([(name.to_owned(), version)]),
        ..Change::default()
    }
}

/// A name is told from a number, and needs no quoting in a shell.
fn check(name: &str) -> Result<()> {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit());
    if is_plain && !is_number && name.len() <= LONGEST && !name.starts_with('-') {
        return Ok(());
    }
    Err(Error::Usage {
        setting: "NAME",
        expected: format!("up to {LONGEST} letters, digits, `.`, `_` and `-`, not a number and no `-` in front"),
        found: format!("`{}`", name.escape_debug().take(LONGEST).collect::<String>()),
    })
}
