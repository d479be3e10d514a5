//! `wss://` in one line: the roots that come with a feature.
#![cfg(all(feature = "runtimes", not(miri)))]
#![cfg(any(feature = "native-tls", feature = "rustls-native-certs", feature = "webpki-roots"))]

use sansocket::{Config, Message};
use sansocket_tests::certificates::Authority;
use sansocket_tokio::{Error, Handler, Outcome, Reply, Server, connect};
use tokio::net::TcpListener;

struct Echo;

impl Handler for Echo {
    type Info = ();

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(message)?)
    }
}

async fn serve(authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    tokio::spawn(
        Server::new(Config::new()).rustls(authority.server(&["127.0.0.1"]).into()).serve(listener, |_| Echo),
    );
    url
}

#[tokio::test]
async fn an_authority_that_nobody_knows_is_not_trusted() {
    let url = serve(&Authority::default()).await;
    let error = connect(&url).await.unwrap_err();
    assert!(matches!(error, Error::Io(_)) && error.to_string().contains("certificate"), "{error:?}");
    assert!(
        rustls::crypto::CryptoProvider::get_default().is_none(),
        "the process's provider is not ours to set"
    );
}

/// The platform's roots are those of an environment variable, which must be set before a process begins. So
/// this test runs itself.
#[cfg(all(unix, not(target_vendor = "apple"), any(feature = "native-tls", feature = "rustls-native-certs")))]
#[tokio::test]
async fn a_url_is_enough_where_the_platform_trusts_the_authority() {
    const URL: &str = "SANSOCKET_TEST_URL";
    if let Ok(url) = std::env::var(URL) {
        let mut socket = connect(&url).await.unwrap();
        socket.send("m").await.unwrap();
        assert_eq!(socket.recv().await.unwrap(), Some(Message::from("m")));
        return;
    }
    let authority = Authority::default();
    let url = serve(&authority).await;
    let roots = format!("{}/roots-{}.pem", env!("CARGO_TARGET_TMPDIR"), std::process::id());
    std::fs::write(&roots, authority.pem()).unwrap();
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "a_url_is_enough_where_the_platform_trusts_the_authority"]);
    command.env("SSL_CERT_FILE", &roots).env_remove("SSL_CERT_DIR").env(URL, url);
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    std::fs::remove_file(roots).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
