//! Which local a name means.
//!
//! ```text
//! local a        a → [0]
//! do
//!   local a      a → [0, 1]     the last one counts
//! end            a → [0]
//! ```

use std::collections::HashMap;

use super::syntax::VariableId;

/// The locals that can be seen at a place of the script.
#[derive(Default)]
pub(super) struct Scope<'a> {
    visible: HashMap<&'a [u8], Vec<VariableId>>,
    /// Names in the order in which they became visible.
    order: Vec<&'a [u8]>,
    assigned: Vec<bool>,
}

impl<'a> Scope<'a> {
    /// A new variable, which nobody can name yet.
    pub(super) fn create(&mut self) -> VariableId {
        self.assigned.push(false);
        self.assigned.len() - 1
    }

    /// From here on the name means the variable.
    pub(super) fn show(&mut self, name: &'a [u8], variable: VariableId) {
        self.visible.entry(name).or_default().push(variable);
        self.order.push(name);
    }

    /// A new variable that can be named at once.
    pub(super) fn declare(&mut self, name: &'a [u8]) -> VariableId {
        let variable = self.create();
        self.show(name, variable);
        variable
    }

    /// The local that a name means here, none if it means a global.
    pub(super) fn find(&self, name: &[u8]) -> Option<VariableId> {
        self.visible.get(name)?.last().copied()
    }

    /// Notes that a statement assigns a variable.
    pub(super) fn assign(&mut self, variable: VariableId) {
        self.assigned[variable] = true;
    }

    /// Where a block begins, for [`Self::close`].
    pub(super) fn open(&self) -> usize {
        self.order.len()
    }

    /// Ends the block that began there.
    pub(super) fn close(&mut self, opened: usize) {
        for name in self.order.drain(opened..) {
            self.visible.entry(name).or_default().pop();
        }
    }

    /// By variable: whether a statement assigns it.
    pub(super) fn into_assigned(self) -> Vec<bool> {
        self.assigned
    }
}
