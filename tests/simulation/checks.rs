//! What a run of the simulation is checked for: what the witness saw against the model, and what clients received.

use super::model::Waiting;
use super::*;

pub(crate) fn show(seen: &Seen) -> String {
    let words: Vec<_> = seen
        .words
        .iter()
        .map(|word| String::from_utf8_lossy(word))
        .collect();
    format!(
        "client {} {:?} {words:?} -> {:?}",
        seen.client,
        seen.execution,
        String::from_utf8_lossy(&seen.reply)
    )
}

/// Runs the model over what the witness saw; gives the replies each client must have received, in order.
pub(crate) fn check_against_model(seen: &[Seen]) -> (Model, HashMap<u64, Vec<Vec<u8>>>) {
    let mut model = Model::default();
    let mut replies: HashMap<u64, Vec<Vec<u8>>> = HashMap::new();
    let mut exec: Option<(u64, Vec<u8>, usize)> = None;
    let mut due: VecDeque<(u64, Vec<u8>)> = VecDeque::new();
    let mut gone = HashSet::new();
    for (index, seen) in seen.iter().enumerate() {
        let at = || format!("execution {index}: {}", show(seen));
        if let Some((client, _, _)) = &exec {
            assert_eq!(
                *client,
                seen.client,
                "something ran inside an EXEC: {}",
                at()
            );
        }
        // Who serves may meet one on the way whose connection is gone.
        let passed_over = seen.execution == Execution::Cancelled && gone.contains(&seen.client);
        if seen.execution != Execution::Served && !passed_over {
            assert!(
                due.is_empty(),
                "not served though due: {due:?} before {}",
                at()
            );
        }
        let mut serve = false;
        match seen.execution {
            Execution::Command if seen.words[0] == GONE.as_bytes() => {
                model.subscribed.remove(&seen.client);
                // Nobody is served whose connection is gone, even if its command is still under way.
                model
                    .waiting
                    .retain(|waiting| waiting.client != seen.client);
                gone.insert(seen.client);
            }
            Execution::Command if matches!(&seen.words[0][..], b"SUBSCRIBE" | b"UNSUBSCRIBE") => {
                let names = model.subscribed.entry(seen.client).or_default();
                if seen.words[0] == b"SUBSCRIBE" {
                    names.insert(seen.words[1].clone());
                } else {
                    names.remove(&seen.words[1]);
                }
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(seen.reply.clone());
            }
            Execution::Command => {
                let reply = model
                    .run(seen.client, &seen.words)
                    .unwrap_or_else(|| panic!("the model waits: {}", at()));
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                replies.entry(seen.client).or_default().push(reply);
                serve = true;
            }
            Execution::Waits => {
                assert_eq!(
                    model.run(seen.client, &seen.words),
                    None,
                    "the model does not wait: {}",
                    at()
                );
                if gone.contains(&seen.client) {
                    continue;
                }
                model.waiting.push(Waiting {
                    client: seen.client,
                    words: seen.words.clone(),
                });
                serve = true;
            }
            Execution::Served => {
                let (client, reply) = due
                    .pop_front()
                    .unwrap_or_else(|| panic!("served though not due: {}", at()));
                assert_eq!(client, seen.client, "served out of order: {}", at());
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                replies.entry(client).or_default().push(reply);
            }
            Execution::Cancelled if gone.contains(&seen.client) => {}
            Execution::Cancelled => {
                let position = model
                    .waiting
                    .iter()
                    .position(|waiting| waiting.client == seen.client);
                model.waiting.remove(
                    position.unwrap_or_else(|| panic!("cancelled but not waiting: {}", at())),
                );
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(b"*-1\r\n".to_vec());
            }
            Execution::ExecBegins => {
                assert!(
                    !model.dirty.contains(&seen.client),
                    "a watched key had changed: {}",
                    at()
                );
                model.unwatch(seen.client);
                exec = Some((seen.client, Vec::new(), 0));
            }
            Execution::InExec => {
                let reply = model
                    .run(seen.client, &seen.words)
                    .unwrap_or_else(|| Model::null_in_multi(&seen.words));
                assert_eq!(
                    String::from_utf8_lossy(&reply),
                    String::from_utf8_lossy(&seen.reply),
                    "{}",
                    at()
                );
                let (_, bytes, count) = exec.as_mut().expect("begun");
                bytes.extend(reply);
                *count += 1;
            }
            Execution::ExecEnds => {
                let (client, bytes, count) = exec.take().expect("begun");
                replies
                    .entry(client)
                    .or_default()
                    .push([format!("*{count}\r\n").into_bytes(), bytes].concat());
                serve = true;
            }
            Execution::ExecRefused => {
                assert!(
                    model.dirty.contains(&seen.client),
                    "no watched key had changed: {}",
                    at()
                );
                model.unwatch(seen.client);
                replies
                    .entry(seen.client)
                    .or_default()
                    .push(b"*-1\r\n".to_vec());
            }
        }
        if serve {
            due.extend(model.serve());
        }
    }
    assert!(due.is_empty(), "not served at the end: {due:?}");
    (model, replies)
}

/// The commands of a client took effect in the order it sent them.
pub(crate) fn check_program_order(player: &Player, all: &[Seen]) {
    let seen = all;
    let mut queue: VecDeque<&Vec<Vec<u8>>> = VecDeque::new();
    let mut sent = player.sent.iter();
    let mut next = |queue: &mut VecDeque<_>| queue.pop_front().or_else(|| sent.next());
    let mut ran = seen.iter().filter(|seen| {
        seen.client == player.id.0
            && !matches!(
                seen.execution,
                Execution::Served | Execution::Cancelled | Execution::ExecEnds
            )
            && seen
                .words
                .first()
                .is_none_or(|word| word != GONE.as_bytes())
    });
    let mut in_multi = false;
    let mut queued = Vec::new();
    while let Some(words) = next(&mut queue) {
        if in_multi && !matches!(&words[0][..], b"EXEC" | b"DISCARD" | b"MULTI" | b"WATCH") {
            queued.push(words);
            continue;
        }
        let Some(seen) = ran.next() else { return };
        match &words[0][..] {
            b"EXEC" => {
                in_multi = false;
                if seen.execution == Execution::ExecRefused {
                    queued.clear();
                    continue;
                }
                assert_eq!(
                    seen.execution,
                    Execution::ExecBegins,
                    "client {} {}",
                    player.id.0,
                    show(seen)
                );
                for words in queued.drain(..) {
                    let seen = ran.next().expect("an EXEC is whole");
                    assert_eq!(
                        (&seen.words, seen.execution),
                        (words, Execution::InExec),
                        "client {}",
                        player.id.0
                    );
                }
            }
            name => {
                assert_eq!(
                    &seen.words,
                    words,
                    "client {} out of order: {}",
                    player.id.0,
                    history(player, all)
                );
                match name {
                    b"MULTI" => in_multi = true,
                    b"DISCARD" => {
                        in_multi = false;
                        queued.clear();
                    }
                    _ => {}
                }
            }
        }
    }
    assert!(
        ran.next().is_none(),
        "client {} ran what it did not send",
        player.id.0
    );
}

pub(crate) fn history(player: &Player, all: &[Seen]) -> String {
    let words = |words: &Vec<Vec<u8>>| {
        words
            .iter()
            .map(|word| String::from_utf8_lossy(word).into_owned() + " ")
            .collect::<String>()
    };
    let sent: String = player.sent.iter().map(|sent| words(sent) + "\n").collect();
    let ran: String = all
        .iter()
        .filter(|seen| seen.client == player.id.0)
        .map(|seen| show(seen) + "\n")
        .collect();
    format!("\nsent:\n{sent}\nran:\n{ran}")
}

/// What a client received is its replies, in order, with its +QUEUED between them.
pub(crate) fn check_received(player: &Player, replies: &[Vec<u8>]) {
    let received: Vec<u8> = without(&player.received, b"+QUEUED\r\n");
    let expected: Vec<u8> = replies.concat();
    if player.alive {
        assert_eq!(
            String::from_utf8_lossy(&received),
            String::from_utf8_lossy(&expected),
            "client {}",
            player.id.0
        );
    } else {
        assert!(
            expected.starts_with(&received),
            "client {} (gone)",
            player.id.0
        );
    }
}

pub(crate) fn without(bytes: &[u8], what: &[u8]) -> Vec<u8> {
    let mut rest = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at..].starts_with(what) {
            at += what.len();
        } else {
            rest.push(bytes[at]);
            at += 1;
        }
    }
    rest
}

/// The messages a subscriber received, in order.
pub(crate) fn messages(received: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(received);
    let mut found = Vec::new();
    let mut rest = &*text;
    while let Some(at) = rest.find("$7\r\nmessage\r\n") {
        rest = &rest[at + 13..];
        // $3 chN $n payload
        let mut lines = rest.split("\r\n");
        let payload = lines.nth(3).unwrap_or_default();
        found.push(payload.as_bytes().to_vec());
    }
    found
}

/// Whether a list is another one of which some items are missing.
pub(crate) fn is_subsequence(part: &[Vec<u8>], whole: &[Vec<u8>]) -> bool {
    let mut whole = whole.iter();
    part.iter().all(|item| whole.any(|other| other == item))
}
