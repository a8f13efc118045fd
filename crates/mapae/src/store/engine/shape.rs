//! How an engine describes a table.

use sea_orm::sea_query::{Expr, Func, Query};
use sea_orm::{ConnectionTrait, DbErr, ExprTrait, Statement};

use super::Engine;
use crate::store::mapped_table::{ColumnType, ColumnTypes};
use crate::store::{TableColumn, TableShape};

/// Columns of a table in the search path, in order. Whatever its type is called, `numeric(10,2)` or `varchar(64)`.
const COLUMNS: &str = "
    SELECT a.attname::text AS name, format_type(a.atttypid, a.atttypmod) AS type, a.attnotnull AS notnull,
        (a.atthasdef OR a.attidentity <> '') AS has_default
    FROM pg_attribute a
    WHERE a.attrelid = to_regclass(quote_ident($1)) AND a.attnum > 0 AND NOT a.attisdropped
    ORDER BY a.attnum";

/// Columns that a unique index of the whole table covers alone.
const UNIQUE: &str = "
    SELECT a.attname::text AS name
    FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
    WHERE i.indrelid = to_regclass(quote_ident($1)) AND i.indisunique AND i.indpred IS NULL AND i.indnkeyatts = 1";

impl Engine {
    /// How the database describes this table; without columns if there is none.
    pub(in crate::store) async fn table_shape<C: ConnectionTrait>(
        self,
        table: &str,
        db: &C,
    ) -> Result<TableShape, DbErr> {
        match self {
            Self::Sqlite => sqlite(table, db).await,
            Self::Postgres => postgres(table, db).await,
        }
    }

    /// The columns of this table that do not take our values as they are.
    pub(in crate::store) fn column_types(self, shape: &TableShape) -> ColumnTypes {
        match self {
            Self::Sqlite => ColumnTypes::default(),
            Self::Postgres => {
                let typed = |column: &TableColumn| {
                    let column_type = match column.declared_type.as_str() {
                        "uuid" => ColumnType::Uuid,
                        "citext" => ColumnType::Citext,
                        "smallint" | "integer" | "bigint" => ColumnType::Integer,
                        other if other.starts_with("character(") => ColumnType::Bpchar,
                        other if other.starts_with("timestamp") && other.ends_with(" with time zone") => {
                            ColumnType::TimestampTz
                        }
                        _ => return None,
                    };
                    Some((column.name.clone(), column_type))
                };
                ColumnTypes(shape.columns.iter().filter_map(typed).collect())
            }
        }
    }
}

async fn sqlite<C: ConnectionTrait>(table: &str, db: &C) -> Result<TableShape, DbErr> {
    let mut shape = TableShape::default();
    let query = Query::select()
        .columns(["name", "type", "notnull", "dflt_value", "pk"])
        .from_function(Func::cust("pragma_table_info").arg(table), "info")
        .take();
    let rows = db.query_all(&query).await?;
    let key_columns = rows.iter().filter(|row| row.try_get::<i32>("", "pk").is_ok_and(|pk| pk > 0)).count();
    for row in rows {
        let declared_type: String = row.try_get("", "type")?;
        let pk: i32 = row.try_get("", "pk")?;
        let rowid = key_columns == 1 && pk == 1 && declared_type.eq_ignore_ascii_case("integer");
        let name: String = row.try_get("", "name")?;
        if key_columns == 1 && pk == 1 {
            shape.unique.push(name.clone());
        }
        shape.columns.push(TableColumn {
            name,
            declared_type,
            not_null: row.try_get::<i32>("", "notnull")? != 0 || pk > 0,
            has_default: rowid || row.try_get::<Option<String>>("", "dflt_value")?.is_some(),
        });
    }
    let query = Query::select()
        .column("name")
        .from_function(Func::cust("pragma_index_list").arg(table), "indexes")
        .and_where(Expr::col("unique").eq(1))
        .and_where(Expr::col("partial").eq(0))
        .take();
    for row in db.query_all(&query).await? {
        let index: String = row.try_get("", "name")?;
        let query =
            Query::select().column("name").from_function(Func::cust("pragma_index_info").arg(index), "columns").take();
        let covered = db.query_all(&query).await?;
        if let [only] = covered.as_slice() {
            shape.unique.extend(only.try_get::<Option<String>>("", "name")?);
        }
    }
    Ok(shape)
}

async fn postgres<C: ConnectionTrait>(table: &str, db: &C) -> Result<TableShape, DbErr> {
    let ask = |sql| Statement::from_sql_and_values(Engine::Postgres.backend(), sql, [table.into()]);
    let mut shape = TableShape::default();
    for row in db.query_all_raw(ask(COLUMNS)).await? {
        shape.columns.push(TableColumn {
            name: row.try_get("", "name")?,
            declared_type: row.try_get("", "type")?,
            not_null: row.try_get("", "notnull")?,
            has_default: row.try_get("", "has_default")?,
        });
    }
    for row in db.query_all_raw(ask(UNIQUE)).await? {
        shape.unique.push(row.try_get("", "name")?);
    }
    Ok(shape)
}
