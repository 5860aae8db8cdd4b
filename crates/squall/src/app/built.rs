//! A topology that is built in Rust, and its arguments on the command line.

use clap::{ArgMatches, Args, Command};

use squall_core::{Result, TopologyBuilder, TopologySpec};

type Build = Box<dyn Fn(&ArgMatches) -> Result<TopologySpec>>;

/// A topology by name, built from its arguments.
pub(super) struct BuiltTopology {
    pub(super) name: &'static str,
    augment: fn(Command) -> Command,
    build: Build,
}

impl BuiltTopology {
    pub(super) fn new<A: Args>(
        name: &'static str,
        build: impl Fn(A, &mut TopologyBuilder) -> Result<()> + 'static,
    ) -> Self {
        Self {
            name,
            augment: A::augment_args,
            build: Box::new(move |matches| {
                let mut topology = TopologyBuilder::new(name);
                build(A::from_arg_matches(matches)?, &mut topology)?;
                Ok(topology.build())
            }),
        }
    }

    /// Makes the subcommand that names the topology: its arguments beside those of a command.
    pub(super) fn subcommand(&self, add_options: fn(Command) -> Command) -> Command {
        (self.augment)(add_options(Command::new(self.name)))
    }

    /// Builds the topology from the matches of [`BuiltTopology::subcommand`].
    pub(super) fn build(&self, matches: &ArgMatches) -> Result<TopologySpec> {
        (self.build)(matches)
    }
}

/// Builds one of several topologies; `args` are what stands behind its name on the command line.
pub(super) fn build(
    topologies: &[BuiltTopology],
    name: &str,
    args: &[&str],
) -> Result<TopologySpec> {
    let topology = topologies.iter().find(|built| built.name == name);
    let topology = topology.ok_or_else(|| format!("no topology `{name}`"))?;
    let line = topology.subcommand(|command| command);
    let matches = line.try_get_matches_from(std::iter::once(&name).chain(args))?;
    topology.build(&matches)
}
