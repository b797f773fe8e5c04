//! What the scanner promises about borders, damage and memory.

use super::*;

const MIB: usize = 1024 * 1024;

/// `times` copies of a record between an opening and a closing bracket, made as it is read.
struct Generated {
    record: Vec<u8>,
    times: usize,
    at: usize,
}

impl Read for Generated {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let rest = self.record.get(self.at..).unwrap_or_default();
        let read = rest.len().min(buf.len());
        buf[..read].copy_from_slice(&rest[..read]);
        self.at += read;
        if self.at == self.record.len() && self.times > 1 {
            self.times -= 1;
            self.at = 0;
        }
        Ok(read)
    }
}

fn count<R: Read>(scanner: &mut RecordScanner<R>) -> (usize, Vec<Fault>) {
    let (mut good, mut faults) = (0, Vec::new());
    while let Some(record) = scanner.next_record() {
        match record {
            Ok(_) => good += 1,
            Err(fault) => faults.push(fault),
        }
    }
    (good, faults)
}

#[test]
fn memory_is_bounded_by_one_record_however_long_the_file_is() {
    let record = format!("{{\"id\":1,\"text\":\"{}\"}},\n", "x".repeat(200_000)).into_bytes();
    let generated = Generated { record, times: 1000, at: 0 };
    let input = b"[".chain(generated).chain(&b"{\"id\":2}]"[..]);
    let mut scanner = RecordScanner::new(input, Shape::Array, "id", MAX_RECORD_BYTES);
    assert_eq!(count(&mut scanner), (1001, vec![]));
    assert!(scanner.peak < MIB, "{} bytes were held", scanner.peak);
}

#[test]
fn a_record_over_the_limit_is_skipped_without_being_held() {
    let huge = Generated { record: b"abc\\\"{[,".to_vec(), times: 4 * MIB, at: 0 };
    let input =
        (&b"[{\"id\":1},\n{\"id\":2,\"text\":\""[..]).chain(huge).chain(&b"\"},\n{\"id\":3}]"[..]);
    let mut scanner = RecordScanner::new(input, Shape::Array, "id", MIB);
    let (good, faults) = count(&mut scanner);
    let problem = "the record that begins here is longer than 1 MiB and was skipped";
    assert_eq!((good, faults), (2, vec![Fault { line: 2, problem: problem.to_owned() }]));
    assert!(scanner.peak < 2 * MIB, "{} bytes were held", scanner.peak);
}

#[test]
fn nested_objects_that_look_like_records_stay_inside_theirs() {
    let text = r#"{"a": {"reward": 1, "info": {"reward": {"reward": 0}}, "traj": []}, "b": {"reward": 0}}"#;
    let mut scanner = RecordScanner::new(text.as_bytes(), Shape::Dict, "traj", MIB);
    assert_eq!(count(&mut scanner), (2, vec![]));
}

#[test]
fn records_carry_their_key_and_the_line_they_begin_on() {
    let text = "\u{FEFF}\n{ \"k \\\" 1\" :\n {\"x\": [1,\n2]} , \"k2\": 3 }\n";
    let mut scanner = RecordScanner::new(text.as_bytes(), Shape::Dict, "x", MIB);
    let first = scanner.next_record().unwrap().unwrap();
    assert_eq!((first.key.as_deref(), first.line), (Some("k \" 1"), 3));
    assert_eq!(first.text, "{\"x\": [1,\n2]}");
    let second = scanner.next_record().unwrap().unwrap();
    assert_eq!((second.text.as_str(), second.line), ("3", 4));
    assert!(scanner.next_record().is_none());
}
