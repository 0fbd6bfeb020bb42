//! redis-rs, blocking and on tokio, over RESP2 and RESP3, as its users write it: typed commands, pipelines, transactions,
//! blocking pops, publish/subscribe, streams and groups; each as a user who may do everything and as one who may not.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::streams::{
    StreamAutoClaimOptions, StreamAutoClaimReply, StreamInfoGroupsReply, StreamMaxlen,
    StreamPendingCountReply, StreamRangeReply, StreamReadOptions, StreamReadReply,
};
use redis::{AsyncCommands as _, Commands as _, Direction, RedisResult};
use support::{Server, for_each_shard_count};

const PATIENCE: Duration = Duration::from_secs(20);

/// A user with few rights: keys and channels with names that begin with a small letter, the patterns to subscribe to, and what
/// moves data.
const LIMITED: &str = "ACL SETUSER limited on >a-long-password ~[a-z]* &[a-z]* &news.* &p*n +@read +@write +@blocking \
     +@pubsub +@transaction +@connection -@dangerous +config|get";

fn client(server: &Server, login: &str, protocol: &str) -> redis::Client {
    let address = server.address();
    redis::Client::open(format!("redis://{login}{address}/?protocol={protocol}")).unwrap()
}

/// Runs a test with each shard count, each protocol version and both users, on an empty keyspace.
fn for_each_protocol(test: impl Fn(&Server, &redis::Client)) {
    for_each_shard_count(|server| {
        let mut control = server.connect();
        control.run(LIMITED);
        for protocol in ["resp2", "resp3"] {
            for login in ["", "limited:a-long-password@"] {
                control.run("FLUSHALL");
                test(server, &client(server, login, protocol));
            }
        }
    });
}

#[test]
fn what_a_user_may_not_is_an_error_of_its_own() {
    for_each_shard_count(|server| {
        server.connect().run(LIMITED);
        for protocol in ["resp2", "resp3"] {
            let limited = client(server, "limited:a-long-password@", protocol);
            let mut r = limited.get_connection().unwrap();
            let told = [
                r.get::<_, Option<String>>("OTHERS").unwrap_err(),
                r.publish::<_, _, usize>("OTHERS", "x").unwrap_err(),
                redis::cmd("FLUSHALL").exec(&mut r).unwrap_err(),
            ];
            for error in told {
                assert_eq!(error.code(), Some("NOPERM"), "{error}");
            }
            let mut both = redis::pipe();
            both.atomic().set("mine", 1).set("OTHERS", 1);
            assert!(both.exec(&mut r).is_err());
            assert!(!r.exists::<_, bool>("mine").unwrap());
            let wrong = client(server, "limited:wrong@", protocol);
            let error = wrong.get_connection().err().expect("it is not let in");
            // By the protocol: AUTH has a kind of its own, HELLO hands the server's word on.
            let is_password = error.kind() == redis::ErrorKind::AuthenticationFailed
                || error.code() == Some("WRONGPASS");
            assert!(is_password, "{error}");
        }
    });
}

/// Runs a test on a single-threaded runtime; a test that hangs fails.
fn block_on<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::time::timeout(PATIENCE * 2, test)
            .await
            .expect("the test does not end")
    })
}

/// Waits until so many clients are blocked.
fn wait_for_blocked(server: &Server, count: u32) {
    let mut control = server.connect();
    let wanted = format!("blocked_clients:{count}\r\n");
    let deadline = std::time::Instant::now() + PATIENCE;
    while !control.run("INFO clients").text().contains(&wanted) {
        assert!(
            std::time::Instant::now() < deadline,
            "never {count} blocked clients"
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn ids(reply: &StreamReadReply, stream: &str) -> Vec<String> {
    let entries = reply
        .keys
        .iter()
        .filter(|key| key.key == stream)
        .flat_map(|key| &key.ids);
    entries.map(|entry| entry.id.clone()).collect()
}

#[test]
fn typed_commands_on_strings_and_lists() {
    for_each_protocol(|_, client| {
        let mut r = client.get_connection().unwrap();
        let _: () = r.set("n", 41).unwrap();
        assert_eq!(r.incr::<_, _, i64>("n", 1).unwrap(), 42);
        assert_eq!(r.get::<_, Option<String>>("none").unwrap(), None);
        let _: () = r.mset(&[("a", "1"), ("b", "2")]).unwrap();
        assert_eq!(
            r.mget::<_, Vec<Option<i32>>>(&["a", "none", "b"]).unwrap(),
            [Some(1), None, Some(2)]
        );
        assert!(r.expire::<_, bool>("a", 100).unwrap());
        assert!(r.ttl::<_, i64>("a").unwrap() > 90);
        assert_eq!(r.rpush::<_, _, usize>("l", &["x", "y", "z"]).unwrap(), 3);
        assert_eq!(
            r.lrange::<_, Vec<String>>("l", 0, -1).unwrap(),
            ["x", "y", "z"]
        );
        assert_eq!(
            r.rpop::<_, Vec<String>>("l", NonZeroUsize::new(2)).unwrap(),
            ["z", "y"]
        );
        assert_eq!(
            r.lmove::<_, _, String>("l", "m", Direction::Left, Direction::Right)
                .unwrap(),
            "x"
        );
        assert_eq!(r.exists::<_, usize>(&["l", "m"]).unwrap(), 1);
        let bytes: Vec<u8> = (0..=255).collect();
        let _: () = r.set("bin", &bytes).unwrap();
        assert_eq!(r.get::<_, Vec<u8>>("bin").unwrap(), bytes);
        let error = r.lpush::<_, _, usize>("n", "x").unwrap_err();
        assert_eq!(error.code(), Some("WRONGTYPE"));
        let configured: HashMap<String, String> = redis::cmd("CONFIG")
            .arg("GET")
            .arg("databases")
            .query(&mut r)
            .unwrap();
        assert_eq!(configured["databases"], "16");
    });
}

#[test]
fn scanning_finds_every_key() {
    for_each_protocol(|_, client| {
        let mut r = client.get_connection().unwrap();
        let mut pipe = redis::pipe();
        for number in 0..500 {
            pipe.set(format!("key:{number}"), number).ignore();
        }
        let _: () = pipe.query(&mut r).unwrap();
        let found: std::collections::HashSet<String> = r
            .scan_match("key:*")
            .unwrap()
            .collect::<RedisResult<_>>()
            .unwrap();
        assert_eq!(found.len(), 500);
    });
}

#[test]
fn a_blocked_pop_receives_what_is_pushed_later() {
    for_each_protocol(|server, client| {
        let mut worker = client.get_connection().unwrap();
        let waiting = std::thread::spawn(move || {
            worker.blpop::<_, Option<[String; 2]>>(&["high", "low"], 20.0)
        });
        wait_for_blocked(server, 1);
        let mut r = client.get_connection().unwrap();
        assert_eq!(r.lpush::<_, _, usize>("low", "job").unwrap(), 1);
        assert_eq!(waiting.join().unwrap().unwrap().unwrap(), ["low", "job"]);
        assert_eq!(
            r.blpop::<_, Option<[String; 2]>>("none", 0.02).unwrap(),
            None
        );
    });
}

#[test]
fn pipelines_and_transactions_answer_in_order() {
    for_each_protocol(|_, client| {
        let mut r = client.get_connection().unwrap();
        let mut pipe = redis::pipe();
        for number in 0..1000 {
            pipe.rpush(format!("q:{}", number % 7), number);
        }
        let lengths: Vec<usize> = pipe.query(&mut r).unwrap();
        assert_eq!(
            lengths,
            (0..1000)
                .map(|number| number / 7 + 1)
                .collect::<Vec<usize>>()
        );
        let (length, moved, left): (usize, String, usize) = redis::pipe()
            .atomic()
            .rpush("from", "x")
            .lmove("from", "to", Direction::Left, Direction::Right)
            .llen("from")
            .query(&mut r)
            .unwrap();
        assert_eq!((length, moved.as_str(), left), (1, "x", 0));
    });
}

#[test]
fn the_watch_loop_retries_until_nobody_interferes() {
    for_each_protocol(|_, client| {
        let mut r = client.get_connection().unwrap();
        let mut other = client.get_connection().unwrap();
        let _: () = r.set("counter", 1).unwrap();
        let mut attempts = 0;
        let (value,): (i64,) = redis::transaction(&mut r, &["counter"], |connection, pipe| {
            let old: i64 = connection.get("counter")?;
            attempts += 1;
            if attempts == 1 {
                let _: () = other.set("counter", 10)?;
            }
            pipe.set("counter", old + 1)
                .ignore()
                .get("counter")
                .query(connection)
        })
        .unwrap();
        assert_eq!((attempts, value), (2, 11));
    });
}

#[test]
fn publish_subscribe_with_patterns() {
    for_each_protocol(|_, client| {
        let mut listener = client.get_connection().unwrap();
        listener.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut subscription = listener.as_pubsub();
        subscription.subscribe("news.tech").unwrap();
        subscription.psubscribe("news.*").unwrap();
        let mut r = client.get_connection().unwrap();
        assert_eq!(r.publish::<_, _, usize>("news.sport", "goal").unwrap(), 1);
        assert_eq!(r.publish::<_, _, usize>("news.tech", "chip").unwrap(), 2);
        let first = subscription.get_message().unwrap();
        assert_eq!(first.get_pattern::<String>().unwrap(), "news.*");
        assert_eq!(
            (
                first.get_channel_name(),
                first.get_payload::<String>().unwrap()
            ),
            ("news.sport", "goal".into())
        );
        for _ in 0..2 {
            let message = subscription.get_message().unwrap();
            assert_eq!(message.get_channel_name(), "news.tech");
            assert_eq!(message.get_payload::<String>().unwrap(), "chip");
        }
    });
}

#[test]
fn streams_and_groups() {
    for_each_protocol(|_, client| {
        let mut r = client.get_connection().unwrap();
        r.xgroup_create_mkstream::<_, _, _, ()>("s", "g", "$")
            .unwrap();
        let busy = r.xgroup_create::<_, _, _, ()>("s", "g", "$").unwrap_err();
        assert_eq!(busy.code(), Some("BUSYGROUP"));
        for number in 1..=5 {
            let id: Option<String> = r
                .xadd_maxlen(
                    "s",
                    StreamMaxlen::Approx(1000),
                    format!("{number}-0"),
                    &[("n", number)],
                )
                .unwrap();
            assert_eq!(id, Some(format!("{number}-0")));
        }
        let range: StreamRangeReply = r.xrange_count("s", "-", "+", 2).unwrap();
        assert_eq!(range.ids[1].get::<i32>("n"), Some(2));
        let options = StreamReadOptions::default().group("g", "dead").count(2);
        let read: Option<StreamReadReply> = r.xread_options(&["s"], &[">"], &options).unwrap();
        assert_eq!(ids(&read.unwrap(), "s"), ["1-0", "2-0"]);
        let options = StreamReadOptions::default().group("g", "alive");
        let read: Option<StreamReadReply> = r.xread_options(&["s"], &[">"], &options).unwrap();
        assert_eq!(ids(&read.unwrap(), "s"), ["3-0", "4-0", "5-0"]);
        assert_eq!(
            r.xack::<_, _, _, usize>("s", "g", &["3-0", "4-0", "5-0"])
                .unwrap(),
            3
        );
        let pending: StreamPendingCountReply = r.xpending_count("s", "g", "-", "+", 10).unwrap();
        assert_eq!(
            pending
                .ids
                .iter()
                .map(|row| row.consumer.as_str())
                .collect::<Vec<_>>(),
            ["dead", "dead"]
        );
        let _: usize = r.xdel("s", &["1-0"]).unwrap();
        let claimed: StreamAutoClaimReply = r
            .xautoclaim_options(
                "s",
                "g",
                "alive",
                0,
                "0-0",
                StreamAutoClaimOptions::default().count(10),
            )
            .unwrap();
        assert_eq!(claimed.next_stream_id, "0-0");
        assert_eq!(
            claimed
                .claimed
                .iter()
                .map(|entry| entry.id.as_str())
                .collect::<Vec<_>>(),
            ["2-0"]
        );
        assert_eq!(claimed.deleted_ids, ["1-0"]);
        let groups: StreamInfoGroupsReply = r.xinfo_groups("s").unwrap();
        assert_eq!(
            (groups.groups[0].pending, groups.groups[0].consumers),
            (1, 2)
        );
        assert_eq!(groups.groups[0].last_delivered_id, "5-0");
    });
}

#[test]
fn many_tasks_share_one_multiplexed_connection() {
    for_each_protocol(|_, client| {
        block_on(async {
            let shared = client.get_multiplexed_async_connection().await.unwrap();
            let tasks = (0..50).map(|task| {
                let mut connection = shared.clone();
                async move {
                    for number in 0..20 {
                        let key = format!("q:{task}");
                        let length: usize = connection.rpush(&key, number).await.unwrap();
                        assert_eq!(length, number + 1);
                        let _: i64 = connection.incr("total", 1).await.unwrap();
                    }
                }
            });
            futures_util::future::join_all(tasks).await;
            let mut connection = shared.clone();
            assert_eq!(connection.get::<_, i64>("total").await.unwrap(), 1000);
        });
    });
}

#[test]
fn asynchronous_consumers_share_the_work_of_a_group() {
    for_each_protocol(|_, client| {
        block_on(async {
            let mut producer = client.get_multiplexed_async_connection().await.unwrap();
            let _: () = producer
                .xgroup_create_mkstream("source", "g", "0")
                .await
                .unwrap();
            let mut pipe = redis::pipe();
            for number in 1..=200 {
                pipe.xadd("source", "*", &[("n", number)]).ignore();
            }
            let _: () = pipe.query_async(&mut producer).await.unwrap();
            let consumers = (0..4).map(|number| {
                let client = client.clone();
                async move { consume(&client, &format!("c{number}")).await }
            });
            let handled: usize = futures_util::future::join_all(consumers)
                .await
                .into_iter()
                .sum();
            assert_eq!(handled, 200);
            let squares: Vec<u64> = producer.lrange("squares", 0, -1).await.unwrap();
            assert_eq!(
                squares.iter().sum::<u64>(),
                (1..=200u64).map(|number| number * number).sum()
            );
        });
    });
}

/// Squares and acknowledges until nothing more comes; returns how many.
async fn consume(client: &redis::Client, name: &str) -> usize {
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let options = StreamReadOptions::default()
        .group("g", name)
        .count(7)
        .block(100);
    let mut handled = 0;
    loop {
        let reply: Option<StreamReadReply> = connection
            .xread_options(&["source"], &[">"], &options)
            .await
            .unwrap();
        let Some(reply) = reply else { return handled };
        for entry in reply.keys.iter().flat_map(|key| &key.ids) {
            let number: u64 = entry.get("n").unwrap();
            let (_, acknowledged): (usize, usize) = redis::pipe()
                .atomic()
                .rpush("squares", number * number)
                .xack("source", "g", &[&entry.id])
                .query_async(&mut connection)
                .await
                .unwrap();
            assert_eq!(acknowledged, 1);
            handled += 1;
        }
    }
}

#[test]
fn an_asynchronous_subscriber_receives_a_stream_of_messages() {
    for_each_protocol(|_, client| {
        block_on(async {
            let mut subscriber = client.get_async_pubsub().await.unwrap();
            subscriber.subscribe("plain").await.unwrap();
            subscriber.psubscribe("p*n").await.unwrap();
            let mut publisher = client.get_multiplexed_async_connection().await.unwrap();
            for number in 0..100 {
                assert_eq!(
                    publisher
                        .publish::<_, _, usize>("plain", number)
                        .await
                        .unwrap(),
                    2
                );
            }
            let received: Vec<redis::Msg> = subscriber.on_message().take(200).collect().await;
            let by_channel: Vec<u32> = received
                .iter()
                .filter(|m| !m.from_pattern())
                .map(|m| m.get_payload().unwrap())
                .collect();
            assert_eq!(by_channel, (0..100).collect::<Vec<u32>>());
            assert_eq!(received.iter().filter(|m| m.from_pattern()).count(), 100);
        });
    });
}

#[test]
fn pushes_arrive_beside_ordinary_replies_in_resp3() {
    for_each_shard_count(|server| {
        block_on(async {
            let (sender, mut pushes) = tokio::sync::mpsc::unbounded_channel();
            let config = redis::AsyncConnectionConfig::new().set_push_sender(sender);
            let client = client(server, "", "resp3");
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await
                .unwrap();
            connection.subscribe("own").await.unwrap();
            assert_eq!(
                pushes.recv().await.unwrap().kind,
                redis::PushKind::Subscribe
            );
            assert_eq!(
                connection
                    .publish::<_, _, usize>("own", "to myself")
                    .await
                    .unwrap(),
                1
            );
            let push = pushes.recv().await.unwrap();
            assert_eq!(push.kind, redis::PushKind::Message);
            assert_eq!(
                push.data[1],
                redis::Value::BulkString(b"to myself".to_vec())
            );
            let _: () = connection.set("k", "v").await.unwrap();
            assert_eq!(connection.get::<_, String>("k").await.unwrap(), "v");
        });
    });
}
