//! Copying everything of ours from one database to another, on whatever engine.
//!
//! The source is read as of one moment. The target is written in one transaction, from making the tables to comparing them
//! with the source: a copy that is cut off leaves nothing behind, and no server can start on half of one.

mod error;

use std::collections::HashMap;

use sea_orm::{DatabaseConnection, DatabaseTransaction, DbErr, Value};
use sea_orm_migration::MigratorTrait;

pub use error::CopyError;

use super::engine::{Engine, Turn};
use super::migrations::Migrator;
use super::open::{engine_of, status};
use super::snapshot::Snapshot;
use super::tables::{self, Row, Table, TableSum};
use super::{DatabaseOptions, OpenError};

/// A table that is in both databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopiedTable {
    /// Its name.
    pub name: &'static str,
    /// What is in it.
    pub sum: TableSum,
}

/// What a copy did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copied {
    /// It wrote every table.
    Now(Vec<CopiedTable>),
    /// The target held every row of the source, and no other, before.
    Before(Vec<CopiedTable>),
}

/// What a copy does at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CopyStep {
    /// Rows go from the source to the target.
    Copying,
    /// Rows are read and compared.
    Comparing,
}

/// How far a copy has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyProgress {
    /// What it does.
    pub step: CopyStep,
    /// The table that it is at.
    pub table: &'static str,
    /// Rows of all tables that are done in this step.
    pub done: u64,
    /// Rows of all tables.
    pub total: u64,
}

impl Snapshot {
    /// Looks at a database that is to be copied, which must have the tables of this version.
    ///
    /// # Errors
    /// [`CopyError`]; its text says what to do.
    pub async fn open_to_copy(options: impl Into<DatabaseOptions>) -> Result<Self, CopyError> {
        let (snapshot, status) = Self::begin(&options.into()).await.map_err(CopyError::Source)?;
        let refused = match (status.applied.is_empty(), status.pending.is_empty()) {
            (true, _) => CopyError::NoTables,
            (false, false) => CopyError::Source(OpenError::Pending { pending: status.pending.join(", ") }),
            (false, true) => return Ok(snapshot),
        };
        snapshot.close().await;
        Err(refused)
    }

    /// Copies every table of ours, and compares them. The target must be empty, or hold this copy already; a file must be
    /// there, which may have no bytes. `watch` is told how far it has come.
    ///
    /// # Errors
    /// [`CopyError`]; its text says what to do. The target is as it was before.
    pub async fn copy_to(
        &self,
        target: impl Into<DatabaseOptions>,
        watch: &mut (dyn FnMut(CopyProgress) + Send),
    ) -> Result<Copied, CopyError> {
        let target = target.into();
        let engine = engine_of(&target).map_err(CopyError::Target)?;
        let db = engine.connect_to_schema(&target, false).await.map_err(CopyError::Target)?;
        let copied = self.copy_into(engine, &db, watch).await;
        if let Err(error) = db.close().await {
            tracing::warn!(%error, "a database connection did not close cleanly");
        }
        copied
    }

    async fn copy_into(
        &self,
        engine: Engine,
        db: &DatabaseConnection,
        watch: &mut (dyn FnMut(CopyProgress) + Send),
    ) -> Result<Copied, CopyError> {
        let is_same = engine == self.engine
            && engine.identity(db).await.map_err(of_target)?
                == self.engine.identity(&self.tx).await.map_err(of_source)?;
        if is_same {
            return Err(CopyError::SameDatabase);
        }
        let damage = self.check_integrity().await;
        let damage = damage.map_err(|error| CopyError::Source(error.into()))?;
        if !damage.is_empty() {
            let found = damage.iter().take(3).map(String::as_str).collect::<Vec<_>>().join("; ");
            return Err(CopyError::Damaged { found });
        }
        let tx = engine.begin(db).await.map_err(of_target)?;
        // A server that starts there waits until this is over.
        engine.take_turn(Turn::Schema, &tx).await.map_err(of_target)?;
        status(engine, &tx, false).await.map_err(CopyError::Target)?;
        Migrator::up(&tx, None).await.map_err(of_target)?;
        let tables = tables::all();
        let mut copy = Copy {
            source: &self.tx,
            source_engine: self.engine,
            engine,
            tx: &tx,
            counts: HashMap::with_capacity(tables.len()),
            done: 0,
            total: 0,
            watch,
        };
        if let Some(found) = copy.count(&tables).await? {
            let same = if found.is_empty() { copy.sums_if_same(&tables).await? } else { None };
            let found = if found.is_empty() { "the same number of rows, but other ones".to_owned() } else { found };
            return same.map(Copied::Before).ok_or(CopyError::NotEmpty { found });
        }
        let copied = copy.all(&tables).await?;
        tx.commit().await.map_err(|error| CopyError::Commit(error.into()))?;
        Ok(Copied::Now(copied))
    }
}

/// A copy that is being made.
struct Copy<'a> {
    source: &'a DatabaseTransaction,
    source_engine: Engine,
    engine: Engine,
    tx: &'a DatabaseTransaction,
    /// How many rows each table of the source holds. Reading goes by an index, which may lack some.
    counts: HashMap<&'static str, u64>,
    done: u64,
    total: u64,
    watch: &'a mut (dyn FnMut(CopyProgress) + Send),
}

impl Copy<'_> {
    /// Counts the rows of the source. `None` if the target has none; else what differs there, which may be nothing.
    async fn count(&mut self, tables: &[Table]) -> Result<Option<String>, CopyError> {
        let (mut is_empty, mut differs) = (true, Vec::new());
        for table in tables {
            let here = self.source_engine.count(table, self.source).await.map_err(|error| read(table, error))?;
            let there = self.engine.count(table, self.tx).await.map_err(of_target)?;
            self.counts.insert(table.name, here);
            self.total += here;
            is_empty &= there == 0;
            if here != there {
                differs.push(format!("{} has {there} rows, in the source {here}", table.name));
            }
        }
        differs.truncate(3);
        Ok((!is_empty).then(|| differs.join("; ")))
    }

    /// What is in every table, if it is the same in both.
    async fn sums_if_same(&mut self, tables: &[Table]) -> Result<Option<Vec<CopiedTable>>, CopyError> {
        let mut same = Vec::with_capacity(tables.len());
        self.total *= 2;
        for table in tables {
            let here = self.sum(table, self.source).await.map_err(|error| read(table, error))?;
            self.refuse_incomplete(table, &here)?;
            let there = self.sum(table, self.tx).await.map_err(of_target)?;
            if here != there {
                return Ok(None);
            }
            same.push(CopiedTable { name: table.name, sum: here });
        }
        Ok(Some(same))
    }

    /// Writes every table, then reads every table back.
    async fn all(&mut self, tables: &[Table]) -> Result<Vec<CopiedTable>, CopyError> {
        let mut copied = Vec::with_capacity(tables.len());
        for table in tables {
            let sum = self.table(table).await?;
            copied.push(CopiedTable { name: table.name, sum });
            if table.is_numbered {
                self.engine.number_after(table, self.tx).await.map_err(|error| write(table, error))?;
            }
        }
        self.done = 0;
        for (table, copied) in tables.iter().zip(&copied) {
            if self.sum(table, self.tx).await.map_err(of_target)? != copied.sum {
                return Err(CopyError::Differs { table: table.name });
            }
        }
        Ok(copied)
    }

    /// Writes one table, a page while the next is read; what was read.
    async fn table(&mut self, table: &Table) -> Result<TableSum, CopyError> {
        let mut sum = TableSum::default();
        let mut page = table.page(self.source, None).await.map_err(|error| read(table, error))?;
        self.tell(CopyStep::Copying, table, 0);
        while let Some(last) = page.last().map(|row| table.key_of(row)) {
            let rows = page.len() as u64;
            for row in &page {
                self.refuse_unstorable(table, row)?;
                sum.add(row);
            }
            let next = async { table.page(self.source, Some(last)).await.map_err(|error| read(table, error)) };
            let written = async { table.insert(page, self.tx).await.map_err(|error| write(table, error)) };
            (page, ()) = tokio::try_join!(next, written)?;
            self.tell(CopyStep::Copying, table, rows);
        }
        self.refuse_incomplete(table, &sum)?;
        Ok(sum)
    }

    /// What is in a table.
    async fn sum(&mut self, table: &Table, db: &DatabaseTransaction) -> Result<TableSum, DbErr> {
        let mut sum = TableSum::default();
        self.tell(CopyStep::Comparing, table, 0);
        let mut page = table.page(db, None).await?;
        while let Some(last) = page.last().map(|row| table.key_of(row)) {
            page.iter().for_each(|row| sum.add(row));
            self.tell(CopyStep::Comparing, table, page.len() as u64);
            page = table.page(db, Some(last)).await?;
        }
        Ok(sum)
    }

    fn refuse_incomplete(&self, table: &Table, read: &TableSum) -> Result<(), CopyError> {
        match self.counts.get(table.name) {
            Some(count) if *count == read.rows => Ok(()),
            count => {
                let (name, held) = (table.name, count.copied().unwrap_or_default());
                let found = format!("{name} holds {held} rows, but {} are read in the order of its key", read.rows);
                Err(CopyError::Damaged { found })
            }
        }
    }

    fn refuse_unstorable(&self, table: &Table, row: &Row) -> Result<(), CopyError> {
        let Some(at) = row.iter().position(|value| !self.engine.stores(value)) else { return Ok(()) };
        let key = match table.key_of(row) {
            Value::String(Some(key)) => format!("{key:?}"),
            other => other.to_string(),
        };
        Err(CopyError::Unstorable { table: table.name, key, column: table.columns[at] })
    }

    fn tell(&mut self, step: CopyStep, table: &Table, more: u64) {
        self.done += more;
        (self.watch)(CopyProgress { step, table: table.name, done: self.done, total: self.total });
    }
}

fn of_source(error: DbErr) -> CopyError {
    CopyError::Source(error.into())
}

fn of_target(error: DbErr) -> CopyError {
    CopyError::Target(error.into())
}

fn read(table: &Table, error: DbErr) -> CopyError {
    CopyError::Read { table: table.name, source: error.into() }
}

fn write(table: &Table, error: DbErr) -> CopyError {
    CopyError::Write { table: table.name, source: error.into() }
}
