//! What the tests need from npm and PyPI: a libSQL server and the official MCP clients. The versions
//! are pinned in `crates/memory-testkit`, the files live under `target/testkit`.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use crate::run::run;
use crate::{Workspace, say};

/// Installs what is missing or of another version. `Ok(false)` when something is still missing and
/// `CI=true`; without it a machine that has no npm or no Python is told which tests will be skipped.
pub(crate) fn install(workspace: &Workspace) -> io::Result<bool> {
    fs::create_dir_all(&workspace.testkit)?;
    let pins = workspace.root.join("crates/memory-testkit");
    let npm = npm_packages(&workspace.testkit, &pins.join("package.json"))?;
    let python = python_packages(&workspace.testkit, &pins.join("requirements.txt"))?;
    if workspace.ci && !(npm && python) {
        say("CI=true and a part of the test kit is missing: that is a failure\n")?;
    }
    Ok(npm && python || !workspace.ci)
}

fn npm_packages(testkit: &Path, pins: &Path) -> io::Result<bool> {
    let installed = testkit.join("npm.installed");
    if is_current(pins, &installed)? {
        return Ok(true);
    }
    say("\nInstalling from npm into target/testkit: a libSQL server and the MCP clients\n")?;
    fs::copy(pins, testkit.join("package.json"))?;
    // The server's post-install script fails when it is installed by itself and is not needed.
    let arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--no-package-lock"];
    let mut npm = Command::new("npm");
    npm.args(arguments).arg("--loglevel=error").current_dir(testkit);
    if !run(&mut npm, |_| {})?.ok {
        say(
            "npm failed: the tests against a libSQL server and the TypeScript clients cannot run. \
             Install node 20 or later with npm and try again\n",
        )?;
        return Ok(false);
    }
    fs::copy(pins, installed)?;
    Ok(true)
}

fn python_packages(testkit: &Path, pins: &Path) -> io::Result<bool> {
    let installed = testkit.join("python.installed");
    if is_current(pins, &installed)? {
        return Ok(true);
    }
    say("\nInstalling from PyPI into target/testkit/venv: the MCP client\n")?;
    let venv = testkit.join("venv");
    let mut create = Command::new("python3");
    create.args(["-m", "venv", "--clear"]).arg(&venv);
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--requirement"]).arg(pins);
    if !run(&mut create, |_| {})?.ok || !run(&mut pip, |_| {})?.ok {
        say("Python failed: the tests with the Python client cannot run. Install Python 3.10 or \
             later with its venv module (Debian: python3-venv) and try again\n")?;
        return Ok(false);
    }
    fs::copy(pins, installed)?;
    Ok(true)
}

/// Whether the last complete install was of these pins. The copy is written last, so that an
/// install that was cut short is done again.
fn is_current(pins: &Path, installed: &Path) -> io::Result<bool> {
    Ok(fs::read(installed).is_ok_and(|bytes| Some(bytes) == fs::read(pins).ok()))
}
