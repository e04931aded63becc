//! The checkpoint flags of `obertc run`.

use std::time::Duration;

use clap::Args;

use crate::api::{CheckpointConfig, Resume};

#[derive(Args, Debug)]
pub struct CheckpointArgs {
    /// Resume the run in `--out`, or the latest of runs/NAME, from its newest checkpoint
    #[arg(long)]
    resume: bool,
    /// Resume although recipe, data or flags have changed, if the changes affect only later steps
    #[arg(long)]
    resume_anyway: bool,
    /// Time between checkpoints, as 90s, 10m or 2h; 0s writes one before every step. There is also one at every
    /// epoch, before every pruning event, and when the run is stopped
    #[arg(long, value_name = "TIME", default_value = "10m", value_parser = duration)]
    checkpoint_every: Duration,
    /// Maximum number of checkpoints in the run's folder: older ones are deleted; 0 writes none
    #[arg(long, value_name = "K", default_value_t = 2)]
    max_checkpoints: usize,
    /// Do not delete the checkpoints when the run is finished
    #[arg(long)]
    keep_checkpoints: bool,
}

/// Parses `90s`, `10m` or `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a time such as 90s, 10m or 2h");
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3600.0,
        _ => return Err(wrong()),
    };
    let number: f64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Duration::try_from_secs_f64(number * seconds).map_err(|_| wrong())
}

impl CheckpointArgs {
    /// The same for the library.
    pub fn config(&self) -> CheckpointConfig {
        let resume = match (self.resume, self.resume_anyway) {
            (_, true) => Resume::Anyway,
            (true, false) => Resume::Same,
            (false, false) => Resume::No,
        };
        CheckpointConfig {
            resume,
            every: self.checkpoint_every,
            max: self.max_checkpoints,
            keep: self.keep_checkpoints,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_their_units() {
        assert_eq!(duration("90s").unwrap(), Duration::from_secs(90));
        assert_eq!(duration("1.5h").unwrap(), Duration::from_secs(5400));
        assert_eq!(duration("0s").unwrap(), Duration::ZERO);
        for wrong in ["", "10", "m", "-1s", "10 min", "1e300h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
