//! The matrices of hostile peers.

use sansocket::{Compression, Config, Connection, Role};

use super::Stream;
use crate::hostile::{frames, handshakes, responses};
use crate::{ROLES, START, asking, compressed, heads, open, wire};

pub(super) fn streams() -> Vec<Stream> {
    let mut streams = Vec::new();
    for attack in ROLES.into_iter().flat_map(frames::attacks) {
        let (role, compresses) = (attack.receiver, attack.compression);
        let stream = Stream::new(&attack, attack.stream(), move |delivery| {
            let config = frames::config(compresses).delivery(delivery);
            if compresses { compressed::open(role, &config) } else { open(role, &config) }
        });
        // A bomb is inflated up to the limit.
        let cost = match attack.row.name {
            "64 MiB of zeros" => 1 << 16,
            _ => stream.cost + if compresses { 500 } else { 0 },
        };
        streams.push(Stream { cost, ..stream });
    }
    let compresses = Some(Compression::new());
    for (compression, version) in [(None, "13"), (compresses, "13"), (None, "8"), (None, "7")] {
        for mut row in handshakes::rows() {
            row.request = row.request.replace("Version: 13", &format!("Version: {version}"));
            let name = format!("{}, version {version}, compression: {}", row.name, compression.is_some());
            streams.push(Stream::new(name, row.stream(), move |delivery| {
                Connection::server(&Config::new().compression(compression).delivery(delivery), START)
            }));
        }
    }
    for (i, row) in responses::rows().into_iter().enumerate() {
        let good = heads::answer_to(&asking(&row.config()).1, &Config::new());
        let answer = (row.answer)(&good);
        let stream = [answer.as_bytes(), &wire::frame(Role::Client, wire::TEXT, "attack")].concat();
        let name = format!("response {i}, {:?}", row.error);
        streams.push(Stream::new(name, stream, move |delivery| asking(&row.config().delivery(delivery)).0));
    }
    streams
}
