//! Binaries: the service Blob. What is uploaded is stored, looked at and handed on, never executed.

use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::Stream;
use futures_util::stream::poll_fn;
use squall_daemon::elf::{Elf, ElfError};
use squall_daemon::shutdown::Scope;
use squall_proto::bounds::MAX_CHUNK_BYTES;
use squall_proto::limits::{HELLO_DEADLINE, STALL_DEADLINE, UPLOADS};
use squall_proto::wire::blob_server::Blob;
use squall_proto::{
    BlobChunk, FetchBlob, Refusal, RefusalCode, Sha256, UploadHeader, UploadPart, wire,
};
use squall_store::blob::{BlobError, BlobHash, BlobReader, BlobStore, BlobWriter};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::timeout;
use tonic::{Request, Response, Status, Streaming};
use tracing::info;

use crate::metrics::NimbusMetrics;

use super::Refusals;

/// Fetches at the same time, over all connections.
const FETCHES: usize = 64;
/// How many pieces may wait for the disk or for the network, in one upload or fetch.
const PIECES: usize = 8;

type Pieces = Pin<Box<dyn Stream<Item = Result<wire::FetchResponse, Status>> + Send>>;

/// Serves binaries.
pub(crate) struct BlobService {
    blobs: BlobStore,
    uploads: Arc<Semaphore>,
    fetches: Arc<Semaphore>,
    scope: Scope,
    metrics: NimbusMetrics,
    refusals: Refusals,
}

impl BlobService {
    pub(crate) fn new(
        blobs: BlobStore,
        scope: Scope,
        metrics: NimbusMetrics,
        refusals: Refusals,
    ) -> Self {
        Self {
            blobs,
            uploads: Arc::new(Semaphore::new(UPLOADS)),
            fetches: Arc::new(Semaphore::new(FETCHES)),
            scope,
            metrics,
            refusals,
        }
    }

    /// Takes a binary; true if it had been there before.
    async fn take(&self, mut parts: Streaming<wire::UploadRequest>) -> Result<bool, Refusal> {
        let permit = Arc::clone(&self.uploads).try_acquire_owned();
        let _permit = permit.map_err(|_| Refusal::busy("uploads", UPLOADS))?;
        let first = timeout(HELLO_DEADLINE, parts.message()).await;
        let first = first.map_err(|_| stalled())??;
        let first = first.map(UploadPart::try_from).transpose()?;
        let Some(UploadPart::Header(header)) = first else {
            let message = "an upload begins with its header";
            return Err(Refusal::new(RefusalCode::BadField, message, ""));
        };
        let hash = BlobHash::new(*header.sha256.as_bytes());
        let blobs = self.blobs.clone();
        let begun = spawn_blocking(move || blobs.begin(hash, header.size_bytes)).await;
        let begun = begun
            .map_err(Refusal::internal)?
            .map_err(|error| refusal(error, &header))?;
        let Some(writer) = begun else {
            return Ok(true);
        };
        let (sender, pieces) = mpsc::channel(PIECES);
        let writing = self.write(writer, pieces);
        let fed = self.feed(&mut parts, sender, &header).await;
        let written = writing.await.map_err(Refusal::internal)?;
        // What the disk says comes first: then the feeding broke off because of it.
        written.map_err(|error| refusal(error, &header))?;
        fed?;
        info!(sha256 = %header.sha256, n_bytes = header.size_bytes, "binary stored");
        Ok(false)
    }

    /// Writes pieces as they come. Whoever drops the sender before all have come has nothing stored.
    fn write(
        &self,
        mut writer: BlobWriter,
        mut pieces: mpsc::Receiver<Bytes>,
    ) -> JoinHandle<Result<(), BlobError>> {
        let tracked = self.scope.track("upload");
        spawn_blocking(move || {
            let _tracked = tracked;
            while let Some(piece) = pieces.blocking_recv() {
                if piece.is_empty() {
                    return writer.finish();
                }
                writer.write(&piece)?;
            }
            Ok(())
        })
    }

    /// Hands pieces to the writer, and at the end an empty one.
    async fn feed(
        &self,
        parts: &mut Streaming<wire::UploadRequest>,
        sender: mpsc::Sender<Bytes>,
        header: &UploadHeader,
    ) -> Result<(), Refusal> {
        let mut n_bytes = 0u64;
        loop {
            let part = tokio::select! {
                () = self.scope.forced() => return Err(Refusal::unavailable("nimbus is stopping")),
                part = timeout(STALL_DEADLINE, parts.message()) => part.map_err(|_| stalled())??,
            };
            let piece = match part.map(UploadPart::try_from).transpose()? {
                Some(UploadPart::Chunk(piece)) => piece,
                Some(UploadPart::Header(_)) => {
                    let message = "an upload has one header";
                    return Err(Refusal::new(RefusalCode::BadField, message, ""));
                }
                None if n_bytes < header.size_bytes => return Err(cut_short(header, n_bytes)),
                None => Bytes::new(),
            };
            if n_bytes == 0 {
                look_at(&piece)?;
            }
            let is_last = piece.is_empty();
            n_bytes += piece.len() as u64;
            self.metrics.uploaded_bytes.inc_by(piece.len() as u64);
            if sender.send(piece).await.is_err() || is_last {
                return Ok(());
            }
        }
    }

    /// Returns the size of a binary, if it is stored. Another one that is just being stored or removed may hold
    /// that up for as long as a disk takes.
    async fn size(&self, sha256: &Sha256) -> Result<Option<u64>, Refusal> {
        let (blobs, hash) = (self.blobs.clone(), BlobHash::new(*sha256.as_bytes()));
        let size_bytes = spawn_blocking(move || blobs.size(hash)).await;
        size_bytes.map_err(Refusal::internal)
    }

    /// Reads a binary piece by piece.
    async fn read(&self, fetch: FetchBlob) -> Result<Pieces, Refusal> {
        let permit = Arc::clone(&self.fetches).try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::busy("fetches", FETCHES))?;
        let size_bytes = self.size(&fetch.sha256).await?;
        let size_bytes = size_bytes.ok_or_else(|| Refusal::unknown_blob(&fetch.sha256))?;
        let (sender, mut pieces) = mpsc::channel(PIECES);
        let reading = Reading {
            blobs: self.blobs.clone(),
            fetch,
            size_bytes,
            metrics: self.metrics.clone(),
            refusals: self.refusals.clone(),
            _permit: permit,
        };
        let tracked = self.scope.track("fetch");
        drop(spawn_blocking(move || {
            let _tracked = tracked;
            reading.run(&sender);
        }));
        Ok(Box::pin(poll_fn(move |cx| pieces.poll_recv(cx))))
    }
}

#[tonic::async_trait]
impl Blob for BlobService {
    type FetchStream = Pieces;

    async fn has(
        &self,
        request: Request<wire::HasRequest>,
    ) -> Result<Response<wire::HasResponse>, Status> {
        let sha256: Result<Sha256, _> = request.into_inner().try_into();
        let sha256 = sha256.map_err(|error| self.refusals.status(error))?;
        let size_bytes = self.size(&sha256).await;
        let size_bytes = size_bytes.map_err(|refusal| self.refusals.status(refusal))?;
        let stored = size_bytes.is_some();
        Ok(Response::new(wire::HasResponse { stored }))
    }

    async fn upload(
        &self,
        request: Request<Streaming<wire::UploadRequest>>,
    ) -> Result<Response<wire::UploadResponse>, Status> {
        let known = self.take(request.into_inner()).await;
        let known = known.map_err(|refusal| self.refusals.status(refusal))?;
        Ok(Response::new(wire::UploadResponse { known }))
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<Pieces>, Status> {
        let fetch = FetchBlob::try_from(request.into_inner()).map_err(Refusal::from);
        let pieces = match fetch {
            Ok(fetch) => self.read(fetch).await,
            Err(refusal) => Err(refusal),
        };
        pieces
            .map(Response::new)
            .map_err(|refusal| self.refusals.status(refusal))
    }
}

/// One fetch, in a thread that may wait for the disk.
struct Reading {
    blobs: BlobStore,
    fetch: FetchBlob,
    size_bytes: u64,
    metrics: NimbusMetrics,
    refusals: Refusals,
    _permit: OwnedSemaphorePermit,
}

impl Reading {
    /// Reads until the end, or until nobody takes the pieces any more.
    fn run(self, sender: &mpsc::Sender<Result<wire::FetchResponse, Status>>) {
        if let Err(refusal) = self.read(sender) {
            let status = self.refusals.status(refusal);
            // Who has gone needs no reason.
            sender.blocking_send(Err(status)).ok();
        }
    }

    fn read(
        &self,
        sender: &mpsc::Sender<Result<wire::FetchResponse, Status>>,
    ) -> Result<(), Refusal> {
        let header = UploadHeader {
            sha256: self.fetch.sha256,
            size_bytes: self.size_bytes,
        };
        let mut offset_bytes = self.fetch.offset_bytes;
        let hash = BlobHash::new(*self.fetch.sha256.as_bytes());
        let reader = self.blobs.read(hash, offset_bytes);
        let mut reader: BlobReader = reader.map_err(|error| refusal(error, &header))?;
        loop {
            let mut chunk = vec![0; MAX_CHUNK_BYTES];
            let n_read = reader
                .read(&mut chunk)
                .map_err(|error| refusal(error, &header))?;
            chunk.truncate(n_read);
            let is_first = offset_bytes == self.fetch.offset_bytes;
            if n_read == 0 && !is_first {
                return Ok(());
            }
            let piece = BlobChunk {
                size_bytes: self.size_bytes,
                offset_bytes,
                chunk: chunk.into(),
            };
            self.metrics.fetched_bytes.inc_by(n_read as u64);
            if sender.blocking_send(Ok(piece.into())).is_err() || n_read == 0 {
                return Ok(());
            }
            offset_bytes += n_read as u64;
        }
    }
}

/// Looks at the beginning of an upload: what is no program for Linux is refused before the rest comes. What
/// lies further behind is looked at when a topology is to run it.
fn look_at(piece: &[u8]) -> Result<(), Refusal> {
    match Elf::read(std::io::Cursor::new(piece)) {
        Err(error @ (ElfError::NotElf { .. } | ElfError::NotAProgram { .. })) => {
            Err(Refusal::not_a_program(error))
        }
        // The first piece needn't have all that the headers refer to.
        Ok(_) | Err(ElfError::Damaged { .. } | ElfError::Io(_)) => Ok(()),
    }
}

fn refusal(error: BlobError, header: &UploadHeader) -> Refusal {
    match error {
        BlobError::TooLarge { n_bytes, max_bytes } => {
            let action = "strip the binary (`strip`, or `strip = true` in its profile)";
            Refusal::too_large("the binary", max_bytes, n_bytes, action)
        }
        BlobError::Full(why) => Refusal::storage_full(why),
        BlobError::Busy { max_uploads } => Refusal::busy("uploads", max_uploads),
        BlobError::WrongSize { found, .. } => cut_short(header, found),
        BlobError::WrongHash { found, .. } => {
            Refusal::wrong_hash(&header.sha256, &Sha256::new(*found.as_bytes()))
        }
        BlobError::Missing { .. } => Refusal::unknown_blob(&header.sha256),
        BlobError::Damaged { .. } => Refusal::new(
            RefusalCode::UnknownBlob,
            error.to_string(),
            "upload it again",
        ),
        BlobError::Io { .. } => Refusal::storage_full(error),
    }
}

fn cut_short(header: &UploadHeader, found: u64) -> Refusal {
    let message = format!(
        "{} bytes were announced, {found} are there",
        header.size_bytes
    );
    let action = "upload it again; if it fails again, the file changes while it is read";
    Refusal::new(RefusalCode::WrongHash, message, action)
}

fn stalled() -> Refusal {
    Refusal::unavailable("the upload stood still for too long")
}
