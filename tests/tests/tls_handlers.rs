//! What handlers are told of TLS by rustls.
#![cfg(all(feature = "runtimes", not(miri)))]

use rustls::ClientConfig;
use rustls::pki_types::CertificateDer;
use sansocket::{Accept, ClientRequest, Config, Message, Request, Response, Status};
use sansocket_tests::certificates::Authority;
use sansocket_tokio::{Connected, Connector, Decision, Error, Handler, Outcome, Reply, Server};
use tokio::net::TcpListener;

const NAMES: &[&str] = &["127.0.0.1", "localhost"];

async fn connect(tls: ClientConfig, url: &str) -> Result<Connected, Error> {
    let request = ClientRequest::new(url).unwrap();
    Ok(Connector::new().rustls(tls.into()).connect(&request).await?.0)
}

/// Lets in who has a certificate, and tells it how long that is.
#[derive(Default)]
struct Doorman(Option<CertificateDer<'static>>);

impl Handler for Doorman {
    type Info = ();

    fn secured(&mut self, tls: &rustls::Connection) {
        let rustls::Connection::Server(server) = tls else { panic!("{tls:?}") };
        assert_ne!(server.server_name(), Some("localhost"), "not one to tell");
        self.0 = tls.peer_certificates().and_then(|chain| chain.first()).map(|it| it.clone().into_owned());
    }

    async fn init(&mut self, _: Request) -> Decision {
        match self.0 {
            Some(_) => Accept::new().into(),
            None => Response::new(Status::FORBIDDEN).into(),
        }
    }

    fn open(&mut self, reply: &mut Reply<'_, ()>) -> Outcome {
        Ok(reply.send(self.0.take().expect("it was let in").to_vec())?)
    }

    fn message(&mut self, _: Message<'_>, _: &mut Reply<'_, ()>) -> Outcome {
        Ok(())
    }
}

#[tokio::test]
async fn a_handler_sees_the_certificate_of_its_client_before_the_request() {
    let authority = Authority::default();
    let (client, certificate) = authority.certified_client("somebody");
    for (tls, expected) in
        [(authority.asking_server(NAMES), Some(certificate.to_vec())), (authority.server(NAMES), None)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("wss://{}/", listener.local_addr().unwrap());
        tokio::spawn(Server::new(Config::new()).rustls(tls.into()).serve(listener, |_| Doorman::default()));
        match (connect(client.clone(), &url).await, expected) {
            (Ok(mut socket), Some(expected)) => {
                let told = socket.recv().await.unwrap();
                assert_eq!(told, Some(Message::from(expected)));
            }
            (Err(Error::Rejected(response)), None) => assert_eq!(response.status(), Status::FORBIDDEN),
            (result, _) => panic!("{result:?}"),
        }
    }
}

#[tokio::test]
async fn a_handler_that_panics_at_the_tls_handshake_loses_its_own_connection_only() {
    let authority = Authority::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("wss://{}/", listener.local_addr().unwrap());
    let server = Server::new(Config::new()).rustls(authority.server(NAMES).into());
    tokio::spawn(server.serve(listener, |_| Doorman::default()));
    let (named, _) = authority.certified_client("somebody");
    let lost = connect(named.clone(), &url.replace("127.0.0.1", "localhost")).await.unwrap_err();
    assert!(!matches!(lost, Error::Rejected(_)), "{lost:?}");
    let answered = connect(named, &url).await.unwrap_err();
    assert!(matches!(answered, Error::Rejected(_)), "{answered:?}");
}
