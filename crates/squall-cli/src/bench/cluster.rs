//! A small cluster for a bench: nimbus and one supervisor in this process, workers as its children.

use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use squall::cluster::{explain, topology_name};
use squall::{HumanDuration, Result, TopologySpec};
use squall_client::{Binary, Nimbus as Client};
use squall_daemon::shutdown::Scope;
use squall_nimbus::{Nimbus, NimbusConfig};
use squall_proto::{Kill, Phase, Submit, TopologyName, TopologySummary};
use squall_supervisor::{Supervisor, SupervisorConfig};

/// How often it is looked how far a topology is.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long the workers may take to start, the program's way to the supervisor included.
const START_WITHIN: Duration = Duration::from_secs(120);
/// How long pending trees may take at the end.
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
/// How long workers may take to end after that.
const END_WITHIN: Duration = Duration::from_secs(30);
/// How long they have when the bench is broken off.
const BREAK_OFF: HumanDuration = HumanDuration(Duration::from_millis(500));

/// A cluster that serves. It ends with the scope that it was started in.
pub(super) struct Cluster {
    client: Client,
    binary: Binary,
    n_workers: NonZeroU32,
    supervisor: Scope,
}

impl Cluster {
    /// Starts it with its data in `folder`, and stores this program there.
    ///
    /// # Errors
    /// What can't be started; the rest ends with the scope.
    pub(super) async fn start(folder: &Path, n_workers: NonZeroU32, scope: &Scope) -> Result<Self> {
        let config = NimbusConfig {
            data_dir: folder.join("nimbus"),
            port: 0,
            http_port: 0,
            ..NimbusConfig::default()
        };
        let nimbus = Nimbus::start(config, scope.child("nimbus")).await?;
        let address = nimbus.address().to_string();
        scope.spawn_vital("nimbus", nimbus.run());
        let config = SupervisorConfig {
            data_dir: folder.join("supervisor"),
            supervisor_id: Some("bench".to_owned()),
            nimbus: vec![address.clone()],
            n_slots: u16::try_from(n_workers.get())?,
            drain_timeout: BREAK_OFF,
            term_grace: BREAK_OFF,
            ..SupervisorConfig::default()
        };
        let supervisor_scope = scope.child("supervisor");
        let supervisor = Supervisor::start(config, supervisor_scope.clone()).await?;
        supervisor_scope.spawn_vital("supervisor", supervisor.run());
        let mut client = Client::connect(&[address.parse()?])
            .await
            .map_err(explain)?;
        let binary = Binary::read(std::env::current_exe()?)?;
        // Nobody watches how far it is.
        let (sent, _) = watch::channel(0);
        client.upload(&binary, sent).await.map_err(explain)?;
        Ok(Self {
            client,
            binary,
            n_workers,
            supervisor: supervisor_scope,
        })
    }

    /// Ends the supervisor before nimbus, which ends with the scope: nobody misses anybody.
    pub(super) async fn end(self) {
        self.supervisor.drain();
        self.supervisor.ended().await;
    }

    /// Runs a topology until it is done, then has it drain and end.
    ///
    /// # Errors
    /// It doesn't start in time, isn't done `within` after that, or doesn't end in time.
    pub(super) async fn run(
        &mut self,
        spec: &TopologySpec,
        within: Duration,
        is_done: impl Fn() -> Result<bool>,
    ) -> Result<()> {
        let name = topology_name(&spec.name)?;
        let submit = Submit {
            name: name.clone(),
            spec_json: serde_json::to_string(spec)?.into(),
            binary_sha256: self.binary.sha256(),
            needs: self.binary.needs().clone(),
            n_workers: Some(self.n_workers),
            program: None,
            dry_run: false,
        };
        self.client.submit(submit).await.map_err(explain)?;
        let is_active = |summary: Option<&TopologySummary>| {
            summary.is_some_and(|summary| summary.phase == Phase::Active)
        };
        self.until("start", START_WITHIN, &name, is_active).await?;
        let doing = async {
            let mut looks = looks();
            while !is_done()? {
                looks.tick().await;
            }
            Ok(())
        };
        let done: Result<Result<()>, _> = timeout(within, doing).await;
        done.map_err(|_| format!("the sources of {name} don't get done within {within:?}"))??;
        let kill = Kill {
            name: name.clone(),
            wait: DRAIN_WITHIN,
        };
        self.client.kill(kill).await.map_err(explain)?;
        let bound = DRAIN_WITHIN + END_WITHIN;
        self.until("end", bound, &name, |summary| summary.is_none())
            .await
    }

    /// Waits until a topology is as it should be; `None` is one that is gone.
    async fn until(
        &mut self,
        what: &str,
        bound: Duration,
        name: &TopologyName,
        holds: impl Fn(Option<&TopologySummary>) -> bool,
    ) -> Result<()> {
        let asking = async {
            let mut asks = looks();
            loop {
                asks.tick().await;
                let all = self.client.list().await.map_err(explain)?;
                let mut own = all.iter().filter(|summary| {
                    TopologyName::of_id(&summary.topology).is_ok_and(|(its, _)| its == *name)
                });
                if holds(own.next()) {
                    return Ok(());
                }
            }
        };
        let asked = timeout(bound, asking).await;
        asked.map_err(|_| format!("the workers of {name} don't {what} within {bound:?}"))?
    }
}

fn looks() -> Interval {
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}
