//! Places: sorted sets whose scores stand for places on earth. What the scores mean is in `data/geo.rs`.
//!
//! ```text
//! add.rs    GEOADD                       search.rs   GEOSEARCH GEOSEARCHSTORE, GEORADIUS and its kin
//! read.rs   GEOPOS GEODIST GEOHASH       request.rs  their arguments
//! ```
//! Effects: GEOADD is a ZADD, as in Redis; what stores the result of a search is the command itself.

mod add;
mod read;
mod request;
mod search;
#[cfg(test)]
mod tests;

use crate::data::extended::human_double;
use crate::data::geo::Place;
use crate::data::sorted_set::parse_score;
use crate::resp::reply::Reply;

use super::args::is;
use super::error::{self, CommandError};
use super::spec::{Command, Flags, Handler, KeyFlags, KeySpec};

const READ: KeyFlags = KeyFlags::RO.and(KeyFlags::ACCESS);
const READ_ONE: &[KeySpec] = &[KeySpec::one(READ, 1)];
const OVERWRITE: KeyFlags = KeyFlags::OW.and(KeyFlags::UPDATE);
const STORES: &[Flags] = &[Flags::WRITE, Flags::DENYOOM];
const MAY_STORE: &[Flags] = &[Flags::WRITE, Flags::DENYOOM, Flags::MOVABLE_KEYS];
const OPTIONS_THAT_STORE: &[&str] = &["STORE", "STOREDIST"];
const SEARCH: &str = "O(N+log(M)) for N of M members in the rectangles around the area.";

const fn row(name: &'static str, syntax: &'static str, handler: Handler) -> Command {
    Command::new(name, syntax, handler).categories(&["geo"])
}

/// The keys of a search from argument `options` on of which STORE or STOREDIST may name another.
const fn may_store(options: usize) -> [KeySpec; 3] {
    [
        KeySpec::one(READ, 1),
        KeySpec::after_option(OVERWRITE, OPTIONS_THAT_STORE, 0, options),
        KeySpec::after_option(OVERWRITE, OPTIONS_THAT_STORE, 1, options),
    ]
}

/// The family's rows.
#[rustfmt::skip]
pub(crate) static COMMANDS: &[Command] = &[
    row("geoadd", "key [condition@6.2.0:<NX | XX>] [change=CH@6.2.0] data:<longitude latitude member> ...", add::geoadd).arity(-5)
        .flags(STORES).keys(&[KeySpec::one(KeyFlags::RW.and(KeyFlags::UPDATE), 1)])
        .docs("3.2.0", "geo", "O(log(N)) for each member.", "Adds members with their places to a sorted set, made when there is none."),
    row("geodist", "key member1 member2 [unit:<'m' | 'km' | 'ft' | 'mi'>]", read::geodist).arity(-4).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("3.2.0", "geo", "O(1)", "Returns how far two members are from each other."),
    row("geohash", "key [member ...]", read::geohash).arity(-2).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("3.2.0", "geo", "O(1) for each member.", "Returns the places of members as geohashes."),
    row("geopos", "key [member ...]", read::geopos).arity(-2).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("3.2.0", "geo", "O(1) for each member.", "Returns the longitudes and latitudes of members."),
    row("georadius", "key longitude latitude radius unit:<'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:<COUNT count [ANY@6.2.0]>] \
         [order:<ASC | DESC>] [store:<STORE storekey | STOREDIST storedistkey>]", search::georadius)
        .arity(-6).flags(MAY_STORE).keys(&may_store(6))
        .docs("3.2.0", "geo", SEARCH, "Finds the members near a place; may store them.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument"),
    row("georadius_ro", "key longitude latitude radius unit:<'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:<COUNT count [ANY@6.2.0]>] \
         [order:<ASC | DESC>]", search::georadius_ro)
        .arity(-6).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("3.2.10", "geo", SEARCH, "Finds the members near a place.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
    row("georadiusbymember", "key member radius unit:<'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:<COUNT count [ANY]>] \
         [order:<ASC | DESC>] [store:<STORE storekey | STOREDIST storedistkey>]", search::georadiusbymember)
        .arity(-5).flags(MAY_STORE).keys(&may_store(5))
        .docs("3.2.0", "geo", SEARCH, "Finds the members near another one; may store them.")
        .deprecated("6.2.0", "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    row("georadiusbymember_ro", "key member radius unit:<'m' | 'km' | 'ft' | 'mi'> [WITHCOORD] [WITHDIST] [WITHHASH] [count-block:<COUNT count [ANY]>] \
         [order:<ASC | DESC>]", search::georadiusbymember_ro)
        .arity(-5).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("3.2.10", "geo", SEARCH, "Finds the members near another one.")
        .deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments"),
    row("geosearch", "key from:<FROMMEMBER member | FROMLONLAT longitude latitude> \
         by:<circle:<BYRADIUS radius unit:<'m' | 'km' | 'ft' | 'mi'>> | box:<<BYBOX width> height unit:<'m' | 'km' | 'ft' | 'mi'>>> \
         [order:<ASC | DESC>] [count-block:<COUNT count [ANY]>] [WITHCOORD] [WITHDIST] [WITHHASH]", search::geosearch)
        .arity(-7).flags(&[Flags::READONLY]).keys(READ_ONE)
        .docs("6.2.0", "geo", SEARCH, "Finds the members in a circle or a rectangle."),
    row("geosearchstore", "destination source from:<FROMMEMBER member | FROMLONLAT longitude latitude> \
         by:<circle:<BYRADIUS radius unit:<'m' | 'km' | 'ft' | 'mi'>> | box:<<BYBOX width> height unit:<'m' | 'km' | 'ft' | 'mi'>>> \
         [order:<ASC | DESC>] [count-block:<COUNT count [ANY]>] [STOREDIST]", search::geosearchstore)
        .arity(-8).flags(STORES).keys(&[KeySpec::one(OVERWRITE, 1), KeySpec::one(READ, 2)])
        .docs("6.2.0", "geo", SEARCH, "Stores the members in a circle or a rectangle."),
];

/// How many metres a unit has.
fn unit(name: &[u8]) -> Result<f64, CommandError> {
    let units = [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
    let found = units.into_iter().find(|(unit, _)| is(name, unit));
    found.map(|(_, metres)| metres).ok_or(error::GEO_UNIT)
}

fn number(text: &[u8], otherwise: CommandError) -> Result<f64, CommandError> {
    parse_score(text).ok_or(otherwise)
}

fn place(longitude: &[u8], latitude: &[u8]) -> Result<Place, CommandError> {
    let longitude = number(longitude, error::NOT_FLOAT)?;
    let latitude = number(latitude, error::NOT_FLOAT)?;
    Place::new(longitude, latitude).ok_or_else(|| error::no_place(longitude, latitude))
}

/// A distance, with four decimals. Redis: in steps of a 10,000th, halves to the even one.
fn reply_distance(reply: &mut Reply, distance: f64) {
    let scaled = (distance * 10_000.0).round_ties_even();
    let steps = match scaled.is_nan() {
        true => i64::MIN,
        false => scaled as i64,
    };
    let (whole, rest) = (steps.unsigned_abs() / 10_000, steps.unsigned_abs() % 10_000);
    let sign = if steps < 0 { "-" } else { "" };
    reply.bulk(format!("{sign}{whole}.{rest:04}").as_bytes());
}

/// Longitude and latitude, in the protocol version that is said, since what leaves in slices does not know it.
fn reply_place(reply: &mut Reply, place: Place, is_resp3: bool) {
    reply.array(2);
    for coordinate in [place.longitude, place.latitude] {
        let text = human_double(coordinate);
        if is_resp3 {
            reply.raw(format!(",{text}\r\n").as_bytes());
        } else {
            reply.bulk(text.as_bytes());
        }
    }
}
