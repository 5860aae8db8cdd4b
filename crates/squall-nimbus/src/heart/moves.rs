//! The states of a topology and what may be asked of it in each: one table.

use squall_proto::TopologyState;

/// What an operator may ask of a topology.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Command {
    /// Have its spouts asked for tuples.
    Activate,
    /// Have them not asked.
    Deactivate,
    /// Drain and spread anew.
    Rebalance,
    /// Drain and end.
    Kill,
}

impl Command {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::Activate,
        Self::Deactivate,
        Self::Rebalance,
        Self::Kill,
    ];

    /// Returns the verb, as in a refusal.
    #[must_use]
    pub const fn verb(self) -> &'static str {
        match self {
            Self::Activate => "activate",
            Self::Deactivate => "deactivate",
            Self::Rebalance => "rebalance",
            Self::Kill => "kill",
        }
    }
}

/// Returns the state that a command leads to; `None` where it isn't legal.
///
/// What is so already may be asked for again. A kill may follow a kill: the shorter wait counts. A rebalance
/// ends by itself in the state that it began in; a killed topology ends by being forgotten.
#[must_use]
pub const fn next_state(state: TopologyState, command: Command) -> Option<TopologyState> {
    use Command::{Activate, Deactivate, Kill, Rebalance};
    use TopologyState::{Active, Inactive, Killed, Rebalancing};
    match (state, command) {
        (Active | Inactive, Activate) => Some(Active),
        (Active | Inactive, Deactivate) => Some(Inactive),
        (Active | Inactive, Rebalance) => Some(Rebalancing),
        (Active | Inactive | Rebalancing | Killed, Kill) => Some(Killed),
        (Rebalancing | Killed, Activate | Deactivate | Rebalance) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_complete_and_stays_as_it_is() {
        use TopologyState::{Active, Inactive, Killed, Rebalancing};
        // Activate, deactivate, rebalance, kill.
        let table = [
            (
                Active,
                [
                    Some(Active),
                    Some(Inactive),
                    Some(Rebalancing),
                    Some(Killed),
                ],
            ),
            (
                Inactive,
                [
                    Some(Active),
                    Some(Inactive),
                    Some(Rebalancing),
                    Some(Killed),
                ],
            ),
            (Rebalancing, [None, None, None, Some(Killed)]),
            (Killed, [None, None, None, Some(Killed)]),
        ];
        for (state, expected) in table {
            assert_eq!(
                Command::ALL.map(|command| next_state(state, command)),
                expected,
                "{state}"
            );
        }
    }
}
