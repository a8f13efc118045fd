//! Indexes of those few accounts that may be administrators: every start asks whether there is one.

use sea_orm::{DbBackend, Statement};

/// Where tables are large they are made by hand before the update, without keeping anybody from writing
/// (`CREATE INDEX CONCURRENTLY`, which no transaction can do). Then they are there already.
const INDEXES: [&str; 2] = [
    "CREATE INDEX IF NOT EXISTS mapae_user_admin_idx ON mapae_user (id) \
     WHERE NOT disabled AND scopes LIKE '%mapae:admin%'",
    "CREATE INDEX IF NOT EXISTS mapae_shared_account_admin_idx ON mapae_shared_account (user_id) \
     WHERE scopes LIKE '%mapae:admin%'",
];

pub(super) fn statements(backend: DbBackend) -> Vec<Statement> {
    INDEXES.map(|index| Statement::from_string(backend, index)).to_vec()
}
