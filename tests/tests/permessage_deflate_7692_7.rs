//! RFC 7692 §5, §7.1: the negotiation of permessage-deflate.

use sansocket::extension::{InvalidAnswer, Offer, Settings, WindowBits, offers};

const ANY: Settings = Settings::new();
const NAME: &str = "permessage-deflate";

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

/// A header's extensions with their parameters in alphabetical order, since that makes no difference.
fn sorted(header: &str) -> Vec<Vec<String>> {
    let extension = |offer: Offer<'_>| {
        let mut params: Vec<_> = offer
            .params()
            .map(|param| match param.value {
                Some(value) => format!("{}={value}", param.name),
                None => param.name.to_owned(),
            })
            .collect();
        params.sort_unstable();
        params.insert(0, offer.name().to_owned());
        params
    };
    offers(header.as_bytes()).map(|offer| extension(offer.unwrap())).collect()
}

fn answer(settings: &Settings, offer: &str) -> Option<String> {
    settings.answer([offer.as_bytes()]).map(|(_, header)| header)
}

/// Cowboy's table: offer, settings, answer; where Cowboy lets duplicates pass, they are declined as §7.1 has it.
#[test]
fn section_7_1_each_offer_has_its_answer() {
    let server_anew = ANY.server_no_context_takeover(true);
    let client_anew = ANY.client_no_context_takeover(true);
    let server_9 = ANY.server_max_window_bits(bits(9));
    let client_9 = ANY.client_max_window_bits(bits(9));
    let mixed = server_anew.client_max_window_bits(bits(12)).server_max_window_bits(bits(11));
    let table: &[(&str, Settings, Option<&str>)] = &[
        ("", ANY, Some("")),
        ("client_max_window_bits", ANY, Some("client_max_window_bits=15")),
        ("client_max_window_bits=15", ANY, Some("client_max_window_bits=15")),
        ("client_max_window_bits=10", ANY, Some("client_max_window_bits=10")),
        ("client_max_window_bits=8", ANY, Some("client_max_window_bits=8")),
        ("client_max_window_bits=7", ANY, None),
        ("client_max_window_bits=16", ANY, None),
        ("client_max_window_bits=010", ANY, None),
        ("server_max_window_bits=10", ANY, Some("server_max_window_bits=10")),
        ("server_max_window_bits=\"10\"", ANY, Some("server_max_window_bits=10")),
        ("server_max_window_bits=8", ANY, Some("server_max_window_bits=8")),
        ("server_max_window_bits", ANY, None),
        ("server_max_window_bits=7", ANY, None),
        ("client_no_context_takeover", ANY, Some("client_no_context_takeover")),
        ("server_no_context_takeover", ANY, Some("server_no_context_takeover")),
        (
            "client_no_context_takeover; server_no_context_takeover",
            ANY,
            Some("server_no_context_takeover; client_no_context_takeover"),
        ),
        ("client_no_context_takeover=1", ANY, None),
        ("server_no_context_takeover=true", ANY, None),
        ("foo", ANY, None),
        ("foo=1", ANY, None),
        ("server_no_context_takeover; server_no_context_takeover", ANY, None),
        ("client_no_context_takeover; client_no_context_takeover", ANY, None),
        ("client_max_window_bits; client_max_window_bits", ANY, None),
        ("client_max_window_bits; client_max_window_bits=10", ANY, None),
        ("client_max_window_bits=10; client_max_window_bits=9", ANY, None),
        ("server_max_window_bits=12; server_max_window_bits=10", ANY, None),
        (
            "client_max_window_bits; server_max_window_bits=15",
            ANY,
            Some("client_max_window_bits=15; server_max_window_bits=15"),
        ),
        ("", server_anew, Some("server_no_context_takeover")),
        ("server_no_context_takeover", server_anew, Some("server_no_context_takeover")),
        ("", client_anew, Some("client_no_context_takeover")),
        ("client_no_context_takeover", client_anew, Some("client_no_context_takeover")),
        (
            "client_no_context_takeover; server_no_context_takeover",
            server_anew.client_no_context_takeover(true),
            Some("client_no_context_takeover; server_no_context_takeover"),
        ),
        ("", server_9, Some("server_max_window_bits=9")),
        ("server_max_window_bits=8", server_9, Some("server_max_window_bits=8")),
        ("server_max_window_bits=12", server_9, Some("server_max_window_bits=9")),
        ("server_max_window_bits=9", server_9, Some("server_max_window_bits=9")),
        ("", client_9, None),
        ("client_max_window_bits", client_9, Some("client_max_window_bits=9")),
        ("client_max_window_bits=8", client_9, Some("client_max_window_bits=8")),
        ("client_max_window_bits=12", client_9, Some("client_max_window_bits=9")),
        (
            "client_max_window_bits; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=12",
            mixed,
            Some(
                "server_max_window_bits=11; client_no_context_takeover; client_max_window_bits=12; \
                 server_no_context_takeover",
            ),
        ),
    ];
    let header = |params: &str| if params.is_empty() { NAME.to_owned() } else { format!("{NAME}; {params}") };
    for (offer, settings, expected) in table {
        let answer = answer(settings, &header(offer)).map(|answer| sorted(&answer));
        assert_eq!(answer, expected.map(|expected| sorted(&header(expected))), "{offer:?} {settings:?}");
    }
}

#[test]
fn section_5_1_the_first_offer_that_can_be_accepted_is() {
    for (header, expected) in [
        ("foo, permessage-deflate", Some("")),
        (
            "permessage-deflate; foo, permessage-deflate; server_no_context_takeover",
            Some("; server_no_context_takeover"),
        ),
        (
            "permessage-deflate; server_max_window_bits=9, permessage-deflate",
            Some("; server_max_window_bits=9"),
        ),
        ("x-deflate-frame", None),
        ("Permessage-Deflate", None),
        ("permessage-deflate; foo", None),
        ("", None),
    ] {
        assert_eq!(answer(&ANY, header), expected.map(|params| format!("{NAME}{params}")), "{header}");
    }
    // Several headers are one list.
    let headers: [&[u8]; 3] =
        [b"foo", b"permessage-deflate; bar", b"permessage-deflate; client_max_window_bits=9"];
    let (agreed, _) = ANY.answer(headers).unwrap();
    assert_eq!(agreed.client_max_window_bits, bits(9));
}

#[test]
fn section_7_1_a_client_offers_what_browsers_do_and_what_it_is_told_to() {
    assert_eq!(ANY.offer(), "permessage-deflate; client_max_window_bits");
    let all =
        ANY.server_no_context_takeover(true).client_no_context_takeover(true).server_max_window_bits(bits(9));
    assert_eq!(
        all.client_max_window_bits(bits(10)).offer(),
        "permessage-deflate; client_max_window_bits; client_no_context_takeover; server_no_context_takeover; \
         server_max_window_bits=9"
    );
}

#[test]
fn section_7_1_a_client_fails_an_answer_that_is_none_to_its_offer() {
    use InvalidAnswer::{Malformed, NotGranted, NotOffered, Parameters};
    let anew = ANY.server_no_context_takeover(true);
    let server_10 = ANY.server_max_window_bits(bits(10));
    for (settings, header, error) in [
        (ANY, "permessage-deflate; client_max_window_bits", Parameters),
        (ANY, "permessage-deflate; client_max_window_bits=7", Parameters),
        (ANY, "permessage-deflate; client_max_window_bits=16", Parameters),
        (ANY, "permessage-deflate; server_max_window_bits", Parameters),
        (ANY, "permessage-deflate; server_max_window_bits=999", Parameters),
        (ANY, "permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", Parameters),
        (ANY, "permessage-deflate; server_no_context_takeover=1", Parameters),
        (ANY, "permessage-deflate; foo", Parameters),
        (ANY, "permessage-deflate; x=\"", Malformed),
        (ANY, "foo", NotOffered),
        (ANY, "permessage-deflate, foo", NotOffered),
        (ANY, "permessage-deflate, permessage-deflate", NotOffered),
        (anew, "permessage-deflate", NotGranted),
        (server_10, "permessage-deflate", NotGranted),
        (server_10, "permessage-deflate; server_max_window_bits=11", NotGranted),
    ] {
        assert_eq!(settings.verify([header.as_bytes()]), Err(error), "{header}");
    }
    assert_eq!(ANY.verify([]), Ok(None));
}

#[test]
fn section_7_1_both_ends_come_to_the_same_agreement_whatever_their_settings() {
    let all = || {
        (0..4).flat_map(|takeover| (8..=15).map(move |bits| (takeover, bits))).flat_map(
            |(takeover, server)| {
                (8..=15).map(move |client| {
                    ANY.server_no_context_takeover(takeover & 1 != 0)
                        .client_no_context_takeover(takeover & 2 != 0)
                        .server_max_window_bits(bits(server))
                        .client_max_window_bits(bits(client))
                })
            },
        )
    };
    for client in all() {
        for server in all() {
            let (agreed, header) = server.answer([client.offer().as_bytes()]).unwrap();
            let verified = client.verify([header.as_bytes()]).unwrap().unwrap();
            assert_eq!(verified.server_max_window_bits, agreed.server_max_window_bits);
            assert_eq!(verified.server_no_context_takeover, agreed.server_no_context_takeover);
            // The client may keep to less than it was told.
            assert!(verified.client_max_window_bits <= agreed.client_max_window_bits);
            assert!(verified.client_no_context_takeover >= agreed.client_no_context_takeover);
            assert!(verified.server_max_window_bits <= client_bits(&client).min(client_bits(&server)));
        }
    }

    fn client_bits(settings: &Settings) -> WindowBits {
        // What it asks the server for, read back from its own offer.
        let header = settings.offer();
        let offer = offers(header.as_bytes()).next().unwrap().unwrap();
        let value =
            offer.params().find(|param| param.name == "server_max_window_bits").and_then(|param| param.value);
        value.map_or(WindowBits::MAX, |value| bits(value.parse().unwrap()))
    }
}
