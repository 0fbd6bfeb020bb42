//! Attacks: what was tried against the server to bring it down, make it grow, or keep others from being served. Each case drives
//! redis-server and ours (with 1 and 4 shards) in the same run, and ours is judged by what redis-server does with the same.
//!
//! - `attacks/field.rs`: the runs, their figures and the verdict.
//! - `attacks/innocent.rs`: the client beside the attack whose latencies are measured.
//! - `attacks/flood.rs`: connections whose sockets are always full. `attacks/stop.rs`: stopping under those.
//! - `attacks/connections.rs`, `tables.rs`, `values.rs`, `messages.rs`: the other cases; `attacks/driver.rs`: what they share.
//!
//! Here the cases are short, and what load on the machine could change is not judged: how long something took. At full size,
//! with a table, they are run by scripts/attacks.sh.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[path = "attacks/connections.rs"]
mod connections;
#[path = "attacks/driver.rs"]
mod driver;
#[path = "attacks/field.rs"]
mod field;
#[path = "attacks/flood.rs"]
mod flood;
#[path = "attacks/innocent.rs"]
mod innocent;
#[path = "attacks/messages.rs"]
mod messages;
#[path = "attacks/stop.rs"]
mod stop;
mod support;
#[path = "attacks/tables.rs"]
mod tables;
#[path = "attacks/values.rs"]
mod values;

#[test]
fn a_flood_costs_others_no_more_than_under_the_oracle() {
    field::run(flood::cases(field::Plan::from_environment().full));
}

#[test]
fn under_a_flood_the_server_stops_at_once_and_in_order() {
    stop::run();
}

#[test]
fn connections_of_every_kind_cost_no_more_than_under_the_oracle() {
    field::run(connections::cases());
}

#[test]
fn tables_beside_the_keys_take_no_more_than_the_oracles_and_are_given_back() {
    field::run(tables::cases());
}

#[test]
fn long_and_many_values_cost_no_more_than_under_the_oracle() {
    field::run(values::cases());
}

#[test]
fn messages_and_walks_cost_no_more_than_under_the_oracle() {
    field::run(messages::cases());
}
