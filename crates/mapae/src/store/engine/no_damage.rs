//! What stands for the errors of engines where none is built in.

use sea_orm::DbErr;

pub(in crate::store) fn is_damage(_error: &DbErr) -> bool {
    false
}
