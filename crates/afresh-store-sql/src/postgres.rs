//! A connection to PostgreSQL: prepared statements, sent one after another before the first answer is there.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use afresh_core::{Bytes, Error, Kind, Result};
use async_trait::async_trait;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, NoTlsStream};
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Connection, NoTls, Row, Socket, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::config::{Config, Tls};
use crate::error;
use crate::session::{Cell, Cells, FLIGHT, Rows, Session, flights};
use crate::sql::{Statement, Value};

/// The oldest server that is known to have everything.
const OLDEST: u32 = 12;

/// How long what was sent may go unanswered by the network.
const UNANSWERED: Duration = Duration::from_secs(10);

/// Whoever is stopped in the middle of a transaction keeps no others waiting for long.
const SETTINGS: &str = "SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '10s'";

/// Prepared statements that are kept for a connection; a clock moved by hand makes new ones each time.
const PREPARED: usize = 256;

pub(crate) struct Postgres {
    client: Client,
    prepared: HashMap<String, Prepared>,
}

/// A connection's two halves: what sends, and what must be polled for anything to happen.
pub(crate) enum Link {
    Plain(Box<Connection<Socket, NoTlsStream>>),
    Encrypted(Box<Connection<Socket, <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream>>),
}

/// Connects, without anything that polls the connection yet.
pub(crate) async fn dial(config: &Config) -> Result<(Client, Link)> {
    let mut options = tokio_postgres::Config::new();
    options.user(&config.user).dbname(&config.database).port(config.port);
    options.application_name("afresh").tcp_user_timeout(UNANSWERED);
    match &config.socket {
        Some(folder) => options.host_path(folder),
        None => options.host(&config.host),
    };
    if let Some(password) = &config.password {
        options.password(password);
    }
    let failed = |failure: tokio_postgres::Error| error::postgres(&failure);
    let (client, link) = match &config.tls {
        None => {
            let dialed = options.ssl_mode(SslMode::Disable).connect(NoTls).await;
            let (client, connection) = dialed.map_err(failed)?;
            (client, Link::Plain(Box::new(connection)))
        }
        Some(tls) => {
            let dialed = options.ssl_mode(SslMode::Require).connect(encrypted(tls)?).await;
            let (client, connection) = dialed.map_err(failed)?;
            (client, Link::Encrypted(Box::new(connection)))
        }
    };
    let version = match &link {
        Link::Plain(connection) => connection.parameter("server_version"),
        Link::Encrypted(connection) => connection.parameter("server_version"),
    };
    let version = version.unwrap_or_default();
    let major = version.split(|c: char| !c.is_ascii_digit()).next().unwrap_or_default();
    if major.parse::<u32>().is_ok_and(|major| major < OLDEST) {
        return Err(Error::new(Kind::Unsupported, format!("the server is PostgreSQL {version}"))
            .with_hint(format!("afresh needs PostgreSQL {OLDEST} or newer")));
    }
    Ok((client, link))
}

fn encrypted(tls: &Tls) -> Result<MakeRustlsConnect> {
    let mut roots = RootCertStore::empty();
    match &tls.roots {
        None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
        Some(file) => {
            let wrong = |why: String| {
                Error::new(Kind::Config, format!("`ca={}` cannot be used: {why}", file.display()))
                    .with_hint("it should be a file of certificates in PEM")
            };
            let found = CertificateDer::pem_file_iter(file);
            for certificate in found.map_err(|error| wrong(error.to_string()))? {
                let certificate = certificate.map_err(|error| wrong(error.to_string()))?;
                roots.add(certificate).map_err(|error| wrong(error.to_string()))?;
            }
        }
    }
    // The provider by name: what another driver in this program prefers does not matter.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config =
        config.map_err(|error| Error::new(Kind::Config, "no way to encrypt").with_source(error))?;
    Ok(MakeRustlsConnect::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// A connection for statements.
pub(crate) async fn connect(config: &Config) -> Result<Postgres> {
    let (client, link) = dial(config).await?;
    // It ends with its client, and with the runtime.
    match link {
        Link::Plain(connection) => tokio::spawn(async move { drop(connection.await) }),
        Link::Encrypted(connection) => tokio::spawn(async move { drop(connection.await) }),
    };
    let mut session = Postgres { client, prepared: HashMap::new() };
    session.script(SETTINGS).await?;
    Ok(session)
}

impl ToSql for Value {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> std::result::Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Int(number) => number.to_sql_checked(kind, out),
            Self::Bytes(bytes) => bytes.as_deref().to_sql_checked(kind, out),
            Self::List(list) => {
                list.iter().map(AsRef::as_ref).collect::<Vec<&[u8]>>().to_sql_checked(kind, out)
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// `?` as this server writes it.
fn numbered(text: &str) -> String {
    let mut numbered = String::with_capacity(text.len() + 16);
    for (index, part) in text.split('?').enumerate() {
        if index == 0 {
            numbered.push_str(part);
            continue;
        }
        match numbered.strip_suffix(" IN ") {
            Some(before) => numbered = format!("{before} = ANY(${index})"),
            None => numbered.push_str(&format!("${index}")),
        }
        numbered.push_str(part);
    }
    numbered
}

fn cells(row: &Row) -> Result<Cells> {
    let cell = |(index, column): (usize, &tokio_postgres::Column)| {
        let number = |found: Option<i64>| found.map_or(Cell::Null, Cell::Int);
        Ok(match *column.type_() {
            Type::INT8 => number(row.try_get(index)?),
            Type::INT4 => number(row.try_get::<_, Option<i32>>(index)?.map(i64::from)),
            Type::BYTEA => {
                let bytes = row.try_get::<_, Option<Vec<u8>>>(index)?;
                bytes.map_or(Cell::Null, |bytes| Cell::Bytes(Bytes::from(bytes)))
            }
            // What a function answers that has nothing to say.
            _ => Cell::Null,
        })
    };
    let cells = row.columns().iter().enumerate().map(cell);
    cells.collect::<std::result::Result<_, tokio_postgres::Error>>().map(Cells).map_err(|failure| {
        Error::new(Kind::Corrupt, "an answer that was not asked for").with_source(failure)
    })
}

/// Begins all at once and in order, then waits for each.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut begun: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    let mut early: Vec<Option<F::Output>> = Vec::with_capacity(begun.len());
    poll_fn(|context| {
        early.extend(begun.iter_mut().map(|future| match future.as_mut().poll(context) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        }));
        Poll::Ready(())
    })
    .await;
    let mut outputs = Vec::with_capacity(begun.len());
    for (future, output) in begun.into_iter().zip(early) {
        outputs.push(match output {
            Some(output) => output,
            None => future.await,
        });
    }
    outputs
}

impl Postgres {
    async fn prepare(&mut self, text: &str) -> Result<()> {
        if self.prepared.len() >= PREPARED {
            self.prepared.clear();
        }
        if !self.prepared.contains_key(text) {
            let prepared = self.client.prepare(&numbered(text)).await;
            let prepared = prepared.map_err(|failure| error::postgres(&failure))?;
            self.prepared.insert(text.to_owned(), prepared);
        }
        Ok(())
    }

    async fn fly(&mut self, statements: &[Statement]) -> Result<Vec<Rows>> {
        let mut ready = Vec::with_capacity(statements.len());
        for statement in statements {
            self.prepare(&statement.text).await?;
            ready.extend(self.prepared.get(&statement.text).cloned());
        }
        let client = &self.client;
        let answers = together(ready.iter().zip(statements).map(|(prepared, statement)| {
            let values: Vec<&(dyn ToSql + Sync)> =
                statement.values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
            async move { client.query(prepared, &values).await }
        }));
        let answers = answers.await.into_iter();
        answers
            .map(|answer| {
                let rows = answer.map_err(|failure| error::postgres(&failure))?;
                rows.iter().map(cells).collect()
            })
            .collect()
    }
}

#[async_trait]
impl Session for Postgres {
    async fn run(&mut self, statements: &[Statement]) -> Result<Vec<Rows>> {
        let mut all = Vec::with_capacity(statements.len());
        for flight in flights(statements, FLIGHT) {
            all.extend(self.fly(flight).await?);
        }
        Ok(all)
    }

    async fn script(&mut self, text: &str) -> Result<()> {
        self.client.batch_execute(text).await.map_err(|failure| error::postgres(&failure))
    }

    async fn lives(&mut self) -> bool {
        !self.client.is_closed()
    }
}

#[cfg(test)]
mod tests {
    use super::numbered;

    #[test]
    fn values_have_numbers() {
        assert_eq!(
            numbered("SELECT a FROM t WHERE a IN ? AND b > ? LIMIT ?"),
            "SELECT a FROM t WHERE a = ANY($1) AND b > $2 LIMIT $3"
        );
    }
}
