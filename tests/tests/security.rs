//! `SECURITY.md` says what is so: the defaults, and what is told beyond them.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;

use sansocket::{Config, ProtocolError, Refusal};
use sansocket_driver::Backoff;
use sansocket_tests::tables::{Row, code, rows};

const SECURITY: &str = include_str!("../../SECURITY.md");

/// What a setting may look like when it is printed for debugging, if its default is this.
fn printed(default: &str) -> Vec<String> {
    let (number, unit) = default.split_once(' ').unwrap_or((default, ""));
    let number = number.replace(',', "").parse::<u64>();
    match (number, unit, default) {
        (Ok(n), "", _) => vec![n.to_string()],
        (Ok(n), "KiB", _) => vec![(n << 10).to_string()],
        (Ok(n), "MiB", _) => vec![(n << 20).to_string()],
        (Ok(n), "s", _) => vec![format!("Some({n}s)"), format!("Span({})", n * 1_000_000_000)],
        (_, _, "none") => vec!["None".into(), u64::MAX.to_string(), format!("Span({})", u64::MAX)],
        (_, _, "any") => vec!["None".into()],
        (_, _, "the same host") => vec!["SameHost".into()],
        (_, _, "half the idle timeout") => vec!["HalfIdle".into()],
        _ => panic!("what is {default:?}?"),
    }
}

/// What a setting of this name is printed as.
fn value<'p>(printed: &'p str, name: &str) -> &'p str {
    let name = format!("{}: ", if name == "keepalive" { "ping" } else { name });
    let (_, behind) = printed.split_once(&name).unwrap_or_else(|| panic!("no {name} in {printed}"));
    behind.split([',', ' ', '}']).next().unwrap_or_default()
}

fn settings() -> Vec<(&'static str, Row)> {
    rows(SECURITY).into_iter().map(|row| (code(row["setting"])[0], row)).collect()
}

#[test]
fn the_defaults_in_the_table_are_the_defaults() {
    let config = format!("{:?}", Config::default());
    let of_config: Vec<_> = settings().into_iter().filter(|(name, _)| !name.contains("::")).collect();
    for (name, row) in &of_config {
        let (value, expected) = (value(&config, name), printed(row["default"]));
        assert!(expected.iter().any(|printed| printed == value), "{name} is {value}, not {}", row["default"]);
    }
    // And all that the documentation has, with the same words where it has the same units.
    let documented = include_str!("../../core/src/config.rs").lines().filter_map(|line| {
        let (name, rest) = line.strip_prefix("/// | [`")?.split_once("`](")?;
        Some((name, rest.split('|').nth(1)?.trim()))
    });
    let mut count = 0;
    for (name, default) in documented {
        let row =
            of_config.iter().find(|(have, _)| *have == name).unwrap_or_else(|| panic!("{name} is missing"));
        assert!(row.1["default"] == default || name == "max_frame", "{name}: {default}");
        count += 1;
    }
    assert!(count >= 11, "{count}");
    let connector = format!("{:?}", sansocket_tokio::Connector::new());
    let timeout =
        settings().into_iter().find(|(name, _)| *name == "Connector::timeout").unwrap().1["default"];
    assert_eq!(printed(timeout)[0], value(&connector, "timeout"));
    let seconds = |name| {
        let row = settings().into_iter().find(|(have, _)| *have == name).unwrap().1;
        Duration::from_secs(row["default"].strip_suffix(" s").unwrap().parse().unwrap())
    };
    let backoff = Backoff::new().first(seconds("Backoff::first")).longest(seconds("Backoff::longest"));
    assert_eq!(backoff, Backoff::new());
}

#[test]
fn the_codes_in_the_table_are_those_of_the_errors_beside_them() {
    let mut checked = 0;
    for (name, row) in settings() {
        for error in code(row["told as"]) {
            let code = match error {
                "ProtocolError::FrameTooBig" => {
                    ProtocolError::FrameTooBig { len: 1, max: 0 }.close_code().get()
                }
                "ProtocolError::MessageTooBig" => {
                    ProtocolError::MessageTooBig { len: 1, max: 0 }.close_code().get()
                }
                "ProtocolError::TooManyFragments" => {
                    ProtocolError::TooManyFragments { max: 0 }.close_code().get()
                }
                "Refusal::HeadTooLong" => Refusal::HeadTooLong.status().get(),
                "Refusal::TooManyHeaders" => Refusal::TooManyHeaders.status().get(),
                "Refusal::ForeignHost" => Refusal::ForeignHost { host: String::new() }.status().get(),
                "Refusal::Origin" => {
                    Refusal::Origin { origin: String::new(), host: String::new() }.status().get()
                }
                "Timer::Handshake" => Refusal::TimedOut.status().get(),
                _ => continue,
            };
            assert!(row["beyond it"].contains(&code.to_string()), "{name}: {error} is {code}");
            checked += 1;
        }
    }
    assert_eq!(checked, 8);
}

#[test]
fn unsafe_code_is_forbidden_in_all_crates() {
    assert!(include_str!("../../Cargo.toml").contains("\nunsafe_code = \"forbid\"\n"));
    for manifest in [
        include_str!("../../core/Cargo.toml"),
        include_str!("../../driver/Cargo.toml"),
        include_str!("../../adapter-tokio/Cargo.toml"),
        include_str!("../../adapter-async-std/Cargo.toml"),
    ] {
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{manifest}");
    }
}
