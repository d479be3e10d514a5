//! `x-webkit-deflate-frame` and `deflate-frame`: offers and answers.

use sansocket::extension::{Extension, InvalidAnswer, Negotiated, Settings, WindowBits};

const ANY: Settings = Settings::new().accept_deflate_frame(true);
const NAMES: [(&str, Extension); 2] =
    [("x-webkit-deflate-frame", Extension::XWebkitDeflateFrame), ("deflate-frame", Extension::DeflateFrame)];

fn bits(bits: u8) -> WindowBits {
    WindowBits::new(bits).unwrap()
}

fn answer(settings: &Settings, offer: &str) -> Option<(Negotiated, String)> {
    settings.answer([offer.as_bytes()])
}

#[test]
fn an_offer_without_parameters_is_answered_by_the_name_alone() {
    for (name, extension) in NAMES {
        assert_eq!(answer(&ANY, name), Some((Negotiated::new(extension), name.into())));
    }
}

/// With zlib-rs, a client could choose by it to be inflated by miniz_oxide.
#[test]
fn by_default_a_server_accepts_it_unless_it_inflates_by_zlib_rs() {
    for (name, _) in NAMES {
        assert_eq!(answer(&Settings::new(), name).is_none(), cfg!(feature = "zlib-rs"), "{name}");
        assert_eq!(answer(&Settings::new().accept_deflate_frame(false), name), None);
    }
}

#[test]
fn parameters_of_an_offer_bind_the_server_and_are_not_repeated() {
    for (name, extension) in NAMES {
        for (offered, window) in [(8, 8), (12, 12), (15, 12)] {
            let settings = ANY.server_max_window_bits(bits(12));
            let offer = format!("{name}; no_context_takeover; max_window_bits={offered}");
            let (agreed, header) = answer(&settings, &offer).unwrap();
            assert_eq!((agreed.extension, &header[..]), (extension, name));
            assert_eq!(agreed.server_max_window_bits, bits(window));
            assert!(agreed.server_no_context_takeover && !agreed.client_no_context_takeover);
        }
    }
}

#[test]
fn parameters_of_an_answer_bind_the_client() {
    let server = ANY.client_no_context_takeover(true).client_max_window_bits(bits(10));
    let client = ANY.offer_deflate_frame(true);
    for (name, extension) in NAMES {
        let (agreed, header) = answer(&server, name).unwrap();
        assert_eq!(header, format!("{name}; no_context_takeover; max_window_bits=10"));
        let verified = client.verify([header.as_bytes()]).unwrap().unwrap();
        for end in [agreed, verified] {
            assert_eq!(end.extension, extension);
            assert_eq!(end.client_max_window_bits, bits(10));
            assert!(end.client_no_context_takeover && !end.server_no_context_takeover);
        }
    }
}

#[test]
fn a_client_inflates_in_a_whole_window_since_no_answer_says_what_the_server_keeps_to() {
    let client =
        ANY.offer_deflate_frame(true).server_max_window_bits(bits(9)).server_no_context_takeover(true);
    let verified = client.verify([&b"deflate-frame"[..]]).unwrap().unwrap();
    assert_eq!(verified.server_max_window_bits, WindowBits::MAX);
    assert!(!verified.server_no_context_takeover);
}

#[test]
fn a_parameter_that_is_not_understood_declines_the_offer() {
    for (name, _) in NAMES {
        for params in [
            "max_window_bits",
            "max_window_bits=7",
            "max_window_bits=16",
            "max_window_bits=09",
            "max_window_bits=9; max_window_bits=9",
            "no_context_takeover=1",
            "no_context_takeover; no_context_takeover",
            "server_max_window_bits=9",
            "foo",
        ] {
            assert_eq!(answer(&ANY, &format!("{name}; {params}")), None, "{params}");
            let client = ANY.offer_deflate_frame(true);
            let verified = client.verify([format!("{name}; {params}").as_bytes()]);
            assert_eq!(verified, Err(InvalidAnswer::Parameters), "{params}");
        }
    }
}

#[test]
fn whichever_extension_is_named_first_is_chosen() {
    for (offer, extension) in [
        ("x-webkit-deflate-frame, permessage-deflate", Extension::XWebkitDeflateFrame),
        ("permessage-deflate, x-webkit-deflate-frame", Extension::PermessageDeflate),
        ("deflate-frame; foo, permessage-deflate", Extension::PermessageDeflate),
        ("permessage-deflate; foo, deflate-frame", Extension::DeflateFrame),
    ] {
        assert_eq!(answer(&ANY, offer).unwrap().0.extension, extension, "{offer}");
    }
}

#[test]
fn a_server_may_decline_it() {
    for (name, _) in NAMES {
        assert_eq!(answer(&ANY.accept_deflate_frame(false), name), None);
    }
}

#[test]
fn a_client_offers_it_only_if_told_to_and_accepts_it_only_then() {
    let told = ANY.offer_deflate_frame(true);
    assert_eq!(
        told.server_no_context_takeover(true).server_max_window_bits(bits(9)).offer(),
        "permessage-deflate; client_max_window_bits; server_no_context_takeover; server_max_window_bits=9, \
         x-webkit-deflate-frame; no_context_takeover; max_window_bits=9, \
         deflate-frame; no_context_takeover; max_window_bits=9"
    );
    for (name, extension) in NAMES {
        assert!(!ANY.offer().contains(name));
        assert_eq!(ANY.verify([name.as_bytes()]), Err(InvalidAnswer::NotOffered));
        assert_eq!(told.verify([name.as_bytes()]), Ok(Some(Negotiated::new(extension))));
    }
}
