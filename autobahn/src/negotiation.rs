//! Whether compression was agreed upon as a case of groups 12 and 13 asks, and done: the testsuite is content if
//! the peer keeps to what it answered, whatever that was.

use core::fmt;
use std::path::Path;
use std::{fs, io};

use serde::Deserialize;

use crate::cases::group;

/// What is wrong with one case.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// Its report file cannot be read.
    Unreadable(io::ErrorKind),
    /// Its report file is none.
    Malformed,
    /// This is not in the answer, which is the other.
    NotAgreed(String, String),
    /// So many bytes of messages came in so many bytes of frames.
    NotShrunk(u64, u64),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "its report file cannot be read: {error}"),
            Self::Malformed => f.write_str("its report file is none"),
            Self::NotAgreed(asked, answer) => write!(f, "`{asked}` is not in the answer `{answer}`"),
            Self::NotShrunk(messages, frames) => {
                write!(f, "{messages} bytes of messages came in {frames} bytes of frames")
            }
        }
    }
}

/// The case's own report, as far as it tells.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct File {
    http_response: String,
    /// Whether the testsuite was the server.
    is_server: bool,
    traffic_stats: Option<Traffic>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Traffic {
    incoming_octets_app_level: u64,
    incoming_octets_web_socket_level: u64,
    outgoing_octets_web_socket_level: u64,
}

/// What is wrong with this case's compression, judging by the report file in `directory`.
pub fn fault(directory: &Path, agent: &str, case: &str) -> Option<Fault> {
    if !matches!(group(case), "12" | "13") {
        return None;
    }
    let file = directory.join(format!("{agent}_case_{}.json", case.replace('.', "_")));
    match fs::read_to_string(file) {
        Ok(json) => judge(&json, case),
        Err(error) => Some(Fault::Unreadable(error.kind())),
    }
}

fn judge(json: &str, case: &str) -> Option<Fault> {
    let Ok(file) = serde_json::from_str::<File>(json) else { return Some(Fault::Malformed) };
    let answer = answer(&file.http_response);
    let side = if file.is_server { "client" } else { "server" };
    let parts: Vec<_> = answer.split(';').map(str::trim).collect();
    for asked in asked(case, side) {
        if !parts.contains(&asked.as_str()) {
            return Some(Fault::NotAgreed(asked, answer.into()));
        }
    }
    let Some(traffic) = file.traffic_stats else { return Some(Fault::Malformed) };
    let (messages, frames) = (traffic.incoming_octets_app_level, traffic.incoming_octets_web_socket_level);
    // The same messages went the other way, through the testsuite's own compressor: they may be such as hardly shrink,
    // and no two compressors make quite the same of them.
    let suites = traffic.outgoing_octets_web_socket_level * 21 / 20;
    let most = (messages * 9 / 10).max(suites).min(messages);
    (is_long(case) && frames >= most).then_some(Fault::NotShrunk(messages, frames))
}

/// What the answer must have: the parameters that bind the compressor under test. Of 13.7, whose header has
/// three offers, those of the first.
fn asked(case: &str, side: &str) -> Vec<String> {
    let (begin_anew, bits) = match case.rsplit_once('.').map_or(case, |(series, _)| series) {
        "13.2" => (true, None),
        "13.3" => (false, Some(9)),
        "13.4" => (false, Some(15)),
        "13.5" | "13.7" => (true, Some(9)),
        "13.6" => (true, Some(15)),
        _ => (false, None),
    };
    let mut asked = vec!["permessage-deflate".to_owned()];
    asked.extend(begin_anew.then(|| format!("{side}_no_context_takeover")));
    asked.extend(bits.map(|bits| format!("{side}_max_window_bits={bits}")));
    asked
}

fn answer(response: &str) -> &str {
    let fields = response.lines().filter_map(|line| line.split_once(':'));
    let mut values = fields.filter(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-extensions"));
    values.next().map_or("", |(_, value)| value.trim())
}

/// Whether its messages have a kibibyte or more, which no window is too small for. The messages of the first
/// three cases of a series are shorter.
fn is_long(case: &str) -> bool {
    case.rsplit_once('.').is_some_and(|(_, number)| number.parse().is_ok_and(|number: u32| number > 3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(is_server: bool, extensions: &str, frames: u64) -> String {
        report_beside(is_server, extensions, frames, 400)
    }

    fn report_beside(is_server: bool, extensions: &str, frames: u64, suites: u64) -> String {
        format!(
            r#"{{"httpResponse": "HTTP/1.1 101 Switching Protocols\r\nSec-Websocket-Extensions: {extensions}\r\n\r\n",
            "isServer": {is_server}, "trafficStats": {{"incomingOctetsAppLevel": 1000,
            "incomingOctetsWebSocketLevel": {frames}, "outgoingOctetsWebSocketLevel": {suites}}}}}"#
        )
    }

    #[test]
    fn what_was_asked_for_must_be_in_the_answer() {
        let none = "permessage-deflate";
        let anew = "permessage-deflate; server_no_context_takeover";
        let nine = "permessage-deflate; server_max_window_bits=9";
        let both = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9";
        for (case, answer, missing) in [
            ("12.1.1", none, None),
            ("12.1.1", "", Some("permessage-deflate")),
            ("13.1.1", none, None),
            ("13.2.1", anew, None),
            ("13.2.1", nine, Some("server_no_context_takeover")),
            ("13.3.1", nine, None),
            ("13.3.1", none, Some("server_max_window_bits=9")),
            ("13.4.1", nine, Some("server_max_window_bits=15")),
            ("13.5.1", both, None),
            ("13.5.1", anew, Some("server_max_window_bits=9")),
            ("13.6.1", both, Some("server_max_window_bits=15")),
            ("13.7.1", both, None),
            ("13.7.1", none, Some("server_no_context_takeover")),
        ] {
            let fault = judge(&report(false, answer, 500), case);
            let expected = missing.map(|missing| Fault::NotAgreed(missing.into(), answer.into()));
            assert_eq!(fault, expected, "{case} {answer}");
        }
    }

    #[test]
    fn of_a_client_its_own_side_counts() {
        assert_eq!(judge(&report(true, "permessage-deflate; client_max_window_bits=9", 500), "13.3.1"), None);
        let server = judge(&report(true, "permessage-deflate; server_max_window_bits=9", 500), "13.3.1");
        assert!(matches!(server, Some(Fault::NotAgreed(..))));
    }

    #[test]
    fn long_messages_must_have_shrunk() {
        for (case, frames, fault) in [
            ("12.1.3", 1100, None),
            ("12.1.4", 899, None),
            ("12.1.4", 900, Some(Fault::NotShrunk(1000, 900))),
        ] {
            assert_eq!(judge(&report(false, "permessage-deflate", frames), case), fault);
        }
    }

    #[test]
    fn messages_that_hardly_shrink_must_do_so_as_much_as_with_the_testsuite() {
        for (frames, suites, fault) in [
            (944, 931, None),
            (976, 930, Some(Fault::NotShrunk(1000, 976))),
            (999, 990, None),
            (1000, 990, Some(Fault::NotShrunk(1000, 1000))),
        ] {
            let report = report_beside(false, "permessage-deflate", frames, suites);
            assert_eq!(judge(&report, "12.2.4"), fault);
        }
    }

    #[test]
    fn a_report_that_is_missing_or_none_is_a_fault() {
        assert_eq!(judge("{}", "12.1.1"), Some(Fault::Malformed));
        let missing = fault(Path::new("does/not/exist"), "a", "12.1.1");
        assert_eq!(missing, Some(Fault::Unreadable(io::ErrorKind::NotFound)));
        assert_eq!(fault(Path::new("does/not/exist"), "a", "1.1.1"), None);
    }
}
