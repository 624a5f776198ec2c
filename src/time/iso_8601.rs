//! The forms of ISO 8601 that chrono's formats don't have: basic (without separators), week and ordinal dates, decimal fractions of
//! any last part, with a comma too, and 24:00 as the end of a day.

use chrono::{NaiveDate, Weekday};

const SECOND: i64 = 1_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// Microseconds since 1970, floored, of a date, or of a date and a time. Without an offset the time is UTC.
pub(super) fn read(text: &str) -> Option<i64> {
    let (day, time) = match text.split_once(['T', 't', ' ']) {
        Some((day, time)) => (day, time_of_day(time)?),
        None => (text, 0),
    };
    let midnight = date(day)?.and_hms_opt(0, 0, 0)?.and_utc();
    Some(midnight.timestamp_micros() + time)
}

/// `2023-11-07`, `2023-W45-2` or `2023-311`, each with or without hyphens.
fn date(text: &str) -> Option<NaiveDate> {
    let (year, rest) = text.split_at_checked(4)?;
    let year = number(year)? as i32;
    let (is_extended, rest) = rest.strip_prefix('-').map_or((false, rest), |rest| (true, rest));
    if let Some(week) = rest.strip_prefix('W') {
        let (week, day) = week.split_at_checked(2)?;
        let day = if is_extended { day.strip_prefix('-')? } else { day };
        let day = number(day).filter(|_| day.len() == 1)?;
        let weekday = Weekday::try_from(u8::try_from(day).ok()?.checked_sub(1)?).ok()?;
        return NaiveDate::from_isoywd_opt(year, number(week)? as u32, weekday);
    }
    if rest.len() == 3 {
        return NaiveDate::from_yo_opt(year, number(rest)? as u32);
    }
    let (month, day) = rest.split_at_checked(2)?;
    let day = if is_extended { day.strip_prefix('-')? } else { day };
    let day = number(day).filter(|_| day.len() == 2)?;
    NaiveDate::from_ymd_opt(year, number(month)? as u32, day as u32)
}

/// Microseconds since midnight in UTC: `05:31:56`, `05:31` or `05`, with or without colons, with a fraction of the last part and an
/// offset. Negative, or beyond a day, where UTC's day is another.
fn time_of_day(text: &str) -> Option<i64> {
    let (clock, offset) = match text.find(['Z', 'z', '+', '-', '\u{2212}']) {
        Some(at) => text.split_at_checked(at).and_then(|(clock, offset)| Some((clock, self::offset(offset)?)))?,
        None => (text, 0),
    };
    let (whole, fraction) = match clock.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (clock, None),
    };
    let parts = parts(whole).filter(|parts| !parts.is_empty() && parts.len() <= 3)?;
    let (hour, minute, second) =
        (*parts.first()?, parts.get(1).copied().unwrap_or(0), parts.get(2).copied().unwrap_or(0));
    let last_part = match parts.len() {
        1 => HOUR,
        2 => MINUTE,
        _ => SECOND,
    };
    let since_midnight = hour * HOUR
        + minute * MINUTE
        + second * SECOND
        + fraction.map_or(Some(0), |digits| share(last_part, digits))?;
    // 24:00 is the end of the day, and 23:59:60 a leap second.
    let is_time = hour <= 24 && minute < 60 && second <= 60 && since_midnight <= DAY + SECOND;
    let is_end = hour < 24 || since_midnight == DAY;
    (is_time && is_end).then_some(since_midnight - offset)
}

/// Two digits a part, with colons between all of them or between none.
fn parts(text: &str) -> Option<Vec<i64>> {
    if text.contains(':') {
        return text.split(':').map(|part| number(part).filter(|_| part.len() == 2)).collect();
    }
    let pair = |pair: &[u8]| std::str::from_utf8(pair).ok().and_then(number).filter(|_| pair.len() == 2);
    text.as_bytes().chunks(2).map(pair).collect()
}

/// `Z`, `+01`, `+0130` or `+01:30`.
fn offset(text: &str) -> Option<i64> {
    let mut characters = text.chars();
    let sign = match characters.next()? {
        'Z' | 'z' => return characters.as_str().is_empty().then_some(0),
        '+' => 1,
        _ => -1,
    };
    match parts(characters.as_str())?.as_slice() {
        [hours @ ..=23] => Some(sign * hours * HOUR),
        [hours @ ..=23, minutes @ ..=59] => Some(sign * (hours * HOUR + minutes * MINUTE)),
        _ => None,
    }
}

/// A decimal fraction of so many microseconds, floored.
fn share(whole: i64, digits: &str) -> Option<i64> {
    number(digits)?;
    // What follows the fifteenth digit is less than a microsecond of a whole hour.
    let kept = digits.get(..digits.len().min(15))?;
    let share = i128::from(whole) * i128::from(number(kept)?) / 10i128.pow(kept.len() as u32);
    i64::try_from(share).ok()
}

/// A number of digits alone, of which there must be some.
fn number(digits: &str) -> Option<i64> {
    let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
    // More digits than fit are a number too, of which only the first count.
    is_number.then(|| digits.get(..digits.len().min(18)).and_then(|digits| digits.parse().ok())).flatten()
}

#[cfg(test)]
mod tests {
    use chrono::{DateTime, Datelike, Timelike};
    use proptest::prelude::*;

    use super::read;

    #[test]
    fn the_forms_of_an_instant_are_the_same_instant() {
        let expected = DateTime::parse_from_rfc3339("2023-11-07T05:31:30Z").unwrap().timestamp_micros();
        for text in [
            "20231107T053130Z",
            "2023-W45-2T05:31:30Z",
            "2023W452T053130",
            "2023-311T05:31:30+00",
            "2023311t053130z",
            "2023-11-07T05:31,5Z",
            "2023-11-07T05:31.50",
            "20231107T05.525Z",
            "20231107T073130+0200",
            "2023-11-06T21:31:30-08",
            "2023-11-07 05:31:30,000",
            "2023-11-07T05:31:30.000000999999999999999999999Z",
            "2023-11-06T21:31:30\u{2212}08:00",
        ] {
            assert_eq!(read(text), Some(expected), "{text}");
        }
        assert_eq!(read("2023-11-06T24:00:00Z"), read("2023-11-07"));
        assert_eq!(read("20231106T2400"), read("20231107"));
    }

    #[test]
    fn what_is_no_complete_date_and_no_time_is_none() {
        for text in [
            "",
            "2023",
            "2023-11",
            "202311",
            "2023-11-7",
            "20231307",
            "2023-366",
            "2023-W54-1",
            "2023-W45",
            "2023-W45-0",
            "2023-1107",
            "20231107T",
            "20231107T5",
            "20231107T053",
            "20231107T05:3",
            "20231107T2401",
            "20231107T240000.1",
            "20231107T256000",
            "20231107T056000",
            "20231107T053161",
            "20231107T0531Z5",
            "20231107T0531+",
            "20231107T0531+2400",
            "20231107T0531+01:60",
            "20231107T05.",
            "20231107T.5",
            "1735790400",
            "20231107T05-31-30",
            "２０２３1107",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_form_is_what_chrono_says(seconds in -62_135_596_800i64..253_402_300_800, micros in 0..1_000_000i64, west in -12i64..=14) {
            let instant = DateTime::from_timestamp_micros(seconds * 1_000_000 + micros).unwrap();
            let (day, time) = (instant.date_naive(), instant.time());
            let week = day.iso_week();
            prop_assume!((0..=9999).contains(&week.year()));
            let dates = [
                day.format("%Y-%m-%d").to_string(),
                day.format("%Y%m%d").to_string(),
                format!("{:04}-W{:02}-{}", week.year(), week.week(), day.weekday().number_from_monday()),
                format!("{:04}W{:02}{}", week.year(), week.week(), day.weekday().number_from_monday()),
                format!("{:04}-{:03}", day.year(), day.ordinal()),
                format!("{:04}{:03}", day.year(), day.ordinal()),
            ];
            let clock = (time.hour(), time.minute(), time.second());
            let times = [
                format!("{:02}:{:02}:{:02}.{micros:06}", clock.0, clock.1, clock.2),
                format!("{:02}{:02}{:02},{micros:06}", clock.0, clock.1, clock.2),
            ];
            let zone = format!("{}{:02}00", if west < 0 { '-' } else { '+' }, west.abs());
            for date in &dates {
                for time in &times {
                    prop_assert_eq!(read(&format!("{}T{}Z", date, time)), Some(instant.timestamp_micros()));
                    let there = read(&format!("{}T{}{}", date, time, zone));
                    prop_assert_eq!(there, Some(instant.timestamp_micros() - west * 3_600_000_000));
                }
            }
        }
    }
}
