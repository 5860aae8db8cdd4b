//! `drill`: faults on purpose.

mod memory;

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use squall_core::{
    AckToken, Bolt, Emitter, HumanDuration, Inputs, Moment, Outputs, Result, TaskContext, Tuple,
    Value, hash_key,
};

pub use self::memory::Memory;

/// How many tuples `hold` and `delay` keep; for one more the oldest is let go, and so fails, or passes early.
const MAX_HELD: usize = 100_000;
/// How often delayed tuples are looked at.
const DELAY_TICK: Duration = Duration::from_millis(10);
/// The field of sources that say themselves which attempt a tuple is.
const ATTEMPT: &str = "attempt";

/// Passes tuples on, and does harm to some of them: for trying a topology under faults.
///
/// Output fields: those of `fields`. What is harmed is chosen by the content of the tuple, not by chance, so
/// that a retry of the same message is known again: by the field `attempt` where the input has one (Kinesis),
/// else by remembering the content until it passes. This memory is shared by all tasks of a process and
/// outlives their restarts.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(example = serde_json::json!({ "fields": ["word"], "rate": 0.01 }))]
pub struct DrillConfig {
    /// The input fields that are passed on.
    pub fields: Vec<String>,
    /// What happens to the tuples that are chosen. Default `fail`.
    #[serde(default)]
    pub action: Action,
    /// Which share of the tuples is chosen, from 0 to 1. Default 1.
    #[serde(default = "all")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub rate: f64,
    /// Chooses only among tuples with this text in one of their fields. Default: among all.
    #[serde(default)]
    pub contains: Option<String>,
    /// How many attempts of a chosen message are harmed by `fail`, `panic` and `hold`; 0 means all.
    /// Default 1.
    #[serde(default = "first")]
    pub first_attempts: u32,
    /// How long `delay` and `block` take. Default 1s.
    #[serde(default = "wait")]
    pub wait: HumanDuration,
    /// Chooses others. Default 0.
    #[serde(default)]
    pub seed: u64,
}

const fn all() -> f64 {
    1.0
}

const fn first() -> u32 {
    1
}

const fn wait() -> HumanDuration {
    HumanDuration::from_secs(1)
}

/// What a drill does to a tuple.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Returns an error.
    #[default]
    Fail,
    /// Panics: the task is restarted.
    Panic,
    /// Keeps the tuple's token for ever, so that it times out; at the end of input it is let go.
    Hold,
    /// Passes the tuple on after `wait`, others overtaking it; earlier where 100000 wait already.
    Delay,
    /// Blocks the thread for `wait`, of real time also in tests, then passes the tuple on.
    Block,
}

/// See [`DrillConfig`].
pub struct Drill {
    config: DrillConfig,
    memory: Memory,
    ctx: Option<TaskContext>,
    held: VecDeque<AckToken>,
    /// In order of their moments.
    delayed: VecDeque<(Moment, Tuple, AckToken)>,
}

impl Drill {
    /// Makes the bolt; `memory` is shared by all that drill the same messages.
    ///
    /// # Errors
    /// No fields, or a rate that is no share.
    pub fn new(config: DrillConfig, memory: Memory) -> Result<Self> {
        if config.fields.is_empty() {
            Err("`fields` is empty: name the input fields that are passed on")?;
        }
        if !(0.0..=1.0).contains(&config.rate) {
            Err(format!("`rate` is {}, not from 0 to 1", config.rate))?;
        }
        Ok(Self {
            config,
            memory,
            ctx: None,
            held: VecDeque::new(),
            delayed: VecDeque::new(),
        })
    }

    fn is_chosen(&self, input: &Tuple, content: u64) -> bool {
        let contains = self.config.contains.as_deref().is_none_or(|text| {
            let mut values = input.values().iter();
            values.any(|value| value.to_string().contains(text))
        });
        contains && Rng::with_seed(content ^ self.config.seed).f64() < self.config.rate
    }

    /// Tells whether this attempt is one of the first.
    fn is_early(&self, ctx: &TaskContext, input: &Tuple, content: u64) -> bool {
        let first = self.config.first_attempts;
        match input.i64(ATTEMPT) {
            _ if first == 0 => true,
            Ok(attempt) => attempt <= i64::from(first),
            Err(_) => {
                let whose = [ctx.topology(), ctx.component().as_str()].map(Value::from);
                self.memory.is_early(hash_key(&whose) ^ content, first)
            }
        }
    }

    fn pass(&self, tuple: &Tuple) -> Result<Vec<Value>> {
        let fields = self.config.fields.iter();
        let values: Result<_, _> = fields.map(|field| tuple.get(field).cloned()).collect();
        Ok(values?)
    }

    fn pass_delayed(&mut self, upto: Moment, out: &mut Emitter<'_>) -> Result<()> {
        let is_due = |(due, ..): &(Moment, Tuple, AckToken)| *due <= upto;
        while self.delayed.front().is_some_and(is_due) {
            self.pass_oldest(out)?;
        }
        Ok(())
    }

    fn pass_oldest(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        if let Some((_, tuple, token)) = self.delayed.pop_front() {
            let row = self.pass(&tuple)?;
            out.anchored(&[&token]).emit(row)?;
            token.ack();
        }
        Ok(())
    }
}

impl Bolt for Drill {
    fn outputs(&self) -> Outputs {
        Outputs::fields(&self.config.fields)
    }

    fn inputs(&self) -> Inputs {
        Inputs::fields(&self.config.fields)
    }

    fn prepare(&mut self, ctx: &mut TaskContext) -> Result<()> {
        for input in ctx.inputs() {
            for field in &self.config.fields {
                if input.index_of(field).is_none() {
                    Err(format!("input {} has no field `{field}`", input.component))?;
                }
            }
        }
        self.ctx = Some(ctx.clone());
        Ok(())
    }

    fn execute(&mut self, input: &Tuple, out: &mut Emitter<'_>) -> Result<()> {
        let Some(ctx) = &self.ctx else {
            return Err("not prepared")?;
        };
        let content = content_of(input);
        if !self.is_chosen(input, content) {
            return Ok(out.emit(self.pass(input)?)?);
        }
        match self.config.action {
            Action::Delay => {
                let due = ctx.clock().now() + self.config.wait.0;
                self.delayed.push_back((due, input.clone(), out.defer()));
                if self.delayed.len() > MAX_HELD {
                    self.pass_oldest(out)?;
                }
                return Ok(());
            }
            Action::Block => block(self.config.wait.0),
            Action::Fail | Action::Panic | Action::Hold if !self.is_early(ctx, input, content) => {}
            Action::Fail => Err("failed by a drill")?,
            Action::Panic => panic_on_purpose(),
            Action::Hold => {
                self.held.push_back(out.defer());
                if self.held.len() > MAX_HELD {
                    self.held.pop_front();
                }
                return Ok(());
            }
        }
        Ok(out.emit(self.pass(input)?)?)
    }

    fn tick_every(&self) -> Option<Duration> {
        (self.config.action == Action::Delay).then_some(DELAY_TICK)
    }

    fn tick(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        match &self.ctx {
            Some(ctx) if !self.delayed.is_empty() => {
                let now = ctx.clock().now();
                self.pass_delayed(now, out)
            }
            _ => Ok(()),
        }
    }

    fn flush(&mut self, out: &mut Emitter<'_>) -> Result<()> {
        self.held.clear();
        self.pass_delayed(Moment::from_nanos(u64::MAX), out)
    }
}

/// Hashes what a message is known by: all its fields but the attempt.
fn content_of(input: &Tuple) -> u64 {
    let fields = input.fields().iter().zip(input.values());
    hash_key(
        fields
            .filter(|(name, _)| *name != ATTEMPT)
            .map(|(_, value)| value),
    )
}

#[expect(clippy::panic, reason = "it is what the drill is for")]
fn panic_on_purpose() -> ! {
    panic!("panicked by a drill")
}

/// Blocks the thread; nobody ever signals.
fn block(wait: Duration) {
    let never = Mutex::new(());
    let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = Condvar::new().wait_timeout_while(guard, wait, |()| true);
    drop(waited);
}

#[cfg(test)]
mod tests;
