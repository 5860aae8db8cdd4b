//! Networks that fail between two processes, and heal.

use std::collections::BTreeSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::Instant;

use squall_e2e::cluster::{Cluster, Described};
use squall_e2e::{Proxy, Signal, until, until_asked};

use crate::chaos::alone;
use crate::numbers::{NAME, Numbers, Recorded, SPOUT_TASK};
use crate::tapped::{MAX_UNCHECKPOINTED, Tapped};

/// What nimbus promises: a supervisor is lost and its workers are placed elsewhere.
const MOVED_WITHIN: Duration = Duration::from_secs(15);
/// How long a supervisor is cut off in vain, in milliseconds: half of what makes it lost.
const SHORT_MS: u64 = 5_000;

/// A cluster of two machines whose workers reach each other through proxies alone.
struct Linked {
    cluster: Cluster,
    proxies: Vec<Proxy>,
}

impl Linked {
    /// Starts it and the topology. Machines go by loopback addresses at which nobody but a proxy listens.
    async fn start(tapped: &Tapped) -> Result<Self> {
        let mut cluster = Cluster::start(&[]).await?;
        for (name, host) in [("east", "127.0.0.2"), ("west", "127.0.0.3")] {
            cluster.start_supervisor(name, &["--host", host]).await?;
        }
        cluster.until_alive(&["east", "west"]).await?;
        fs::write(
            cluster.folder().join("topology.yaml"),
            tapped.topology(&cluster),
        )?;
        cluster.squall(&["submit", "topology.yaml", "--workers", "2"])?;
        let mut proxies = Vec::new();
        for placed in cluster.describe(NAME)?.plan.workers {
            let address: SocketAddr = placed.address.parse()?;
            let worker = SocketAddr::from((Ipv4Addr::LOCALHOST, address.port()));
            proxies.push(Proxy::start(address, worker).await?);
        }
        Ok(Self { cluster, proxies })
    }

    /// Waits until so many numbers are acked.
    async fn until_acked(&self, n: u64) -> Result<Described> {
        let acked = |now: &Described| Ok(now.is_ready() && now.acked("in") >= n);
        let what = format!("{n} numbers are acked");
        self.cluster.until_described(&what, NAME, acked).await
    }

    /// Lets a fault happen to all links; fails when there is none that it strikes.
    fn strike(&self, fault: impl Fn(&Proxy) -> usize) -> Result<()> {
        for proxy in &self.proxies {
            ensure!(fault(proxy) > 0, "no link goes through the proxy");
        }
        Ok(())
    }

    fn heal(&self) {
        self.proxies.iter().for_each(Proxy::heal);
    }
}

/// Checks that no more is written again than what wasn't saved when the spout moved or died, and what its
/// successor was told to be lost. Returns how many it was.
fn check_bound(recorded: &Recorded, tapped: &Tapped, after: &Described) -> Result<u64> {
    let spout = after.component("in").context("the spout")?;
    let n_twice = recorded.n_lines - tapped.0.n;
    ensure!(
        n_twice <= MAX_UNCHECKPOINTED + spout.failed.lost,
        "{n_twice}: {spout:?}"
    );
    Ok(n_twice)
}

fn pids(described: &Described) -> BTreeSet<Option<u32>> {
    described.workers.iter().map(|worker| worker.pid).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn workers_that_are_cut_off_from_each_other_go_on_when_they_are_not_and_lose_nothing()
-> Result<()> {
    let _alone = alone().await;
    let tapped = Tapped(Numbers {
        n: 24_000,
        rate_per_sec: 2_000,
    });
    let linked = Linked::start(&tapped).await?;
    let before = linked.until_acked(2_000).await?;
    for _ in 0..2 {
        let turned_away: Vec<usize> = linked.proxies.iter().map(Proxy::n_turned_away).collect();
        linked.strike(Proxy::cut)?;
        until("both workers try in vain to reach each other", || {
            let now = linked.proxies.iter().map(Proxy::n_turned_away);
            Ok(now.zip(&turned_away).all(|(now, before)| now > *before))
        })
        .await?;
        linked.heal();
        let acked = linked.cluster.describe(NAME)?.acked("in");
        linked.until_acked(acked + 2_000).await?;
    }

    let lost = |now: &Described| now.component("in").map_or(0, |spout| spout.failed.lost);
    let lost_before = lost(&linked.cluster.describe(NAME)?);
    linked.strike(Proxy::freeze)?;
    let began = Instant::now();
    let frozen = linked
        .cluster
        .until_described("what is under way is given up", NAME, |now| {
            Ok(lost(now) > lost_before)
        });
    frozen.await?;
    println!(
        "noticed {:.1} s after it froze",
        began.elapsed().as_secs_f64()
    );
    linked.heal();

    let after = tapped.until_quiet(&linked.cluster).await?;
    let recorded = tapped.check(&linked.cluster)?;
    Tapped::check_doubles(&linked.cluster, &recorded)?;
    let spout = after.component("in").context("the spout")?;
    let n_twice = recorded.n_lines - tapped.0.n;
    println!("lost 0, {n_twice} written again, failed {:?}", spout.failed);
    // What is lost on a link is known at once, and costs no time-out.
    ensure!(spout.failed.timed_out == 0, "{spout:?}");
    ensure!(n_twice <= spout.failed.lost, "{n_twice}: {spout:?}");
    ensure!(
        pids(&before) == pids(&after),
        "a worker has died: {after:#?}"
    );
    linked.cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spout_that_is_killed_while_half_of_its_numbers_are_stuck_begins_with_them() -> Result<()>
{
    let _alone = alone().await;
    let tapped = Tapped(Numbers {
        n: 20_000,
        rate_per_sec: 2_000,
    });
    let linked = Linked::start(&tapped).await?;
    linked.until_acked(2_000).await?;
    linked.strike(Proxy::freeze)?;
    // Behind what is stuck, others go on being acked: a checkpoint must not follow them.
    let frozen_at = linked.cluster.describe(NAME)?.acked("in");
    let stuck = linked
        .cluster
        .until_described("numbers are acked behind stuck ones", NAME, |now| {
            let pending = now.component("in").map_or(0, |spout| spout.pending);
            Ok(pending > 2_000 && now.acked("in") > frozen_at + 2_000)
        })
        .await?;
    let victim = stuck
        .worker_with(SPOUT_TASK)
        .context("the spout's worker")?;
    linked.cluster.signal(victim, Signal::KILL)?;
    let recorded = Numbers::recorded(&linked.cluster)?;
    ensure!(
        !tapped.0.are_all_in(&recorded),
        "it was not in the middle: all were written"
    );
    linked.heal();
    linked
        .cluster
        .until_described("the worker is back", NAME, |now| {
            let again = now.worker_with(SPOUT_TASK);
            Ok(now.is_ready() && again.is_some_and(|again| again.incarnation > victim.incarnation))
        })
        .await?;
    let after = tapped.until_quiet(&linked.cluster).await?;
    let recorded = tapped.check(&linked.cluster)?;
    let n_twice = check_bound(&recorded, &tapped, &after)?;
    println!("lost 0, {n_twice} written again");
    linked.cluster.end().await
}

/// A cluster of two machines, each of which reaches nimbus through a proxy of its own.
struct Attended {
    cluster: Cluster,
    east: Proxy,
    west: Proxy,
}

impl Attended {
    async fn start() -> Result<Self> {
        let mut cluster = Cluster::start(&[]).await?;
        let east = Proxy::to(cluster.address()).await?;
        let west = Proxy::to(cluster.address()).await?;
        for (name, proxy) in [("east", &east), ("west", &west)] {
            let nimbus = proxy.address().to_string();
            cluster.start_supervisor_of(name, &nimbus, &[]).await?;
        }
        cluster.until_alive(&["east", "west"]).await?;
        Ok(Self {
            cluster,
            east,
            west,
        })
    }

    fn proxy_of(&self, supervisor: &str) -> &Proxy {
        match supervisor {
            "east" => &self.east,
            _ => &self.west,
        }
    }

    /// Returns how old nimbus's news of a supervisor are, in milliseconds, and what it takes it for.
    fn age_ms(&self, supervisor: &str) -> Result<(u64, String)> {
        let known = self.cluster.supervisors()?;
        let known = known.into_iter().find(|known| known.id == supervisor);
        let known = known.context("the supervisor is known")?;
        Ok((known.age_ms, known.state))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_nimbus_does_not_hear_for_a_while_keeps_its_workers() -> Result<()> {
    let _alone = alone().await;
    let attended = Attended::start().await?;
    let cluster = &attended.cluster;
    let tapped = Tapped(Numbers {
        n: 20_000,
        rate_per_sec: 2_000,
    });
    cluster.submit(&tapped.topology(cluster), &["--workers", "2"])?;
    let flows = |now: &Described| Ok(now.is_ready() && now.acked("in") >= 1_000);
    let before = cluster.until_described("numbers flow", NAME, flows).await?;
    let hosts: BTreeSet<&str> = before
        .workers
        .iter()
        .map(|w| w.supervisor.as_str())
        .collect();
    ensure!(hosts.len() == 2, "both machines have a worker: {before:#?}");
    for host in hosts {
        ensure!(attended.proxy_of(host).freeze() > 0, "nobody is cut off");
    }
    until_asked("nimbus has heard nothing for a while", || {
        let mut aged = true;
        for name in ["east", "west"] {
            let (age_ms, state) = attended.age_ms(name)?;
            ensure!(state == "alive", "{name} is {state} after {age_ms} ms");
            aged &= age_ms >= SHORT_MS;
        }
        Ok(aged)
    })
    .await?;
    attended.east.heal();
    attended.west.heal();
    let after = tapped.until_quiet(cluster).await?;
    ensure!(
        pids(&before) == pids(&after),
        "a worker has died: {after:#?}"
    );
    ensure!(
        before.plan.version == after.plan.version,
        "something has moved: {after:#?}"
    );
    let recorded = tapped.check(cluster)?;
    ensure!(
        recorded.n_lines == tapped.0.n,
        "{} lines: a fault that concerns no tuple has doubled some",
        recorded.n_lines
    );
    attended.cluster.end().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supervisor_that_is_cut_off_loses_its_work_and_its_old_copies_end() -> Result<()> {
    let _alone = alone().await;
    let attended = Attended::start().await?;
    let cluster = &attended.cluster;
    let tapped = Tapped(Numbers {
        n: 60_000,
        rate_per_sec: 1_500,
    });
    cluster.submit(&tapped.topology(cluster), &["--workers", "2"])?;
    let flows = |now: &Described| Ok(now.is_ready() && now.acked("in") >= 3_000);
    let before = cluster.until_described("numbers flow", NAME, flows).await?;
    let old = before
        .worker_with(SPOUT_TASK)
        .context("the spout's worker")?;
    let (old_pid, away) = (old.pid.context("it runs")?, old.supervisor.clone());

    let proxy = attended.proxy_of(&away);
    ensure!(proxy.freeze() > 0, "nobody is cut off");
    let began = Instant::now();
    let has_moved = |now: &Described| {
        let placed = now
            .plan
            .workers
            .iter()
            .find(|w| w.tasks.contains(&SPOUT_TASK));
        Ok(placed.is_some_and(|placed| placed.supervisor != away))
    };
    cluster
        .until_described("its worker is placed elsewhere", NAME, has_moved)
        .await?;
    let moved_after = began.elapsed();
    println!("placed elsewhere after {:.1} s", moved_after.as_secs_f64());
    ensure!(moved_after <= MOVED_WITHIN, "only after {moved_after:?}");
    let after = cluster
        .until_described("its numbers flow elsewhere", NAME, |now| {
            let spout = now.worker_with(SPOUT_TASK);
            let here = spout.is_some_and(|spout| spout.supervisor != away);
            Ok(here && now.is_ready() && now.acked("in") >= 1_000)
        })
        .await?;
    let recorded = Numbers::recorded(cluster)?;
    ensure!(
        !tapped.0.are_all_in(&recorded),
        "it was not in the middle: all were written"
    );
    let cut_off_for = began.elapsed();

    proxy.heal();
    let new: BTreeSet<u32> = pids(&after).into_iter().flatten().collect();
    until("only the new copies run", || {
        let running: BTreeSet<u32> = cluster.worker_pids()?.into_iter().collect();
        ensure!(new.is_subset(&running), "{new:?} of {running:?}");
        Ok(running == new)
    })
    .await?;
    cluster.until_gone(old_pid).await?;
    let reasons = cluster.exit_reasons(&away)?;
    println!("the old copy ended: {reasons:?}");
    ensure!(
        reasons.iter().any(|reason| reason.contains("superseded: ")),
        "nobody has refused the old copy: {reasons:?}"
    );
    until_asked("nimbus hears of the supervisor again", || {
        Ok(attended.age_ms(&away)?.1 == "alive")
    })
    .await?;
    let last = tapped.until_quiet(cluster).await?;
    ensure!(pids(&last) == pids(&after), "more has moved: {last:#?}");
    let recorded = tapped.check(cluster)?;
    let n_twice = check_bound(&recorded, &tapped, &last)?;
    println!("lost 0, {n_twice} written again, cut off for {cut_off_for:.1?}");
    attended.cluster.end().await
}
