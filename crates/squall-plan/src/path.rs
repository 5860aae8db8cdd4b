//! Paths into a topology: `bolts.count.inputs[0].from`.

use std::fmt;

/// Steps from the root of a topology to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(Vec<Step>);

/// One step down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// To the value of a key.
    Key(String),
    /// To the item of a list, counted from 0.
    Idx(usize),
}

impl Path {
    /// Returns the path one key further down.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.step(Step::Key(key.to_owned()))
    }

    /// Returns the path one item further down.
    pub(crate) fn idx(&self, idx: usize) -> Self {
        self.step(Step::Idx(idx))
    }

    /// Returns the path of what stands at `tail`, seen from here.
    pub(crate) fn join(&self, tail: &Self) -> Self {
        Self(self.0.iter().chain(&tail.0).cloned().collect())
    }

    /// Iterates over the steps from the root down.
    pub(crate) fn steps(&self) -> std::slice::Iter<'_, Step> {
        self.0.iter()
    }

    /// Tells whether one path leads through or to the other.
    pub(crate) fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|(a, b)| a == b)
    }

    /// Reads what `Display` writes. A key that holds a dot or a bracket comes out as several steps.
    pub(crate) fn from_text(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.').filter(|part| !part.is_empty()) {
            let bracket = part.find('[').unwrap_or(part.len());
            let (key, indexes) = part.split_at(bracket);
            if !key.is_empty() {
                steps.push(Step::Key(key.to_owned()));
            }
            for idx in indexes.split(['[', ']']).filter(|idx| !idx.is_empty()) {
                steps.push(match idx.parse() {
                    Ok(idx) => Step::Idx(idx),
                    Err(_) => Step::Key(idx.to_owned()),
                });
            }
        }
        Self(steps)
    }

    fn step(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, step) in self.0.iter().enumerate() {
            match step {
                Step::Key(key) if n == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
                Step::Idx(idx) => write!(f, "[{idx}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["", "name", "bolts.count.inputs[0].from", "a[1][2].b"] {
            assert_eq!(Path::from_text(text).to_string(), text);
        }
    }

    #[test]
    fn overlaps_with_what_it_leads_through() {
        let path = Path::from_text("config.retries");
        assert!(path.overlaps(&Path::from_text("config.retries.base")));
        assert!(path.overlaps(&Path::default()));
        assert!(!path.overlaps(&Path::from_text("config.stream")));
    }
}
