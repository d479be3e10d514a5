//! Models of what the driver's tasks share: the halves of a WebSocket, the mailbox of a handler, the list of a server's
//! connections. Each is a small program of a few tasks on the driver's public surface, with streams and a clock of its
//! own, and is run by many schedules (`explore.rs`).
//!
//! Every task must come to its end, or shuttle tells of a deadlock: this is how a wake-up that is lost shows itself.
//! Nothing may be lost, doubled or out of order, and what is counted must be right in the end.
//!
//! A failure names its schedule. `shuttle::replay` runs that one again.

mod alarms;
mod explore;
mod halves;
mod mailbox;
mod pipe;
mod server;
mod source;
mod world;
