//! Attacks: what was tried against the server to bring it down, make it grow, or keep others from being served. Each case drives
//! redis-server and ours (with 1 and 4 shards) in the same run, and ours is judged by what redis-server does with the same.
//!
//! - `attacks/field.rs`: the runs, their figures and the verdict.
//! - `attacks/innocent.rs`: the client beside the attack whose latencies are measured.
//! - `attacks/flood.rs`: connections whose sockets are always full. `attacks/stop.rs`: stopping under those.
//!
//! Here the cases are short, and what load on the machine could change is not judged: how long something took. At full size,
//! with a table, they are run by scripts/attacks.sh.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "attacks/field.rs"]
mod field;
#[path = "attacks/flood.rs"]
mod flood;
#[path = "attacks/innocent.rs"]
mod innocent;
#[path = "attacks/stop.rs"]
mod stop;
mod support;

#[test]
fn a_flood_costs_others_no_more_than_under_the_oracle() {
    field::run(flood::cases(field::Plan::from_environment().full));
}

#[test]
fn under_a_flood_the_server_stops_at_once_and_in_order() {
    stop::run();
}
