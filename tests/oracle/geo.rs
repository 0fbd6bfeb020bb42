//! The generator's commands on places.
//!
//! Of places that are as far from the middle no server has an order; so COUNT is small only with ANY, which needs none.

use super::*;

impl Generator {
    /// Longitude and latitude: of one neighbourhood, anywhere, at the edges, nowhere.
    fn coordinates(&mut self) -> [Vec<u8>; 2] {
        let mut decimal = |from: i64, to: i64| {
            let micro = self.random.range(from * 1_000_000, to * 1_000_000);
            format!("{:.6}", micro as f64 / 1e6)
        };
        let [longitude, latitude] = match decimal(0, 20).as_bytes() {
            [_, b'.', ..] => [decimal(12, 17), decimal(36, 39)],
            [b'1', b'0'..b'6', ..] => [decimal(-180, 181), decimal(-85, 86)],
            [b'1', b'6', ..] => [decimal(179, 180), decimal(-1, 1)],
            [b'1', b'7', ..] => [decimal(-180, -178), decimal(80, 85)],
            [b'1', b'8', ..] => [decimal(-1, 1), decimal(-1, 1)],
            _ => ["abc".to_owned(), decimal(-90, 90)],
        };
        [longitude.into_bytes(), latitude.into_bytes()]
    }

    fn place_name(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0..11 => format!("p{}", self.random.below(40)).into_bytes(),
            _ => self.value(),
        }
    }

    fn unit_of_length(&mut self) -> &'static str {
        self.random
            .pick(&["m", "km", "km", "KM", "ft", "mi", "Mi", "km", "yd"])
    }

    fn length(&mut self) -> Vec<u8> {
        match self.random.below(12) {
            0 => self.wild_number(),
            1 => self.random.pick(&["0", "-1", "nan", "inf"]).into(),
            2..5 => self.random.range(1, 100).to_string().into_bytes(),
            5..10 => self.random.range(50, 900).to_string().into_bytes(),
            _ => self.random.range(1000, 30_000).to_string().into_bytes(),
        }
    }

    fn geoadd(&mut self) -> Words {
        let mut words = words!["GEOADD", self.key_of(GEO_KEYS)];
        for (option, percent) in [("NX", 10), ("XX", 8), ("CH", 20)] {
            if self.random.percent(percent) {
                words.push(option.into());
            }
        }
        if self.random.percent(3) {
            // One name, so that no two are at the same place.
            words.extend(words!["180", "85.05112878", "corner"]);
        }
        let most = if self.random.percent(10) { 150 } else { 8 };
        for _ in 0..=self.random.below(most) {
            let [longitude, latitude] = self.coordinates();
            if longitude == b"abc" && self.random.percent(80) {
                continue;
            }
            words.extend([longitude, latitude, self.place_name()]);
        }
        words
    }

    fn search_options(&mut self, words: &mut Words, may_tell: bool) {
        let mut options = Vec::new();
        if may_tell {
            for option in ["WITHDIST", "WITHCOORD", "WITHHASH"] {
                if self.random.percent(35) {
                    options.push(words![option]);
                }
            }
        }
        match self.random.below(8) {
            0..2 => options.push(words!["ASC"]),
            2 => options.push(words!["DESC"]),
            _ => {}
        }
        match self.random.below(12) {
            0..2 => options.push(words!["COUNT", self.count(), "ANY"]),
            2 => options.push(words!["COUNT", "100000"]),
            3 => options.push(words!["ANY"]),
            _ => {}
        }
        self.random.shuffle(&mut options);
        words.extend(options.into_iter().flatten());
    }

    fn search_area(&mut self, words: &mut Words) {
        let mut parts = Vec::new();
        match self.random.below(9) {
            0..3 => parts.push(words!["FROMMEMBER", self.place_name()]),
            3..8 => {
                let [longitude, latitude] = self.coordinates();
                parts.push(words!["FROMLONLAT", longitude, latitude]);
            }
            _ => {}
        }
        match self.random.below(9) {
            0..5 => parts.push(words!["BYRADIUS", self.length(), self.unit_of_length()]),
            5..8 => parts.push(words![
                "BYBOX",
                self.length(),
                self.length(),
                self.unit_of_length()
            ]),
            _ => {}
        }
        if self.random.percent(20) {
            self.random.shuffle(&mut parts);
        }
        words.extend(parts.into_iter().flatten());
    }

    fn geo_source(&mut self) -> Vec<u8> {
        let keys = if self.random.percent(4) {
            SORTED_SET_KEYS
        } else {
            GEO_KEYS
        };
        self.key_of(keys)
    }

    fn geosearch(&mut self) -> Words {
        if self.random.percent(25) {
            let mut words = words!["GEOSEARCHSTORE", self.key_of(GEO_KEYS), self.geo_source()];
            self.search_area(&mut words);
            let may_tell = self.random.percent(3);
            self.search_options(&mut words, may_tell);
            if self.random.percent(30) {
                words.push(b"STOREDIST".to_vec());
            }
            return words;
        }
        let mut words = words!["GEOSEARCH", self.geo_source()];
        self.search_area(&mut words);
        self.search_options(&mut words, true);
        words
    }

    fn georadius(&mut self) -> Words {
        let is_by_member = self.random.percent(40);
        let reads_only = self.random.percent(30);
        let mut words = match (is_by_member, reads_only) {
            (false, false) => words!["GEORADIUS"],
            (false, true) => words!["GEORADIUS_RO"],
            (true, false) => words!["GEORADIUSBYMEMBER"],
            (true, true) => words!["GEORADIUSBYMEMBER_RO"],
        };
        words.push(self.geo_source());
        if is_by_member {
            words.push(self.place_name());
        } else {
            words.extend(self.coordinates());
        }
        words.extend(words![self.length(), self.unit_of_length()]);
        let stores = self.random.percent(30);
        let may_tell = !stores || self.random.percent(5);
        self.search_options(&mut words, may_tell);
        if stores {
            for _ in 0..=self.random.below(2) {
                let option = self.random.pick(&["STORE", "STOREDIST"]);
                words.extend(words![option, self.key_of(GEO_KEYS)]);
            }
        }
        words
    }

    pub(super) fn places(&mut self) -> Words {
        match self.random.below(20) {
            0..6 => self.geoadd(),
            6..8 => {
                let name = self.random.pick(&["GEOPOS", "GEOHASH"]);
                let mut words = words![name, self.geo_source()];
                for _ in 0..self.random.below(5) {
                    words.push(self.place_name());
                }
                words
            }
            8..10 => {
                let [from, to] = [self.place_name(), self.place_name()];
                let mut words = words!["GEODIST", self.geo_source(), from, to];
                if self.random.percent(60) {
                    words.extend(words![self.unit_of_length()]);
                }
                words
            }
            10..15 => self.geosearch(),
            15..19 => self.georadius(),
            _ => words!["ZRANGE", self.key_of(GEO_KEYS), "0", "-1", "WITHSCORES"],
        }
    }
}
