//! Does everything that the audit trail tells of: over HTTP, and on the command line what only that can do.

use std::sync::Arc;

use base64_simd::STANDARD;
use mapae::Mapae;
use mapae::domain::{BaseUrl, MasterKey, Source};
use mapae::settings::Settings;
use mapae::store::{Migrate, Store};
use mapae_verify::{Algorithm, SigningKey, SystemClock};
use reqwest::{Client, Method, RequestBuilder};
use sea_orm::{ConnectionTrait, Database, TransactionTrait};
use serde_json::{Value, json};

use crate::server::{BASE_URL, CHEAP, PASSWORD, Server};
use crate::support::{Ended, Home};

/// More than wait to be written at once.
pub(crate) const FLOOD: usize = 4_320;
/// How many send it.
const FLOODERS: usize = 16;
const NEW_PASSWORD: &str = "seven purple elephants";
/// Typed into the wrong field, as happens.
const TYPED: &str = "my-password-in-the-name-field";

/// Who is in the rows, by ids.
pub(crate) struct Cast {
    pub(crate) root: String,
    pub(crate) ann: String,
    pub(crate) bob: String,
    pub(crate) kid: String,
    pub(crate) revoked_kid: String,
    pub(crate) imported_kid: String,
    /// The sign-in in which a token was minted.
    pub(crate) minting_session: String,
    /// Everything that no row may hold.
    pub(crate) secrets: Vec<String>,
}

/// Sends requests, and keeps every secret that comes back.
pub(crate) struct Stage<'a> {
    home: &'a Home,
    server: &'a Server,
    client: Client,
    secrets: Vec<String>,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(home: &'a Home, server: &'a Server) -> Self {
        let secrets = [PASSWORD, NEW_PASSWORD, TYPED, "ann@example.com", "new@example.com", "Ann Other"];
        Self { home, server, client: Client::new(), secrets: secrets.map(str::to_owned).to_vec() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.server.url)).header("user-agent", "a test")
    }

    async fn send(&mut self, request: RequestBuilder, status: u16) -> Value {
        let answer = request.send().await.expect("an answer");
        let got = answer.status().as_u16();
        let body = answer.text().await.expect("text");
        assert_eq!(got, status, "{body}");
        let body: Value = serde_json::from_str(&body).unwrap_or(Value::Null);
        for name in ["access_token", "refresh_token", "client_secret", "ticket"] {
            self.secrets.extend(body[name].as_str().map(str::to_owned));
        }
        body
    }

    async fn json(&mut self, method: Method, path: &str, token: &str, body: Value, status: u16) -> Value {
        let request = self.request(method, path).bearer_auth(token).json(&body);
        self.send(request, status).await
    }

    async fn form(&mut self, path: &str, form: &[(&str, &str)], status: u16) -> Value {
        let request = self.request(Method::POST, path).form(form);
        self.send(request, status).await
    }

    async fn sign_in(&mut self, name: &str, password: &str, status: u16) -> Value {
        self.form("/token", &[("username", name), ("password", password)], status).await
    }

    async fn refresh(&mut self, tokens: &Value, status: u16) -> Value {
        let token = text(&tokens["refresh_token"]);
        let form = [("grant_type", "refresh_token"), ("refresh_token", &*token), ("client_id", "mapae")];
        self.form("/oauth2/token", &form, status).await
    }

    fn command(&self, arguments: &[&str]) -> String {
        let variables = [&CHEAP[..], &[BASE_URL, ("USER", "operator")]].concat();
        let Ended { status, stdout, stderr } = self.home.run(arguments, &variables);
        assert_eq!(status, Some(0), "{arguments:?}: {stderr}");
        stdout
    }

    /// Does everything.
    pub(crate) async fn play(mut self) -> Cast {
        let root = self.home.sign_up("root");
        self.command(&["user", "grant", "root", "mapae:admin"]);
        let admin = self.command(&["token", "mint", "root", "--scope", "mapae:admin"]).trim().to_owned();
        self.secrets.push(admin.clone());
        let ann = self.owner_acts().await;
        let bob = self.admin_acts(&admin).await;
        let minting_session = self.token_acts().await;
        self.client_acts(&admin).await;
        let [kid, revoked_kid, imported_kid] = self.command_line_acts();
        self.flood().await;
        Cast { root, ann, bob, kid, revoked_kid, imported_kid, minting_session, secrets: self.secrets }
    }

    async fn owner_acts(&mut self) -> String {
        let new = json!({ "username": "ann", "email": "ann@example.com", "password": PASSWORD });
        let made = self.json(Method::POST, "/users/signup", "", new, 201).await;
        let tokens = self.sign_in("ann", PASSWORD, 200).await;
        let token = text(&tokens["access_token"]);
        self.sign_in("ann", "not the password", 401).await;
        self.sign_in(TYPED, "not the password", 401).await;
        self.sign_in("ann", &"x".repeat(5_000), 401).await;
        let change = json!({ "email": "new@example.com", "full_name": "Ann Other", "password": PASSWORD });
        self.json(Method::PATCH, "/users/me", &token, change, 200).await;
        let wrong = json!({ "current_password": "not the password", "new_password": NEW_PASSWORD });
        self.json(Method::POST, "/users/me/password", &token, wrong, 403).await;
        let right = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
        self.json(Method::POST, "/users/me/password", &token, right, 204).await;
        self.json(Method::POST, "/users/signout", &token, json!({}), 204).await;
        text(&made["id"])
    }

    async fn admin_acts(&mut self, admin: &str) -> String {
        let bob = self.home.sign_up("bob");
        let path = format!("/admin/users/{bob}");
        for change in [
            json!({ "grant": "mapae:admin" }),
            json!({ "withdraw": "mapae:admin" }),
            json!({ "disabled": true }),
            json!({ "disabled": true, "grant": "me" }),
            json!({ "disabled": false }),
        ] {
            self.json(Method::PATCH, &path, admin, change, 200).await;
        }
        let token = text(&self.sign_in("bob", PASSWORD, 200).await["access_token"]);
        self.json(Method::DELETE, "/users/me", &token, json!({ "password": PASSWORD }), 204).await;
        bob
    }

    /// The session in which a token was minted.
    async fn token_acts(&mut self) -> String {
        let first = self.sign_in("root", PASSWORD, 200).await;
        let second = self.refresh(&first, 200).await;
        self.refresh(&second, 200).await;
        self.refresh(&first, 400).await;

        let first = self.sign_in("root", PASSWORD, 200).await;
        let second = self.refresh(&first, 200).await;
        // The database is restored from a backup of before that.
        let url = format!("sqlite://{}", self.home.path().join("mapae-data/mapae.db").display());
        let database = Database::connect(&url).await.expect("the database");
        database.execute_unprepared("UPDATE mapae_session SET generation = 0").await.expect("restored");
        let third = self.refresh(&second, 200).await;
        let access = text(&third["access_token"]);
        self.form("/oauth2/revoke", &[("token", &access), ("client_id", "mapae")], 200).await;

        let token = text(&self.sign_in("root", PASSWORD, 200).await["access_token"]);
        let new = json!({ "kind": "personal_token", "scope": "me", "password": PASSWORD });
        let minted = self.json(Method::POST, "/users/me/tokens", &token, new, 201).await;
        self.secrets.push(text(&minted["token"]));
        let grant = "urn:ietf:params:oauth:grant-type:token-exchange";
        let kind = ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token");
        let form = [("grant_type", grant), ("client_id", "mapae"), ("subject_token", TYPED), kind];
        self.form("/oauth2/token", &form, 400).await;
        let ticket = text(&self.json(Method::POST, "/users/me/tickets", &token, json!({}), 201).await["ticket"]);
        // Routes that take tickets are an application's: it works beside the server here.
        let store = Store::open(&url, false, Migrate::Never, Arc::new(SystemClock)).await.expect("the database");
        let key = std::fs::read_to_string(self.home.path().join("mapae-data/master.key")).expect("the master key");
        let key = MasterKey::new(key.trim().as_bytes().to_vec()).expect("a key");
        let settings = Settings::new(BaseUrl::parse(BASE_URL.1).expect("a URL"));
        let beside = Mapae::attach(store, settings, key, Arc::new(SystemClock)).await.expect("a service");
        let source = Source { address: "203.0.113.7".parse().ok(), request_id: None };
        beside.redeem_ticket(&ticket, source).await.expect("a good ticket");
        beside.redeem_ticket(&ticket, source).await.expect_err("used");
        beside.store().close().await;
        let payload = token.split('.').nth(1).expect("a JWT");
        let claims = base64_simd::URL_SAFE_NO_PAD.decode_to_vec(payload).expect("base64url");
        text(&serde_json::from_slice::<Value>(&claims).expect("claims")["sid"])
    }

    async fn client_acts(&mut self, admin: &str) {
        let new =
            json!({ "client_id": "job", "confidential": true, "grant_types": ["client_credentials"], "scope": "me" });
        self.json(Method::POST, "/admin/clients", admin, new, 201).await;
        let made = self.json(Method::POST, "/admin/clients/job/secret", admin, json!({}), 200).await;
        let secret = text(&made["client_secret"]);
        let form = |secret| [("grant_type", "client_credentials"), ("client_id", "job"), ("client_secret", secret)];
        self.form("/oauth2/token", &form(&secret), 200).await;
        self.form("/oauth2/token", &form("not the secret of this client"), 401).await;
        self.form("/oauth2/revoke", &[("token", "x"), ("client_id", TYPED)], 401).await;
        let request = self.request(Method::DELETE, "/admin/clients/job").bearer_auth(admin);
        self.send(request, 204).await;
    }

    /// The signing key after a rotation, the one that was revoked then, and one that was imported.
    fn command_line_acts(&self) -> [String; 3] {
        self.command(&["key", "rotate", "--now"]);
        let kid_of = |state: &str| {
            let keys: Value = serde_json::from_str(&self.command(&["key", "list", "--json"])).expect("JSON");
            let key = keys.as_array().expect("a list").iter().find(|key| key["state"] == state);
            text(&key.expect("a key of this state")["kid"])
        };
        let (active, retiring) = (kid_of("active"), kid_of("retiring"));
        self.command(&["key", "revoke", &retiring]);
        let other = SigningKey::generate(Algorithm::ES256).expect("a key");
        let pem = STANDARD.encode_to_string(other.to_pkcs8().expect("a key pair"));
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{pem}\n-----END PRIVATE KEY-----\n");
        std::fs::write(self.home.path().join("other.pem"), pem).expect("written");
        let summary = self.command(&["key", "import", "other.pem"]);
        self.command(&["secret", "rotate"]);
        let rows = [
            json!({ "username": "carol", "password_hash": "$argon2id$v=19$m=65536,t=3,p=4$wagCPXjifgvUFBzq4hqe3w$CYaIb8sB+wtD+Vu/P4uod1+Qof8h+1g7bbDlBID48Rc" }),
            json!({ "username": "dave" }),
        ];
        let lines: String = rows.iter().map(|row| format!("{row}\n")).collect();
        let imported = self.home.run_with_input(&["user", "import"], &[BASE_URL, ("USER", "operator")], &lines);
        assert!(imported.stdout.starts_with("Imported "), "{imported:?}");
        let imported_kid = text(&summary.split_whitespace().next().expect("its id").into());
        [active, retiring, imported_kid]
    }

    /// Keeps the writer busy, and sends more than waits for it.
    async fn flood(&self) {
        let url = format!("sqlite://{}", self.home.path().join("mapae-data/mapae.db").display());
        let database = Database::connect(url).await.expect("the database");
        let busy = database.begin().await.expect("a transaction");
        busy.execute_unprepared("UPDATE mapae_user SET disabled = disabled").await.expect("the writer");
        let tasks: Vec<_> = (0..FLOODERS)
            .map(|_| {
                let (client, url) = (self.client.clone(), format!("{}/oauth2/revoke", self.server.url));
                tokio::spawn(async move {
                    for _ in 0..FLOOD / FLOODERS {
                        let form = [("token", "x"), ("client_id", "nobody")];
                        let answer = client.post(&url).form(&form).send().await.expect("an answer");
                        assert_eq!(answer.status(), 401);
                    }
                })
            })
            .collect();
        for task in tasks {
            task.await.expect("no panic");
        }
        busy.rollback().await.expect("the writer is free");
    }
}

pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("not a text: {value}")).to_owned()
}
