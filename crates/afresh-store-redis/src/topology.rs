//! Which server is responsible: the one of the address, the one the sentinels name, or the one that has a slot.
//!
//! Whoever is named here need not be right: what a server says when it is asked decides ([`crate::nodes`]).

use std::time::Duration;

use afresh_core::{Error, Kind, Result};
use redis::{AsyncConnectionConfig, Value, cmd};

use crate::config::{Config, Kinship, Place};
use crate::error::convert;
use crate::reply::Items;

/// How long one server may take for a question.
const PATIENCE: Duration = Duration::from_secs(1);

/// Slots, from the first to the last, and who has them.
pub(crate) type Slots = Vec<(u16, u16, Place)>;

/// Who has which slots. Outside a Cluster one server has all.
pub(crate) async fn locate(config: &Config) -> Result<Slots> {
    let mut last = None;
    for seed in &config.seeds {
        let found = match &config.kinship {
            Kinship::Single => Ok(vec![(0, u16::MAX, seed.clone())]),
            Kinship::Sentinel { service } => master(config, seed, service).await,
            Kinship::Cluster => slots(config, seed).await,
        };
        match found {
            Ok(found) => return Ok(found),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| Error::new(Kind::Unavailable, "no server is known")))
}

async fn ask(client: &redis::Client, question: &redis::Cmd) -> Result<Value> {
    let options = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let connection = client.get_multiplexed_async_connection_with_config(&options).await;
    let mut connection = connection.map_err(convert)?;
    question.query_async(&mut connection).await.map_err(convert)
}

/// The master, as one sentinel knows it.
async fn master(config: &Config, seed: &Place, service: &str) -> Result<Slots> {
    let mut question = cmd("SENTINEL");
    question.arg("get-master-addr-by-name").arg(service);
    match ask(&config.sentinel(seed)?, &question).await? {
        Value::Nil => {
            Err(Error::new(Kind::Config, format!("the sentinels know no service `{service}`"))
                .with_hint(
                    "write the name that `sentinel monitor` gives it: redis+sentinel://host/name",
                ))
        }
        answer => {
            let mut items = Items::of(answer, "SENTINEL")?;
            Ok(vec![(0, u16::MAX, place(&mut items, seed)?)])
        }
    }
}

/// The map of slots, as one server of the Cluster knows it.
async fn slots(config: &Config, seed: &Place) -> Result<Slots> {
    let mut question = cmd("CLUSTER");
    question.arg("SLOTS");
    let mut ranges = Items::of(ask(&config.client(seed)?, &question).await?, "CLUSTER SLOTS")?;
    let mut slots = Slots::new();
    while !ranges.is_empty() {
        let mut range = ranges.array()?;
        let (first, last) = (range.number()?, range.number()?);
        let place = place(&mut range.array()?, seed)?;
        slots.push((u16::try_from(first).unwrap_or(0), u16::try_from(last).unwrap_or(0), place));
    }
    Ok(slots)
}

/// Host and port. A server that does not know its own name is where it was asked.
fn place(items: &mut Items, seed: &Place) -> Result<Place> {
    let host = items.optional()?.map(|host| String::from_utf8_lossy(&host).into_owned());
    let host = host.filter(|host| !host.is_empty()).unwrap_or_else(|| seed.host.clone());
    let port = u16::try_from(items.number()?).unwrap_or(seed.port);
    Ok(Place { host, port })
}
