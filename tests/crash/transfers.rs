//! The law of the accounts: each transaction takes from one what it gives to another and writes that down in its writer's list,
//! keys of three shards. So the sum is nothing, and each account has what the lists say: whatever was lost, no half of it.

use std::collections::BTreeMap;

use super::generate::ACCOUNTS;
use super::model::Value;
use super::observe::Observed;

/// Compares the accounts of a round with the lists of its writers.
pub(crate) fn check(round: u64, observed: &Observed) -> Vec<String> {
    let keys = &observed[&0];
    let mut balances: BTreeMap<usize, i64> = (0..ACCOUNTS).map(|account| (account, 0)).collect();
    let end = format!(":log{round}");
    for (key, item) in keys.iter().filter(|(key, _)| key.ends_with(&end)) {
        let Value::List(lines) = &item.value else {
            return vec![format!("{key} is no list")];
        };
        for line in lines {
            let numbers: Vec<i64> = line
                .split('/')
                .filter_map(|part| part.parse().ok())
                .collect();
            let [from, to, amount, _] = numbers[..] else {
                return vec![format!("{key} has {line}")];
            };
            *balances.entry(usize::try_from(from).unwrap()).or_default() -= amount;
            *balances.entry(usize::try_from(to).unwrap()).or_default() += amount;
        }
    }
    let mut complaints = Vec::new();
    let mut sum = 0;
    for (account, expected) in balances {
        let key = format!("shared:bank{round}:{account}");
        let there = match keys.get(&key).map(|item| &item.value) {
            None => 0,
            Some(Value::Hash(fields)) => fields["balance"].parse::<i64>().unwrap(),
            Some(_) => return vec![format!("{key} is no hash")],
        };
        sum += there;
        if there != expected {
            complaints.push(format!(
                "{key} has {there}, the lists say {expected}: a transaction by half"
            ));
        }
    }
    if sum != 0 {
        complaints.push(format!(
            "round {round}: the sum of the accounts is {sum}: a transaction by half"
        ));
    }
    complaints
}
