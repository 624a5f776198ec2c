//! Instants as the API writes them: ISO 8601 with any offset and precision.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime};

/// Microseconds since 1970, floored; without an offset the time is UTC. `None` for anything else, and for years that are not
/// 1 to 9999 in UTC.
pub fn parse_instant(text: &str) -> Option<i64> {
    let text = text.trim();
    let instant = DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%#z"))
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f%#z"))
        .map(|instant| instant.to_utc())
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").map(|local| local.and_utc()))
        .or_else(|_| NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").map(|local| local.and_utc()))
        .or_else(|_| NaiveDate::parse_from_str(text, "%Y-%m-%d").map(|day| day.and_time(NaiveTime::MIN).and_utc()))
        .ok()?;
    (1..=9999).contains(&instant.year()).then(|| instant.timestamp_micros())
}

/// Writes an instant as RFC 3339 in UTC, with as many digits as it needs: 0, 3 or 6.
pub fn write_instant(micros: i64) -> Option<String> {
    let instant = DateTime::from_timestamp_micros(micros)?;
    Some(instant.to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true))
}
