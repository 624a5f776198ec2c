//! A place in a bucket of S3, Google Cloud Storage or Azure.
//!
//! What a lake asks of a disk it asks of a bucket: a file of one name is put once, by a request that the store refuses where one is there.
//! Who lives is told by a lease: the entry of a run is written anew while it works, and who has not done so for long, by the store's
//! clock, is dead.

mod connect;
mod credentials;
mod failure;
mod http;
mod lease;
mod read;
#[cfg(test)]
pub(super) mod tests;
mod unfinished;
mod uploads;

use std::io::Read;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};
use tokio::runtime::{Handle, Runtime};

use super::address::StoreOptions;
use super::{Blob, FailureKind, Hold, Listed, Put, Store, StoreFailure};
use crate::error::{Error, Result};
use connect::Connected;
use http::Observed;
use lease::Leases;
use read::{PIECE, Pieces};
use unfinished::Unfinished;
use uploads::Uploads;

/// Files beyond this go in several requests, side by side.
const LARGE: usize = 16 << 20;
/// What one of these requests brings. S3 takes 10,000 of them, each but the last of 5 MiB at least.
const PART: usize = 8 << 20;
/// Requests of one large file at a time.
const PARTS_AT_A_TIME: usize = 4;
/// Requests at a time where many files are asked for.
const REQUESTS_AT_A_TIME: usize = 32;
/// Threads that encrypt and send.
const THREADS: usize = 2;

/// Files below a path of a bucket.
#[derive(Debug)]
pub struct BucketStore {
    place: PathBuf,
    objects: Arc<dyn ObjectStore>,
    parts: Parts,
    /// Where the store keeps uploads that never ended, and tells of them.
    unfinished: Option<Unfinished>,
    root: Path,
    observed: Observed,
    uploads: Uploads,
    leases: Leases,
    /// Until the store goes.
    runtime: Option<Runtime>,
    handle: Handle,
}

/// Requests that are parts of one file.
#[derive(Clone)]
struct Parts(Arc<dyn MultipartStore>);

impl std::fmt::Debug for Parts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Parts")
    }
}

impl BucketStore {
    /// At an address such as `s3://bucket/path`. Nothing is looked at, and nothing is made.
    pub fn at(address: &str, options: &StoreOptions) -> Result<BucketStore> {
        let observed = Observed::default();
        let connected = connect::connect(address, options, &observed)?;
        let place = PathBuf::from(address.trim_end_matches('/'));
        BucketStore::over(connected, place, options, observed)
    }

    fn over(connected: Connected, place: PathBuf, options: &StoreOptions, observed: Observed) -> Result<BucketStore> {
        let threads = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).enable_all().build();
        let runtime = threads.map_err(Error::file("start threads for", &place))?;
        let handle = runtime.handle().clone();
        let Connected { objects, parts, unfinished, root } = connected;
        let leases = Leases::new(options.lease);
        let uploads = Uploads::within(options.held_bytes);
        let runtime = Some(runtime);
        Ok(BucketStore {
            place,
            objects,
            parts: Parts(parts),
            unfinished,
            root,
            observed,
            uploads,
            leases,
            runtime,
            handle,
        })
    }

    fn path(&self, path: &str) -> Result<Path> {
        let whole = if self.root.as_ref().is_empty() { path.to_owned() } else { format!("{}/{path}", self.root) };
        let parsed = Path::parse(whole.trim_end_matches('/'));
        parsed.map_err(|error| self.failed("name", path)(object_store::Error::from(error)))
    }

    /// The path of a file below the place.
    fn own(&self, path: &Path) -> String {
        let root = self.root.as_ref();
        let below = path.as_ref().strip_prefix(root).unwrap_or(path.as_ref());
        below.trim_start_matches('/').to_owned()
    }

    fn failed(&self, action: &'static str, path: &str) -> impl FnOnce(object_store::Error) -> Error + use<> {
        let path = self.place.join(path);
        move |error| Error::Store { action, path, source: StoreFailure::of(&error) }
    }

    fn wait<T>(&self, request: impl Future<Output = T>) -> T {
        self.handle.block_on(request)
    }

    /// A request that puts a file.
    fn request(
        &self,
        path: &str,
        bytes: &[u8],
        mode: PutMode,
    ) -> Result<impl Future<Output = object_store::Result<()>>> {
        let (objects, at) = (Arc::clone(&self.objects), self.path(path)?);
        let payload = PutPayload::from(Bytes::copy_from_slice(bytes));
        let options = PutOptions { mode, ..PutOptions::default() };
        Ok(async move { objects.put_opts(&at, payload, options).await.map(drop) })
    }

    /// How putting a file that must not be there ended. Behind any failure an attempt may stand that took place unheard.
    fn put_of(&self, path: &str, result: object_store::Result<()>) -> Put {
        match result {
            Ok(()) => Put::Done,
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Put::Exists,
            Err(error) => Put::Unknown(self.failed("write", path)(error)),
        }
    }

    fn listed(&self, folder: &str, found: ObjectMeta) -> Option<Listed> {
        let path = self.own(&found.location);
        // A store that knows no folders may give the object of that very name, too.
        let is_below = folder.is_empty() || path.len() > folder.len();
        is_below.then(|| Listed { path, bytes: found.size, modified: found.last_modified.into() })
    }

    /// No bucket is no file either, but nothing to go on with.
    fn or_absent<T>(&self, action: &'static str, path: &str, result: object_store::Result<T>) -> Result<Option<T>> {
        match result {
            Ok(found) => Ok(Some(found)),
            Err(error @ object_store::Error::NotFound { .. }) => match StoreFailure::of(&error) {
                failure if failure.kind == FailureKind::NoBucket => {
                    Err(Error::Store { action, path: self.place.join(path), source: failure })
                }
                _ => Ok(None),
            },
            Err(error) => Err(self.failed(action, path)(error)),
        }
    }

    /// An error where a file that was removed may come back.
    fn check_certain(&self, path: &str) -> Result<()> {
        if !self.uploads.is_uncertain(path) {
            return Ok(());
        }
        let source = StoreFailure::new(FailureKind::Other, "its upload failed, and may come to be later");
        Err(Error::Store { action: "remove", path: self.place.join(path), source })
    }

    async fn fetch(objects: &dyn ObjectStore, path: &Path) -> object_store::Result<Bytes> {
        objects.get(path).await?.bytes().await
    }
}

/// Brings a whole file into the bucket, a large one in several requests.
async fn upload(
    objects: &dyn ObjectStore,
    parts: &dyn MultipartStore,
    path: &Path,
    bytes: Bytes,
) -> object_store::Result<()> {
    if bytes.len() <= LARGE {
        return objects.put(path, bytes.into()).await.map(drop);
    }
    let id = parts.create_multipart(path).await?;
    let starts = (0..bytes.len()).step_by(PART);
    let pieces = starts.map(|start| bytes.slice(start..bytes.len().min(start + PART))).collect::<Vec<_>>();
    let put_part = |(number, piece): (usize, Bytes)| parts.put_part(path, &id, number, piece.into());
    let puts = pieces.into_iter().enumerate().map(put_part).collect::<Vec<_>>();
    let put = stream::iter(puts).buffered(PARTS_AT_A_TIME).try_collect().await;
    let done = match put {
        Ok(put) => parts.complete_multipart(path, &id, put).await.map(drop),
        Err(error) => Err(error),
    };
    if done.is_err() {
        // Else its parts would be paid for until somebody removes them.
        let _ = parts.abort_multipart(path, &id).await;
    }
    done
}

impl Store for BucketStore {
    fn place(&self) -> &FilePath {
        &self.place
    }

    /// Begins the upload; [`Store::flush`] tells how it ended.
    fn put(&self, path: &str, bytes: &[u8]) -> Result<()> {
        let at = self.path(path)?;
        let upload_of = self.uploads.begin(path, bytes.len())?;
        let (objects, parts, bytes) = (Arc::clone(&self.objects), self.parts.clone(), Bytes::copy_from_slice(bytes));
        let failed = self.failed("write", path);
        self.handle.spawn(async move {
            let done = upload(&*objects, &*parts.0, &at, bytes).await;
            upload_of.end(done.map_err(failed));
        });
        Ok(())
    }

    fn replace(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.wait(self.request(path, bytes, PutMode::Overwrite)?).map_err(self.failed("write", path))
    }

    fn put_private(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        let at = self.path(path)?;
        let read_failed = || Error::file("read for", self.place.join(path));
        let mut read = |bytes: usize| {
            let mut piece = Vec::new();
            from.take(bytes as u64).read_to_end(&mut piece).map_err(read_failed())?;
            Ok::<_, Error>(Bytes::from(piece))
        };
        let first = read(PART)?;
        if first.len() < PART {
            return self.wait(self.objects.put(&at, first.into())).map(drop).map_err(self.failed("write", path));
        }
        let failed = || self.failed("write", path);
        let id = self.wait(self.parts.0.create_multipart(&at)).map_err(failed())?;
        let put = || -> Result<()> {
            let (mut piece, mut ids) = (first, Vec::new());
            while !piece.is_empty() {
                let next = self.parts.0.put_part(&at, &id, ids.len(), std::mem::take(&mut piece).into());
                ids.push(self.wait(next).map_err(failed())?);
                piece = read(PART)?;
            }
            self.wait(self.parts.0.complete_multipart(&at, &id, ids)).map(drop).map_err(failed())
        };
        put().inspect_err(|_| drop(self.wait(self.parts.0.abort_multipart(&at, &id))))
    }

    /// An object is seen whole or not at all.
    fn put_named(&self, path: &str, from: &mut dyn Read) -> Result<()> {
        self.put_private(path, from)
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> Result<Put> {
        let result = self.wait(self.request(path, bytes, PutMode::Create)?);
        Ok(self.put_of(path, result))
    }

    fn put_each_if_absent(&self, files: &[(String, Vec<u8>)]) -> Result<Vec<Put>> {
        let requests = files.iter().map(|(path, bytes)| self.request(path, bytes, PutMode::Create));
        let requests = requests.collect::<Result<Vec<_>>>()?;
        let results = self.wait(stream::iter(requests).buffered(REQUESTS_AT_A_TIME).collect::<Vec<_>>());
        Ok(files.iter().zip(results).map(|((path, _), result)| self.put_of(path, result)).collect())
    }

    fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.uploads.wait_for(path);
        let at = self.path(path)?;
        let got = self.wait(BucketStore::fetch(&*self.objects, &at));
        Ok(self.or_absent("read", path, got)?.map(Vec::from))
    }

    /// One request for all but large files.
    fn open(&self, path: &str) -> Result<Option<Blob>> {
        self.uploads.wait_for(path);
        let at = self.path(path)?;
        let head = async {
            let options = GetOptions { range: Some(GetRange::Bounded(0..PIECE)), ..GetOptions::default() };
            let failed = match self.objects.get_opts(&at, options).await {
                Ok(got) => return Ok((got.meta.size, got.bytes().await?)),
                Err(error) => error,
            };
            // Nothing of an empty file can be asked for.
            let is_there = !matches!(failed, object_store::Error::NotFound { .. });
            match if is_there { self.objects.head(&at).await.ok() } else { None } {
                Some(meta) if meta.size == 0 => Ok((0, Bytes::new())),
                _ => Err(failed),
            }
        };
        let Some((bytes, head)) = self.or_absent("open", path, self.wait(head))? else { return Ok(None) };
        if bytes <= head.len() as u64 {
            return Ok(Some(Blob::new(head, bytes)));
        }
        let kept = Mutex::new([(0, head)].into());
        let (objects, runtime) = (Arc::clone(&self.objects), self.handle.clone());
        Ok(Some(Blob::new(Pieces { objects, runtime, path: at, bytes, kept }, bytes)))
    }

    fn list(&self, folder: &str) -> Result<Vec<Listed>> {
        let prefix = self.path(folder)?;
        let found = self.wait(self.objects.list(Some(&prefix)).try_collect::<Vec<_>>());
        let found = self.or_absent("list", folder, found)?.unwrap_or_default();
        let mut listed = found.into_iter().filter_map(|found| self.listed(folder, found)).collect::<Vec<_>>();
        listed.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok(listed)
    }

    fn paths_behind(&self, folder: &str, path: &str) -> Result<Vec<String>> {
        let (prefix, offset) = (self.path(folder)?, self.path(path)?);
        let found = self.wait(self.objects.list_with_offset(Some(&prefix), &offset).try_collect::<Vec<_>>());
        let found = self.or_absent("list", folder, found)?.unwrap_or_default();
        let mut paths =
            found.into_iter().filter_map(|found| Some(self.listed(folder, found)?.path)).collect::<Vec<_>>();
        paths.sort_unstable();
        Ok(paths)
    }

    fn has_any(&self, folder: &str) -> Result<bool> {
        let prefix = self.path(folder)?;
        let mut listing = self.objects.list(Some(&prefix)).map_ok(|found| self.listed(folder, found));
        let first = self.wait(async { listing.try_next().await });
        Ok(self.or_absent("list", folder, first)?.flatten().is_some())
    }

    fn top(&self) -> Result<Vec<String>> {
        let prefix = self.path("")?;
        let found = self.wait(self.objects.list_with_delimiter(Some(&prefix)));
        let Some(found) = self.or_absent("list", "", found)? else { return Ok(Vec::new()) };
        let files = found.objects.into_iter().map(|file| file.location);
        let names = found.common_prefixes.into_iter().chain(files).map(|path| self.own(&path));
        Ok(names.filter(|name| !name.is_empty()).collect())
    }

    fn delete(&self, path: &str) -> Result<()> {
        self.uploads.wait_for(path);
        self.leases.give_up(path);
        let at = self.path(path)?;
        self.or_absent("remove", path, self.wait(self.objects.delete(&at)))?;
        self.check_certain(path)
    }

    /// By a thousand, where the store takes so many in one request.
    fn delete_each(&self, paths: &[String]) -> Result<()> {
        paths.iter().for_each(|path| self.uploads.wait_for(path));
        paths.iter().for_each(|path| self.leases.give_up(path));
        let all = paths.iter().map(|path| self.path(path)).collect::<Result<Vec<_>>>()?;
        let deleted = self.objects.delete_stream(stream::iter(all.into_iter().map(Ok)).boxed());
        let ended = self.wait(deleted.collect::<Vec<_>>());
        ended.into_iter().try_for_each(|deleted| self.or_absent("remove", "", deleted).map(drop))?;
        paths.iter().try_for_each(|path| self.check_certain(path))
    }

    fn readers(&self) -> usize {
        REQUESTS_AT_A_TIME
    }

    fn flush(&self) -> Result<()> {
        self.uploads.finish()
    }

    fn abort_uploads(&self, is_writing: &mut dyn FnMut(&str) -> Result<bool>) -> Result<u64> {
        let Some(unfinished) = &self.unfinished else { return Ok(0) };
        let found = self.wait(unfinished.below(&self.root)).map_err(self.failed("list the uploads of", ""))?;
        let mut aborted = 0;
        for upload in found {
            let path = Path::parse(&upload.path);
            let path = path.map_err(|error| self.failed("name", &upload.path)(object_store::Error::from(error)))?;
            if !is_writing(&self.own(&path))? {
                let abort = self.wait(self.parts.0.abort_multipart(&path, &upload.id));
                aborted += u64::from(self.or_absent("abort an upload of", &upload.path, abort)?.is_some());
            }
        }
        Ok(aborted)
    }

    fn hold(&self, path: &str, bytes: &[u8]) -> Result<Hold> {
        let at = self.path(path)?;
        let refused = |kind, words: &str| Error::Store {
            action: "write",
            path: self.place.join(path),
            source: StoreFailure::new(kind, words),
        };
        match self.put_if_absent(path, bytes)? {
            Put::Done => {}
            Put::Exists | Put::Unknown(_) if self.get(path)?.as_deref() == Some(bytes) => {}
            Put::Exists => return Err(refused(FailureKind::Other, "another run has this name")),
            Put::Unknown(error) => return Err(error),
        }
        // All rests on this: of two who put a file of one name, one is refused.
        match self.put_if_absent(path, bytes)? {
            Put::Exists => {}
            Put::Unknown(error) => return Err(error),
            Put::Done => {
                self.delete(path)?;
                let words = "it puts a file although one of that name is there: it does not know conditional puts, or something \
                             on the way strips `If-None-Match`";
                return Err(refused(FailureKind::Unconditional, words));
            }
        }
        let objects = Arc::clone(&self.objects);
        let bytes = Bytes::copy_from_slice(bytes);
        Ok(Hold(Box::new(self.leases.take(&self.handle, path, move || {
            let (objects, at, bytes) = (Arc::clone(&objects), at.clone(), bytes.clone());
            async move { objects.put(&at, bytes.into()).await.map(drop) }
        }))))
    }

    fn take_hold(&self, path: &str) -> Result<Option<Hold>> {
        let at = self.path(path)?;
        if self.leases.is_own(path) {
            return Ok(None);
        }
        let Some(found) = self.or_absent("look at", path, self.wait(self.objects.head(&at)))? else { return Ok(None) };
        let age = self.observed.now().duration_since(found.last_modified.into()).unwrap_or(Duration::ZERO);
        Ok((age > self.leases.lasting()).then(Hold::nominal))
    }

    fn requests(&self) -> Option<u64> {
        Some(self.observed.requests())
    }
}

impl Drop for BucketStore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
