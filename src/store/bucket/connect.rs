//! From an address and settings to a client of its store.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{BackoffConfig, ClientConfigKey, ObjectStore, ObjectStoreScheme, RetryConfig};
use url::Url;

use super::credentials::Credentials;
use super::http::Observed;
use super::unfinished::Unfinished;
use crate::error::{Error, Result};
use crate::store::address::{self, StoreOptions};
use crate::store::{FailureKind, StoreFailure};

/// A client of a store.
pub(super) struct Connected {
    pub(super) objects: Arc<dyn ObjectStore>,
    pub(super) parts: Arc<dyn MultipartStore>,
    pub(super) unfinished: Option<Unfinished>,
    /// Where the lake is in its bucket.
    pub(super) root: Path,
}

/// A request, with its body and all, may take so long: 16 MiB at 140 kB/s.
const TIMEOUT: &str = "120s";
/// A connection that is not made within this won't be.
const CONNECT_TIMEOUT: &str = "10s";

/// A store that is too busy says so for seconds, one that fails over for a minute or two. Beyond that a run ends, with nothing visible.
fn retry(retry_for: Duration) -> RetryConfig {
    let backoff =
        BackoffConfig { init_backoff: Duration::from_millis(100), max_backoff: Duration::from_secs(10), base: 2.0 };
    RetryConfig { backoff, max_retries: usize::MAX, retry_timeout: retry_for }
}

/// The builder of a client, with what the environment, the settings and our defaults say. Those of the stores share no trait.
macro_rules! configured {
    ($builder:ident, $key:ident, $store:literal, $prefixes:expr, $address:expr, $options:expr) => {{
        let mut builder = $builder::from_env().with_url($address).with_retry(retry($options.retry_for));
        for (key, value) in parsed::<$key>(&$options.settings, $store, $prefixes)? {
            builder = builder.with_config(key, value);
        }
        for (key, value) in DEFAULTS {
            if builder.get_config_value(&$key::Client(key)).is_none() {
                builder = builder.with_config($key::Client(key), value);
            }
        }
        builder
    }};
}

/// Whether plain http was allowed.
macro_rules! allowed {
    ($builder:ident, $key:ident) => {
        $builder.get_config_value(&$key::Client(ClientConfigKey::AllowHttp))
    };
}

/// Makes the client; sends nothing.
pub(super) fn connect(address: &str, options: &StoreOptions, observed: &Observed) -> Result<Connected> {
    let place = || address::without_secrets(address);
    let usage = |found: String| Error::Usage {
        setting: "the address",
        expected: "a bucket and a path, such as s3://bucket/path, without names, passwords or a query".to_owned(),
        found,
    };
    let url = Url::parse(address).map_err(|_| usage(place()))?;
    let is_container = matches!(url.scheme(), "abfs" | "abfss");
    let has_name = !url.username().is_empty() && !is_container || url.password().is_some();
    if has_name || url.query().is_some() || url.fragment().is_some() {
        let what = if has_name { "a name" } else { "a query" };
        return Err(usage(format!("{what} in {}", place())));
    }
    let (scheme, root) = ObjectStoreScheme::parse(&url).map_err(|_| usage(place()))?;
    let failed = |error: object_store::Error| Error::Store {
        action: "connect to",
        path: place().into(),
        source: StoreFailure::of(&error),
    };
    Ok(match scheme {
        ObjectStoreScheme::AmazonS3 => {
            let mut builder = configured!(AmazonS3Builder, AmazonS3ConfigKey, "S3", ["aws_", ""], address, options);
            check_endpoint(
                &builder.get_config_value(&AmazonS3ConfigKey::Endpoint),
                &allowed!(builder, AmazonS3ConfigKey),
                &place(),
            )?;
            let has_keys = builder.get_config_value(&AmazonS3ConfigKey::AccessKeyId).is_some();
            let skips = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
            if !has_keys && skips.is_none_or(|skips| skips != "true") {
                builder = builder.with_credentials(Arc::new(Credentials::new()));
            }
            let region = builder.get_config_value(&AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            let bucket = Arc::clone(&store);
            let unfinished = Some(Unfinished { bucket, region, observed: observed.clone() });
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished, root }
        }
        ObjectStoreScheme::GoogleCloudStorage => {
            let prefixes = ["google_", ""];
            let builder = configured!(
                GoogleCloudStorageBuilder,
                GoogleConfigKey,
                "Google Cloud Storage",
                prefixes,
                address,
                options
            );
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished: None, root }
        }
        ObjectStoreScheme::MicrosoftAzure => {
            let prefixes = ["azure_", "azure_storage_"];
            let builder = configured!(MicrosoftAzureBuilder, AzureConfigKey, "Azure", prefixes, address, options);
            check_endpoint(
                &builder.get_config_value(&AzureConfigKey::Endpoint),
                &allowed!(builder, AzureConfigKey),
                &place(),
            )?;
            let store = Arc::new(builder.with_http_connector(observed.clone()).build().map_err(failed)?);
            Connected { objects: Arc::clone(&store) as _, parts: store, unfinished: None, root }
        }
        _ => return Err(usage(place())),
    })
}

const DEFAULTS: [(ClientConfigKey, &str); 2] =
    [(ClientConfigKey::Timeout, TIMEOUT), (ClientConfigKey::ConnectTimeout, CONNECT_TIMEOUT)];

/// An endpoint is a whole address, and unencrypted only where that is allowed.
fn check_endpoint(endpoint: &Option<String>, allowed: &Option<String>, place: &str) -> Result<()> {
    if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !is_http(endpoint)) {
        let expected = "an address that begins with https:// or http://".to_owned();
        return Err(Error::Usage {
            setting: "the store's endpoint",
            expected,
            found: address::without_secrets(endpoint),
        });
    }
    let is_plain = endpoint.as_ref().is_some_and(|endpoint| endpoint.starts_with("http://"));
    if !is_plain || allowed.as_ref().is_some_and(|allowed| allowed == "true") {
        return Ok(());
    }
    let words = "its endpoint is plain http, which sends what is stored in the clear";
    let source = StoreFailure::new(FailureKind::PlainHttp, words);
    Err(Error::Store { action: "connect to", path: place.into(), source })
}

fn is_http(endpoint: &str) -> bool {
    Url::parse(endpoint).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// What people set of a store, by its keys; a key may leave out what all keys of the store begin with.
fn parsed<K: FromStr>(settings: &[(String, String)], store: &str, prefixes: [&str; 2]) -> Result<Vec<(K, String)>> {
    let parse = |(key, value): &(String, String)| {
        let key = key.to_ascii_lowercase();
        let found =
            prefixes.iter().find_map(|prefix| format!("{prefix}{key}").parse().ok()).or_else(|| key.parse().ok());
        let expected = || format!("a setting of {store} as object_store names it");
        let unknown = || Error::Usage { setting: "--store-option", expected: expected(), found: key.clone() };
        Ok((found.ok_or_else(unknown)?, value.clone()))
    };
    settings.iter().map(parse).collect()
}
