//! How long a refused sign-in takes tells nothing: unknown names, wrong passwords, disabled accounts and hashes of every
//! format are compared by the two-sample Kolmogorov–Smirnov test.

use mapae::service::By;
use mapae::service::import::{ImportOutcome, ImportRow};
use mapae::testing::remove_refusal_floor;
use mapae_password::firebase::FirebaseParams;
use mapae_password::{
    Argon2Params, BcryptCost, Context, Costs, Format, HashText, Password, Pbkdf2Rounds, ScryptCost, ShaCryptRounds,
    Workspace,
};
use serde_json::json;
use tokio::time::Instant;

use crate::server::Server;

const WRONG: &str = "wrong password";
/// Refusals of each kind in a run.
const EACH: usize = 40;
/// A difference that comes by chance as seldom as that is called one. Three dozen kinds are compared in each run, and
/// only three runs in a row count.
const ALPHA: f64 = 0.001;
const RUNS: usize = 3;

/// The probability that two samples of one distribution are at least as far apart as these.
fn kolmogorov_smirnov(one: &[f64], other: &[f64]) -> f64 {
    let below = |sample: &[f64], x: f64| sample.iter().filter(|y| **y <= x).count() as f64 / sample.len() as f64;
    let distance = one.iter().chain(other).map(|x| (below(one, *x) - below(other, *x)).abs()).fold(0.0, f64::max);
    let size = (one.len() * other.len()) as f64 / (one.len() + other.len()) as f64;
    // The limiting distribution, with Stephens' correction for small samples.
    let lambda = (size.sqrt() + 0.12 + 0.11 / size.sqrt()) * distance;
    let term = |j: i32| 2.0 * f64::from(1 - 2 * ((j - 1) % 2)) * (-2.0 * f64::from(j * j) * lambda * lambda).exp();
    if lambda < 0.2 { 1.0 } else { (1..=100).map(term).sum::<f64>().clamp(0.0, 1.0) }
}

#[test]
fn the_statistic_is_the_one_in_the_tables() {
    let sample = |shift: f64| (0..100).map(|x| f64::from(x) + shift).collect::<Vec<_>>();
    assert_eq!(kolmogorov_smirnov(&sample(0.0), &sample(0.0)), 1.0);
    // D = 0.19 of 100 and 100: near the critical value 1.36 √(2/100) = 0.192 of 5 %.
    let p = kolmogorov_smirnov(&sample(0.0), &sample(19.0));
    assert!((0.04..0.06).contains(&p), "{p}");
    assert!(kolmogorov_smirnov(&sample(0.0), &sample(60.0)) < 1e-12);
}

/// Hashes that cost little, each format another time.
fn cheap(write: Format) -> Context {
    let costs = Costs {
        bcrypt: Some(BcryptCost::new(4).unwrap()),
        pbkdf2: Some(Pbkdf2Rounds::new(1_000).unwrap()),
        scrypt: Some(ScryptCost::new(8, 8, 1).unwrap()),
        sha_crypt: Some(ShaCryptRounds::new(1_000).unwrap()),
        firebase: Some(FirebaseParams::new(&"A".repeat(64), "Bw==", 8, 8).unwrap()),
    };
    Context { write, argon2: Argon2Params::new(8, 1, 1).unwrap(), costs, ..Context::default() }
}

/// Accounts with a hash of each format, and one that is disabled; the names to sign in with, and one that nobody has.
async fn names(server: &Server) -> Vec<String> {
    let password = Password::new("six purple otters").unwrap();
    let hash = |context: &Context| context.hash(&password, &[7; 16], &mut Workspace::new()).unwrap();
    let row = |name: &str, password_hash: HashText, disabled: bool| ImportRow {
        id: None,
        username: Some(name.to_owned()),
        email: None,
        full_name: None,
        disabled,
        scopes: None,
        password_hash,
        created_at: None,
    };
    let today = hash(&server.settings.passwords);
    let mut rows = vec![row("active", today.clone(), false), row("disabled", today, true)];
    rows.extend(Format::all().iter().map(|format| row(format.name(), hash(&cheap(*format)), false)));
    let mut names: Vec<String> = rows.iter().filter_map(|row| row.username.clone()).collect();
    let mut run = server.mapae.begin_import(By::System);
    for outcome in server.mapae.import_accounts(&mut run, rows).await.unwrap() {
        assert_eq!(outcome, ImportOutcome::Imported);
    }
    names.insert(0, "nobody".to_owned());
    names
}

/// How long refusals of each name take, in seconds. They go round, each time beginning elsewhere, so that whatever else
/// the machine does meets all alike.
async fn run(server: &Server, names: &[String]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(EACH); names.len()];
    for round in 0..EACH {
        for place in 0..names.len() {
            // 7 is prime to the number of names, or near enough: neighbours change.
            let place = (place * 7 + round * 5) % names.len();
            let body = json!({ "username": names[place], "password": WRONG });
            let began = Instant::now();
            let refused = server.post("/users/signin").json(&body).send().await.unwrap();
            times[place].push(began.elapsed().as_secs_f64());
            assert_eq!(refused.status(), 401);
        }
    }
    times
}

/// The kinds whose times differ from those of a name that nobody has.
fn different<'a>(names: &'a [String], times: &[Vec<f64>]) -> Vec<&'a str> {
    let p = |place: &usize| kolmogorov_smirnov(&times[0], &times[*place]);
    (1..names.len()).filter(|place| p(place) < ALPHA).map(|place| names[place].as_str()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_of_a_refusal_tells_nothing_about_the_account() {
    // Nothing of it is the engine's, and the noise of a server would hide what the control must see.
    if crate::database::is_postgres() {
        crate::database::say("left out on PostgreSQL, whose answers take too unevenly: the times of refusals");
        return;
    }
    let server = Server::start_with(|settings| {
        settings.passwords.argon2 = Argon2Params::new(2 * 1024, 3, 1).unwrap();
        settings.throttle = None;
    })
    .await;
    let names = names(&server).await;
    // With the hashes of the table known from the start.
    let server = server.restart_with(|_| {}).await;
    let mut differing: Vec<Vec<&str>> = Vec::new();
    for _ in 0..RUNS {
        let found = different(&names, &run(&server, &names).await);
        println!("differ: {found:?}");
        let is_clear = found.is_empty();
        differing.push(found);
        if is_clear {
            break;
        }
    }
    let always = names.iter().filter(|name| differing.iter().all(|found| found.contains(&name.as_str())));
    assert_eq!(always.collect::<Vec<_>>(), [""; 0], "told apart in each of {RUNS} runs");

    // What the floor hides is there to be seen.
    remove_refusal_floor(&server.mapae);
    let seen = different(&names, &run(&server, &names).await);
    println!("without the floor differ: {seen:?}");
    assert!(seen.len() * 10 > Format::all().len() * 9, "the test sees too little: {seen:?}");
    assert!(!seen.contains(&"active") && !seen.contains(&"disabled"), "{seen:?}");
}
