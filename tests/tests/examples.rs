//! The examples that the README tells its readers to run, as processes, with clients on real sockets.
#![cfg(all(feature = "runtimes", not(miri)))]

use core::time::Duration;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use sansocket::{
    ClientRequest, CloseCode, Config, Connection, Event, Input, Instant, Message, Seed, Transport,
};

const NOW: Instant = Instant::ORIGIN;

/// An example that does nothing for so long never will.
const PATIENCE: Duration = Duration::from_secs(20);

/// The process of an example, until the end of a test.
struct Example {
    process: Child,
    /// Host and port.
    address: String,
}

impl Example {
    /// Starts an example on a port that is free. What it prints first is its URL.
    fn start(package: &str, name: &str) -> Self {
        Self::start_on("127.0.0.1:0", package, name)
    }

    fn start_on(address: &str, package: &str, name: &str) -> Self {
        let program = build(package, name);
        let mut process =
            Command::new(program).arg(address).stdout(Stdio::piped()).spawn().expect("it was built");
        let mut url = String::new();
        let output = process.stdout.take().expect("it is piped");
        BufReader::new(output).read_line(&mut url).expect("an example prints text");
        let (_, address) = url.trim_end().split_once("://").expect("an example prints its URL");
        Self { address: address.trim_end_matches('/').into(), process }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("it is a socket");
        stream
    }

    /// What the example answers to a request for a page.
    fn get(&self, path: &str) -> String {
        let mut stream = self.connect();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", self.address).expect("it reads");
        let mut response = String::new();
        stream.read_to_string(&mut response).expect("it answers text");
        response
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Cargo builds it, which it has done already if all packages are tested at once: a test cannot depend on another package's
/// example otherwise, and one from an earlier build must not stand in for it.
fn build(package: &str, name: &str) -> PathBuf {
    // TARGET/debug/deps/examples-0123456789abcdef
    let test = std::env::current_exe().expect("a test has a path");
    let target: PathBuf = test.ancestors().nth(3).expect("a test is in a target directory").into();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--profile", "test", "--package", package, "--example", name])
        .args(if package.ends_with("async-std") { &["--features", "smol"][..] } else { &[] })
        .arg("--target-dir")
        .arg(&target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .status();
    assert!(built.is_ok_and(|status| status.success()), "{name} was not built");

    target.join("debug/examples").join(name).with_extension(std::env::consts::EXE_EXTENSION)
}

/// What an example that connects to `address` prints when `input` is typed.
fn run_client(name: &str, address: &str, input: &str) -> String {
    let mut process = Command::new(build("sansocket-tokio", name))
        .arg(format!("ws://{address}/"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut typed = process.stdin.take().expect("it is piped");
    typed.write_all(input.as_bytes()).expect("it reads");
    drop(typed);
    let output = process.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{name}: {}", output.status);
    String::from_utf8(output.stdout).expect("it prints text")
}

/// A client that waits for one event at a time.
struct Client {
    stream: TcpStream,
    connection: Connection,
    unread: Vec<u8>,
}

impl Client {
    fn open(example: &Example, path: &str) -> Self {
        let request = ClientRequest::new(&format!("ws://{}{path}", example.address)).expect("it is a URL");
        Self::request(example, &request.subprotocol("chat").expect("it is a token"))
    }

    fn open_plainly(example: &Example) -> Self {
        let url = format!("ws://{}/", example.address);
        Self::request(example, &ClientRequest::new(&url).expect("it is a URL"))
    }

    fn request(example: &Example, request: &ClientRequest) -> Self {
        let connection = Connection::client(&Config::new(), request, Seed::new([7; 32]), NOW);
        let mut client = Self { stream: example.connect(), connection, unread: Vec::new() };
        let event = client.next();
        assert!(matches!(event, Some(Event::Open(_))), "{event:?}");
        client
    }

    fn say(&mut self, message: impl Into<Message<'static>>) {
        self.connection.send(message).expect("it is open");
        self.write();
    }

    fn write(&mut self) {
        while !self.connection.transmit().is_empty() {
            let written = self.stream.write(self.connection.transmit().first()).expect("it reads");
            self.connection.transmitted(written);
        }
    }

    fn hear(&mut self) -> Message<'static> {
        match self.next() {
            Some(Event::Message(message)) => message,
            other => panic!("no message: {other:?}"),
        }
    }

    /// The next event; `None` at the end of the connection.
    fn next(&mut self) -> Option<Event<'static>> {
        loop {
            self.write();
            let mut input = Input::new(&mut self.unread);
            let event = self.connection.receive(NOW, &mut input).map(Event::into_owned);
            self.unread = input.into_rest().to_vec();
            match self.connection.transport() {
                _ if event.is_some() => return event,
                Transport::Open => {}
                Transport::ShutdownWrite => self.stream.shutdown(Shutdown::Write).expect("it is open"),
                Transport::Close(_) => return None,
            }
            let mut buffer = [0; 4096];
            match self.stream.read(&mut buffer).expect("the example answers in time") {
                0 => drop(self.connection.receive_eof()),
                n => self.unread.extend(&buffer[..n]),
            }
        }
    }

    /// Closes the connection as it should be, and sees that the example does too.
    fn close(mut self) {
        self.connection.close(NOW, CloseCode::NORMAL_CLOSURE).expect("it is open");
        while self.next().is_some() {}
        let Transport::Close(disconnect) = self.connection.transport() else { panic!("it is over") };
        assert!(disconnect.is_clean(), "{disconnect}");
    }
}

#[test]
fn the_event_loop_echoes_to_many_clients() {
    let example = Example::start("sansocket", "epoll");
    let mut clients: Vec<_> = (0..50).map(|_| Client::open(&example, "/")).collect();
    for (i, client) in clients.iter_mut().enumerate() {
        client.say(format!("client {i}"));
    }
    for (i, client) in clients.iter_mut().enumerate() {
        assert_eq!(client.hear(), Message::text(format!("client {i}")));
    }
    let client = &mut clients[0];
    // More than socket buffers hold: the example has to wait for them.
    let big: Vec<u8> = (0..1 << 20).map(|i: u32| i.to_le_bytes()[1]).collect();
    client.say(big.clone());
    assert!(client.hear().as_bytes() == big, "a message of 1 MiB came back changed");
    client.connection.ping(b"there?").expect("it is open");
    assert_eq!(client.next(), Some(Event::Pong(b"there?".into())));
    clients.into_iter().for_each(Client::close);
}

#[test]
fn the_chat_serves_its_page_and_tells_everybody() {
    let example = Example::start("sansocket-tokio", "chat");
    let page = example.get("/");
    assert!(page.starts_with("HTTP/1.1 200 ") && page.contains("<!doctype html>"), "{page}");
    assert!(example.get("/favicon.ico").starts_with("HTTP/1.1 404 "));
    assert!(example.get("/chat").starts_with("HTTP/1.1 426 "));

    let mut first = Client::open(&example, "/chat");
    let agreed = first.connection.agreed().expect("it is open");
    assert_eq!(agreed.subprotocol(), Some("chat"));
    assert_eq!(first.hear(), Message::text("joined\t1\t1\t"));
    let mut second = Client::open(&example, "/chat");
    assert_eq!(second.hear(), Message::text("joined\t2\t2\t"));
    assert_eq!(first.hear(), Message::text("joined\t2\t2\t"));
    second.say("Hello,\tfirst");
    assert_eq!(first.hear(), Message::text("said\t2\t2\tHello,\tfirst"));
    second.close();
    assert_eq!(first.hear(), Message::text("left\t2\t1\t"));
    first.close();
}

#[test]
fn the_short_clients_talk_with_the_short_server() {
    let server = Example::start("sansocket-tokio", "echo_server");
    let printed = run_client("client", &server.address, "");
    // An echo server knows no subprotocols.
    let expected = "101, subprotocol: None\nText(\"Hello\")\nclosed by this side: 1000\n";
    assert_eq!(printed, expected);
    assert_eq!(run_client("split", &server.address, "one\ntwo\nthree\n"), "one\ntwo\nthree\n");
    // The same on smol.
    let server = Example::start("sansocket-async-std", "echo_smol");
    assert_eq!(run_client("client", &server.address, ""), expected);
}

#[test]
fn the_broadcast_tells_everybody() {
    let example = Example::start("sansocket-tokio", "broadcast");
    let mut guests: Vec<_> = (0..10).map(|_| Client::open_plainly(&example)).collect();
    for i in [3, 7] {
        let line = format!("it is {i}");
        guests[i].say(line.clone());
        for guest in &mut guests {
            assert_eq!(guest.hear(), Message::text(line.clone()));
        }
        guests.pop().expect("there are some").close();
    }
}

#[test]
fn the_reconnecting_client_comes_back_when_its_server_does() {
    let server = Example::start("sansocket-tokio", "broadcast");
    let address = server.address.clone();
    let process = Command::new(build("sansocket-tokio", "reconnecting"))
        .arg(format!("ws://{address}/"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it was built");
    let mut client = Example { process, address: address.clone() };
    let said = lines(client.process.stderr.take().expect("it is piped"));
    let heard = lines(client.process.stdout.take().expect("it is piped"));

    assert_eq!(said(), "connected");
    tell(&server, "one");
    assert_eq!(heard(), "Text(\"one\")");

    drop(server);
    assert!(said().starts_with("disconnected: "));
    let server = Example::start_on(&address, "sansocket-tokio", "broadcast");
    assert_eq!(said(), "connected");
    tell(&server, "two");
    assert_eq!(heard(), "Text(\"two\")");
}

/// The next line that a process prints, if it does so before a reader on a socket would give up too.
fn lines(output: impl Read + Send + 'static) -> impl Fn() -> String {
    let (give, lines) = mpsc::channel();
    thread::spawn(move || BufReader::new(output).lines().try_for_each(|line| give.send(line)));
    move || lines.recv_timeout(PATIENCE).expect("it goes on").expect("it prints text")
}

/// Has a server broadcast a line.
fn tell(server: &Example, line: &'static str) {
    let mut guest = Client::open_plainly(server);
    guest.say(line);
    assert_eq!(guest.hear(), Message::text(line));
    guest.close();
}
