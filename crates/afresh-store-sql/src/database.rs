//! The database as the rest of the store sees it: statements in, rows out, on a connection from the pool.
//!
//! Invariant: whoever gets a connection finds tables that it knows. They are looked at (and made) once, by the first
//! that connects.

use std::sync::Arc;
use std::time::Duration;

use afresh_core::{Error, Kind, Result};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::config::{Config, Server};
use crate::pool::{Held, Pool};
use crate::session::{Rows, Session};
use crate::sql::{Sql, Statement};
use crate::{mysql, postgres, schema};

/// How long a server may take to accept a connection.
const PATIENCE: Duration = Duration::from_secs(10);

/// A database on a server.
pub(crate) struct Database {
    pub(crate) config: Config,
    pub(crate) sql: Sql,
    pool: Arc<Pool>,
    ready: OnceCell<()>,
}

impl Database {
    pub(crate) fn new(config: Config, sql: Sql) -> Self {
        let pool = Pool::new(config.connections);
        Self { config, sql, pool, ready: OnceCell::new() }
    }

    /// A connection to a database that has our tables.
    pub(crate) async fn session(&self) -> Result<Held> {
        let mut held = self.pool.take(async || self.connect().await).await?;
        let ready =
            self.ready.get_or_try_init(async || schema::ensure(held.session()?, &self.sql).await);
        ready.await?;
        Ok(held)
    }

    async fn connect(&self) -> Result<Box<dyn Session>> {
        let connecting = async {
            Ok::<Box<dyn Session>, Error>(match self.config.server {
                Server::Postgres => Box::new(postgres::connect(&self.config).await?),
                Server::Mysql => Box::new(mysql::connect(&self.config).await?),
            })
        };
        timeout(PATIENCE, connecting).await.map_err(|_| {
            Error::new(Kind::Unavailable, format!("no connection within {PATIENCE:?}"))
        })?
    }

    /// Runs statements that are no part of a longer transaction.
    pub(crate) async fn run(&self, statements: &[Statement]) -> Result<Vec<Rows>> {
        let mut held = self.session().await?;
        let rows = self.on(&mut held, statements).await?;
        held.keep();
        Ok(rows)
    }

    /// Runs one statement; its rows.
    pub(crate) async fn rows(&self, statement: Statement) -> Result<Rows> {
        Ok(self.run(&[statement]).await?.pop().unwrap_or_default())
    }

    /// Runs statements on a connection that is held. What each was given and what came of it is traced, so that the
    /// bounds of statements can be tested.
    pub(crate) async fn on(&self, held: &mut Held, statements: &[Statement]) -> Result<Vec<Rows>> {
        let answers = held.session()?.run(statements).await?;
        for (statement, rows) in statements.iter().zip(&answers) {
            let (given, rows) = (statement.given(), rows.len());
            tracing::trace!(given, rows, text = statement.text, "a statement");
        }
        Ok(answers)
    }

    /// Ends a transaction without a trace. What cannot be told so is closed.
    pub(crate) async fn undo(&self, mut held: Held) {
        if self.on(&mut held, &[self.sql.plain("ROLLBACK")]).await.is_ok() {
            held.keep();
        }
    }

    /// Closes connections that nobody wants.
    pub(crate) fn trim(&self) {
        self.pool.trim();
    }
}
