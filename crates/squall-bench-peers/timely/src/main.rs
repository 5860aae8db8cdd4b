//! Runs a job on timely dataflow: `peer-timely JOB WARM_UP_SECS SECS [-w THREADS] [-n PROCESSES -p INDEX -h HOSTS]`.
//!
//! Nothing is acked and nothing is saved: what comes back is what the data path alone can do.

mod pass_through;
mod source;
mod word_count;

use anyhow::{Result, anyhow, bail};

use peer_driver::{Job, Meter, Order};

#[cfg(feature = "mimalloc")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> Result<()> {
    let order = Order::parse(std::env::args().skip(1))?;
    let build = match order.job {
        Job::WordCount => word_count::build,
        Job::PassThrough => pass_through::build,
        job @ (Job::PassThroughHop | Job::PassThroughHops | Job::TextHops) => {
            bail!("no {} here", job.name());
        }
    };
    let meter = Meter::start(&order);
    let handle = meter.handle();
    let workers = timely::execute_from_args(order.rest.into_iter(), move |worker| {
        build(worker, &handle);
    });
    for worker in workers.map_err(|error| anyhow!(error))?.join() {
        worker.map_err(|error| anyhow!(error))?;
    }
    meter.print()
}
