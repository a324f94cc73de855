//! Addresses: `mongodb://user:password@host:port/database?option=value`.
//!
//! Invariant: opening makes no request, and the password goes to the driver and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Error, Kind, Result, Store};
use afresh_remote::cells::Clock;
use afresh_remote::{Address, Remote, RemoteOptions};
use futures_util::FutureExt;
use mongodb::Client;
use mongodb::options::{ClientOptions, WriteConcern};

use crate::store::MongoStore;

/// How patient callers are where the address does not say it: a change waits for a majority of the servers.
const PATIENCE: RemoteOptions =
    RemoteOptions { timeout: Duration::from_secs(1), bulk: Duration::from_secs(20) };

/// How long a server is looked for where the address says nothing of patience: one that refuses is tried again and again
/// meanwhile.
const REACH: Duration = Duration::from_millis(250);

/// Options that go to the driver as they are.
const DRIVER: [&str; 10] = [
    "authSource",
    "authMechanism",
    "replicaSet",
    "directConnection",
    "tls",
    "tlsCAFile",
    "tlsCertificateKeyFile",
    "w",
    "journal",
    "maxPoolSize",
];

/// Opens the store at a `mongodb:` address. The options are in `docs/guide/stores/mongodb.md`.
///
/// ```
/// let error = afresh_store_mongodb::open("mongodb://localhost/results?replicaset=a").unwrap_err();
/// assert!(error.hint().unwrap().contains("replicaSet="));
/// ```
///
/// # Errors
/// [`Kind::Config`] for an address that is not understood.
pub fn open(address: &str) -> Result<Arc<dyn Store>> {
    let mut address = Address::parse(address)?;
    if address.url().scheme() != "mongodb" {
        return Err(Error::new(Kind::Config, "not a `mongodb:` address").with_hint(
            "name one server; the others of a replica set are found with `replicaSet=`",
        ));
    }
    let patience = address.patience(PATIENCE)?;
    let mut url = address.url().clone();
    for name in DRIVER {
        if let Some(value) = address.take(name) {
            url.query_pairs_mut().append_pair(name, &value);
        }
    }
    let (shown, database) = (address.redacted(), address.url().path().trim_matches('/').to_owned());
    let database = if database.is_empty() { "afresh".to_owned() } else { database };
    let named: Vec<String> = DRIVER.iter().map(|name| format!("{name}=")).collect();
    address.finish(&named.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut options = parsed(url.as_str())?;
    let reach = if patience.timeout == PATIENCE.timeout { REACH } else { patience.timeout };
    options.server_selection_timeout = Some(reach);
    options.connect_timeout = Some(reach);
    options.app_name = Some("afresh".to_owned());
    options.write_concern.get_or_insert_with(WriteConcern::majority);
    let remote = Remote::open(patience, |_| {
        let client = Client::with_options(options).map_err(crate::error::error)?;
        Ok(MongoStore::new(shown, &client.database(&database), Clock::default()))
    })?;
    Ok(Arc::new(remote))
}

/// The driver's options. Names of hosts are not looked up yet, so that nothing is waited for.
fn parsed(url: &str) -> Result<ClientOptions> {
    let wrong = || {
        Error::new(Kind::Config, "the driver does not take the address")
            .with_hint("write mongodb://user:password@host:port/database")
    };
    ClientOptions::parse(url).into_future().now_or_never().ok_or_else(wrong)?.map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_secret_is_shown() {
        let store = open("mongodb://ada:s3cret@localhost:1/results?replicaSet=a&w=1").unwrap();
        assert_eq!(store.info().address, "mongodb://ada:***@localhost:1/results");
        assert!(!format!("{store:?}").contains("s3cret"), "{store:?}");
    }

    #[test]
    fn a_wrong_address_is_explained() {
        for address in [
            "mongodb+srv://ada:s3cret@host/x",
            "mongodb://ada:s3cret@host/x?replicaset=a",
            "mongodb://ada:s3cret@host/x?tls=perhaps",
        ] {
            let error = open(address).unwrap_err();
            assert_eq!(error.kind(), Kind::Config, "{error}");
            assert!(!format!("{error:?}").contains("s3cret"), "{error:?}");
        }
    }
}
