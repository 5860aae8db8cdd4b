//! The numbers by which frames name streams, the same in every worker of a topology.

use std::collections::HashMap;
use std::sync::Arc;

use foldhash::fast::RandomState;
use xxhash_rust::xxh3::Xxh3Default;

use squall_core::engine::ComponentIdx;
use squall_core::{ComponentId, Schema, StreamId, TaskId};

/// One component: its name, its tasks and its streams.
#[derive(Clone, Debug)]
pub struct ComponentSchemas {
    /// Its name.
    pub component: ComponentId,
    /// How many tasks it has.
    pub n_tasks: u32,
    /// Its streams, in the order of declaration.
    pub schemas: Vec<Arc<Schema>>,
}

/// All streams of a topology. A stream's number is its place in here.
#[derive(Clone, Debug)]
pub struct SchemaTable {
    schemas: Vec<Arc<Schema>>,
    /// For each component the number behind its last task: tasks are numbered through.
    tasks_end: Vec<u32>,
    /// By component: its streams and their numbers.
    ids: HashMap<ComponentId, Vec<(StreamId, u32)>, RandomState>,
    fingerprint: u64,
}

impl SchemaTable {
    /// Numbers the streams of all components, which come in the order of the topology's layout.
    #[must_use]
    pub fn new(components: &[ComponentSchemas]) -> Self {
        let mut table = Self {
            schemas: Vec::new(),
            tasks_end: Vec::new(),
            ids: HashMap::default(),
            fingerprint: 0,
        };
        let mut hash = Xxh3Default::new();
        for each in components {
            update(&mut hash, &each.component);
            hash.update(&each.n_tasks.to_le_bytes());
            let first = table.tasks_end.last().copied().unwrap_or(0);
            table.tasks_end.push(first.saturating_add(each.n_tasks));
            let ids = table.ids.entry(each.component.clone()).or_default();
            for schema in &each.schemas {
                update(&mut hash, &schema.stream);
                hash.update(&(schema.fields.len() as u64).to_le_bytes());
                schema
                    .fields
                    .iter()
                    .for_each(|field| update(&mut hash, field));
                let id = u32::try_from(table.schemas.len()).unwrap_or(u32::MAX);
                ids.push((schema.stream.clone(), id));
                table.schemas.push(schema.clone());
            }
            // Where one component's streams end and the next one begins.
            hash.update(&u64::MAX.to_le_bytes());
        }
        table.fingerprint = hash.digest();
        table
    }

    /// Returns a hash over all components, their numbers of tasks, streams and fields, in their order.
    /// Workers with different ones don't link.
    #[must_use]
    pub const fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Returns the stream of a number.
    #[must_use]
    pub fn get(&self, id: u32) -> Option<&Arc<Schema>> {
        self.schemas.get(id as usize)
    }

    /// Returns the number of a stream.
    #[must_use]
    pub fn id_of(&self, schema: &Schema) -> Option<u32> {
        let streams = self.ids.get(&schema.component)?;
        streams
            .iter()
            .find_map(|(stream, id)| (*stream == schema.stream).then_some(*id))
    }

    /// Tells whether a task is one of a component's.
    #[must_use]
    pub fn has_task(&self, component: ComponentIdx, task: TaskId) -> bool {
        let idx = component.0 as usize;
        let first = idx
            .checked_sub(1)
            .and_then(|before| self.tasks_end.get(before));
        let first = first.copied().unwrap_or(0);
        let end = self.tasks_end.get(idx).copied().unwrap_or(0);
        (first..end).contains(&task.0)
    }

    /// Returns how many streams there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.schemas.len()
    }

    /// Tells whether there is no stream.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.schemas.is_empty()
    }
}

/// Hashes a text with its length, so that no two lists of texts run together.
fn update(hash: &mut Xxh3Default, text: impl AsRef<str>) {
    let text = text.as_ref();
    hash.update(&(text.len() as u64).to_le_bytes());
    hash.update(text.as_bytes());
}
