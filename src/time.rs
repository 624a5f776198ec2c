//! Instants as the API writes them: ISO 8601 in any of its forms, with any offset and precision.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};

mod iso_8601;

/// Microseconds since 1970, floored; without an offset the time is UTC. `None` for anything else, and for years that are not
/// 1 to 9999 in UTC. A leap second is the instant behind it: `23:59:60` is the midnight that follows.
pub fn read_instant(text: &str) -> Option<i64> {
    let text = text.trim();
    let instant = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%#z"))
        .map(|instant| instant.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|local| local.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|local| local.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").map(|local| local.and_utc()))
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .ok()
        .or_else(|| DateTime::from_timestamp_micros(iso_8601::read(text)?))?;
    (1..=9999).contains(&instant.year()).then(|| instant.timestamp_micros())
}

/// Writes an instant as RFC 3339 in UTC, with as many digits as it needs: 0, 3 or 6.
pub fn write_instant(micros: i64) -> Option<String> {
    let instant = DateTime::from_timestamp_micros(micros)?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}

/// The same, always with six digits: such texts are ordered as their instants are.
pub fn write_micros(micros: i64) -> Option<String> {
    Some(DateTime::from_timestamp_micros(micros)?.to_rfc3339_opts(chrono::SecondsFormat::Micros, true))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_floored_to_microseconds() {
        assert_eq!(read_instant("1970-01-01T00:00:00.0000019Z"), Some(1));
        assert_eq!(read_instant("1969-12-31T23:59:59.9999991Z"), Some(-1));
        assert_eq!(read_instant("1969-12-31T23:59:59.9999999Z"), Some(-1));
    }

    #[test]
    fn any_offset_is_read_and_none_is_utc() {
        for text in [
            "2025-01-02T04:00:00Z",
            "2025-01-02T05:30:00+01:30",
            "2025-01-02T05:30:00+0130",
            "2025-01-01T20:00:00-08:00",
            "2025-01-02T04:00:00",
            "2025-01-02T04:00Z",
            "2025-01-02T04:00",
            "2025-01-02 04:00:00",
            "2025-01-02 04:00:00Z",
        ] {
            assert_eq!(read_instant(text), Some(1_735_790_400_000_000), "{text}");
        }
        assert_eq!(read_instant("2025-01-02"), Some(1_735_776_000_000_000));
    }

    #[test]
    fn a_leap_second_is_the_instant_behind_it() {
        for text in ["2016-12-31T23:59:60Z", "20161231T235960Z", "2016-12-31T15:59:60-08:00"] {
            assert_eq!(read_instant(text), read_instant("2017-01-01T00:00:00Z"), "{text}");
        }
    }

    #[test]
    fn what_is_no_instant_of_the_years_1_to_9999_is_none() {
        for text in [
            "",
            "yesterday",
            "2025-13-01T00:00:00Z",
            "0000-12-31T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "9999-12-31T23:59:59-01:00",
            "0001-01-01T00:00:00+01:00",
            "1735790400",
        ] {
            assert_eq!(read_instant(text), None, "{text}");
        }
    }

    #[test]
    fn written_instants_are_read_back() {
        for micros in [0, -1, 1, 1_735_790_400_169_000, -62_135_596_800_000_000, 253_402_300_799_999_999] {
            assert_eq!(read_instant(&write_instant(micros).unwrap()), Some(micros));
        }
    }
}
