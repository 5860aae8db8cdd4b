//! The groupings at work. Pure but for their own counters.

use squall_core::{CustomGrouping, Grouping, Schema, Value, hash_key, key_group, owner_of};
use thiserror::Error;

/// Which of an input's tasks get a tuple.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Picks {
    /// The task with this index.
    One(usize),
    /// Every task.
    All,
    /// None: the grouping is direct, and the emit named nobody.
    Nobody,
}

/// One grouping, from one sending task to the tasks of one reading component.
pub struct Router {
    n_tasks: usize,
    rule: Rule,
}

enum Rule {
    RoundRobin {
        next: usize,
    },
    /// In turn among the readers of this worker.
    Local {
        readers: Box<[usize]>,
        next: usize,
    },
    Fixed(usize),
    All,
    Direct,
    Fields(Box<[usize]>),
    PartialKey {
        fields: Box<[usize]>,
        sent: Box<[u64]>,
    },
    Custom(Box<dyn CustomGrouping>),
}

/// A grouping that doesn't fit its stream. Found by validation; repeated here for specs that skipped it.
#[derive(Debug, Error)]
pub enum RouterError {
    /// The stream lacks one of the grouping's fields.
    #[error("no field `{0}` in the stream")]
    NoField(String),
    /// No custom grouping of this name is registered.
    #[error("no custom grouping `{0}` is registered")]
    NoCustom(String),
}

impl Router {
    /// Makes the router of the sending task with index `sender_idx` among its component's. A fused input
    /// sends to the task with the same index. `local` has the indexes of the readers in the sender's own
    /// worker, which local-or-shuffle keeps to if there is one.
    ///
    /// # Errors
    /// [`RouterError`].
    pub fn new(
        grouping: &Grouping,
        schema: &Schema,
        n_tasks: usize,
        sender_idx: usize,
        fused: bool,
        local: &[usize],
        custom: impl FnOnce(&str) -> Option<Box<dyn CustomGrouping>>,
    ) -> Result<Self, RouterError> {
        // Each sender begins elsewhere, so that many senders of few tuples are even too.
        let round_robin = Rule::RoundRobin {
            next: sender_idx % n_tasks,
        };
        let rule = match grouping {
            _ if fused => Rule::Fixed(sender_idx),
            Grouping::LocalOrShuffle if !local.is_empty() && local.len() < n_tasks => Rule::Local {
                readers: local.into(),
                next: sender_idx % local.len(),
            },
            Grouping::Shuffle | Grouping::LocalOrShuffle | Grouping::None => round_robin,
            Grouping::Global => Rule::Fixed(0),
            Grouping::All => Rule::All,
            Grouping::Direct => Rule::Direct,
            Grouping::Fields(fields) => Rule::Fields(indexes(fields, schema)?),
            Grouping::PartialKey(fields) => Rule::PartialKey {
                fields: indexes(fields, schema)?,
                sent: vec![0; n_tasks].into_boxed_slice(),
            },
            Grouping::Custom(name) => {
                Rule::Custom(custom(name).ok_or_else(|| RouterError::NoCustom(name.to_string()))?)
            }
        };
        Ok(Self { n_tasks, rule })
    }

    /// Picks the tasks for one row.
    pub fn pick(&mut self, row: &[Value]) -> Picks {
        let n_tasks = self.n_tasks;
        match &mut self.rule {
            Rule::RoundRobin { next } => {
                let picked = *next;
                *next = if picked + 1 == n_tasks { 0 } else { picked + 1 };
                Picks::One(picked)
            }
            Rule::Local { readers, next } => {
                let picked = readers[*next];
                *next = if *next + 1 == readers.len() {
                    0
                } else {
                    *next + 1
                };
                Picks::One(picked)
            }
            Rule::Fixed(task_idx) => Picks::One(*task_idx),
            Rule::All => Picks::All,
            Rule::Direct => Picks::Nobody,
            Rule::Fields(fields) => Picks::One(owner_of(key_group(hash(fields, row)), n_tasks)),
            Rule::PartialKey { fields, sent } => {
                let [one, other] = candidates(hash(fields, row), n_tasks);
                let picked = if sent[other] < sent[one] { other } else { one };
                sent[picked] += 1;
                Picks::One(picked)
            }
            Rule::Custom(custom) => Picks::One(custom.choose(row, n_tasks) % n_tasks),
        }
    }

    /// Returns the index of the one task that gets every row, where there is such a one.
    pub const fn fixed(&self) -> Option<usize> {
        match self.rule {
            Rule::Fixed(task_idx) => Some(task_idx),
            _ => None,
        }
    }

    /// Tells whether each row goes to one task, which the row alone decides, or the turn.
    pub const fn picks_one(&self) -> bool {
        !matches!(self.rule, Rule::All | Rule::Direct)
    }

    /// Tells whether the emit has to name the task.
    pub const fn is_direct(&self) -> bool {
        matches!(self.rule, Rule::Direct)
    }
}

fn indexes(fields: &[squall_core::Str], schema: &Schema) -> Result<Box<[usize]>, RouterError> {
    let index = |field: &squall_core::Str| {
        schema
            .index_of(field)
            .ok_or_else(|| RouterError::NoField(field.to_string()))
    };
    fields.iter().map(index).collect()
}

fn hash(fields: &[usize], row: &[Value]) -> u64 {
    hash_key(fields.iter().filter_map(|field| row.get(*field)))
}

/// The two tasks that may get a key: its owner, and the owner of the hash's upper half, or the next task
/// where that is the same. All senders agree on them, for they follow from the key alone.
fn candidates(hash: u64, n_tasks: usize) -> [usize; 2] {
    let one = owner_of(key_group(hash), n_tasks);
    let other = owner_of(key_group(hash >> 32), n_tasks);
    [
        one,
        if other == one {
            (one + 1) % n_tasks
        } else {
            other
        },
    ]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;

    fn router(grouping: &Grouping, n_tasks: usize, sender_idx: usize) -> Router {
        let schema = Schema::new("s".into(), "default".into(), vec!["key".into()]);
        Router::new(grouping, &schema, n_tasks, sender_idx, false, &[], |_| None).unwrap()
    }

    fn picked(router: &mut Router, key: &Value) -> usize {
        match router.pick(std::slice::from_ref(key)) {
            Picks::One(task_idx) => task_idx,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn shuffle_is_even() {
        let mut counts = [0; 6];
        let mut router = router(&Grouping::Shuffle, 6, 4);
        for _ in 0..30_000 {
            counts[picked(&mut router, &Value::Null)] += 1;
        }
        assert_eq!(counts, [5000; 6]);
    }

    #[test]
    fn local_or_shuffle_keeps_to_the_local_readers() {
        let schema = Schema::new("s".into(), "default".into(), vec!["key".into()]);
        let counts = |local: &[usize]| {
            let grouping = Grouping::LocalOrShuffle;
            let mut router = Router::new(&grouping, &schema, 4, 1, false, local, |_| None).unwrap();
            let mut counts = [0; 4];
            for _ in 0..12 {
                counts[picked(&mut router, &Value::Null)] += 1;
            }
            counts
        };
        assert_eq!(counts(&[1, 3]), [0, 6, 0, 6]);
        assert_eq!(counts(&[2]), [0, 0, 12, 0]);
        assert_eq!(counts(&[]), [3; 4]);
        assert_eq!(counts(&[0, 1, 2, 3]), [3; 4]);
    }

    #[test]
    fn fields_follow_the_golden_key_groups() {
        let grouping = Grouping::Fields(vec!["key".into()]);
        let mut router = router(&grouping, 4, 0);
        let keys = [
            Value::from("squall"),
            Value::Null,
            Value::I64(42),
            Value::from(&b"squall"[..]),
        ];
        let tasks: Vec<usize> = keys.iter().map(|key| picked(&mut router, key)).collect();
        // Hashes end in c27, 4c2, 63e and 345: groups of 4096, a quarter of them to each task.
        assert_eq!(tasks, [3, 1, 1, 0]);
    }

    #[test]
    fn a_missing_field_and_an_unknown_custom_grouping_are_errors() {
        let schema = Schema::new("s".into(), "default".into(), vec!["key".into()]);
        let new = |grouping| {
            Router::new(&grouping, &schema, 2, 0, false, &[], |_| None)
                .err()
                .unwrap()
                .to_string()
        };
        assert_eq!(
            new(Grouping::Fields(vec!["kye".into()])),
            "no field `kye` in the stream"
        );
        assert_eq!(
            new(Grouping::Custom("mine".into())),
            "no custom grouping `mine` is registered"
        );
    }

    proptest! {
        #[test]
        fn partial_key_reaches_at_most_two_tasks_on_which_all_senders_agree(
            keys in proptest::collection::vec("[a-e]", 1..300),
            n_tasks in 2usize..20,
        ) {
            let grouping = Grouping::PartialKey(vec!["key".into()]);
            let mut senders = [router(&grouping, n_tasks, 0), router(&grouping, n_tasks, 1)];
            let mut reached: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
            for (nth, key) in keys.iter().enumerate() {
                let task_idx = picked(&mut senders[nth % 2], &Value::from(key));
                prop_assert!(task_idx < n_tasks);
                reached.entry(key).or_default().insert(task_idx);
            }
            for (key, tasks) in reached {
                prop_assert!(tasks.len() <= 2, "{key}: {tasks:?}");
            }
        }

        #[test]
        fn equal_keys_reach_the_same_task(key in ".*", n_tasks in 1usize..100, sender in 0usize..9) {
            let grouping = Grouping::Fields(vec!["key".into()]);
            let key = Value::from(key);
            let one = picked(&mut router(&grouping, n_tasks, 0), &key);
            prop_assert!(one < n_tasks);
            prop_assert_eq!(one, picked(&mut router(&grouping, n_tasks, sender), &key));
        }
    }
}
