//! A page that opens a WebSocket and an event source, neither of which can send a header.

use axum::response::Html;
use axum::routing::get;
use serde_json::{Value, json};

use crate::browser::Browser;
use crate::live::{Live, streams};
use crate::server::{PASSWORD, Server};

const SCRIPT: &str = r#"
const [password, done] = arguments;
const post = async (path, token, body) => {
  const headers = { "Content-Type": "application/json", ...(token && { Authorization: `Bearer ${token}` }) };
  return (await fetch(path, { method: "POST", headers, body: JSON.stringify(body) })).json();
};
const socket = (ticket) => new Promise((resolve) => {
  const socket = new WebSocket(`${location.origin.replace("http", "ws")}/ws?ticket=${ticket}`);
  socket.onopen = () => socket.send("hello");
  socket.onmessage = (message) => resolve(`echo ${message.data}`);
  socket.onerror = () => resolve("refused");
});
const events = (ticket) => new Promise((resolve) => {
  const source = new EventSource(`/events?ticket=${ticket}`);
  source.onmessage = (event) => { source.close(); resolve(`event ${event.data}`); };
  source.onerror = () => { resolve(source.readyState === EventSource.CLOSED ? "refused" : "retrying"); source.close(); };
});
(async () => {
  const { access_token } = await post("/users/signin", null, { username: "johndoe", password });
  const ticket = async () => (await post("/users/me/tickets", access_token, {})).ticket;
  const [one, two] = [await ticket(), await ticket()];
  return [await socket(one), await socket(one), await events(two), await events(two)];
})().then(done, (error) => done([String(error)]));
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_page_connects_with_tickets() {
    let server = Server::start().await;
    server.sign_up("johndoe").await;
    let page = get(async || Html("<!doctype html><title>streams</title>"));
    let routes = streams().route("/page", page).merge(server.mapae.token_router()).merge(server.mapae.tickets_router());
    let live = Live::serve(routes.with_state(server.mapae.clone())).await;
    let browser = Browser::start().await;
    browser.page.goto(&format!("{}/page", live.url)).await.unwrap();
    let seen: Value = browser.page.execute_async(SCRIPT, vec![json!(PASSWORD)]).await.unwrap();
    assert_eq!(seen, json!(["echo hello", "refused", "event 0", "refused"]));
    browser.close().await;
}
