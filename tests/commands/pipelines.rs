//! One pipeline that changes what the commands behind it are to heed: settings, a pause, limits.

use crate::support::for_each_shard_count;
use crate::support::server::info_field;

/// Keys of one slot, so that the keyspace of the first is in hand when the setting changes.
const KEYS: [&str; 2] = ["{k}1", "{k}2"];

#[test]
fn notifications_that_are_switched_on_hold_from_the_next_command_on() {
    for_each_shard_count(|server| {
        let mut subscriber = server.connect();
        subscriber.run("PSUBSCRIBE *");
        let mut client = server.connect();
        let [first, second] = KEYS.map(|key| format!("SET {key} value"));
        client.pipeline(&[
            first.as_str(),
            "CONFIG SET notify-keyspace-events KA",
            &second,
            "PUBLISH end message",
        ]);
        let channels = [(); 2].map(|()| subscriber.reply().items()[2].text());
        let event = format!("__keyspace@0__:{}", KEYS[1]);
        assert_eq!(channels, [event, "end".to_owned()], "{}", server.name);
    });
}

#[test]
fn a_read_behind_a_pause_in_the_same_pipeline_deletes_no_key() {
    for_each_shard_count(|server| {
        let mut client = server.connect();
        client.run("DEBUG SET-ACTIVE-EXPIRE 0");
        client.run(&format!("SET {} value PX 1", KEYS[1]));
        // Time passes for sure.
        client.run("DEBUG SLEEP 0.01");
        let (other, expired) = (format!("GET {}", KEYS[0]), format!("GET {}", KEYS[1]));
        let replies = client.pipeline(&[
            other.as_str(),
            "CLIENT PAUSE 600000 WRITE",
            &expired,
            "INFO stats",
            "CLIENT UNPAUSE",
            &expired,
            "INFO stats",
        ]);
        let count = |at: usize| info_field(&replies[at].text(), "expired_keys").unwrap();
        assert!(replies[2].is_null() && replies[5].is_null());
        assert_eq!(
            (count(3).as_str(), count(6).as_str()),
            ("0", "1"),
            "{}",
            server.name
        );
    });
}

#[test]
fn a_lower_limit_of_tracked_keys_holds_for_the_next_command() {
    for_each_shard_count(|server| {
        let mut reader = server.connect_resp3();
        reader.run("CLIENT TRACKING ON");
        for key in 0..40 {
            reader.run(&format!("GET key{key}"));
        }
        let mut client = server.connect();
        let replies = client.pipeline(&["CONFIG SET tracking-table-max-keys 1", "INFO stats"]);
        let total = info_field(&replies[1].text(), "tracking_total_keys");
        assert_eq!(total.as_deref(), Some("1"), "{}", server.name);
    });
}
