//! Apache Flink, by a small program against its jars: a cluster inside one JVM.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tempfile::TempDir;

use crate::child::{Child, Stop, finish};
use crate::console::say;
use crate::engine::Course;
use crate::programs::here;
use crate::sample::{self, Sample};

/// What the class path needs: how the names of jars begin, with a digit behind it.
const JARS: [&str; 5] = [
    "flink-dist-",
    "log4j-api-",
    "log4j-core-",
    "log4j-slf4j-impl-",
    "log4j-1.2-api-",
];
/// Before it is measured: by then the just-in-time compiler is done.
const WARM_UP: Duration = Duration::from_secs(8);
/// Between two checkpoints, in milliseconds.
const CHECKPOINT_MS: u32 = 1000;
/// How long javac may take.
const COMPILE_WITHIN: Duration = Duration::from_secs(120);
/// What recent JVMs want to be told, and how much memory it has.
const JVM: [&str; 3] = [
    "-Xmx4g",
    "--add-opens=java.base/java.util=ALL-UNNAMED",
    "--add-opens=java.base/java.lang=ALL-UNNAMED",
];

/// The compiled driver. Its folder goes with it.
#[derive(Debug)]
pub(crate) struct Flink {
    class_path: String,
    version: String,
    _classes: TempDir,
}

impl Flink {
    /// Compiles the driver against the jars of a folder.
    ///
    /// # Errors
    /// A jar or javac is missing, or it doesn't compile.
    pub(crate) fn compile(jars: &Path, stop: &Stop) -> Result<Self> {
        say("compiling Flink's driver …");
        let jars = find(jars)?;
        let version = version(&jars)?;
        let classes = tempfile::tempdir()?;
        let mut class_path = vec![classes.path().display().to_string()];
        class_path.extend(jars.iter().map(|jar| jar.display().to_string()));
        let class_path = class_path.join(":");
        let mut javac = Command::new("javac");
        javac
            .args(["-cp", &class_path, "-d"])
            .arg(classes.path())
            .arg(here().join("flink/PeerBench.java"));
        let javac = Child::start("javac", &mut javac)
            .context("a JDK is needed to measure Flink: install one of version 17 or later")?;
        finish(vec![javac], Some(COMPILE_WITHIN), stop)?;
        Ok(Self {
            class_path,
            version,
            _classes: classes,
        })
    }

    /// Returns which Flink it is.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }
}

pub(super) fn run(course: Course<'_>) -> Result<Sample> {
    let Some(flink) = &course.programs.flink else {
        bail!("no jars of Flink were given");
    };
    let n_task_managers = course.job.processes();
    let rest = vec![
        course.job.parallelism().to_string(),
        n_task_managers.to_string(),
        CHECKPOINT_MS.to_string(),
        here().join("sentences.txt").display().to_string(),
    ];
    let order = course.order(WARM_UP, rest);
    let mut java = Command::new("java");
    java.args(JVM)
        .args(["-cp", &flink.class_path, "PeerBench"])
        .args(order.to_args());
    let child = Child::start("Flink", &mut java)?;
    let printed = finish(vec![child], Course::within(&order), course.stop)?;
    let figures = sample::figures(&printed.concat())?;
    ensure!(
        figures.n_checkpoints > 0,
        "Flink completed no checkpoint: its figures would be of another promise"
    );
    Sample::of(&[figures], order.job.sunk_per_record())
}

fn find(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("no folder {}", folder.display()))?;
    let entries: Vec<PathBuf> = entries
        .map(|entry| Ok(entry?.path().canonicalize()?))
        .collect::<Result<_>>()?;
    let jar = |prefix: &str| {
        let mut jars = entries.iter().filter(|path| number(path, prefix).is_some());
        jars.next().cloned().with_context(|| {
            format!(
                "no {prefix}*.jar in {}: they are in the folder pyflink/lib of the Python wheel apache-flink-libraries",
                folder.display()
            )
        })
    };
    JARS.into_iter().map(jar).collect()
}

fn version(jars: &[PathBuf]) -> Result<String> {
    let mut numbers = jars.iter().filter_map(|jar| number(jar, JARS[0]));
    let version = numbers.next().context("a jar without a version")?;
    Ok(version.to_owned())
}

/// Returns a jar's version if its name begins so.
fn number<'a>(path: &'a Path, prefix: &str) -> Option<&'a str> {
    let name = path.file_name()?.to_str()?;
    let version = name.strip_prefix(prefix)?.strip_suffix(".jar")?;
    version
        .starts_with(|c: char| c.is_ascii_digit())
        .then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(folder: &TempDir, names: &[&str]) {
        for name in names {
            fs::write(folder.path().join(name), "").unwrap();
        }
    }

    #[test]
    fn jars_are_found_whatever_their_versions() {
        let folder = tempfile::tempdir().unwrap();
        let names = [
            "flink-dist-2.3.0.jar",
            "log4j-api-2.25.3.jar",
            "log4j-core-2.25.3.jar",
            "log4j-slf4j-impl-2.25.3.jar",
            "log4j-1.2-api-2.25.3.jar",
        ];
        touch(&folder, &names);
        touch(&folder, &["flink-dist-sources.jar", "flink-json-2.3.0.jar"]);
        let jars = find(folder.path()).unwrap();
        let found: Vec<_> = jars.iter().map(|jar| jar.file_name().unwrap()).collect();
        assert_eq!(found, names);
        assert_eq!(version(&jars).unwrap(), "2.3.0");
    }

    #[test]
    fn a_missing_jar_is_named_with_where_it_is_had_from() {
        let folder = tempfile::tempdir().unwrap();
        touch(&folder, &["flink-dist-2.3.0.jar"]);
        let error = find(folder.path()).unwrap_err().to_string();
        assert!(error.starts_with("no log4j-api-*.jar in "), "{error}");
        assert!(error.ends_with("wheel apache-flink-libraries"), "{error}");
    }
}
