//! The options EX, PX, EXAT and PXAT of SET, GETEX, HGETEX and their kin: which were given, and the time they mean.

use super::args::{self, Cursor};
use super::error::{self, CommandError};

/// What a time is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    /// EXPIRE, TTL, EX …
    Seconds,
    /// PEXPIRE, PTTL, PX …
    Milliseconds,
}

impl Unit {
    /// Milliseconds; `None` when they are too many.
    pub(crate) fn to_ms(self, number: i64) -> Option<i64> {
        match self {
            Self::Seconds => number.checked_mul(1000),
            Self::Milliseconds => Some(number),
        }
    }
}

/// How a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeForm {
    unit: Unit,
    absolute: bool,
}

impl TimeForm {
    /// EX
    pub(crate) const SECONDS: Self = Self {
        unit: Unit::Seconds,
        absolute: false,
    };
    /// PX
    pub(crate) const MILLISECONDS: Self = Self {
        unit: Unit::Milliseconds,
        absolute: false,
    };
    const AT_SECONDS: Self = Self {
        unit: Unit::Seconds,
        absolute: true,
    };
    const AT_MILLISECONDS: Self = Self {
        unit: Unit::Milliseconds,
        absolute: true,
    };
}

/// An expiry as it was asked for: read only when its turn comes, since Redis reports other errors first.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestedExpiry<'a> {
    pub(crate) form: TimeForm,
    pub(crate) text: &'a [u8],
}

impl<'a> RequestedExpiry<'a> {
    /// Moves over one of the four options with its value when it is next and its value is there.
    pub(crate) fn read_next(options: &mut Cursor<'a, '_>) -> Option<Self> {
        if options.left() < 2 {
            return None;
        }
        let form = if options.keyword("EX") {
            TimeForm::SECONDS
        } else if options.keyword("PX") {
            TimeForm::MILLISECONDS
        } else if options.keyword("EXAT") {
            TimeForm::AT_SECONDS
        } else if options.keyword("PXAT") {
            TimeForm::AT_MILLISECONDS
        } else {
            return None;
        };
        options.next().map(|text| Self { form, text })
    }

    /// Whether the time does not depend on when the command runs.
    pub(crate) fn is_absolute(&self) -> bool {
        self.form.absolute
    }

    /// The time in Unix ms. `name` is the command's, for the error.
    pub(crate) fn at_ms(&self, now_ms: u64, name: &str) -> Result<u64, CommandError> {
        let number = args::required_integer(self.text)?;
        let base_ms = if self.form.absolute { 0 } else { now_ms as i64 };
        let ms = self.form.unit.to_ms(number);
        ms.filter(|ms| *ms > 0)
            .and_then(|ms| ms.checked_add(base_ms))
            .map(|ms| ms as u64)
            .ok_or_else(|| error::invalid_expire_time(name))
    }
}
