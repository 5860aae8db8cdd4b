//! Reports what is wrong at a path, with the place that the path was written at.

use crate::declare::{Point, SourceMap};
use crate::path::Path;
use crate::problem::{Origin, Problem, Problems, Severity};
use crate::validate::Misfit;

/// Collects problems of one topology.
pub(crate) struct Reporter<'a> {
    map: &'a SourceMap,
    problems: &'a mut Problems,
}

impl<'a> Reporter<'a> {
    /// Makes a reporter that looks places up in `map`.
    pub(crate) const fn new(map: &'a SourceMap, problems: &'a mut Problems) -> Self {
        Self { map, problems }
    }

    /// Reports what keeps the topology from running.
    pub(crate) fn error(
        &mut self,
        path: &Path,
        point: Point,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.report(Severity::Error, (path, point), message, help);
    }

    /// Reports what is probably not meant.
    pub(crate) fn warning(
        &mut self,
        path: &Path,
        point: Point,
        message: impl Into<String>,
        help: Option<String>,
    ) {
        self.report(Severity::Warning, (path, point), message, help);
    }

    /// Reports what doesn't fit in a config that stands at `base`.
    pub(crate) fn misfit(&mut self, base: &Path, misfit: Misfit) {
        let at = (&base.join(&misfit.path), misfit.point);
        self.report(misfit.severity, at, misfit.message, misfit.help);
    }

    /// Tells whether what stands at a path came from a `--set`.
    pub(crate) fn is_set(&self, path: &Path) -> bool {
        matches!(self.map.origin(path), Origin::Set(_))
    }

    /// Tells whether an error was found at a path, around it or within; one without a place is everywhere.
    pub(crate) fn has_errors_at(&self, path: &Path) -> bool {
        let mut errors = self.problems.iter();
        errors.any(|problem| {
            problem.severity == Severity::Error && Path::from_text(&problem.path).overlaps(path)
        })
    }

    fn report(
        &mut self,
        severity: Severity,
        (path, point): (&Path, Point),
        message: impl Into<String>,
        help: Option<String>,
    ) {
        let map = self.map;
        self.problems.add(severity, || {
            let (place, origin) = map.locate(path, point);
            Problem {
                severity,
                message: message.into(),
                path: path.to_string(),
                place,
                origin,
                help,
            }
        });
    }
}
