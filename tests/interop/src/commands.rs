//! The commands of the family `conversation`, which come as lines of JSON, each answered with one: to visit a server
//! as a client, or to host one client, and to report on it.

use core::error::Error;
use core::future::Future;
use std::collections::BTreeMap;
use std::io::{BufRead as _, stdin};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// What went wrong that should not have.
pub type Failure = Box<dyn Error + Send + Sync>;

#[derive(Deserialize)]
#[serde(tag = "command", rename_all = "lowercase")]
enum Command {
    Visit(Visit),
    Host(Host),
    Report,
}

/// What a client is to do: send Pings, then message after message, each when the one before has come back, then
/// close, or wait for the server to do that.
#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Visit {
    pub url: String,
    pub protocols: Vec<String>,
    pub headers: BTreeMap<String, String>,
    pub compression: bool,
    pub pings: Vec<String>,
    pub send: Vec<Content>,
    pub fragments: bool,
    pub close: Option<Close>,
}

/// What a server is to do: refuse, or send Pings and echo; to close once it has echoed one message, or not.
#[derive(Clone, Debug, Default, Deserialize)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Host {
    pub protocols: Vec<String>,
    pub refuse: Option<Refuse>,
    pub compression: bool,
    pub pings: Vec<String>,
    pub fragments: bool,
    pub close: Option<Close>,
}

/// A message.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// A text.
    Text(String),
    /// A binary one.
    Hex(String),
}

impl Content {
    /// A binary message.
    pub fn binary(bytes: &[u8]) -> Self {
        Self::Hex(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// What the digits of a binary message stand for.
    ///
    /// # Errors
    /// It is a text, or they are no digits.
    pub fn decode(&self) -> Result<Vec<u8>, Failure> {
        let Self::Hex(digits) = self else { return Err("a text is no binary message".into()) };
        let pairs = digits.as_bytes().chunks(2).map(core::str::from_utf8);
        pairs.map(|pair| Ok(u8::from_str_radix(pair?, 16)?)).collect()
    }
}

/// A Close frame; the code 1005 is none.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Close {
    pub code: u16,
    pub reason: String,
}

/// An answer that is no upgrade.
#[derive(Clone, Debug, Deserialize)]
#[expect(missing_docs, reason = "they are what they are called")]
pub struct Refuse {
    pub status: u16,
    pub body: String,
}

/// What one side saw. What it cannot tell is `None`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Record {
    /// Whether the WebSocket was opened.
    pub opened: bool,
    /// A server's: the request's fields, their names in lower case.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, String>>,
    /// A client's: the response's status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// A client's: the body, if the WebSocket was not opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
    /// The subprotocol, empty if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// What was agreed upon of compression.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agreed: Option<String>,
    /// The messages that came.
    pub received: Vec<Content>,
    /// The Pings' payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pings: Option<Vec<String>>,
    /// The Pongs' payloads.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pongs: Option<Vec<String>>,
    /// Whether a Ping of its own, behind those that it was told to send, was answered in kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answered: Option<bool>,
    /// The Close that came: 1005 if it has no code, 1006 if there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<(u16, String)>,
    /// Whether both Closes are there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clean: Option<bool>,
}

/// Where a message of three fragments is cut: within a character, as it may be.
pub fn cut(bytes: &[u8]) -> [&[u8]; 3] {
    let (first, rest) = bytes.split_at(bytes.len() / 4);
    let (second, third) = rest.split_at(rest.len() / 3);
    [first, second, third]
}

/// Does what it is told until the end of the standard input.
///
/// # Errors
/// The lines cannot be read or are not commands.
pub async fn obey<V, H>(
    visit: impl Fn(Visit) -> V,
    host: impl Fn(TcpStream, Host) -> H + Clone + Send + 'static,
) -> Result<(), Failure>
where
    V: Future<Output = Result<Record, Failure>>,
    H: Future<Output = Result<Record, Failure>> + Send + 'static,
{
    let mut lines = lines();
    let mut hosting: Option<JoinHandle<Result<Record, Failure>>> = None;
    while let Some(line) = lines.recv().await {
        let answer = match serde_json::from_str(&line)? {
            Command::Visit(command) => tell(visit(command).await),
            Command::Host(command) => {
                let listener = TcpListener::bind("127.0.0.1:0").await?;
                let answer = json!({ "port": listener.local_addr()?.port() });
                let host = host.clone();
                hosting = Some(tokio::spawn(async move {
                    let (stream, _) = listener.accept().await?;
                    stream.set_nodelay(true)?;
                    host(stream, command).await
                }));
                answer
            }
            Command::Report => match hosting.take() {
                Some(hosting) => tell(hosting.await?),
                None => json!({ "error": "nobody was hosted" }),
            },
        };
        println!("{answer}");
    }
    Ok(())
}

fn tell(result: Result<Record, Failure>) -> Value {
    match result {
        Ok(record) => json!(record),
        Err(failure) => json!({ "error": failure.to_string() }),
    }
}

/// The lines of the standard input, which blocks.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, receiver) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}
