//! Connections: one to the server of the records, by which is read, written and listened, and on a Cluster one to each
//! server that has objects. Made when first needed, made anew when lost.
//!
//! Invariant: a command that may have been executed is not sent again, unless it only reads. While the connection of
//! the records is up it is asked once a second whether it is: of changes behind a dead one nobody would tell us.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use afresh_core::{Error, Kind, Result};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, PushInfo, RedisResult, Value, cmd};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

use crate::config::{Config, Kinship, Place};
use crate::error::{Next, convert, next, odd, replica, too_old};
use crate::layout::{Layout, slot};
use crate::scripts::Scripts;
use crate::topology::{Slots, locate};
use crate::tracking::{Ear, Tracking};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(2);

/// How often the connection of the records is asked whether it is up, and how long it may take to say so.
const PULSE: Duration = Duration::from_secs(1);

/// The first pause after a connection was lost, and the longest between attempts to listen again.
const SHORTEST: Duration = Duration::from_millis(150);
const LONGEST: Duration = Duration::from_secs(10);

/// How often a command is sent that was not executed.
const ATTEMPTS: u32 = 6;

/// A connection to one server. Cloning the handle inside is cheap; commands of all go through one socket.
#[derive(Debug)]
pub(crate) struct Node {
    place: Place,
    handle: MultiplexedConnection,
    ear: Arc<Ear>,
    pub(crate) scripts: Arc<Scripts>,
}

impl Node {
    pub(crate) fn handle(&self) -> MultiplexedConnection {
        self.handle.clone()
    }
}

#[derive(Debug)]
pub(crate) struct Nodes {
    config: Config,
    tracking: Arc<Tracking>,
    /// The slot of the records.
    records: u16,
    state: Mutex<State>,
    /// Held by the one who connects.
    dialing: tokio::sync::Mutex<()>,
    /// For servers that know flags of scripts, and for those that do not.
    scripts: [Arc<Scripts>; 2],
    /// Tells the keeper that the connection of the records is gone.
    wake: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    slots: Slots,
    nodes: HashMap<Place, Arc<Node>>,
    /// The one of the records.
    home: Option<Arc<Node>>,
    kept: bool,
}

impl Nodes {
    pub(crate) fn new(config: Config, layout: &Layout, tracking: Arc<Tracking>) -> Self {
        Self {
            config,
            tracking,
            records: slot(&layout.records),
            state: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
            scripts: [true, false].map(|flags| Arc::new(Scripts::new(flags))),
            wake: Arc::default(),
        }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The slot of the records.
    pub(crate) fn records(&self) -> u16 {
        self.records
    }

    /// Whether all slots are with one server, so that commands for several go together.
    pub(crate) fn together(&self) -> bool {
        self.config.kinship != Kinship::Cluster
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does `work`, which sends commands for one slot and only reads if `again`, on the server that has it.
    pub(crate) async fn run<T, F>(
        self: &Arc<Self>,
        slot: u16,
        again: bool,
        work: impl Fn(Arc<Node>) -> F,
    ) -> Result<T>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let mut attempt = 0;
        loop {
            let node = self.node(slot).await?;
            let error = match work(Arc::clone(&node)).await {
                Ok(done) => return Ok(done),
                Err(error) => error,
            };
            attempt += 1;
            let next = next(&error);
            tracing::debug!(%error, ?next, attempt, "a command was not done");
            if next == Next::Lost {
                self.lost(&node);
                if !again || attempt > 1 {
                    return Err(convert(error));
                }
                continue;
            }
            if next == Next::Fail || attempt == ATTEMPTS {
                return Err(convert(error));
            }
            match next {
                Next::Load => load(&node).await?,
                Next::Look => self.forget(),
                _ => {}
            }
            if next != Next::Load {
                sleep(Duration::from_millis(20) * attempt).await;
            }
        }
    }

    /// The server that has a slot. Connecting goes on where whoever asked gives up.
    async fn node(self: &Arc<Self>, slot: u16) -> Result<Arc<Node>> {
        if let Some(node) = self.known(slot) {
            return Ok(node);
        }
        self.keep();
        let nodes = Arc::clone(self);
        let connected = tokio::spawn(async move { nodes.connected(slot).await }).await;
        connected.unwrap_or_else(|error| {
            Err(Error::new(Kind::Unavailable, "connecting was broken off").with_source(error))
        })
    }

    async fn connected(self: &Arc<Self>, slot: u16) -> Result<Arc<Node>> {
        let _alone = self.dialing.lock().await;
        if let Some(node) = self.known(slot) {
            return Ok(node);
        }
        let mut place = self.place(slot);
        if place.is_none() {
            let slots = locate(&self.config).await?;
            self.state().slots = slots;
            if let Some(node) = self.known(slot) {
                return Ok(node);
            }
            place = self.place(slot);
        }
        let place = place.ok_or_else(|| {
            self.forget();
            Error::new(Kind::Unavailable, "no server of the cluster has the slot of the store")
        })?;
        let node = match self.dial(&place, slot == self.records).await {
            Ok(node) => Arc::new(node),
            Err(error) => {
                // Who is responsible may be another by now.
                self.forget();
                return Err(error);
            }
        };
        let mut state = self.state();
        if slot == self.records {
            state.home = Some(Arc::clone(&node));
        }
        state.nodes.insert(place, Arc::clone(&node));
        drop(state);
        if slot == self.records && self.config.track && !self.tracking.begin(&node.ear) {
            // More is asked for since it was made: the next one hears of that too.
            self.forget();
        }
        Ok(node)
    }

    fn known(&self, slot: u16) -> Option<Arc<Node>> {
        let state = self.state();
        if slot == self.records || self.together() {
            return state.home.clone();
        }
        let (.., place) =
            state.slots.iter().find(|(first, last, _)| (*first..=*last).contains(&slot))?;
        state.nodes.get(place).cloned()
    }

    fn place(&self, slot: u16) -> Option<Place> {
        let state = self.state();
        let found = state.slots.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        found.map(|(.., place)| place.clone())
    }

    /// Connects, and has the server tell of changes if it is the one of the records.
    async fn dial(self: &Arc<Self>, place: &Place, listen: bool) -> Result<Node> {
        let ear = Arc::new(Ear::new(self.tracking.entries()));
        let (nodes, heard) = (Arc::downgrade(self), Arc::downgrade(&ear));
        let told = move |push: PushInfo| {
            if let (Some(nodes), Some(ear)) = (nodes.upgrade(), heard.upgrade()) {
                nodes.told(&ear, &push);
            }
            RedisResult::Ok(())
        };
        // Deadlines are the caller's; here a missing answer is one that may come.
        let options = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(1024)
            .set_push_sender(told);
        let client = self.config.client(place)?;
        let handle = client.get_multiplexed_async_connection_with_config(&options).await;
        let mut handle = handle.map_err(convert)?;
        let mut setup = redis::pipe();
        setup.cmd("HELLO");
        if listen && self.config.track {
            let track = setup.cmd("CLIENT").arg("TRACKING").arg("ON").arg("BCAST");
            for prefix in self.tracking.prefixes(ear.entries()) {
                track.arg("PREFIX").arg(prefix);
            }
        }
        let answers = timeout(CONNECT, setup.query_async::<Vec<Value>>(&mut handle)).await;
        let answers = answers.map_err(|_| {
            Error::new(Kind::Unavailable, "the server accepts connections and does not answer")
        })?;
        let answers = answers.map_err(|error| match next(&error) {
            Next::Fail if convert(error.clone()).kind() == Kind::Unavailable => {
                Error::new(Kind::Unsupported, "the server cannot tell of changes (CLIENT TRACKING)")
                    .with_hint(
                        "`track=no` in the address does without: every hit then asks the server",
                    )
                    .with_source(error)
            }
            _ => convert(error),
        })?;
        let hello = answers.first().ok_or_else(|| odd("HELLO"))?;
        let (major, minor) = version(hello).ok_or_else(|| odd("HELLO"))?;
        if (major, minor) < (6, 2) {
            return Err(too_old(&format!("{major}.{minor}")));
        }
        if told_of(hello, "role").is_some_and(|role| role != "master") {
            return Err(replica());
        }
        let [flags, plain] = &self.scripts;
        let scripts = Arc::clone(if major >= 7 { flags } else { plain });
        Ok(Node { place: place.clone(), handle, ear, scripts })
    }

    fn told(&self, ear: &Arc<Ear>, push: &PushInfo) {
        self.tracking.told(ear, push);
        if push.kind == redis::PushKind::Disconnection {
            self.drop_nodes(|node| Arc::ptr_eq(&node.ear, ear));
        }
    }

    /// Has the server tell of entries under names too.
    pub(crate) fn tell_of_entries(self: &Arc<Self>) {
        if self.tracking.include_entries() {
            self.forget();
        }
        self.keep();
    }

    fn lost(&self, node: &Arc<Node>) {
        tracing::debug!(host = %node.place.host, port = node.place.port, "a connection was lost");
        self.drop_nodes(|other| Arc::ptr_eq(other, node));
    }

    /// Forgets who is responsible, and all connections.
    fn forget(&self) {
        self.state().slots.clear();
        self.drop_nodes(|_| true);
    }

    fn drop_nodes(&self, which: impl Fn(&Arc<Node>) -> bool) {
        let mut state = self.state();
        let gone = state.home.take_if(|home| which(home));
        state.nodes.retain(|_, node| !which(node));
        // Whoever was responsible may not be when it is back.
        state.slots.clear();
        drop(state);
        if let Some(home) = gone {
            self.tracking.end(&home.ear);
            self.wake.notify_one();
        }
    }

    /// Begins to look after the connection of the records, once.
    pub(crate) fn keep(self: &Arc<Self>) {
        if !std::mem::replace(&mut self.state().kept, true) {
            tokio::spawn(keeper(Arc::downgrade(self), Arc::clone(&self.wake)));
        }
    }
}

/// Asks the server of the records whether it is there, and connects again when it is not: for those who wait to be
/// told.
async fn keeper(nodes: Weak<Nodes>, wake: Arc<Notify>) {
    let mut pause = PULSE;
    loop {
        let _ = timeout(pause, wake.notified()).await;
        let Some(nodes) = nodes.upgrade() else { return };
        let home = nodes.state().home.clone();
        let well = match home {
            Some(home) => {
                let mut handle = home.handle();
                let ping = cmd("PING");
                let well = timeout(PULSE, ping.query_async::<Value>(&mut handle)).await;
                let well = well.is_ok_and(|answer| answer.is_ok());
                if !well {
                    nodes.lost(&home);
                }
                well
            }
            None => nodes.node(nodes.records).await.is_ok(),
        };
        pause = match well {
            true => PULSE,
            false if pause == PULSE => SHORTEST,
            false => (pause * 2).min(LONGEST),
        };
    }
}

/// Gives the scripts to a server that does not know them.
async fn load(node: &Node) -> Result<()> {
    let mut pipe = redis::pipe();
    for source in node.scripts.sources() {
        pipe.cmd("SCRIPT").arg("LOAD").arg(source);
    }
    pipe.query_async::<Vec<Value>>(&mut node.handle()).await.map(drop).map_err(convert)
}

/// What an answer to `HELLO` says of something.
fn told_of(hello: &Value, what: &str) -> Option<String> {
    let Value::Map(pairs) = hello else { return None };
    let text = |value: &Value| match value {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    };
    let found = pairs.iter().find(|(name, _)| text(name).as_deref() == Some(what));
    found.and_then(|(_, value)| text(value))
}

/// The version. Valkey says which Redis it is like.
fn version(hello: &Value) -> Option<(u32, u32)> {
    let version = told_of(hello, "version")?;
    let mut numbers = version.split('.').map(|number| number.parse::<u32>().unwrap_or(0));
    Some((numbers.next()?, numbers.next().unwrap_or(0)))
}
