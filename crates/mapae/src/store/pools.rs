//! How many connections to the database are open.

use sea_orm::DatabaseConnection;

use super::Store;

/// The connections of one kind of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// The work: `read`, `write`, or `watch` for what other processes change.
    pub name: &'static str,
    /// Open connections.
    pub open: u32,
    /// Those that do nothing at the moment.
    pub idle: u32,
}

impl Store {
    /// The pools of connections.
    pub fn pools(&self) -> [Pool; 3] {
        let connections = &self.0.connections;
        [("read", &connections.read), ("write", &connections.write), ("watch", &connections.watch)].map(
            |(name, connection)| {
                let (open, idle) = count(&connection.pool());
                Pool { name, open, idle: u32::try_from(idle).unwrap_or(u32::MAX) }
            },
        )
    }
}

fn count(connection: &DatabaseConnection) -> (u32, usize) {
    match connection.get_database_backend() {
        #[cfg(feature = "sqlite")]
        sea_orm::DbBackend::Sqlite => {
            let pool = connection.get_sqlite_connection_pool();
            (pool.size(), pool.num_idle())
        }
        #[cfg(feature = "postgres")]
        sea_orm::DbBackend::Postgres => {
            let pool = connection.get_postgres_connection_pool();
            (pool.size(), pool.num_idle())
        }
        _ => (0, 0),
    }
}
