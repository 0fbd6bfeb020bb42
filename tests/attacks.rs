//! Attacks: what was tried against the server to bring it down, make it grow, or keep others from being served. Each case drives
//! redis-server and ours (with 1 and 4 shards) in the same run, and ours is judged by what redis-server does with the same.
//!
//! - `attacks/field.rs`: the runs, their figures and the verdict.
//! - `attacks/innocent.rs`: the client beside the attack whose latencies are measured.
//! - `attacks/flood.rs`: connections whose sockets are always full. `attacks/stop.rs`: stopping under those.
//! - `attacks/connections.rs`, `tables.rs`, `values.rs`, `messages.rs`, `users.rs`: the other cases; `attacks/driver.rs`: what they
//!   share.
//! - `attacks/way.rs`: the same over TLS and as a user with few rights, by a tunnel (`attacks/tunnel.rs`).
//!
//! Here the cases are short, and what load on the machine could change is not judged: how long something took. At full size,
//! with a table, they are run by scripts/attacks.sh.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

#[allow(dead_code, reason = "the tests of TLS use the rest")]
#[path = "tls/authority.rs"]
mod authority;
#[allow(dead_code, reason = "the tests of TLS use the rest")]
#[path = "tls/client.rs"]
mod client;
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
#[path = "attacks/tunnel.rs"]
mod tunnel;
#[path = "attacks/users.rs"]
mod users;
#[path = "attacks/values.rs"]
mod values;
#[path = "attacks/way.rs"]
mod way;

use way::Way;

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

#[test]
fn users_and_their_rules_cost_no_more_than_under_the_oracle() {
    field::run(users::cases());
}

#[test]
fn over_tls_attacks_cost_no_more_than_under_the_oracle() {
    let names = [
        "half requests on many connections",
        "long values declared",
        "garbage",
        "replies of 100 KB unread",
        "strangers: replies unread",
        "strangers: long requests",
        "connections torn down",
    ];
    field::run_again(Way::Tls, &names, connections::cases());
    let names = [
        "flood: many keys, 1 connections",
        "flood: replies unread, 20 connections",
    ];
    field::run_again(Way::Tls, &names, flood::cases(false));
}

#[test]
fn as_a_user_with_few_rights_attacks_cost_no_more_than_under_the_oracle() {
    let names = [
        "flood: many keys, 1 connections",
        "flood: MULTI, 20 connections",
    ];
    field::run_again(Way::User, &names, flood::cases(false));
    let names = [
        "SUBSCRIBE to very many channels",
        "BLPOP of very many keys by many",
        "SUBSCRIBE, WATCH and BLPOP of very many names",
    ];
    field::run_again(Way::User, &names, tables::cases());
    let names = ["PUBLISH, readers stalled for a while"];
    field::run_again(Way::User, &names, messages::cases());
}
