//! Timestamps as the API prints them.

/// Milliseconds of a day.
pub(super) const DAY_MS: u64 = 86_400_000;

/// How a timestamp is printed.
#[derive(Clone, Copy, Default)]
pub(super) enum TimeStyle {
    /// `2024-03-01T05:31:56.169Z`, nearly always.
    #[default]
    Utc,
    /// `2024-03-01T05:31:56Z`.
    UtcSeconds,
    /// `2024-03-01T07:31:56.169+02:00`, minutes east of UTC. The same instant, perhaps another local day.
    Offset(i32),
}

/// Prints the instant, given in milliseconds since 1970.
pub(super) fn timestamp(instant_ms: u64, style: TimeStyle) -> String {
    let offset_minutes = if let TimeStyle::Offset(minutes) = style { minutes } else { 0 };
    let local_ms = instant_ms.saturating_add_signed(i64::from(offset_minutes) * 60_000);
    let (year, month, day) = civil(local_ms / DAY_MS);
    let seconds = local_ms % DAY_MS / 1_000;
    let (hour, minute, second, ms) = (seconds / 3_600, seconds / 60 % 60, seconds % 60, local_ms % 1_000);
    let start = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    match style {
        TimeStyle::Utc => format!("{start}.{ms:03}Z"),
        TimeStyle::UtcSeconds => format!("{start}Z"),
        TimeStyle::Offset(minutes) => {
            let sign = if minutes < 0 { '-' } else { '+' };
            let minutes = minutes.unsigned_abs();
            format!("{start}.{ms:03}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        }
    }
}

/// Year, month and day of a day number since 1970, by Howard Hinnant's `civil_from_days`, for days from 1970 on.
fn civil(day_number: u64) -> (u64, u64, u64) {
    let shifted = day_number + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_leap_days_and_offsets() {
        let instant_ms = 1_709_164_799_007; // 2024-02-28T23:59:59.007Z
        assert_eq!(timestamp(instant_ms, TimeStyle::Utc), "2024-02-28T23:59:59.007Z");
        assert_eq!(timestamp(instant_ms, TimeStyle::UtcSeconds), "2024-02-28T23:59:59Z");
        assert_eq!(timestamp(instant_ms, TimeStyle::Offset(120)), "2024-02-29T01:59:59.007+02:00");
        assert_eq!(timestamp(instant_ms, TimeStyle::Offset(-330)), "2024-02-28T18:29:59.007-05:30");
    }
}
