//! Servers, and clients, on real sockets: ours, those of other libraries, and limits. Writes CSV files.

use std::time::Duration;

use sansocket_bench_sockets::rounds::Plan;
use sansocket_bench_sockets::servers::Server;
use sansocket_bench_sockets::{Result, calls, cells, clients, handshakes, instructions, process, scale};

const HELP: &str = "\
sockets [FAMILY…] [OPTION…]: sockets, client, handshakes, scale (all of these by default), calls (with strace),
instructions (with valgrind), hostile (if it was built with it)

  --quick              a few minutes in all, and figures that tell less
  --rounds N           how often each contestant has its turn
  --window MS          how long that is
  --server TEXT        only those that have this in their names; may be repeated
  --cell TEXT          the same for cells
  --results DIRECTORY  where the CSV files go, instead of `results`";

fn main() -> Result<()> {
    use lexopt::prelude::*;

    let mut families = Vec::new();
    let (mut quick, mut rounds, mut window) = (false, None, None);
    let mut plan = Plan {
        rounds: 0,
        window: Duration::ZERO,
        warm_up: Duration::from_millis(50),
        contestants: Vec::new(),
        cells: Vec::new(),
        results: "results".into(),
    };
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("quick") => quick = true,
            Long("rounds") => rounds = Some(args.value()?.parse()?),
            Long("window") => window = Some(Duration::from_millis(args.value()?.parse()?)),
            Long("server") => plan.contestants.push(args.value()?.string()?),
            Long("cell") => plan.cells.push(args.value()?.string()?),
            Long("results") => plan.results = args.value()?.into(),
            Long("help") => {
                println!("{HELP}");
                return Ok(());
            }
            // What it starts itself with.
            Long("as-server") => return Server::find(&args.value()?.string()?)?.run(),
            Long("as-client") => {
                let mut words = args.raw_args()?.map(|word| word.to_string_lossy().into_owned());
                return clients::run_one(&mut words);
            }
            Value(family) => families.push(family.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    if families.is_empty() {
        families = ["sockets", "client", "handshakes", "scale"].map(Into::into).into();
    }
    process::raise_descriptors()?;
    process::pin(process::OTHER)?;
    for family in families {
        #[cfg(feature = "hostile")]
        if family == "hostile" {
            sansocket_bench_sockets::hostile::run(&plan)?;
            continue;
        }
        let mut plan = plan.clone();
        // Of those that have many contestants or cells, fewer: 25 minutes in all, 4 if it is to be quick.
        let (usual, usual_window, few, few_window) = match family.as_str() {
            "sockets" => (9, 220, 3, 40),
            "client" => (9, 220, 3, 40),
            "handshakes" => (9, 200, 3, 40),
            "scale" => (5, 250, 1, 40),
            "calls" => (1, 500, 1, 200),
            "instructions" => (1, 1600, 1, 800),
            other => return Err(format!("no such family: {other}").into()),
        };
        let window_of_family = Duration::from_millis(if quick { few_window } else { usual_window });
        if quick {
            plan.warm_up = Duration::from_millis(20);
        }
        plan.rounds = rounds.unwrap_or(if quick { few } else { usual });
        plan.window = window.unwrap_or(window_of_family);
        match family.as_str() {
            "sockets" => cells::run(&plan)?,
            "client" => clients::run(&plan)?,
            "handshakes" => handshakes::run(&plan)?,
            "scale" => scale::run(&plan)?,
            "instructions" => instructions::run(&plan)?,
            _ => calls::run(&plan)?,
        }
    }
    Ok(())
}
