//! Places on earth as scores of a sorted set.
//!
//! ```text
//! longitude -180 ─► 180, latitude -85.05… ─► 85.05…, each cut into 2^steps stripes:
//! cell     y x y x y x …     the bits of both stripe numbers in turn, that of the longitude first
//! score    the cell after 26 steps: 52 bits, which a double holds exactly
//! ```
//! Places with nearly equal scores are near each other, and the places of a larger cell are one range of scores. A search looks
//! at the cell of its middle and the eight around it ([`Area::cells`]), of a size that the area fits into, and measures the
//! distance to each place in them. Which cells those are, and in which order, shows in replies: as Redis chooses them.
//!
//! Distances are those on a sphere (haversine). Source: the GEOADD and GEOSEARCH pages of Redis; Web Mercator for the range of
//! latitudes.

#[cfg(test)]
mod tests;

use std::ops::Range;

/// The range of longitudes, degrees.
const LONGITUDES: Range<f64> = -180.0..180.0;
/// The range of latitudes, degrees: nearer to the poles there are no places.
const LATITUDES: Range<f64> = -85.051_128_78..85.051_128_78;
/// The range of latitudes of a geohash as others write it.
const WHOLE_LATITUDES: Range<f64> = -90.0..90.0;
/// How often a score is cut.
const STEPS_MAX: u32 = 26;
/// Radius of the sphere, m.
const EARTH_RADIUS: f64 = 6_372_797.560_856;
/// Half of the equator, m, as Redis has it.
const MERCATOR_MAX: f64 = 20_037_726.37;
const X_BITS: u64 = 0xaaaa_aaaa_aaaa_aaaa;
const Y_BITS: u64 = 0x5555_5555_5555_5555;
/// The digits of a geohash.
const DIGITS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
/// Digits of a geohash as Redis writes it: the last one is always the first digit.
const GEOHASH_DIGITS: usize = 11;

/// A place, degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Place {
    /// East is positive.
    pub(crate) longitude: f64,
    /// North is positive.
    pub(crate) latitude: f64,
}

/// The bits of a number below 2^32, a zero bit in front of each.
fn spread(number: u32) -> u64 {
    let mut bits = u64::from(number);
    for (shift, mask) in [
        (16, 0x0000_ffff_0000_ffff),
        (8, 0x00ff_00ff_00ff_00ff),
        (4, 0x0f0f_0f0f_0f0f_0f0f),
        (2, 0x3333_3333_3333_3333),
        (1, Y_BITS),
    ] {
        bits = (bits | bits << shift) & mask;
    }
    bits
}

/// Every second bit, from the lowest on: the reverse of [`spread`].
fn gather(bits: u64) -> u32 {
    let mut bits = bits & Y_BITS;
    for (shift, mask) in [
        (1, 0x3333_3333_3333_3333),
        (2, 0x0f0f_0f0f_0f0f_0f0f),
        (4, 0x00ff_00ff_00ff_00ff),
        (8, 0x0000_ffff_0000_ffff),
        (16, 0x0000_0000_ffff_ffff),
    ] {
        bits = (bits | bits >> shift) & mask;
    }
    bits as u32
}

/// The number of the stripe in which a coordinate lies. The upper end is in a stripe of its own, as in Redis.
fn stripe(coordinate: f64, range: &Range<f64>, steps: u32) -> u32 {
    let offset = (coordinate - range.start) / (range.end - range.start);
    (offset * (1u64 << steps) as f64) as u32
}

/// Where a stripe begins and ends.
fn stripe_ends(number: u32, range: &Range<f64>, steps: u32) -> Range<f64> {
    let (width, count) = (range.end - range.start, (1u64 << steps) as f64);
    let end = |number: f64| range.start + number / count * width;
    // Redis counts in 32 bits.
    end(f64::from(number))..end(f64::from(number.wrapping_add(1)))
}

impl Place {
    /// A place, if there is one with these coordinates.
    #[must_use]
    pub(crate) fn new(longitude: f64, latitude: f64) -> Option<Self> {
        let is_within = |coordinate, range: &Range<f64>| {
            // What is no number is not outside, as in Redis.
            !(coordinate < range.start || coordinate > range.end)
        };
        (is_within(longitude, &LONGITUDES) && is_within(latitude, &LATITUDES)).then_some(Self {
            longitude,
            latitude,
        })
    }

    /// The score that stands for it.
    #[must_use]
    pub(crate) fn score(self) -> f64 {
        Cell::around(self, &LATITUDES, STEPS_MAX).bits as f64
    }

    /// The middle of the cell that a score stands for. Any score stands for one.
    #[must_use]
    pub(crate) fn of_score(score: f64) -> Self {
        let cell = Cell {
            bits: bits_of(score),
            steps: STEPS_MAX,
        };
        let middle = |ends: Range<f64>, range: &Range<f64>| {
            let middle = (ends.start + ends.end) / 2.0;
            middle.min(range.end).max(range.start)
        };
        Self {
            longitude: middle(cell.longitudes(), &LONGITUDES),
            latitude: middle(cell.latitudes(), &LATITUDES),
        }
    }

    /// Its geohash, as others write it: they cut all latitudes up to the poles.
    #[must_use]
    pub(crate) fn geohash(self) -> [u8; GEOHASH_DIGITS] {
        let bits = Cell::around(self, &WHOLE_LATITUDES, STEPS_MAX).bits;
        let mut text = [DIGITS[0]; GEOHASH_DIGITS];
        for (at, digit) in text[..GEOHASH_DIGITS - 1].iter_mut().enumerate() {
            let shift = 2 * STEPS_MAX as usize - 5 * (at + 1);
            *digit = DIGITS[(bits >> shift) as usize % DIGITS.len()];
        }
        text
    }

    /// How far another place is, m.
    #[must_use]
    pub(crate) fn distance(self, other: Self) -> f64 {
        let sine = |from: f64, to: f64| ((to - from) / 2.0).sin();
        let [from, to] = [self, other].map(|place| radians(place.latitude));
        let v = sine(radians(self.longitude), radians(other.longitude));
        if v == 0.0 {
            return north_south(self.latitude, other.latitude);
        }
        let u = sine(from, to);
        let a = u * u + from.cos() * to.cos() * v * v;
        2.0 * EARTH_RADIUS * a.sqrt().asin()
    }
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// How far two latitudes are from each other, m.
fn north_south(latitude: f64, other: f64) -> f64 {
    EARTH_RADIUS * (radians(other) - radians(latitude)).abs()
}

/// A score as 64 bits, as a C program on x86-64 casts it.
fn bits_of(score: f64) -> u64 {
    const HALF: f64 = (1u64 << 63) as f64;
    if score >= 2.0 * HALF {
        0
    } else if score >= HALF {
        score as u64
    } else if score < -HALF {
        1 << 63
    } else {
        score as i64 as u64
    }
}

/// A rectangle of the earth. See the module's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cell {
    bits: u64,
    steps: u32,
}

impl Cell {
    fn around(place: Place, latitudes: &Range<f64>, steps: u32) -> Self {
        let y = spread(stripe(place.latitude, latitudes, steps));
        let x = spread(stripe(place.longitude, &LONGITUDES, steps));
        Self {
            bits: y | x << 1,
            steps,
        }
    }

    fn longitudes(self) -> Range<f64> {
        stripe_ends(gather(self.bits >> 1), &LONGITUDES, self.steps)
    }

    fn latitudes(self) -> Range<f64> {
        stripe_ends(gather(self.bits), &LATITUDES, self.steps)
    }

    /// The cell so many to the east and to the north (-1, 0 or 1): behind the last one comes the first.
    fn beside(self, east: i32, north: i32) -> Self {
        let unused = 64 - 2 * self.steps;
        let moved = |own: u64, other: u64, by: i32| {
            let bits = self.bits & own;
            // A carry runs through the bits in between when they are all set, a borrow when they are not.
            let between = other >> unused;
            let bits = match by {
                0 => bits,
                1.. => bits.wrapping_add(between + 1),
                _ => (bits | between).wrapping_sub(between + 1),
            };
            // What lies above the cell's own bits stays unless it moves.
            if by == 0 { bits } else { bits & own >> unused }
        };
        Self {
            bits: moved(X_BITS, Y_BITS, east) | moved(Y_BITS, X_BITS, north),
            steps: self.steps,
        }
    }

    /// The scores of all places in it: up to the end, without it.
    #[must_use]
    pub(crate) fn scores(self) -> Range<f64> {
        let shift = 2 * (STEPS_MAX - self.steps);
        let score = |bits: u64| (bits << shift) as f64;
        score(self.bits)..score(self.bits + 1)
    }
}

/// What a search looks for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Places not farther than this, m.
    Circle { radius: f64 },
    /// Places not farther than half of the width to the east or west and half of the height to the north or south, m.
    Box { width: f64, height: f64 },
}

/// Where a search looks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Area {
    /// Its middle.
    pub(crate) middle: Place,
    /// What is around the middle.
    pub(crate) shape: Shape,
}

impl Area {
    /// How far a place is from the middle, m, if it is in the area.
    #[must_use]
    pub(crate) fn distance_within(&self, place: Place) -> Option<f64> {
        match self.shape {
            Shape::Circle { radius } => {
                let distance = self.middle.distance(place);
                // What is no number is not farther, as in Redis.
                let is_farther = distance > radius;
                (!is_farther).then_some(distance)
            }
            Shape::Box { width, height } => {
                if north_south(place.latitude, self.middle.latitude) > height / 2.0 {
                    return None;
                }
                let beside = Place {
                    longitude: self.middle.longitude,
                    ..place
                };
                if place.distance(beside) > width / 2.0 {
                    return None;
                }
                Some(self.middle.distance(place))
            }
        }
    }

    /// Longitudes and latitudes between which it lies, degrees.
    fn bounds(&self) -> [Range<f64>; 2] {
        let (width, height) = match self.shape {
            Shape::Circle { radius } => (radius, radius),
            Shape::Box { width, height } => (width / 2.0, height / 2.0),
        };
        let Place {
            longitude,
            latitude,
        } = self.middle;
        let up = degrees(height / EARTH_RADIUS);
        // Where meridians are nearer to each other: at the edge that is farther from the equator, as Redis takes it.
        let edge = if latitude < 0.0 {
            latitude - up
        } else {
            latitude + up
        };
        let aside = degrees(width / EARTH_RADIUS / radians(edge).cos());
        [
            longitude - aside..longitude + aside,
            latitude - up..latitude + up,
        ]
    }

    /// How often to cut so that the area fits into the cell of its middle and those around it, in most cases.
    fn steps(&self) -> u32 {
        let mut radius = match self.shape {
            Shape::Circle { radius } => radius,
            Shape::Box { width, height } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
        };
        if radius == 0.0 {
            return STEPS_MAX;
        }
        let mut steps = -1;
        while radius < MERCATOR_MAX {
            radius *= 2.0;
            steps += 1;
        }
        // Towards the poles meridians are nearer to each other.
        let latitude = self.middle.latitude.abs();
        steps -= i32::from(latitude > 66.0) + i32::from(latitude > 80.0);
        steps.clamp(1, STEPS_MAX as i32) as u32
    }

    /// The cells in which its places are, in the order in which they are to be looked at; none twice in a row.
    pub(crate) fn cells(&self) -> impl Iterator<Item = Cell> {
        let [longitudes, latitudes] = self.bounds();
        let mut middle = Cell::around(self.middle, &LATITUDES, self.steps());
        let is_too_small = middle.beside(0, 1).latitudes().end < latitudes.end
            || middle.beside(0, -1).latitudes().start > latitudes.start
            || middle.beside(1, 0).longitudes().end < longitudes.end
            || middle.beside(-1, 0).longitudes().start > longitudes.start;
        if middle.steps > 1 && is_too_small {
            middle = Cell::around(self.middle, &LATITUDES, middle.steps - 1);
        }
        // Where the middle's own cell reaches farther than the area, no other is needed.
        let (wide, high) = (middle.longitudes(), middle.latitudes());
        let may_skip = middle.steps >= 2;
        let [west, east] = [wide.start < longitudes.start, wide.end > longitudes.end];
        let [south, north] = [high.start < latitudes.start, high.end > latitudes.end];
        let is_needed = move |&(to_east, to_north): &(i32, i32)| {
            let is_beyond = match to_east {
                0 => false,
                1.. => east,
                _ => west,
            } || match to_north {
                0 => false,
                1.. => north,
                _ => south,
            };
            !(may_skip && is_beyond)
        };
        let around = [
            (0, 1),
            (0, -1),
            (1, 0),
            (-1, 0),
            (1, 1),
            (-1, 1),
            (1, -1),
            (-1, -1),
        ];
        let mut last = None;
        let others = around.into_iter().filter(is_needed).filter_map(move |to| {
            let cell = middle.beside(to.0, to.1);
            // Where there are few cells, one lies on both sides of the middle.
            (last.replace(cell) != Some(cell)).then_some(cell)
        });
        std::iter::once(middle).chain(others)
    }
}
