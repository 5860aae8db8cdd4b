//! The signals that end a process.

use std::fmt;
use std::future::pending;

use tokio::signal::unix::{self, SignalKind};
use tokio::sync::mpsc;

/// A signal that asks a process to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: whoever started the process.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Terminate => "SIGTERM",
            Self::Interrupt => "SIGINT",
        })
    }
}

/// Where signals come from.
#[derive(Debug)]
pub struct Signals(Source);

#[derive(Debug)]
enum Source {
    System {
        terminate: unix::Signal,
        interrupt: unix::Signal,
    },
    Channel(mpsc::Receiver<Signal>),
}

impl Signals {
    /// Takes SIGTERM and SIGINT from now on: they don't end the process any more by themselves. To be called
    /// first thing.
    ///
    /// # Errors
    /// What the system says.
    ///
    /// # Panics
    /// Outside a tokio runtime with its I/O enabled.
    pub fn listen() -> std::io::Result<Self> {
        Ok(Self(Source::System {
            terminate: unix::signal(SignalKind::terminate())?,
            interrupt: unix::signal(SignalKind::interrupt())?,
        }))
    }

    /// Takes signals from a channel, as tests do. When it is closed, none comes any more.
    #[must_use]
    pub fn from_channel(signals: mpsc::Receiver<Signal>) -> Self {
        Self(Source::Channel(signals))
    }

    /// Waits for the next signal.
    pub(crate) async fn next(&mut self) -> Signal {
        match &mut self.0 {
            Source::System {
                terminate,
                interrupt,
            } => tokio::select! {
                Some(()) = terminate.recv() => Signal::Terminate,
                Some(()) = interrupt.recv() => Signal::Interrupt,
                else => pending().await,
            },
            Source::Channel(signals) => match signals.recv().await {
                Some(signal) => signal,
                None => pending().await,
            },
        }
    }
}
