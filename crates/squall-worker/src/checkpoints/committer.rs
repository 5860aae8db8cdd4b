//! Sends what the batcher gathers.

use std::sync::Arc;
use std::time::Duration;

use squall_core::{Clock, Write};
use squall_daemon::fail_point;
use squall_proto::{CheckpointOutcome, CommitCheckpoints};
use tokio::select;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};
use tonic::Request;

use super::batcher::{Answer, BatchError, Batcher};
use super::nimbus::{Nimbus, Repeat};

/// What a task wants to be written, and where it is told what became of it.
pub(super) struct Asked {
    pub(super) writes: Vec<Write>,
    pub(super) answer: oneshot::Sender<Answer>,
}

/// Writes all commits of this worker, one request after the other, until nobody can ask any more.
pub(super) async fn commit_all(
    nimbus: Arc<Nimbus>,
    clock: Arc<dyn Clock>,
    mut asked: mpsc::Receiver<Asked>,
) {
    let mut batcher = Batcher::new();
    loop {
        let wait = batcher.due().map(|due| due.since(clock.now()));
        select! {
            one = asked.recv() => match one {
                Some(one) => take(&mut batcher, one),
                None => return,
            },
            () = after(wait.unwrap_or_default()), if wait.is_some() => {
                let gone = |answer: &oneshot::Sender<Answer>| answer.is_closed();
                if let Some(commits) = batcher.send(clock.now(), gone) {
                    let answer = send(&nimbus, commits, &mut batcher, &mut asked).await;
                    for (waiter, answer) in batcher.answered(answer) {
                        // Who has gone away meanwhile reads the key when it comes back.
                        drop(waiter.send(answer));
                    }
                }
            }
        }
    }
}

/// Makes one request; takes on what is asked for meanwhile.
async fn send(
    nimbus: &Nimbus,
    commits: Vec<Vec<Write>>,
    batcher: &mut Batcher<oneshot::Sender<Answer>>,
    asked: &mut mpsc::Receiver<Asked>,
) -> Result<Vec<CheckpointOutcome>, BatchError> {
    let commit = CommitCheckpoints {
        client: nimbus.client.clone(),
        commits,
    };
    fail_point::reach(format_args!("checkpoint-due"));
    let call = nimbus.call(Repeat::No, |mut client| {
        let request = Request::new(commit.clone().into());
        async move { client.commit_checkpoints(request).await }
    });
    tokio::pin!(call);
    let mut open = true;
    let answer = loop {
        select! {
            answer = &mut call => break answer,
            one = asked.recv(), if open => match one {
                Some(one) => take(batcher, one),
                None => open = false,
            },
        }
    };
    let outcomes = Vec::<CheckpointOutcome>::try_from(answer?.into_inner());
    outcomes.map_err(|error| BatchError::Unavailable(format!("nimbus's answer is wrong: {error}")))
}

fn take(batcher: &mut Batcher<oneshot::Sender<Answer>>, asked: Asked) {
    if let Err((waiter, error)) = batcher.ask(asked.writes, asked.answer) {
        drop(waiter.send(Err(error)));
    }
}

async fn after(wait: Duration) {
    sleep_until(Instant::now() + wait).await;
}
