//! The commands on places through a socket. Keys of different shards are named on purpose: `a`, `b`, `c`, `d` spread.

use crate::connection::check;
use crate::list::events_of;
use crate::support::for_each_shard_count;

const SICILY: &str = "GEOADD a 13.361389 38.115556 Palermo 15.087269 37.502669 Catania";

#[test]
fn places_are_added_and_told() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                (SICILY, ":2"),
                ("TYPE a", "+zset"),
                ("ZSCORE a Palermo", "$16 3479099956230698"),
                (
                    "GEOPOS a Palermo nobody",
                    "*2 *2 $20 13.36138933897018433 $20 38.11555639549629859 *-1",
                ),
                ("GEOHASH a Palermo nobody", "*2 $11 sqc8b49rny0 $-1"),
                ("GEODIST a Palermo Catania", "$11 166274.1516"),
                ("GEODIST a Palermo Catania mi", "$8 103.3182"),
                ("GEODIST a Palermo nobody", "$-1"),
                ("GEODIST none Palermo Catania", "$-1"),
                (
                    "GEOADD a 181 38 x",
                    "-ERR invalid longitude,latitude pair 181.000000,38.000000",
                ),
                ("GEOADD a CH NX 1 1 Palermo 1 1 new", ":1"),
                ("GEOADD a XX CH 2 2 Palermo 1 1 other", ":1"),
                ("ZCARD a", ":3"),
            ],
        );
    });
}

#[test]
fn places_in_an_area_are_found_nearest_first_and_as_many_as_wanted() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                (SICILY, ":2"),
                (
                    "GEOADD a 12.758489 38.788135 edge1 17.241510 38.788135 edge2",
                    ":2",
                ),
                (
                    "GEOSEARCH a FROMLONLAT 15 37 BYRADIUS 200 km ASC",
                    "*2 $7 Catania $7 Palermo",
                ),
                (
                    "GEOSEARCH a FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST",
                    "*4 *2 $7 Catania $7 56.4413 *2 $7 Palermo $8 190.4424 \
                     *2 $5 edge2 $8 279.7403 *2 $5 edge1 $8 279.7405",
                ),
                (
                    "GEOSEARCH a FROMMEMBER Palermo BYRADIUS 300 km COUNT 2 DESC",
                    "*2 $7 Catania $5 edge1",
                ),
                (
                    "GEORADIUS_RO a 15 37 200 km WITHHASH COUNT 1",
                    "*1 *2 $7 Catania :3479447370796909",
                ),
                ("GEORADIUSBYMEMBER_RO a Palermo 1 m", "*1 $7 Palermo"),
                (
                    "GEOSEARCH a FROMMEMBER nobody BYRADIUS 1 m",
                    "-ERR could not decode requested zset member",
                ),
                ("GEOSEARCH none FROMMEMBER nobody BYRADIUS 1 m", "*0"),
                (
                    "geoSearch a BYRADIUS 1 m ASC COUNT 1 ANY",
                    "-ERR exactly one of FROMMEMBER or FROMLONLAT can be specified for geoSearch",
                ),
            ],
        );
    });
}

#[test]
fn what_is_found_is_stored_on_any_shard() {
    for_each_shard_count(|server| {
        check(
            &mut server.connect(),
            &[
                (SICILY, ":2"),
                ("GEOSEARCHSTORE b a FROMLONLAT 15 37 BYRADIUS 100 km", ":1"),
                (
                    "ZRANGE b 0 -1 WITHSCORES",
                    "*2 $7 Catania $16 3479447370796909",
                ),
                ("GEORADIUS a 15 37 200 km STORE c STOREDIST d", ":2"),
                ("EXISTS c", ":0"),
                ("ZRANGE d 0 -1", "*2 $7 Catania $7 Palermo"),
                ("GEORADIUSBYMEMBER a Palermo 1 m STORE d", ":1"),
                ("GEOSEARCHSTORE d a FROMLONLAT 0 0 BYRADIUS 1 m", ":0"),
                ("EXISTS d", ":0"),
                (
                    "GEORADIUS a 15 37 200 km WITHDIST STORE c",
                    "-ERR STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options",
                ),
                (
                    "COMMAND GETKEYS GEORADIUS a 1 1 1 km STORE b STOREDIST c",
                    "*3 $1 a $1 b $1 c",
                ),
            ],
        );
    });
}

#[test]
fn events_come_as_in_redis() {
    for_each_shard_count(|server| {
        let lines = [
            SICILY,
            "GEOSEARCHSTORE b a FROMLONLAT 15 37 BYRADIUS 100 km",
            "GEORADIUS a 15 37 200 km STORE c STOREDIST d",
            "GEORADIUSBYMEMBER a Palermo 1 m STORE d",
            "GEOSEARCHSTORE d a FROMLONLAT 0 0 BYRADIUS 1 m",
        ];
        let expected = [
            "zadd a",
            "geosearchstore b",
            "georadiusstore d",
            "georadiusstore d",
            "del d",
        ];
        assert_eq!(events_of(server, &lines), expected);
    });
}
