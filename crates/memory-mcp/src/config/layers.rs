//! Flags over the environment over the file over the defaults.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use figment::error::Actual;
use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Figment, Metadata, Profile, Provider};
use memory_core::error::excerpt;

use super::{Config, nearest};
use crate::cli::Failure;

/// In front of every setting's name in the environment.
const PREFIX: &str = "MEMORY_MCP_";

/// The variable that names the settings file.
const CONFIG_VARIABLE: &str = "MEMORY_MCP_CONFIG";

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
    /// Each setting by itself, ordered by name.
    pub settings: Vec<Setting>,
    /// Things worth a warning, for instance an unknown variable.
    pub warnings: Vec<String>,
}

/// One setting, for `memory-mcp config`.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// Dotted.
    pub name: String,
    /// As in the settings file.
    pub value: Value,
    /// `default`, `flag`, `environment NAME` or `file PATH`.
    pub origin: String,
}

/// Puts the sources on top of each other and checks the result.
pub fn load(flags: &Flags, around: &Surroundings) -> Result<Loaded, Failure> {
    let defaults = defaults(around)?;
    let known = flatten(&defaults);
    let mut layers = Figment::from(Layer { origin: "default".into(), values: defaults });

    if let Some((path, text)) = read_file(flags, around)? {
        let file = parse_file(&path, &text)?;
        for (name, _) in flatten(&file) {
            known_name(&name, &known, &origin_file(&path))?;
        }
        layers = layers.merge(Layer { origin: origin_file(&path), values: file });
    }
    let (variables, warnings) = variables(around, &known)?;
    for layer in variables {
        layers = layers.merge(layer);
    }
    for (name, value) in &flags.values {
        known_name(name, &known, "flag")?;
        let text = utf8(value, name)?;
        layers = layers.merge(Layer::one(name, text, "flag".into(), &known));
    }

    let config: Config = layers.extract().map_err(|e| invalid(&e))?;
    config.validate().map_err(|(name, problem)| {
        let origin = origin_of(&layers, &name);
        Failure::usage(format!("{name} ({origin}) {problem}")).hint(how_to_set(&name))
    })?;
    let values: Dict = layers.extract().map_err(|e| invalid(&e))?;
    let settings = flatten(&values)
        .into_iter()
        .map(|(name, value)| Setting { origin: origin_of(&layers, &name), name, value })
        .collect();
    Ok(Loaded { config, settings, warnings })
}

fn defaults(around: &Surroundings) -> Result<Dict, Failure> {
    let data_dir = around.data_home.as_ref().map(|home| home.join("memory-mcp"));
    let config = Config::defaults(data_dir.unwrap_or_default());
    let values = Value::serialize(config).map_err(|e| invalid(&e))?;
    Ok(values.into_dict().unwrap_or_default())
}

/// One source's values, with where they come from.
struct Layer {
    origin: String,
    values: Dict,
}

impl Layer {
    /// One setting given as text; it is read as a number where the default is one, never guessed.
    fn one(name: &str, text: &str, origin: String, known: &[(String, Value)]) -> Self {
        let default = known.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        let value = match default {
            Some(Value::Num(..)) => text.replace('_', "").parse::<u64>().map(Value::from).ok(),
            Some(Value::Bool(..)) => text.parse::<bool>().map(Value::from).ok(),
            _ => None,
        };
        let value = value.unwrap_or_else(|| Value::from(text));
        let values = figment::util::nest(name, value).into_dict().unwrap_or_default();
        Layer { origin, values }
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.origin.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        Ok(Profile::Default.collect(self.values.clone()))
    }
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

fn parse_file(path: &Path, text: &str) -> Result<Dict, Failure> {
    let unreadable = |e: figment::Error| {
        // Without the lines of the file that the parser quotes: they may hold a secret.
        let problem = e.to_string();
        let problem: Vec<&str> =
            problem.lines().filter(|l| !l.contains('|') && !l.is_empty()).collect();
        let problem = problem.join(": ");
        Failure::usage(format!("the settings file {}: {problem}", path.display())).hint(
            "a line looks like project = \"website\", or under [cache] memory_bytes = 33554432",
        )
    };
    let mut profiles = Toml::string(text).data().map_err(unreadable)?;
    Ok(profiles.remove(&Profile::Default).unwrap_or_default())
}

/// The settings in the environment, and a warning for each unknown one.
fn variables(
    around: &Surroundings,
    known: &[(String, Value)],
) -> Result<(Vec<Layer>, Vec<String>), Failure> {
    let names: BTreeMap<String, &str> =
        known.iter().map(|(name, _)| (variable_of(name), name.as_str())).collect();
    let (mut found, mut warnings) = (Vec::new(), Vec::new());
    for (variable, value) in &around.variables {
        match names.get(variable) {
            Some(name) => {
                let text = utf8(value, variable)?;
                found.push(Layer::one(name, text, format!("environment {variable}"), known));
            }
            None if variable == CONFIG_VARIABLE => {}
            None => {
                let near = nearest(name_of(variable).as_str(), names.values().copied());
                let near = near.map(|n| format!("; did you mean {}?", variable_of(n)));
                let near = near.unwrap_or_default();
                warnings.push(format!("the environment variable {variable} is no setting{near}"));
            }
        }
    }
    Ok((found, warnings))
}

fn variable_of(name: &str) -> String {
    format!("{PREFIX}{}", name.replace('.', "_").to_uppercase())
}

/// What a variable would be called as a setting, as far as that can be told.
fn name_of(variable: &str) -> String {
    variable.trim_start_matches(PREFIX).to_lowercase().replacen('_', ".", 1)
}

fn utf8<'a>(value: &'a OsString, name: &str) -> Result<&'a str, Failure> {
    value.to_str().ok_or_else(|| {
        let shown = excerpt(&value.to_string_lossy());
        Failure::usage(format!("{name} is \"{shown}\", which is not valid UTF-8"))
    })
}

fn known_name(name: &str, known: &[(String, Value)], origin: &str) -> Result<(), Failure> {
    let names = || known.iter().map(|(name, _)| name.as_str());
    if names().any(|n| n == name) {
        return Ok(());
    }
    let failure = Failure::usage(format!("there is no setting \"{}\" ({origin})", excerpt(name)));
    Err(match nearest(name, names()) {
        Some(near) => failure.hint(format!("did you mean {near}?")),
        None => {
            failure.hint(format!("the settings are: {}", names().collect::<Vec<_>>().join(", ")))
        }
    })
}

/// What is wrong with a value, in terms of the setting's name and origin.
fn invalid(e: &figment::Error) -> Failure {
    use figment::error::Kind;
    let name = e.path.join(".");
    let origin = e.metadata.as_ref().map_or("default".into(), |m| m.name.to_string());
    let problem = match &e.kind {
        Kind::InvalidType(actual, expected) | Kind::InvalidValue(actual, expected) => {
            format!("is {}, expected {}", given(actual), wanted(&expected.to_string()))
        }
        Kind::UnknownVariant(actual, expected) => {
            format!("is \"{}\", expected one of: {}", excerpt(actual), expected.join(", "))
        }
        other => format!("is not valid: {}", excerpt(&other.to_string())),
    };
    Failure::usage(format!("{name} ({origin}) {problem}")).hint(how_to_set(&name))
}

fn given(actual: &Actual) -> String {
    match actual {
        Actual::Str(text) => format!("\"{}\"", excerpt(text)),
        other => other.to_string(),
    }
}

fn wanted(rust_type: &str) -> &str {
    match rust_type {
        "u64" | "usize" => "a whole number, not negative",
        "string" | "path string" => "text",
        other => other,
    }
}

fn how_to_set(name: &str) -> String {
    format!("set it with --set {name}=VALUE, {}, or in the settings file", variable_of(name))
}

fn origin_file(path: &Path) -> String {
    format!("file {}", path.display())
}

fn origin_of(layers: &Figment, name: &str) -> String {
    layers.find_metadata(name).map_or_else(|| "default".into(), |m| m.name.to_string())
}

/// Every leaf by its dotted name.
fn flatten(dict: &Dict) -> Vec<(String, Value)> {
    let mut leaves = Vec::new();
    for (key, value) in dict {
        match value.as_dict() {
            Some(inner) => leaves
                .extend(flatten(inner).into_iter().map(|(name, v)| (format!("{key}.{name}"), v))),
            None => leaves.push((key.clone(), value.clone())),
        }
    }
    leaves
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
    fn a_wrong_value_names_the_setting_its_source_and_what_was_expected() {
        let none = around(&[]);
        let message = told(load(&set("cache.memory_bytes", "-1"), &none));
        assert!(
            message.starts_with("cache.memory_bytes (flag) is \"-1\", expected a whole number")
        );
        let message = told(load(&set("database.synchronous", "ful"), &none));
        assert!(message.contains("is \"ful\", expected one of: full, normal"), "{message}");
        let message = told(load(&set("database.readers", "0"), &none));
        assert!(message.starts_with("database.readers (flag) is 0"), "{message}");
        let variables = around(&[("MEMORY_MCP_PAYLOAD_CODEC", "xml")]);
        let message = told(load(&Flags::default(), &variables));
        assert!(message.contains("(environment MEMORY_MCP_PAYLOAD_CODEC) is \"xml\""), "{message}");
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
