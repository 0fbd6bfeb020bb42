//! Publish/subscribe.

use super::{Scale, Workload, pipeline};
use crate::plan::{Expect, Measure, Part, Plan};

pub(crate) fn all(scale: Scale) -> Vec<Workload> {
    let mut all = Vec::new();
    for depth in [1, 16] {
        let name = format!("PUBLISH to 0{}", pipeline(depth));
        let row = Workload::looped(
            scale,
            &name,
            "PUBLISH channel {value:100}",
            Expect::Integer(0),
            "100 bytes, nobody listens",
        );
        all.push(row.depth(depth));
    }
    for (subscribers, publishers) in [(1, 1), (100, 1), (100, 16), (1000, 1)] {
        let listening = Part::Subscriber {
            connections: subscribers,
            command: "SUBSCRIBE channel".to_owned(),
            confirmations: 1,
        };
        let (name, about) = if publishers == 1 {
            let about =
                format!("100 bytes, {subscribers} subscribers, one publisher; until all have it");
            (format!("PUBLISH to {subscribers}"), about)
        } else {
            let about = format!(
                "100 bytes, {subscribers} subscribers, {publishers} publishers; to the reply"
            );
            (
                format!("PUBLISH to {subscribers} from {publishers} (to its reply)"),
                about,
            )
        };
        let plan = fan_out(listening, subscribers as u64, publishers);
        let row = Workload::with_plan(&name, plan, &about);
        all.push(if subscribers == 100 { row.quick() } else { row });
    }
    let patterns: Vec<String> = (0..999).map(|number| format!("other.{number}.*")).collect();
    let listening = Part::Subscriber {
        connections: 1,
        command: format!("PSUBSCRIBE chan* {}", patterns.join(" ")),
        confirmations: 1000,
    };
    all.push(Workload::with_plan(
        "PUBLISH with 1000 patterns",
        fan_out(listening, 1, 1),
        "100 bytes, one subscriber with 1000 patterns, one of which matches",
    ));
    all
}

/// So many publishers that wait for their own reply; with one, also for all deliveries.
fn fan_out(listening: Part, subscribers: u64, publishers: usize) -> Plan {
    let expect = Expect::Integer(i64::try_from(subscribers).unwrap_or(0));
    Plan {
        parts: vec![
            listening,
            Part::Loop {
                connections: publishers,
                unit: vec![("PUBLISH channel {value:100}".to_owned(), expect)],
                depth: 1,
                owes: subscribers,
            },
        ],
        measure: if publishers == 1 {
            Measure::FanOut
        } else {
            Measure::Reply
        },
        owed_max: subscribers * publishers as u64,
        first_number: 0,
    }
}
