//! How short of memory the machine is, by the kernel's pressure stall information (Linux 4.20; the
//! file says for what share of the last ten seconds some task waited for memory).

/// The own control group's figure, or the machine's.
pub(crate) const FILES: [&str; 2] = ["/sys/fs/cgroup/memory.pressure", "/proc/pressure/memory"];

/// Percent of time waiting above which memory is given back, and below which it is taken again.
const HIGH: f64 = 10.0;
const LOW: f64 = 1.0;

/// The share of the budget to use next, given the one in use. `files`: where the kernel tells, the
/// first that there is.
pub(crate) fn next_share(share: f64, files: &[&str]) -> f64 {
    let text = files.iter().find_map(|file| std::fs::read_to_string(file).ok());
    match text.as_deref().and_then(stalled) {
        Some(percent) => adapt(share, percent),
        None => share,
    }
}

/// Gives back at once, takes again slowly.
fn adapt(share: f64, percent: f64) -> f64 {
    if percent > HIGH {
        (share / 2.0).max(1.0 / 16.0)
    } else if percent < LOW {
        (share * 1.25).min(1.0)
    } else {
        share
    }
}

/// `avg10` of the line that begins with `some`.
fn stalled(text: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with("some "))?;
    let average = line.split(' ').find_map(|field| field.strip_prefix("avg10="))?;
    average.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pressure_halves_the_share_and_calm_restores_it() {
        let text = "some avg10=23.51 avg60=1.00 avg300=0.10 total=1\nfull avg10=99.00 avg60=0.00";
        assert_eq!(stalled(text), Some(23.51));
        assert_eq!(stalled("nonsense"), None);
        let mut share = adapt(1.0, 23.51);
        assert_eq!(share, 0.5);
        for _ in 0..10 {
            share = adapt(share, 50.0);
        }
        assert_eq!(share, 1.0 / 16.0);
        assert_eq!(adapt(share, 5.0), share);
        for _ in 0..20 {
            share = adapt(share, 0.0);
        }
        assert_eq!(share, 1.0);
    }
}
