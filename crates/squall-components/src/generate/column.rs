//! One field of the generated rows.

use fastrand::Rng;
use squall_core::{Result, Value};

use super::{FieldKind, Row};
use crate::access_log::Generator;
use crate::zipf::Zipf;

const MAX_KEYS: u32 = 1_000_000;

/// Makes the values of one field.
pub(super) enum Column {
    Sequence,
    DueNs,
    AccessLog(Box<Generator>),
    Choice { of: Vec<Value>, zipf: Zipf },
    Integer { min: i64, max: i64 },
    Number { min: f64, max: f64 },
}

impl Column {
    /// Makes the tables that a field of this kind needs.
    ///
    /// # Errors
    /// Bounds the wrong way round, a choice of nothing, or a skew that is no number from 0 on.
    pub(super) fn new(kind: &FieldKind, seed: u64) -> Result<Self> {
        Ok(match kind {
            FieldKind::Sequence => Self::Sequence,
            FieldKind::DueNs => Self::DueNs,
            FieldKind::AccessLog => Self::AccessLog(Box::new(Generator::new(seed))),
            FieldKind::Choice { of, .. } if of.is_empty() => Err("`of` is empty")?,
            FieldKind::Choice { of, skew } => Self::choice(of.clone(), *skew)?,
            FieldKind::Key { n, .. } if n.get() > MAX_KEYS => {
                Err(format!("`n` is above {MAX_KEYS}"))?
            }
            FieldKind::Key { n, skew } => {
                let keys = (0..n.get()).map(|n| Value::from(format!("key-{n}")));
                Self::choice(keys.collect(), *skew)?
            }
            FieldKind::Integer { min, max } if min > max => Err("`min` is above `max`")?,
            FieldKind::Integer { min, max } => Self::Integer {
                min: *min,
                max: *max,
            },
            FieldKind::Number { min, max } if min <= max => Self::Number {
                min: *min,
                max: *max,
            },
            FieldKind::Number { .. } => Err("`min` is above `max`")?,
        })
    }

    fn choice(of: Vec<Value>, skew: f64) -> Result<Self> {
        if !(skew.is_finite() && skew >= 0.0) {
            Err(format!("`skew` is {skew}, not a number from 0 on"))?;
        }
        let zipf = Zipf::new(of.len(), skew);
        Ok(Self::Choice { of, zipf })
    }

    /// Makes the field's value in one row.
    pub(super) fn value(&self, row: Row, rng: &mut Rng) -> Value {
        match self {
            Self::Sequence => i64::try_from(row.idx).unwrap_or(i64::MAX).into(),
            Self::DueNs => i64::try_from(row.due.as_nanos()).unwrap_or(i64::MAX).into(),
            Self::AccessLog(lines) => lines.line(row.idx).into(),
            Self::Choice { of, zipf } => of.get(zipf.draw(rng)).cloned().unwrap_or_default(),
            Self::Integer { min, max } => rng.i64(*min..=*max).into(),
            Self::Number { min, max } => (min + rng.f64() * (max - min)).into(),
        }
    }
}
