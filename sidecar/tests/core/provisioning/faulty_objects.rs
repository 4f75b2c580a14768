//! An object store that stops, waits or fails as it is told.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, RenameOptions, Result,
};
use tokio::sync::watch;
use tokio_stream::{Stream, StreamExt as _};

type Boxed<T> = Pin<Box<dyn Stream<Item = Result<T>> + Send>>;

/// Steps of a pick-up, counted from 0 and stopped at one of them.
#[derive(Debug)]
pub(super) struct Steps {
    taken: AtomicUsize,
    /// At which nothing is answered any more, and whether it is carried out before.
    stop: Option<(usize, bool)>,
    stopped: watch::Sender<bool>,
    released: watch::Sender<bool>,
    is_down: AtomicBool,
}

impl Steps {
    pub(super) fn stop_at(stop: Option<(usize, bool)>) -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicUsize::new(0),
            stop,
            stopped: watch::channel(false).0,
            released: watch::channel(false).0,
            is_down: AtomicBool::new(false),
        })
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::SeqCst)
    }

    pub(super) fn be_down(&self, is_down: bool) {
        self.is_down.store(is_down, Ordering::SeqCst);
    }

    pub(super) async fn stopped(&self) {
        let mut stopped = self.stopped.subscribe();
        stopped.wait_for(|stopped| *stopped).await.unwrap();
    }

    pub(super) fn has_stopped(&self) -> bool {
        *self.stopped.borrow()
    }

    /// What was stopped goes on.
    pub(super) fn release(&self) {
        self.released.send_replace(true);
    }

    async fn hold(&self) {
        self.stopped.send_replace(true);
        let mut released = self.released.subscribe();
        released.wait_for(|released| *released).await.unwrap();
    }

    /// Whether the next step is stopped after it was carried out; one that is stopped before waits here.
    async fn next(&self) -> Result<bool> {
        let step = self.taken.fetch_add(1, Ordering::SeqCst);
        if self.is_down.load(Ordering::SeqCst) {
            return Err(Error::Generic {
                store: "Faulty",
                source: "503 from https://account.example/x?sig=sEcReT".into(),
            });
        }
        match self.stop {
            Some((stop, carried_out)) if stop == step => {
                if !carried_out {
                    self.hold().await;
                }
                Ok(carried_out)
            }
            _ => Ok(false),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn ObjectStore>,
    pub(super) steps: Arc<Steps>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Faulty")
    }
}

impl Faulty {
    async fn step<T>(&self, done: impl Future<Output = Result<T>>) -> Result<T> {
        let stops = self.steps.next().await?;
        let done = done.await;
        if stops {
            self.steps.hold().await;
        }
        done
    }
}

#[async_trait::async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.step(self.inner.put_opts(location, payload, options))
            .await
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotImplemented {
            operation: "parts".to_owned(),
            implementer: "Faulty".to_owned(),
        })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.step(self.inner.get_opts(location, options)).await
    }

    fn delete_stream(&self, locations: Boxed<Path>) -> Boxed<Path> {
        let (this, inner) = (self.clone(), Arc::clone(&self.inner));
        let deleted = locations.then(move |location| {
            let (this, inner) = (this.clone(), Arc::clone(&inner));
            async move {
                let location = location?;
                let one = tokio_stream::once(Ok(location.clone()));
                let mut deleted = inner.delete_stream(Box::pin(one));
                let deleted = async { deleted.next().await.unwrap() };
                this.step(deleted).await
            }
        });
        Box::pin(deleted)
    }

    fn list(&self, prefix: Option<&Path>) -> Boxed<ObjectMeta> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.step(self.inner.list_with_delimiter(prefix)).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.step(self.inner.copy_opts(from, to, options)).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.step(self.inner.rename_opts(from, to, options)).await
    }
}
