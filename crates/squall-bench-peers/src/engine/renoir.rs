//! Renoir, in one process: over several it starts its programs by ssh.

use anyhow::Result;

use peer_driver::Job;

use crate::contender::Contender;
use crate::engine::{Course, WARM_UP, drive};
use crate::sample::Sample;

/// Runs the course's job, or the one that such a contender has in its place.
pub(super) fn run(course: Course<'_>, contender: Contender) -> Result<Sample> {
    let parallelism = course.job.parallelism().to_string();
    let mut order = course.order(WARM_UP, vec![parallelism]);
    order.job = match contender {
        Contender::RenoirHops => Job::PassThroughHops,
        Contender::RenoirTextHops => Job::TextHops,
        _ => order.job,
    };
    let sunk_per_record = order.job.sunk_per_record();
    let program = &course.programs.renoir;
    let figures = drive("peer-renoir", program, &[order], course.stop)?;
    Sample::of(&figures, sunk_per_record)
}
