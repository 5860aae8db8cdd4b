//! Binaries from nimbus's blob store.

use squall_core::BoxFuture;
use squall_proto::limits::MAX_PIECE_BYTES;
use squall_proto::{BlobChunk, FetchBlob, Refusal, RefusalCode, Sha256, wire};
use tokio::sync::watch;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

use crate::binaries::{FetchError, Piece, Pieces, Source};

use wire::blob_client::BlobClient;

/// The blobs of the nimbus that leads.
pub(crate) struct NimbusBlobs {
    leading: watch::Receiver<Option<Channel>>,
}

impl NimbusBlobs {
    pub(crate) const fn new(leading: watch::Receiver<Option<Channel>>) -> Self {
        Self { leading }
    }

    async fn read(&self, fetch: FetchBlob) -> Result<Box<dyn Pieces>, FetchError> {
        let channel = self.leading.borrow().clone();
        let channel = channel.ok_or_else(|| FetchError::Away {
            reason: "there is no connection".to_owned(),
        })?;
        let mut client = BlobClient::new(channel).max_decoding_message_size(MAX_PIECE_BYTES);
        let answer = client.fetch(wire::FetchRequest::from(fetch)).await;
        Ok(Box::new(Chunks(answer.map_err(refused)?.into_inner())))
    }
}

impl Source for NimbusBlobs {
    fn open(
        &self,
        sha256: Sha256,
        offset_bytes: u64,
    ) -> BoxFuture<'_, Result<Box<dyn Pieces>, FetchError>> {
        Box::pin(self.read(FetchBlob {
            sha256,
            offset_bytes,
        }))
    }
}

struct Chunks(Streaming<wire::FetchResponse>);

impl Pieces for Chunks {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Piece>, FetchError>> {
        Box::pin(async {
            let Some(chunk) = self.0.message().await.map_err(refused)? else {
                return Ok(None);
            };
            let chunk = BlobChunk::try_from(chunk).map_err(|error| FetchError::Misfit {
                reason: error.to_string(),
            })?;
            Ok(Some(Piece {
                size_bytes: chunk.size_bytes,
                offset_bytes: chunk.offset_bytes,
                bytes: chunk.chunk,
            }))
        })
    }
}

fn refused(status: Status) -> FetchError {
    let refusal = Refusal::from(status);
    let reason = refusal.message.to_string();
    // A connection that breaks has no code of ours.
    if refusal.code.may_pass() || refusal.code == RefusalCode::Other {
        FetchError::Away { reason }
    } else {
        FetchError::Refused { reason }
    }
}
