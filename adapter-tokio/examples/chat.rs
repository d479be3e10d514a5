//! A chat: one program, one port, the page and the WebSocket behind it.
//!
//! `cargo run --release -p sansocket-tokio --example chat`, then open the address that it prints, in two
//! tabs.

use core::error::Error;
use core::net::SocketAddr;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sansocket_tokio::{
    Accept, Address, CloseCode, Config, Decision, Disconnect, Handler, Message, Outcome, Prepared, Reply,
    Request, Response, Status, serve,
};
use tokio::net::TcpListener;

const PAGE: &str = include_str!("chat.html");
const SUBPROTOCOL: &str = "chat";

/// Who is here, by number.
#[derive(Default)]
struct Room {
    guests: BTreeMap<u32, Address<Prepared>>,
    last: u32,
}

impl Room {
    /// Tells everybody what a guest did. The fields of a line are separated by tabs; the text comes last,
    /// since it may have some of its own.
    fn tell(&self, guest: u32, did: &str, text: &str) {
        // Made once, for all: an address takes it without waiting for anybody.
        let line = Prepared::text(format!("{did}\t{guest}\t{}\t{text}", self.guests.len()));
        for address in self.guests.values() {
            // Who is too slow misses something, and who has just left need not know.
            let _ = address.send(line.clone());
        }
    }
}

/// One connection. It has a number once it is a WebSocket: the page comes over a connection of its own.
struct Guest {
    room: Arc<Mutex<Room>>,
    number: u32,
}

impl Guest {
    fn room(&self) -> MutexGuard<'_, Room> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Guest {
    type Info = Prepared;

    async fn init(&mut self, request: Request) -> Decision {
        match request.path() {
            "/" => Response::new(Status::OK).html(PAGE).into(),
            "/chat" => Accept::new().first_subprotocol(&request, &[SUBPROTOCOL]).into(),
            _ => Response::new(Status::NOT_FOUND).text("There is nothing here.").into(),
        }
    }

    fn open(&mut self, reply: &mut Reply<'_, Prepared>) -> Outcome {
        let mut room = self.room();
        room.last += 1;
        let number = room.last;
        room.guests.insert(number, reply.address());
        // It is told too, before anything else: so it learns its number.
        room.tell(number, "joined", "");
        drop(room);
        self.number = number;
        Ok(())
    }

    fn message(&mut self, message: Message<'_>, reply: &mut Reply<'_, Prepared>) -> Outcome {
        match message.as_text() {
            Some(text) => self.room().tell(self.number, "said", text),
            None => reply.close(CloseCode::UNSUPPORTED_DATA),
        }
        Ok(())
    }

    fn info(&mut self, line: Prepared, reply: &mut Reply<'_, Prepared>) -> Outcome {
        Ok(reply.send_prepared(&line)?)
    }

    fn close(&mut self, _: &Disconnect) {
        let mut room = self.room();
        room.guests.remove(&self.number);
        room.tell(self.number, "left", "");
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address: SocketAddr = std::env::args().nth(1).as_deref().unwrap_or("127.0.0.1:8080").parse()?;
    let listener = match TcpListener::bind(address).await {
        // Any other port will do.
        Err(error) if error.kind() == ErrorKind::AddrInUse => TcpListener::bind((address.ip(), 0)).await?,
        bound => bound?,
    };
    println!("http://{}/", listener.local_addr()?);
    let room = Arc::new(Mutex::new(Room::default()));
    // Nobody types more than that, and what one guest sends is kept for each of the others.
    let config = Config::new().max_message(4096);
    serve(listener, config, |_| Guest { room: Arc::clone(&room), number: 0 }).await?;
    Ok(())
}
