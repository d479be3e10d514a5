//! What hostile clients get of each server, and what they make it hold. Prints Markdown.

mod client;
mod floods;
mod frames;
mod handshakes;

use std::fmt::Write;
use std::iter::{once, repeat_n};

use crate::Result;
use crate::process::{MEASURED, Process};
use crate::rounds::Plan;
use crate::servers::{ATTACKED, COMPRESSING, Server};

/// What came of one case on one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// As it is shown.
    text: String,
    /// It is not what is to come of it.
    deviates: bool,
}

/// What came of each case.
type Cells = Vec<Cell>;

/// What came of the same cases on many servers.
struct Matrix {
    title: &'static str,
    about: String,
    /// The cases, and what is to come of them.
    cases: Vec<(String, String)>,
    servers: Vec<(Server, Cells)>,
}

pub fn run(plan: &Plan) -> Result<()> {
    let attacked: Vec<_> = ATTACKED.iter().map(|name| Server::find(name)).collect::<Result<_>>()?;
    let attacked = there(plan, &attacked);
    let matrices = [
        Matrix {
            title: "Frames",
            about: frames::ABOUT.to_owned(),
            cases: frames::cases(false),
            servers: ask_each("frames", &attacked, |server| frames::attack(&start(server)?, false))?,
        },
        Matrix {
            title: "Frames, compressed",
            about: COMPRESSED.to_owned(),
            cases: frames::cases(true),
            servers: ask_each("compressed", &there(plan, COMPRESSING), |server| {
                frames::attack(&start(server)?, true)
            })?,
        },
        Matrix {
            title: "Opening handshakes",
            about: handshakes::ABOUT.to_owned(),
            cases: handshakes::cases(),
            // Its handshake is this program's.
            servers: ask_each("handshakes", &without(&attacked, "web-socket"), |server| {
                handshakes::attack(&start(server)?)
            })?,
        },
    ];
    let floods = Matrix {
        title: "Floods",
        about: floods::about(),
        cases: floods::cases(),
        servers: ask_each("floods", &attacked, floods::attack)?,
    };
    print!("{}", report(&matrices, &floods)?);
    let all = matrices.iter().chain([&floods]).flat_map(|matrix| &matrix.servers);
    match all.filter(|(server, _)| server.is_ours()).map(|(_, cells)| deviations(cells)).sum() {
        0 => Ok(()),
        count => Err(format!("ours deviates {count} times").into()),
    }
}

fn start(server: &Server) -> Result<Process> {
    Process::start(&mut server.command()?, MEASURED)
}

const COMPRESSED: &str = "Servers that agreed to permessage-deflate, by their defaults for it. The others have \
    none; soketto, in a build with the flate2 of the others, takes every compressed message for incomplete.";

/// Those that are asked for, and there.
fn there(plan: &Plan, servers: &[Server]) -> Vec<Server> {
    servers.iter().filter(|server| plan.has_contestant(server.name) && server.is_there()).copied().collect()
}

fn without(servers: &[Server], name: &str) -> Vec<Server> {
    servers.iter().filter(|server| !server.name.starts_with(name)).copied().collect()
}

/// What fails is told, and missing; ours may not.
fn ask_each(
    what: &str,
    servers: &[Server],
    attack: impl Fn(&Server) -> Result<Cells>,
) -> Result<Vec<(Server, Cells)>> {
    let mut answers = Vec::new();
    for server in servers {
        eprintln!("{what}: {}", server.name);
        match attack(server) {
            Ok(cells) => answers.push((*server, cells)),
            Err(error) if server.is_ours() => return Err(error),
            Err(error) => eprintln!("{what}: {}: {error}", server.name),
        }
    }
    Ok(answers)
}

fn deviations(cells: &[Cell]) -> usize {
    cells.iter().filter(|cell| cell.deviates).count()
}

fn report(matrices: &[Matrix], floods: &Matrix) -> Result<String> {
    let mut out = format!("{HEAD}\n\n## Deviations\n\n");
    summary(&mut out, matrices, floods)?;
    for matrix in matrices {
        writeln!(out, "\n## {}\n\n{}\n", matrix.title, matrix.about)?;
        let columns = columns(matrix);
        head(
            &mut out,
            ["case", "goal"].map(str::to_owned).into_iter().chain(columns.iter().map(|it| it.0.clone())),
        )?;
        for (i, (case, goal)) in matrix.cases.iter().enumerate() {
            let cells = columns.iter().map(|(_, cells)| show(&cells[i]));
            row(&mut out, [case, goal].map(Clone::clone).into_iter().chain(cells))?;
        }
    }
    writeln!(out, "\n## {}\n\n{}\n", floods.title, floods.about)?;
    let cases = floods.cases.iter();
    head(&mut out, once("server".to_owned()).chain(cases.clone().map(|(case, _)| case.clone())))?;
    row(&mut out, once("*goal*".to_owned()).chain(cases.map(|(_, goal)| goal.clone())))?;
    for (server, cells) in &floods.servers {
        row(&mut out, once(label(server)).chain(cells.iter().map(show)))?;
    }
    Ok(out)
}

/// One for each server; servers of ours share one if they are the same in each case.
fn columns(matrix: &Matrix) -> Vec<(String, &Cells)> {
    let mut columns: Vec<(String, &Cells)> = Vec::new();
    for (server, cells) in &matrix.servers {
        match columns.last_mut() {
            Some((name, others)) if server.is_ours() && *others == cells => {
                *name += label(server).replacen("sansocket", ",", 1).as_str();
            }
            _ => columns.push((label(server), cells)),
        }
    }
    columns
}

const HEAD: &str = "\
# Hostile clients

What each server of `bench/sockets` makes of what hostile clients send, over real sockets. Each is a process of its own that echoes, by its library's own
defaults for every limit. The cases and their goals are those of the conformance tests (`tests/src/hostile/`), which say more of ours.

```sh
bench/sockets/run hostile >bench/HOSTILE.md
```

**Bold** is what deviates from the goal. Ours and others alike are programs that drop their connection when the library tells an error; most libraries
send no Close and no response then. yawc is told to check UTF-8; web-socket and soketto leave it to the program, which checks. web-socket leaves the answer to a
Close to it too, and `sockudo-ws Protocol` is a state machine in a loop written here (`sockets/src/servers/peers.rs`). Some allow a message of
64 MiB by default: that is counted too.";

fn summary(out: &mut String, matrices: &[Matrix], floods: &Matrix) -> Result<()> {
    let all = matrices.iter().chain([floods]);
    let titles = all.clone().map(|matrix| format!("{}, of {}", matrix.title, matrix.cases.len()));
    head(out, once("server".to_owned()).chain(titles))?;
    for (server, _) in &floods.servers {
        let counts = all.clone().map(|matrix| {
            let cells = matrix.servers.iter().find(|(other, _)| label(other) == label(server));
            cells.map_or_else(|| "—".to_owned(), |(_, cells)| deviations(cells).to_string())
        });
        row(out, once(label(server)).chain(counts))?;
    }
    Ok(())
}

/// Without what tells it from others of the same server.
fn label(server: &Server) -> String {
    let name = server.name.trim_end_matches(" default").trim_end_matches(", compressing");
    name.to_owned()
}

fn show(cell: &Cell) -> String {
    if cell.deviates { format!("**{}**", cell.text) } else { cell.text.clone() }
}

fn head(out: &mut String, columns: impl Iterator<Item = String>) -> Result<()> {
    let columns: Vec<_> = columns.collect();
    let count = columns.len();
    row(out, columns.into_iter())?;
    row(out, repeat_n("---".to_owned(), count))
}

fn row(out: &mut String, columns: impl Iterator<Item = String>) -> Result<()> {
    Ok(writeln!(out, "| {} |", columns.collect::<Vec<_>>().join(" | "))?)
}
