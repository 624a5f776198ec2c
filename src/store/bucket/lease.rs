//! Leases: a file is written anew again and again while its holder works.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A sign of life comes this often at least, so that one whose lease is given shorter by another command is not taken for dead.
const LONGEST_SILENCE: Duration = Duration::from_secs(5 * 60);

/// The leases of a process. A clone has the same.
#[derive(Clone, Debug)]
pub(super) struct Leases {
    lasting: Duration,
    own: Arc<Mutex<HashMap<String, Signs>>>,
}

/// Signs of life that are given for a file.
#[derive(Debug)]
struct Signs {
    task: JoinHandle<()>,
    stop: oneshot::Sender<()>,
    handle: Handle,
}

/// A lease that ends when this goes: no sign of life comes any more.
#[derive(Debug)]
pub(super) struct Lease {
    leases: Leases,
    path: String,
}

impl Leases {
    pub(super) fn new(lasting: Duration) -> Leases {
        Leases { lasting, own: Arc::default() }
    }

    /// How old a sign of life may be.
    pub(super) fn lasting(&self) -> Duration {
        self.lasting
    }

    /// Gives signs of life for a file that was just written.
    pub(super) fn take<F>(&self, handle: &Handle, path: &str, sign: impl Fn() -> F + Send + 'static) -> Lease
    where
        F: Future<Output = object_store::Result<()>> + Send,
    {
        let silence = LONGEST_SILENCE.min(self.lasting / 4);
        let (stop, mut stopped) = oneshot::channel();
        let task = handle.spawn(async move {
            while tokio::time::timeout(silence, &mut stopped).await.is_err() {
                if let Err(error) = sign().await {
                    tracing::warn!(%error, "can't tell other runs that this one lives");
                }
            }
        });
        self.own().insert(path.to_owned(), Signs { task, stop, handle: handle.clone() });
        Lease { leases: self.clone(), path: path.to_owned() }
    }

    /// Whether this process gives signs of life for a file.
    pub(super) fn is_own(&self, path: &str) -> bool {
        self.own().contains_key(path)
    }

    /// Gives none any more; none is on its way when this returns, which would bring back a file that is being removed.
    pub(super) fn give_up(&self, path: &str) {
        let Some(signs) = self.own().remove(path) else { return };
        let Signs { task, stop, handle } = signs;
        let _ = stop.send(());
        let _ = handle.block_on(task);
    }

    fn own(&self) -> std::sync::MutexGuard<'_, HashMap<String, Signs>> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.leases.give_up(&self.path);
    }
}
