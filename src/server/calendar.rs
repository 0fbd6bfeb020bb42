//! Days since 1970 to dates of the Gregorian calendar and back, in UTC. Years begin in March here, so that a leap day is the last day
//! of its year. Source: H. Hinnant, "chrono-compatible low-level date algorithms".

/// Days from 1 March of the year 0 to 1 January 1970.
const TO_1970: u64 = 719_468;

/// Days from 1970 to a day, with months and days from 1; 0 for earlier ones, `None` for what is no month or the day 0. A day beyond the
/// end of its month is one of the next.
pub(super) fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let (year, march_month) = match month {
        1 | 2 => (year.checked_sub(1)?, month + 9),
        3..=12 => (year, month - 3),
        _ => return None,
    };
    let day_of_year = (153 * march_month + 2) / 5 + day.checked_sub(1)?;
    let from_march_0000 = 365 * year + year / 4 - year / 100 + year / 400 + day_of_year;
    Some(from_march_0000.saturating_sub(TO_1970))
}

/// Year, month and day, the last two from 1, of a number of days since 1970.
pub(super) fn date_of(days: u64) -> (u64, u64, u64) {
    let from_march_0000 = days + TO_1970;
    let era = from_march_0000 / 146_097;
    let day_of_era = from_march_0000 % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = (march_month + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_day_of_a_thousand_years_goes_there_and_back_and_follows_the_one_before() {
        let mut before = (1969, 12, 31);
        for day in 0..366_000 {
            let (year, month, of_month) = date_of(day);
            assert_eq!(days(year, month, of_month), Some(day));
            let expected = match before {
                (year, 12, 31) => (year + 1, 1, 1),
                (year, month, of_month) if of_month == length(year, month) => (year, month + 1, 1),
                (year, month, of_month) => (year, month, of_month + 1),
            };
            assert_eq!((year, month, of_month), expected);
            before = expected;
        }
    }

    fn length(year: u64, month: u64) -> u64 {
        let is = |every| year.is_multiple_of(every);
        let is_leap = is(4) && (!is(100) || is(400));
        match month {
            2 => 28 + u64::from(is_leap),
            4 | 6 | 9 | 11 => 30,
            _ => 31,
        }
    }
}
