//! Makes instances of a component, each with a context and asynchronous work of its own.

use std::sync::Arc;

use futures_channel::oneshot;
use futures_util::FutureExt;
use futures_util::future::{Shared, select};
use serde_json::Value as Json;

use squall_core::{
    Bolt, BoxFuture, BuildError, ComponentError, Registry, Result, Spawner, Spout, TaskContext,
    TaskInfo, TaskServices,
};

use super::guard::guard;

/// Makes the instances of one task.
pub(crate) struct Maker {
    pub(crate) registry: Arc<Registry>,
    pub(crate) type_name: String,
    pub(crate) config: Json,
    pub(crate) info: TaskInfo,
    pub(crate) services: TaskServices,
}

/// An instance, and the end of its asynchronous work when it is dropped.
pub(crate) struct Instance<T: ?Sized> {
    pub(crate) component: Box<T>,
    _work: oneshot::Sender<()>,
}

impl Maker {
    /// Builds and opens a spout.
    pub(crate) fn spout(&self) -> Result<Instance<dyn Spout>> {
        guard(|| {
            let registered = self
                .registry
                .get_spout(&self.type_name)
                .ok_or_else(|| self.not_registered())?;
            let mut component = registered.build(&self.config).map_err(of_build)?;
            let (mut ctx, _work) = self.context();
            component.open(&mut ctx)?;
            Ok(Instance { component, _work })
        })
    }

    /// Builds and prepares a bolt.
    pub(crate) fn bolt(&self) -> Result<Instance<dyn Bolt>> {
        guard(|| {
            let registered = self
                .registry
                .get_bolt(&self.type_name)
                .ok_or_else(|| self.not_registered())?;
            let mut component = registered.build(&self.config).map_err(of_build)?;
            let (mut ctx, _work) = self.context();
            component.prepare(&mut ctx)?;
            Ok(Instance { component, _work })
        })
    }

    fn not_registered(&self) -> ComponentError {
        ComponentError::from(format!(
            "no component type `{}` is registered",
            self.type_name
        ))
        .permanent()
    }

    fn context(&self) -> (TaskContext, oneshot::Sender<()>) {
        let (work, end) = oneshot::channel();
        let spawner = Arc::new(Leash {
            spawner: self.services.spawner.clone(),
            end: end.shared(),
        });
        let services = TaskServices {
            spawner,
            ..self.services.clone()
        };
        (TaskContext::new(self.info.clone(), services), work)
    }
}

fn of_build(error: BuildError) -> ComponentError {
    match error {
        BuildError::Factory(error) => error,
        config @ BuildError::Config { .. } => ComponentError::from(config).permanent(),
    }
}

/// Ends what an instance has spawned together with the instance.
struct Leash {
    spawner: Arc<dyn Spawner>,
    end: Shared<oneshot::Receiver<()>>,
}

impl Spawner for Leash {
    fn spawn(&self, name: &str, future: BoxFuture<'static, ()>) {
        let end = self.end.clone();
        self.spawner
            .spawn(name, select(future, end).map(|_| ()).boxed());
    }
}
