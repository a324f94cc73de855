//! Who is told of changes: PostgreSQL's `NOTIFY`, sent by the transaction that makes them.
//!
//! Told are of every lease that is put or removed, of every answer and every entry under a name that is replaced or
//! removed, and of every count, which keeps the counters of [`Generation`] truthful. Invariant: while this process is not listening, or not known to be, the
//! counters are blind, so that no answer kept in front of the store counts as right; and whoever watches is told that
//! something may have been missed. A connection that is silent is asked every second whether it is alive.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use afresh_core::{Bytes, Changing, Error, Generation, Key, Kind, Result, Space, Watcher};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::{sleep, timeout};
use tokio_postgres::{AsyncMessage, Client, Connection};

use crate::config::Server;
use crate::database::Database;
use crate::error;
use crate::plan::{Change, To};
use crate::postgres::{self, Link};
use crate::row;
use crate::sql::{Sql, Statement};

/// How often a silent connection is asked, and how long it may take to answer.
const PULSE: Duration = Duration::from_secs(1);

/// The longest pause between two attempts to listen again.
const LONGEST: Duration = Duration::from_secs(5);

/// How long a connection may take to be made.
const PATIENCE: Duration = Duration::from_secs(10);

/// The most bytes of one notification; the server takes 8000.
const PAYLOAD: usize = 7900;

/// How many bytes of an answer's key are told: what its counter goes by.
const SLOT: usize = 2;

/// The statements by which a transaction tells of its changes.
pub(crate) fn tell(sql: &Sql, changes: &[Change]) -> Vec<Statement> {
    if sql.server != Server::Postgres {
        return Vec::new();
    }
    let mut texts = Vec::new();
    let mut text = Vec::new();
    for change in changes {
        if matches!(change.to, To::Used(_)) {
            continue;
        }
        let id = row::id(&change.key);
        let said = match change.key.space() {
            Space::Lease => id,
            // An answer where there was none makes nothing wrong that anybody keeps.
            Space::Head if change.over => id.slice(..id.len().min(1 + SLOT)),
            // That there is no count is kept too.
            Space::Named if !change.over => continue,
            Space::Named | Space::Count => slot(&change.key),
            _ => continue,
        };
        if text.len() + 2 * said.len() + 1 > PAYLOAD {
            texts.push(std::mem::take(&mut text));
        }
        text.extend(said.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
        text.push(b' ');
    }
    if !text.is_empty() {
        texts.push(text);
    }
    let notify = |text: Vec<u8>| {
        sql.with(
            "SELECT pg_notify('{p}changed', convert_from(?, 'SQL_ASCII'))",
            vec![Bytes::from(text).into()],
        )
    };
    texts.into_iter().map(notify).collect()
}

/// What is told of an entry under a name: its space, and its counter.
fn slot(key: &Key) -> Bytes {
    let [low, high] = Generation::slot_of(key).to_le_bytes();
    vec![key.space().number(), low, high].into()
}

/// The keys that a notification names: whole ones of leases, what the counters of others go by.
fn keys(payload: &str) -> impl Iterator<Item = Key> {
    payload.split_ascii_whitespace().filter_map(|word| {
        let digits = word.as_bytes().as_chunks::<2>().0;
        let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
        let id: Option<Vec<u8>> = digits.iter().map(byte).collect();
        row::key(&Bytes::from(id?))
    })
}

/// Those who want to be told.
#[derive(Default)]
pub(crate) struct Watchers(Mutex<Vec<Arc<dyn Watcher>>>);

impl Watchers {
    pub(crate) fn add(&self, watcher: Arc<dyn Watcher>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(watcher);
    }

    fn each(&self, tell: impl Fn(&dyn Watcher)) {
        let watchers = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        watchers.iter().for_each(|watcher| tell(watcher.as_ref()));
    }
}

/// Listens for as long as the store is there. The counters of `generation` are to be `blind` already.
pub(crate) async fn run(
    database: Weak<Database>,
    generation: Generation,
    blind: Changing,
    watchers: Arc<Watchers>,
) {
    let mut pause = PULSE / 10;
    let mut blind = Some(blind);
    while let Some(database) = database.upgrade() {
        let (send, mut said) = unbounded_channel();
        let listening = timeout(PATIENCE, listen(&database, send)).await;
        drop(database);
        match listening {
            Ok(Ok(client)) => {
                pause = PULSE / 10;
                drop(blind.take());
                watchers.each(|watcher| watcher.missed());
                while hears(&client, &mut said, &generation, &watchers).await {}
                blind = Some(generation.blind());
                watchers.each(|watcher| watcher.missed());
            }
            Ok(Err(error)) => tracing::debug!(%error, "not told of changes"),
            Err(_) => tracing::debug!("not told of changes: no connection within {PATIENCE:?}"),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST);
    }
}

/// Passes on what comes next; whether the connection is known to be alive.
async fn hears(
    client: &Client,
    said: &mut UnboundedReceiver<String>,
    generation: &Generation,
    watchers: &Watchers,
) -> bool {
    match timeout(PULSE, said.recv()).await {
        Ok(Some(payload)) => {
            for key in keys(&payload) {
                match (key.space(), key.bytes().as_ref()) {
                    (Space::Head, bytes) => generation.changed(bytes),
                    (Space::Named | Space::Count, [low, high]) => {
                        generation.changed_slot(u16::from_le_bytes([*low, *high]));
                    }
                    _ => watchers.each(|watcher| watcher.changed(&key)),
                }
            }
            true
        }
        Ok(None) => false,
        Err(_) => timeout(PULSE, client.batch_execute("")).await.is_ok_and(|answer| answer.is_ok()),
    }
}

/// A connection that listens; what it hears comes out of the channel, which ends with it.
async fn listen(database: &Database, send: UnboundedSender<String>) -> Result<Client> {
    let (client, link) = postgres::dial(&database.config).await?;
    match link {
        Link::Plain(connection) => tokio::spawn(pass_on(*connection, send)),
        Link::Encrypted(connection) => tokio::spawn(pass_on(*connection, send)),
    };
    let listen = client.batch_execute(&database.sql.text("LISTEN {p}changed")).await;
    listen.map_err(|failure| error::postgres(&failure))?;
    if client.is_closed() {
        return Err(Error::new(Kind::Unavailable, "the connection was closed"));
    }
    Ok(client)
}

/// Drives a connection to its end, and passes on what it hears.
async fn pass_on<S, T>(mut connection: Connection<S, T>, send: UnboundedSender<String>)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
        if let AsyncMessage::Notification(said) = message
            && send.send(said.payload().to_owned()).is_err()
        {
            break;
        }
    }
}
