//! The first words on a stream: who speaks, whom it means, and whether both belong together.

use squall_core::Fence;
use squall_core::engine::LinkEvents;
use squall_proto::{LinkHello, LinkWelcome, Refusal, agree};

use super::peer::{PeerState, Target};
use crate::config::LinkConfig;
use crate::link::Seen;

/// Says who this worker is to the peer at `target`.
pub(crate) fn hello(config: &LinkConfig, peer: &PeerState, target: &Target) -> LinkHello {
    LinkHello {
        handshake: config.handshake.clone(),
        topology: config.topology.clone(),
        schema_fingerprint: config.schemas.fingerprint(),
        from: config.worker,
        from_fence: config.fence,
        to: peer.worker,
        to_placement_epoch: target.placement_epoch,
    }
}

/// Checks whether a hello is for this worker and comes from a worker of the same topology; returns what to
/// answer. The fences are [`admit`]'s.
///
/// # Errors
/// The refusal to answer with.
pub(crate) fn check(
    config: &LinkConfig,
    hello: &LinkHello,
    events: &dyn LinkEvents,
) -> Result<LinkWelcome, Refusal> {
    let agreed = agree(&config.handshake, &hello.handshake)?;
    if hello.topology != config.topology {
        let (ours, theirs) = (&config.topology, &hello.topology);
        let why = format!("this worker runs topology {ours}, not {theirs}");
        return Err(Refusal::wrong_peer(why));
    }
    if hello.schema_fingerprint != config.schemas.fingerprint() {
        let why = "the streams of the topology are others here: its binary or its spec differs";
        return Err(Refusal::wrong_peer(why));
    }
    if hello.to != config.worker {
        let why = format!("this is worker {}, not {}", config.worker, hello.to);
        return Err(Refusal::wrong_peer(why));
    }
    let (ours, theirs) = (config.fence.placement_epoch, hello.to_placement_epoch);
    if theirs > ours {
        events.superseded(Fence {
            placement_epoch: theirs,
            incarnation: 0,
        });
    }
    if theirs != ours {
        let why = format!("this worker was placed in epoch {ours}, not in {theirs}");
        return Err(Refusal::wrong_peer(why));
    }
    Ok(LinkWelcome {
        handshake: config.handshake.clone(),
        protocol: agreed.protocol,
        fence: config.fence,
    })
}

/// Takes note of the fence that a peer has named, and refuses an old copy.
///
/// # Errors
/// The refusal to answer with.
pub(crate) fn admit(
    peer: &PeerState,
    fence: Fence,
    events: &dyn LinkEvents,
) -> Result<(), Refusal> {
    match peer.observe(fence, events) {
        Seen::Same | Seen::Newer { .. } => Ok(()),
        Seen::Stale { newest } => Err(Refusal::stale_fence(fence, newest)),
    }
}

/// Reads the newest fence from the refusal of an older one.
pub(crate) fn superseded_by(refusal: &Refusal) -> Option<Fence> {
    let (placement_epoch, incarnation) = refusal.fact("newest_fence")?.split_once('.')?;
    Some(Fence {
        placement_epoch: placement_epoch.parse().ok()?,
        incarnation: incarnation.parse().ok()?,
    })
}
