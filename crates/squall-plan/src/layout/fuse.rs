//! Decides which neighbours share a loop.
//!
//! An input is fused where task `i` of the emitter may send to task `i` of the reader alone without
//! changing what the grouping promises: local-or-shuffle (and none) at equal parallelism, and anything
//! but a direct or custom grouping between single tasks. `shuffle` between several tasks is never
//! fused: it promises an even spread.

use squall_core::Grouping;

use super::ComponentLayout;

/// Marks the fused inputs and numbers the chains.
pub(super) fn fuse(components: &mut [ComponentLayout], enabled: bool) {
    let mut chain: Vec<usize> = (0..components.len()).collect();
    for reader_idx in 0..components.len() {
        for input_idx in 0..components[reader_idx].inputs.len() {
            let emitter_idx = components[reader_idx].inputs[input_idx].from;
            if enabled && fusible(components, emitter_idx, reader_idx, input_idx) {
                components[reader_idx].inputs[input_idx].fused = true;
                let (from, to) = (chain[reader_idx], chain[emitter_idx]);
                chain
                    .iter_mut()
                    .filter(|id| **id == from)
                    .for_each(|id| *id = to);
            }
        }
    }
    for (component, chain) in components.iter_mut().zip(chain) {
        component.chain = chain;
    }
}

fn fusible(
    components: &[ComponentLayout],
    emitter_idx: usize,
    reader_idx: usize,
    input_idx: usize,
) -> bool {
    let (emitter, reader) = (&components[emitter_idx], &components[reader_idx]);
    let input = &reader.inputs[input_idx];
    let single = emitter.n_tasks() == 1;
    let one_to_one = match &input.grouping {
        Grouping::LocalOrShuffle | Grouping::None => true,
        Grouping::Shuffle
        | Grouping::Global
        | Grouping::All
        | Grouping::Fields(_)
        | Grouping::PartialKey(_) => single,
        Grouping::Direct | Grouping::Custom(_) => false,
    };
    one_to_one
        && emitter.n_tasks() == reader.n_tasks()
        && !input.feedback
        && !emitter.dedicated
        && !reader.dedicated
}

#[cfg(test)]
mod tests {
    use squall_core::{Outputs, TopologyBuilder};

    use crate::layout::{Layout, Signatures};

    fn layout(declare: impl FnOnce(&mut TopologyBuilder)) -> Layout {
        let mut topology = TopologyBuilder::new("t");
        declare(&mut topology);
        let spec = topology.build();
        let ids = spec.spouts.keys().chain(spec.bolts.keys());
        let signatures: Signatures = ids.map(|id| (id.clone(), Outputs::fields(["x"]))).collect();
        Layout::new(&spec, &signatures, true)
    }

    fn chains(layout: &Layout) -> Vec<usize> {
        layout
            .components
            .iter()
            .map(|component| component.chain)
            .collect()
    }

    #[test]
    fn fuses_local_neighbours_of_equal_parallelism() {
        let layout = layout(|t| {
            t.spout("in", "x", ()).unwrap().parallelism(2);
            t.bolt("a", "x", ())
                .unwrap()
                .parallelism(2)
                .local_or_shuffle("in");
            t.bolt("b", "x", ())
                .unwrap()
                .parallelism(3)
                .local_or_shuffle("a");
            t.bolt("c", "x", ()).unwrap().parallelism(3).shuffle("b");
            t.bolt("d", "x", ())
                .unwrap()
                .parallelism(3)
                .fields("c", ["x"]);
        });
        assert_eq!(chains(&layout), [0, 0, 2, 3, 4]);
    }

    #[test]
    fn fuses_anything_between_single_tasks_but_dedicated_ones() {
        let layout = layout(|t| {
            t.spout("in", "x", ()).unwrap();
            t.bolt("a", "x", ()).unwrap().fields("in", ["x"]);
            t.bolt("b", "x", ()).unwrap().global("a");
            t.bolt("c", "x", ()).unwrap().dedicated().shuffle("b");
            t.bolt("d", "x", ()).unwrap().direct("b");
        });
        assert_eq!(chains(&layout), [0, 0, 0, 3, 4]);
    }

    #[test]
    fn the_edge_that_closes_a_cycle_is_feedback_and_never_fused() {
        let layout = layout(|t| {
            t.spout("in", "x", ()).unwrap();
            t.bolt("a", "x", ()).unwrap().shuffle("in").shuffle("b");
            t.bolt("b", "x", ()).unwrap().shuffle("a");
        });
        let a = &layout.components[1];
        assert!(!a.inputs[0].feedback && a.inputs[0].fused);
        assert!(a.inputs[1].feedback && !a.inputs[1].fused);
        let depths: Vec<usize> = layout
            .components
            .iter()
            .map(|component| component.depth)
            .collect();
        assert_eq!(depths, [0, 1, 2]);
    }

    #[test]
    fn tasks_are_numbered_through_in_order_of_declaration() {
        let layout = layout(|t| {
            t.spout("in", "x", ()).unwrap().parallelism(2);
            t.bolt("a", "x", ()).unwrap().parallelism(3).shuffle("in");
        });
        assert_eq!(layout.components[0].tasks, 0..2);
        assert_eq!(layout.components[1].tasks, 2..5);
        assert_eq!(layout.n_tasks(), 5);
    }
}
