//! Runs the testsuite against our server and our client, and judges the reports.
//!
//! `run [--role server|client|both] [--surface handler|stream|both]
//! [--runtime tokio|async-std|smol|all] [--cases LIST] [--exclude LIST] [--out DIR]`

use core::error::Error;
use core::time::Duration;
use std::env::current_exe;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use lexopt::prelude::*;
use sansocket_autobahn::process::{Process, free_address};
use sansocket_autobahn::summary::Summary;
use sansocket_autobahn::verdict::Report;
use sansocket_autobahn::{AGENT, cases};
use serde_json::json;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("run: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything passed.
fn run() -> Result<bool, Box<dyn Error>> {
    let options = Options::parse()?;
    let bench = Bench {
        cases: cases::select(&options.cases, &options.exclude)?,
        suite: Path::new(PACKAGE).join(".suite"),
        binaries: current_exe()?.with_file_name(""),
    };
    for subject in &options.subjects {
        bench.find(subject.binary())?;
    }
    install(&bench.suite)?;

    let mut summary = Summary::default();
    let mut problems = Vec::new();
    for subject in &options.subjects {
        let name = subject.name();
        eprintln!("{name}: {} cases ...", bench.cases.len());
        let start = Instant::now();
        match bench.report(subject, &options.out.join(&name)) {
            Ok(report) => {
                summary.add(&name, &report, start.elapsed());
                problems
                    .extend(report.problems(&bench.cases).iter().map(|problem| format!("{name}: {problem}")));
            }
            Err(error) => problems.push(format!("{name}: {error}")),
        }
    }
    println!("{summary}");
    for problem in &problems {
        println!("- {problem}");
    }
    Ok(problems.is_empty())
}

/// Installs the testsuite, which takes no time when it is there already.
fn install(suite: &Path) -> Result<(), Box<dyn Error>> {
    let status =
        Command::new(Path::new(PACKAGE).join("setup.sh")).arg(suite).stdout(io::stderr()).status()?;
    if status.success() { Ok(()) } else { Err(format!("setup.sh failed ({status})").into()) }
}

/// What it takes to run the testsuite once.
struct Bench {
    cases: Vec<String>,
    suite: PathBuf,
    binaries: PathBuf,
}

impl Bench {
    /// Runs the testsuite against a subject, with all files going to `out`.
    fn report(&self, subject: &Subject, out: &Path) -> Result<Report, Box<dyn Error>> {
        // What an earlier run left there would pass for the report of a run that wrote none.
        match fs::remove_dir_all(out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ => fs::create_dir_all(out)?,
        }
        match subject.role {
            Role::Server { surface } => self.drive_server(subject.runtime, surface, out)?,
            Role::Client => self.drive_client(subject.runtime, out)?,
        }
        Ok(Report::read(&out.join("index.json"), AGENT)?)
    }

    fn drive_server(&self, runtime: &str, surface: &str, out: &Path) -> Result<(), Box<dyn Error>> {
        let address = free_address()?;
        let address_text = address.to_string();
        let arguments = ["--runtime", runtime, "--surface", surface, "--addr", &address_text];
        let mut server = Process::start("server", &self.find("server")?, arguments, out)?;
        server.wait_until_listening(address, STARTUP)?;

        let peers = json!([{"agent": AGENT, "url": format!("ws://{address}")}]);
        let mut wstest = self.wstest("fuzzingclient", "servers", peers, out)?;
        wstest.wait(self.time_limit())?;
        // The testsuite goes on without complaint when the server dies.
        Ok(server.check_running()?)
    }

    fn drive_client(&self, runtime: &str, out: &Path) -> Result<(), Box<dyn Error>> {
        let address = free_address()?;
        let url = format!("ws://{address}");
        let mut wstest = self.wstest("fuzzingserver", "url", json!(url), out)?;
        wstest.wait_until_listening(address, STARTUP)?;

        let arguments = ["--runtime", runtime, "--url", &url];
        let mut client = Process::start("client", &self.find("client")?, arguments, out)?;
        Ok(client.wait(self.time_limit())?)
    }

    /// Starts the testsuite, with one setting that depends on the mode.
    fn wstest(&self, mode: &str, key: &str, value: serde_json::Value, out: &Path) -> io::Result<Process> {
        let spec = out.join("spec.json");
        let text = json!({
            key: value,
            "outdir": out,
            "cases": self.cases,
            "exclude-cases": [],
            "exclude-agent-cases": {},
        });
        fs::write(&spec, text.to_string())?;
        // Port 0 keeps the fuzzingserver from serving its reports on a fixed port.
        let arguments = ["--mode", mode, "--webport", "0", "--spec"].map(OsStr::new);
        let arguments = arguments.into_iter().chain([spec.as_os_str()]);
        Process::start("wstest", &self.suite.join("wstest"), arguments, out)
    }

    /// On a slow two-core machine, the default cases took 25 s and a compressed one 6 s on average.
    fn time_limit(&self) -> Duration {
        let compressed = self.cases.iter().filter(|case| ["12", "13"].contains(&cases::group(case)));
        Duration::from_secs(300 + 60 * compressed.count() as u64)
    }

    fn find(&self, binary: &str) -> Result<PathBuf, String> {
        let path = self.binaries.join(binary);
        if path.is_file() {
            return Ok(path);
        }
        Err(format!(
            "{} is missing; build it first: cargo build --release -p sansocket-autobahn --bins",
            path.display()
        ))
    }
}

/// What the testsuite is run against.
struct Subject {
    runtime: &'static str,
    role: Role,
}

#[derive(Clone, Copy)]
enum Role {
    Server { surface: &'static str },
    Client,
}

impl Subject {
    fn binary(&self) -> &str {
        match self.role {
            Role::Server { .. } => "server",
            Role::Client => "client",
        }
    }

    fn name(&self) -> String {
        match self.role {
            Role::Server { surface } => format!("{}-server-{surface}", self.runtime),
            Role::Client => format!("{}-client", self.runtime),
        }
    }
}

struct Options {
    subjects: Vec<Subject>,
    cases: String,
    exclude: String,
    out: PathBuf,
}

impl Options {
    fn parse() -> Result<Self, lexopt::Error> {
        let (mut roles, mut surfaces) = (vec!["server", "client"], vec!["handler", "stream"]);
        let mut runtimes = vec!["tokio", "async-std", "smol"];
        let (mut cases, mut exclude) = (cases::DEFAULT.to_owned(), String::new());
        let mut out = Path::new(PACKAGE).join("reports");

        let mut arguments = lexopt::Parser::from_env();
        while let Some(argument) = arguments.next()? {
            match argument {
                Long("role") => roles = choose(&roles, &arguments.value()?.string()?)?,
                Long("surface") => surfaces = choose(&surfaces, &arguments.value()?.string()?)?,
                Long("runtime") => runtimes = choose(&runtimes, &arguments.value()?.string()?)?,
                Long("cases") => cases = arguments.value()?.string()?,
                Long("exclude") => exclude = arguments.value()?.string()?,
                Long("out") => out = arguments.value()?.into(),
                Short(_) | Long(_) | Value(_) => return Err(argument.unexpected()),
            }
        }

        let mut subjects = Vec::new();
        for runtime in runtimes {
            if roles.contains(&"server") {
                let servers = surfaces.iter().map(|&surface| Role::Server { surface });
                subjects.extend(servers.map(|role| Subject { runtime, role }));
            }
            if roles.contains(&"client") {
                subjects.push(Subject { runtime, role: Role::Client });
            }
        }
        Ok(Self { subjects, cases, exclude, out })
    }
}

fn choose(choices: &[&'static str], choice: &str) -> Result<Vec<&'static str>, lexopt::Error> {
    let chosen: Vec<_> = choices
        .iter()
        .copied()
        .filter(|&known| choice == known || ["all", "both"].contains(&choice))
        .collect();
    if chosen.is_empty() {
        return Err(format!("`{choice}` is none of {choices:?} and not `all`").into());
    }
    Ok(chosen)
}

const PACKAGE: &str = env!("CARGO_MANIFEST_DIR");
const STARTUP: Duration = Duration::from_secs(30);
