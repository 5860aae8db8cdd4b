//! Which of nimbus's addresses is tried next. Pure.

use squall_proto::Address;

/// The addresses in turn, and where the leader is said to be.
#[derive(Clone, Debug)]
pub(super) struct Rotation {
    addresses: Vec<Address>,
    at: usize,
    hint: Option<Address>,
}

impl Rotation {
    /// Begins with the first.
    pub(super) const fn new(addresses: Vec<Address>) -> Self {
        Self {
            addresses,
            at: 0,
            hint: None,
        }
    }

    /// Returns the address that is to be called; `None` if there is none at all.
    pub(super) fn current(&self) -> Option<&Address> {
        self.hint
            .as_ref()
            .or_else(|| self.addresses.get(self.at % self.addresses.len().max(1)))
    }

    /// Moves on, to the `leader` if the one who was called has named it. One that is named and isn't there
    /// costs one try.
    pub(super) fn move_on(&mut self, leader: Option<Address>) {
        if self.hint.take().is_none() {
            self.at = self.at.wrapping_add(1);
        }
        self.hint = leader;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: u16) -> Address {
        Address::new("nimbus", port).unwrap()
    }

    #[test]
    fn each_has_its_turn_and_a_hint_goes_before() {
        let mut rotation = Rotation::new(vec![address(1), address(2), address(3)]);
        let mut called = Vec::new();
        for hint in [None, Some(9), None, Some(2), Some(8), None, None] {
            called.push(rotation.current().unwrap().port());
            rotation.move_on(hint.map(address));
        }
        assert_eq!(called, [1, 2, 9, 3, 2, 8, 1]);
        assert_eq!(Rotation::new(Vec::new()).current(), None);
    }
}
