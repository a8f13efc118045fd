//! How long single requests take, of users who were not seen lately.

use serde_json::{Value, json};

use crate::Users;
use crate::session::{Refused, Session, now, text};

/// Spreads the users over the whole table: prime, and larger than any table here.
const STRIDE: u64 = 2_147_483_647;

pub(crate) fn run(users: &Users, count: u32, from: u32) -> Result<Value, Refused> {
    let session = Session::new(&users.origin);
    let (mut sign_in, mut me) = (Vec::new(), Vec::new());
    for number in from..from + count {
        let user = u64::from(number) * STRIDE % u64::from(users.users);
        let began = now();
        let answer = session.sign_in(&format!("user{user}"))?;
        let signed_in = now();
        session.get("/users/me", &text(&answer, "access_token")?)?;
        me.push(signed_in.elapsed().as_secs_f64());
        sign_in.push((signed_in - began).as_secs_f64());
    }
    Ok(json!({ "sign_in_ms": median(sign_in) * 1000.0, "me_ms": median(me) * 1000.0 }))
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds.get(seconds.len() / 2).copied().unwrap_or(f64::NAN)
}
