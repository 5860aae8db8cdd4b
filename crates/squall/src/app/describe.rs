//! `__describe`: what submitting needs to know of a program and a topology, for programs to read.

use std::process::ExitCode;

use clap::{ArgMatches, Args};
use serde_json::value::to_raw_value;

use squall_core::{ComponentError, Result};
use squall_daemon::identity::Identity;
use squall_plan::{Declared, Problems};
use squall_proto::handshake::PROTOCOL;

use crate::app::target::Refusal;
use crate::app::{Program, arguments, target};
use crate::console;
use crate::description::{DescribedProgram, DescribedTopology, Description};

/// The command's name. Nobody types it.
pub(super) const NAME: &str = "__describe";

/// Say all that submitting a topology needs to know of it and of this program, as JSON
#[derive(Args, Debug)]
pub(super) struct DescribeArgs {}

/// Describes a topology, valid or not: that it is invalid is a part of the answer.
pub(super) fn describe(matches: &ArgMatches, program: &Program) -> Result<ExitCode> {
    let description = description(matches, program)?;
    console::data(serde_json::to_string(&description)?);
    Ok(ExitCode::SUCCESS)
}

fn description(matches: &ArgMatches, program: &Program) -> Result<Description> {
    let looked = target::look(matches, program);
    let (report, problems, topology) = match looked {
        Ok(declared) => {
            let texts = declared.warnings.iter().map(ToString::to_string);
            let report = texts.map(|text| text.trim_end().to_owned());
            let report = report.collect::<Vec<_>>().join("\n");
            let problems = declared.warnings.clone();
            (
                report,
                problems,
                Some(topology(matches, program, &declared)?),
            )
        }
        Err(error) => {
            let (report, problems) = refused(error)?;
            (report, problems, None)
        }
    };
    let identity = Identity::ours();
    Ok(Description {
        engine_version: identity.engine_version,
        protocol_min: *PROTOCOL.start(),
        protocol_max: *PROTOCOL.end(),
        target: identity.target,
        report,
        problems,
        topology,
    })
}

fn topology(
    matches: &ArgMatches,
    program: &Program,
    declared: &Declared,
) -> Result<DescribedTopology> {
    let built = matches
        .subcommand()
        .map(|(name, matches)| {
            let topology = program.topologies.iter().find(|built| built.name == name);
            let args = topology.map(|topology| arguments::written(topology, matches));
            let args = args.transpose()?.unwrap_or_default();
            let name = name.to_owned();
            Ok::<_, ComponentError>(DescribedProgram { name, args })
        })
        .transpose()?;
    Ok(DescribedTopology {
        name: declared.spec.name.to_string(),
        origin: target::origin(matches)?,
        spec: to_raw_value(&declared.spec)?,
        program: built,
        signatures: declared.signatures.clone(),
    })
}

/// Takes apart why a topology can't be run.
fn refused(error: ComponentError) -> Result<(String, Problems)> {
    let Some(refusal) = error.as_error().downcast_ref::<Refusal>() else {
        return Err(error);
    };
    let problems = match refusal {
        Refusal::Invalid(problems) => problems.clone(),
        Refusal::Unreadable { .. } | Refusal::Unbuilt { .. } => Problems::default(),
    };
    Ok((refusal.to_string().trim_end().to_owned(), problems))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use squall_core::{Bolt, Emitter, TopologySpec, Tuple};

    use super::*;
    use crate::App;
    use crate::app::line;

    #[derive(Args)]
    struct Numbers {
        #[arg(long, default_value_t = 1)]
        parallelism: u32,
        #[arg(long)]
        refuse: bool,
    }

    struct Sink;

    impl Bolt for Sink {
        fn execute(&mut self, _: &Tuple, _: &mut Emitter<'_>) -> Result<()> {
            Ok(())
        }
    }

    fn app() -> App {
        let app = App::new().bolt("sink", |(): ()| Ok(Sink));
        app.topology("numbers", |args: Numbers, t| {
            if args.refuse {
                return Err("it was told to".into());
            }
            t.spout("in", "generate", json!({ "count": 3 }))?;
            let out = t.bolt("out", "sink", ())?;
            out.parallelism(args.parallelism).shuffle("in");
            Ok(())
        })
    }

    fn described(args: &[&str]) -> Description {
        let (app, args) = (app(), ["test", NAME].iter().chain(args));
        let matches = line::parse(&app, args.map(Into::into).collect()).unwrap();
        let tokio = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        let program = Program {
            registry: Arc::new(app.registry),
            topologies: app.topologies,
            tokio: tokio.handle().clone(),
            log_filter: None,
        };
        let (_, matches) = matches.subcommand().unwrap();
        let json = serde_json::to_string(&description(matches, &program).unwrap()).unwrap();
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_built_topology_is_known_by_its_name_arguments_and_bytes() {
        let described = described(&["--parallelism", "3"]);
        assert_eq!((described.protocol_min, described.protocol_max), (1, 1));
        assert_eq!(described.engine_version, env!("CARGO_PKG_VERSION"));
        assert!(described.target.contains("linux"), "{}", described.target);
        assert!(described.problems.is_empty() && described.report.is_empty());
        let topology = described.topology.unwrap();
        let program = topology.program.unwrap();
        assert_eq!(
            (topology.name.as_str(), topology.origin.as_str()),
            ("numbers", "this program")
        );
        assert_eq!(
            (program.name.as_str(), program.args),
            ("numbers", vec!["--parallelism=3".to_owned()])
        );
        let spec = app().build("numbers", &["--parallelism=3"]).unwrap();
        assert_eq!(topology.spec.get(), serde_json::to_string(&spec).unwrap());
        assert!(
            topology
                .signatures
                .get("in")
                .unwrap()
                .get("default")
                .is_some()
        );
    }

    #[test]
    fn a_declared_topology_is_described_with_what_overlays_and_sets_make_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("topology.yaml");
        let text = "name: shout\nspouts:\n  in: { type: generate }\nbolts:\n  out: { type: sink, inputs: [in] }\n  \
                    idle: { type: sink }\n";
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let described = described(&[file, "--set", "name=whisper"]);
        let topology = described.topology.unwrap();
        assert_eq!(
            (topology.name.as_str(), topology.origin.as_str()),
            ("whisper", file)
        );
        assert_eq!(topology.program, None);
        let spec: TopologySpec = serde_json::from_str(topology.spec.get()).unwrap();
        assert_eq!((spec.name.as_str(), spec.bolts.len()), ("whisper", 2));
        // Doubtful, and valid.
        assert!(
            described.report.starts_with("warning: nobody feeds `idle`"),
            "{}",
            described.report
        );
        assert_eq!(described.problems.len(), 1);
    }

    #[test]
    fn what_is_wrong_is_a_part_of_the_answer() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("topology.yaml");
        std::fs::write(&file, "name: x\nspouts:\n  in: { type: generat }\n").unwrap();
        let invalid = described(&[file.to_str().unwrap()]);
        assert!(invalid.topology.is_none());
        assert!(
            invalid
                .report
                .starts_with("error: unknown spout type `generat`"),
            "{}",
            invalid.report
        );
        let problem = invalid.problems.iter().next().unwrap();
        let place = problem.place.as_ref().unwrap();
        assert_eq!((place.line, place.column), (3, 15));
        assert!(
            problem
                .help
                .as_ref()
                .unwrap()
                .contains("did you mean `generate`?")
        );

        let unreadable = described(&["nowhere.yaml"]);
        assert!(
            unreadable.report.starts_with("error: nowhere.yaml: "),
            "{}",
            unreadable.report
        );
        assert!(unreadable.topology.is_none());
        let unbuilt = described(&["numbers", "--refuse"]);
        assert_eq!(unbuilt.report, "error: topology numbers: it was told to");
    }
    #[test]
    fn a_file_without_end_is_not_read_to_the_end() {
        let zeros = described(&["/dev/zero"]);
        let expected = "the files are larger than 1048576 bytes";
        assert!(zeros.report.contains(expected), "{}", zeros.report);
        let dir = tempfile::tempdir().unwrap();
        for text in ["é".repeat(1 << 20), format!("#{}", "é".repeat(1 << 20))] {
            let file = dir.path().join("long.yaml");
            std::fs::write(&file, text).unwrap();
            let long = described(&[file.to_str().unwrap()]);
            assert!(long.report.contains(expected), "{}", long.report);
        }
    }
}
