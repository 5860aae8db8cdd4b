//! Many supervisors at once: what a nimbus of a busy cluster costs.

use squall_proto::Phase;
use tokio::time::Instant;

use crate::harness::{Bench, program, submission};
use crate::supervisor::{Supervisor, hello};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_tasks_on_a_hundred_supervisors_are_placed_and_reported() {
    let bench = Bench::new().await;
    let mut supervisors = Vec::new();
    for n in 0..100 {
        supervisors
            .push(Supervisor::start(bench.coordination().await, hello(&format!("s{n:03}"))).await);
    }
    let mut operator = bench.operator().await;
    operator.upload(&program()).await.unwrap();
    let began = Instant::now();
    for n in 0..10 {
        let mut submit = submission(&format!("t{n}"), 50);
        submit.n_workers = std::num::NonZeroU32::new(40);
        operator.submit(submit).await.unwrap();
    }
    operator
        .until("all ready", |list| {
            list.iter()
                .all(|t| t.phase == Phase::Active && t.n_workers_ready == 40)
        })
        .await;
    let list = operator.list().await;
    assert_eq!(
        list.iter().map(|topology| topology.n_tasks).sum::<u32>(),
        1000
    );
    println!(
        "1000 tasks in 400 workers on 100 supervisors: ready after {:?}",
        began.elapsed()
    );
    let description = operator.describe("t7").await.unwrap();
    assert_eq!(description.workers.len(), 40);
    assert_eq!(description.counters.components[0].executed, 4000);
    let machines: std::collections::BTreeSet<_> = description
        .plan
        .assignment
        .workers
        .iter()
        .map(|worker| worker.supervisor.clone())
        .collect();
    assert_eq!(machines.len(), 40, "each worker on a machine of its own");
}
