//! Times as people type them.

use chrono::{DateTime, NaiveDate, Utc};

use super::usage;
use crate::error::Result;
use crate::time::read_instant;

/// An ISO 8601 time, a date, which begins at midnight UTC, or so long ago. Tells too whether it moves with `now`.
pub(super) fn instant(flag: &'static str, text: Option<&str>, now: DateTime<Utc>) -> Result<Option<(i64, bool)>> {
    let Some(text) = text.map(str::trim) else { return Ok(None) };
    let date = || Some(text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)?.and_utc().timestamp_micros());
    let ago = || {
        let ago = humantime::parse_duration(text.strip_suffix("ago")?.trim()).ok()?;
        Some(now.checked_sub_signed(chrono::Duration::from_std(ago).ok()?)?.timestamp_micros())
    };
    let fixed = read_instant(text).or_else(date).map(|time| (time, false));
    let found = fixed.or_else(|| Some((ago()?, true)));
    let expected = "a time such as 2025-01-02T04:00:00Z, a date such as 2025-01-02, or `2 days ago`";
    found.map(Some).ok_or_else(|| usage(flag, expected, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_instants_dates_or_so_long_ago() {
        let now = "2025-03-10T12:00:00Z".parse().unwrap();
        let micros = |text: &str| {
            instant("--completed-after", Some(text), now)
                .ok()
                .flatten()
                .map(|(time, _)| crate::time::write_instant(time).unwrap_or_default())
        };
        for (text, expected) in [
            ("2025-01-02T04:00:00+02:00", "2025-01-02T02:00:00Z"),
            ("2025-01-02", "2025-01-02T00:00:00Z"),
            ("2 days ago", "2025-03-08T12:00:00Z"),
            ("1h 30min ago", "2025-03-10T10:30:00Z"),
        ] {
            assert_eq!(micros(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["yesterday", "2 days", "", "2025-13-01"] {
            assert_eq!(micros(text), None, "{text}");
        }
    }
}
