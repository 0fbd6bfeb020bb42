#![allow(clippy::unwrap_used, reason = "tests")]
use proptest::prelude::*;

use super::*;

fn place(longitude: f64, latitude: f64) -> Place {
    Place::new(longitude, latitude).unwrap()
}

fn any_place() -> impl Strategy<Value = Place> {
    (LONGITUDES, LATITUDES).prop_map(|(longitude, latitude)| place(longitude, latitude))
}

#[test]
fn bits_are_spread_and_gathered() {
    assert_eq!(spread(0b1011), 0b100_0101);
    assert_eq!(gather(spread(0x8000_0001)), 0x8000_0001);
    assert_eq!(gather(u64::MAX), u32::MAX);
    assert_eq!(gather(X_BITS), 0);
}

#[test]
fn a_place_has_the_score_and_the_geohash_that_redis_gives_it() {
    let palermo = place(13.361389, 38.115556);
    assert_eq!(palermo.score(), 3479099956230698.0);
    let stored = Place::of_score(palermo.score());
    assert_eq!(&stored.geohash(), b"sqc8b49rny0");
    let catania = Place::of_score(place(15.087269, 37.502669).score());
    assert!((stored.distance(catania) - 166_274.151_6).abs() < 1e-4);
    assert_eq!(Place::new(180.1, 0.0), None);
    assert_eq!(Place::new(0.0, 85.06), None);
}

#[test]
fn any_score_stands_for_a_place() {
    for score in [
        0.0,
        -1.0,
        -1e300,
        1e19,
        1.9e19,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        let Place {
            longitude,
            latitude,
        } = Place::of_score(score);
        assert!(
            (-180.0..=180.0).contains(&longitude),
            "{score}: {longitude}"
        );
        assert!(latitude.abs() <= LATITUDES.end, "{score}: {latitude}");
    }
}

#[test]
fn cells_beside_each_other_touch() {
    let cell = Cell::around(place(10.0, 50.0), &LATITUDES, 9);
    assert_eq!(cell.beside(1, 0).longitudes().start, cell.longitudes().end);
    assert_eq!(cell.beside(-1, 0).longitudes().end, cell.longitudes().start);
    assert_eq!(cell.beside(0, 1).latitudes().start, cell.latitudes().end);
    assert_eq!(cell.beside(0, -1).latitudes().end, cell.latitudes().start);
    assert_eq!(cell.beside(1, 1).beside(-1, -1), cell);
}

proptest! {
    #![proptest_config(crate::property::cases(256))]

    #[test]
    fn a_place_is_found_again_near_where_it_was_put(put in any_place()) {
        let found = Place::of_score(put.score());
        // Half a cell: 40,000 km cut 26 times.
        prop_assert!(put.distance(found) < 0.6);
        prop_assert_eq!(found.score(), put.score());
    }

    /// The cells of a search hold all that is within the area: looked for beside a plain look at every place.
    #[test]
    fn the_cells_of_a_small_area_hold_all_its_places(
        middle in (-170.0..170.0, -60.0..60.0),
        aside in (-0.9..0.9, -0.9..0.9),
        radius in 1.0..200_000.0,
        is_box in any::<bool>(),
    ) {
        let middle = place(middle.0, middle.1);
        let shape = match is_box {
            true => Shape::Box { width: radius, height: radius / 2.0 },
            false => Shape::Circle { radius },
        };
        let area = Area { middle, shape };
        let degrees = radius / 111_000.0;
        let other = place(middle.longitude + aside.0 * degrees, middle.latitude + aside.1 * degrees);
        let (score, stored) = (other.score(), Place::of_score(other.score()));
        let is_in_cells = area.cells().any(|cell| cell.scores().contains(&score));
        if area.distance_within(stored).is_some() {
            prop_assert!(is_in_cells);
        }
    }

    #[test]
    fn no_cell_is_looked_at_twice(middle in any_place(), radius in 0.0..30_000_000.0) {
        let area = Area { middle, shape: Shape::Circle { radius } };
        let cells: Vec<Cell> = area.cells().collect();
        for (at, cell) in cells.iter().enumerate() {
            let masked = |cell: &Cell| cell.bits & (u64::MAX >> (64 - 2 * cell.steps));
            prop_assert!(cells[..at].iter().all(|other| masked(other) != masked(cell)));
        }
    }
}
