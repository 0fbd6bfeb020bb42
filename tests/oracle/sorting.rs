//! The generator's SORT and SORT_RO.

use super::*;

impl Generator {
    pub(super) fn sorting(&mut self) -> Words {
        let keys = if self.random.percent(50) {
            LIST_KEYS
        } else {
            SET_KEYS
        };
        let key = self.key_of(keys);
        let name = if self.random.percent(70) {
            "SORT"
        } else {
            "SORT_RO"
        };
        let mut options = Vec::new();
        // As numbers they are compared by tests of their own: Redis takes an error number that an earlier command left behind
        // for one of SORT.
        options.push(words![self.random.pick(&["ALPHA", "alpha"])]);
        if self.random.percent(30) {
            options.push(words![self.random.pick(&["ASC", "DESC"])]);
        }
        if self.random.percent(30) {
            options.push(words!["LIMIT", self.small_number(), self.small_number()]);
        }
        // What is equal by a pattern has no order that two servers agree on, so the patterns name keys that do not meet.
        if self.random.percent(15) {
            options.push(words!["BY", self.random.pick(&["nosort", "s1"])]);
        }
        for _ in 0..self.random.below(3) {
            let pattern = self.random.pick(&[
                "#", "s*", "n*", "x*->f", "h*->n", "h*->f1", "none", "*", "l*->",
            ]);
            options.push(words!["GET", pattern]);
        }
        if name == "SORT" && self.random.percent(30) {
            options.push(words!["STORE", self.key_of(LIST_KEYS)]);
        }
        self.with_options(words![name, key], options)
    }
}
