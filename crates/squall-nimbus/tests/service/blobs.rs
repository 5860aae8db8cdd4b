//! Binaries: what is taken, what is refused, and what is read.

use std::time::Duration;

use squall_proto::{RefusalCode, UploadHeader, UploadPart, wire};
use tokio::time::{Instant, sleep};

use crate::harness::{Bench, PATIENCE, hash, program, submission};

fn fetch(content: &[u8], offset_bytes: u64) -> wire::FetchRequest {
    wire::FetchRequest {
        sha256: hash(content).into(),
        offset_bytes,
    }
}

/// A program of a size.
fn padded(n_bytes: usize) -> Vec<u8> {
    let mut program = program();
    program.resize(n_bytes, 7);
    program
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_uploaded_can_be_fetched_from_any_offset() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    let content = padded(300_000);
    let has = wire::HasRequest {
        sha256: hash(&content).into(),
    };
    assert!(
        !operator
            .blobs
            .has(has.clone())
            .await
            .unwrap()
            .into_inner()
            .stored
    );
    operator.upload(&content).await.unwrap();
    assert!(operator.blobs.has(has).await.unwrap().into_inner().stored);
    for offset in [0, 1, 65_536, 299_999, 300_000] {
        let mut pieces = operator
            .blobs
            .fetch(fetch(&content, offset))
            .await
            .unwrap()
            .into_inner();
        let mut read = Vec::new();
        while let Some(piece) = pieces.message().await.unwrap() {
            assert_eq!(piece.offset_bytes, offset + read.len() as u64);
            assert_eq!(piece.size_bytes, 300_000);
            read.extend_from_slice(&piece.chunk);
        }
        assert_eq!(read, content[usize::try_from(offset).unwrap()..]);
    }
    let uploaded = bench.metric("squall_nimbus_uploaded_bytes_total").await;
    assert_eq!(uploaded, 300_000);
    let unknown = operator
        .blobs
        .fetch(fetch(b"unknown", 0))
        .await
        .unwrap_err();
    assert_eq!(
        squall_proto::Refusal::from(unknown).code,
        RefusalCode::UnknownBlob
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_it_was_announced_as_is_not_kept() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    let content = padded(100_000);
    let n_bytes = content.len() as u64;
    let other = operator
        .upload_as(hash(b"other"), n_bytes, &content)
        .await
        .unwrap_err();
    assert_eq!(other.code, RefusalCode::WrongHash);
    let short = operator
        .upload_as(hash(&content), n_bytes + 1, &content)
        .await
        .unwrap_err();
    assert_eq!(short.code, RefusalCode::WrongHash);
    assert_eq!(
        short.message.as_str(),
        "100001 bytes were announced, 100000 are there"
    );
    let long = operator
        .upload_as(hash(&content), n_bytes - 1, &content)
        .await
        .unwrap_err();
    assert_eq!(long.code, RefusalCode::WrongHash);
    let large = operator
        .upload_as(hash(&content), 2 << 30, &content)
        .await
        .unwrap_err();
    assert_eq!(large.code, RefusalCode::TooLarge);
    for (text, what) in [
        (&b"#!/bin/sh\n"[..], "a script"),
        (b"PK\x03\x04", "an archive"),
        (b"x", "a file of another kind"),
    ] {
        let refusal = operator.upload(text).await.unwrap_err();
        assert_eq!(refusal.code, RefusalCode::NotAProgram);
        assert!(
            refusal.message.as_str().contains(what),
            "{}",
            refusal.message
        );
    }
    assert_eq!(bench.blobs.n_bytes(), 0);
    operator.upload(&content).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    let content = padded(200_000);
    let header = UploadHeader {
        sha256: hash(&content),
        size_bytes: 200_000,
    };
    let (sender, mut parts) = tokio::sync::mpsc::channel::<UploadPart>(4);
    sender.send(UploadPart::Header(header)).await.unwrap();
    sender
        .send(UploadPart::Chunk(content[..60_000].to_vec().into()))
        .await
        .unwrap();
    let mut blobs = operator.blobs.clone();
    let uploading = tokio::spawn(async move {
        let parts = futures_util::stream::poll_fn(move |cx| {
            let part = parts.poll_recv(cx);
            part.map(|part| part.map(wire::UploadRequest::from))
        });
        blobs.upload(parts).await
    });
    let deadline = Instant::now() + PATIENCE;
    while bench.blobs.n_bytes() == 0 {
        assert!(Instant::now() < deadline);
        sleep(Duration::from_millis(10)).await;
    }
    uploading.abort();
    drop(sender);
    while bench.blobs.n_bytes() > 0 {
        assert!(Instant::now() < deadline, "its room is still taken");
        sleep(Duration::from_millis(10)).await;
    }
    operator.upload(&content).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_damaged_behind_its_beginning_is_refused_when_it_is_to_run() {
    let bench = Bench::new().await;
    let mut operator = bench.operator().await;
    // A header that promises segments where the file has ended.
    let mut damaged = program();
    damaged[33] = 0xff;
    operator.upload(&damaged).await.unwrap();
    let mut submit = submission("words", 1);
    submit.binary_sha256 = hash(&damaged);
    let refusal = operator.submit(submit).await.unwrap_err();
    assert_eq!(refusal.code, RefusalCode::NotAProgram);
    assert!(operator.list().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn binaries_that_nobody_refers_to_are_removed_after_a_while() {
    let bench = Bench::with(|config| config.keep_binaries = "2s".parse().unwrap()).await;
    let mut operator = bench.operator().await;
    operator.run("words", 1).await;
    let other = padded(50_000);
    let began = Instant::now();
    operator.upload(&other).await.unwrap();
    let deadline = Instant::now() + PATIENCE;
    let size = |content: &[u8]| {
        let hash = squall_store::blob::BlobHash::of(content);
        std::fs::exists(bench.blobs.path(hash)).unwrap()
    };
    while size(&other) {
        assert!(Instant::now() < deadline, "it is still there");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "who uploaded it had no time to refer to it"
    );
    assert!(size(&program()), "the one that is needed was removed");
    operator.kill("words", Duration::ZERO).await.unwrap();
    let began = Instant::now();
    operator.until("its end", <[_]>::is_empty).await;
    while size(&program()) {
        assert!(began.elapsed() < PATIENCE, "it is still there");
        sleep(Duration::from_millis(50)).await;
    }
    assert!(
        began.elapsed() >= Duration::from_secs(2),
        "whoever submits it again has to upload it again"
    );
}
