//! Uploads in several requests that were begun and never ended, which S3 keeps, and has paid for, until somebody aborts them. The client
//! of the store knows no request that lists them.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use object_store::aws::AmazonS3;
use object_store::client::{HttpConnector, HttpRequestBody};
use object_store::path::Path;
use object_store::signer::Signer as _;
use object_store::{ClientOptions, Error, Result};
use reqsign_aws_v4::{RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};

use super::http::Observed;

/// A bucket of S3 that can be asked for them.
#[derive(Debug)]
pub(super) struct Unfinished {
    pub(super) bucket: Arc<AmazonS3>,
    pub(super) region: String,
    pub(super) observed: Observed,
}

/// One of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Upload {
    pub(super) path: String,
    pub(super) id: String,
}

/// One answer of S3.
#[derive(Debug, Default, PartialEq, Eq)]
struct Page {
    uploads: Vec<Upload>,
    /// Where the next one begins: after this key and this id.
    next: Option<(String, String)>,
}

impl Unfinished {
    /// All below a path of the bucket.
    pub(super) async fn below(&self, root: &Path) -> Result<Vec<Upload>> {
        let prefix = if root.as_ref().is_empty() { String::new() } else { format!("{root}/") };
        let (mut uploads, mut after) = (Vec::new(), None::<(String, String)>);
        loop {
            // In the order of their names, as they are signed.
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            if let Some((key, _)) = &after {
                query.append_pair("key-marker", key);
            }
            query.append_pair("prefix", &prefix);
            if let Some((_, id)) = &after {
                query.append_pair("upload-id-marker", id);
            }
            query.append_pair("uploads", "");
            let page = Page::read(&self.get(&query.finish().replace('+', "%20")).await?);
            uploads.extend(page.uploads);
            after = page.next;
            if after.is_none() {
                return Ok(uploads);
            }
        }
    }

    async fn get(&self, query: &str) -> Result<String> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| Error::Generic { store: "S3", source: error };
        // Where requests about the bucket itself go, whatever endpoint and style were asked for.
        let mut url = self.bucket.signed_url(Method::GET, &Path::default(), Duration::from_secs(60)).await?;
        url.set_query(Some(query));
        let request = Request::builder().method(Method::GET).uri(url.as_str());
        let (mut head, ()) = request.body(()).map_err(|error| failed(error.into()))?.into_parts();
        let keys = self.bucket.credentials().get_credential().await?;
        let mut provider = StaticCredentialProvider::new(&keys.key_id, &keys.secret_key);
        if let Some(token) = &keys.token {
            provider = provider.with_session_token(token);
        }
        let signer = Signer::new(Context::new(), provider, RequestSigner::new("s3", &self.region));
        signer.sign(&mut head, None).await.map_err(|error| failed(error.into()))?;
        let client = self.observed.connect(&ClientOptions::new().with_allow_http(true))?;
        let request = Request::from_parts(head, HttpRequestBody::empty());
        let response = client.execute(request).await.map_err(|error| failed(error.into()))?;
        let status = response.status();
        let text = response.into_body().bytes().await.map_err(|error| failed(error.into()))?;
        let text = String::from_utf8_lossy(&text).into_owned();
        if status.is_success() { Ok(text) } else { Err(failed(format!("status code: {status}: {text}").into())) }
    }
}

impl Page {
    fn read(text: &str) -> Page {
        let uploads = text.split("<Upload>").skip(1).filter_map(|upload| {
            let upload = upload.split("</Upload>").next()?;
            Some(Upload { path: element(upload, "Key")?, id: element(upload, "UploadId")? })
        });
        let is_truncated = element(text, "IsTruncated").is_some_and(|is_truncated| is_truncated == "true");
        let next = element(text, "NextKeyMarker").zip(element(text, "NextUploadIdMarker")).filter(|_| is_truncated);
        Page { uploads: uploads.collect(), next }
    }
}

fn element(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    let (value, _) = rest.split_once(&format!("</{name}>"))?;
    Some(
        value
            .replace("&lt;", "<")
            .replace("&gt;", ">")
            .replace("&quot;", "\"")
            .replace("&apos;", "'")
            .replace("&amp;", "&"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_read() {
        let text = "<?xml version=\"1.0\"?><ListMultipartUploadsResult><KeyMarker/><NextKeyMarker>k&amp;2</NextKeyMarker>\
            <NextUploadIdMarker>id2</NextUploadIdMarker><IsTruncated>true</IsTruncated>\
            <Upload><Key>lake/a=1%2F/x</Key><UploadId>id1</UploadId><Owner><ID>o</ID></Owner></Upload>\
            <Upload><Key>k&amp;2</Key><UploadId>id2</UploadId></Upload></ListMultipartUploadsResult>";
        let upload = |path: &str, id: &str| Upload { path: path.to_owned(), id: id.to_owned() };
        let uploads = vec![upload("lake/a=1%2F/x", "id1"), upload("k&2", "id2")];
        let next = Some(("k&2".to_owned(), "id2".to_owned()));
        assert_eq!(Page::read(text), Page { uploads, next });
        assert_eq!(Page::read("<ListMultipartUploadsResult/>"), Page::default());
    }
}
