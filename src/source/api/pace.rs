//! How fast requests may leave: a limit of the user's, and the brakes that the API's 429s put on.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use tokio::time::Instant;

/// The pace of all chains together.
#[derive(Debug)]
pub struct Pace {
    limit: Option<DefaultDirectRateLimiter>,
    brakes: Mutex<Brakes>,
}

#[derive(Debug)]
struct Brakes {
    /// No request leaves before this.
    closed_until: Instant,
    /// Time between two requests; zero while the API has not complained.
    gap: Duration,
}

/// The first gap after a complaint, and the longest.
const FIRST_GAP: Duration = Duration::from_millis(20);
const LONGEST_GAP: Duration = Duration::from_secs(5);

/// A gap that has shrunk below this is none.
const LEAST_GAP: Duration = Duration::from_millis(2);

impl Pace {
    /// At most so many requests a second, if that is said: any number above 0.
    pub fn new(requests_per_second: Option<f64>) -> Pace {
        // Evenly: without a burst at the beginning.
        let between = requests_per_second.and_then(|rate| Duration::try_from_secs_f64(1.0 / rate).ok());
        let quota = between.and_then(Quota::with_period);
        let brakes = Brakes { closed_until: Instant::now(), gap: Duration::ZERO };
        Pace { limit: quota.map(RateLimiter::direct), brakes: Mutex::new(brakes) }
    }

    /// Waits for a turn; gives how long the brakes made it wait.
    pub async fn turn(&self) -> Duration {
        if let Some(limit) = &self.limit {
            limit.until_ready().await;
        }
        let now = Instant::now();
        let turn = self.take_turn(now);
        tokio::time::sleep_until(turn).await;
        turn.saturating_duration_since(now)
    }

    fn take_turn(&self, now: Instant) -> Instant {
        let mut brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        let turn = brakes.closed_until.max(now);
        brakes.closed_until = turn + brakes.gap;
        turn
    }

    /// The API has had too much: all wait for so long, and go on at half the pace.
    pub fn brake(&self, pause: Duration) {
        let mut brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        let until = Instant::now() + pause;
        // Those that were on their way together complain together, which is one complaint.
        if until > brakes.closed_until || brakes.gap.is_zero() {
            brakes.gap = (brakes.gap * 2).clamp(FIRST_GAP, LONGEST_GAP);
        }
        brakes.closed_until = brakes.closed_until.max(until);
    }

    /// The API is content: a little faster again.
    pub fn ease(&self) {
        let mut brakes = self.brakes.lock().unwrap_or_else(PoisonError::into_inner);
        let gap = brakes.gap.mul_f64(0.95);
        brakes.gap = if gap < LEAST_GAP { Duration::ZERO } else { gap };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_may_be_below_one_a_second() {
        for (rate, seconds) in [(0.5, 2.0), (1.0, 1.0), (4.0, 0.25), (0.001, 1_000.0)] {
            let pace = Pace::new(Some(rate));
            let limit = pace.limit.as_ref().unwrap();
            assert!(limit.check().is_ok());
            let wait = limit.check().unwrap_err().wait_time_from(governor::clock::Clock::now(limit.clock()));
            assert!((wait.as_secs_f64() - seconds).abs() < 0.1 * seconds, "{rate}: {wait:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_complaint_stops_everybody_and_slows_what_follows() {
        let pace = Pace::new(None);
        assert_eq!(pace.turn().await, Duration::ZERO);
        pace.brake(Duration::from_secs(3));
        assert_eq!(pace.turn().await, Duration::from_secs(3));
        assert_eq!(pace.turn().await, FIRST_GAP);
        for _ in 0..100 {
            pace.ease();
        }
        pace.turn().await;
        assert_eq!(pace.turn().await, Duration::ZERO);
    }
}
