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
        if !text.contains(['.', 'e', 'E']) && text != "-0" {
            if let Ok(integer) = text.parse() {
                return Number::Integer(integer);
            }
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
            return Decimal {
                is_negative: false,
                digits,
                exponent: Some(0),
            };
        }
        let shift = trailing as i64 - fraction.len() as i64;
        let exponent = exponent
            .parse::<i64>()
            .ok()
            .and_then(|exponent| exponent.checked_add(shift));
        Decimal {
            is_negative: mantissa.starts_with('-'),
            digits,
            exponent,
        }
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
