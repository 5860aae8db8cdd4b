//! Who is let in, and what those may send.

use bytes::Bytes;
use squall_core::engine::WorkerIdx;
use squall_core::{Fence, TopologyId};
use squall_proto::wire::exchange_client::ExchangeClient;
use squall_proto::{Frame, Handshake, LinkHello, LinkMessage, Refusal, RefusalCode, wire};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Status, Streaming};

use crate::world::{Setup, Worker, schemas, until};

fn hello() -> LinkHello {
    LinkHello {
        handshake: Handshake::ours("x86_64-unknown-linux-gnu", None, None),
        topology: TopologyId::new("numbers-1"),
        schema_fingerprint: schemas(&[]).fingerprint(),
        from: WorkerIdx(0),
        from_fence: Fence {
            placement_epoch: 1,
            incarnation: 5,
        },
        to: WorkerIdx(1),
        to_placement_epoch: 1,
    }
}

async fn client(worker: &Worker) -> ExchangeClient<Channel> {
    let endpoint = Endpoint::from_shared(format!("http://{}", worker.address)).unwrap();
    ExchangeClient::new(endpoint.connect().await.unwrap())
}

/// Opens a stream of tuples by hand.
async fn open(
    worker: &Worker,
    first: wire::DataFrame,
) -> Result<(mpsc::Sender<wire::DataFrame>, Streaming<wire::DataReply>), Status> {
    let (frames, stream) = mpsc::channel(16);
    frames.try_send(first).unwrap();
    let replies = client(worker)
        .await
        .data(ReceiverStream::new(stream))
        .await?;
    Ok((frames, replies.into_inner()))
}

/// A sink that knows of a source, which nobody has started.
async fn sink() -> (Worker, Worker) {
    let (source, sink) = (
        Setup::new(0, 5).start().await,
        Setup::new(1, 1).start().await,
    );
    sink.links.set_peers(&[source.peer()]);
    (source, sink)
}

async fn refused(worker: &Worker, first: wire::DataFrame) -> Refusal {
    let n_before = worker.links.n_refused();
    let status = open(worker, first).await.map(|_| ()).unwrap_err();
    let refusal = Refusal::from(status);
    if refusal.code != RefusalCode::BadField {
        assert_eq!(worker.links.n_refused(), n_before + 1, "{refusal:?}");
    }
    refusal
}

#[tokio::test]
async fn streams_of_others_are_refused_and_counted() {
    let (_source, sink) = sink().await;
    let check = async |change: &dyn Fn(&mut LinkHello), code: RefusalCode, says: &str| {
        let mut hello = hello();
        change(&mut hello);
        let refusal = refused(&sink, LinkMessage::Hello(hello).into()).await;
        assert_eq!(refusal.code, code, "{refusal:?}");
        let message = refusal.message.as_str();
        assert!(message.contains(says), "{message}");
    };
    let wrong = RefusalCode::WrongPeer;
    check(
        &|hello| hello.topology = TopologyId::new("numbers-2"),
        wrong,
        "runs topology numbers-1",
    )
    .await;
    check(
        &|hello| hello.schema_fingerprint += 1,
        wrong,
        "the streams of the topology are others",
    )
    .await;
    check(
        &|hello| hello.to = WorkerIdx(2),
        wrong,
        "this is worker 1, not 2",
    )
    .await;
    check(
        &|hello| hello.to_placement_epoch = 9,
        wrong,
        "placed in epoch 1, not in 9",
    )
    .await;
    check(
        &|hello| hello.from = WorkerIdx(7),
        RefusalCode::Unavailable,
        "worker 7",
    )
    .await;
    check(
        &|hello| hello.handshake.protocols = 7..=9,
        RefusalCode::WrongProtocol,
        "protocols 7 to 9",
    )
    .await;
    // An epoch beyond its own tells the worker that it is an old copy.
    assert_eq!(sink.events.superseded.lock().unwrap()[0].placement_epoch, 9);
    open(&sink, LinkMessage::Hello(hello()).into())
        .await
        .unwrap();
    check(
        &|hello| hello.from_fence.incarnation = 4,
        RefusalCode::StaleFence,
        "1.4 is older than 1.5",
    )
    .await;
    let frame = LinkMessage::Frame(Frame {
        number: 1,
        payload: Bytes::from_static(&[1]),
    });
    let refusal = refused(&sink, frame.into()).await;
    assert_eq!(refusal.message.as_str(), "a frame came before the hello");
    let refusal = refused(&sink, wire::DataFrame::default()).await;
    assert_eq!(refusal.code, RefusalCode::BadField);
}

/// Sends frames behind a hello, and returns the refusal that ends the stream.
async fn answer_to(sink: &Worker, frames: Vec<wire::DataFrame>) -> Refusal {
    let (sender, mut replies) = open(sink, LinkMessage::Hello(hello()).into())
        .await
        .unwrap();
    for frame in frames {
        sender.send(frame).await.unwrap();
    }
    loop {
        match replies.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("ended without a word"),
            Err(status) => return status.into(),
        }
    }
}

#[tokio::test]
async fn frames_that_break_the_rules_end_their_stream() {
    let (_source, sink) = sink().await;
    let frame = |number, payload: &'static [u8]| {
        let payload = Bytes::from_static(payload);
        wire::DataFrame::from(LinkMessage::Frame(Frame { number, payload }))
    };
    let check = async |frames, says: &str| {
        let refusal = answer_to(&sink, frames).await;
        let message = refusal.message.as_str();
        assert!(message.contains(says), "{message}");
    };
    check(
        vec![frame(2, &[1])],
        "frame 2 arrived where frame 1 was due",
    )
    .await;
    check(
        vec![frame(1, &[1]), frame(1, &[1])],
        "frame 1 arrived where frame 2 was due",
    )
    .await;
    check(vec![frame(1, &[9, 9])], "version at byte 0").await;
    check(vec![frame(1, &[1, 1, 0, 1, 255, 0, 0, 0])], "section").await;
    check(vec![frame(1, &[1, 2, 3, 1, 0, 0, 0, 0])], "mark at byte 0").await;
    check(vec![LinkMessage::Hello(hello()).into()], "a second hello").await;
    let mut both = frame(1, &[1]);
    both.hello = Some(hello().into());
    check(vec![both], "`number`: expected 0 to 0").await;
    let too_large = LinkMessage::Frame(Frame {
        number: 1,
        payload: Bytes::from(vec![1; 3 << 20]),
    });
    let refusal = answer_to(&sink, vec![too_large.into()]).await;
    assert_eq!(refusal.code, RefusalCode::TooLarge, "{refusal:?}");
    assert_eq!(sink.link().bad_frames, 8);
    assert!(sink.inlets.iter().all(|inlet| inlet.queue.len() == 0));
    // The worker goes on as if nothing had been.
    let (_frames, mut replies) = open(&sink, LinkMessage::Hello(hello()).into())
        .await
        .unwrap();
    let first = replies.message().await.unwrap().unwrap();
    assert!(first.welcome.is_some() && first.window_bytes > 0);
}

#[tokio::test]
async fn a_second_stream_of_a_peer_replaces_the_first() {
    let (_source, sink) = sink().await;
    let open = || open(&sink, LinkMessage::Hello(hello()).into());
    let (first, mut first_replies) = open().await.unwrap();
    let (_second, _second_replies) = open().await.unwrap();
    let frame = LinkMessage::Frame(Frame {
        number: 1,
        payload: Bytes::from_static(&[1]),
    });
    first.send(frame.into()).await.unwrap();
    first_replies.message().await.unwrap();
    let refusal = Refusal::from(first_replies.message().await.unwrap_err());
    assert!(
        refusal.message.as_str().contains("has been replaced"),
        "{refusal:?}"
    );
}

#[tokio::test]
async fn a_newer_copy_ends_the_streams_of_the_older_one() {
    let (_source, sink) = sink().await;
    let (_frames, mut replies) = open(&sink, LinkMessage::Hello(hello()).into())
        .await
        .unwrap();
    replies.message().await.unwrap();
    let mut newer = hello();
    newer.from_fence.incarnation = 6;
    let _newer = open(&sink, LinkMessage::Hello(newer).into()).await.unwrap();
    let refusal = Refusal::from(replies.message().await.unwrap_err());
    assert_eq!(refusal.code, RefusalCode::StaleFence);
    let ended = [(WorkerIdx(0), hello().from_fence)];
    until("the end is reported", || {
        *sink.events.ended.lock().unwrap() == ended
    })
    .await;
}
