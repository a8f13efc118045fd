//! "FAST JWT 인증": an event planner. People sign up and in with JSON; events belong to whoever made them.

mod store;

use aide::axum::ApiRouter;
use aide::axum::routing::{get, post, post_with};
use axum::Json;
use axum::extract::{FromRef, State};
use axum::http::StatusCode;
use example_support::{Result, database, secret_key, serve};
use mapae::domain::SecretText;
use mapae::http::fastapi::{Body, FastApi, Token, refuse};
use mapae::http::{ApiError, ErrorCode};
use mapae::{CurrentUser, Mapae};
use mapae_password::{Context, Format};
use mapae_verify::{Scopes, VerifyError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use store::{Event, NewEvent, Planner, User};

type Auth = Mapae<User>;
type Answer<T> = std::result::Result<T, ApiError>;

#[derive(Clone, FromRef)]
struct App {
    auth: Auth,
    planner: Planner,
}

#[derive(Deserialize, JsonSchema)]
struct SignUp {
    email: String,
    password: String,
    username: String,
}

#[derive(Deserialize, JsonSchema)]
struct SignIn {
    email: String,
    password: String,
}

#[derive(Serialize, JsonSchema)]
struct Message {
    message: &'static str,
}

async fn sign_up(
    State(auth): State<Auth>,
    State(planner): State<Planner>,
    Body(new): Body<SignUp>,
) -> Answer<(StatusCode, Json<Message>)> {
    let hash = auth.hash_password(&SecretText::new(new.password)).await?;
    match planner.add_user(&new.email, &new.username, hash.as_str()).await? {
        true => Ok((StatusCode::CREATED, Json(Message { message: "User successfully registered!" }))),
        false => Err(refuse(StatusCode::CONFLICT, "User with email provided exists already.")),
    }
}

async fn sign_in(State(auth): State<Auth>, Body(who): Body<SignIn>) -> Answer<Json<Token>> {
    let password = SecretText::new(who.password);
    Ok(Json(auth.sign_in(&who.email, &password, &Scopes::default()).await?.into()))
}

async fn create_event(
    user: CurrentUser<(), User>,
    State(planner): State<Planner>,
    Body(event): Body<NewEvent>,
) -> Answer<(StatusCode, Json<Event>)> {
    Ok((StatusCode::CREATED, Json(planner.add_event(user.id, event).await?)))
}

async fn list_events(State(planner): State<Planner>) -> Answer<Json<Vec<Event>>> {
    Ok(Json(planner.events().await?))
}

fn texts(error: &ApiError) -> Option<(StatusCode, &'static str)> {
    match (error.code(), error.token_error()) {
        (ErrorCode::InvalidToken, Some(VerifyError::Expired { .. })) => Some((StatusCode::FORBIDDEN, "Token expired")),
        (ErrorCode::InvalidToken, _) => Some((StatusCode::BAD_REQUEST, "Invalid token")),
        _ => None,
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let db = database("planner").await?;
    let planner = Planner::open(db).await?;
    let passwords = Context::writing(Format::Bcrypt2b);
    let auth = Auth::stateless(planner.clone(), secret_key()?).lifetime(3600).passwords(passwords).build()?;
    let routes = ApiRouter::new()
        .api_route("/users/signup", post_with(sign_up, |op| op.response::<201, Json<Message>>()))
        .api_route("/users/signin", post(sign_in))
        .api_route("/events/", get(list_events).merge(post_with(create_event, |op| op.response::<201, Json<Event>>())));
    let app = FastApi::new("Planner", routes).token_url("users/signin").errors(texts);
    serve(app.finish(App { auth, planner })).await
}
