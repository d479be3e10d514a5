//! Requests that go where a redirection leads (RFC 9110 §15.4). Who follows it is in `redirects_followed.rs`.

use sansocket::{ClientRequest, Config, Connection, InvalidUrl};
use sansocket_tests::heads::{credentials, has_credentials};
use sansocket_tests::{SEED, START, take_output};

fn head(request: &ClientRequest) -> String {
    let mut client = Connection::client(&Config::new(), request, SEED, START);
    String::from_utf8(take_output(&mut client)).unwrap()
}

#[test]
fn another_scheme_host_or_port_is_another_origin() {
    let request = credentials("ws://a.example/");
    for (location, kept) in [
        ("/b", true),
        ("//a.example:80", true),
        ("ws://A.EXAMPLE/b", true),
        ("//a.example:81", false),
        ("//b.a.example", false),
        ("//a.example.", false),
        ("wss://a.example/", false),
        ("https://a.example:80/", false),
    ] {
        let redirected = request.redirected(location).unwrap();
        assert_eq!(has_credentials(&head(&redirected)), [kept; 3], "{location}");
        assert_eq!(has_credentials(&head(&request)), [true; 3]);
    }
}

#[test]
fn nothing_leads_from_wss_to_ws() {
    let request = credentials("wss://a.example/");
    for location in ["ws://a.example/", "HTTP://a.example:443/", "http://b.example", "ws:"] {
        assert!(request.redirected(location).is_err(), "{location}");
    }
    assert_eq!(request.redirected("ws://a.example/").unwrap_err(), InvalidUrl::Downgrade);
    for location in ["//b.example/", "/b", "https://b.example", ""] {
        assert!(request.redirected(location).unwrap().is_secure(), "{location}");
    }
}
