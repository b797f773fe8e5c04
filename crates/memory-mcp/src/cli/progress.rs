//! Progress of long work, on stderr and only when that is a terminal.

use indicatif::{ProgressBar, ProgressStyle};

const BYTES: &str = "{bar:30.green} {binary_bytes}/{binary_total_bytes} {wide_msg:.dim} {eta}";
const RECORDS: &str = "{bar:30.green} {human_pos}/{human_len} {wide_msg:.dim} {eta}";

/// For work measured in bytes of input.
pub(super) fn bytes(total: u64) -> ProgressBar {
    bar(total, BYTES)
}

/// For work measured in records.
pub(super) fn records(total: u64) -> ProgressBar {
    bar(total, RECORDS)
}

fn bar(total: u64, template: &str) -> ProgressBar {
    let bar = ProgressBar::new(total);
    // A template that did not parse would leave the library's own style.
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("━╸ "));
    }
    bar
}
