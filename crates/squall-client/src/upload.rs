//! The bytes of a program, as messages of an upload.

use bytes::{Bytes, BytesMut};
use futures_util::Stream;
use squall_proto::{UploadHeader, UploadPart, wire};
use tokio::fs::File;
use tokio::io::AsyncReadExt;
use tokio::sync::watch;

use crate::binary::Binary;

/// The size of a piece.
const PIECE_BYTES: usize = 64 * 1024;

/// Reads the program piece by piece; tells how many bytes have been taken so far. Ends early when it can't
/// be read, so that the receiver finds bytes missing and stores nothing.
pub(crate) fn messages(
    binary: &Binary,
    file: File,
    sent: watch::Sender<u64>,
) -> impl Stream<Item = wire::UploadRequest> + Send + use<> {
    let header = UploadPart::Header(UploadHeader {
        sha256: binary.sha256(),
        size_bytes: binary.size_bytes(),
    });
    let pieces =
        futures_util::stream::unfold((file, sent, 0u64), |(mut file, sent, before)| async move {
            let piece = read_piece(&mut file).await?;
            let after = before + piece.len() as u64;
            sent.send_replace(after);
            Some((UploadPart::Chunk(piece).into(), (file, sent, after)))
        });
    futures_util::StreamExt::chain(
        futures_util::stream::once(async move { header.into() }),
        pieces,
    )
}

async fn read_piece(file: &mut File) -> Option<Bytes> {
    let mut piece = BytesMut::with_capacity(PIECE_BYTES);
    while piece.len() < PIECE_BYTES {
        let left = PIECE_BYTES - piece.len();
        let n_read = (&mut *file).take(left as u64).read_buf(&mut piece).await;
        if n_read.ok()? == 0 {
            break;
        }
    }
    (!piece.is_empty()).then(|| piece.freeze())
}
