//! Takes a topology in.

use std::num::NonZeroU32;
use std::sync::Arc;

use squall_plan::schedule::Liveness;
use squall_proto::handshake::runs_on;
use squall_proto::{BinaryNeeds, Parallelism, Refusal, RefusalCode, Sha256, Submit, Topology};

use super::desired::{Lifecycle, Record};
use super::draft::Draft;
use super::event::{Reply, Submission};
use super::observed::Observed;
use super::rebalance::{deal, lay_out, shape};
use super::room::{check_orders, check_room};
use super::schedule::{keep, reschedule};
use super::view::plan_of;

/// Checks a submission, places it, and says where.
pub(super) fn submit(
    draft: &mut Draft<'_>,
    observed: &mut Observed,
    submission: Submission,
) -> Result<Reply, Refusal> {
    let Submission {
        submit,
        spec_sha256,
        unix_ms,
    } = submission;
    let name = &submit.name;
    if let Some(record) = draft.get().named(name) {
        return Err(match record.lifecycle {
            Lifecycle::Killed { .. } => {
                let message = format!("a topology `{name}` is still ending: {}", record.id());
                let action = "wait until `squall list` doesn't show it any more, then submit again";
                Refusal::new(RefusalCode::AlreadyRunning, message, action).with("name", name)
            }
            _ if is_same(record, &submit, spec_sha256) => {
                Refusal::already_submitted(record.id(), name)
            }
            _ => Refusal::already_running(record.id(), name),
        });
    }
    check_room(draft, submit.spec_json.len())?;
    let spec = shape(&submit.spec_json, &Parallelism::default())?;
    if spec.name != name.as_str() {
        let why = format!(
            "the spec's name is `{}`, the submitted one `{name}`",
            spec.name
        );
        return Err(Refusal::bad_spec(why));
    }
    check_machines(draft, observed, &submit.needs)?;
    let wanted = submit.n_workers.or(NonZeroU32::new(spec.settings.workers));
    let n_workers = wanted.unwrap_or(NonZeroU32::MIN);
    let layout = lay_out(&spec);
    let number = draft.get().last_topology + 1;
    let record = Record {
        name: name.clone(),
        number,
        topology: Topology {
            id: name.id(number),
            spec_json: submit.spec_json,
            spec_sha256,
            binary_sha256: submit.binary_sha256,
            n_workers,
            program: submit.program,
            parallelism: Parallelism::default(),
        },
        submitted_unix_ms: unix_ms,
        lifecycle: Lifecycle::Active,
        launched: false,
        version: 0,
        workers: deal(&layout, n_workers),
        layout,
    };
    let id = record.id().clone();
    let desired = draft.edit();
    desired.last_topology = number;
    desired.topologies.insert(number, Arc::new(record));
    check_orders(draft)?;
    let reasons = reschedule(draft, observed, None);
    if draft
        .record(number)
        .is_some_and(|record| record.version == 0)
    {
        // Nothing of it has a place yet; its assignment is empty, but it is one.
        let version = draft.next_version();
        draft
            .edit_record(number)
            .into_iter()
            .for_each(|record| record.version = version);
    }
    let own = reasons.get(&number).cloned().unwrap_or_default();
    let plan = draft
        .record(number)
        .map(|record| plan_of(draft.get(), record, &own));
    let plan =
        plan.ok_or_else(|| Refusal::internal("the topology vanished while it was placed"))?;
    if submit.dry_run {
        draft.discard();
        return Ok(Reply::Submitted(None, plan));
    }
    keep(observed, reasons);
    Ok(Reply::Submitted(Some(id), plan))
}

/// Tells whether a topology is the one that is submitted.
fn is_same(record: &Record, submit: &Submit, spec_sha256: Sha256) -> bool {
    let topology = &record.topology;
    topology.spec_sha256 == spec_sha256 && topology.binary_sha256 == submit.binary_sha256
}

/// Refuses a binary that a supervisor couldn't run.
fn check_machines(
    draft: &Draft<'_>,
    observed: &Observed,
    needs: &BinaryNeeds,
) -> Result<(), Refusal> {
    for (id, known) in &draft.get().supervisors {
        if observed.liveness(id, known, draft.now, draft.limits) == Liveness::Live {
            runs_on(needs, &known.handshake)
                .map_err(|mismatch| Refusal::from(mismatch).with("supervisor_id", id))?;
        }
    }
    Ok(())
}
