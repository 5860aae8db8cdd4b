//! Finds the edges that close cycles, and how deep each component lies below the spouts.

use super::ComponentLayout;

/// Marks the inputs that close a cycle, and sets each component's depth over the rest.
///
/// Which edge of a cycle closes it follows from the order of declaration: a walk from the spouts down
/// meets it last.
pub(super) fn mark_feedback(components: &mut [ComponentLayout]) {
    let readers = readers_of(components);
    let mut walk = Walk {
        readers: &readers,
        state: vec![State::New; components.len()],
        feedback: Vec::new(),
        finished: Vec::new(),
    };
    for component_idx in 0..components.len() {
        walk.visit_from(component_idx);
    }
    let (feedback, finished) = (walk.feedback, walk.finished);
    for (reader, input) in feedback {
        components[reader].inputs[input].feedback = true;
    }
    // The reverse of the order in which a depth-first walk leaves: emitters before their readers.
    for component_idx in finished.into_iter().rev() {
        let forward = components[component_idx]
            .inputs
            .iter()
            .filter(|input| !input.feedback);
        let depth = forward
            .map(|input| components[input.from].depth + 1)
            .max()
            .unwrap_or(0);
        components[component_idx].depth = depth;
    }
}

/// For each component its readers, as (component, input) indexes.
fn readers_of(components: &[ComponentLayout]) -> Vec<Vec<(usize, usize)>> {
    let mut readers = vec![Vec::new(); components.len()];
    for (reader_idx, reader) in components.iter().enumerate() {
        for (input_idx, input) in reader.inputs.iter().enumerate() {
            readers[input.from].push((reader_idx, input_idx));
        }
    }
    readers
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    New,
    Open,
    Done,
}

struct Walk<'a> {
    readers: &'a [Vec<(usize, usize)>],
    state: Vec<State>,
    feedback: Vec<(usize, usize)>,
    finished: Vec<usize>,
}

impl Walk<'_> {
    /// Walks depth first, on a stack of its own: a long chain doesn't exhaust the thread's.
    fn visit_from(&mut self, start: usize) {
        if self.state[start] != State::New {
            return;
        }
        self.state[start] = State::Open;
        let mut stack = vec![(start, 0)];
        while let Some((component_idx, next)) = stack.pop() {
            let Some(&(reader, input)) = self.readers[component_idx].get(next) else {
                self.state[component_idx] = State::Done;
                self.finished.push(component_idx);
                continue;
            };
            stack.push((component_idx, next + 1));
            match self.state[reader] {
                State::New => {
                    self.state[reader] = State::Open;
                    stack.push((reader, 0));
                }
                State::Open => self.feedback.push((reader, input)),
                State::Done => {}
            }
        }
    }
}
