//! The output that a harness hands to its component: writes everything down.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use squall_core::engine::{
    Anchor, Anchoring, Anchors, EmitTo, Output, RootId, TokenReport, TokenSink, row_bytes,
};
use squall_core::{
    AckToken, ComponentError, EmitError, Failure, FailureReason, MessageId, Outputs, Schema,
    Settings, Str, StreamId, TaskId, Tuple, Value, Verdict,
};

use crate::testing::COMPONENT;
use crate::testing::tuple::tuple_in;

/// One emit, as a harness saw it.
#[derive(Clone, Debug, PartialEq)]
pub struct Emitted {
    /// What was emitted; `tuple.stream()` says where to.
    pub tuple: Tuple,
    /// The one task that a direct emit names.
    pub task: Option<TaskId>,
    /// What the tuple is tied to.
    pub tie: Tie,
}

/// What an emitted tuple is tied to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tie {
    /// The trees of these inputs of the harness, by number: the first tuple executed is number 0.
    Inputs(Vec<usize>),
    /// A tree of the component's own.
    Root(MessageId),
    /// No tree.
    Nothing,
}

/// The end of one input of the harness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Which input, by number: the first tuple executed is number 0.
    pub input: usize,
    /// How it ended.
    pub verdict: Verdict,
}

/// Writes down what a component emits and how its inputs end.
pub(super) struct Recorder {
    schemas: Vec<Arc<Schema>>,
    row: Vec<Value>,
    emits: Vec<Emitted>,
    in_hand: Option<usize>,
    inputs: Arc<Inputs>,
    n_edges: u64,
}

/// The inputs so far; tokens report here, from any thread.
#[derive(Default)]
struct Inputs(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of each input: the parts that have yet to ack, or `None` once it has ended.
    open: Vec<Option<usize>>,
    ended: Vec<Ended>,
    held: Vec<usize>,
}

impl Recorder {
    pub(super) fn new(outputs: &Outputs) -> Self {
        let schema = |(stream, fields): (&StreamId, &[Str])| {
            Schema::new(COMPONENT.into(), stream.clone(), fields.to_vec())
        };
        Self {
            schemas: outputs.iter().map(schema).collect(),
            row: Vec::new(),
            emits: Vec::new(),
            in_hand: None,
            inputs: Arc::default(),
            n_edges: 0,
        }
    }

    /// Takes another input in hand.
    pub(super) fn begin_input(&mut self) {
        let mut state = self.inputs.lock();
        self.in_hand = Some(state.open.len());
        state.open.push(Some(1));
    }

    /// Ends the call for the input in hand: tokens that were made of it go on.
    pub(super) fn end_input(&mut self, result: Result<(), &ComponentError>) {
        if let Some(input) = self.in_hand.take() {
            let verdict = match result {
                Ok(()) => Verdict::Acked,
                Err(error) => Verdict::Failed(Failure::rejected(COMPONENT.into(), error)),
            };
            self.inputs.lock().report(input, verdict);
        }
    }

    /// Takes what was written down since the last call: emits, ends, and inputs newly held.
    pub(super) fn take(&mut self) -> (Vec<Emitted>, Vec<Ended>, Vec<usize>) {
        let mut state = self.inputs.lock();
        let State { ended, held, .. } = &mut *state;
        (
            std::mem::take(&mut self.emits),
            std::mem::take(ended),
            std::mem::take(held),
        )
    }

    fn schema(&self, stream: Option<&str>) -> Result<&Arc<Schema>, EmitError> {
        let name = stream.unwrap_or(StreamId::DEFAULT);
        let found = self.schemas.iter().find(|schema| schema.stream == *name);
        found.ok_or_else(|| EmitError::UnknownStream {
            stream: name.to_owned(),
            declared: self.schemas.iter().map(|s| s.stream.clone()).collect(),
        })
    }

    fn checked(&self, to: EmitTo<'_>, row: &[Value]) -> Result<Arc<Schema>, EmitError> {
        let schema = self.schema(to.stream)?;
        let max_tuple_bytes = Settings::default().max_tuple_bytes.as_usize();
        let bytes = row_bytes(row);
        if row.len() != schema.fields.len() {
            return Err(EmitError::WrongArity {
                stream: schema.stream.clone(),
                n_values: row.len(),
                fields: schema.fields.clone(),
            });
        }
        if bytes > max_tuple_bytes {
            return Err(EmitError::TooLarge {
                bytes,
                max_tuple_bytes,
            });
        }
        Ok(schema.clone())
    }

    fn tie(&mut self, anchoring: Anchoring<'_>) -> Tie {
        let inputs: BTreeSet<usize> = match anchoring {
            Anchoring::Root(id) => return Tie::Root(id),
            Anchoring::Unanchored => BTreeSet::new(),
            Anchoring::Input => self.in_hand.into_iter().collect(),
            Anchoring::Tokens(tokens) => {
                let mut draw = || {
                    self.n_edges += 1;
                    self.n_edges
                };
                let grown = tokens.iter().map(|token| token.grow(&mut draw));
                grown.flat_map(|anchors| inputs_of(&anchors)).collect()
            }
        };
        if inputs.is_empty() {
            return Tie::Nothing;
        }
        Tie::Inputs(inputs.into_iter().collect())
    }
}

impl Output for Recorder {
    fn row(&mut self) -> &mut Vec<Value> {
        self.row.clear();
        &mut self.row
    }

    fn send(&mut self, to: EmitTo<'_>) -> Result<(), Box<EmitError>> {
        let row = std::mem::take(&mut self.row);
        let schema = self.checked(to, &row)?;
        let tie = self.tie(to.anchoring);
        self.emits.push(Emitted {
            tuple: tuple_in(schema, row),
            task: to.task,
            tie,
        });
        Ok(())
    }

    fn fields(&self, stream: Option<&str>) -> Result<&[Str], EmitError> {
        Ok(&self.schema(stream)?.fields)
    }

    fn defer(&mut self) -> AckToken {
        let Some(input) = self.in_hand else {
            return AckToken::new(Anchors::None, self.inputs.clone());
        };
        if let Some(Some(open)) = self.inputs.lock().open.get_mut(input) {
            *open += 1;
        }
        self.n_edges += 1;
        let anchor = Anchor {
            root: RootId {
                task: TaskId(0),
                slot: u32::try_from(input).unwrap_or(u32::MAX),
                generation: 0,
            },
            edge: self.n_edges,
        };
        AckToken::new(Anchors::One(anchor), self.inputs.clone())
    }
}

impl Inputs {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TokenSink for Inputs {
    fn report(&self, anchors: Anchors, report: TokenReport) {
        let verdict = match report {
            TokenReport::Acked { .. } => Verdict::Acked,
            TokenReport::Failed { error, .. } => Verdict::Failed(match error {
                Some(error) => Failure::rejected(COMPONENT.into(), &error),
                None => Failure::new(
                    FailureReason::Rejected,
                    Some(COMPONENT.into()),
                    "the token was dropped",
                ),
            }),
            TokenReport::Held => {
                self.lock().held.extend(inputs_of(&anchors));
                return;
            }
        };
        for input in inputs_of(&anchors) {
            self.lock().report(input, verdict.clone());
        }
    }
}

impl State {
    /// Takes the end of one part of an input: all parts must ack, one can fail it.
    fn report(&mut self, input: usize, verdict: Verdict) {
        let Some(parts) = self.open.get_mut(input) else {
            return;
        };
        match (*parts, &verdict) {
            (None, _) => return,
            (Some(n), Verdict::Acked) if n > 1 => {
                *parts = Some(n - 1);
                return;
            }
            (Some(_), _) => *parts = None,
        }
        self.ended.push(Ended { input, verdict });
    }
}

fn inputs_of(anchors: &Anchors) -> Vec<usize> {
    let slots = anchors.as_slice().iter().map(|anchor| anchor.root.slot);
    slots.map(|slot| slot as usize).collect()
}
