//! Connections: from a port to the gate, on threads of their own.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_LENGTH;
use axum::middleware;
use axum::response::Response;
use hyper::body::{Body, Frame, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tower_http::CompressionLevel;
use tower_http::compression::CompressionLayer;

use super::gate::{Shared, gate};
use super::{RequestSeen, SimulateOptions, Store, attachments, endpoints};
use crate::error::{Error, Result};

/// Threads that answer: a page takes a few milliseconds, and the client under test needs cores too.
const WORKERS: usize = 2;

/// How long the port is left alone after a connection that could not be taken, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(10);

/// A simulated API that serves until it is stopped or dropped.
#[derive(Debug)]
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Simulator {
    /// Begins to serve at an address; port 0 picks a free one.
    ///
    /// # Errors
    /// Where the address can't be listened on.
    pub fn start(store: Arc<Store>, options: SimulateOptions, address: SocketAddr) -> Result<Simulator> {
        let failed = |source| Error::Listen { address, source };
        let listener = TcpListener::bind(address).map_err(failed)?;
        listener.set_nonblocking(true).map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("simulate")
            .enable_all()
            .build()
            .map_err(failed)?;
        let shared = Arc::new(Shared::new(store, options));
        let router = router(&shared);
        let (stop, stopped) = oneshot::channel();
        let serve = move || {
            runtime.block_on(serve(listener, router, stopped));
            runtime.shutdown_background();
        };
        let thread = std::thread::Builder::new().name("simulate".to_owned()).spawn(serve).map_err(failed)?;
        Ok(Simulator { address: bound, shared, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it serves, such as `http://127.0.0.1:8080`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Requests that came, refused ones too.
    pub fn requests(&self) -> u64 {
        self.shared.requests()
    }

    /// The latest 65,536 requests, in the order in which they were answered.
    pub fn log(&self) -> Vec<RequestSeen> {
        self.shared.log()
    }

    /// Ends it, with the connections that are open.
    pub fn stop(self) {
        drop(self);
    }

    /// Serves for as long as the process lives.
    pub fn wait(mut self) {
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for Simulator {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn router(shared: &Arc<Shared>) -> Router {
    // The quickest level: the time should go to the client under test.
    let compression = CompressionLayer::new().gzip(true).quality(CompressionLevel::Fastest);
    endpoints::router()
        .layer(middleware::from_fn_with_state(Arc::clone(shared), gate))
        .layer(middleware::from_fn_with_state(Arc::clone(shared), attachments::sign))
        .merge(attachments::router())
        .layer(compression)
        .with_state(Arc::clone(shared))
}

async fn serve(listener: TcpListener, router: Router, mut stopped: oneshot::Receiver<()>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else {
        return;
    };
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(tokio::spawn(connection(stream, router.clone()))),
                Err(_) => tokio::time::sleep(PAUSE).await,
            },
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let _ = stream.set_nodelay(true);
    let router = TowerToHyperService::new(router);
    let service = service_fn(|request: Request<hyper::body::Incoming>| {
        let answer = router.call(request);
        async {
            let Ok(response) = answer.await;
            end(response).await
        }
    });
    // How a connection ends is the client's business.
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// Marks a response whose connection ends before it does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ending {
    /// Nothing is sent.
    NoAnswer,
    /// Half of the body is sent.
    Cut,
}

/// Ends a response as it is marked. An error makes hyper close the connection without a word.
async fn end(response: Response) -> io::Result<Response> {
    match response.extensions().get() {
        None => Ok(response),
        Some(Ending::NoAnswer) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(Ending::Cut) => {
            let (mut parts, body) = response.into_parts();
            let whole = axum::body::to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
            parts.headers.insert(CONTENT_LENGTH, HeaderValue::from(whole.len()));
            Ok(Response::from_parts(parts, axum::body::Body::new(Cut::half(whole))))
        }
    }
}

/// A body that ends in the middle, with the connection.
#[derive(Debug)]
struct Cut {
    half: Option<Bytes>,
    claimed_bytes: u64,
    is_sent: bool,
}

impl Cut {
    /// The first half of a body that claims to be all of it.
    fn half(whole: Bytes) -> Cut {
        let half = whole.slice(..whole.len() / 2);
        Cut { half: Some(half), claimed_bytes: whole.len() as u64, is_sent: false }
    }
}

impl Body for Cut {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        if let Some(half) = self.half.take() {
            return Poll::Ready(Some(Ok(Frame::data(half))));
        }
        if !std::mem::replace(&mut self.is_sent, true) {
            // A pause lets hyper send what it has.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(io::Error::from(io::ErrorKind::ConnectionReset))))
    }

    fn size_hint(&self) -> SizeHint {
        let sent = if self.half.is_none() { self.claimed_bytes / 2 } else { 0 };
        SizeHint::with_exact(self.claimed_bytes - sent)
    }
}
