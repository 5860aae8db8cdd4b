//! What is said of everything that was measured: who was how fast at what, by which promises, and how many times as
//! fast Squall was.

mod setting;
mod text;

use anyhow::Result;
use serde::Serialize;

use crate::args::Format;
use crate::contender::Contender;
use crate::measure::{Measured, Row};
use crate::sample::Sample;
use crate::stats::Spread;
use crate::target::{TARGETS, Target};

pub(crate) use setting::Setting;

/// All that is printed.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    setting: Setting,
    rows: Vec<Line>,
    targets: Vec<Verdict>,
}

/// A contender at a job.
#[derive(Debug, Serialize)]
struct Line {
    job: &'static str,
    contender: Contender,
    engine: String,
    /// What it promises, and what is different about it.
    terms: &'static str,
    /// Tasks of each component.
    parallelism: usize,
    records_per_sec: Spread,
    cpu_ns_per_record: Spread,
    /// Squall with acks in times of it; none of Squall itself.
    squall_acked: Option<Spread>,
    /// Squall without.
    squall_unacked: Option<Spread>,
    /// One of each round.
    runs: Vec<Sample>,
}

/// Whether a target is reached.
#[derive(Debug, Serialize)]
struct Verdict {
    target: String,
    at_least: f64,
    /// Nothing where one of the two was not measured.
    ratio: Option<Spread>,
    is_reached: Option<bool>,
}

impl Report {
    pub(crate) fn new(setting: Setting, measured: &Measured) -> Self {
        let lines = measured.rows().iter();
        Self {
            rows: lines
                .filter_map(|row| Line::new(row, &setting, measured))
                .collect(),
            targets: TARGETS
                .iter()
                .map(|target| Verdict::new(target, measured))
                .collect(),
            setting,
        }
    }

    /// Returns it as text.
    ///
    /// # Errors
    /// It can't be written as JSON.
    pub(crate) fn print(&self, format: Format) -> Result<String> {
        Ok(match format {
            Format::Table => text::table(self),
            Format::Markdown => text::markdown(self),
            Format::Json => serde_json::to_string(self)?,
        })
    }
}

impl Line {
    fn new(row: &Row, setting: &Setting, measured: &Measured) -> Option<Self> {
        let theirs = measured.records_per_sec(row.job, row.contender);
        let ratio = |ours| {
            let ours = measured.records_per_sec(row.job, ours);
            let ratio = Spread::of_ratios(&ours, &theirs)?;
            (!row.contender.is_ours()).then_some(ratio)
        };
        let samples = || row.samples.iter();
        Some(Self {
            job: row.job.title(),
            contender: row.contender,
            engine: setting.engine(row.contender),
            terms: row.contender.terms(row.job),
            parallelism: row.job.parallelism(),
            records_per_sec: Spread::of(samples().map(|sample| sample.records_per_sec))?,
            cpu_ns_per_record: Spread::of(samples().map(|sample| sample.cpu_ns_per_record))?,
            squall_acked: ratio(Contender::SquallAcked),
            squall_unacked: ratio(Contender::SquallUnacked),
            runs: row.samples.clone(),
        })
    }
}

impl Verdict {
    fn new(target: &Target, measured: &Measured) -> Self {
        let of = |contender| measured.records_per_sec(target.job, contender);
        let ratio = Spread::of_ratios(&of(target.ours), &of(target.theirs));
        Self {
            target: target.to_string(),
            at_least: target.at_least,
            ratio,
            is_reached: ratio.map(|ratio| ratio.median >= target.at_least),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Job;

    /// Three rounds of word count, in the second of which the machine was slow.
    fn report() -> Report {
        let mut measured = Measured::default();
        for speed in [2.0, 1.0, 2.0] {
            for (contender, at_full) in [
                (Contender::SquallAcked, 400_000.0),
                (Contender::SquallUnacked, 1_300_000.0),
                (Contender::Timely, 1_000_000.0),
            ] {
                let sample = Sample {
                    records_per_sec: at_full * speed,
                    cpu_ns_per_record: 1000.0,
                };
                measured.add(Job::WordCount, contender, sample);
            }
        }
        Report::new(Setting::example(), &measured)
    }

    #[test]
    fn ratios_are_those_of_squall_to_others() {
        let report = report();
        let ratios: Vec<_> = report
            .rows
            .iter()
            .map(|line| {
                let median = |ratio: Option<Spread>| ratio.map(|ratio| ratio.median);
                (median(line.squall_acked), median(line.squall_unacked))
            })
            .collect();
        assert_eq!(ratios, [(None, None), (None, None), (Some(0.4), Some(1.3))]);
        assert_eq!(report.rows[0].records_per_sec.median, 800_000.0);
        assert_eq!(report.rows[0].records_per_sec.min, 400_000.0);
    }

    #[test]
    fn a_target_is_reached_missed_or_not_measured() {
        let report = report();
        let verdicts: Vec<_> = report
            .targets
            .iter()
            .map(|verdict| verdict.is_reached)
            .collect();
        assert_eq!(verdicts[0], Some(true));
        assert!(verdicts[1..].iter().all(Option::is_none), "{verdicts:?}");
        let mut measured = Measured::default();
        for contender in [Contender::SquallUnacked, Contender::Timely] {
            let sample = Sample {
                records_per_sec: 1.0,
                cpu_ns_per_record: 1.0,
            };
            measured.add(Job::WordCount, contender, sample);
        }
        let verdict = Verdict::new(&TARGETS[0], &measured);
        assert_eq!(verdict.is_reached, Some(false));
    }

    #[test]
    fn markdown_can_be_pasted() {
        let text = report().print(Format::Markdown).unwrap();
        let tables: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        // Two headers with their rules, three rows and the targets.
        assert_eq!(tables.len(), 4 + 3 + TARGETS.len(), "{text}");
        let timely = tables.iter().find(|line| line.contains("timely")).unwrap();
        for cell in ["2.00 (1.00 – 2.00)", "1.30", "0.40"] {
            assert!(timely.contains(cell), "{timely}");
        }
        let json = report().print(Format::Json).unwrap();
        let json: serde_json::Value = serde_json::from_str(&json).unwrap();
        assert_eq!(json["rows"][2]["squall_unacked"]["median"], 1.3);
        let runs = json["rows"][2]["runs"].as_array().unwrap();
        let slow = runs.iter().filter(|run| run["records_per_sec"] == 1e6);
        assert_eq!((runs.len(), slow.count()), (3, 1));
        assert_eq!(json["targets"][0]["is_reached"], true);
    }
}
