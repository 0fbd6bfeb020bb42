//! What is published and what others have sent before: the order that a server with one thread has, also between threads, and that
//! nobody can hold it up.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::AtEnd;
use crate::support::{Client, Server, for_each_shard_count};

#[test]
fn a_message_reaches_who_sent_its_subscription_before_also_on_a_thread_that_has_not_read_it() {
    for_each_shard_count(|server| {
        let mut sleeper = server.connect();
        let ready = |mut client: Client| {
            assert_eq!(client.run("PING").to_string(), "+PONG");
            client
        };
        let mut subscribers: Vec<_> = (0..12).map(|_| ready(server.connect())).collect();
        let mut publishers: Vec<_> = (0..6).map(|_| ready(server.connect())).collect();
        let pairs = publishers.len() * 2;
        for at in 0..pairs {
            let publisher = &mut publishers[at / 2];
            // Its thread does nothing else meanwhile, as if it had no core.
            sleeper.send_line("DEBUG SLEEP 0.03");
            for subscriber in &mut subscribers {
                // The first keeps its client until all that was published before is delivered.
                let before = at.wrapping_sub(1);
                subscriber
                    .send_raw(format!("UNSUBSCRIBE c{before}\r\nSUBSCRIBE c{at}\r\n").as_bytes());
            }
            let receivers = if at % 2 == 0 {
                publisher.run(&format!("PUBLISH c{at} m"))
            } else {
                let lines = ["MULTI", "SET k v", &format!("PUBLISH c{at} m"), "EXEC"];
                publisher.pipeline(&lines)[3].items()[1].clone()
            };
            assert_eq!(receivers.to_string(), ":12", "message {at}");
            assert_eq!(sleeper.reply().to_string(), "+OK");
        }
    });
}

#[test]
fn a_message_reaches_the_only_listener_of_a_thread_also_behind_more_than_one_turn() {
    for_each_shard_count(|server| {
        // Who works with data is no listener.
        let with_data = || {
            let mut client = server.connect();
            client.run("GET k");
            client
        };
        let mut sleeper = with_data();
        let mut publishers: Vec<_> = (0..4).map(|_| with_data()).collect();
        for at in 0..8 {
            let mut subscriber = server.connect();
            subscriber.run("PING");
            sleeper.send_line("DEBUG SLEEP 0.03");
            let names = (0..150).map(|number| format!("SUBSCRIBE c{at}-{number}\r\n"));
            subscriber.send_raw(names.collect::<String>().as_bytes());
            let publisher = &mut publishers[at % 4];
            let receivers = publisher.run(&format!("PUBLISH c{at}-149 m"));
            assert_eq!(receivers.to_string(), ":1", "message {at}");
            assert_eq!(sleeper.reply().to_string(), "+OK");
        }
    });
}

/// So many messages from several threads, which each take far less than a thread that is waited for in vain.
fn publish_soon(server: &Server) {
    let mut publishers: Vec<_> = (0..4).map(|_| server.connect()).collect();
    let started = Instant::now();
    for at in 0..100 {
        for publisher in &mut publishers {
            let receivers = publisher.run(&format!("PUBLISH c{at} m"));
            assert_eq!(receivers.to_string(), ":0");
        }
    }
    let elapsed = started.elapsed();
    assert!(elapsed < Duration::from_secs(40), "{elapsed:?}");
}

#[test]
fn who_sends_without_end_holds_up_no_message_of_others() {
    for_each_shard_count(|server| {
        let ends = AtomicBool::new(false);
        thread::scope(|scope| {
            let _end = AtEnd(|| ends.store(true, Ordering::Relaxed));
            for reads in [true, true, true, false] {
                let client = server.connect();
                let ends = &ends;
                scope.spawn(move || {
                    let mut stream = client.stream();
                    // To see the end.
                    let patience = Some(Duration::from_millis(100));
                    stream.set_write_timeout(patience).unwrap();
                    stream.set_read_timeout(patience).unwrap();
                    let pings = "PING\r\n".repeat(2000);
                    let mut replies = [0; 100_000];
                    while !ends.load(Ordering::Relaxed) {
                        let _ = stream.write(pings.as_bytes());
                        if reads {
                            let _ = stream.read(&mut replies);
                        }
                    }
                });
            }
            publish_soon(server);
        });
    });
}

#[test]
fn who_has_ended_its_side_and_reads_nothing_holds_up_no_message_of_others() {
    for_each_shard_count(|server| {
        let half_closed: Vec<_> = (0..8).map(|_| server.connect()).collect();
        let much = format!("ECHO {}\r\n", "x".repeat(10_000)).repeat(1000);
        for client in &half_closed {
            let mut stream = client.stream();
            let patience = Some(Duration::from_millis(100));
            stream.set_write_timeout(patience).unwrap();
            // What there is room for: its replies find none.
            let _ = stream.write(much.as_bytes());
            stream.shutdown(Shutdown::Write).unwrap();
        }
        publish_soon(server);
    });
}

#[test]
fn a_thread_that_is_stuck_holds_up_no_more_than_the_first_message_of_others() {
    for_each_shard_count(|server| {
        let mut sleeper = server.connect();
        let mut others: Vec<_> = (0..12).map(|_| server.connect()).collect();
        for other in &mut others {
            other.run("PING");
        }
        sleeper.send_line("DEBUG SLEEP 2");
        for other in &mut others {
            other.send_line("PING");
        }
        publish_soon(server);
        assert_eq!(sleeper.reply().to_string(), "+OK");
    });
}
