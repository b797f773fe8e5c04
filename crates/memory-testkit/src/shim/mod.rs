//! A library that is loaded into a process before its others, so that its storage calls fail on command
//! and its connections are written down: real processes, real calls, no change to the program.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::npm::skip;

/// The compiled library, and what it wrote down.
#[derive(Debug)]
pub struct Shim {
    directory: TempDir,
}

/// The error that a call fails with.
#[derive(Debug, Clone, Copy)]
pub enum Failure {
    /// The disk did not answer.
    Io = 5,
    /// There is no space left.
    NoSpace = 28,
}

impl Shim {
    /// Compiles it. `None`: this machine cannot, the reason is printed and the test is to return.
    pub fn build() -> Option<Self> {
        if !cfg!(target_os = "linux") {
            skip("calls are intercepted on Linux only");
            return None;
        }
        let shim = Shim { directory: tempfile::tempdir().expect("a temporary directory") };
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/shim/shim.c");
        let mut compiler = Command::new("cc");
        compiler.args(["-O1", "-Wall", "-shared", "-fPIC", "-o"]).arg(shim.library()).arg(source);
        match compiler.arg("-ldl").output() {
            Ok(output) => {
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "the shim does not compile:\n{said}");
                Some(shim)
            }
            Err(e) => {
                skip(&format!("no C compiler: {e}"));
                None
            }
        }
    }

    /// Loads it into `command`, without anything failing.
    pub fn load(&self, command: &mut Command) {
        command.env("LD_PRELOAD", self.library()).env("SHIM_LOG", self.log());
    }

    /// Loads it into `command`, whose storage call number `n` (from 1) below `data` fails.
    pub fn fail(&self, command: &mut Command, data: &Path, n: u64, failure: Failure) {
        self.load(command);
        command.env("SHIM_DIR", data).env("SHIM_FAIL", n.to_string());
        command.env("SHIM_ERRNO", (failure as i32).to_string());
    }

    /// What was written down since this was last asked: `failed WHAT call N`, `connect ADDRESS`.
    pub fn noted(&self) -> Vec<String> {
        let noted = std::fs::read_to_string(self.log()).unwrap_or_default();
        // Nothing was noted, then there is nothing to remove.
        let _ = std::fs::remove_file(self.log());
        noted.lines().map(str::to_owned).collect()
    }

    fn library(&self) -> PathBuf {
        self.directory.path().join("shim.so")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log")
    }
}
