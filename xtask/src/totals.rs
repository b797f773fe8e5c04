//! The numbers in the `test result` lines of cargo's test harness.

use std::fmt;

/// Tests counted over all suites (test binaries and documentation), from what they printed
/// themselves.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) suites: u64,
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
    /// The names of those that failed, as far as they were printed.
    pub(crate) failures: Vec<String>,
}

impl Totals {
    /// Adds a line such as `test result: ok. 3 passed; 0 failed; 1 ignored; ...` or `test name ...
    /// FAILED`; any other is no news.
    pub(crate) fn see(&mut self, line: &str) {
        let test = line.strip_prefix("test ").and_then(|rest| rest.strip_suffix(" ... FAILED"));
        self.failures.extend(test.map(str::to_owned));
        let Some(result) = line.strip_prefix("test result: ") else { return };
        self.suites += 1;
        let counts = result.split_once(". ").map_or(result, |(_verdict, counts)| counts);
        for count in counts.split("; ") {
            let Some((number, what)) = count.split_once(' ') else { continue };
            let number = number.parse::<u64>().unwrap_or(0);
            match what {
                "passed" => self.passed += number,
                "failed" => self.failed += number,
                "ignored" => self.ignored += number,
                _ => {}
            }
        }
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { suites, passed, failed, ignored, .. } = self;
        write!(f, "{passed} passed; {failed} failed; {ignored} ignored; in {suites} test suites")
    }
}

#[cfg(test)]
mod tests {
    use super::Totals;

    #[test]
    fn totals_add_up_over_test_suites() {
        let mut totals = Totals::default();
        totals.see("running 3 tests");
        totals.see("test good ... ok");
        totals.see("test module::bad ... FAILED");
        totals.see("test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        totals.see("test result: FAILED. 2 passed; 5 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        assert_eq!(
            totals,
            Totals {
                suites: 2,
                passed: 5,
                failed: 5,
                ignored: 1,
                failures: vec!["module::bad".into()]
            }
        );
    }
}
