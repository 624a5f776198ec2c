//! Where a lake is, in people's words: a folder, or the address of a place in a bucket.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::{LocalStore, Store};
use crate::error::{Error, Result};

/// How a store beyond this machine is talked to. A folder needs none of it.
#[derive(Clone, Debug)]
pub struct StoreOptions {
    /// Settings of the store by their names, such as `aws_region`; they go before those of the environment.
    pub settings: Vec<(String, String)>,
    /// A run that has shown no sign of life for so long, by the store's clock, is dead.
    pub lease: Duration,
    /// A request that fails in a way that may pass is repeated for so long.
    pub retry_for: Duration,
    /// Bytes that may wait for being uploaded.
    pub held_bytes: usize,
}

impl Default for StoreOptions {
    fn default() -> StoreOptions {
        StoreOptions {
            settings: Vec::new(),
            lease: Duration::from_secs(24 * 60 * 60),
            retry_for: Duration::from_secs(120),
            held_bytes: 64 << 20,
        }
    }
}

/// Schemes of stores.
const SCHEMES: [&str; 7] = ["s3", "s3a", "gs", "az", "azure", "abfs", "abfss"];

/// The store at a folder or an address. Nothing is looked at, and nothing is made.
pub fn open(place: &Path, options: &StoreOptions) -> Result<Arc<dyn Store>> {
    let text = place.to_string_lossy();
    match scheme_of(&text) {
        None if is_nearly(&text) => Err(nearly(&text)),
        None => Ok(Arc::new(LocalStore::at(place))),
        Some(scheme) if SCHEMES.contains(&scheme) => bucket(&text, options),
        Some(scheme) => Err(Error::Address {
            address: without_secrets(&text),
            scheme: scheme.to_owned(),
            expected: "a folder, or an address with s3://, gs://, az:// or abfss://",
        }),
    }
}

#[cfg(feature = "buckets")]
fn bucket(address: &str, options: &StoreOptions) -> Result<Arc<dyn Store>> {
    Ok(Arc::new(super::bucket::BucketStore::at(address, options)?))
}

#[cfg(not(feature = "buckets"))]
fn bucket(address: &str, _: &StoreOptions) -> Result<Arc<dyn Store>> {
    let scheme = scheme_of(address).unwrap_or_default().to_owned();
    let expected = "a folder: taskloom was built without its feature `buckets`";
    Err(Error::Address { address: without_secrets(address), scheme, expected })
}

/// An error if a path is an address, such as `s3://bucket/lake`: it would be the name of a folder on this disk.
pub fn check_path(path: &Path) -> Result<()> {
    let text = path.to_string_lossy();
    match scheme_of(&text) {
        Some(scheme) => Err(Error::Address {
            address: without_secrets(&text),
            scheme: scheme.to_owned(),
            expected: "a path on this machine",
        }),
        None if is_nearly(&text) => Err(nearly(&text)),
        None => Ok(()),
    }
}

/// Whether a text is an address with a slash too few: as a path it would be a folder that is called after a scheme.
fn is_nearly(text: &str) -> bool {
    text.split_once(":/").is_some_and(|(scheme, _)| SCHEMES.contains(&scheme))
}

fn nearly(text: &str) -> Error {
    let (scheme, rest) = text.split_once(":/").unwrap_or_default();
    let expected = format!("{scheme}://{rest}, or ./{text} for a folder of this name");
    Error::Usage { setting: "the place", expected, found: text.to_owned() }
}

/// Whether it is one of a store beyond this machine.
pub fn is_address(place: &Path) -> bool {
    scheme_of(&place.to_string_lossy()).is_some()
}

/// The whole path of a folder; an address as it is.
pub fn absolute(place: &Path) -> std::io::Result<PathBuf> {
    if is_address(place) {
        return Ok(place.to_owned());
    }
    place.canonicalize().or_else(|_| std::path::absolute(place))
}

/// What stands before `://`, if it can be a scheme and not the name of a folder.
pub(super) fn scheme_of(text: &str) -> Option<&str> {
    let is_of_scheme = |character: char| character.is_ascii_alphanumeric() || "+-.".contains(character);
    let (scheme, _) = text.split_once("://")?;
    Some(scheme).filter(|scheme| scheme.len() > 1 && scheme.chars().all(is_of_scheme))
}

/// An address, but for what may be a secret: a name and a password, or a signature.
pub(super) fn without_secrets(address: &str) -> String {
    let shown = address.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, (before, host))) = scheme_of(shown).zip(shown.rsplit_once('@')) else { return shown.to_owned() };
    // Of Azure the name before the host is that of a container.
    let is_container = scheme.starts_with("abfs") && before.matches(':').count() == 1;
    if is_container { shown.to_owned() } else { format!("{scheme}://…@{host}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn an_address_of_no_store_is_refused_and_its_secrets_are_not_told() {
        for address in ["https://x/y?sig=1", "file:///tmp", "ftp://user:word@host/x"] {
            let refused = open(Path::new(address), &StoreOptions::default()).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Usage);
            assert!(!refused.to_string().contains("sig") && !refused.to_string().contains("word"), "{refused}");
        }
    }

    #[test]
    fn a_path_is_no_address() {
        for path in ["lake", "a:b", "s3:", "/a/b://c", "C://lake", "é://x", "./s3://bucket"] {
            assert!(check_path(Path::new(path)).is_ok(), "{path}");
            assert!(open(Path::new(path), &StoreOptions::default()).unwrap().folder().is_some(), "{path}");
        }
        for nearly in ["s3:/bucket/lake", "gs:/b"] {
            assert!(check_path(Path::new(nearly)).is_err(), "{nearly}");
            assert!(open(Path::new(nearly), &StoreOptions::default()).is_err(), "{nearly}");
        }
        for address in ["s3://bucket/lake", "gs://b", "abfss://c@a.dfs.core.windows.net/x"] {
            assert!(check_path(Path::new(address)).is_err(), "{address}");
        }
    }
}
