//! The tests of the crate as its users see it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail them")]

mod breached;
mod context;
mod docs_table;
mod imports;
mod other_forms;
mod pepper;
mod policy;
mod policy_time;
mod properties;
mod refusals;
mod round_trip;
mod secrets;
mod vectors;

use mapae_password::{
    Argon2Params, BcryptCost, Context, Costs, Format, Password, Pbkdf2Rounds, ScryptCost, ShaCryptRounds,
    firebase::FirebaseParams,
};
use serde::Deserialize;

/// A row of `tests/data/password_hashes.json`; its README says what the keys mean.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    kind: Kind,
    source: String,
    hash: String,
    password: String,
    matches: bool,
    #[serde(rename = "note")]
    _note: String,
    #[serde(default)]
    optional: bool,
    #[serde(default, rename = "slow")]
    _slow: bool,
    hmac_sha512_key: Option<String>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Verify,
    WrongPassword,
    Malformed,
    AbsurdCost,
    UnknownScheme,
}

fn rows() -> Vec<Row> {
    serde_json::from_str(include_str!("../data/password_hashes.json")).unwrap()
}

fn password(text: &str) -> Password {
    Password::new(text).unwrap()
}

/// A context that writes this format as cheaply as it allows.
fn cheap(format: Format) -> Context {
    Context {
        argon2: Argon2Params::new(64, 1, 1).unwrap(),
        costs: Costs {
            bcrypt: Some(BcryptCost::new(4).unwrap()),
            pbkdf2: Some(Pbkdf2Rounds::new(10).unwrap()),
            scrypt: Some(ScryptCost::new(4, 8, 1).unwrap()),
            sha_crypt: Some(ShaCryptRounds::new(1_000).unwrap()),
            firebase: Some(firebase_params()),
        },
        ..Context::writing(format)
    }
}

/// Those of the example in Firebase's documentation, but for a lower cost.
fn firebase_params() -> FirebaseParams {
    FirebaseParams::new(FIREBASE_SIGNER_KEY, "Bw==", 8, 4).unwrap()
}

const FIREBASE_SIGNER_KEY: &str =
    "jxspr8Ki0RYycVU8zykbdLGjFQ3McFUH0uiiTvC8pVMXAn210wjLNmdZJzxUECKbm0QsEmYUSDzZvpjeJ9WmXA==";
