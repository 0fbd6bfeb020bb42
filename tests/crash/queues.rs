//! The laws of the lists that all writers push to and pop from: an element whose push was acknowledged and that nobody popped is
//! there once; one whose pop was acknowledged is gone for ever; what was not acknowledged may have happened, once.

use std::collections::{BTreeMap, BTreeSet};

use super::generate::QUEUES;
use super::history::Sent;
use super::model::{Value, Words};
use super::observe::Observed;
use super::support::Frame;

/// How many complaints are worth reading.
const COMPLAINTS_MAX: usize = 8;

/// What is known of the elements.
#[derive(Debug, Default)]
pub(crate) struct Queues {
    present: BTreeSet<String>,
    gone: BTreeSet<String>,
}

/// What a round did.
#[derive(Default)]
struct Round {
    pushed: BTreeSet<String>,
    perhaps_pushed: BTreeSet<String>,
    popped: BTreeMap<String, usize>,
    /// Pops without a reply: each may have taken one element.
    perhaps_popped: usize,
}

fn is_queue(word: &str) -> bool {
    word.starts_with("shared:q")
}

impl Round {
    fn note(&mut self, words: &Words, reply: Option<&Frame>) {
        if !words.get(1).is_some_and(|word| is_queue(word)) {
            return;
        }
        match words[0].as_str() {
            "LPUSH" | "RPUSH" => {
                let element = words[2].clone();
                match reply {
                    Some(_) => self.pushed.insert(element),
                    None => self.perhaps_pushed.insert(element),
                };
            }
            "LPOP" | "RPOP" | "BLPOP" => match reply {
                None => self.perhaps_popped += 1,
                Some(reply) => {
                    let element = reply.items().last().unwrap_or(reply);
                    if !element.is_null() {
                        *self.popped.entry(element.text()).or_default() += 1;
                    }
                }
            },
            _ => {}
        }
    }
}

/// The elements of all lists, with how often each is there.
fn elements(observed: &Observed) -> BTreeMap<String, usize> {
    let mut elements = BTreeMap::new();
    for queue in 0..QUEUES {
        let item = observed[&0].get(&format!("shared:q{queue}"));
        if let Some(Value::List(list)) = item.map(|item| &item.value) {
            for element in list {
                *elements.entry(element.clone()).or_default() += 1;
            }
        }
    }
    elements
}

impl Queues {
    /// Compares with what is there. `is_whole`: everything acknowledged must have survived.
    pub(crate) fn check<'a>(
        &mut self,
        sent: impl Iterator<Item = &'a Sent>,
        observed: &Observed,
        is_whole: bool,
    ) -> Vec<String> {
        let mut round = Round::default();
        for sent in sent.filter(|sent| !sent.is_refused()) {
            sent.commands()
                .for_each(|(words, reply)| round.note(words, reply));
        }
        let elements = elements(observed);
        let mut complaints = Vec::new();
        for (element, count) in &round.popped {
            if *count > 1 {
                complaints.push(format!("{element} was popped {count} times"));
            }
        }
        for (element, count) in &elements {
            let is_known = self.present.contains(element)
                || round.pushed.contains(element)
                || round.perhaps_pushed.contains(element);
            if *count > 1 {
                complaints.push(format!(
                    "{element} is there {count} times, not twice as pushed once"
                ));
            } else if is_whole && round.popped.contains_key(element) {
                complaints.push(format!(
                    "{element} is there again, its pop was acknowledged"
                ));
            } else if !is_known && (is_whole || !self.gone.contains(element)) {
                complaints.push(format!("{element} is there and nobody should have it"));
            }
        }
        if is_whole {
            let missing: Vec<&String> = self
                .present
                .iter()
                .chain(&round.pushed)
                .filter(|element| !round.popped.contains_key(*element))
                .filter(|element| !elements.contains_key(*element))
                .collect();
            if missing.len() > round.perhaps_popped {
                complaints.push(format!(
                    "{} acknowledged elements are lost, {} pops had no reply: {:?}",
                    missing.len(),
                    round.perhaps_popped,
                    missing.iter().take(COMPLAINTS_MAX).collect::<Vec<_>>()
                ));
            }
        }
        let known = std::mem::take(&mut self.present)
            .into_iter()
            .chain(round.pushed)
            .chain(round.perhaps_pushed);
        self.gone.extend(known);
        self.present = elements.into_keys().collect();
        self.gone.retain(|element| !self.present.contains(element));
        complaints.truncate(COMPLAINTS_MAX);
        complaints
    }
}
