//! Flags over the environment over the file over the defaults.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use memory_core::error::excerpt;
use serde_json::{Map, Value};

use super::secret::{SECRET_SETTINGS, SHOWN};
use super::{Config, nearest};
use crate::cli::Failure;

/// In front of every setting's name in the environment.
const PREFIX: &str = "MEMORY_MCP_";

/// The variable that names the settings file.
const CONFIG_VARIABLE: &str = "MEMORY_MCP_CONFIG";

/// The variable that turns recording by hooks off for what runs with it: `off`, `0`, `false` or `no`.
pub const HOOKS_VARIABLE: &str = "MEMORY_MCP_HOOKS";

/// The variable for what most people set, and the setting it means.
const DATABASE_VARIABLE: (&str, &str) = ("MEMORY_MCP_DATABASE", "database.url");

/// Where the system looks for programs.
pub fn search_path() -> OsString {
    let found = std::env::vars_os().find(|(name, _)| name == "PATH");
    found.map(|(_, path)| path).unwrap_or_default()
}

/// What the settings are read from besides the command line, as seen when the process started.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// The variables of the environment that begin with `MEMORY_MCP_`.
    pub variables: BTreeMap<String, OsString>,
    /// Where settings live by the platform's rules; `None` without a home directory.
    pub config_home: Option<PathBuf>,
    /// Where data lives by the platform's rules; `None` without a home directory.
    pub data_home: Option<PathBuf>,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_process() -> Self {
        let named = |(key, value): (OsString, OsString)| Some((key.into_string().ok()?, value));
        let base = etcetera::choose_base_strategy().ok();
        Surroundings {
            variables: std::env::vars_os()
                .filter_map(named)
                .filter(|(key, _)| key.starts_with(PREFIX))
                .collect(),
            config_home: base.as_ref().map(BaseStrategy::config_dir),
            data_home: base.as_ref().map(BaseStrategy::data_dir),
        }
    }
}

impl Surroundings {
    /// True when the environment says that hooks are to do nothing.
    pub fn hooks_off(&self) -> bool {
        let word = self.variables.get(HOOKS_VARIABLE).and_then(|word| word.to_str());
        word.is_some_and(|word| ["off", "0", "false", "no"].contains(&word.to_lowercase().trim()))
    }

    /// Where data is unless a setting says otherwise, also when the settings cannot be read.
    pub fn default_data_dir(&self) -> PathBuf {
        let named = self.variables.get(&variable_of("data_dir")).map(PathBuf::from);
        let usual = || Some(self.data_home.as_ref()?.join("memory-mcp"));
        named.or_else(usual).unwrap_or_default()
    }
}

/// What the command line says about settings.
#[derive(Debug, Clone, Default)]
pub struct Flags {
    /// `--config FILE`.
    pub file: Option<PathBuf>,
    /// Dotted names and values, in order; the last word on a name counts.
    pub values: Vec<(String, OsString)>,
}

/// The settings of this run.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// Validated.
    pub config: Config,
    /// Each setting by itself, in the order of [`Config`].
    pub settings: Vec<Setting>,
    /// Things worth a warning, for instance an unknown variable.
    pub warnings: Vec<String>,
}

/// One setting, for `memory-mcp config`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Dotted.
    pub name: String,
    /// As in the settings file; of a secret only that it is set.
    pub value: Value,
    /// `default`, `flag`, `environment NAME` or `file PATH`.
    pub origin: String,
}

/// Puts the sources on top of each other and checks the result.
pub fn load(flags: &Flags, around: &Surroundings) -> Result<Loaded, Failure> {
    let mut layers = Layers::defaults(around);
    if let Some((path, text)) = read_file(flags, around)? {
        let origin = format!("file {}", path.display());
        for (name, value) in parse_file(&path, &text)? {
            layers.set(&name, value, &origin)?;
        }
    }
    let warnings = layers.set_variables(around)?;
    for (name, value) in &flags.values {
        if SECRET_SETTINGS.contains(&name.as_str()) {
            return Err(Failure::usage(format!("{name} cannot be given on the command line"))
                .hint(format!(
                    "other users could read it there; set {} or {name}_file",
                    variable_of(name)
                )));
        }
        layers.set_text(name, value, "flag")?;
    }
    let config = layers.config()?;
    config.validate().map_err(|(name, problem)| layers.wrong(&name, &problem))?;
    layers.hide_secrets();
    Ok(Loaded { config, settings: layers.settings, warnings })
}

/// Every setting with the last word on it so far.
struct Layers {
    settings: Vec<Setting>,
}

impl Layers {
    fn defaults(around: &Surroundings) -> Self {
        let data_dir = around.data_home.as_ref().map(|home| home.join("memory-mcp"));
        let config = Config::defaults(data_dir.unwrap_or_default());
        let values = serde_json::to_value(config).unwrap_or_default();
        let setting = |(name, value)| Setting { name, value, origin: "default".into() };
        Layers { settings: leaves(values).into_iter().map(setting).collect() }
    }

    /// A value as the file has it.
    fn set(&mut self, name: &str, value: Value, origin: &str) -> Result<(), Failure> {
        let setting = self.find(name, origin)?;
        let expected = kind(&setting.value);
        let fits = kind(&value) == expected || setting.value.is_f64() && value.is_number();
        if !fits {
            let given = shown(name, &value.to_string());
            return Err(wrong(name, origin, &format!("is {given}, expected {expected}")));
        }
        (setting.value, setting.origin) = (value, origin.to_owned());
        Ok(())
    }

    /// A value as a flag or a variable has it: text that is read as what the default is, so that
    /// a project may be called `123`.
    fn set_text(&mut self, name: &str, text: &OsStr, origin: &str) -> Result<(), Failure> {
        let setting = self.find(name, origin)?;
        let Some(text) = text.to_str() else {
            let shown = shown(name, &text.to_string_lossy());
            return Err(wrong(name, origin, &format!("is \"{shown}\", which is not valid UTF-8")));
        };
        let value = match setting.value {
            Value::String(_) => Some(text.into()),
            Value::Bool(_) => text.parse::<bool>().ok().map(Value::from),
            Value::Number(ref n) if n.is_f64() => text.parse::<f64>().ok().map(Value::from),
            _ => text.replace('_', "").parse::<u64>().ok().map(Value::from),
        };
        let value = value.ok_or_else(|| {
            let expected = kind(&setting.value);
            wrong(name, origin, &format!("is \"{}\", expected {expected}", excerpt(text)))
        })?;
        (setting.value, setting.origin) = (value, origin.to_owned());
        Ok(())
    }

    /// Takes in the environment; a warning for each variable that looks like a setting and is none.
    fn set_variables(&mut self, around: &Surroundings) -> Result<Vec<String>, Failure> {
        let names: Vec<String> = self.settings.iter().map(|s| s.name.clone()).collect();
        let mut warnings = Vec::new();
        for (variable, text) in &around.variables {
            let means = |name: &&String| {
                variable_of(name) == *variable
                    || (variable.as_str(), name.as_str()) == DATABASE_VARIABLE
            };
            if let Some(name) = names.iter().find(means) {
                self.set_text(name, text, &format!("environment {variable}"))?;
            } else if ![CONFIG_VARIABLE, HOOKS_VARIABLE].contains(&variable.as_str()) {
                let meant =
                    variable.trim_start_matches(PREFIX).to_lowercase().replacen('_', ".", 1);
                let near = nearest(&meant, names.iter().map(String::as_str));
                let near = near.map(|name| format!("; did you mean {}?", variable_of(name)));
                let near = near.unwrap_or_default();
                warnings.push(format!("the environment variable {variable} is no setting{near}"));
            }
        }
        Ok(warnings)
    }

    fn find(&mut self, name: &str, origin: &str) -> Result<&mut Setting, Failure> {
        let names: Vec<String> = self.settings.iter().map(|s| s.name.clone()).collect();
        self.settings.iter_mut().find(|setting| setting.name == name).ok_or_else(|| {
            let problem = format!("there is no setting \"{}\" ({origin})", excerpt(name));
            let hint = match nearest(name, names.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None => format!("the settings are: {}", names.join(", ")),
            };
            Failure::usage(problem).hint(hint)
        })
    }

    fn config(&self) -> Result<Config, Failure> {
        let mut tree = Map::new();
        for Setting { name, value, .. } in &self.settings {
            match name.split_once('.') {
                None => drop(tree.insert(name.clone(), value.clone())),
                Some((section, key)) => {
                    let section = tree.entry(section).or_insert_with(|| Map::new().into());
                    if let Some(section) = section.as_object_mut() {
                        section.insert(key.into(), value.clone());
                    }
                }
            }
        }
        serde_path_to_error::deserialize(Value::from(tree))
            .map_err(|e| self.wrong(&e.path().to_string(), &format!("has an {}", e.inner())))
    }

    fn hide_secrets(&mut self) {
        for setting in &mut self.settings {
            if SECRET_SETTINGS.contains(&setting.name.as_str()) && setting.value != "" {
                setting.value = SHOWN.into();
            }
        }
    }

    fn wrong(&self, name: &str, problem: &str) -> Failure {
        let setting = self.settings.iter().find(|setting| setting.name == name);
        wrong(name, setting.map_or("default", |setting| &setting.origin), problem)
    }
}

/// A value that is not what it should be, in terms of the setting's name and origin.
fn wrong(name: &str, origin: &str, problem: &str) -> Failure {
    let variable = variable_of(name);
    Failure::usage(format!("{name} ({origin}) {problem}"))
        .hint(format!("set it with --set {name}=VALUE, {variable}, or in the settings file"))
}

/// A value in an error.
fn shown(name: &str, value: &str) -> String {
    if SECRET_SETTINGS.contains(&name) { "hidden".into() } else { excerpt(value) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "text",
        Value::Number(n) if n.is_u64() => "a whole number, not negative",
        Value::Number(_) => "a number",
        Value::Bool(_) => "true or false",
        _ => "a single value",
    }
}

/// Every leaf by its dotted name.
fn leaves(value: Value) -> Vec<(String, Value)> {
    let Value::Object(fields) = value else { return Vec::new() };
    let mut found = Vec::new();
    for (key, value) in fields {
        match value {
            Value::Object(_) => {
                let inner = leaves(value).into_iter();
                found.extend(inner.map(|(name, leaf)| (format!("{key}.{name}"), leaf)));
            }
            leaf => found.push((key, leaf)),
        }
    }
    found
}

/// The settings file and its text. One that was asked for must exist; the usual one need not.
fn read_file(flags: &Flags, around: &Surroundings) -> Result<Option<(PathBuf, String)>, Failure> {
    let asked = flags.file.clone();
    let asked = asked.or_else(|| around.variables.get(CONFIG_VARIABLE).map(PathBuf::from));
    let usual = around.config_home.as_ref().map(|home| home.join("memory-mcp").join("config.toml"));
    let Some(path) = asked.clone().or(usual) else { return Ok(None) };
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some((path, text))),
        Err(e) if asked.is_none() && e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => {
            Err(Failure::usage(format!("cannot read the settings file {}: {e}", path.display()))
                .hint("give another with --config FILE, or leave it out"))
        }
    }
}

fn parse_file(path: &Path, text: &str) -> Result<Vec<(String, Value)>, Failure> {
    let values: Map<String, Value> = basic_toml::from_str(text).map_err(|e| {
        Failure::usage(format!("the settings file {}: {e}", path.display())).hint(
            "a line looks like project = \"website\", or under [cache] memory_bytes = 33554432",
        )
    })?;
    Ok(leaves(values.into()))
}

fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "_").to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn around(variables: &[(&str, &str)]) -> Surroundings {
        let pair = |(k, v): &(&str, &str)| ((*k).to_owned(), OsString::from(*v));
        Surroundings {
            variables: variables.iter().map(pair).collect(),
            config_home: None,
            data_home: Some("/home/ada/.local/share".into()),
        }
    }

    fn set(name: &str, value: &str) -> Flags {
        Flags { file: None, values: vec![(name.into(), value.into())] }
    }

    fn file(text: &str) -> (tempfile::TempDir, Flags) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (dir, Flags { file: Some(path), values: Vec::new() })
    }

    fn told(result: Result<Loaded, Failure>) -> String {
        match result.unwrap_err() {
            Failure::Told { message, hint, .. } => format!("{message} | {}", hint.unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn origin(loaded: &Loaded, name: &str) -> String {
        loaded.settings.iter().find(|s| s.name == name).unwrap().origin.clone()
    }

    #[test]
    fn a_flag_wins_over_the_environment_over_the_file_over_the_default() {
        let (_dir, mut flags) = file("project = 'file'\nlog = 'info'\n[cache]\nmemory_bytes = 1\n");
        let variables = around(&[("MEMORY_MCP_PROJECT", "env"), ("MEMORY_MCP_LOG", "debug")]);
        flags.values = vec![("project".into(), "flag".into())];
        let loaded = load(&flags, &variables).unwrap();
        assert_eq!(loaded.config.project, "flag");
        assert_eq!(loaded.config.log, "debug");
        assert_eq!(loaded.config.cache.memory_bytes, 1);
        assert_eq!(loaded.config.data_dir, Path::new("/home/ada/.local/share/memory-mcp"));
        assert_eq!(origin(&loaded, "project"), "flag");
        assert_eq!(origin(&loaded, "log"), "environment MEMORY_MCP_LOG");
        assert!(origin(&loaded, "cache.memory_bytes").starts_with("file /"));
        assert_eq!(origin(&loaded, "database.readers"), "default");
    }

    #[test]
    fn text_stays_text_and_numbers_become_numbers() {
        let loaded =
            load(&set("cache.memory_bytes", "64_000"), &around(&[("MEMORY_MCP_PROJECT", "123")]));
        let config = loaded.unwrap().config;
        assert_eq!((config.project.as_str(), config.cache.memory_bytes), ("123", 64_000));
    }

    #[test]
    fn an_unknown_name_is_an_error_with_the_nearest_one() {
        let (_dir, flags) = file("[cache]\nmemory_byte = 1\n");
        let told = told(load(&flags, &around(&[])));
        assert!(told.contains("no setting \"cache.memory_byte\" (file /"), "{told}");
        assert!(told.contains("did you mean cache.memory_bytes?"), "{told}");
    }

    #[test]
    fn an_unknown_variable_is_a_warning_with_the_nearest_one() {
        let loaded = load(&Flags::default(), &around(&[("MEMORY_MCP_CACHE_MEMORY_BYTE", "1")]));
        let warnings = loaded.unwrap().warnings.join("\n");
        assert!(warnings.contains("did you mean MEMORY_MCP_CACHE_MEMORY_BYTES?"), "{warnings}");
    }

    #[test]
    fn switches_fractions_and_the_short_name_of_the_database_are_understood() {
        let variables = around(&[
            ("MEMORY_MCP_DATABASE", "libsql://db.example"),
            ("MEMORY_MCP_REMOTE_COMPRESSION", "true"),
            ("MEMORY_MCP_REMOTE_RETRY_BUDGET", "0.5"),
        ]);
        let loaded = load(&set("remote.deadline_ms", "9_000"), &variables).unwrap();
        assert_eq!(loaded.warnings, [""; 0]);
        let Config { database, remote, .. } = &loaded.config;
        assert_eq!(database.url, "libsql://db.example");
        assert_eq!((remote.compression, remote.retry_budget), (true, 0.5));
        assert_eq!(origin(&loaded, "database.url"), "environment MEMORY_MCP_DATABASE");
        let (_dir, whole) = file("[remote]\nretry_budget = 0\n");
        assert_eq!(load(&whole, &around(&[])).unwrap().config.remote.retry_budget, 0.0);
        let message = told(load(&set("remote.compression", "yes"), &around(&[])));
        assert!(message.contains("\"yes\", expected true or false"), "{message}");
        let message = told(load(&set("remote.retry_budget", "2"), &around(&[])));
        assert!(message.starts_with("remote.retry_budget (flag) is 2; choose 0 to 1"), "{message}");
    }

    #[test]
    fn a_secret_is_handed_on_and_never_shown() {
        let variables = around(&[("MEMORY_MCP_DATABASE_AUTH_TOKEN", "hush")]);
        let loaded = load(&Flags::default(), &variables).unwrap();
        assert!(loaded.config.database.auth_token.is_set());
        assert!(!format!("{loaded:?}").contains("hush"));
        let (_dir, number) = file("[database]\nauth_token = 4711\n");
        assert!(!told(load(&number, &around(&[]))).contains("4711"));
        let message = told(load(&set("database.auth_token", "hush"), &around(&[])));
        assert!(message.contains("MEMORY_MCP_DATABASE_AUTH_TOKEN"), "{message}");
        assert!(!message.contains("hush"), "{message}");
        let url = set("database.url", "libsql://db.example?authToken=hush");
        let message = told(load(&url, &around(&[])));
        assert!(message.contains("database.auth_token_file"), "{message}");
        assert!(!message.contains("hush"), "{message}");
    }

    #[test]
    fn a_wrong_value_names_the_setting_its_source_and_what_was_expected() {
        let none = around(&[]);
        let message = told(load(&set("cache.memory_bytes", "-1"), &none));
        assert!(
            message.starts_with("cache.memory_bytes (flag) is \"-1\", expected a whole number")
        );
        let message = told(load(&set("database.synchronous", "ful"), &none));
        assert!(
            message.contains("unknown variant `ful`, expected `full` or `normal`"),
            "{message}"
        );
        let message = told(load(&set("database.readers", "0"), &none));
        assert!(message.starts_with("database.readers (flag) is 0"), "{message}");
        let variables = around(&[("MEMORY_MCP_PAYLOAD_CODEC", "xml")]);
        let message = told(load(&Flags::default(), &variables));
        assert!(
            message.contains("(environment MEMORY_MCP_PAYLOAD_CODEC) has an unknown variant `xml`"),
            "{message}"
        );
    }

    #[test]
    fn a_broken_file_is_named_with_its_line_and_without_its_text() {
        let (_dir, flags) = file("project = 'a'\ntoken = hunter2 = 3\n");
        let told = told(load(&flags, &around(&[])));
        assert!(told.contains("config.toml") && told.contains("line 2"), "{told}");
        assert!(!told.contains("hunter2"), "{told}");
    }

    #[test]
    fn a_file_that_was_asked_for_must_exist() {
        let flags = Flags { file: Some("/nonexistent/config.toml".into()), values: Vec::new() };
        assert!(told(load(&flags, &around(&[]))).contains("/nonexistent/config.toml"));
        let variables = around(&[("MEMORY_MCP_CONFIG", "/nonexistent/other.toml")]);
        assert!(told(load(&Flags::default(), &variables)).contains("/nonexistent/other.toml"));
    }

    #[test]
    fn without_a_home_directory_the_data_directory_must_be_given() {
        let homeless = Surroundings::default();
        assert!(told(load(&Flags::default(), &homeless)).contains("--set data_dir=VALUE"));
        assert!(load(&set("data_dir", "/srv/memory"), &homeless).is_ok());
    }
}
