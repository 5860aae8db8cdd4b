//! What the drivers of other engines have in common: the sentences, the order that they are run by, and the meter.
//!
//! A driver runs one job on one engine for a while. Sources emit until the meter says that it is over; what comes to
//! the sinks in the middle of the run is measured. Then the job drains, and one line of JSON says what was found.

mod figures;
mod meter;
mod order;
mod sentences;

pub use figures::{Figures, Span};
pub use meter::{Handle, Meter, Tally};
pub use order::{Job, Order};
pub use sentences::{WORDS_PER_SENTENCE, sentences};
