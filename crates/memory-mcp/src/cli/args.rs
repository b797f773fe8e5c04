//! What can be typed.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args as ClapArgs, Parser, Subcommand};
use memory_core::recall::RecallQuery;
use memory_core::record::RecordKind;
use memory_core::store::RelationKind;

use super::consolidate::ConsolidateArgs;
use super::eval::EvalCommand;
use super::filter::FilterArgs;
use super::init::clients::{Client, Reach};
use crate::config::Flags;

/// Episodic memory for AI agents: what was tried, how it ended, what to do next time.
#[derive(Debug, Parser)]
#[command(name = "memory-mcp", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Args {
    /// Settings that every command takes.
    #[command(flatten)]
    pub global: GlobalArgs,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Settings come from flags, then MEMORY_MCP_* variables, then the settings file; `memory-mcp config`
shows each and where it came from. Results go to stdout, everything else to stderr.

Exit codes: 0 done; 1 the database, disk or system said no; 2 the command line, a setting or the
input is wrong; 3 what was named does not exist; 4 an import left out something it could read; 5
verify found damage or doctor a failure; 130 stopped by Ctrl-C.";

/// Settings that every command takes.
#[derive(Debug, Default, ClapArgs)]
#[command(next_help_heading = "Settings")]
pub struct GlobalArgs {
    /// A server (libsql://, https://, http://) or a file; by default a file in the data directory
    /// [env: MEMORY_MCP_DATABASE]
    #[arg(long, global = true, value_name = "URL|FILE")]
    pub database: Option<OsString>,
    /// Directory of the database file and of what waits for a server [env: MEMORY_MCP_DATA_DIR]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Read and write this project alone [env: MEMORY_MCP_PROJECT]
    #[arg(long, global = true, value_name = "NAME")]
    pub project: Option<OsString>,
    /// Settings file [env: MEMORY_MCP_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Any other setting, for instance `cache.memory_bytes=0`; can be repeated
    #[arg(long, global = true, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// What to log to stderr: error, warn, info, debug, trace, or directives [env: MEMORY_MCP_LOG]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log: Option<OsString>,
    /// Write JSON for programs instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
}

impl GlobalArgs {
    /// The flags as settings, a named flag after `--set`, so that it wins.
    pub fn flags(&self) -> Result<Flags, super::Failure> {
        let mut values = Vec::new();
        for pair in &self.set {
            let (name, value) = pair.split_once('=').ok_or_else(|| {
                let shown = memory_core::error::excerpt(pair);
                super::Failure::usage(format!("--set {shown} has no value"))
                    .hint("write it as --set NAME=VALUE, for instance --set cache.memory_bytes=0")
            })?;
            values.push((name.trim().to_owned(), value.into()));
        }
        let named = [
            ("database.url", self.database.clone()),
            ("data_dir", self.data_dir.clone().map(PathBuf::into_os_string)),
            ("project", self.project.clone()),
            ("log", self.log.clone()),
        ];
        values.extend(named.into_iter().filter_map(|(name, v)| Some((name.to_owned(), v?))));
        Ok(Flags { file: self.config.clone(), values })
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Serve MCP, for agents to connect to: on stdin and stdout, or over HTTP
    Serve(ServeArgs),
    /// Tokens that open the HTTP server: make one, list them, revoke one
    #[command(subcommand)]
    Token(TokenCommand),
    /// Set up a client: the server, and for clients with hooks recording; takes it out again with --remove
    Init(InitArgs),
    /// Check this machine's setup and say what to do: database, cache, permissions, clients
    Doctor,
    /// See it work: import sample runs into a temporary store and recall from them
    Quickstart,
    /// Take in recorded runs; running it again adds nothing twice
    Import(ImportArgs),
    /// Write everything to stdout, one JSON record a line, in a stable order
    Export(ExportArgs),
    /// Find what helps with a task: similar runs, how they ended, what they taught
    Recall(RecallArgs),
    /// List episodes, newest first
    List(ListArgs),
    /// Show one episode with its steps
    Show(ShowArgs),
    /// Say how an episode went, in your own judgement; its lessons move with it
    Rate(RateArgs),
    /// Note where a running episode stands, for whoever goes on
    Checkpoint(CheckpointArgs),
    /// Print what is needed to go on with a running episode
    Resume(ShowArgs),
    /// Say how one episode relates to another
    Relate(RelateArgs),
    /// What runs of a task type share: steps that went well, errors, what got past them
    Playbook(PlaybookArgs),
    /// Count what is stored, and say how it is kept
    Stats,
    /// Archive runs that repeat a later one, and old ones if the settings say so
    Consolidate(ConsolidateArgs),
    /// Make the embeddings that are missing, now instead of in the background of a server
    Embed,
    /// Delete episodes for good
    Forget(ForgetArgs),
    /// Show each setting and where it came from
    Config,
    /// Copy everything to another database, from file to server or back; running it again completes
    Copy(CopyArgs),
    /// Check that everything stored agrees with itself, and the cache with it; repair what can be
    Verify(VerifyArgs),
    /// Write the whole database to a new file, while it is in use
    Backup(BackupArgs),
    /// Put a backup in the place of what is in the database
    Restore(RestoreArgs),
    /// Bring the database to another schema, or episodes of the older layout into it
    Migrate(MigrateArgs),
    /// Writes that a server does not have yet: list them, try refused ones again, drop them
    #[command(subcommand)]
    Outbox(OutboxCommand),
    /// Record what a client tells on stdin; `init` sets it up. Always exits with 0
    Hook(HookArgs),
    /// Measure recall: what it finds of what is known to be right
    #[command(subcommand)]
    Eval(EvalCommand),
    /// Measure this machine: latencies and rates, and what each optimization is worth
    Bench(BenchArgs),
    /// Write a completion script for a shell to stdout
    Completions(CompletionsArgs),
    /// Write the manual page to stdout, or one for every command into a directory
    Man(ManArgs),
}

/// Arguments of `serve`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Over HTTP every request needs a token: `memory-mcp token create NAME`. As long as there is none, one for
a first try is printed at the start. Other machines reach the server when it listens on an address of
theirs and the name by which they call it is in http.allowed_hosts; put a proxy with TLS in front.")]
pub struct ServeArgs {
    /// Serve over HTTP, at this address, instead of on stdin and stdout
    #[arg(long, value_name = "ADDRESS:PORT", num_args = 0..=1, default_missing_value = "127.0.0.1:8420")]
    pub http: Option<SocketAddr>,
}

/// The commands of `token`.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token and print it; it is shown this once
    Create(TokenCreateArgs),
    /// Every token with its projects
    List,
    /// Take a token back; running servers refuse it from the next request on
    Revoke(TokenRevokeArgs),
}

/// Arguments of `token create`.
#[derive(Debug, ClapArgs)]
pub struct TokenCreateArgs {
    /// Who or what will use it
    pub name: String,
    /// The projects that it opens, besides that of --project; without any it opens every project
    #[arg(value_name = "PROJECT")]
    pub projects: Vec<String>,
}

/// Arguments of `token revoke`.
#[derive(Debug, ClapArgs)]
pub struct TokenRevokeArgs {
    /// As `token list` prints it
    pub name: String,
}

/// Arguments of `init`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Running it again changes nothing. Everything else in a file stays as it is, comments included; the file as
it was is kept beside it (.before-memory-mcp) until --remove. A file that cannot be edited safely is left
alone, and what belongs there is printed. --project, --database, --data-dir and --config are handed on to
what the client calls.")]
pub struct InitArgs {
    /// Which clients; without any, those that are found on this machine
    #[arg(value_enum, value_name = "CLIENT")]
    pub clients: Vec<Client>,
    /// For whom
    #[arg(long, value_enum, default_value = "user")]
    pub scope: Reach,
    /// What the server is called in the client
    #[arg(long, default_value = "memory", value_name = "NAME")]
    pub name: String,
    /// The program that the client is to start; by default this one
    #[arg(long, value_name = "PATH")]
    pub program: Option<String>,
    /// Set up the server alone, not what records by itself
    #[arg(long)]
    pub no_hooks: bool,
    /// Show what would be changed, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Take out what was put in
    #[arg(long)]
    pub remove: bool,
}

/// Arguments of `man`.
#[derive(Debug, ClapArgs)]
pub struct ManArgs {
    /// Write a page for every command into this directory
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Arguments of `import`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Formats are told by content: an export of this tool, tau-bench results, intercode results, SWE-agent
.traj, Claude Code sessions, the JSONL of the official MCP memory server. A malformed record is
reported with file and line and skipped; the rest goes in. Ctrl-C stops between batches; run the same
command again to go on.")]
pub struct ImportArgs {
    /// Files, and folders with everything below them
    #[arg(required_unless_present = "watch", value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Go on: take in what is added and what grows, until Ctrl-C; without a path, the sessions of Claude
    /// Code
    #[arg(long)]
    pub watch: bool,
}

/// Arguments of `export`.
#[derive(Debug, ClapArgs)]
pub struct ExportArgs {
    /// Only this kind of record
    #[arg(long, value_name = "KIND", value_parser = record_kind())]
    pub kind: Option<RecordKind>,
}

fn at_least_one() -> impl TypedValueParser<Value = u64> {
    clap::value_parser!(u64).range(1..)
}

/// The kinds of record by name.
fn record_kind() -> impl TypedValueParser<Value = RecordKind> {
    PossibleValuesParser::new(RecordKind::ALL.map(RecordKind::as_str)).try_map(|name| {
        RecordKind::ALL.into_iter().find(|k| k.as_str() == name).ok_or("no such kind")
    })
}

/// Arguments of `recall`.
#[derive(Debug, ClapArgs)]
pub struct RecallArgs {
    /// The task, in plain words
    #[arg(required = true, value_name = "TASK")]
    pub task: Vec<String>,
    /// Episodes at most
    #[arg(long, default_value_t = RecallQuery::DEFAULT_LIMIT, value_name = "N")]
    pub limit: usize,
    /// Tokens of the answer at most
    #[arg(long, default_value_t = RecallQuery::DEFAULT_BUDGET_TOKENS, value_name = "N")]
    pub budget_tokens: usize,
    /// Which episodes count.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Arguments of `list`.
#[derive(Debug, ClapArgs)]
pub struct ListArgs {
    /// Episodes at most
    #[arg(long, default_value_t = 20, value_name = "N", value_parser = at_least_one())]
    pub limit: u64,
    /// Go on where the page before ended
    #[arg(long, value_name = "CURSOR")]
    pub after: Option<String>,
    /// Which episodes.
    #[command(flatten)]
    pub filter: FilterArgs,
}

/// Arguments of `show`.
#[derive(Debug, ClapArgs)]
pub struct ShowArgs {
    /// As `list` and `recall` print it
    pub id: String,
}

/// Arguments of `checkpoint`.
#[derive(Debug, ClapArgs)]
pub struct CheckpointArgs {
    /// As `list` prints it
    pub id: String,
    /// Where things stand, and what is next
    #[arg(required = true, value_name = "NOTE")]
    pub note: Vec<String>,
}

/// Arguments of `rate`.
#[derive(Debug, ClapArgs)]
pub struct RateArgs {
    /// As `list` prints it, or `last` for what ended last
    pub id: String,
    /// How it went
    #[arg(value_enum)]
    pub rating: Rating,
    /// Why; becomes the verdict
    #[arg(value_name = "NOTE")]
    pub note: Vec<String>,
}

/// A person's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Rating {
    /// The task was solved
    Good,
    /// It was not
    Bad,
}

/// Arguments of `hook`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Events: session-start, user-prompt-submit, post-tool-use, post-tool-use-failure, stop, session-end; JSON
as Claude Code gives it on stdin. Problems go to hooks.log in the data directory. MEMORY_MCP_HOOKS=off, or
`hooks = false` in a project's .memory-mcp.toml, turns recording off.")]
pub struct HookArgs {
    /// The event; one that is not known is passed over
    #[arg(value_name = "EVENT", default_value = "")]
    pub event: String,
}

/// Arguments of `playbook`.
#[derive(Debug, ClapArgs)]
pub struct PlaybookArgs {
    /// As `list --json` shows it
    pub task_type: String,
}

/// Arguments of `relate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
FROM parent TO: TO is the larger task. FROM depends_on TO, FROM follows TO: TO comes first.
FROM blocks TO: FROM comes first. One that would close a cycle among these is refused.")]
pub struct RelateArgs {
    /// As `list` and `recall` print it
    pub from: String,
    /// How FROM relates to TO
    #[arg(value_parser = relation_kind())]
    pub relation: RelationKind,
    /// As `list` and `recall` print it
    pub to: String,
}

/// The relations by name.
fn relation_kind() -> impl TypedValueParser<Value = RelationKind> {
    PossibleValuesParser::new(RelationKind::ALL.map(RelationKind::as_str))
        .try_map(|name| RelationKind::ALL.into_iter().find(|k| k.as_str() == name).ok_or("none"))
}

/// Arguments of `forget`.
#[derive(Debug, ClapArgs)]
pub struct ForgetArgs {
    /// As `list` and `recall` print them
    #[arg(required = true, value_name = "ID")]
    pub ids: Vec<String>,
    /// Leave no trace of them on this machine: not in free space, logs, indexes or caches
    #[arg(long)]
    pub purge: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `copy`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
A database is a server (libsql://, https://, http://) or a file; the one that is not given is that of
the settings. What the target holds already stays: records are merged by their ids, and of two states
of one episode the newer one counts. At the end both sides are read again and compared. Ctrl-C, or
whatever else stops it, loses nothing: run the same command again.")]
pub struct CopyArgs {
    /// Where to read
    #[arg(long, value_name = "URL|FILE", required_unless_present = "to")]
    pub from: Option<String>,
    /// Where to write; a file is created when absent
    #[arg(long, value_name = "URL|FILE")]
    pub to: Option<String>,
    /// A file that holds the token of the server to read from
    #[arg(long, value_name = "FILE")]
    pub from_token_file: Option<PathBuf>,
    /// A file that holds the token of the server to write to
    #[arg(long, value_name = "FILE")]
    pub to_token_file: Option<PathBuf>,
}

/// Arguments of `verify`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Checked are the pages and indexes of the database file, the checksum and encoding of every episode, the
columns, metadata and text index drawn from it, the change feed, what is left of forgotten episodes,
every cached episode against the database, and what waits on this machine. Cached episodes that differ
are dropped in any case. Agents may go on working meanwhile.")]
pub struct VerifyArgs {
    /// Draw columns, metadata, text index and change records anew from the episodes where they differ
    #[arg(long)]
    pub repair: bool,
}

/// Arguments of `backup`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The backup is consistent: it holds what was committed when it began. Others read and write on. It is a
database file with its checksum at the end; `--database FILE` looks into it.")]
pub struct BackupArgs {
    /// Where to; must not exist
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
The backup is verified in full before anything is changed. A database file gets its content all at once,
and whoever has it open goes on with that. A server must be empty; stopped half way, the same command
goes on.")]
pub struct RestoreArgs {
    /// As `memory-mcp backup` and migrations made it
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `migrate`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Opening a database does the same by itself, unless database.upgrade is manual. All steps happen at
once or not at all. A file is kept as it was in a backup beside it, which is named; a server is not:
make one with `memory-mcp backup FILE` before.")]
pub struct MigrateArgs {
    /// Say what would be done, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Go to this step of the schema; back where nothing gets lost
    #[arg(long, value_name = "N")]
    pub to: Option<usize>,
    /// Take over the episodes of this database in the older layout, which stays as it is
    #[arg(long, value_name = "FILE", conflicts_with = "to")]
    pub from: Option<PathBuf>,
    /// Write every episode anew with the present payload.codec and payload.compression, beside whoever
    /// uses the database; stopped and run again, it goes on
    #[arg(long, conflicts_with_all = ["to", "from", "dry_run"])]
    pub reencode: bool,
    /// Do not ask before changing a server
    #[arg(long, short)]
    pub yes: bool,
}

/// The commands of `outbox`.
#[derive(Debug, Subcommand)]
pub enum OutboxCommand {
    /// What waits on this machine, and what a server refused
    List,
    /// Deliver refused writes again, now if the server can be reached
    Retry(OutboxRetryArgs),
    /// Give up writes for good
    Drop(OutboxDropArgs),
}

/// Arguments of `outbox retry`.
#[derive(Debug, ClapArgs)]
pub struct OutboxRetryArgs {
    /// Numbers as `outbox list` prints them
    #[arg(required = true, value_name = "N")]
    pub entries: Vec<u64>,
}

/// Arguments of `outbox drop`.
#[derive(Debug, ClapArgs)]
pub struct OutboxDropArgs {
    /// Numbers as `outbox list` prints them
    #[arg(required = true, value_name = "N")]
    pub entries: Vec<u64>,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Arguments of `bench`.
#[derive(Debug, ClapArgs)]
#[command(after_help = "\
Everything is written to temporary databases beside your data, or to the server named; your own database
is only read. --ab measures one optimization on against off, in turns, by the settings that turn it off
in production; rows about a server need `sqld` on the PATH or --server, and put 20 ms in between.")]
pub struct BenchArgs {
    /// Compare a row of the plan on against off, such as 2.1, or all of them in a quarter of an hour;
    /// can be repeated
    #[arg(long, value_name = "ROW|all")]
    pub ab: Vec<String>,
    /// Compare everything on with everything off
    #[arg(long)]
    pub baseline: bool,
    /// Little of everything: shows that it runs, not how well
    #[arg(long)]
    pub quick: bool,
    /// Measure an empty libSQL server, http://HOST:PORT, instead of a file; what is saved stays there.
    /// Comparisons start servers of their own (`sqld`, from the PATH)
    #[arg(long, value_name = "URL", conflicts_with_all = ["ab", "baseline"])]
    pub server: Option<String>,
    /// Another build of this program, for the row that compares two
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Recorded runs to use as the workload; without any, generated ones of their size and shape
    #[arg(long, value_name = "DIR", default_value = "../shared/data")]
    pub data: PathBuf,
    /// Write report.md, report.json and the plots into this directory
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,
    /// For the processes that it starts itself
    #[arg(long, hide = true, value_parser = ["work", "resident"])]
    pub probe: Option<String>,
}

/// Arguments of `completions`.
#[derive(Debug, ClapArgs)]
pub struct CompletionsArgs {
    /// Which shell
    pub shell: clap_complete::Shell,
}
