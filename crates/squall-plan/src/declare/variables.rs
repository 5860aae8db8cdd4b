//! Variables of the environment inside of scalars: `${NAME}`, `${NAME:-default}`, and `$$` for a dollar sign.
//!
//! They are replaced after parsing, so that no value can change the shape of the file. What a plain scalar
//! means is decided afterwards: `parallelism: ${N:-4}` is a number, `"${N:-4}"` stays text.

use crate::problem::{Problem, Problems, Severity, quote};

use super::limits::Budget;
use super::node::{Kind, Node};
use super::source::Texts;

/// Where a value comes from and what is said of it on the way.
struct Filler<'a> {
    texts: &'a Texts,
    env: &'a dyn Fn(&str) -> Option<String>,
    budget: &'a mut Budget,
    problems: &'a mut Problems,
}

/// Replaces the variables in all values of the tree; keys are left alone. A value that can't be made is
/// reported and becomes [`Kind::Bad`].
pub(super) fn fill_in(
    root: &mut Node,
    texts: &Texts,
    env: &dyn Fn(&str) -> Option<String>,
    budget: &mut Budget,
    problems: &mut Problems,
) {
    let mut filler = Filler {
        texts,
        env,
        budget,
        problems,
    };
    filler.node(root);
}

impl Filler<'_> {
    fn node(&mut self, node: &mut Node) {
        match &mut node.kind {
            Kind::Bad => {}
            Kind::List(items) => items.iter_mut().for_each(|item| self.node(item)),
            Kind::Map(map) => map
                .values_mut()
                .for_each(|entry| self.node(&mut entry.value)),
            Kind::Scalar(scalar) if !scalar.text.contains('$') => {}
            Kind::Scalar(scalar) => {
                let mut filled = Filled::default();
                if let Err(message) = self.text(&scalar.text, &mut filled) {
                    filled.wrong.push((message, None));
                }
                scalar.text = filled.text;
                if filled.wrong.is_empty() {
                    node.mark.variables = filled.variables;
                } else {
                    for (message, help) in filled.wrong {
                        let texts = self.texts;
                        self.problems.add(Severity::Error, || Problem {
                            help,
                            ..texts.error(&node.mark, message)
                        });
                    }
                    node.kind = Kind::Bad;
                }
            }
        }
    }

    /// Fills in one text. An error ends it; what is wrong with one variable is collected.
    fn text(&mut self, mut rest: &str, filled: &mut Filled) -> Result<(), String> {
        while let Some(dollar) = rest.find('$') {
            let (before, found) = rest.split_at(dollar);
            self.put(before, filled)?;
            rest = match found.as_bytes() {
                [_, b'$', ..] => {
                    self.put("$", filled)?;
                    found.get(2..)
                }
                [_, b'{', ..] => {
                    let (inside, rest) = found
                        .get(2..)
                        .and_then(|found| found.split_once('}'))
                        .ok_or(
                            "a `}` is missing after `${`; a dollar sign itself is written `$$`",
                        )?;
                    self.variable(inside, filled)?;
                    Some(rest)
                }
                _ => {
                    self.put("$", filled)?;
                    found.get(1..)
                }
            }
            .unwrap_or_default();
        }
        self.put(rest, filled)
    }

    fn variable(&mut self, inside: &str, filled: &mut Filled) -> Result<(), String> {
        let (name, default) = match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside, None),
        };
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name || default.is_some_and(|default| default.contains("${")) {
            let shown = quote(&format!("${{{inside}}}"));
            let message = format!("{shown} is no variable");
            let help =
                "write ${NAME} or ${NAME:-default}, and `$$` for a dollar sign itself".to_owned();
            filled.wrong.push((message, Some(help)));
            return Ok(());
        }
        let value = (self.env)(name).filter(|value| default.is_none() || !value.is_empty());
        match (value, default) {
            (Some(value), _) => {
                if !filled.variables.iter().any(|known| known == name) {
                    filled.variables.push(name.to_owned());
                }
                self.put(&value, filled)
            }
            (None, Some(default)) => self.put(default, filled),
            (None, None) => {
                let message = format!("the variable {} isn't set", quote(name));
                let help = format!("set it, or give it a default: ${{{name}:-default}}");
                filled.wrong.push((message, Some(help)));
                Ok(())
            }
        }
    }

    fn put(&mut self, text: &str, filled: &mut Filled) -> Result<(), String> {
        self.budget.take(0, text.len())?;
        filled.text.push_str(text);
        Ok(())
    }
}

/// A text in the making.
#[derive(Default)]
struct Filled {
    text: String,
    /// The variables whose values stand in it.
    variables: Vec<String>,
    /// What is wrong with others, and the help for it.
    wrong: Vec<(String, Option<String>)>,
}
