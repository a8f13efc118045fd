//! A database as of one moment, to be looked at or copied.

use sea_orm::{DatabaseConnection, DatabaseTransaction};

use super::engine::Engine;
use super::open::{engine_of, names, status};
use super::{DataKey, DatabaseOptions, OpenError, SchemaStatus, StoreError, data_keys};

/// A database as of one moment, whatever others write to it meanwhile. It is never changed, and a file that cannot be
/// written can be read. The limits of a service's requests do not apply.
pub struct Snapshot {
    pub(super) engine: Engine,
    db: DatabaseConnection,
    pub(super) tx: DatabaseTransaction,
}

impl std::fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Snapshot")
    }
}

impl Snapshot {
    /// Looks at a database, which must have the tables of this version.
    ///
    /// # Errors
    /// [`OpenError`]; its text says what to do.
    pub async fn open(options: impl Into<DatabaseOptions>) -> Result<Self, OpenError> {
        let (snapshot, status) = Self::begin(&options.into()).await?;
        if status.pending.is_empty() {
            return Ok(snapshot);
        }
        snapshot.close().await;
        Err(OpenError::Pending { pending: status.pending.join(", ") })
    }

    /// Looks at a database, and what tables it has.
    pub(super) async fn begin(options: &DatabaseOptions) -> Result<(Self, SchemaStatus), OpenError> {
        let engine = engine_of(options)?;
        let db = engine.connect_to_read(options).await?;
        let unreadable = |source| OpenError::Connect { url: options.shown(), source };
        let tx = engine.begin_snapshot(&db).await.map_err(unreadable)?;
        // The moment of the snapshot is that of its first look.
        match status(engine, &tx, false).await {
            Ok(status) => Ok((Self { engine, db, tx }, status)),
            // Here a file shows that it is no database.
            Err(OpenError::Store(StoreError::Database(source))) => Err(unreadable(source)),
            Err(error) => Err(error),
        }
    }

    /// The data key of this name.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn data_key(&self, name: &str) -> Result<Option<DataKey>, StoreError> {
        data_keys::find(name, &self.tx).await
    }

    /// Asks the engine for a look at its own structures (`PRAGMA integrity_check`); the problems found.
    ///
    /// # Errors
    /// [`StoreError`] if the database cannot be asked; see [`StoreError::is_damage`].
    pub async fn check_integrity(&self) -> Result<Vec<String>, StoreError> {
        self.engine.check_integrity(&self.tx).await
    }

    /// The tables that are not Mapae's.
    ///
    /// # Errors
    /// [`OpenError`] if the database fails.
    pub async fn other_tables(&self) -> Result<Vec<String>, OpenError> {
        let mut names = names(&self.tx, &self.engine.table_names()).await?;
        names.retain(|name| !name.starts_with("mapae_"));
        names.sort_unstable();
        Ok(names)
    }

    /// How many connections other processes of ours have to it at present, as far as the engine tells; a file does not.
    ///
    /// # Errors
    /// [`StoreError`] if the database fails.
    pub async fn other_connections(&self) -> Result<u64, StoreError> {
        Ok(self.engine.other_connections(&self.tx).await?)
    }

    /// Closes the connection.
    pub async fn close(self) {
        let Self { db, tx, .. } = self;
        drop(tx);
        if let Err(error) = db.close().await {
            tracing::warn!(%error, "a database connection did not close cleanly");
        }
    }
}
