//! The arguments of searches, in the order in which Redis looks at them: of two errors it tells the first.

use crate::command::args::{Cursor, required_integer};
use crate::command::error::{self, CommandError};
use crate::data::geo::{Area, Place, Shape};
use crate::data::sorted_set::SortedSet;
use crate::resp::arguments::Args;

use super::read::place_of;
use super::{number, place, unit};

/// Which command it is, as far as its arguments differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// GEORADIUS, or without STORE GEORADIUS_RO.
    Around { may_store: bool },
    /// GEORADIUSBYMEMBER, or without STORE GEORADIUSBYMEMBER_RO.
    AroundMember { may_store: bool },
    /// GEOSEARCH
    Search,
    /// GEOSEARCHSTORE
    SearchAndStore,
}

/// What is told of each member.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Told {
    pub(super) distance: bool,
    pub(super) score: bool,
    pub(super) place: bool,
}

impl Told {
    /// How many things beside the member.
    pub(super) fn count(self) -> usize {
        [self.distance, self.score, self.place]
            .into_iter()
            .filter(|is_told| *is_told)
            .count()
    }
}

/// What a search is asked for.
#[derive(Debug, Default)]
pub(super) struct Request<'a> {
    pub(super) told: Told,
    /// From the nearest on; or from the farthest.
    pub(super) is_descending: Option<bool>,
    /// COUNT
    pub(super) count: Option<usize>,
    /// ANY: the first that are found.
    pub(super) any: bool,
    /// Where the members are stored.
    pub(super) destination: Option<&'a [u8]>,
    /// What is stored are distances.
    pub(super) stores_distances: bool,
    /// Metres of the unit.
    pub(super) metres: f64,
    middle: Option<Place>,
    /// FROMLONLAT, FROMMEMBER.
    is_from_place: bool,
    is_from_member: bool,
    shape: Option<Shape>,
}

impl<'a> Request<'a> {
    /// Reads them. `set`: in which is searched, since a member's place is looked up where it is named.
    pub(super) fn read(
        args: &Args<'a>,
        kind: Kind,
        set: Option<&SortedSet>,
    ) -> Result<Self, CommandError> {
        let mut request = Self {
            metres: 1.0,
            ..Self::default()
        };
        let mut rest = Cursor::new(args, 2);
        match kind {
            Kind::Around { .. } => {
                request.middle = Some(place(rest.value()?, rest.value()?)?);
                request.read_radius(&mut rest)?;
            }
            // Redis: without a key there is nothing to be measured.
            Kind::AroundMember { .. } if set.is_none() => rest = Cursor::new(args, 5),
            Kind::AroundMember { .. } => {
                request.read_member(rest.value()?, set)?;
                request.read_radius(&mut rest)?;
            }
            Kind::Search => {}
            Kind::SearchAndStore => {
                request.destination = Some(args.at(1));
                rest = Cursor::new(args, 3);
            }
        }
        while rest.left() > 0 {
            if !request.read_option(&mut rest)?
                && !request.read_area(&mut rest, kind, set)?
                && !request.read_destination(&mut rest, kind)?
            {
                return Err(error::SYNTAX);
            }
        }
        request.check(args, kind)?;
        Ok(request)
    }

    fn read_radius(&mut self, rest: &mut Cursor<'a, '_>) -> Result<(), CommandError> {
        let radius = number(rest.value()?, error::GEO_RADIUS)?;
        if radius < 0.0 {
            return Err(error::GEO_RADIUS_NEGATIVE);
        }
        self.metres = unit(rest.value()?)?;
        let radius = radius * self.metres;
        self.shape = Some(Shape::Circle { radius });
        Ok(())
    }

    fn read_box(&mut self, rest: &mut Cursor<'a, '_>) -> Result<(), CommandError> {
        let width = number(rest.value()?, error::GEO_WIDTH)?;
        let height = number(rest.value()?, error::GEO_HEIGHT)?;
        if width < 0.0 || height < 0.0 {
            return Err(error::GEO_BOX_NEGATIVE);
        }
        self.metres = unit(rest.value()?)?;
        let [width, height] = [width, height].map(|length| length * self.metres);
        self.shape = Some(Shape::Box { width, height });
        Ok(())
    }

    fn read_member(&mut self, member: &[u8], set: Option<&SortedSet>) -> Result<(), CommandError> {
        if let Some(set) = set {
            self.middle = Some(place_of(set, member).ok_or(error::GEO_NO_MEMBER)?);
        } else {
            // Nothing will be found, wherever it would be.
            self.middle = Place::new(0.0, 0.0);
        }
        Ok(())
    }

    /// Options of all searches; false when there is none of them.
    fn read_option(&mut self, rest: &mut Cursor<'a, '_>) -> Result<bool, CommandError> {
        let has_one = rest.left() > 1;
        if rest.keyword("withdist") {
            self.told.distance = true;
        } else if rest.keyword("withhash") {
            self.told.score = true;
        } else if rest.keyword("withcoord") {
            self.told.place = true;
        } else if rest.keyword("any") {
            self.any = true;
        } else if rest.keyword("asc") {
            self.is_descending = Some(false);
        } else if rest.keyword("desc") {
            self.is_descending = Some(true);
        } else if has_one && rest.keyword("count") {
            let count = required_integer(rest.value()?)?;
            if count <= 0 {
                return Err(error::GEO_COUNT);
            }
            self.count = Some(usize::try_from(count).unwrap_or(usize::MAX));
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// What GEOSEARCH says of the area.
    fn read_area(
        &mut self,
        rest: &mut Cursor<'a, '_>,
        kind: Kind,
        set: Option<&SortedSet>,
    ) -> Result<bool, CommandError> {
        if !matches!(kind, Kind::Search | Kind::SearchAndStore) {
            return Ok(false);
        }
        let left = rest.left();
        let (from_place, from_member) = (self.is_from_place, self.is_from_member);
        let is_box = matches!(self.shape, Some(Shape::Box { .. }));
        let is_circle = matches!(self.shape, Some(Shape::Circle { .. }));
        if left > 1 && !from_place && rest.keyword("frommember") {
            self.read_member(rest.value()?, set)?;
            self.is_from_member = true;
        } else if left > 2 && !from_member && rest.keyword("fromlonlat") {
            self.middle = Some(place(rest.value()?, rest.value()?)?);
            self.is_from_place = true;
        } else if left > 2 && !is_box && rest.keyword("byradius") {
            self.read_radius(rest)?;
        } else if left > 3 && !is_circle && rest.keyword("bybox") {
            self.read_box(rest)?;
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    fn read_destination(
        &mut self,
        rest: &mut Cursor<'a, '_>,
        kind: Kind,
    ) -> Result<bool, CommandError> {
        let may_store = match kind {
            Kind::Around { may_store } | Kind::AroundMember { may_store } => may_store,
            Kind::Search => false,
            Kind::SearchAndStore => {
                let found = rest.keyword("storedist");
                self.stores_distances |= found;
                return Ok(found);
            }
        };
        if !may_store || rest.left() < 2 {
            return Ok(false);
        }
        let is_plain = rest.keyword("store");
        if !is_plain && !rest.keyword("storedist") {
            return Ok(false);
        }
        self.stores_distances = !is_plain;
        self.destination = Some(rest.value()?);
        Ok(true)
    }

    fn check(&self, args: &Args<'_>, kind: Kind) -> Result<(), CommandError> {
        let is_search = matches!(kind, Kind::Search | Kind::SearchAndStore);
        if self.destination.is_some() && self.told.count() > 0 {
            return Err(error::geo_store(match is_search {
                true => "GEOSEARCHSTORE",
                false => "STORE option in GEORADIUS",
            }));
        }
        if is_search && self.middle.is_none() {
            return Err(error::geo_one_of("FROMMEMBER or FROMLONLAT", args.at(0)));
        }
        if is_search && self.shape.is_none() {
            return Err(error::geo_one_of("BYRADIUS and BYBOX", args.at(0)));
        }
        if self.any && self.count.is_none() {
            return Err(error::GEO_ANY);
        }
        Ok(())
    }

    /// Where it searches; `None` where there is nothing to search in.
    pub(super) fn area(&self) -> Option<Area> {
        let (middle, shape) = self.middle.zip(self.shape)?;
        Some(Area { middle, shape })
    }
}
