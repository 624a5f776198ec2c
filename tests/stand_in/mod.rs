//! A server that does what S3 does, as far as a lake asks for it: for faults, clocks and latencies that no real one has on demand.
//! What S3 means by its answers is tested against moto.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// The server says that something went wrong within it; nothing happened.
    Internal,
    /// The server is too busy; nothing happened.
    SlowDown,
    /// The key is not good any more.
    Expired,
    /// The connection ends; nothing happened.
    Reset,
    /// It takes place, and the connection ends before the answer.
    Unheard,
    /// It takes place, and the answer is that something went wrong.
    Misheard,
}

/// A request as a hook sees it.
#[derive(Debug)]
pub struct Seen<'r> {
    pub method: &'r Method,
    /// Bucket and key.
    pub path: &'r str,
    pub query: &'r str,
    /// The id of the key that it is signed with.
    pub key: &'r str,
}

type Hook = dyn Fn(&Seen<'_>) -> Fault + Send + Sync;

/// How the server is.
pub struct Options {
    /// How long a request takes before anything happens.
    pub latency: Duration,
    /// Bytes a second of one connection; 0 for as many as there are.
    pub bytes_per_second: u64,
    /// Whether `If-None-Match` means anything.
    pub is_conditional: bool,
    pub hook: Box<Hook>,
}

impl Default for Options {
    fn default() -> Options {
        Options { latency: Duration::ZERO, bytes_per_second: 0, is_conditional: true, hook: Box::new(|_| Fault::None) }
    }
}

/// A server on this machine, with any buckets that one asks for. It stops when this goes.
pub struct StandIn {
    address: SocketAddr,
    shared: Arc<Shared>,
    runtime: Option<tokio::runtime::Runtime>,
}

struct Shared {
    options: Options,
    state: Mutex<State>,
    /// How far its clock is ahead, in seconds.
    ahead: AtomicI64,
    requests: AtomicU64,
}

#[derive(Default)]
struct State {
    /// By bucket and key.
    objects: BTreeMap<String, Object>,
    /// Begun and not ended, by id.
    uploads: BTreeMap<String, Upload>,
    ids: u64,
}

#[derive(Clone)]
struct Object {
    bytes: Bytes,
    modified: SystemTime,
}

struct Upload {
    path: String,
    parts: BTreeMap<u32, Bytes>,
}

impl StandIn {
    pub fn start(options: Options) -> StandIn {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            options,
            state: Mutex::default(),
            ahead: AtomicI64::new(0),
            requests: AtomicU64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let serving = Arc::clone(&shared);
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&serving);
                let service = service_fn(move |request| answer(Arc::clone(&shared), request));
                tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        StandIn { address, shared, runtime: Some(runtime) }
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The settings by which a store is found here.
    pub fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("endpoint", self.url()),
            ("allow_http", "true".to_owned()),
            ("region", "us-east-1".to_owned()),
            ("access_key_id", "key".to_owned()),
            ("secret_access_key", "secret".to_owned()),
        ];
        settings.map(|(key, value)| (key.to_owned(), value)).into()
    }

    /// Requests so far.
    pub fn requests(&self) -> u64 {
        self.shared.requests.load(SeqCst)
    }

    /// Paths of what is there, with the bucket before each.
    pub fn paths(&self) -> Vec<String> {
        self.shared.state().objects.keys().cloned().collect()
    }

    /// Uploads in parts that were begun and neither completed nor aborted.
    pub fn open_uploads(&self) -> usize {
        self.shared.state().uploads.len()
    }

    /// Moves its clock.
    pub fn pass(&self, time: Duration) {
        self.shared.ahead.fetch_add(time.as_secs() as i64, SeqCst);
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> SystemTime {
        SystemTime::now() + Duration::from_secs(self.ahead.load(SeqCst) as u64)
    }
}

async fn answer(shared: Arc<Shared>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    shared.requests.fetch_add(1, SeqCst);
    let (head, body) = request.into_parts();
    let body = to_bytes(Body::new(body), usize::MAX).await.map_err(io::Error::other)?;
    let path = decoded(head.uri.path().trim_start_matches('/'));
    let query = head.uri.query().unwrap_or_default();
    let signed = head.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let key = signed.split_once("Credential=").and_then(|(_, rest)| rest.split('/').next()).unwrap_or_default();
    let seen = Seen { method: &head.method, path: &path, query, key };
    let fault = (shared.options.hook)(&seen);
    tokio::time::sleep(shared.options.latency).await;
    match fault {
        Fault::Internal => return Ok(refusal(500, "InternalError")),
        Fault::Expired => return Ok(refusal(400, "ExpiredToken")),
        Fault::SlowDown => return Ok(refusal(503, "SlowDown")),
        Fault::Reset => return Err(io::ErrorKind::ConnectionReset.into()),
        Fault::None | Fault::Unheard | Fault::Misheard => {}
    }
    let bytes = body.len();
    let mut response = act(&shared, &head.method, &path, query, &head.headers, body);
    let length = response.extensions().get::<Length>().map_or(bytes, |length| length.0 + bytes);
    if let Some(seconds) = (length as u64 * 1_000_000).checked_div(shared.options.bytes_per_second) {
        tokio::time::sleep(Duration::from_micros(seconds)).await;
    }
    if let Ok(date) = httpdate::fmt_http_date(shared.now()).parse() {
        response.headers_mut().insert(header::DATE, date);
    }
    match fault {
        Fault::Unheard => Err(io::ErrorKind::ConnectionReset.into()),
        Fault::Misheard => Ok(refusal(500, "InternalError")),
        _ => Ok(response),
    }
}

/// How long a body is.
#[derive(Clone, Copy)]
struct Length(usize);

fn act(shared: &Shared, method: &Method, path: &str, query: &str, headers: &HeaderMap, body: Bytes) -> Response<Body> {
    let words = query.split('&').map(|word| word.split_once('=').unwrap_or((word, ""))).collect::<BTreeMap<_, _>>();
    let word = |name: &str| words.get(name).map(|value| decoded(value));
    let now = shared.now();
    let mut state = shared.state();
    let is_bucket = !path.trim_end_matches('/').contains('/');
    match (method.as_str(), word("uploadId")) {
        ("GET", None) if is_bucket && words.contains_key("uploads") => uploads_of(&state, path, word("prefix")),
        ("GET", None) if is_bucket => list(&state, path.trim_end_matches('/'), &word),
        ("POST", None) if is_bucket => {
            let text = String::from_utf8_lossy(&body);
            let keys = text.split("<Key>").skip(1).filter_map(|rest| rest.split_once("</Key>")).map(|(key, _)| key);
            let deleted = keys.map(|key| {
                state.objects.remove(&format!("{}/{}", path.trim_end_matches('/'), unescaped(key)));
                format!("<Deleted><Key>{key}</Key></Deleted>")
            });
            let deleted = deleted.collect::<String>();
            xml(format!("<DeleteResult>{deleted}</DeleteResult>"))
        }
        ("POST", None) => {
            state.ids += 1;
            let id = format!("upload-{}", state.ids);
            state.uploads.insert(id.clone(), Upload { path: path.to_owned(), parts: BTreeMap::new() });
            let text = format!("<UploadId>{id}</UploadId>");
            xml(format!(
                "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key>{text}</InitiateMultipartUploadResult>"
            ))
        }
        ("PUT", Some(id)) => {
            let number = word("partNumber").and_then(|number| number.parse().ok()).unwrap_or(0);
            let Some(upload) = state.uploads.get_mut(&id) else { return refusal(404, "NoSuchUpload") };
            upload.parts.insert(number, body);
            tagged(StatusCode::OK, now)
        }
        ("POST", Some(id)) => {
            let Some(Upload { path, parts }) = state.uploads.remove(&id) else { return refusal(404, "NoSuchUpload") };
            let bytes = Bytes::from(parts.into_values().fold(Vec::new(), |mut whole, part| {
                whole.extend_from_slice(&part);
                whole
            }));
            state.objects.insert(path, Object { bytes, modified: now });
            let text = "<Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>\"e\"</ETag>";
            xml(format!("<CompleteMultipartUploadResult>{text}</CompleteMultipartUploadResult>"))
        }
        ("DELETE", Some(id)) => {
            state.uploads.remove(&id);
            tagged(StatusCode::NO_CONTENT, now)
        }
        ("PUT", None) => {
            let is_to_be_absent = shared.options.is_conditional && headers.contains_key(header::IF_NONE_MATCH);
            if is_to_be_absent && state.objects.contains_key(path) {
                return refusal(412, "PreconditionFailed");
            }
            state.objects.insert(path.to_owned(), Object { bytes: body, modified: now });
            tagged(StatusCode::OK, now)
        }
        ("DELETE", None) => {
            state.objects.remove(path);
            tagged(StatusCode::NO_CONTENT, now)
        }
        ("GET" | "HEAD", None) => {
            let Some(object) = state.objects.get(path).cloned() else { return refusal(404, "NoSuchKey") };
            drop(state);
            part_of(&object, method == Method::HEAD, headers)
        }
        _ => refusal(501, "NotImplemented"),
    }
}

fn part_of(object: &Object, is_head: bool, headers: &HeaderMap) -> Response<Body> {
    let all = object.bytes.len();
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok()?.strip_prefix("bytes="));
    let mut response = tagged(StatusCode::OK, object.modified);
    let bytes = match range.and_then(|range| range.split_once('-')) {
        None => object.bytes.clone(),
        Some((from, to)) => {
            let from = from.parse::<usize>().unwrap_or(0);
            if from >= all {
                return refusal(416, "InvalidRange");
            }
            let to = to.parse::<usize>().map_or(all, |to| all.min(to + 1));
            *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {from}-{}/{all}", to - 1).parse().unwrap();
            response.headers_mut().insert(header::CONTENT_RANGE, range);
            object.bytes.slice(from..to)
        }
    };
    response.headers_mut().insert(header::CONTENT_LENGTH, bytes.len().into());
    if !is_head {
        response.extensions_mut().insert(Length(bytes.len()));
        *response.body_mut() = Body::from(bytes);
    }
    response
}

fn list(state: &State, bucket: &str, word: &impl Fn(&str) -> Option<String>) -> Response<Body> {
    const MOST: usize = 1000;
    let prefix = format!("{bucket}/{}", word("prefix").unwrap_or_default());
    let delimiter = word("delimiter").unwrap_or_default();
    let after = word("continuation-token").or(word("start-after")).map(|key| format!("{bucket}/{key}"));
    let (mut contents, mut prefixes, mut last, mut count) = (String::new(), Vec::<String>::new(), None, 0);
    let is_in =
        |(path, _): &(&String, &Object)| path.starts_with(&prefix) && after.as_ref().is_none_or(|after| *path > after);
    for (path, object) in state.objects.iter().filter(is_in) {
        if count == MOST {
            break;
        }
        let key = path.split_once('/').map_or("", |(_, key)| key);
        last = Some(key.to_owned());
        let rest = path.strip_prefix(&prefix).unwrap_or_default();
        match rest.split_once(&delimiter).filter(|_| !delimiter.is_empty()) {
            Some((folder, _)) => {
                let start = prefix.split_once('/').map_or("", |(_, key)| key);
                let folder = format!("{start}{folder}{delimiter}");
                if !prefixes.contains(&folder) {
                    prefixes.push(folder);
                    count += 1;
                }
            }
            None => {
                let modified = chrono::DateTime::<chrono::Utc>::from(object.modified).format("%Y-%m-%dT%H:%M:%S.000Z");
                let size = object.bytes.len();
                contents += &format!(
                    "<Contents><Key>{}</Key><LastModified>{modified}</LastModified><ETag>\"e\"</ETag><Size>{size}</Size></Contents>",
                    escaped(key)
                );
                count += 1;
            }
        }
    }
    let is_truncated = count == MOST;
    let next = last
        .filter(|_| is_truncated)
        .map_or(String::new(), |last| format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&last)));
    let prefixes =
        prefixes.iter().map(|prefix| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escaped(prefix)));
    let prefixes = prefixes.collect::<String>();
    xml(format!(
        "<ListBucketResult><IsTruncated>{is_truncated}</IsTruncated>{next}{contents}{prefixes}</ListBucketResult>"
    ))
}

fn uploads_of(state: &State, bucket: &str, prefix: Option<String>) -> Response<Body> {
    let prefix = format!("{}/{}", bucket.trim_end_matches('/'), prefix.unwrap_or_default());
    let uploads = state.uploads.iter().filter(|(_, upload)| upload.path.starts_with(&prefix));
    let uploads = uploads.map(|(id, upload)| {
        let key = upload.path.split_once('/').map_or("", |(_, key)| key);
        format!("<Upload><Key>{}</Key><UploadId>{id}</UploadId></Upload>", escaped(key))
    });
    let uploads = uploads.collect::<String>();
    xml(format!("<ListMultipartUploadsResult><IsTruncated>false</IsTruncated>{uploads}</ListMultipartUploadsResult>"))
}

fn xml(text: String) -> Response<Body> {
    Response::new(Body::from(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>{text}")))
}

fn tagged(status: StatusCode, modified: SystemTime) -> Response<Body> {
    let builder = Response::builder().status(status).header(header::ETAG, "\"e\"");
    builder.header(header::LAST_MODIFIED, httpdate::fmt_http_date(modified)).body(Body::empty()).unwrap()
}

fn refusal(status: u16, code: &str) -> Response<Body> {
    let text =
        format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>no</Message></Error>");
    Response::builder().status(status).body(Body::from(text)).unwrap()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn unescaped(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let digits = (byte == b'%').then(|| [rest.next(), rest.next()]);
        let hex = digits.and_then(|digits| {
            let digits = [digits[0]?, digits[1]?];
            u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()
        });
        bytes.push(hex.unwrap_or(if byte == b'+' { b' ' } else { byte }));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
