//! What holds for every message: it comes back as it was sent, whatever arrives is a value or an error, and
//! what is beyond its bounds is refused with the name of its field.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod any;
mod bounds;
mod hostile;
mod largest;
mod round_trips;
