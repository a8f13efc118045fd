//! aide's routers, which keep the documentation.

pub(crate) use aide::axum::ApiRouter;
pub(crate) use aide::axum::routing::{delete_with, get_with, patch_with, post_with};
pub(crate) use aide::transform::TransformOperation as Operation;
use axum::Json;
use schemars::JsonSchema;

/// The answer with status `N` is JSON of the form `T`, under another media type than `application/json`.
pub(crate) fn answers_as<'t, const N: u16, T: JsonSchema>(
    operation: Operation<'t>,
    media_type: &'static str,
) -> Operation<'t> {
    operation.response_with::<N, Json<T>, _>(|mut response| {
        let content = &mut response.inner().content;
        let documented = content.shift_remove("application/json").unwrap_or_default();
        content.insert(media_type.to_owned(), documented);
        response
    })
}
