//! The client: one function for each scene.

use core::cell::Cell;
use core::error::Error as StdError;
use core::time::Duration;
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use sansocket_tokio::sansocket::{Cause, Side};
use sansocket_tokio::{
    ClientRequest, CloseCode, CloseFrame, Connected, Connector, Disconnect, Error, Kind, Message,
};

use crate::{DONE, LIMIT, MEBIBYTE, Options, PING, REFUSAL, SUBPROTOCOLS};

type Outcome<T = ()> = Result<T, Box<dyn StdError>>;

pub(crate) async fn run(options: &Options) -> Outcome {
    let visit = Visit::new(options)?;
    let messages = match &options.scene[..] {
        "messages" => visit.messages().await?,
        "large" => visit.large(options.count).await?,
        "fragments" => visit.fragments(None).await?,
        "interleaved" => visit.fragments(Some(PING)).await?,
        "ping" => visit.ping().await?,
        "close" => visit.close().await?,
        "closes" => visit.closes().await?,
        "talks" => visit.talks().await?,
        "limited" => visit.limited().await?,
        "refused" => visit.refused().await?,
        "away" => visit.away().await?,
        "subprotocol" => visit.subprotocol().await?,
        "many" => visit.many(options.count).await?,
        "idle" => visit.idle().await?,
        "kept" => visit.kept(options.patience).await?,
        "cut" => visit.cut().await?,
        scene => return Err(format!("there is no scene {scene}").into()),
    };
    println!("{} | {messages}", visit.agreed.get());
    Ok(())
}

struct Visit {
    connector: Connector,
    url: String,
    /// The name of the extension that was agreed upon last.
    agreed: Cell<&'static str>,
}

impl Visit {
    fn new(options: &Options) -> Outcome<Self> {
        let mut connector = Connector::new().config(options.config.clone());
        if let Some(ca) = &options.ca {
            connector = connector.rustls(trusting(ca)?);
        }
        Ok(Self { connector, url: format!("{}/{}", options.url, options.scene), agreed: Cell::new("none") })
    }

    /// Texts and binary messages, of every length at which a frame's header changes, and about those at which
    /// buffers do.
    async fn messages(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let mut count = 0;
        for length in [0, 1, 2, 125, 126, 127, 4095, 4096, 65_535, 65_536, 100_000] {
            count += echo(&mut socket, text(length)).await?;
            count += echo(&mut socket, binary(length)).await?;
        }
        count += echo(&mut socket, "κόσμε, 日本語, 🦀\0").await?;
        close(socket, count).await
    }

    async fn large(&self, mebibytes: usize) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let mut count = 0;
        for message in [text(mebibytes * MEBIBYTE), binary(mebibytes * MEBIBYTE)] {
            count += echo(&mut socket, message).await?;
        }
        close(socket, count).await
    }

    /// Messages in pieces, cut within a character, and one of them empty; with a Ping between (RFC 6455 §5.4).
    async fn fragments(&self, ping: Option<&[u8]>) -> Outcome<usize> {
        let mut socket = self.open().await?;
        for kind in [Kind::Text, Kind::Binary] {
            let (crab, half) = ("🦀".as_bytes(), 2);
            socket.begin(kind)?;
            socket.push(b"crab: ").await?;
            socket.push(&crab[..half]).await?;
            if let Some(payload) = ping {
                socket.ping(payload)?;
            }
            socket.push(b"").await?;
            socket.finish(&crab[half..]).await?;
            let came = receive(&mut socket).await?;
            ensure(came.kind() == kind && came.as_bytes() == "crab: 🦀".as_bytes(), || {
                format!("{came:?} came")
            })?;
        }
        close(socket, 2).await
    }

    /// Whether our own Ping is answered with its payload: what comes before the echo of what was sent after it.
    async fn ping(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        for _ in 0..3 {
            socket.probe()?;
            echo(&mut socket, "after a Ping").await?;
        }
        ensure(socket.connection().latency().is_some(), || "no Pong fits our Ping".into())?;
        close(socket, 3).await
    }

    /// We close, with every sort of code and without one; the code comes back (§5.5.1).
    async fn close(&self) -> Outcome<usize> {
        let codes = [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999];
        let frames =
            codes.into_iter().filter_map(CloseCode::new).map(|code| CloseFrame::truncated(code, "bye"));
        for frame in frames.chain([CloseFrame::empty()]) {
            let mut socket = self.open().await?;
            echo(&mut socket, "before").await?;
            let end = socket.close(frame.clone()).await;
            let code = end.received().and_then(CloseFrame::code);
            let is_well =
                end.is_clean() && *end.cause() == Cause::Closed(Side::Local) && code == frame.code();
            ensure(is_well, || format!("{frame}: {end}, {:?} came", end.received()))?;
        }
        Ok(codes.len() + 1)
    }

    /// The peer closes, after a message.
    async fn closes(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        socket.send("close").await?;
        let came = socket.recv().await?;
        ensure(came.is_none(), || format!("{came:?} came"))?;
        closed_by_peer(&socket, DONE)?;
        Ok(1)
    }

    /// The peer begins: messages and a Ping; once that is answered it closes.
    async fn talks(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let mut came = Vec::new();
        while let Some(message) = socket.recv().await? {
            came.push(message);
        }
        let expected = [Message::from("text"), Message::from(&b"binary"[..]), Message::from("in pieces")];
        ensure(came == expected, || format!("{came:?} came"))?;
        closed_by_peer(&socket, DONE)?;
        Ok(came.len())
    }

    /// A message of so many bytes is echoed, a longer one makes the peer close with 1009 (§7.4.1).
    async fn limited(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        echo(&mut socket, binary(LIMIT)).await?;
        socket.send(binary(LIMIT + 1)).await?;
        let came = socket.recv().await?;
        ensure(came.is_none(), || format!("{came:?} came"))?;
        closed_by_peer(&socket, (1009, ""))?;
        Ok(1)
    }

    /// Another answer than 101, with a body (§4.1).
    async fn refused(&self) -> Outcome<usize> {
        match self.open().await {
            Err(Error::Rejected(response)) => {
                let (status, body) = (response.status().get(), response.body());
                ensure(status == 403 && body == REFUSAL.as_bytes(), || format!("{status}: {body:?}"))?;
                Ok(0)
            }
            Err(error) => Err(error.into()),
            Ok(_) => Err("it was opened".into()),
        }
    }

    /// A proxy's answer when there is no server behind it: one to try again.
    async fn away(&self) -> Outcome<usize> {
        match self.open().await {
            Err(error @ Error::Rejected(_)) if error.is_temporary() => Ok(0),
            other => Err(format!("not away: {other:?}").into()),
        }
    }

    /// The server takes the second of two (§4.2.2).
    async fn subprotocol(&self) -> Outcome<usize> {
        let [first, second] = SUBPROTOCOLS;
        let request = ClientRequest::new(&self.url)?.subprotocol(first)?.subprotocol(second)?;
        let (mut socket, _) = self.connector.connect(&request).await?;
        let agreed = socket.agreed().subprotocol();
        ensure(agreed == Some(second), || format!("{agreed:?} was agreed"))?;
        let count = echo(&mut socket, second).await?;
        close(socket, count).await
    }

    /// So many at once, all of them open before any says something.
    async fn many(&self, connections: usize) -> Outcome<usize> {
        let mut sockets = Vec::new();
        for _ in 0..connections {
            sockets.push(self.open().await?);
        }
        let mut count = 0;
        for round in 0..3 {
            for (index, socket) in sockets.iter_mut().enumerate() {
                socket.send(&*format!("{index} {round}")).await?;
            }
            for (index, socket) in sockets.iter_mut().enumerate() {
                let came = receive(socket).await?;
                ensure(came.as_text() == Some(&format!("{index} {round}")), || format!("{came:?} came"))?;
                count += 1;
            }
        }
        for socket in sockets {
            close(socket, 0).await?;
        }
        Ok(count)
    }

    /// The peer closes a silent connection in order.
    async fn idle(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let count = echo(&mut socket, "before").await?;
        let came = socket.recv().await?;
        ensure(came.is_none(), || format!("{came:?} came"))?;
        closed_by_peer(&socket, (1000, ""))?;
        Ok(count)
    }

    /// Keepalives of ours or of the server's keep a silent connection.
    async fn kept(&self, patience: Duration) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let mut count = echo(&mut socket, "before").await?;
        // Nothing is to come; meanwhile Pings are sent and answered.
        if let Ok(came) = tokio::time::timeout(patience * 3, socket.recv()).await {
            return Err(format!("not kept: {came:?}").into());
        }
        count += echo(&mut socket, "after").await?;
        close(socket, count).await
    }

    /// Without any, a silent connection is cut, and that is told as what it is (§7.1.5).
    async fn cut(&self) -> Outcome<usize> {
        let mut socket = self.open().await?;
        let count = echo(&mut socket, "before").await?;
        match socket.recv().await {
            Err(error) if error.cause() == Some(&Cause::Lost) => Ok(count),
            other => Err(format!("not cut: {other:?}").into()),
        }
    }

    async fn open(&self) -> Result<Connected, Error> {
        let (socket, _) = self.connector.connect(&ClientRequest::new(&self.url)?).await?;
        let agreed = socket.agreed().compression().map(|agreed| agreed.extension.name());
        self.agreed.set(agreed.unwrap_or("none"));
        Ok(socket)
    }
}

/// Sends a message, and compares what comes back. Returns how many that were: one.
async fn echo(socket: &mut Connected, message: impl Into<Message<'_>>) -> Outcome<usize> {
    let message = message.into();
    socket.send(message.borrow()).await?;
    let came = receive(socket).await?;
    ensure(came == message, || format!("{} bytes came back for {}", came.len(), message.len()))?;
    Ok(1)
}

async fn receive(socket: &mut Connected) -> Outcome<Message<'static>> {
    let came = socket.recv().await?;
    came.ok_or_else(|| format!("the peer closed: {:?}", socket.disconnect()).into())
}

/// Closes in order, and passes the count on.
async fn close(mut socket: Connected, count: usize) -> Outcome<usize> {
    let end = socket.close(CloseCode::NORMAL_CLOSURE).await;
    let code = end.received().and_then(CloseFrame::code);
    ensure(end.is_clean() && code == Some(CloseCode::NORMAL_CLOSURE), || {
        format!("not a clean close: {end}")
    })?;
    Ok(count)
}

/// Whether the peer has begun the closing handshake, with this, and it was completed.
fn closed_by_peer(socket: &Connected, (code, reason): (u16, &str)) -> Outcome {
    let is_it = |end: &Disconnect| {
        let frame = end.received().cloned().unwrap_or(CloseFrame::empty());
        let is_told = frame.code().map(CloseCode::get) == Some(code) && frame.reason() == reason;
        end.is_clean() && *end.cause() == Cause::Closed(Side::Remote) && is_told
    };
    let end = socket.disconnect();
    ensure(end.is_some_and(is_it), || format!("not closed with {code} {reason}: {end:?}"))
}

fn ensure(is_so: bool, otherwise: impl FnOnce() -> String) -> Outcome {
    if is_so { Ok(()) } else { Err(otherwise().into()) }
}

fn text(length: usize) -> Message<'static> {
    Message::from("0123456789abcdefghijklmnopqrstuvwxyz\n".chars().cycle().take(length).collect::<String>())
}

/// With every byte, and nothing that is there twice in the window of a compressor.
fn binary(length: usize) -> Message<'static> {
    let step = |state: &mut u32| {
        *state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some((*state >> 24) as u8)
    };
    Message::from((0..length).scan(1_u32, |state, _| step(state)).collect::<Vec<_>>())
}

fn trusting(certificate: &Path) -> Outcome<Arc<ClientConfig>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(certificate)?)?;
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    Ok(Arc::new(
        config.with_safe_default_protocol_versions()?.with_root_certificates(roots).with_no_client_auth(),
    ))
}
