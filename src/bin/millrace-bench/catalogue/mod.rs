//! The workloads, each as text: what is there before, what is sent, what a right answer is.

pub(crate) mod growing;
mod lists;
mod publish;
mod streams;
mod strings;
mod values;

use crate::plan::{Expect, Measure, Part, Plan};

/// How big the workloads are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale {
    pub(crate) is_quick: bool,
    /// Connections where the workload says nothing else.
    pub(crate) connections: usize,
}

impl Scale {
    /// One number for a quick run, one for a full one.
    pub(crate) fn pick(self, quick: u64, full: u64) -> u64 {
        if self.is_quick { quick } else { full }
    }
}

/// A command sent so many times before the measurement.
#[derive(Debug, Clone)]
pub(crate) struct Step {
    pub(crate) command: String,
    pub(crate) times: u64,
}

/// A workload.
#[derive(Debug, Clone)]
pub(crate) struct Workload {
    pub(crate) name: String,
    pub(crate) about: String,
    /// Part of the quick run.
    pub(crate) is_quick: bool,
    /// Once for each server.
    pub(crate) once: Vec<Step>,
    /// Before each turn.
    pub(crate) each: Vec<Step>,
    pub(crate) plan: Plan,
    /// Units that the data prepared for a turn is enough for.
    pub(crate) units_max: u64,
    /// The null server can answer it: nothing is looked into.
    pub(crate) has_floor: bool,
}

/// All workloads, in the order of the report.
pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = strings::all(scale);
    all.extend(lists::all(scale));
    all.extend(streams::all(scale));
    all.extend(values::all(scale));
    all.extend(publish::all(scale));
    all
}

pub(crate) fn step(command: impl Into<String>, times: u64) -> Step {
    Step {
        command: command.into(),
        times,
    }
}

impl Workload {
    /// Every connection sends one command, again and again.
    fn looped(scale: Scale, name: &str, command: &str, expect: Expect, about: &str) -> Self {
        let unit = vec![(command.to_owned(), expect)];
        Self::with_plan(name, Plan::looped(scale.connections, 1, unit), about)
    }

    fn with_plan(name: &str, plan: Plan, about: &str) -> Self {
        // Where replies are long there is none: `+PONG` costs a socket less than they do.
        let is_short = |(_, expect): &(String, Expect)| !matches!(expect, Expect::Values(20..));
        let has_floor = plan.parts.iter().all(
            |part| matches!(part, Part::Loop { owes: 0, unit, .. } if unit.iter().all(is_short)),
        );
        Self {
            name: name.to_owned(),
            about: about.to_owned(),
            is_quick: false,
            once: Vec::new(),
            each: Vec::new(),
            plan,
            units_max: u64::MAX,
            has_floor,
        }
    }

    fn quick(mut self) -> Self {
        self.is_quick = true;
        self
    }

    fn once(mut self, command: impl Into<String>, times: u64) -> Self {
        self.once.push(step(command, times));
        self
    }

    fn each(mut self, command: impl Into<String>, times: u64) -> Self {
        self.each.push(step(command, times));
        self
    }

    fn units_max(mut self, units: u64) -> Self {
        self.units_max = units;
        self
    }

    fn depth(mut self, wanted: usize) -> Self {
        for part in &mut self.plan.parts {
            if let Part::Loop { depth, .. } = part {
                *depth = wanted;
            }
        }
        self
    }

    fn connections(mut self, wanted: usize) -> Self {
        for part in &mut self.plan.parts {
            if let Part::Loop { connections, .. } | Part::Worker { connections, .. } = part {
                *connections = wanted;
            }
        }
        self
    }
}

/// ` P16` for a pipeline of 16, nothing for none.
fn pipeline(depth: usize) -> String {
    if depth == 1 {
        String::new()
    } else {
        format!(" P{depth}")
    }
}

/// Producers that push, consumers that wait: the time is that from one to the other.
fn hand_over(produce: &str, expect: Expect, producers: usize, takers: Part, owed: u64) -> Plan {
    let produce = Part::Loop {
        connections: producers,
        unit: vec![(produce.to_owned(), expect)],
        depth: 1,
        owes: 1,
    };
    Plan {
        parts: vec![takers, produce],
        measure: Measure::Payload,
        owed_max: owed,
        first_number: 0,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::template::Template;

    #[test]
    fn every_command_of_every_workload_is_one_and_every_name_is_its_own() {
        let mut names = BTreeSet::new();
        for is_quick in [true, false] {
            let scale = Scale {
                is_quick,
                connections: 50,
            };
            for workload in all(scale) {
                assert!(
                    names.insert((is_quick, workload.name.clone())),
                    "{}",
                    workload.name
                );
                for step in workload.once.iter().chain(&workload.each) {
                    Template::command(&step.command, 0).unwrap();
                }
                for part in &workload.plan.parts {
                    if let Part::Loop { unit, .. } = part {
                        for (command, _) in unit {
                            Template::command(command, 0).unwrap();
                        }
                    }
                }
            }
        }
        assert!(names.len() > 60);
    }
}
