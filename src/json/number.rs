//! What a JSON number is worth in a 64-bit integer or a double, and whether that is all of it.

/// A number by what holds it exactly.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    /// An integer of 64 bits, spelled without fraction or exponent.
    Integer(i64),
    /// A double with the same decimal value.
    Double(f64),
    /// More digits or a larger exponent than either holds: the nearest double, if it is finite.
    Inexact(Option<f64>),
}

/// A decimal of at most so many digits survives the way into a double and back (IEEE 754, DBL_DIG).
const SAFE_DIGITS: usize = 15;

/// Up to here every integer is a double (IEEE 754: 53 bits).
const MAX_SAFE_INTEGER: u64 = 1 << 53;

impl Number {
    /// Reads a number as JSON spells it.
    pub fn of(text: &str) -> Number {
        if let (false, Ok(integer)) = (text == "-0", text.parse()) {
            return Number::Integer(integer);
        }
        let Some(double) = text.parse::<f64>().ok().filter(|double| double.is_finite()) else {
            return Number::Inexact(None);
        };
        let is_short = text.len() <= SAFE_DIGITS && !text.contains(['e', 'E']);
        if is_short || Decimal::of(text) == Decimal::of(&format!("{double:e}")) {
            Number::Double(double)
        } else {
            Number::Inexact(Some(double))
        }
    }

    /// The nearest double, if it is finite.
    pub fn nearest(self) -> Option<f64> {
        match self {
            Number::Integer(integer) => Some(integer as f64),
            Number::Double(double) => Some(double),
            Number::Inexact(nearest) => nearest,
        }
    }

    /// The double of the same value, whose shortest spelling has that value too.
    pub fn exact_double(self) -> Option<f64> {
        match self {
            Number::Integer(integer) => (integer.unsigned_abs() <= MAX_SAFE_INTEGER).then_some(integer as f64),
            Number::Double(double) => Some(double),
            Number::Inexact(_) => None,
        }
    }

    /// The integer of the same value, however it was spelled.
    pub fn exact_integer(self) -> Option<i64> {
        match self {
            Number::Integer(integer) => Some(integer),
            Number::Double(double) if double.fract() == 0.0 && double.abs() <= MAX_SAFE_INTEGER as f64 => {
                Some(double as i64)
            }
            _ => None,
        }
    }
}

/// A decimal value, however it is spelled: `digits` without zeros at either end, times ten to the `exponent`.
#[derive(Debug, PartialEq, Eq)]
pub struct Decimal {
    is_negative: bool,
    digits: Vec<u8>,
    /// `None` where the spelled exponent is beyond 64 bits.
    exponent: Option<i64>,
}

impl Decimal {
    /// Reads a number as JSON or Rust spells it.
    pub fn of(text: &str) -> Decimal {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let unsigned = mantissa.trim_start_matches('-');
        let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
        let mut digits = [whole.as_bytes(), fraction.as_bytes()].concat();
        let trailing = digits.iter().rev().take_while(|digit| **digit == b'0').count();
        digits.truncate(digits.len() - trailing);
        let leading = digits.iter().take_while(|digit| **digit == b'0').count();
        digits.drain(..leading);
        if digits.is_empty() {
            return Decimal { is_negative: false, digits, exponent: Some(0) };
        }
        let shift = trailing as i64 - fraction.len() as i64;
        let exponent = exponent.parse::<i64>().ok().and_then(|exponent| exponent.checked_add(shift));
        Decimal { is_negative: mantissa.starts_with('-'), digits, exponent }
    }

    /// A spelling that equal values share.
    pub fn canonical(&self) -> String {
        let sign = if self.is_negative { "-" } else { "" };
        let digits = String::from_utf8_lossy(&self.digits);
        match self.exponent {
            Some(exponent) => format!("{sign}{digits}e{exponent}"),
            None => format!("{sign}{digits}e?"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_where_they_are_exact() {
        assert_eq!(Number::of("3"), Number::Integer(3));
        assert_eq!(Number::of("-9223372036854775808"), Number::Integer(i64::MIN));
        assert_eq!(Number::of("3.0"), Number::Double(3.0));
        assert_eq!(Number::of("0.1"), Number::Double(0.1));
        assert_eq!(Number::of("1e22"), Number::Double(1e22));
        assert_eq!(Number::of("10000000000000000000"), Number::Double(1e19));
        assert_eq!(Number::of("0.10000000000000000001"), Number::Inexact(Some(0.1)));
        assert_eq!(Number::of("9223372036854775809"), Number::Inexact(Some(9223372036854775808.0)));
        assert_eq!(Number::of("1e400"), Number::Inexact(None));
        assert_eq!(Number::of("1e-400"), Number::Inexact(Some(0.0)));
    }

    #[test]
    fn doubles_are_integers_only_where_every_integer_is_a_double() {
        assert_eq!(Number::of("1e2").exact_integer(), Some(100));
        assert_eq!(Number::of("2.5").exact_integer(), None);
        assert_eq!(Number::of("1234567890123456700.0").exact_integer(), None);
        assert_eq!(Number::of("9007199254740993").exact_double(), None);
        assert_eq!(Number::of("9007199254740992").exact_double(), Some(9007199254740992.0));
    }

    #[test]
    fn equal_decimals_are_equal_however_they_are_spelled() {
        for spelling in ["1200", "1.2e3", "12E+2", "0.12e4", "1200.00"] {
            assert_eq!(Decimal::of(spelling), Decimal::of("1200"), "{spelling}");
        }
        assert_eq!(Decimal::of("-0.0"), Decimal::of("0"));
        assert_ne!(Decimal::of("-1"), Decimal::of("1"));
    }
}
