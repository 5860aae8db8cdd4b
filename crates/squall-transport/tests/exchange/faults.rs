//! Connections that break, swallow and never stand; peers that end and come back.

use std::sync::atomic::Ordering;
use std::time::Duration;

use squall_core::Fence;
use squall_core::engine::WorkerIdx;
use squall_transport::LinkState;
use tokio::time::Instant;

use crate::proxy::{Mode, Proxy};
use crate::spout::Spout;
use crate::world::{Setup, Worker, link, secs_since, until};

/// Two workers that reach each other through proxies: the first one to the sink, the second one back.
async fn proxied() -> (Worker, Worker, Proxy, Proxy) {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    let (there, back) = (
        Proxy::new(sink.address).await,
        Proxy::new(source.address).await,
    );
    source.links.set_peers(&[sink.peer_at(there.address())]);
    sink.links.set_peers(&[source.peer_at(back.address())]);
    until("both links are up", || source.is_up() && sink.is_up()).await;
    (source, sink, there, back)
}

#[tokio::test]
async fn cut_connections_lose_nothing_that_nobody_knows_of() {
    let (source, sink, there, back) = proxied().await;
    let mut spout = Spout::new(&source, 60_000, 10);
    let mut rng = fastrand::Rng::with_seed(3);
    let mut n_cuts = 0;
    let mut next_cut = 2000;
    while !spout.turn(&source) {
        // A reader that is slow at times, so that something waits when the cut comes.
        let n_items = rng.usize(0..4);
        spout.read(&sink, n_items);
        if spout.n_acked >= next_cut && n_cuts < 16 {
            n_cuts += 1;
            next_cut += 3000;
            if rng.bool() { &there } else { &back }.cut().await;
        }
        tokio::task::yield_now().await;
    }
    let (missing, extra) = spout.account();
    let (lost, broken) = (
        source.events.n_lost.load(Ordering::SeqCst),
        source.link().n_breaks + sink.link().n_breaks,
    );
    println!(
        "{broken} breaks, {lost} roots given up, {} messages failed, {extra} arrived again",
        spout.n_failed
    );
    assert_eq!(missing, 0, "every message has arrived");
    assert!(
        n_cuts >= 10 && broken >= 10,
        "{n_cuts} cuts, {broken} breaks"
    );
    assert!(
        spout.n_failed > 0,
        "a test in which nothing was lost shows nothing"
    );
    // What comes again was given up: at most what was under way at a cut.
    assert!(u64::from(extra) <= spout.n_failed);
}

#[tokio::test]
async fn a_peer_that_is_not_heard_of_is_noticed_within_seconds() {
    let (source, sink, there, back) = proxied().await;
    let mut spout = Spout::new(&source, 20_000, 10);
    until("some of it is acked", || {
        spout.read(&sink, 2);
        spout.turn(&source);
        spout.n_acked > 4000
    })
    .await;
    there.set(Mode::Swallow);
    back.set(Mode::Swallow);
    let start = Instant::now();
    until("the source gives up what is under way", || {
        spout.emit(&source);
        source.link().state == LinkState::Down
    })
    .await;
    let took = secs_since(start);
    println!("noticed after {took:.1} s");
    assert!(took < 8.0, "noticed after {took:.1} s");
    assert!(source.events.n_lost.load(Ordering::SeqCst) > 0);
    there.set(Mode::Pass);
    back.set(Mode::Pass);
    until("all is acked", || {
        spout.read(&sink, usize::MAX);
        spout.turn(&source)
    })
    .await;
    assert_eq!(spout.account().0, 0);
    assert!(spout.n_failed > 0);
    assert!(
        source.events.ended.lock().unwrap().is_empty(),
        "nobody has ended"
    );
}

#[tokio::test]
async fn a_peer_that_starts_anew_is_told_from_the_one_before() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    let mut spout = Spout::new(&source, 20_000, 10);
    until("some of it is acked", || {
        spout.read(&sink, 3);
        spout.turn(&source);
        spout.n_acked > 4000
    })
    .await;
    let (old, port) = (sink.fence, sink.address.port());
    sink.kill().await;
    let next = Setup {
        port,
        ..Setup::new(1, 2)
    };
    let sink = next.start().await;
    sink.links.set_peers(&[source.peer()]);
    until("the source hears of it", || {
        *source.events.ended.lock().unwrap() == [(WorkerIdx(1), old)]
    })
    .await;
    assert!(
        source.events.moved.lock().unwrap().is_empty(),
        "one copy follows the other"
    );
    // What had been queued at the old one is lost with it, which only the owner can know.
    spout.lose_all();
    until("all is acked", || {
        spout.read(&sink, usize::MAX);
        spout.turn(&source)
    })
    .await;
    assert_eq!(spout.account().0, 0);
    assert!(source.is_up());
    assert_eq!(source.link().fence, sink.fence);
}

#[tokio::test]
async fn a_peer_that_comes_back_is_linked_as_soon_as_it_speaks() {
    let patient = Setup {
        reconnect: [Duration::from_secs(3600); 2],
        ..Setup::new(0, 1)
    };
    let (source, sink) = (patient.start().await, Setup::new(1, 1).start().await);
    link(&source, &sink).await;
    let port = sink.address.port();
    sink.kill().await;
    until("the source waits", || !source.is_up()).await;
    let next = Setup {
        port,
        ..Setup::new(1, 2)
    };
    let sink = next.start().await;
    sink.links.set_peers(&[source.peer()]);
    until("the source is back", || source.is_up()).await;
    assert_eq!(source.link().fence, sink.fence);
}

#[tokio::test]
async fn an_old_copy_is_refused_by_either_side_and_hears_why() {
    let (source, new) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 2).start().await,
    );
    link(&source, &new).await;
    // The old copy thaws: it dials the source, and the source finds it at its address.
    let old = Setup::new(1, 1).start().await;
    old.links.set_peers(&[source.peer()]);
    until("the old copy hears of it", || {
        old.events.superseded.lock().unwrap().contains(&new.fence)
    })
    .await;
    assert!(!old.is_up());
    source.links.set_peers(&[old.peer()]);
    until("the source refuses its answer", || {
        let error = source.link().last_error;
        error.is_some_and(|error| error.contains("an old copy of the worker answers"))
    })
    .await;
    assert!(!source.is_up());
    source.links.set_peers(&[new.peer()]);
    until("and goes back to the new one", || source.is_up()).await;
}

#[tokio::test]
async fn a_peer_that_moves_is_followed() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    let mut spout = Spout::new(&source, 5000, 10);
    let moved = Setup {
        fence: Fence {
            placement_epoch: 2,
            incarnation: 1,
        },
        ..Setup::new(1, 1)
    };
    let moved = moved.start().await;
    moved.links.set_peers(&[source.peer()]);
    source.links.set_peers(&[moved.peer()]);
    let ended = [(WorkerIdx(1), sink.fence)];
    until("the old place has ended", || {
        *source.events.ended.lock().unwrap() == ended
    })
    .await;
    assert_eq!(*source.events.moved.lock().unwrap(), ended);
    until("all is acked", || {
        spout.read(&moved, usize::MAX);
        spout.turn(&source)
    })
    .await;
    assert_eq!(spout.account(), (0, 0));
    assert_eq!(sink.inlets[0].queue.len() + sink.inlets[1].queue.len(), 0);
}

#[tokio::test]
async fn a_link_that_ends_gives_up_what_is_under_way() {
    let (source, sink) = (
        Setup::new(0, 1).start().await,
        Setup::new(1, 1).start().await,
    );
    link(&source, &sink).await;
    sink.inlets.iter().for_each(|inlet| inlet.set_capacity(0));
    let mut spout = Spout::new(&source, 2000, 100);
    spout.emit(&source);
    until("the windows are full", || {
        source.link().unconfirmed_bytes > 60_000
    })
    .await;
    source.links.set_peers(&[]);
    assert_eq!(
        *source.events.moved.lock().unwrap(),
        [(WorkerIdx(1), sink.fence)]
    );
    until("it is given up", || {
        source.events.n_lost.load(Ordering::SeqCst) > 300
    })
    .await;
    assert!(source.links.status().is_empty());
    let start = Instant::now();
    source.kill().await;
    sink.kill().await;
    assert!(
        start.elapsed() < Duration::from_secs(5),
        "links end at once"
    );
}

#[tokio::test]
async fn a_peer_that_is_not_there_yet_is_linked_when_it_comes() {
    let source = Setup::new(0, 1).start().await;
    let sink = Setup::new(1, 1).start().await;
    let proxy = Proxy::new(sink.address).await;
    proxy.set(Mode::Refuse);
    source.links.set_peers(&[sink.peer_at(proxy.address())]);
    until("the source has tried", || {
        source.link().last_error.is_some()
    })
    .await;
    let mut spout = Spout::new(&source, 1000, 10);
    spout.emit(&source);
    proxy.set(Mode::Pass);
    // The sink doesn't know the source yet, and refuses it until it does.
    until("the sink refuses", || sink.links.n_refused() > 0).await;
    sink.links.set_peers(&[source.peer()]);
    until("all is acked", || {
        spout.read(&sink, usize::MAX);
        spout.turn(&source)
    })
    .await;
    assert_eq!((spout.account(), spout.n_failed), ((0, 0), 0));
}
